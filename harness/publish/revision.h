// The revision that this build was made of, written at build time by revision.cmake.
#pragma once

namespace lockstep::publish {

extern const char* const kRevision;  // commit, or "unknown" outside of a checkout
extern const bool kRevisionKnown;
extern const bool kDirty;  // tracked files differed from the commit

}  // namespace lockstep::publish
