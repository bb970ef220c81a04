// Row-wise operators of float and double: layouts and formulas in rowwise.inc, the kernels in one header an idea.
#include "kernels/rowwise.h"

#include "kernels/row_reduce.h"

PYDL_ISA_BEGIN
namespace {

// Sum over j of f(j, lanes), a row's terms as vectors: four accumulators over blocks, then block after block. Lanes
// beyond the row are dropped, whatever f gives there.
template <class T, class F> PYDL_INLINE vec<T> sum_terms(int64_t n, F f) {
  constexpr int64_t L = vec<T>::size;
  if (n <= L) return PartVector<T>{n}.keep(f(0, PartVector<T>{n}), 0);
  vec<T> total(0);
  for (int64_t begin = 0; begin < n; begin += kReduceBlock<T>) {
    const int64_t end = n - begin < kReduceBlock<T> ? n : begin + kReduceBlock<T>;
    vec<T> acc[4] = {vec<T>(0), vec<T>(0), vec<T>(0), vec<T>(0)};
    int64_t j = begin;
    for (; j + 4 * L <= end; j += 4 * L)
      for (int k = 0; k < 4; ++k) acc[k] += f(j + k * L, WholeVector<T>{});
    for (; j + L <= end; j += L) acc[0] += f(j, WholeVector<T>{});
    if (j < end) acc[1] += PartVector<T>{end - j}.keep(f(j, PartVector<T>{end - j}), 0);
    total += (acc[0] + acc[1]) + (acc[2] + acc[3]);
  }
  return total;
}

// f(first row, rows of the group) for groups of rows, of which the work touches `arrays` operands.
template <class T, class F> PYDL_INLINE void for_groups(int64_t rows, int64_t cols, int64_t arrays, F f) {
  const int64_t group = row_group<T>(cols, arrays);
  for (int64_t r = 0; r < rows; r += group) f(r, rows - r < group ? rows - r : group);
}

// Whether a call's output is written past the cache: it is larger than what a core keeps until its next use, and every
// row starts on a vector. A plain store would first read the line from memory.
template <class T> PYDL_INLINE bool past_cache(const T* out, int64_t rows, int64_t stride) {
  constexpr int64_t kKeptBytes = 4 << 20;
  const int64_t row_bytes = stride * int64_t(sizeof(T));
  return rows * row_bytes >= kKeptBytes && row_bytes % kVectorBytes == 0 && is_aligned(out);
}
// for_vectors whose lanes.write goes past the cache, or not. The kernel ends with stream_fence.
template <class T, class F> PYDL_INLINE void write_vectors(int64_t n, bool past, F f) {
  if (past) for_vectors<T, StreamedVector<T>>(n, f);
  else for_vectors<T>(n, f);
}

}  // namespace
PYDL_ISA_END

#include "kernels/softmax.h"
#include "kernels/normalization.h"
#include "kernels/cross_entropy.h"

PYDL_ISA_BEGIN
namespace {

template <class T> constexpr RowwiseKernels<T> make() {
#define KERNEL(name, result, args) &name<T>,
  return {
#include "kernels/rowwise.inc"
  };
#undef KERNEL
}

}  // namespace

extern const RowwiseKernels<float> rowwise_f32;
extern const RowwiseKernels<double> rowwise_f64;
const RowwiseKernels<float> rowwise_f32 = make<float>();
const RowwiseKernels<double> rowwise_f64 = make<double>();

PYDL_ISA_END
