// How a reduction over any set of dimensions meets the kernels: the input's dimensions are ordered by stride, merged,
// and recognised as INNER (reduced last) or OUTER (reduced before a contiguous run); anything else is copied once.
#pragma once
#include <algorithm>
#include <bit>

#include "base/parallel.h"
#include "ops/copy.h"
#include "ops/view.h"

namespace pydl {

struct ReduceLayout {
  Tensor input;                // what the kernels read: x itself or a copy in a friendlier order
  bool inner = true;           // INNER: batch rows of n contiguous elements; OUTER: batch blocks of n rows of cols
  int64_t batch = 1, n = 1, cols = 1, batch_stride = 0, row_stride = 0;
  Dims kept_sizes;             // of the output, in logical order
  Dims kept_strides;           // of the output as the kernels write it, densely
  int64_t outputs() const { return batch * cols; }
};

// x may not be empty of elements unless the caller handles n == 0.
ReduceLayout reduce_layout(const Tensor& x, IntSpan dims);

// The output for a layout, with keepdim applied, sharing the memory that the kernels fill (dense, in `kept` order).
Tensor reduced_view(const Tensor& flat, const ReduceLayout& layout, int64_t ndim, IntSpan dims, bool keepdim);

// A long reduction with few outputs is cut into pieces of about this many elements, whatever the thread count.
inline constexpr int64_t kReducePiece = 32768;

// Columns of an OUTER reduction that one kernel call takes: a quarter of a row, in runs long enough to stream.
inline int64_t column_chunk(int64_t cols) { return std::max<int64_t>(256, (cols / 4 + 63) / 64 * 64); }

// How many pieces the reduced dimension is cut into, each with results of its own: where outputs are few; and in a large
// OUTER reduction, whose rows are read fastest whole.
inline int64_t reduction_pieces(const ReduceLayout& l) {
  constexpr int64_t kMost = 64, kManyOutputs = 64;
  const int64_t outputs = l.outputs(), total = l.n * outputs;
  if (!l.inner && l.batch == 1 && outputs >= kManyOutputs) {
    const int64_t pieces = std::min({total / (4 * kReducePiece), l.n / 64, kMost});
    return int64_t(std::bit_floor(uint64_t(std::max<int64_t>(pieces, 1))));
  }
  if (outputs >= kManyOutputs || outputs >= 4 * std::max<int64_t>(1, kReducePiece / std::max<int64_t>(l.n, 1))) return 1;
  return std::clamp<int64_t>(total / kReducePiece, 1, kMost);
}

// Runs a reduction over threads. inner(out, in, rows, cols, row_stride) and outer(out, in, batch, n, cols, batch_stride,
// row_stride) reduce into out; combine(out, parts, pieces, outputs) joins rows of partial results, ascending.
template <class T, class R, class Inner, class Outer, class Combine>
void run_reduction(const ReduceLayout& l, R* out, const T* in, Inner inner, Outer outer, Combine combine) {
  const int64_t per_output_grain = std::max<int64_t>(1, kReducePiece / std::max<int64_t>(l.n, 1));
  const int64_t outputs = l.outputs(), pieces = reduction_pieces(l);
  if (pieces == 1) {
    if (l.inner) {
      parallel_for(l.batch, per_output_grain, [&](int64_t b, int64_t e) { inner(out + b, in + b * l.batch_stride, e - b, l.n, l.batch_stride); });
    } else if (l.batch > 1) {
      parallel_for(l.batch, std::max<int64_t>(1, per_output_grain / l.cols), [&](int64_t b, int64_t e) {
        outer(out + b * l.cols, in + b * l.batch_stride, e - b, l.n, l.cols, l.batch_stride, l.row_stride);
      });
    } else {
      parallel_chunks(l.cols, column_chunk(l.cols), [&](int64_t from, int64_t to) {
        outer(out + from, in + from, 1, l.n, to - from, l.batch_stride, l.row_stride);
      });
    }
    return;
  }
  const Tensor parts = Tensor::empty(Dims{pieces * outputs * int64_t(sizeof(R))}, DType::UInt8);
  R* part = reinterpret_cast<R*>(parts.raw());
  const int64_t length = (l.n + pieces - 1) / pieces;
  parallel_for(pieces, 1, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i) {
      const int64_t from = std::min(l.n, i * length), count = std::min(l.n, from + length) - from;
      if (l.inner) inner(part + i * outputs, in + from, l.batch, count, l.batch_stride);
      else outer(part + i * outputs, in + from * l.row_stride, l.batch, count, l.cols, l.batch_stride, l.row_stride);
    }
  });
  combine(out, part, pieces, outputs);
}

}  // namespace pydl
