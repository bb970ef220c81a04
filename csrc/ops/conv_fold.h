// Batch normalization in evaluation, folded into the convolution before it.
#pragma once
#include "tensor/tensor.h"

namespace pydl {

// (y - mean) / sqrt(var + eps) * weight + bias by channel; weight and bias may be undefined. One dtype, float32 or
// float64.
struct RunningNorm {
  Tensor mean, var, weight, bias;
  double eps;
};

// The weight and bias of a convolution that gives what the norm would make of the given one's results: they are kept
// with the weight until anything that they come from changes. `keep`: whether packed forms of them are worth keeping.
struct FoldedConv {
  Tensor weight, bias;
  bool keep;
};
FoldedConv fold(const Tensor& weight, const Tensor& bias, const RunningNorm& norm);

}  // namespace pydl
