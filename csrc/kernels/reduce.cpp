// Reductions of float and double: see reduce.inc for the layouts. Plain ones (an element map and an associative
// combine) are here; logsumexp, moments, extremes with index and scans have a header each.
#include "kernels/reduce.h"

#include "kernels/row_reduce.h"

PYDL_ISA_BEGIN
namespace {

// ---- element maps and combines -------------------------------------------------------------------------------------
template <class T> struct NanSum : Sum<T> {
  PYDL_INLINE vec<T> map(vec<T> x) const { return select(x == x, x, vec<T>(0)); }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return a + map(x); }
};
template <class T> struct SumAbs : Sum<T> {
  PYDL_INLINE vec<T> map(vec<T> x) const { return abs(x); }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return a + map(x); }
};
template <class T> struct SumPow : Sum<T> {
  static constexpr int accumulators = 2;
  T exponent, fill;
  PYDL_INLINE explicit SumPow(T p) : exponent(p), fill(p < 0 ? T(__builtin_inf()) : T(0)) {}
  PYDL_INLINE vec<T> map(vec<T> x) const { return pow(abs(x), vec<T>(exponent)); }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return a + map(x); }
};
template <class T> struct CountNonzero : Sum<T> {  // in T: exact below 2^24
  PYDL_INLINE vec<T> map(vec<T> x) const { return select(x != vec<T>(0), vec<T>(1), vec<T>(0)); }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return a + map(x); }
};
template <class T> struct Prod {
  static constexpr int accumulators = 8;
  static constexpr T fill = 1, identity = 1;
  PYDL_INLINE vec<T> map(vec<T> x) const { return x; }
  PYDL_INLINE vec<T> combine(vec<T> a, vec<T> b) const { return a * b; }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return a * x; }
};
template <class T> struct Min {  // NaN wins
  static constexpr int accumulators = 8;
  static constexpr T fill = T(kInf), identity = fill;
  PYDL_INLINE vec<T> map(vec<T> x) const { return x; }
  PYDL_INLINE vec<T> combine(vec<T> a, vec<T> b) const { return select(b != b, b, lesser(b, a)); }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return combine(a, x); }
};
template <class T> struct MaxAbs : Max<T> {
  static constexpr T fill = 0, identity = 0;
  PYDL_INLINE vec<T> map(vec<T> x) const { return abs(x); }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return this->combine(a, map(x)); }
};
template <class T> struct MinAbs : Min<T> {
  PYDL_INLINE vec<T> map(vec<T> x) const { return abs(x); }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return this->combine(a, map(x)); }
};

// ---- OUTER ---------------------------------------------------------------------------------------------------------
// Columns are cut into tiles whose results stay in L1 while rows stream past, eight at a time in memory order. Rows are
// combined as a tree of 8, in sequence up to kSpan rows, pairwise beyond.
inline constexpr int64_t kSpan = 128, kTileBytes = 4096, kFoldBytes = 2048;

template <int R, class Op, class T>
PYDL_INLINE void add_rows(Op op, T* acc, const T* in, int64_t width, int64_t stride, bool first) {
  if (first) {  // starting from nothing, not from the first row, makes a sum of -0 give 0
    const vec<T> empty = vec<T>(op.identity);
    for_vectors<T>(width, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      lanes.store(op.combine(empty, row_tree<R>(op, in + j, stride, lanes)), acc + j);
    });
  } else {
    for_vectors<T>(width, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      lanes.store(op.combine(lanes.load(acc + j), row_tree<R>(op, in + j, stride, lanes)), acc + j);
    });
  }
}

// Folded rows of a narrow matrix: `fold` rows of `cols` elements seen as one of fold*cols. They lie in memory like that
// when the rows are adjacent; otherwise eight at a time are packed, so that strides do not change the order of sums.
template <class T> struct Rows {
  const T* in;
  int64_t cols, stride, fold;
  T* packed;
  PYDL_INLINE const T* at(int64_t i, int64_t count) const {
    if (!packed) return in + i * fold * stride;
    for (int64_t r = 0; r < count * fold; ++r)
      for (int64_t c = 0; c < cols; ++c) packed[r * cols + c] = in[(i * fold + r) * stride + c];
    return packed;
  }
  int64_t step() const { return packed ? fold * cols : fold * stride; }
};

template <class Op, class T>
void reduce_rows(Op op, T* acc, const Rows<T>& rows, int64_t begin, int64_t end, int64_t width) {
  if (end - begin > kSpan) {
    const int64_t middle = begin + ((end - begin) / 2 + kSpan - 1) / kSpan * kSpan;
    T upper[kTileBytes / sizeof(T)];
    reduce_rows(op, acc, rows, begin, middle, width);
    reduce_rows(op, upper, rows, middle, end, width);
    for_vectors<T>(width, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      lanes.store(op.combine(lanes.load(acc + j), lanes.load(upper + j)), acc + j);
    });
    return;
  }
  int64_t i = begin;
  const int64_t step = rows.step();
  for (; i + 8 <= end; i += 8) add_rows<8>(op, acc, rows.at(i, 8), width, step, i == begin);
  if (i + 4 <= end) add_rows<4>(op, acc, rows.at(i, 4), width, step, i == begin), i += 4;
  if (i + 2 <= end) add_rows<2>(op, acc, rows.at(i, 2), width, step, i == begin), i += 2;
  if (i < end) add_rows<1>(op, acc, rows.at(i, 1), width, step, i == begin);
}

// Few columns: rows are folded until a row is wide; then its parts are combined by halves.
template <class Op, class T>
void reduce_narrow(Op op, T* out, const T* in, int64_t n, int64_t cols, int64_t stride, int64_t fold) {
  T acc[kFoldBytes / sizeof(T)], packed[8 * kFoldBytes / sizeof(T)];
  const bool adjacent = stride == cols;
  const Rows<T> rows{in, cols, stride, fold, adjacent ? nullptr : packed};
  const int64_t folded = n / fold, rest = n % fold;
  reduce_rows(op, acc, rows, 0, folded, fold * cols);
  if (rest) {
    const Rows<T> last{in + folded * fold * stride, cols, stride, rest, rows.packed};
    add_rows<1>(op, acc, last.at(0, 1), rest * cols, 0, false);
  }
  for (int64_t parts = fold; parts > 1; parts = (parts + 1) / 2) {
    const int64_t keep = (parts + 1) / 2;
    const T* upper = acc + keep * cols;
    for_vectors<T>((parts - keep) * cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      lanes.store(op.combine(lanes.load(acc + j), lanes.load(upper + j)), acc + j);
    });
  }
  for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE { lanes.store(lanes.load(acc + j), out + j); });
}

template <class Op, class T>
void reduce_outer(Op op, T* out, const T* in, int64_t batch, int64_t n, int64_t cols, int64_t batch_stride,
                  int64_t row_stride) {
  constexpr int64_t tile = kTileBytes / sizeof(T), fold_width = kFoldBytes / sizeof(T);
  const int64_t fold = cols > 0 ? fold_width / cols : 0;
  for (int64_t b = 0; b < batch; ++b, out += cols, in += batch_stride) {
    if (n == 0) {
      const T empty = T(op.identity);
      for (int64_t j = 0; j < cols; ++j) out[j] = empty;
    } else if (fold >= 2 && n >= 2 * fold) {
      reduce_narrow(op, out, in, n, cols, row_stride, fold);
    } else {
      for (int64_t j = 0; j < cols; j += tile) {
        const Rows<T> rows{in + j, cols, row_stride, 1, nullptr};
        reduce_rows(op, out + j, rows, 0, n, cols - j < tile ? cols - j : tile);
      }
    }
  }
}

#define REDUCTION(name, Op)                                                                                          \
  template <class T> void name##_inner(T* out, const T* in, int64_t rows, int64_t cols, int64_t row_stride) {        \
    reduce_inner(Op<T>{}, out, in, rows, cols, row_stride);                                                          \
  }                                                                                                                  \
  template <class T> void name##_outer(T* out, const T* in, int64_t batch, int64_t n, int64_t cols,                  \
                                       int64_t batch_stride, int64_t row_stride) {                                   \
    reduce_outer(Op<T>{}, out, in, batch, n, cols, batch_stride, row_stride);                                        \
  }
REDUCTION(sum, Sum)
REDUCTION(nansum, NanSum)
REDUCTION(sum_squares, SumSquares)
REDUCTION(sum_abs, SumAbs)
REDUCTION(prod, Prod)
REDUCTION(max, Max)
REDUCTION(min, Min)
REDUCTION(max_abs, MaxAbs)
REDUCTION(min_abs, MinAbs)
#undef REDUCTION

template <class T>
void sum_pow_inner(T* out, const T* in, int64_t rows, int64_t cols, int64_t row_stride, T exponent) {
  reduce_inner(SumPow<T>(exponent), out, in, rows, cols, row_stride);
}
template <class T>
void sum_pow_outer(T* out, const T* in, int64_t batch, int64_t n, int64_t cols, int64_t batch_stride,
                   int64_t row_stride, T exponent) {
  reduce_outer(SumPow<T>(exponent), out, in, batch, n, cols, batch_stride, row_stride);
}

// Counts are taken in T over pieces short enough to be exact, then added as integers.
inline constexpr int64_t kExactCount = 1 << 20;

template <class T> void count_nonzero_inner(int64_t* out, const T* in, int64_t rows, int64_t cols, int64_t row_stride) {
  constexpr int64_t group = 64;
  T counts[group];
  for (int64_t r = 0; r < rows; r += group) {
    const int64_t count = rows - r < group ? rows - r : group;
    for (int64_t k = 0; k < count; ++k) out[r + k] = 0;
    for (int64_t c = 0; c < cols; c += kExactCount) {
      const int64_t piece = cols - c < kExactCount ? cols - c : kExactCount;
      reduce_inner(CountNonzero<T>{}, counts, in + r * row_stride + c, count, piece, row_stride);
      for (int64_t k = 0; k < count; ++k) out[r + k] += int64_t(counts[k]);
    }
  }
}
template <class T>
void count_nonzero_outer(int64_t* out, const T* in, int64_t batch, int64_t n, int64_t cols, int64_t batch_stride,
                         int64_t row_stride) {
  constexpr int64_t tile = kTileBytes / sizeof(T);
  T counts[tile];
  for (int64_t b = 0; b < batch; ++b, out += cols, in += batch_stride)
    for (int64_t j = 0; j < cols; j += tile) {
      const int64_t width = cols - j < tile ? cols - j : tile;
      for (int64_t k = 0; k < width; ++k) out[j + k] = 0;
      for (int64_t i = 0; i < n; i += kExactCount) {
        const int64_t piece = n - i < kExactCount ? n - i : kExactCount;
        reduce_outer(CountNonzero<T>{}, counts, in + i * row_stride + j, 1, piece, width, 0, row_stride);
        for (int64_t k = 0; k < width; ++k) out[j + k] += int64_t(counts[k]);
      }
    }
}

}  // namespace
PYDL_ISA_END

#include "kernels/reduce_logsumexp.h"
#include "kernels/reduce_index.h"
#include "kernels/reduce_moments.h"
#include "kernels/scan.h"

PYDL_ISA_BEGIN
namespace {

template <class T> constexpr ReduceKernels<T> make() {
#define KERNEL(name, result, args) &name<T>,
  return {
#include "kernels/reduce.inc"
  };
#undef KERNEL
}

}  // namespace

extern const ReduceKernels<float> reduce_f32;
extern const ReduceKernels<double> reduce_f64;
const ReduceKernels<float> reduce_f32 = make<float>();
const ReduceKernels<double> reduce_f64 = make<double>();

PYDL_ISA_END
