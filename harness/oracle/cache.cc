// Traces on disk: one safetensors file each, named by what the trace is a function of.
//
// Its key leaves out what the oracle does not look at (precision, where the data came from: the data themselves count),
// so that the same numbers trained in another precision share a trace. A digest of the content is kept with it: the
// oracle says what is right, and a file that changed on disk must not.
#include <nlohmann/json.hpp>

#include "harness/oracle/optimizer.h"
#include "harness/oracle/oracle.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"
#include "harness/protocol/parameters.h"
#include "harness/protocol/safetensors.h"

namespace lockstep::oracle {
namespace {

constexpr const char* kVersion = "1";  // raise with every change of what a trace holds or how it is computed

using Tensors = std::map<std::string, protocol::Tensor>;

std::string KeyOf(const protocol::Workload& workload, const protocol::Inputs& inputs) {
  nlohmann::json canonical = protocol::WorkloadToJson(workload);
  canonical.erase("data");
  canonical["training"].erase("precision");
  return protocol::Sha256(std::string("oracle ") + kVersion + "\n" + canonical.dump() + "\n" +
                          protocol::HashInputs(inputs));
}

std::string DigestOf(const Tensors& tensors) {
  protocol::Inputs content;
  content.data = tensors;
  return protocol::HashInputs(content);
}

std::string NameOf(std::size_t step, const char* kind, const std::string& name) {
  return std::to_string(step) + "/" + kind + "/" + name;
}

void Put(std::size_t step, const char* kind, const Values& values, Tensors& tensors) {
  for (const auto& [name, numbers] : values) {
    tensors[NameOf(step, kind, name)] =
        protocol::Tensor::FromDoubles(protocol::DType::kF64, {static_cast<std::int64_t>(numbers.size())}, numbers);
  }
}

// Reads the tensors of the same names and sizes as `like`; another size is BadInput.
Values Get(std::size_t step, const char* kind, const Values& like, const protocol::SafetensorsFile& file) {
  Values values;
  for (const auto& [name, numbers] : like) {
    values[name] = file.Load(NameOf(step, kind, name)).ToDoubles();
    if (values[name].size() != numbers.size()) throw protocol::BadInput(file.name() + ": " + name, "wrong size");
  }
  return values;
}

void Save(const Trace& trace, const std::string& key, const std::filesystem::path& path) {
  Tensors tensors;
  for (std::size_t s = 0; s < trace.steps.size(); ++s) {
    const TraceStep& step = trace.steps[s];
    Put(s, "gradients", step.gradients, tensors);
    Put(s, "clipped", step.clipped, tensors);
    Put(s, "parameters", step.parameters, tensors);
    Put(s, "state", step.state, tensors);
    const std::vector<double> scalars = {step.loss, step.gradient_norm, step.learning_rate,
                                         static_cast<double>(step.valid_tokens)};
    Put(s, "scalars", {{"loss_norm_rate_valid", scalars}}, tensors);
  }
  protocol::WriteSafetensors(path, tensors, {{"key", key}, {"digest", DigestOf(tensors)}});
}

Trace Load(const protocol::Workload& workload, const std::string& key, const std::filesystem::path& path) {
  const protocol::SafetensorsFile file = protocol::SafetensorsFile::Open(path);
  Tensors tensors;
  for (const auto& [name, entry] : file.entries()) tensors[name] = file.Load(name);
  const std::map<std::string, std::string> expected = {{"key", key}, {"digest", DigestOf(tensors)}};
  if (file.metadata() != expected) throw protocol::BadInput(file.name(), "content does not match its digest");

  Values parameters;
  for (const protocol::Parameter& parameter : protocol::Parameters(workload.model)) {
    parameters[parameter.name].resize(static_cast<std::size_t>(parameter.size()));
  }
  const Values state = InitialState(workload);
  Trace trace;
  for (std::size_t s = 0; s <= static_cast<std::size_t>(workload.steps); ++s) {
    TraceStep step;
    const std::vector<double> scalars =
        Get(s, "scalars", {{"loss_norm_rate_valid", std::vector<double>(4)}}, file).at("loss_norm_rate_valid");
    step.loss = scalars[0];
    step.gradient_norm = scalars[1];
    step.learning_rate = scalars[2];
    step.valid_tokens = static_cast<std::int64_t>(scalars[3]);
    step.gradients = Get(s, "gradients", s == 0 ? Values{} : parameters, file);
    step.clipped = Get(s, "clipped", s == 0 ? Values{} : parameters, file);
    step.parameters = Get(s, "parameters", parameters, file);
    step.state = Get(s, "state", state, file);
    trace.steps.push_back(std::move(step));
  }
  return trace;
}

}  // namespace

Trace TrainCached(const protocol::Workload& workload, const protocol::Inputs& inputs,
                  const std::filesystem::path& cache) {
  const std::string key = KeyOf(workload, inputs);
  const std::filesystem::path path = cache / ("oracle_" + key + ".safetensors");
  if (std::filesystem::exists(path)) {
    try {
      return Load(workload, key, path);
    } catch (const protocol::BadInput&) {
      // Torn, or written by another version: what follows computes it and writes it anew.
    }
  }
  const Trace trace = Train(workload, inputs);
  try {
    protocol::MakeFolder(cache);
    Save(trace, key, path);
  } catch (const protocol::BadInput&) {
    // A full disk, say: costs time when it is wanted again, and must not be taken for bad evidence.
  }
  return trace;
}

}  // namespace lockstep::oracle
