# Tests of cuBLAS, cublasLt and NCCL: one program a file, since those of NCCL fork, which a program that has used a device
# must not do. Each also with lazy and random streams, and under the sanitizers.

# virtual_gpu_library_test(PROGRAM modes...): what takes long runs in eager mode of the plain build alone.
function(virtual_gpu_library_test program)
  foreach(mode ${ARGN})
    set(filter "*")
    if(NOT mode STREQUAL eager OR program MATCHES "_(address|thread)$")
      set(filter "-*OnFourRanks:*OnSevenRanks")
    endif()
    gtest_discover_tests(${program} TEST_PREFIX virtual_gpu.${program}.${mode}. TEST_LIST ${program}_${mode} TEST_FILTER ${filter}
      DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300 ENVIRONMENT LOCKSTEP_VIRTUAL_STREAMS=${mode})
  endforeach()
endfunction()

file(GLOB library_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cublas*_test.cc ${CMAKE_CURRENT_SOURCE_DIR}/nccl_*_test.cc)
foreach(test ${library_tests})
  get_filename_component(name ${test} NAME_WE)
  string(REGEX REPLACE "_test$" "" name ${name})
  add_executable(virtual_gpu_${name} ${test})
  target_link_libraries(virtual_gpu_${name} PRIVATE lockstep_virtual_gpu GTest::gtest GTest::gtest_main)
  virtual_gpu_library_test(virtual_gpu_${name} eager lazy random)
  foreach(sanitizer address,undefined thread)
    string(REGEX REPLACE ",.*" "" suffix ${sanitizer})
    lockstep_sanitized_executable(virtual_gpu_${name}_${suffix} SANITIZER ${sanitizer} SOURCES ${test}
      LINK GTest::gtest GTest::gtest_main)
    if(TARGET virtual_gpu_${name}_${suffix})
      virtual_gpu_library_test(virtual_gpu_${name}_${suffix} eager)
    endif()
  endforeach()
endforeach()
