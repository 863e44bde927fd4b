# Writes OUTPUT (revision.cc) from the checkout at SOURCE; leaves the file alone when nothing changed, so that a build
# of the same revision compiles nothing. Run at every build: a revision of the time of configuring would go stale.
cmake_minimum_required(VERSION 3.25)
set(revision "unknown")
set(known false)
set(dirty false)
execute_process(COMMAND git -C ${SOURCE} rev-parse HEAD OUTPUT_VARIABLE head OUTPUT_STRIP_TRAILING_WHITESPACE
                RESULT_VARIABLE failed ERROR_QUIET)
if(NOT failed)
  set(revision ${head})
  set(known true)
  execute_process(COMMAND git -C ${SOURCE} --no-optional-locks status --porcelain --untracked-files=no
                  OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    set(dirty true)
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT
"// Written by revision.cmake.
#include \"harness/publish/revision.h\"

namespace lockstep::publish {

const char* const kRevision = \"@revision@\";
const bool kRevisionKnown = @known@;
const bool kDirty = @dirty@;

}  // namespace lockstep::publish
")
