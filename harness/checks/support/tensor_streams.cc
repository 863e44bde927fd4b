#include "harness/checks/support/tensor_streams.h"

#include <string>

#include "harness/oracle/attention.h"
#include "harness/oracle/layers.h"
#include "harness/oracle/losses.h"
#include "harness/oracle/samples.h"
#include "harness/protocol/dropout.h"

namespace lockstep::checks {

namespace {

using oracle::Matrix;

// One sample on all tensor ranks at once. (PROTOCOL.md, "Models", is the formula of each line.)
class Pass {
 public:
  Pass(const TensorStreams& streams, const Replay& replay, std::int64_t sample)
      : streams_(streams),
        model_(replay.workload().model),
        p_(replay.parameters()),
        step_(static_cast<std::uint64_t>(replay.step())),
        id_(static_cast<std::uint64_t>(sample)),
        sample_(oracle::TokensOf(replay.inputs(), model_.sequence, sample)) {}

  // Sum over the sample's valid targets.
  double Loss() {
    for (std::size_t rank = 0; rank < streams_.seeds.size(); ++rank) x_.push_back(Embedded(rank));
    for (std::int64_t block = 0; block < model_.layers; ++block) {
      const std::string name = "h." + std::to_string(block);
      const auto site = static_cast<std::uint64_t>(block);
      Branch(name + ".attn.proj", model_.heads, protocol::DropoutSiteAttention(site), [&](const Matrix& x) {
        return oracle::Attention(Linear(name + ".attn.qkv", Norm(name + ".ln_1", x)), model_.heads);
      });
      Branch(name + ".mlp.proj", model_.mlp_width, protocol::DropoutSiteMlp(site), [&](const Matrix& x) {
        return oracle::Activate(protocol::Activation::kGelu, Linear(name + ".mlp.fc", Norm(name + ".ln_2", x)));
      });
    }
    Matrix logits(model_.sequence, model_.vocabulary), unused = logits;
    for (std::size_t rank = 0; rank < x_.size(); ++rank) {
      const Matrix own = oracle::Product(Norm("ln_f", x_[rank]), p_.at(model_.tied ? "wte.weight" : "head.weight"));
      oracle::AddTo(logits, PartOf(own, model_.vocabulary, rank));
    }
    double loss = 0;
    for (std::int64_t n = 0; n < logits.rows; ++n) {
      const std::int32_t target = sample_.targets[static_cast<std::size_t>(n)];
      if (target >= 0) loss += oracle::CrossEntropy(logits, n, target, unused);
    }
    return loss;
  }

 private:
  Matrix Norm(const std::string& name, const Matrix& x) const {
    return oracle::LayerNorm(x, p_.at(name + ".weight"), p_.at(name + ".bias"));
  }
  Matrix Linear(const std::string& name, const Matrix& x) const {
    return oracle::Linear(x, p_.at(name + ".weight"), p_.at(name + ".bias"));
  }
  void Drop(std::size_t rank, std::uint64_t site, Matrix& x) const {
    oracle::Dropout({streams_.seeds[rank], step_, id_, site, model_.dropout}, x);
  }

  Matrix Embedded(std::size_t rank) const {
    Matrix x(model_.sequence, model_.width);
    for (std::int64_t n = 0; n < x.rows; ++n) {
      const std::int64_t token = sample_.inputs[static_cast<std::size_t>(n)];
      for (std::int64_t c = 0; c < x.cols; ++c) {
        x(n, c) = p_.at("wte.weight")[static_cast<std::size_t>(token * x.cols + c)] +
                  p_.at("wpe.weight")[static_cast<std::size_t>(n * x.cols + c)];
      }
    }
    Drop(rank, protocol::DropoutSiteEmbedding(), x);
    return x;
  }

  // What a rank computes of `whole`, whose columns are `units` of equal width dealt over the ranks; the rest is 0.
  Matrix PartOf(const Matrix& whole, std::int64_t units, std::size_t rank) const {
    const auto ranks = static_cast<std::int64_t>(streams_.seeds.size());
    const protocol::Run run = protocol::Split(units, ranks, static_cast<std::int64_t>(rank));
    const std::int64_t width = whole.cols / units;
    Matrix part(whole.rows, whole.cols);
    for (std::int64_t n = 0; n < whole.rows; ++n) {
      for (std::int64_t c = run.begin * width; c < (run.begin + run.size) * width; ++c) part(n, c) = whole(n, c);
    }
    return part;
  }

  // x += dropout(row-parallel layer `name` of what `inner` makes of x), on every rank.
  template <typename Inner>
  void Branch(const std::string& name, std::int64_t units, std::uint64_t site, const Inner& inner) {
    std::vector<Matrix> parts;
    for (std::size_t rank = 0; rank < x_.size(); ++rank) {
      parts.push_back(oracle::Product(PartOf(inner(x_[rank]), units, rank), p_.at(name + ".weight")));
    }
    Matrix sum(model_.sequence, model_.width);
    for (const Matrix& part : parts) oracle::AddTo(sum, part);
    for (std::size_t rank = 0; rank < x_.size(); ++rank) {
      Matrix branch = streams_.row_sums ? sum : parts[rank];
      for (std::int64_t n = 0; n < branch.rows; ++n) {
        for (std::int64_t c = 0; c < branch.cols; ++c)
          branch(n, c) += p_.at(name + ".bias")[static_cast<std::size_t>(c)];
      }
      Drop(rank, site, branch);
      oracle::AddTo(x_[rank], branch);
    }
  }

  const TensorStreams& streams_;
  const protocol::Model& model_;
  const oracle::Values& p_;
  std::uint64_t step_, id_;
  oracle::TokenSample sample_;
  std::vector<Matrix> x_;  // residual stream, by tensor rank
};

}  // namespace

double LossOf(const TensorStreams& streams, const Replay& replay) {
  double sum = 0;
  for (const std::int64_t sample : replay.samples()) sum += Pass(streams, replay, sample).Loss();
  return replay.valid() == 0 ? 0 : sum / static_cast<double>(replay.valid());
}

}  // namespace lockstep::checks
