#include "reference/trainer/groups.h"

#include <algorithm>
#include <utility>

#include "reference/trainer/events/watched_communicator.h"
#include "reference/trainer/seams.h"

namespace lockstep::trainer {
namespace {

using device::Communicator;
using protocol::Coordinates;

// Which ranks form a group: those of one color, in the order of their keys.
class Divisions {
 public:
  Divisions(const protocol::Plan& plan, const Wiring& wiring, bool tied) : plan_(plan), wiring_(wiring), tied_(tied) {}

  std::int64_t Color(GroupKind kind, std::int64_t rank) const {
    const Coordinates at = plan_.At(rank);
    const std::int64_t column = at.data * plan_.tensor + at.tensor;  // the same on all pipeline ranks
    switch (kind) {
      case GroupKind::kWorld:
        return 0;
      case GroupKind::kData:
        return at.pipeline * plan_.tensor + at.tensor;
      case GroupKind::kTensor:
        return at.pipeline * plan_.data + at.data;
      case GroupKind::kTied:
        return TiedAcross(at) ? column : plan_.data * plan_.tensor + rank;
      case GroupKind::kMirror:
        return column * plan_.pipeline + FirstMirror(at);
      default:
        return column;
    }
  }

  std::int64_t Key(GroupKind kind, std::int64_t rank) const {
    const Coordinates at = plan_.At(rank);
    if (kind == GroupKind::kWorld) return rank;
    return kind == GroupKind::kData ? at.data : kind == GroupKind::kTensor ? at.tensor : at.pipeline;
  }

  // Ranks of the world in a rank's group, in its order.
  std::vector<std::int64_t> Members(GroupKind kind, std::int64_t of, std::int64_t world_size) const {
    std::vector<std::int64_t> members;
    for (std::int64_t rank = 0; rank < world_size; ++rank) {
      if (Color(kind, rank) == Color(kind, of)) members.push_back(rank);
    }
    std::stable_sort(members.begin(), members.end(),
                     [&](std::int64_t a, std::int64_t b) { return Key(kind, a) < Key(kind, b); });
    return members;
  }

 private:
  // A rank that holds both ends of the model adds their gradients by itself.
  bool TiedAcross(const Coordinates& at) const {
    return tied_ && wiring_.StandsOn(0, at.pipeline) != wiring_.StandsOn(wiring_.stages() - 1, at.pipeline);
  }
  std::int64_t FirstMirror(const Coordinates& at) const {
    const std::vector<std::int64_t> stages = wiring_.StagesOn(at.pipeline);
    return stages.empty() ? at.pipeline : wiring_.RanksOf(stages.front()).front();
  }

  const protocol::Plan& plan_;
  const Wiring& wiring_;
  bool tied_;
};

}  // namespace

const char* NameOf(GroupKind kind) {
  switch (kind) {
    case GroupKind::kWorld:
      return "world";
    case GroupKind::kData:
      return "data";
    case GroupKind::kTensor:
      return "tensor";
    case GroupKind::kPipeline:
      return "pipeline";
    case GroupKind::kForwardLink:
      return "forward";
    case GroupKind::kBackwardLink:
      return "backward";
    case GroupKind::kTied:
      return "tied";
    case GroupKind::kMirror:
      return "mirror";
  }
  return "?";
}

Groups MakeGroups(Communicator& world, const protocol::Plan& plan, const Wiring& wiring, bool tied, Seams& seams,
                  Activity& activity) {
  const Divisions divisions(plan, wiring, tied);
  Groups groups;
  const auto split = [&](GroupKind kind) {
    const auto color = static_cast<int>(divisions.Color(kind, world.Rank()));
    auto group = world.Split(color, static_cast<int>(divisions.Key(kind, world.Rank())));
    const std::vector<std::int64_t> members = divisions.Members(kind, world.Rank(), world.Size());
    if (members.size() > 1) groups.members[kind] = members;
    group = seams.WrapCommunicator(kind, std::move(group), plan, plan.At(world.Rank()));
    return Watched(std::move(group), activity, {static_cast<std::uint8_t>(kind), NameOf(kind), members});
  };
  groups.world = split(GroupKind::kWorld);
  groups.data = split(GroupKind::kData);
  groups.tensor = split(GroupKind::kTensor);
  groups.pipeline = split(GroupKind::kPipeline);
  groups.forward = split(GroupKind::kForwardLink);
  groups.backward = split(GroupKind::kBackwardLink);
  groups.tied = split(GroupKind::kTied);
  groups.mirror = split(GroupKind::kMirror);
  return groups;
}

}  // namespace lockstep::trainer
