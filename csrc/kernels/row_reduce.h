// Reductions of contiguous rows, shared by reduce.cpp and rowwise.cpp: sums and maxima, sum of exp, mean and variance.
#pragma once
#include "kernels/lanes.h"
#include "simd/math.h"

PYDL_ISA_BEGIN
namespace {

// ---- what is being reduced -----------------------------------------------------------------------------------------
// fill: an element that changes nothing; identity: the result of nothing; map: element -> partial result; combine: two
// partial results -> one; add(a, x): combine(a, map(x)); accumulators: how many of them hide the latency of add.
template <class T> struct Sum {
  static constexpr int accumulators = 8;
  static constexpr T fill = 0, identity = 0;
  PYDL_INLINE vec<T> map(vec<T> x) const { return x; }
  PYDL_INLINE vec<T> combine(vec<T> a, vec<T> b) const { return a + b; }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return a + x; }
};
template <class T> struct SumSquares : Sum<T> {
  PYDL_INLINE vec<T> map(vec<T> x) const { return x * x; }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return fma(x, x, a); }
};
template <class T> struct Max {  // NaN wins
  static constexpr int accumulators = 8;
  static constexpr T fill = -T(kInf), identity = fill;
  PYDL_INLINE vec<T> map(vec<T> x) const { return x; }
  PYDL_INLINE vec<T> combine(vec<T> a, vec<T> b) const { return select(b != b, b, greater(b, a)); }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return combine(a, x); }
};

template <class T> struct MaxOfNumbers : Max<T> {  // NaN loses: for where it comes back by another way
  PYDL_INLINE vec<T> combine(vec<T> a, vec<T> b) const { return greater(b, a); }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return greater(x, a); }
};

// Rows are worked through in blocks that stay in L1 and give an accumulator at most 32 terms.
template <class T> inline constexpr int64_t kReduceBlock = 256 * vec<T>::size;

template <int A, class Op, class T> PYDL_INLINE vec<T> accumulator_tree(Op op, const vec<T>* acc) {
  if constexpr (A == 1) return acc[0];
  else return op.combine(accumulator_tree<A / 2>(op, acc), accumulator_tree<A / 2>(op, acc + A / 2));
}
// At most a block into one vector of partial results: several accumulators, then their tree.
template <class Op, class T> PYDL_INLINE vec<T> reduce_block(Op op, const T* in, int64_t n) {
  constexpr int64_t L = vec<T>::size;
  int64_t i = 0;
  vec<T> head = vec<T>(op.identity);
  constexpr int A = Op::accumulators;
  if (n >= A * L) {
    vec<T> acc[A];
    for (int k = 0; k < A; ++k) acc[k] = head;
    for (; i + A * L <= n; i += A * L)
      for (int k = 0; k < A; ++k) acc[k] = op.add(acc[k], vec<T>::load(in + i + k * L));
    head = accumulator_tree<A>(op, acc);
  }
  for (; i + L <= n; i += L) head = op.add(head, vec<T>::load(in + i));
  if (i < n) head = op.add(head, PartVector<T>{n - i}.load(in + i, op.fill));
  return head;
}

// Any length: blocks combined pairwise, so that rounding errors grow with log(n).
template <class Op, class T> vec<T> reduce_run(Op op, const T* in, int64_t n) {
  if (n <= kReduceBlock<T>) return reduce_block(op, in, n);
  const int64_t half = (n / 2 + kReduceBlock<T> - 1) / kReduceBlock<T> * kReduceBlock<T>;
  const vec<T> low = reduce_run(op, in, half);
  return op.combine(low, reduce_run(op, in + half, n - half));
}

// How many rows are worked on together: their sums hide each other's latency (L of them share one tree), and what a
// first pass has read of `arrays` operands is still in L1 for the second.
template <class T> PYDL_INLINE int64_t row_group(int64_t cols, int64_t arrays) {
  constexpr int64_t L = vec<T>::size, kL1Bytes = 24 * 1024;
  int64_t group = L;
  if (group * cols * arrays * int64_t(sizeof(T)) > kL1Bytes) group = L < 4 ? L : 4;
  while (group > 1 && group * cols * arrays * int64_t(sizeof(T)) > kL1Bytes) group /= 2;
  return group;
}

// ---- rows ----------------------------------------------------------------------------------------------------------
// Each row becomes one vector of partial results; L rows go through the lane tree together.
template <class Op, class T>
void reduce_inner(Op op, T* out, const T* in, int64_t rows, int64_t cols, int64_t row_stride) {
  constexpr int64_t L = vec<T>::size;
  const vec<T> empty = vec<T>(op.identity);
  vec<T> acc[L];
  for (int64_t k = 0; k < L; ++k) acc[k] = empty;
  for (int64_t r = 0; r < rows; r += L) {
    const int64_t count = rows - r < L ? rows - r : L;
    const T* row = in + r * row_stride;
    if (cols <= L) {
      const PartVector<T> part{cols};
      for (int64_t k = 0; k < count; ++k) acc[k] = op.add(empty, part.load(row + k * row_stride, op.fill));
    } else if (cols < 8 * L) {
      for (int64_t k = 0; k < count; ++k) acc[k] = reduce_block(op, row + k * row_stride, cols);
    } else {
      for (int64_t k = 0; k < count; ++k) acc[k] = reduce_run(op, row + k * row_stride, cols);
    }
    across_rows(op, out + r, acc, count);
  }
}

// ---- sum of exp ----------------------------------------------------------------------------------------------------
// exp(x) for x <= 0 or NaN: less clamping and scaling than exp. What underflows, subnormals included, is 0.
template <class T> PYDL_INLINE vec<T> exp_nonpositive(vec<T> x) {
#if defined(__AVX512F__)
  const ExpParts<T> e = exp_parts(greater(vec<T>(kSingle<T> ? -104 : -746), x));
  return scale(1 + expm1_reduced(e.r), e.n, e.biased);
#else
  const T low = kSingle<T> ? T(-87.33654) : T(-708.39);
  const ExpParts<T> e = exp_parts(greater(vec<T>(low), x));
  return select(x < low, vec<T>(0), (1 + expm1_reduced(e.r)) * power_of_two(e.biased));
#endif
}

// The same for 2^x, which needs fewer steps.
template <class T> PYDL_INLINE vec<T> exp2_nonpositive(vec<T> x) {
#if defined(__AVX512F__)
  x = greater(vec<T>(kSingle<T> ? -151 : -1076), x);
  const vec<T> biased = x + kRounder<T>, n = biased - kRounder<T>;
  return scale(exp2_reduced(x - n), n, biased);
#else
  const T low = kSingle<T> ? -126 : -1022;
  const vec<T> inside = greater(vec<T>(low), x), biased = inside + kRounder<T>;
  return select(x < low, vec<T>(0), exp2_reduced(inside - (biased - kRounder<T>)) * power_of_two(biased));
#endif
}

// A sum of exp is kept as m = max x and s = sum exp(x - exp_shift(m)). A maximum of -inf is not subtracted, so that the
// sum over a part of a row that is all -inf is 0; where m is +inf or NaN, s is NaN.
template <class T> PYDL_INLINE vec<T> exp_shift(vec<T> m) { return select(m == -T(kInf), vec<T>(0), m); }
template <class T>
PYDL_INLINE vec<T> log_sum_exp(vec<T> m, vec<T> s) {
  return select(m == T(kInf), m, exp_shift(m) + log(s));
}

template <class T> struct SumExp : Sum<T> {
  static constexpr int accumulators = 4;
  static constexpr T fill = -T(kInf);
  vec<T> shift;
  PYDL_INLINE vec<T> map(vec<T> x) const { return exp_nonpositive(x - shift); }
  PYDL_INLINE vec<T> add(vec<T> a, vec<T> x) const { return a + map(x); }
};

// m and s of count <= L rows, each read from memory once: block by block, rescaling s where a later block has a larger
// m. With MaxOfNumbers, which is cheaper, a NaN shows in s alone.
template <class Maximum, class T>
void sum_exp_rows(T* m, T* s, const T* in, int64_t count, int64_t cols, int64_t row_stride) {
  constexpr int64_t L = vec<T>::size;
  T block_m[L], block_s[L];
  vec<T> acc[L];
  for (int64_t k = 0; k < count; ++k) m[k] = Max<T>::fill, s[k] = 0, acc[k] = vec<T>(0);
  for (int64_t c = 0; c < cols; c += kReduceBlock<T>, in += kReduceBlock<T>) {
    const int64_t n = cols - c < kReduceBlock<T> ? cols - c : kReduceBlock<T>;
    reduce_inner(Maximum{}, block_m, in, count, n, row_stride);
    for (int64_t k = 0; k < count; ++k) {
      const vec<T> before(m[k]), top = c ? Maximum{}.combine(before, vec<T>(block_m[k])) : vec<T>(block_m[k]),
                                 shift = exp_shift(top);
      acc[k] = reduce_block(SumExp<T>{{}, shift}, in + k * row_stride, n);
      if (c > 0) s[k] *= exp_nonpositive(before - shift).v[0];
      m[k] = top.v[0];
    }
    across_rows(Sum<T>{}, block_s, acc, count);
    for (int64_t k = 0; k < count; ++k) s[k] += block_s[k];
  }
}

// R rows of a column block, element by element as a tree.
template <int R, class Op, class T, class Lanes>
PYDL_INLINE vec<T> row_tree(Op op, const T* in, int64_t stride, Lanes lanes) {
  if constexpr (R == 1) return op.map(lanes.load(in));
  else
    return op.combine(row_tree<R / 2>(op, in, stride, lanes), row_tree<R / 2>(op, in + R / 2 * stride, stride, lanes));
}
// Eight rows at a time: their maximum first, so that an element costs one exp and an eighth.
template <int R, class T>
PYDL_INLINE void sum_exp_of_rows(T* m, T* s, const T* in, int64_t width, int64_t stride) {
  for_vectors<T>(width, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
    const vec<T> before = lanes.load(m + j),
                 top = Max<T>{}.combine(before, row_tree<R>(Max<T>{}, in + j, stride, lanes));
    const SumExp<T> sum_exp{{}, exp_shift(top)};
    lanes.store(
        fma(lanes.load(s + j), exp_nonpositive(before - sum_exp.shift), row_tree<R>(sum_exp, in + j, stride, lanes)),
        s + j);
    lanes.store(top, m + j);
  });
}

// The same of each column of a tile, m and s resident in L1.
template <class T> void sum_exp_columns(T* m, T* s, const T* in, int64_t n, int64_t width, int64_t stride) {
  for (int64_t j = 0; j < width; ++j) m[j] = Max<T>::fill, s[j] = 0;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) sum_exp_of_rows<8>(m, s, in + i * stride, width, stride);
  for (; i + 2 <= n; i += 2) sum_exp_of_rows<2>(m, s, in + i * stride, width, stride);
  if (i < n) sum_exp_of_rows<1>(m, s, in + i * stride, width, stride);
}

// ---- mean and variance ---------------------------------------------------------------------------------------------
// Blocks are summed as deviations from a shift near their mean, s1 = sum (x - shift) and s2 = sum (x - shift)^2, and
// joined in double by Chan, Golub and LeVeque's update: no cancellation, one pass over memory.
struct Moments {
  double count, mean, m2;
  PYDL_INLINE static Moments of(double count, double inverse_count, double shift, double s1, double s2) {
    const double d = s1 * inverse_count;
    return {count, shift + d, s2 - s1 * d};
  }
  PYDL_INLINE Moments join(Moments b) const {
    const double total = count + b.count, delta = b.mean - mean, share = b.count / total;
    return {total, mean + delta * share, m2 + b.m2 + delta * delta * count * share};
  }
};

// s1 and s2 of a block in L1, as vectors; the tail's missing lanes count nothing.
template <class T> PYDL_INLINE void deviations(vec<T>& s1, vec<T>& s2, const T* in, int64_t n, vec<T> shift) {
  constexpr int64_t L = vec<T>::size, span = 32 * L;
  vec<T> lost(0);
  s1 = s2 = vec<T>(0);
  for (int64_t begin = 0; begin < n; begin += span) {  // eight terms to an accumulator, spans summed without rounding
    const int64_t end = n - begin < span ? n : begin + span;
    vec<T> a[4], q[4];
    for (int k = 0; k < 4; ++k) a[k] = q[k] = vec<T>(0);
    int64_t i = begin;
    for (; i + 4 * L <= end; i += 4 * L)
      for (int k = 0; k < 4; ++k) {
        const vec<T> d = vec<T>::load(in + i + k * L) - shift;
        a[k] += d, q[k] = fma(d, d, q[k]);
      }
    for_vectors<T>(end - i, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      const vec<T> d = lanes.keep(lanes.load(in + i + j) - shift, 0);
      a[0] += d, q[0] = fma(d, d, q[0]);
    });
    const vec<T> squares = (q[0] + q[1]) + (q[2] + q[3]), before = s2;
    s1 += (a[0] + a[1]) + (a[2] + a[3]);
    s2 += squares;
    lost += squares - (s2 - before);
  }
  s2 += lost;
}

// result.write(r, Moments) for every row.
template <class T, class Result>
void moments_of_rows(const Result& result, const T* in, int64_t rows, int64_t cols, int64_t row_stride) {
  constexpr int64_t L = vec<T>::size;
  const int64_t group = row_group<T>(cols, 1);
  vec<T> a[L], q[L];
  T shift[L], s1[L], s2[L];
  for (int64_t k = 0; k < L; ++k) a[k] = q[k] = vec<T>(0);
  for (int64_t r = 0; r < rows; r += group) {
    const int64_t count = rows - r < group ? rows - r : group;
    Moments total[L];
    for (int64_t c = 0; c < cols; c += kReduceBlock<T>) {
      const int64_t n = cols - c < kReduceBlock<T> ? cols - c : kReduceBlock<T>;
      const T* row = in + r * row_stride + c;
      reduce_inner(Sum<T>{}, shift, row, count, n, row_stride);
      const T inverse = T(1) / T(n);
      for (int64_t k = 0; k < count; ++k) deviations(a[k], q[k], row + k * row_stride, n, vec<T>(shift[k] *= inverse));
      across_rows(Sum<T>{}, s1, a, count);
      across_rows(Sum<T>{}, s2, q, count);
      for (int64_t k = 0; k < count; ++k) {
        const Moments block = Moments::of(double(n), 1 / double(n), shift[k], s1[k], s2[k]);
        total[k] = c ? total[k].join(block) : block;
      }
    }
    for (int64_t k = 0; k < count; ++k)
      if (cols) result.write(r + k, total[k]);
      else result.write_empty(r + k);
  }
}

}  // namespace
PYDL_ISA_END
