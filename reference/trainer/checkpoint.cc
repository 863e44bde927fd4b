#include "reference/trainer/checkpoint.h"

#include <algorithm>
#include <map>
#include <optional>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/evidence.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"
#include "harness/protocol/safetensors.h"
#include "reference/trainer/tensor_set.h"

namespace lockstep::trainer {

namespace fs = std::filesystem;
using protocol::BadInput;
using protocol::Shape;
using protocol::Slice;
using protocol::Tensor;

namespace {

constexpr char kWholeFile[] = "checkpoint.safetensors";

std::string ShardFile(std::int64_t rank) {
  const std::string digits = std::to_string(rank);
  return "rank_" + std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits + ".safetensors";
}

std::int64_t Number(const protocol::SafetensorsFile& file, const std::string& key) {
  const auto entry = file.metadata().find(key);
  if (entry == file.metadata().end() || entry->second.empty() || entry->second.size() > 15 ||
      entry->second.find_first_not_of("0123456789") != std::string::npos) {
    throw BadInput(file.name() + ": __metadata__." + key, "missing or no number", "a decimal number");
  }
  return std::stoll(entry->second);
}

Slice SliceOf(const protocol::SafetensorsFile& file, const std::string& name) {
  const Shape& shape = file.At(name).shape;
  const auto entry = file.metadata().find(name);
  if (entry == file.metadata().end()) return Slice::Whole(shape);
  const std::string where = file.name() + ": __metadata__." + name;
  const nlohmann::json json = protocol::ParseJson(entry->second, where);
  protocol::Fields fields(json, where);
  Slice slice{.global_shape = fields.Ints("global_shape"), .offset = fields.Ints("offset"), .shape = shape};
  fields.Done();
  bool fits = slice.global_shape.size() == shape.size() && slice.offset.size() == shape.size();
  for (std::size_t i = 0; fits && i < shape.size(); ++i) {
    fits = slice.offset[i] >= 0 && slice.offset[i] + shape[i] <= slice.global_shape[i];
  }
  if (!fits) throw BadInput(where, "the slice doesn't lie within its tensor");
  return slice;
}

// The box that two slices of one tensor share; nullopt when they share nothing.
std::optional<Slice> Intersect(const Slice& a, const Slice& b) {
  Slice shared{.global_shape = a.global_shape, .offset = a.offset, .shape = a.shape};
  for (std::size_t i = 0; i < a.shape.size(); ++i) {
    const std::int64_t begin = std::max(a.offset[i], b.offset[i]);
    const std::int64_t end = std::min(a.offset[i] + a.shape[i], b.offset[i] + b.shape[i]);
    if (begin >= end) return std::nullopt;
    shared.offset[i] = begin;
    shared.shape[i] = end - begin;
  }
  return shared;
}

// `inner` as a slice of the tensor that `outer` is.
Slice Within(const Slice& inner, const Slice& outer) {
  Slice relative{.global_shape = outer.shape, .offset = inner.offset, .shape = inner.shape};
  for (std::size_t i = 0; i < relative.offset.size(); ++i) relative.offset[i] -= outer.offset[i];
  return relative;
}

}  // namespace

struct CheckpointFiles::File {
  protocol::SafetensorsFile tensors;
};

CheckpointFiles::CheckpointFiles(const fs::path& folder, std::int64_t step) : folder_(folder) {
  const auto open = [&](const fs::path& path) {
    files_.push_back(std::make_unique<File>(File{protocol::SafetensorsFile::Open(path)}));
    const protocol::SafetensorsFile& file = files_.back()->tensors;
    const std::int64_t written = Number(file, "step");
    if (step == 0 || written == step) return Number(file, "world_size");
    throw BadInput(file.name() + ": __metadata__.step", "is " + std::to_string(written), std::to_string(step));
  };
  if (fs::exists(folder / kWholeFile)) {
    open(folder / kWholeFile);
    return;
  }
  if (!fs::exists(folder / ShardFile(0))) {
    throw BadInput(folder.string(), "holds no checkpoint", std::string(kWholeFile) + " or " + ShardFile(0));
  }
  const std::int64_t ranks = open(folder / ShardFile(0));
  for (std::int64_t rank = 1; rank < ranks; ++rank) open(folder / ShardFile(rank));
}

CheckpointFiles::~CheckpointFiles() = default;

std::map<std::string, Shape> CheckpointFiles::GlobalShapes() const {
  std::map<std::string, Shape> shapes;
  for (const auto& file : files_) {
    for (const auto& [name, entry] : file->tensors.entries()) {
      shapes.emplace(name, SliceOf(file->tensors, name).global_shape);
    }
  }
  return shapes;
}

Tensor CheckpointFiles::Read(const std::string& name, const Slice& slice) const {
  Tensor values = Tensor::Zeros(protocol::DType::kF32, slice.shape);
  Tensor covered = Tensor::Zeros(protocol::DType::kU8, slice.shape);
  for (const auto& file : files_) {
    if (!file->tensors.Contains(name)) continue;
    const Slice held = SliceOf(file->tensors, name);
    const std::string where = file->tensors.name() + ": " + name;
    if (held.global_shape != slice.global_shape) {
      throw BadInput(where, "has global shape " + protocol::ToString(held.global_shape),
                     protocol::ToString(slice.global_shape));
    }
    if (file->tensors.At(name).dtype != protocol::DType::kF32) throw BadInput(where, "has the wrong type", "F32");
    const auto shared = Intersect(held, slice);
    if (!shared) continue;
    Tensor ones = Tensor::Zeros(protocol::DType::kU8, shared->shape);
    std::fill(ones.bytes.begin(), ones.bytes.end(), std::byte{1});
    Insert(Extract(file->tensors.Load(name), Within(*shared, held)), Within(*shared, slice), values);
    Insert(ones, Within(*shared, slice), covered);
  }
  if (std::find(covered.bytes.begin(), covered.bytes.end(), std::byte{0}) != covered.bytes.end()) {
    throw BadInput(folder_.string() + ": " + name, "no file holds all of it");
  }
  return values;
}

Tensor CheckpointFiles::Load(const LocalParameter& parameter, const std::string& state) {
  return Read(state.empty() ? "param/" + parameter.name : "state/" + parameter.name + "/" + state, parameter.slice);
}

void CheckpointStore::SaveShard(const fs::path& folder, std::int64_t step) const {
  TensorSet set;
  AddParameters(context_, store_, set);
  AddState(context_, store_, set);
  std::map<std::string, std::string> metadata{{"step", std::to_string(step)},
                                              {"world_size", std::to_string(context_.groups.world->Size())}};
  for (auto tensor = set.tensors.begin(); tensor != set.tensors.end();) {
    // Working copies are made anew from the masters.
    if (tensor->first.starts_with("working/")) {
      tensor = set.tensors.erase(tensor);
      continue;
    }
    metadata[tensor->first] = protocol::SliceToMetadata(set.slices.at(tensor->first));
    ++tensor;
  }
  fs::create_directories(folder);
  protocol::WriteSafetensors(folder / ShardFile(context_.groups.world->Rank()), set.tensors, metadata);
}

void CheckpointStore::JoinShards(const fs::path& shards, const fs::path& file, std::int64_t step) const {
  std::map<std::string, Tensor> whole;
  const CheckpointFiles files(shards, step);
  for (const auto& [name, shape] : files.GlobalShapes()) whole.emplace(name, files.Read(name, Slice::Whole(shape)));
  protocol::WriteSafetensors(
      file, whole, {{"step", std::to_string(step)}, {"world_size", std::to_string(context_.groups.world->Size())}});
}

void CheckpointStore::Save(std::int64_t step) {
  const fs::path folder = context_.folder / context_.request.checkpoint.save_to;
  if (context_.request.checkpoint.sharded) {
    SaveShard(folder, step);
    context_.groups.world->Barrier();
    return;
  }
  const fs::path shards = folder / "shards.tmp";
  SaveShard(shards, step);
  context_.groups.world->Barrier();
  if (context_.groups.world->Rank() == 0) {
    JoinShards(shards, folder / kWholeFile, step);
    fs::remove_all(shards);
  }
  context_.groups.world->Barrier();
}

std::unique_ptr<ParameterSource> CheckpointStore::Open() {
  const protocol::CheckpointWanted& wanted = context_.request.checkpoint;
  return std::make_unique<CheckpointFiles>(context_.folder / wanted.resume_from, wanted.resume_step);
}

}  // namespace lockstep::trainer
