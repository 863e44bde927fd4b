# Functions that every folder's CMakeLists.txt uses, so that "add one more" is one file and no list.

# Settings shared by all targets: warnings are errors, includes are relative to the repository's root.
add_library(lockstep_settings INTERFACE)
target_include_directories(lockstep_settings INTERFACE ${CMAKE_SOURCE_DIR})
# nvcc takes other options: see LockstepCuda.cmake.
target_compile_options(lockstep_settings INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Werror;-Wshadow;-Wnon-virtual-dtor>"
  "$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-restrict>")  # GCC 12 warns of its own strings
target_compile_definitions(lockstep_settings INTERFACE LOCKSTEP_VERSION="${PROJECT_VERSION}")
if(LOCKSTEP_SANITIZE)
  string(REPLACE ";" "," _sanitizers "${LOCKSTEP_SANITIZE}")
  target_compile_options(lockstep_settings INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${_sanitizers};-fno-omit-frame-pointer;-fno-sanitize-recover=all>")
  target_link_options(lockstep_settings INTERFACE -fsanitize=${_sanitizers})
endif()

# What tests in Python are run by: the system's, whatever environment is active.
find_program(LOCKSTEP_PYTHON3 NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)

# lockstep_library(NAME [LINK targets...]): a static library of every .cc file of the folder (not of its subfolders).
function(lockstep_library name)
  cmake_parse_arguments(ARG "" "" "LINK;SOURCES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(NOT sources AND NOT ARG_SOURCES)  # headers alone
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE lockstep_settings ${ARG_LINK})
    return()
  endif()
  add_library(${name} STATIC ${sources} ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC lockstep_settings ${ARG_LINK})
endfunction()

# lockstep_folders(folders...): every one is there, and no folder with a CMakeLists.txt is missing from the list: code and
# suites are lost by an error alone. `folders` in the caller's order.
function(lockstep_folders)
  file(GLOB found CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt)
  list(TRANSFORM found REPLACE "/CMakeLists.txt$" "")
  foreach(folder ${ARGN})
    if(NOT folder IN_LIST found)
      message(FATAL_ERROR "${CMAKE_CURRENT_SOURCE_DIR}/${folder}: no CMakeLists.txt; the list beside it names this folder")
    endif()
  endforeach()
  foreach(folder ${found})
    if(NOT folder IN_LIST ARGN)
      message(FATAL_ERROR "${CMAKE_CURRENT_SOURCE_DIR}/${folder}: in no list of CMakeLists.txt above it, so it would not be built")
    endif()
  endforeach()
endfunction()

# lockstep_registry(OUTPUT var HEADER file NAMESPACE ns TYPE type PREFIX prefix FUNCTION name FILES files...):
# writes a .cc file that defines
#     std::vector<const TYPE*> FUNCTION();
# in NAMESPACE, holding `extern const TYPE PREFIX<stem>;` of each file, sorted by name. A new file is
# picked up by itself; a file that does not define its object fails to link, with the name in the message.
function(lockstep_registry)
  cmake_parse_arguments(ARG "" "OUTPUT;HEADER;NAMESPACE;TYPE;PREFIX;FUNCTION" "FILES" ${ARGN})
  set(externs "")
  set(entries "")
  list(SORT ARG_FILES)
  foreach(file ${ARG_FILES})
    get_filename_component(stem ${file} NAME_WE)
    string(APPEND externs "extern const ${ARG_TYPE} ${ARG_PREFIX}${stem};\n")
    string(APPEND entries "      &${ARG_PREFIX}${stem},\n")
  endforeach()
  set(path ${CMAKE_CURRENT_BINARY_DIR}/${ARG_FUNCTION}_registry.cc)
  file(CONFIGURE OUTPUT ${path} @ONLY CONTENT
"// Written by lockstep_registry() in ci/cmake/LockstepTargets.cmake.
#include \"@ARG_HEADER@\"

#include <vector>

namespace @ARG_NAMESPACE@ {

@externs@
std::vector<const @ARG_TYPE@*> @ARG_FUNCTION@() {
  return {
@entries@  };
}

}  // namespace @ARG_NAMESPACE@
")
  set(${ARG_OUTPUT} ${path} PARENT_SCOPE)
endfunction()

# lockstep_unit_tests(AREA [LINK targets...]): one GoogleTest program of every suites/unit/AREA/*_test.cc.
function(lockstep_unit_tests area)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${area}/*.cc)
  if(NOT sources)
    message(FATAL_ERROR "suites/unit/${area} holds no test; zero tests is a failure")
  endif()
  add_executable(unit_${area} ${sources})
  target_link_libraries(unit_${area} PRIVATE ${ARG_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(unit_${area} PRIVATE LOCKSTEP_SOURCE_DIR="${CMAKE_SOURCE_DIR}" LOCKSTEP_BINARY_DIR="${CMAKE_BINARY_DIR}")
  gtest_discover_tests(unit_${area} TEST_PREFIX ${area}. DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
endfunction()

include(GoogleTest)
