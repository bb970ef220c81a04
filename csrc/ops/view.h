// Views: other shapes and strides over the same memory. Each is recorded, and shares storage and version with its input.
#pragma once
#include "ops/registry.h"

namespace pydl {

Tensor as_strided(const Tensor& x, IntSpan size, IntSpan stride, std::optional<int64_t> storage_offset = {});
Tensor view(const Tensor& x, IntSpan shape);
Tensor reshape(const Tensor& x, IntSpan shape);
Tensor permute(const Tensor& x, IntSpan dims);
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1);
Tensor t(const Tensor& x);
Tensor expand(const Tensor& x, IntSpan size, bool implicit = false);
Tensor squeeze(const Tensor& x);
Tensor squeeze(const Tensor& x, IntSpan dims);
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor select(const Tensor& x, int64_t dim, int64_t index);
Tensor slice(const Tensor& x, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end, int64_t step = 1);
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
Tensor diagonal(const Tensor& x, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);
Tensor unfold(const Tensor& x, int64_t dimension, int64_t size, int64_t step);
Tensor flatten(const Tensor& x, int64_t start_dim = 0, int64_t end_dim = -1);
Tensor detach(const Tensor& x);

// A -1 in shape replaced; raises when the element counts differ.
Dims infer_shape(const char* op, IntSpan shape, int64_t numel);
// Strides that show `shape` over x's memory; nothing when only a copy can.
std::optional<Dims> view_strides(const Tensor& x, IntSpan shape);

}  // namespace pydl
