#include "harness/stalls/posts.h"

#include <algorithm>

namespace lockstep::stalls {

double Posts::Last(const std::vector<std::int32_t>& awaits, double otherwise) const {
  if (awaits.empty()) return otherwise;
  double last = times[static_cast<std::size_t>(awaits[0])];
  for (const std::int32_t post : awaits) last = std::max(last, times[static_cast<std::size_t>(post)]);
  return last;
}

Posts NumberPosts(const Run& run) {
  Posts posts;
  for (const protocol::Timeline& rank : run.ranks) {
    posts.messages.emplace_back(rank.messages.size());
    posts.collectives.emplace_back(rank.collectives.size());
  }
  const auto add = [&](double time) {
    posts.times.push_back(time);
    return static_cast<std::int32_t>(posts.times.size() - 1);
  };
  for (const Message& message : run.messages) {
    const auto& sent = run.SendOf(message);
    const auto& received = run.ReceiveOf(message);
    EndOfEvent& send = posts.messages[static_cast<std::size_t>(message.sender)][message.send_index];
    EndOfEvent& receive = posts.messages[static_cast<std::size_t>(message.receiver)][message.receive_index];
    send.post = add(sent.posted);
    receive.post = add(received.posted);
    receive.awaits = {send.post};
    const bool met = sent.wait && received.posted > sent.wait->began && received.posted <= sent.wait->ended;
    if (met) send.awaits = {receive.post};
  }
  for (const Collective& collective : run.collectives) {
    std::vector<std::int32_t> all;
    for (const Arrival& member : collective.members) all.push_back(add(run.At(member).posted));
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Arrival& member = collective.members[i];
      EndOfEvent& end = posts.collectives[static_cast<std::size_t>(member.rank)][member.index];
      end.post = all[i];
      end.awaits = all;
    }
  }
  return posts;
}

}  // namespace lockstep::stalls
