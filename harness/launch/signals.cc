#include <signal.h>

#include "harness/launch/launch.h"

namespace lockstep::launch {
namespace {

// The only way in which a handler can speak: the one piece of global state of the harness.
volatile sig_atomic_t received = 0;

void Receive(int signal) { received = signal; }

}  // namespace

void InstallSignalHandlers() {
  struct sigaction action {};
  action.sa_handler = Receive;
  sigemptyset(&action.sa_mask);
  for (const int each : {SIGINT, SIGTERM}) sigaction(each, &action, nullptr);
}

int ReceivedSignal() { return received; }

}  // namespace lockstep::launch
