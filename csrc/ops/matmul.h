// Matrix products of tensors.
#pragma once
#include "ops/registry.h"

namespace pydl {

Tensor mm(const Tensor& a, const Tensor& b, const Out& out = {});
Tensor bmm(const Tensor& a, const Tensor& b, const Out& out = {});
Tensor matmul(const Tensor& a, const Tensor& b, const Out& out = {});
Tensor dot(const Tensor& a, const Tensor& b);
// x @ weight^T + bias over the last dimension of x, the bias added while the product is in registers.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

}  // namespace pydl
