// Random operators that others are made of.
#pragma once
#include "tensor/tensor.h"

namespace pydl {

// x with elements zeroed with probability p and the rest scaled by 1 / (1 - p); x itself unless `train`.
Tensor dropout(const Tensor& x, double p, bool train);

}  // namespace pydl
