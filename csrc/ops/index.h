// Reading and writing at indices. Indices are int64 (other integers are converted); they are all checked before the
// first write.
#pragma once
#include <vector>

#include "ops/registry.h"

namespace pydl {

// x[indices]: one entry per dimension, undefined for a full slice; int64 tensors broadcast together, bool tensors
// select where true (over as many dimensions as they have). The indexed dimensions go first when they are not adjacent.
Tensor index(const Tensor& x, const std::vector<Tensor>& indices);
// x[indices] = value, or += with accumulate (repeats add up).
Tensor index_put_(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& value, bool accumulate);

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
Tensor index_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, const Scalar& alpha = Scalar(1));
Tensor index_copy_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
Tensor scatter_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src);
Tensor scatter_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src);
Tensor nonzero(const Tensor& x);
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Operand& value);
Tensor masked_select(const Tensor& x, const Tensor& mask);
Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source);

// An index as contiguous int64; raises unless all of it lies in [0, n), n being the size of `dim`.
Tensor checked_index(const char* op, const Tensor& index, int64_t n, int64_t dim);
// Indices below 0 counted from the end of a dimension of size n.
Tensor from_the_front(const Tensor& index, int64_t n);

}  // namespace pydl
