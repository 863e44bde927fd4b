#include "reference/trainer/clip.h"

#include <cmath>
#include <numeric>
#include <vector>

namespace lockstep::trainer {

double Clipper::Norm() {
  std::vector<double> squares(store_.canonical_count(), 0.0);
  for (const auto& parameter : store_.all()) {
    if (!parameter->counted || parameter->size() == 0) continue;
    squares[parameter->canonical] = context_.device.SumOfSquares(parameter->size(), parameter->gradients[0].data);
  }
  if (context_.groups.tensor->Size() > 1) context_.groups.tensor->SumOnHost(squares);
  if (context_.groups.pipeline->Size() > 1) context_.groups.pipeline->SumOnHost(squares);
  return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
}

void Clipper::Apply(double norm) {
  const double limit = context_.request.workload.optimizer.clip_norm;
  if (!(limit > 0)) return;
  const double factor = limit / (norm + 1e-6);
  if (!(factor < 1)) return;
  for (const auto& parameter : store_.all()) {
    if (parameter->size() == 0) continue;
    context_.device.Scale(parameter->size(), static_cast<float>(factor), parameter->gradients[0].data);
  }
}

}  // namespace lockstep::trainer
