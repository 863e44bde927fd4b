# Programs of CUDA sources for virtual GPUs, also under sanitizers, in one build tree.

# lockstep_cuda_as_cxx(files...): these .cu files are compiled as C++, against the headers of reference/virtual_gpu.
function(lockstep_cuda_as_cxx)
  set(cu ${ARGN})
  list(FILTER cu INCLUDE REGEX "\\.cu$")
  if(cu)
    set_source_files_properties(${cu} PROPERTIES LANGUAGE CXX)  # CMake adds -x c++
  endif()
endfunction()

# lockstep_virtual_gpu_library(NAME [PARTS folders...]): reference/virtual_gpu, or those of its folders, as a static
# library.
function(lockstep_virtual_gpu_library name)
  cmake_parse_arguments(ARG "" "" "PARTS" ${ARGN})
  if(NOT ARG_PARTS)
    set(ARG_PARTS engine runtime cublas nccl)
  endif()
  set(folder ${CMAKE_SOURCE_DIR}/reference/virtual_gpu)
  list(TRANSFORM ARG_PARTS REPLACE "(.+)" "${folder}/\\1/*.cc" OUTPUT_VARIABLE patterns)
  file(GLOB sources CONFIGURE_DEPENDS ${patterns})
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} SYSTEM PUBLIC ${folder}/include)
  target_link_libraries(${name} PUBLIC lockstep_settings Threads::Threads)
  # The same rounding from every compiler: kernels contract a multiply and an add only where they say fmaf.
  target_compile_options(${name} PUBLIC -ffp-contract=off)
  # What a part needs to link is said in its folder: link.cmake, which finds the target in `name`.
  foreach(part ${ARG_PARTS})
    include(${folder}/${part}/link.cmake OPTIONAL)
  endforeach()
endfunction()

# The virtual GPU for programs under `sanitizer`, made once. For `thread` it is not instrumented itself: it says what
# order CUDA promises (engine/sanitizers.h). OWN instruments the runtime, whose own hand-overs are then what is looked at.
function(lockstep_sanitized_virtual_gpu library sanitizer own)
  if(TARGET ${library})
    return()
  endif()
  if(NOT sanitizer STREQUAL thread)
    lockstep_virtual_gpu_library(${library})
    target_compile_options(${library} PRIVATE ${LOCKSTEP_SANITIZED_OPTIONS} -fsanitize=${sanitizer})
  elseif(NOT own)
    lockstep_virtual_gpu_library(${library})
    target_compile_options(${library} PRIVATE -O2 -g -fno-omit-frame-pointer)
    target_compile_definitions(${library} PRIVATE LOCKSTEP_VIRTUAL_GPU_TSAN=1)
  else()
    lockstep_virtual_gpu_library(${library}_engine PARTS engine)
    lockstep_virtual_gpu_library(${library} PARTS runtime)
    target_compile_options(${library}_engine PRIVATE -O2 -g -fno-omit-frame-pointer)
    target_compile_options(${library} PRIVATE ${LOCKSTEP_SANITIZED_OPTIONS} -fsanitize=thread)
    foreach(part ${library}_engine ${library})
      target_compile_definitions(${part} PRIVATE LOCKSTEP_VIRTUAL_GPU_TSAN=1 LOCKSTEP_VIRTUAL_GPU_TSAN_OWN=1)
    endforeach()
    target_link_libraries(${library} PUBLIC ${library}_engine)
  endif()
endfunction()

set(LOCKSTEP_SANITIZED_OPTIONS -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all)

# lockstep_sanitized_executable(NAME SANITIZER address,undefined|thread [OWN] SOURCES files... [LINK targets...]):
# a program of CUDA or C++ sources with virtual GPUs, compiled with the sanitizer, beside the tree's ordinary targets.
# What LINK names stays as it is. A tree that is sanitized as a whole has no such programs: the target is not made.
function(lockstep_sanitized_executable name)
  cmake_parse_arguments(ARG "OWN" "SANITIZER" "SOURCES;LINK" ${ARGN})
  if(LOCKSTEP_SANITIZE)
    return()
  endif()
  string(REPLACE "," "_" suffix ${ARG_SANITIZER})
  if(ARG_OWN)
    string(APPEND suffix _own)
  endif()
  lockstep_sanitized_virtual_gpu(lockstep_virtual_gpu_${suffix} ${ARG_SANITIZER} ${ARG_OWN})
  lockstep_cuda_as_cxx(${ARG_SOURCES})
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE ${LOCKSTEP_SANITIZED_OPTIONS} -fsanitize=${ARG_SANITIZER})
  target_link_options(${name} PRIVATE -fsanitize=${ARG_SANITIZER})
  target_link_libraries(${name} PRIVATE lockstep_virtual_gpu_${suffix} ${ARG_LINK})
endfunction()
