// How talking to each other ends when it can't go on. Each test is run by itself: after a failure nothing is left to
// talk over. The deadline is 2 s.
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "suites/collectives/scene.h"

namespace lockstep::collectives {
namespace {

using device::Edge;
using device::Reduction;

int Next() { return (World().Rank() + 1) % World().Size(); }
int Last() { return (World().Rank() + World().Size() - 1) % World().Size(); }

// False on rank 0, which is alive but silent for three deadlines before; so long it waits for what nobody sends.
bool IsThere() {
  std::vector<std::unique_ptr<device::Communicator>> groups;
  for (int i = 0; i < 3; ++i) groups.push_back(World().Split(0, World().Rank()));
  if (World().Rank() != 0) return true;
  for (const auto& group : groups) ErrorOf([&] { group->Barrier(); });
  return false;
}

void ExpectWords(const std::string& text, const std::vector<std::string>& all) {
  for (const std::string& words : all)
    EXPECT_NE(text.find(words), std::string::npos) << words << " is not in: " << text;
}

TEST(Failure, CrossedWiresAreNamedBeforeAnythingLands) {
  DeviceArray out(std::vector<float>(4, 1.0f)), in = DeviceArray::Poisoned(4);
  const auto send = World().Send(4, out.data(), Next(), Edge{0, 1, 2, 0, 9});
  const auto receive = World().Receive(4, in.data(), Last(), Edge{1, 2, 2, 0, 9});
  ExpectWords(ErrorOf([&] { receive->Wait(); }),
              {"rank " + std::to_string(World().Rank()),
               "link crossed: expected 4 elements of step 9, micro-batch 2, stage 1 to 2 forward, got 4 elements of "
               "step 9, micro-batch 2, stage 0 to 1 forward"});
  EXPECT_TRUE(std::isnan(in.Read()[0])) << "the wrong message landed";
}

void ExpectOvertaken(std::int64_t n) {
  DeviceArray out(std::vector<float>(static_cast<std::size_t>(n), 1.0f)), in = DeviceArray::Poisoned(n);
  const auto first = World().Send(n, out.data(), Next(), Edge{0, 1, 3, 0, 9});
  const auto second = World().Send(n, out.data(), Next(), Edge{0, 1, 2, 0, 9});
  const auto receive = World().Receive(n, in.data(), Last(), Edge{0, 1, 2, 0, 9});
  const std::string size = std::to_string(n) + " elements of step 9, micro-batch ";
  ExpectWords(ErrorOf([&] { receive->Wait(); }), {"out of order: expected " + size + "2", "got " + size + "3"});
  try {
    first->Wait();                   // the next rank may still look for what comes after it
  } catch (const std::exception&) {  // or has given up on it
  }
}

TEST(Failure, MessagesInTheWrongOrderAreNamedAsThat) { ExpectOvertaken(4); }

TEST(Failure, LongMessagesInTheWrongOrderToo) { ExpectOvertaken(30007); }  // none leaves before it is received

TEST(Failure, AMessageThatIsLeftOutIsNamedAsMissing) {
  DeviceArray out(std::vector<float>(4, 1.0f)), in = DeviceArray::Poisoned(4);
  const auto send = World().Send(4, out.data(), Next(), Edge{0, 1, 3, 0, 9});
  const auto receive = World().Receive(4, in.data(), Last(), Edge{0, 1, 2, 0, 9});
  ExpectWords(ErrorOf([&] { receive->Wait(); }),
              {"link missing: expected 4 elements of step 9, micro-batch 2", "nothing of it after that"});
}

// The last rank has a link in that direction, and asks nobody on it.
TEST(Failure, AMessageThatNobodyAskedForIsSeenWhereItLies) {
  std::mutex mutex;
  std::condition_variable told;
  std::optional<device::Stray> seen;
  World().WatchForStrays([&](const std::optional<device::Stray>& stray) {
    const std::lock_guard lock(mutex);
    seen = stray;
    told.notify_one();
  });
  const int rank = World().Rank(), last = World().Size() - 1;
  device::WorkHandle work;
  if (rank == 0) work = World().Send(0, nullptr, last, Edge{0, 2, 1, 1, 9});
  if (rank == last) work = World().Send(0, nullptr, 1, Edge{2, 1, 1, 1, 9});
  if (rank == 1) work = World().Receive(0, nullptr, last, Edge{2, 1, 1, 1, 9});
  work->Wait();
  if (rank == last) {
    std::unique_lock lock(mutex);
    told.wait(lock, [&] { return seen.has_value(); });
    EXPECT_EQ(*seen, (device::Stray{0, 1}));
  }
  World().WatchForStrays({});
}

TEST(Failure, AMessageOfAnotherLengthIsNamedAsAMismatch) {
  DeviceArray out(std::vector<float>(5000, 1.0f)), in = DeviceArray::Poisoned(4000);
  const auto send = World().Send(5000, out.data(), Next(), Edge{});
  const auto receive = World().Receive(4000, in.data(), Last(), Edge{});
  ExpectWords(ErrorOf([&] { receive->Wait(); }), {"mismatch: expected 4000 elements", "got 5000 elements"});
}

TEST(Failure, ASilentMemberEndsACollectiveWithOperationMemberAndTime) {
  if (World().Rank() == 0) return;  // the silent one
  DeviceArray x(std::vector<float>(10, 1.0f));
  const auto work = World().AllReduce(10, x.data(), Reduction::kSum);
  ExpectWords(ErrorOf([&] { work->Wait(); }),
              {"rank " + std::to_string(World().Rank()), "all-reduce of 10 elements", "rank 0", "deadline of 2 s"});
}

TEST(Failure, AMemberThatFallsSilentEndsACollectiveToo) {
  DeviceArray x(std::vector<float>(10, 1.0f));
  World().AllReduce(10, x.data(), Reduction::kSum)->Wait();  // all have met
  if (!IsThere()) return;
  const auto work = World().AllReduce(10, x.data(), Reduction::kSum);
  ExpectWords(ErrorOf([&] { work->Wait(); }),
              {"rank " + std::to_string(World().Rank()), "all-reduce of 10 elements", "rank 0", "deadline of 2 s"});
}

TEST(Failure, ASilentSenderEndsAReceiveWithItsNameAndEdge) {
  if (World().Rank() == 0) return;
  DeviceArray x(std::vector<float>(10, 1.0f));
  const auto work = World().Receive(10, x.data(), 0, Edge{3, 4, 5, 1, 6});
  ExpectWords(ErrorOf([&] { work->Wait(); }), {"receive of 10 elements of step 6, micro-batch 5, stage 3 to 4 backward",
                                               "rank 0 of the world", "deadline of 2 s"});
}

TEST(Failure, ASilentReceiverEndsALongSendWithItsName) {
  if (World().Rank() == 0) return;
  DeviceArray x(ValuesOf(0, 300007));
  const auto work = World().Send(300007, x.data(), 0, Edge{});
  ExpectWords(ErrorOf([&] { work->Wait(); }), {"send of 300007 elements", "rank 0 of the world", "deadline of 2 s"});
}

TEST(Failure, LaterWorkOnTheSameGroupFailsWithTheFirstErrorAndDoesNotHang) {
  if (World().Rank() == 0) return;
  DeviceArray x(std::vector<float>(10, 1.0f));
  const auto first = World().AllReduce(10, x.data(), Reduction::kSum);
  const auto second = World().AllReduce(10, x.data(), Reduction::kSum);
  ErrorOf([&] { first->Wait(); });
  ErrorOf([&] { second->Wait(); });
  ErrorOf([&] { first->Wait(); });
}

// Rank 0 meets a crossed wire and gives up; the others wait for it in a collective.
TEST(Failure, AMemberThatFailsEndsTheWaitsOfTheOthersWithItsName) {
  DeviceArray x(std::vector<float>(10, 1.0f)), message = DeviceArray::Poisoned(4);
  World().AllReduce(10, x.data(), Reduction::kSum)->Wait();  // all have met
  if (World().Rank() == 0) {
    const auto receive = World().Receive(4, message.data(), 1, Edge{0, 1, 3, 0, 9});
    ExpectWords(ErrorOf([&] { receive->Wait(); }), {"link crossed"});
    return;
  }
  device::WorkHandle send;
  if (World().Rank() == 1) send = World().Send(4, message.data(), 0, Edge{0, 2, 3, 0, 9});
  const auto work = World().AllReduce(10, x.data(), Reduction::kSum);
  ExpectWords(ErrorOf([&] { work->Wait(); }), {"all-reduce of 10 elements", "rank 0"});
}

TEST(Failure, MembersThatAskForDifferentThingsAreToldWhoDiffers) {
  if (Device().Info().kind != "virtual") GTEST_SKIP() << "virtual NCCL alone compares what its members ask for";
  const bool other = World().Rank() == 1;
  DeviceArray x(std::vector<float>(11, 1.0f));
  const auto work = World().AllReduce(other ? 11 : 10, x.data(), Reduction::kSum);
  ExpectWords(ErrorOf([&] { work->Wait(); }), {other ? "all-reduce of 11" : "all-reduce of 10", "rank 1", "11", "10"});
}

}  // namespace
}  // namespace lockstep::collectives
