// Second derivatives of piecewise linear functions.
#pragma once
#include "tensor/tensor.h"

namespace pydl::autograd {

// `grad`, which does not change with the input of the node being run: ReLU's gradient, or that of a pool. Under
// create_graph a derivative of zero leads from it to that input, so that the second derivative exists.
Tensor flat(const Tensor& grad, size_t input = 0);

}  // namespace pydl::autograd
