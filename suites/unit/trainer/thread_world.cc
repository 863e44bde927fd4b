#include "suites/unit/trainer/thread_world.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <thread>
#include <utility>

namespace lockstep::trainer::testing {

using device::CommunicationError;
using device::Edge;
using device::Reduction;
using device::WorkHandle;

void ThreadWorld::Changed() {
  ++epoch_;
  stuck_ = 0;
  changed_.notify_all();
}

void ThreadWorld::WaitUntil(const std::string& what, const std::function<bool()>& ready) {
  while (!ready()) {
    if (!failed_ && ++stuck_ == running_) {
      failed_ = true;
      Changed();
    }
    if (failed_) throw CommunicationError(what + ": no rank can go on");
    const std::int64_t seen = epoch_;
    changed_.wait(turn_, [&] { return epoch_ != seen; });
  }
}

namespace {

class Deferred : public device::Work {
 public:
  explicit Deferred(std::function<void()> finish) : finish_(std::move(finish)) {}
  void Wait() override {
    if (finish_) std::exchange(finish_, nullptr)();
  }

 private:
  std::function<void()> finish_;
};

}  // namespace

class ThreadCommunicator : public device::Communicator {
 public:
  ThreadCommunicator(ThreadWorld& world, std::string name, int rank, std::vector<int> members)
      : world_(world), name_(std::move(name)), rank_(rank) {
    auto& group = world_.groups_[name_];
    if (!group) group = std::make_shared<ThreadWorld::Group>();
    group->members = std::move(members);
    group_ = group;
  }
  int Rank() const override { return rank_; }
  int Size() const override { return static_cast<int>(group_->members.size()); }

  WorkHandle AllReduce(std::int64_t n, float* x, Reduction reduction) override {
    return Collective(n, x, [this, n, x, reduction](const ThreadWorld::Meeting& meeting) {
      for (std::int64_t i = 0; i < n; ++i) {
        float result = meeting.floats[0][Index(i)];
        for (std::size_t r = 1; r < meeting.floats.size(); ++r) {
          const float other = meeting.floats[r][Index(i)];
          result = reduction == Reduction::kSum ? result + other : std::max(result, other);
        }
        x[i] = result;
      }
    });
  }
  WorkHandle AllGather(std::span<const std::int64_t> counts, const float* part, float* whole) override {
    return Collective(counts[Index(rank_)], part, [whole](const ThreadWorld::Meeting& meeting) {
      float* to = whole;
      for (const auto& values : meeting.floats) to = std::copy(values.begin(), values.end(), to);
    });
  }
  WorkHandle ReduceScatter(std::span<const std::int64_t> counts, const float* whole, float* part) override {
    std::int64_t total = 0, begin = 0;
    for (int r = 0; r < Size(); ++r) {
      if (r == rank_) begin = total;
      total += counts[Index(r)];
    }
    const std::int64_t mine = counts[Index(rank_)];
    return Collective(total, whole, [part, begin, mine](const ThreadWorld::Meeting& meeting) {
      for (std::int64_t i = 0; i < mine; ++i) {
        part[i] = 0;
        for (const auto& values : meeting.floats) part[i] += values[Index(begin + i)];
      }
    });
  }
  WorkHandle Broadcast(std::int64_t n, float* x, int root) override {
    return Collective(n, x, [x, root](const ThreadWorld::Meeting& meeting) {
      const auto& values = meeting.floats[Index(root)];
      std::copy(values.begin(), values.end(), x);
    });
  }

  WorkHandle Send(std::int64_t n, const float* x, int peer, const Edge& edge) override {
    group_->mail[{rank_, peer}].push_back({std::vector<float>(x, x + n), edge});
    world_.Changed();
    return std::make_shared<Deferred>([] {});
  }
  WorkHandle Receive(std::int64_t n, float* x, int peer, const Edge& edge) override {
    const std::size_t ticket = tickets_[peer]++;
    return std::make_shared<Deferred>([this, n, x, peer, edge, ticket] {
      auto& mail = group_->mail[{peer, rank_}];
      world_.WaitUntil(name_ + ": receive", [&] { return mail.size() > ticket; });
      const ThreadWorld::Letter& letter = mail[ticket];
      if (!(letter.edge == edge)) throw CommunicationError("link crossed: another edge than expected");
      if (static_cast<std::int64_t>(letter.payload.size()) != n) throw CommunicationError("another size than expected");
      std::copy(letter.payload.begin(), letter.payload.end(), x);
    });
  }

  void SumOnHost(std::span<double> values) override {
    Meet([&](auto& meeting) { meeting.doubles[Index(rank_)].assign(values.begin(), values.end()); },
         [&](const auto& meeting) {
           for (std::size_t i = 0; i < values.size(); ++i) {
             values[i] = 0;
             for (const auto& other : meeting.doubles) values[i] += other[i];
           }
         });
  }
  void MaxOnHost(std::span<double> values) override {
    Meet([&](auto& meeting) { meeting.doubles[Index(rank_)].assign(values.begin(), values.end()); },
         [&](const auto& meeting) {
           for (std::size_t i = 0; i < values.size(); ++i) {
             for (const auto& other : meeting.doubles) values[i] = std::max(values[i], other[i]);
           }
         });
  }
  std::vector<std::string> GatherOnHost(const std::string& mine) override {
    std::vector<std::string> all;
    Meet([&](auto& meeting) { meeting.strings[Index(rank_)] = mine; },
         [&](const auto& meeting) { all = meeting.strings; });
    return all;
  }
  void Barrier() override { GatherOnHost(""); }

  std::unique_ptr<Communicator> Split(int color, int key) override {
    const auto all = GatherOnHost(std::to_string(color) + " " + std::to_string(key));
    std::vector<std::pair<int, int>> order;  // key, rank here
    for (int r = 0; r < Size(); ++r) {
      const std::string& text = all[Index(r)];
      if (std::stoi(text) == color) order.emplace_back(std::stoi(text.substr(text.find(' '))), r);
    }
    std::sort(order.begin(), order.end());
    std::vector<int> members;
    int rank = 0;
    for (const auto& [unused, r] : order) {
      if (r == rank_) rank = static_cast<int>(members.size());
      members.push_back(group_->members[Index(r)]);
    }
    const std::string name = name_ + "/" + std::to_string(splits_++) + ":" + std::to_string(color);
    return std::make_unique<ThreadCommunicator>(world_, name, rank, members);
  }

 private:
  static std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }

  ThreadWorld::Meeting& Arrive(std::int64_t number, const std::function<void(ThreadWorld::Meeting&)>& give) {
    ThreadWorld::Meeting& meeting = group_->meetings[number];
    meeting.floats.resize(Index(Size()));
    meeting.doubles.resize(Index(Size()));
    meeting.strings.resize(Index(Size()));
    give(meeting);
    ++meeting.arrived;
    world_.Changed();
    return meeting;
  }
  void Meet(const std::function<void(ThreadWorld::Meeting&)>& give,
            const std::function<void(const ThreadWorld::Meeting&)>& take) {
    const ThreadWorld::Meeting& meeting = Arrive(collectives_++, give);
    world_.WaitUntil(name_ + ": host values", [&] { return meeting.arrived == Size(); });
    take(meeting);
  }
  WorkHandle Collective(std::int64_t n, const float* x, std::function<void(const ThreadWorld::Meeting&)> finish) {
    const ThreadWorld::Meeting& meeting =
        Arrive(collectives_++, [&](auto& m) { m.floats[Index(rank_)].assign(x, x + n); });
    return std::make_shared<Deferred>([this, &meeting, finish = std::move(finish)] {
      world_.WaitUntil(name_ + ": collective", [&] { return meeting.arrived == Size(); });
      finish(meeting);
    });
  }

  ThreadWorld& world_;
  std::string name_;
  int rank_;
  std::shared_ptr<ThreadWorld::Group> group_;
  std::int64_t collectives_ = 0, splits_ = 0;
  std::map<int, std::size_t> tickets_;
};

void ThreadWorld::Run(const std::function<void(device::Communicator& world)>& rank_main) {
  groups_.clear();
  failed_ = false;
  running_ = size_;
  std::vector<int> members;
  for (int rank = 0; rank < size_; ++rank) members.push_back(rank);
  std::exception_ptr first;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size_; ++rank) {
    threads.emplace_back([&, rank] {
      const std::lock_guard turn(turn_);
      try {
        ThreadCommunicator world(*this, "world", rank, members);
        rank_main(world);
      } catch (...) {
        if (!failed_) first = std::current_exception();
        if (!first) first = std::current_exception();
        failed_ = true;
      }
      --running_;
      Changed();
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace lockstep::trainer::testing
