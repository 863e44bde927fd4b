#include <string>
#include <vector>

#include "harness/cli/cli.h"

int main(int argc, char** argv) { return lockstep::cli::Main({argv, argv + argc}); }
