// Joining, splitting, repeating and rearranging tensors.
#pragma once
#include <vector>

#include "ops/registry.h"

namespace pydl {

Tensor cat(const std::vector<Tensor>& tensors, int64_t dim);
Tensor stack(const std::vector<Tensor>& tensors, int64_t dim);
std::vector<Tensor> split_sizes(const Tensor& x, IntSpan sizes, int64_t dim);
std::vector<Tensor> unbind(const Tensor& x, int64_t dim);
Tensor flip(const Tensor& x, IntSpan dims);
Tensor repeat(const Tensor& x, IntSpan repeats);
Tensor movedim(const Tensor& x, IntSpan source, IntSpan destination);

}  // namespace pydl
