#include "reference/mpi/mpi_communicator.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "reference/mpi/collectives.h"

namespace lockstep::mpi {
namespace {

using device::Edge;
using device::MessageHeader;
using device::Reduction;
using device::WorkHandle;

// What was complete before it began: groups of one, messages of nothing.
class Done final : public device::Work {
 public:
  void Wait() override {}
};

constexpr std::int64_t kFloat = sizeof(float);
using Clock = std::chrono::steady_clock;

// The operation fails: by what comes after `got`, whether `expected` has been overtaken or was never sent. A sender
// that has sent the one is not long with the other. A long message is not sent before it is received: `payload_tag`
// says where it comes, -1 where it travels another way.
void LookFurther(Operation& operation, const MessageHeader& expected, const MessageHeader& got, int from, int tag,
                 int payload_tag, Clock::time_point until = Clock::now() + std::chrono::seconds(1)) {
  const auto next = std::make_shared<MessageHeader>();
  const auto unwanted = std::make_shared<std::vector<float>>(payload_tag < 0 ? 0 : got.elements);
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
  operation.WhenOverdue(std::max(left, std::chrono::milliseconds(0)),
                        [=](Operation& running) { running.Fail(device::LinkMissing(expected, got)); });
  if (!unwanted->empty()) operation.Receive(unwanted->data(), got.elements * kFloat, from, payload_tag);
  operation.Receive(next.get(), sizeof(MessageHeader), from, tag);
  operation.Then([=](Operation& running) {
    static_cast<void>(unwanted);  // lives until all has come
    if (*next == expected) running.Fail(device::OutOfOrder(expected, got));
    LookFurther(running, expected, got, from, tag, payload_tag, until);
  });
}

std::string Elements(std::int64_t n) { return " of " + std::to_string(n) + " elements"; }

}  // namespace

MpiCommunicator::MpiCommunicator(std::shared_ptr<MessageEngine> engine, std::vector<int> members, int id)
    : engine_(std::move(engine)), members_(std::move(members)), id_(id) {
  const auto found = std::find(members_.begin(), members_.end(), engine_->rank());
  if (found == members_.end()) throw std::logic_error("a communicator without its own rank");
  rank_ = static_cast<int>(found - members_.begin());
  if (Tag(Purpose::kPayload) > engine_->largest_tag())
    throw device::CommunicationError("more groups than MPI has tags");
}

std::string MpiCommunicator::GroupName() const {
  return "group " + std::to_string(id_) + " of " + std::to_string(Size()) + " ranks";
}

std::string MpiCommunicator::MemberName(int member) const {
  return "member " + std::to_string(member) + " (rank " + std::to_string(World(member)) + " of the world)";
}

std::string MpiCommunicator::Name(const std::string& what) const {
  return "rank " + std::to_string(engine_->rank()) + ": " + what + " in " + GroupName();
}

std::shared_ptr<Operation> MpiCommunicator::New(const std::string& what) const {
  return std::make_shared<Operation>(*engine_, Name(what));
}

WorkHandle MpiCommunicator::StartCollective(std::shared_ptr<Operation> operation) {
  engine_->Start("collective " + std::to_string(id_), operation);
  return operation;
}

WorkHandle MpiCommunicator::AllReduce(std::int64_t n, float* x, Reduction reduction) {
  if (Size() == 1 || n == 0) return std::make_shared<Done>();
  // Parts begin on cache lines: whole ones to as many ranks as there are.
  constexpr std::int64_t kLine = 16;
  const std::int64_t part = ((n + Size() - 1) / Size() + kLine - 1) / kLine * kLine;
  ReductionPlan plan;
  for (int r = 0; r < Size(); ++r) plan.counts.push_back(std::clamp<std::int64_t>(n - r * part, 0, part));
  plan.whole = plan.everywhere = x;
  plan.part = x + std::min(n, rank_ * part);
  plan.reduction = reduction;
  auto operation = New("all-reduce" + Elements(n));
  AddReduction({members_, rank_, Tag(Purpose::kCollective)}, std::move(plan), *operation);
  return StartCollective(std::move(operation));
}

WorkHandle MpiCommunicator::AllGather(std::span<const std::int64_t> counts, const float* part, float* whole) {
  if (counts.size() != members_.size()) throw std::logic_error("AllGather: one count a rank is needed");
  if (Size() == 1) {
    if (part != whole && counts[0] > 0) std::memmove(whole, part, static_cast<std::size_t>(counts[0]) * sizeof(float));
    return std::make_shared<Done>();
  }
  auto operation = New("all-gather" + Elements(std::reduce(counts.begin(), counts.end())));
  AddAllGather({members_, rank_, Tag(Purpose::kCollective)}, counts, part, whole, *operation);
  return StartCollective(std::move(operation));
}

WorkHandle MpiCommunicator::ReduceScatter(std::span<const std::int64_t> counts, const float* whole, float* part) {
  if (counts.size() != members_.size()) throw std::logic_error("ReduceScatter: one count a rank is needed");
  if (Size() == 1) {
    if (part != whole && counts[0] > 0) std::memmove(part, whole, static_cast<std::size_t>(counts[0]) * sizeof(float));
    return std::make_shared<Done>();
  }
  auto operation = New("reduce-scatter" + Elements(std::reduce(counts.begin(), counts.end())));
  AddReduction({members_, rank_, Tag(Purpose::kCollective)},
               {{counts.begin(), counts.end()}, whole, part, nullptr, Reduction::kSum}, *operation);
  return StartCollective(std::move(operation));
}

WorkHandle MpiCommunicator::Broadcast(std::int64_t n, float* x, int root) {
  if (Size() == 1 || n == 0) return std::make_shared<Done>();
  auto operation = New("broadcast" + Elements(n) + " from member " + std::to_string(root));
  AddBroadcast({members_, rank_, Tag(Purpose::kCollective)}, n, x, root, *operation);
  return StartCollective(std::move(operation));
}

// Header and elements travel apart, so that the elements need no copy and a receiver whose message is another one says
// which before a byte of it lands.
std::shared_ptr<Operation> MpiCommunicator::StartSend(const MessageHeader& message, const float* payload, int peer) {
  const auto header = std::make_shared<MessageHeader>(message);
  auto operation = New("send of " + ToString(message) + " to " + MemberName(peer));
  operation->Then(
      [=, to = World(peer), header_tag = Tag(Purpose::kHeader), tag = Tag(Purpose::kPayload)](Operation& running) {
        running.NoteLink(header_tag, header->edge.direction);
        running.Send(header.get(), sizeof(MessageHeader), to, header_tag);
        if (payload != nullptr) running.Send(payload, header->elements * kFloat, to, tag);
      });
  engine_->Start("send " + std::to_string(id_) + " " + std::to_string(peer), operation);
  return operation;
}

std::shared_ptr<Operation> MpiCommunicator::StartReceive(const MessageHeader& expected, float* payload, int peer) {
  const auto header = std::make_shared<MessageHeader>();
  auto operation = New("receive of " + ToString(expected) + " from " + MemberName(peer));
  const int from = World(peer), header_tag = Tag(Purpose::kHeader);
  operation->Then([=, direction = expected.edge.direction](Operation& running) {
    running.NoteLink(header_tag, direction, from);
    running.Receive(header.get(), sizeof(MessageHeader), from, header_tag);
  });
  operation->Then([=, tag = Tag(Purpose::kPayload)](Operation& running) {
    const device::Wrong wrong = device::Compare(expected, *header);
    if (wrong == device::Wrong::kOtherMicroBatch) {
      return LookFurther(running, expected, *header, from, header_tag, payload == nullptr ? -1 : tag);
    }
    if (wrong != device::Wrong::kNothing) running.Fail(device::WordsOf(wrong, expected, *header));
    if (payload != nullptr) running.Receive(payload, header->elements * kFloat, from, tag);
  });
  engine_->Start("receive " + std::to_string(id_) + " " + std::to_string(peer), operation);
  return operation;
}

WorkHandle MpiCommunicator::Send(std::int64_t n, const float* x, int peer, const Edge& edge) {
  return StartSend({n, edge}, n > 0 ? x : nullptr, peer);
}

WorkHandle MpiCommunicator::Receive(std::int64_t n, float* x, int peer, const Edge& edge) {
  return StartReceive({n, edge}, n > 0 ? x : nullptr, peer);
}

std::shared_ptr<Operation> MpiCommunicator::Announce(const MessageHeader& message, int peer) {
  return StartSend(message, nullptr, peer);
}

std::shared_ptr<Operation> MpiCommunicator::Expect(const MessageHeader& message, int peer) {
  return StartReceive(message, nullptr, peer);
}

std::vector<std::string> MpiCommunicator::Gather(const std::string& what, const std::string& mine,
                                                 std::optional<std::chrono::milliseconds> deadline) {
  std::vector<std::string> all;
  if (Size() == 1) return {mine};
  auto operation = New(what);
  if (deadline) operation->set_deadline(*deadline);
  AddGatherOfBytes({members_, rank_, Tag(Purpose::kCollective)}, mine, all, *operation);
  StartCollective(std::move(operation))->Wait();
  return all;
}

std::vector<std::vector<double>> MpiCommunicator::GatherValues(const std::string& what,
                                                               std::span<const double> values) {
  std::string mine(values.size_bytes(), '\0');
  if (!values.empty()) std::memcpy(mine.data(), values.data(), mine.size());
  std::vector<std::vector<double>> result;
  for (const std::string& bytes : Gather(what, mine)) {
    if (bytes.size() != mine.size()) {
      throw device::CommunicationError(Name(what) + ": members bring different numbers of values");
    }
    std::vector<double> theirs(values.size());
    if (!theirs.empty()) std::memcpy(theirs.data(), bytes.data(), bytes.size());
    result.push_back(std::move(theirs));
  }
  return result;
}

void MpiCommunicator::SumOnHost(std::span<double> values) {
  std::vector<double> sums;
  for (const std::vector<double>& theirs : GatherValues("sum on the host", values)) {
    if (sums.empty()) {
      sums = theirs;
    } else {
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += theirs[i];
    }
  }
  std::copy(sums.begin(), sums.end(), values.begin());
}

void MpiCommunicator::MaxOnHost(std::span<double> values) {
  for (const std::vector<double>& theirs : GatherValues("maximum on the host", values)) {
    for (std::size_t i = 0; i < theirs.size(); ++i) {
      if (theirs[i] > values[i] || theirs[i] != theirs[i]) values[i] = theirs[i];
    }
  }
}

std::vector<std::string> MpiCommunicator::GatherOnHost(const std::string& mine) {
  return Gather("gather on the host", mine);
}

std::vector<std::string> MpiCommunicator::RollCall(const std::string& mine, std::chrono::milliseconds deadline) {
  return Gather("roll call", mine, deadline);
}

void MpiCommunicator::Barrier() { Gather("barrier", ""); }

// New groups get the ids after the largest that any member has seen: two groups that share two ranks never share an id.
std::unique_ptr<MpiCommunicator> MpiCommunicator::SplitGroup(int color, int key) {
  const double mine[] = {static_cast<double>(color), static_cast<double>(key),
                         static_cast<double>(engine_->next_group()), static_cast<double>(engine_->rank())};
  struct Member {
    int key, order, world;
    auto operator<=>(const Member&) const = default;
  };
  std::vector<Member> chosen;
  std::vector<int> colors;
  int first_id = 0, order = 0;
  for (const std::vector<double>& theirs : GatherValues("split", mine)) {
    if (theirs[0] == mine[0]) chosen.push_back({static_cast<int>(theirs[1]), order, static_cast<int>(theirs[3])});
    colors.push_back(static_cast<int>(theirs[0]));
    first_id = std::max(first_id, static_cast<int>(theirs[2]));
    ++order;
  }
  std::sort(chosen.begin(), chosen.end());
  std::sort(colors.begin(), colors.end());
  colors.erase(std::unique(colors.begin(), colors.end()), colors.end());
  engine_->set_next_group(first_id + static_cast<int>(colors.size()));
  const auto at = std::find(colors.begin(), colors.end(), color) - colors.begin();
  std::vector<int> members;
  for (const Member& member : chosen) members.push_back(member.world);
  return std::make_unique<MpiCommunicator>(engine_, std::move(members), first_id + static_cast<int>(at));
}

std::unique_ptr<device::Communicator> MpiCommunicator::Split(int color, int key) { return SplitGroup(color, key); }

}  // namespace lockstep::mpi
