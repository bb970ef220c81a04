// Reductions and scans over contiguous runs (INNER) and over rows of contiguous columns (OUTER). The layouts, the
// meaning of every kernel and how to split one are told in reduce.inc.
#pragma once
#include <cstdint>

namespace pydl {

template <class T> struct ReduceKernels {
#define KERNEL(name, result, args) result (*name) args;
#include "kernels/reduce.inc"
#undef KERNEL
};

// The integer and bool twins, compiled once at baseline: T is bool, uint8, int8, int16, int32 or int64. Same layouts
// as reduce.inc. Sums, products and their scans run in int64 and wrap around; the identities of max and min are the
// type's limits. Pieces of sums and products are int64, so IntReduce<int64_t> combines them.
template <class T> struct IntReduce {
#define INNER int64_t rows, int64_t cols, int64_t row_stride
#define OUTER int64_t batch, int64_t n, int64_t cols, int64_t batch_stride, int64_t row_stride
#define BOTH(name, R)                                    \
  static void name##_inner(R* out, const T* in, INNER);  \
  static void name##_outer(R* out, const T* in, OUTER);
  BOTH(sum, int64_t)
  BOTH(prod, int64_t)
  BOTH(max, T)
  BOTH(min, T)
  BOTH(any, bool)
  BOTH(all, bool)
  BOTH(count_nonzero, int64_t)

  static void max_index_inner(T* values, int64_t* indices, const T* in, INNER);
  static void max_index_outer(T* values, int64_t* indices, const T* in, OUTER);
  static void max_index_combine(T* values, int64_t* indices, const T* piece_values, const int64_t* piece_indices,
                                int64_t size, int64_t offset);
  static void min_index_inner(T* values, int64_t* indices, const T* in, INNER);
  static void min_index_outer(T* values, int64_t* indices, const T* in, OUTER);
  static void min_index_combine(T* values, int64_t* indices, const T* piece_values, const int64_t* piece_indices,
                                int64_t size, int64_t offset);

#define SCAN int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride
  static void cumsum(int64_t* out, const T* in, SCAN);
  static void cumprod(int64_t* out, const T* in, SCAN);
  static void cummax(T* out, int64_t* indices, const T* in, SCAN);
  static void cummin(T* out, int64_t* indices, const T* in, SCAN);
#undef SCAN
#undef BOTH
#undef OUTER
#undef INNER
};

}  // namespace pydl
