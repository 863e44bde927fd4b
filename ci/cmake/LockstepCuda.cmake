# How the CUDA trainer is built, in one place:
#   LOCKSTEP_CUDA=AUTO     REAL where nvcc and a GPU are on this machine, VIRTUAL otherwise
#   LOCKSTEP_CUDA=REAL     by nvcc, against the toolkit and NCCL; needs no GPU to compile and link
#   LOCKSTEP_CUDA=VIRTUAL  the same sources as C++ for virtual GPUs, with or without the toolkit
#   LOCKSTEP_CUDA=OFF      not at all
# Sets LOCKSTEP_CUDA_MODE to REAL, VIRTUAL or OFF, and LOCKSTEP_NVCC where nvcc is on PATH or under CUDA_HOME.
set(LOCKSTEP_CUDA AUTO CACHE STRING "How the CUDA trainer is built: AUTO, REAL, VIRTUAL or OFF")
set_property(CACHE LOCKSTEP_CUDA PROPERTY STRINGS AUTO REAL VIRTUAL OFF)
if(NOT LOCKSTEP_CUDA MATCHES "^(AUTO|REAL|VIRTUAL|OFF)$")
  message(FATAL_ERROR "LOCKSTEP_CUDA=${LOCKSTEP_CUDA}: expected AUTO, REAL, VIRTUAL or OFF")
endif()

find_program(LOCKSTEP_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATH_SUFFIXES bin)
if(NOT LOCKSTEP_CUDA STREQUAL AUTO)
  set(LOCKSTEP_CUDA_MODE ${LOCKSTEP_CUDA})
elseif(LOCKSTEP_NVCC AND EXISTS /dev/nvidia0)
  set(LOCKSTEP_CUDA_MODE REAL)
else()
  set(LOCKSTEP_CUDA_MODE VIRTUAL)
endif()
if(LOCKSTEP_CUDA_MODE STREQUAL REAL AND NOT LOCKSTEP_NVCC)
  message(FATAL_ERROR "LOCKSTEP_CUDA=REAL needs nvcc on PATH or under CUDA_HOME; VIRTUAL needs neither")
endif()
message(STATUS "CUDA trainer: ${LOCKSTEP_CUDA_MODE}")

# What nvcc is told beside the project's settings. No contraction of multiply-add: an element computed four at a time and
# one in the tail must be computed alike, and virtual GPUs do not contract either. Constants and small functions of
# harness/protocol are constexpr, not __device__.
set(LOCKSTEP_NVCC_OPTIONS -Werror all-warnings --expt-relaxed-constexpr -fmad=false)

# The language itself is enabled where its sources are: enable_language wants the highest folder that they share.
if(LOCKSTEP_CUDA_MODE STREQUAL REAL)
  set(CMAKE_CUDA_COMPILER ${LOCKSTEP_NVCC})
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100-real)
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc 12 and later speak C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  find_package(CUDAToolkit REQUIRED)
  find_path(LOCKSTEP_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} REQUIRED)
  find_library(LOCKSTEP_NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} REQUIRED)
endif()

# lockstep_cuda_sources(TARGET FILES...): TARGET compiles and links as the CUDA trainer does in this mode.
function(lockstep_cuda_sources target)
  if(LOCKSTEP_CUDA_MODE STREQUAL REAL)
    target_link_libraries(${target} PUBLIC CUDA::cudart CUDA::cublas CUDA::cublasLt ${LOCKSTEP_NCCL_LIBRARY})
    target_include_directories(${target} SYSTEM PUBLIC ${CUDAToolkit_INCLUDE_DIRS} ${LOCKSTEP_NCCL_INCLUDE})
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:${LOCKSTEP_NVCC_OPTIONS}>
      "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Xptxas -v -Xcompiler=-Wall,-Wextra,-Wshadow,-Werror>")
  else()
    target_link_libraries(${target} PUBLIC lockstep_virtual_gpu)
    lockstep_cuda_as_cxx(${ARGN})
  endif()
endfunction()

# lockstep_cuda_ptx(FILES...): PTX of each kernel source for compute_75 upward, under ptx/ in the build folder; nothing
# where there is no nvcc.
function(lockstep_cuda_ptx)
  if(NOT LOCKSTEP_NVCC)
    return()
  endif()
  set(folder ${CMAKE_BINARY_DIR}/ptx)
  file(MAKE_DIRECTORY ${folder})
  set(outputs "")
  foreach(source ${ARGN})
    get_filename_component(name ${source} NAME_WE)
    add_custom_command(OUTPUT ${folder}/${name}.ptx
      COMMAND ${LOCKSTEP_NVCC} -ptx -arch=compute_75 -std=c++20 -O3 ${LOCKSTEP_NVCC_OPTIONS} -I${CMAKE_SOURCE_DIR}
              -MD -MF ${CMAKE_CURRENT_BINARY_DIR}/${name}.ptx.d -o ${folder}/${name}.ptx ${source}
      DEPENDS ${source} DEPFILE ${CMAKE_CURRENT_BINARY_DIR}/${name}.ptx.d VERBATIM COMMENT "PTX of ${name}.cu")
    list(APPEND outputs ${folder}/${name}.ptx)
  endforeach()
  add_custom_target(ptx ALL DEPENDS ${outputs})
endfunction()

# lockstep_cuda_suite(PROGRAM SUITE MATCHING regex): the tests that gtest_discover_tests found in PROGRAM and that match
# are of the CUDA trainer: their labels are SUITE and cuda, and the target cuda_suites builds PROGRAM. Nothing where there
# is no CUDA trainer. (gtest_discover_tests itself takes one label alone.)
function(lockstep_cuda_suite program suite)
  cmake_parse_arguments(ARG "" "MATCHING" "" ${ARGN})
  if(LOCKSTEP_CUDA_MODE STREQUAL OFF)
    return()
  endif()
  add_dependencies(cuda_suites ${program})
  set(script ${CMAKE_CURRENT_BINARY_DIR}/${program}_labels.cmake)
  file(CONFIGURE OUTPUT ${script} @ONLY CONTENT [[
foreach(test IN LISTS @program@_TESTS)
  if(test MATCHES [==[@ARG_MATCHING@]==])
    set_tests_properties("${test}" PROPERTIES LABELS "@suite@;cuda")
  endif()
endforeach()
]])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${script})
endfunction()
