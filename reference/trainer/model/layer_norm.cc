#include "reference/trainer/model/layer_norm.h"

#include <utility>

#include "reference/trainer/model/row_sums.h"

namespace lockstep::trainer {

LayerNorm::LayerNorm(const RankContext& context, ParameterUse weight, ParameterUse bias, std::int64_t width)
    : context_(context), weight_(weight), bias_(bias), width_(width) {}

Activations LayerNorm::Forward(const MicroBatch& micro_batch, const Activations& x) {
  Activations y = NewActivations(context_.device, x.rows, width_);
  Activations statistics = NewActivations(context_.device, 2, x.rows);
  if (x.rows > 0) {
    context_.device.LayerNormForward(x.rows, width_, x.data(), weight_.value(), bias_.value(), y.data(),
                                     statistics.data(), statistics.data() + x.rows);
  }
  kept_.Put(micro_batch, {.x = x, .statistics = std::move(statistics)});
  return y;
}

void LayerNorm::Differentiate(const Saved& saved, const Activations& d_y, const Activations& d_x, bool accumulate,
                              float* d_weight, float* d_bias) {
  const std::int64_t rows = saved.x.rows;
  context_.device.LayerNormBackward(rows, width_, saved.x.data(), weight_.value(), saved.statistics.data(),
                                    saved.statistics.data() + rows, d_y.data(), d_x.data(), accumulate, d_weight,
                                    d_bias);
}

void LayerNorm::Whole(const MicroBatch& micro_batch, const Activations& d_y, const Activations& d_x, bool accumulate) {
  const Saved saved = kept_.Take(micro_batch);
  if (saved.x.rows == 0) return;
  Differentiate(saved, d_y, d_x, accumulate, weight_.GradientToAdd(context_.device),
                bias_.GradientToAdd(context_.device));
}

void LayerNorm::InParts(const MicroBatch& micro_batch, const Activations& d_y, const Activations& d_x,
                        bool accumulate) {
  const Saved saved = kept_.Take(micro_batch);
  Activations sums = NewRowSums(context_, saved.x.rows == 0 ? 0 : 2, width_);
  if (sums.buffer) Differentiate(saved, d_y, d_x, accumulate, sums.data(), sums.data() + width_);
  sums_.Put(micro_batch, std::move(sums));
}

Activations LayerNorm::Backward(const MicroBatch& micro_batch, const Activations& d_y) {
  Activations d_x = NewActivations(context_.device, d_y.rows, width_);
  Whole(micro_batch, d_y, d_x, false);
  return d_x;
}

Activations LayerNorm::InputGradient(const MicroBatch& micro_batch, const Activations& d_y) {
  Activations d_x = NewActivations(context_.device, d_y.rows, width_);
  InParts(micro_batch, d_y, d_x, false);
  return d_x;
}

void LayerNorm::BackwardOnto(const MicroBatch& micro_batch, const Activations& d_y, const Activations& d_x) {
  Whole(micro_batch, d_y, d_x, true);
}

void LayerNorm::InputGradientOnto(const MicroBatch& micro_batch, const Activations& d_y, const Activations& d_x) {
  InParts(micro_batch, d_y, d_x, true);
}

void LayerNorm::WeightGradient(const MicroBatch& micro_batch) {
  const Activations sums = sums_.Take(micro_batch);
  AddRowSum(context_, sums, 0, weight_);
  AddRowSum(context_, sums, 1, bias_);
}

void LayerNorm::Clear() {
  kept_.Clear();
  sums_.Clear();
}

Residual::Residual(const RankContext& context, std::unique_ptr<LayerNorm> norm,
                   std::vector<std::unique_ptr<Layer>> inner)
    : context_(context), norm_(std::move(norm)), inner_(std::move(inner)) {}

Activations Residual::Forward(const MicroBatch& micro_batch, const Activations& x) {
  Activations y = norm_->Forward(micro_batch, x);
  for (const auto& layer : inner_) y = layer->Forward(micro_batch, y);
  context_.device.Add(y.size(), x.data(), y.data(), y.data());
  return y;
}

Activations Residual::Backward(const MicroBatch& micro_batch, const Activations& d_y) {
  Activations d = d_y;
  for (auto layer = inner_.rbegin(); layer != inner_.rend(); ++layer) d = (*layer)->Backward(micro_batch, d);
  norm_->BackwardOnto(micro_batch, d, d_y);
  return d_y;
}

Activations Residual::InputGradient(const MicroBatch& micro_batch, const Activations& d_y) {
  Activations d_x = NewActivations(context_.device, d_y.rows, d_y.width);
  if (d_x.buffer) context_.device.Copy(d_x.data(), d_y.data(), static_cast<std::size_t>(d_y.size()) * sizeof(float));
  Activations d = d_y;
  for (auto layer = inner_.rbegin(); layer != inner_.rend(); ++layer) d = (*layer)->InputGradient(micro_batch, d);
  norm_->InputGradientOnto(micro_batch, d, d_x);
  return d_x;
}

void Residual::WeightGradient(const MicroBatch& micro_batch) {
  for (auto layer = inner_.rbegin(); layer != inner_.rend(); ++layer) (*layer)->WeightGradient(micro_batch);
  norm_->WeightGradient(micro_batch);
}

std::vector<LocalParameter*> Residual::Parameters() const {
  std::vector<LocalParameter*> all = norm_->Parameters();
  for (const auto& layer : inner_) {
    for (LocalParameter* parameter : layer->Parameters()) all.push_back(parameter);
  }
  return all;
}

void Residual::Clear() {
  norm_->Clear();
  for (const auto& layer : inner_) layer->Clear();
}

}  // namespace lockstep::trainer
