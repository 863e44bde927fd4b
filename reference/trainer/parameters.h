// The parameters that this rank holds: slices of the canonical tensors, their gradients and optimizer state.
//
// Layers declare what they use when a stage is built, in the order of use; values and gradients are allocated after
// that. A tied embedding that one rank uses twice has two gradients, added once at the end of the step, so that a
// pipeline whose ends add the same two parts gets the same bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/protocol/parameters.h"
#include "reference/trainer/context.h"

namespace lockstep::trainer {

struct GradientPart {
  float* data = nullptr;
  bool touched = false;  // something was added in this step; otherwise what lies there is old
};

struct LocalParameter {
  std::string name;
  protocol::Slice slice;
  std::size_t canonical = 0;  // index in protocol::Parameters()
  bool decayed = false;
  bool sharded = false;      // over tensor ranks; otherwise each holds the whole
  bool partial = false;      // each tensor rank's gradient is of its rows alone: summed at the end of the step
  bool product = false;      // a matrix product reads it: bf16 keeps a working copy
  bool tied_across = false;  // another pipeline rank holds the other use
  bool counted = true;       // this rank counts it in the global norm
  device::Buffer value;      // fp32; the masters under bf16
  device::Buffer working;    // bf16 copy, or empty
  std::vector<GradientPart> gradients;  // one a use; [0] holds the sum at the end of a step
  std::vector<device::Buffer> state;    // optimizer's, in the order of protocol::StateNames()

  std::int64_t size() const { return protocol::ElementCount(slice.shape); }
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * sizeof(float); }
};

// One layer's use of a parameter.
class ParameterUse {
 public:
  ParameterUse(LocalParameter& parameter, std::size_t use) : parameter_(&parameter), use_(use) {}
  LocalParameter& parameter() const { return *parameter_; }
  const float* value() const { return parameter_->value.f32(); }
  // As the factor of a product: the working copy where there is one.
  device::Matrix Factor(bool transposed) const;
  // For operations that add: zeroed before the first addition of a step.
  float* GradientToAdd(device::Device& device) const;
  // For products, which can write or add: `accumulate` says which; the caller does one of them.
  float* GradientToWrite(bool& accumulate) const;

 private:
  LocalParameter* parameter_;
  std::size_t use_;
};

enum class Gradients { kWhole, kPartial };  // over tensor ranks under sequence parallelism

class ParameterStore {
 public:
  explicit ParameterStore(const RankContext& context);
  // `axis`: dealt over the tensor ranks by protocol::Split; -1: whole on each. A second call adds a use.
  ParameterUse Declare(const std::string& name, int axis, bool product, Gradients gradients = Gradients::kWhole);
  // In order of first use.
  const std::vector<std::unique_ptr<LocalParameter>>& all() const { return all_; }
  std::size_t canonical_count() const { return canonical_.size(); }

 private:
  const RankContext& context_;
  std::vector<protocol::Parameter> canonical_;
  std::vector<std::unique_ptr<LocalParameter>> all_;
};

// Where a run's first values come from. Returns the slice as F32.
class ParameterSource {
 public:
  virtual ~ParameterSource() = default;
  virtual protocol::Tensor Load(const LocalParameter& parameter, const std::string& state) = 0;  // state "": the value
};

// The request's initial parameters, rounded once; state is zero.
class InitialParameters : public ParameterSource {
 public:
  explicit InitialParameters(const RankContext& context) : context_(context) {}
  protocol::Tensor Load(const LocalParameter& parameter, const std::string& state) override;

 protected:
  const RankContext& context_;
};

// Allocates values and state of every declared parameter and fills them.
void LoadParameters(const RankContext& context, ParameterStore& store, ParameterSource& source);

// The bf16 copies that products read, rounded from the masters; called after loading and after every update.
class WorkingCopies {
 public:
  explicit WorkingCopies(const RankContext& context) : context_(context) {}
  virtual ~WorkingCopies() = default;
  virtual void Refresh(ParameterStore& store);

 protected:
  const RankContext& context_;
};

}  // namespace lockstep::trainer
