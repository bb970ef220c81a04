// Row-sparse tensors (SparseRows): made by the backward of embeddings, read by the optimizers that update touched rows
// alone. Other operators take them through to_dense.
#pragma once
#include <algorithm>

#include "base/parallel.h"
#include "ops/registry.h"

namespace pydl {

struct PointwiseRow;

// A tensor of `sizes` whose rows `indices` (int64 [n], in range) are `values` [n, sizes[1:]...]; repeated ones add up.
Tensor sparse_rows(const Tensor& indices, const Tensor& values, IntSpan sizes, bool coalesced);
// x becomes another row-sparse tensor of its shape and dtype.
void replace_rows(const Tensor& x, SparseRows rows);
// The same tensor with ascending rows, each once; repeated ones added in order.
Tensor coalesce(const Tensor& x);
Tensor to_dense(const Tensor& x);

// A pointwise operator with a row-sparse operand: sums of sparse tensors, and of a sparse one with a dense one,
// products with numbers, functions that keep zeros. Raises for all others.
Tensor sparse_pointwise(const PointwiseRow& row, std::span<const Operand> in, std::span<const Scalar> params,
                        const Out& out);

// Positions of equal values: those of values[i] are order[start[i]] .. order[start[i + 1] - 1], ascending.
struct Segments {
  Tensor values, order;        // int64 [count], ascending; int64 [n]
  std::vector<int64_t> start;  // [count + 1]

  explicit Segments(const Tensor& index);  // int64 [n], contiguous
  int64_t count() const { return int64_t(start.size()) - 1; }

  // f(i, positions, n) for every segment, shared out to threads by length; `work` elements each position.
  template <class F>
  void each(int64_t work, F&& f) const {
    constexpr int64_t kGrain = 16 * 1024;
    const int64_t* const at = order.data<int64_t>();
    parallel_for(start.back(), std::max<int64_t>(1, kGrain / std::max<int64_t>(work, 1)),
                 [&](int64_t begin, int64_t end) {
                   auto i = std::lower_bound(start.begin(), start.end() - 1, begin) - start.begin();
                   for (; i < count() && start[size_t(i)] < end; ++i)
                     f(int64_t(i), at + start[size_t(i)], start[size_t(i) + 1] - start[size_t(i)]);
                 });
  }
};

}  // namespace pydl
