#include "reference/trainer/training.h"

#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "reference/trainer/capabilities.h"
#include "reference/trainer/events/timeline_out.h"
#include "reference/trainer/model/build.h"

namespace lockstep::trainer {
// In the order in which each needs those before it.
struct Training::Parts {
  Parts(const RankContext& context, Seams& seams)
      : loader(seams.MakeLoader(context)),
        scale(seams.MakeLossScale(context)),
        factory(seams.MakeLayerFactory(context, *loader)),
        store(context),
        stages(BuildStages(context, store, *factory)),
        arena(context, store),
        accumulation(seams.MakeAccumulation(context, store, arena)),
        reducer(seams.MakeReducer(context, arena)),
        clipper(seams.MakeClipper(context, store)),
        optimizer(seams.MakeOptimizer(context, store)),
        initial(seams.MakeInitialParameters(context)),
        working(seams.MakeWorkingCopies(context)),
        checkpoint(seams.MakeCheckpointStore(context, store)),
        line(ComputeLine(context.request.schedule, context.at.pipeline)),
        executor(context, {stages, *loader, *accumulation, *reducer}, line) {}

  std::unique_ptr<DataLoader> loader;
  std::unique_ptr<LossScale> scale;
  std::unique_ptr<LayerFactory> factory;
  ParameterStore store;
  std::vector<Stage> stages;
  GradientArena arena;
  std::unique_ptr<Accumulation> accumulation;
  std::unique_ptr<GradientReducer> reducer;
  std::unique_ptr<Clipper> clipper;
  std::unique_ptr<OptimizerStep> optimizer;
  std::unique_ptr<ParameterSource> initial;
  std::unique_ptr<WorkingCopies> working;
  std::unique_ptr<CheckpointStore> checkpoint;
  std::vector<LineAction> line;
  Executor executor;
};

namespace {

protocol::Request Edited(protocol::Request request, Seams& seams, int rank) {
  seams.EditRequest(request, request.plan.At(rank));
  return request;
}

bool Tied(const protocol::Model& model) { return model.kind == protocol::ModelKind::kGpt && model.tied; }

}  // namespace

Training::Training(device::Device& device, device::Communicator& world, Seams& seams, protocol::Request request,
                   protocol::Inputs inputs, const std::filesystem::path& folder, const TrainerName& name)
    : request_(Edited(std::move(request), seams, world.Rank())),
      inputs_(std::move(inputs)),
      wiring_(request_.schedule),
      activity_(request_.evidence.timeline, Delays(request_.delays, world.Rank())),
      stray_watch_(world, activity_),
      groups_(MakeGroups(world, request_.plan, wiring_, Tied(request_.workload.model), seams, activity_)),
      context_{device, request_, inputs_, folder, request_.plan.At(world.Rank()), wiring_, groups_, activity_},
      evidence_(context_),
      parts_(std::make_unique<Parts>(context_, seams)) {
  activity_.cursor().Open(protocol::RankFolder(folder, world.Rank()) / protocol::kCursorFile);
  evidence_.Hello(name, Effective());
  if (activity_.recorder().on()) common_clock_.Align(*groups_.world, Now, HostClockName());
}

Training::~Training() = default;

void Training::GiveUp(const std::string& error) {
  activity_.Enter(protocol::CursorState::kGaveUp);
  WriteTimeline();
  evidence_.Done(error);
}

void Training::WriteTimeline() {
  if (!activity_.recorder().on()) return;
  std::map<std::uint8_t, TimelineGroup> groups;
  for (const auto& [kind, members] : groups_.members) {
    groups[static_cast<std::uint8_t>(kind)] = {NameOf(kind), members};
  }
  evidence_.Write(MakeTimeline(groups_.world->Rank(), activity_.recorder().WholeSteps(), common_clock_, groups));
}

// Units of each stage that any pipeline rank has built, and which stages each rank has.
std::map<std::int64_t, std::int64_t> Training::GatherStages(std::vector<std::vector<std::int64_t>>& placement) const {
  std::ostringstream mine;
  for (const Stage& stage : parts_->stages) mine << stage.index << ' ' << stage.units << ' ';
  std::map<std::int64_t, std::int64_t> stages;
  for (const std::string& theirs : groups_.pipeline->GatherOnHost(mine.str())) {
    std::vector<std::int64_t>& here = placement.emplace_back();
    std::istringstream text(theirs);
    for (std::int64_t index = 0, units = 0; text >> index >> units;) {
      here.push_back(index);
      stages[index] = units;
    }
  }
  return stages;
}

// What was built, not what was asked for; collective over pipeline and world.
protocol::EffectivePlan Training::Effective() const {
  protocol::EffectivePlan effective;
  protocol::Plan& plan = effective.plan;
  plan = request_.plan;
  plan.data = groups_.data->Size();
  plan.tensor = groups_.tensor->Size();
  plan.pipeline = groups_.pipeline->Size();
  std::set<std::int64_t> micro_batches;
  for (const LineAction& each : parts_->line) micro_batches.insert(each.action.micro_batch);
  plan.micro_batches = static_cast<std::int64_t>(micro_batches.size());
  plan.schedule = request_.schedule.name;
  effective.line = protocol::ToString(request_.schedule.ranks.at(static_cast<std::size_t>(context_.at.pipeline)));
  plan.sequence_parallel = context_.sequence_parallel();
  const std::map<std::int64_t, std::int64_t> stages = GatherStages(effective.placement);
  plan.chunks = static_cast<std::int64_t>(stages.size()) / plan.pipeline;
  std::vector<std::int64_t> units;
  for (const auto& [index, size] : stages) units.push_back(size);
  // An even partition that was left open is reported as it was asked for.
  if (units != protocol::StagePartition(request_.plan, request_.workload.model)) plan.partition = units;
  effective.at = {.data = groups_.data->Rank(), .tensor = groups_.tensor->Rank(), .pipeline = groups_.pipeline->Rank()};
  effective.precision = request_.workload.precision;
  effective.optimizer = request_.workload.optimizer.kind;
  effective.clip_norm = request_.workload.optimizer.clip_norm;
  for (const std::string& ordinal : groups_.world->GatherOnHost(std::to_string(context_.device.Info().ordinal))) {
    effective.devices.push_back(std::stoll(ordinal));
  }
  return effective;
}

void Training::Load() {
  std::unique_ptr<ParameterSource> saved;
  if (!request_.checkpoint.resume_from.empty()) saved = parts_->checkpoint->Open();
  LoadParameters(context_, parts_->store, saved ? *saved : *parts_->initial);
  inputs_.parameters.clear();
  parts_->working->Refresh(parts_->store);
  const std::int64_t step = request_.checkpoint.resume_step;
  if (!evidence_.WantsTensors(step)) return;
  TensorSet set;
  if (request_.evidence.parameters) AddParameters(context_, parts_->store, set);
  if (request_.evidence.optimizer_state) AddState(context_, parts_->store, set);
  evidence_.WriteTensors(step, set);
}

void Training::Run() {
  Load();
  for (std::int64_t step = request_.checkpoint.resume_step + 1; step <= request_.workload.steps; ++step) {
    RunStep(step);
    if (step == request_.checkpoint.save_after) parts_->checkpoint->Save(step);
  }
  if (activity_.recorder().on()) common_clock_.Align(*groups_.world, Now, HostClockName());
  WriteTimeline();
  evidence_.Done(std::nullopt);
  activity_.Enter(protocol::CursorState::kDone);
}

std::vector<MicroBatch> Training::Describe(std::int64_t step) {
  const Activity::Span span(activity_, SpanName::kData);
  activity_.delays().Sleep("data", step);
  std::vector<MicroBatch> micro_batches;
  for (std::int64_t i = 0; i < request_.plan.micro_batches; ++i) {
    micro_batches.push_back(parts_->loader->Describe(step, i));
  }
  return micro_batches;
}

void Training::RunStep(std::int64_t step) {
  const Nanoseconds began = activity_.BeginStep(step);
  const double idle_before = activity_.idle_seconds();
  Parts& p = *parts_;

  std::vector<MicroBatch> micro_batches = Describe(step);
  std::vector<std::int64_t> valid;
  for (const MicroBatch& micro_batch : micro_batches) valid.push_back(micro_batch.valid);
  const StepCounts counts = p.scale->Count(valid);
  for (MicroBatch& micro_batch : micro_batches) micro_batch.scale = p.scale->OfGradients(counts, micro_batch.index);

  p.accumulation->BeginStep();
  p.reducer->BeginStep();
  p.executor.Run(micro_batches, [this](const MicroBatch& micro_batch) { evidence_.Ran(micro_batch); });
  protocol::StepEvent event;
  event.step = step;
  event.learning_rate = p.optimizer->LearningRate(step);
  if (LossLayer* loss = p.stages.back().loss; loss != nullptr) {
    const Activity::Span span(activity_, SpanName::kLoss, &context_.device);
    event.loss = p.scale->OfLosses(counts, LossesOfAll(*loss), loss->SplitOverTensor());
  }
  {
    const Activity::Span span(activity_, SpanName::kReduction, &context_.device);
    p.reducer->Finish();
  }
  {
    const Activity::Span span(activity_, SpanName::kNorm, &context_.device);
    event.gradient_norm = p.clipper->Norm();
  }
  TensorSet evidence;
  Update(step, *event.gradient_norm, evidence);
  context_.device.Synchronize();
  event.valid_tokens = counts.global;
  event.wall_seconds = static_cast<double>(activity_.EndStep(context_.device) - began) * 1e-9;
  event.idle_seconds = activity_.idle_seconds() - idle_before;
  event.busy_seconds = event.wall_seconds - event.idle_seconds;
  activity_.Enter(protocol::CursorState::kEvidence);
  evidence_.Step(event);
  if (evidence_.WantsTensors(step)) evidence_.WriteTensors(step, evidence);
}

// Sums of losses of every micro-batch of this replica, also of those that passed through another rank's last stage.
std::vector<double> Training::LossesOfAll(LossLayer& loss) {
  std::vector<double> sums(static_cast<std::size_t>(request_.plan.micro_batches), 0.0);
  for (const auto& [index, sum] : loss.TakeLosses()) sums.at(static_cast<std::size_t>(index)) = sum;
  if (groups_.mirror->Size() > 1) groups_.mirror->SumOnHost(sums);
  return sums;
}

void Training::Update(std::int64_t step, double norm, TensorSet& evidence) {
  Parts& p = *parts_;
  const bool wants = evidence_.WantsTensors(step);
  const protocol::EvidenceWanted& wanted = request_.evidence;
  const auto keep = [&](bool asked, const auto& add) {
    if (!wants || !asked) return;
    const Activity::Span span(activity_, SpanName::kEvidence, &context_.device);
    add();
  };
  keep(wanted.gradients, [&] { AddGradients(context_, p.store, "grad/", evidence); });
  {
    const Activity::Span span(activity_, SpanName::kOptimizer, &context_.device);
    p.clipper->Apply(norm);
  }
  keep(wanted.clipped_gradients, [&] { AddGradients(context_, p.store, "clipped/", evidence); });
  {
    const Activity::Span span(activity_, SpanName::kOptimizer, &context_.device);
    activity_.delays().Sleep("optimizer", step);
    p.optimizer->Apply(step);
    p.working->Refresh(p.store);
  }
  keep(wanted.parameters, [&] { AddParameters(context_, p.store, evidence); });
  keep(wanted.optimizer_state, [&] { AddState(context_, p.store, evidence); });
}

}  // namespace lockstep::trainer
