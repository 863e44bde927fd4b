// Checkpoints: one file of whole tensors, or one file a rank, loaded under any layout (PROTOCOL.md, "Checkpoints").
//
// A slice is put together from whatever files hold parts of it, by their metadata alone. Elements that no file holds
// are BadInput: missing is not zero.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "reference/trainer/parameters.h"

namespace lockstep::trainer {

// A folder's files, and slices read from them.
class CheckpointFiles : public ParameterSource {
 public:
  // Throws BadInput where there is no checkpoint, a rank's file is missing, or it is of another step (step 0: any).
  CheckpointFiles(const std::filesystem::path& folder, std::int64_t step);
  ~CheckpointFiles() override;
  protocol::Tensor Load(const LocalParameter& parameter, const std::string& state) override;
  protocol::Tensor Read(const std::string& name, const protocol::Slice& slice) const;
  std::map<std::string, protocol::Shape> GlobalShapes() const;

 private:
  struct File;
  std::filesystem::path folder_;
  std::vector<std::unique_ptr<File>> files_;
};

class CheckpointStore {
 public:
  CheckpointStore(const RankContext& context, ParameterStore& store) : context_(context), store_(store) {}
  virtual ~CheckpointStore() = default;
  // After `step`, as the request wants it. Collective over the world.
  virtual void Save(std::int64_t step);
  // What the request resumes from.
  virtual std::unique_ptr<ParameterSource> Open();

 protected:
  void SaveShard(const std::filesystem::path& folder, std::int64_t step) const;
  void JoinShards(const std::filesystem::path& shards, const std::filesystem::path& file, std::int64_t step) const;

  const RankContext& context_;
  ParameterStore& store_;
};

}  // namespace lockstep::trainer
