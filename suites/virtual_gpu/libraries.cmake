# Tests of cuBLAS, cublasLt and NCCL: one program a file, since those of NCCL fork, which a program that has used a device
# must not do. Each test by itself in eager mode; the whole program once with lazy and once with random streams, and
# once under each sanitizer.
file(GLOB library_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cublas*_test.cc ${CMAKE_CURRENT_SOURCE_DIR}/nccl_*_test.cc)
if(NOT library_tests)
  message(FATAL_ERROR "suites/virtual_gpu holds no test of cuBLAS or NCCL; zero tests is a failure")
endif()
set(shorter "GTEST_FILTER=-*OnFourRanks:*OnSevenRanks")  # what takes long runs once
foreach(test ${library_tests})
  get_filename_component(name ${test} NAME_WE)
  string(REGEX REPLACE "_test$" "" name ${name})
  add_executable(virtual_gpu_${name} ${test})
  target_link_libraries(virtual_gpu_${name} PRIVATE lockstep_virtual_gpu ${test_libraries})
  gtest_discover_tests(virtual_gpu_${name} TEST_PREFIX virtual_gpu. DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT 300 LABELS virtual_gpu)
  virtual_gpu_test(${name} lazy LOCKSTEP_VIRTUAL_STREAMS=lazy ${shorter})
  virtual_gpu_test(${name} random LOCKSTEP_VIRTUAL_STREAMS=random LOCKSTEP_VIRTUAL_SEED=5 ${shorter})
  foreach(sanitizer address,undefined thread)
    string(REGEX REPLACE ",.*" "" suffix ${sanitizer})
    lockstep_sanitized_executable(virtual_gpu_${name}_${suffix} SANITIZER ${sanitizer} SOURCES ${test} LINK ${test_libraries})
    if(TARGET virtual_gpu_${name}_${suffix})
      virtual_gpu_test(${name}_${suffix} plain ${shorter})
    endif()
  endforeach()
endforeach()
