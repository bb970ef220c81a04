// Joining tensors and splitting them.
#pragma once
#include <vector>

#include "ops/registry.h"

namespace pydl {

Tensor cat(const std::vector<Tensor>& tensors, int64_t dim);
Tensor stack(const std::vector<Tensor>& tensors, int64_t dim);
std::vector<Tensor> split_sizes(const Tensor& x, IntSpan sizes, int64_t dim);
std::vector<Tensor> unbind(const Tensor& x, int64_t dim);

}  // namespace pydl
