// Pooling over 1 to 3 spatial dimensions. Results lie channels last whatever came in; positions are int64, counted
// row-major over the spatial dimensions of one channel.
#pragma once
#include "ops/pool_windows.h"

namespace pydl {

struct Pooled {
  Tensor values, positions;  // positions only when asked for
};
Pooled max_pool(const PoolOp& op, const Tensor& input, std::shared_ptr<const PoolPlan> plan, bool positions);
Tensor avg_pool(const PoolOp& op, const Tensor& input, std::shared_ptr<const PoolPlan> plan);

}  // namespace pydl
