// What every benchmark program's main ends with. Google Benchmark prints an error and goes on to exit code 0; a figure
// that could not be measured is a failure here, and so is a filter that nothing matches.
#pragma once

namespace lockstep::bench {

// Runs the registered benchmarks under Google Benchmark's options. 0: each was measured; 1: one reported an error, or
// none was run; 2: an option that is not known.
int Run(int argc, char** argv);

}  // namespace lockstep::bench
