// Scans (cumulative sums, products, extremes, logsumexp) along the rows of a matrix or along one strided line.
// Included once, by reduce.cpp.
#pragma once

PYDL_ISA_BEGIN
namespace {

struct AddDoubles {
  static constexpr double start = 0;
  template <class V> PYDL_INLINE static void fold(V& a, const V& b) { a = a + b; }
};
struct MultiplyDoubles {
  static constexpr double start = 1;
  template <class V> PYDL_INLINE static void fold(V& a, const V& b) { a = a * b; }
};

// One line. Four floats, prefix-combined among themselves beside the running total, leave one operation in four on the
// critical path; their combination cannot overflow a double. Doubles, whose could, go one by one.
template <class Op, bool Adjacent, class T>
PYDL_INLINE void scan_line(T* out, const T* in, int64_t n, int64_t out_stride, int64_t in_stride) {
  double total = Op::start;
  int64_t i = 0;
  if constexpr (sizeof(T) == 4) {
    typedef double Four __attribute__((vector_size(32)));
    typedef float FourFloats __attribute__((vector_size(16), aligned(alignof(float)), may_alias));
    const Four nothing = {Op::start, Op::start, Op::start, Op::start};
    Four running = nothing;
    for (; i + 4 <= n; i += 4) {
      const T* x = in + i * in_stride;
      T* y = out + i * out_stride;
      Four sums;
      if constexpr (Adjacent) sums = __builtin_convertvector(*reinterpret_cast<const FourFloats*>(x), Four);
      else sums = Four{x[0], x[in_stride], x[2 * in_stride], x[3 * in_stride]};
      Op::fold(sums, __builtin_shufflevector(sums, nothing, 4, 0, 4, 2));
      Op::fold(sums, __builtin_shufflevector(sums, nothing, 4, 4, 1, 1));
      const Four all = __builtin_shufflevector(sums, sums, 3, 3, 3, 3);
      Op::fold(sums, running);
      Op::fold(running, all);
      const FourFloats result = __builtin_convertvector(sums, FourFloats);
      if constexpr (Adjacent) *reinterpret_cast<FourFloats*>(y) = result;
      else for (int k = 0; k < 4; ++k) y[k * out_stride] = result[k];
    }
    total = running[0];
  }
  for (; i < n; ++i) {
    Op::fold(total, double(in[i * in_stride]));
    out[i * out_stride] = T(total);
  }
}

template <class Op, class T>
PYDL_INLINE void scan(T* out, const T* in, int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride) {
  if (cols == 1) return scan_line<Op, false>(out, in, n, out_stride, in_stride);
  constexpr int64_t tile = 256;
  double total[tile];
  for (int64_t j = 0; j < cols; j += tile) {
    const int64_t width = cols - j < tile ? cols - j : tile;
    for (int64_t k = 0; k < width; ++k) total[k] = Op::start;
    for (int64_t i = 0; i < n; ++i) {
      T* y = out + i * out_stride + j;
      const T* x = in + i * in_stride + j;
      for (int64_t k = 0; k < width; ++k) Op::fold(total[k], double(x[k]));
      for (int64_t k = 0; k < width; ++k) y[k] = T(total[k]);
    }
  }
}

template <class T> void cumsum(T* out, const T* in, int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride) {
  scan<AddDoubles>(out, in, n, cols, out_stride, in_stride);
}
template <class T> void cumprod(T* out, const T* in, int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride) {
  scan<MultiplyDoubles>(out, in, n, cols, out_stride, in_stride);
}
template <class T> void cumsum_rows(T* out, const T* in, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r) scan_line<AddDoubles, true>(out + r * n, in + r * n, n, 1, 1);
}
template <class T> void cumprod_rows(T* out, const T* in, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r) scan_line<MultiplyDoubles, true>(out + r * n, in + r * n, n, 1, 1);
}

// In double, with the running maximum m and sum of exp s.
template <class T>
void logcumsumexp(T* out, const T* in, int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride) {
  constexpr int64_t tile = 64;
  double m[tile], s[tile], x[tile], y[tile];
  for (int64_t k = 0; k < tile; ++k) x[k] = 0;
  for (int64_t j = 0; j < cols; j += tile) {
    const int64_t width = cols - j < tile ? cols - j : tile;
    for (int64_t k = 0; k < tile; ++k) m[k] = Max<double>::fill, s[k] = 0;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t k = 0; k < width; ++k) x[k] = in[i * in_stride + j + k];
      for (int64_t k = 0; k < width; k += vec<double>::size) {
        const vec<double> v = vec<double>::load(x + k), before = vec<double>::load(m + k);
        const vec<double> top = Max<double>{}.combine(before, v), shift = exp_shift(top);
        const vec<double> sum =
            fma(vec<double>::load(s + k), exp_nonpositive(before - shift), exp_nonpositive(v - shift));
        top.store(m + k);
        sum.store(s + k);
        log_sum_exp(top, sum).store(y + k);
      }
      for (int64_t k = 0; k < width; ++k) out[i * out_stride + j + k] = T(y[k]);
    }
  }
}

// A later element takes over when it is NaN, or not behind the best so far.
template <bool Larger, class T>
PYDL_INLINE void scan_extreme(T* out, int64_t* indices, const T* in, int64_t n, int64_t cols, int64_t out_stride,
                              int64_t in_stride) {
  for (int64_t i = 0; i < n; ++i) {
    T* y = out + i * out_stride;
    int64_t* index = indices + i * out_stride;
    const T* x = in + i * in_stride;
    for (int64_t j = 0; j < cols; ++j) {
      const T v = x[j], best = i ? y[j - out_stride] : v;
      const bool take = i == 0 || v != v || (Larger ? v >= best : v <= best);
      y[j] = take ? v : best;
      index[j] = take ? i : index[j - out_stride];
    }
  }
}
template <class T>
void cummax(T* out, int64_t* indices, const T* in, int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride) {
  scan_extreme<true>(out, indices, in, n, cols, out_stride, in_stride);
}
template <class T>
void cummin(T* out, int64_t* indices, const T* in, int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride) {
  scan_extreme<false>(out, indices, in, n, cols, out_stride, in_stride);
}

}  // namespace
PYDL_ISA_END
