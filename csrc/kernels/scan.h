// Scans (cumulative sums, products, extremes, logsumexp) along the rows of a matrix or along one strided line.
// Included once, by reduce.cpp.
#pragma once

PYDL_ISA_BEGIN
namespace {

struct AddDoubles { PYDL_INLINE static double apply(double a, double b) { return a + b; } };
struct MultiplyDoubles { PYDL_INLINE static double apply(double a, double b) { return a * b; } };

template <class Op, class T>
PYDL_INLINE void scan(T* out, const T* in, int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride,
                      double start) {
  if (cols == 1) {
    double total = start;
    int64_t i = 0;
    // Four elements prefix-combined beside the running total leave one operation in four on the critical path. Their
    // combination cannot overflow a double when T is float.
    if constexpr (sizeof(T) == 4)
      for (; i + 4 <= n; i += 4) {
        const double a = in[i * in_stride], b = Op::apply(a, in[(i + 1) * in_stride]),
                     c = Op::apply(b, in[(i + 2) * in_stride]), d = Op::apply(c, in[(i + 3) * in_stride]);
        out[i * out_stride] = T(Op::apply(total, a));
        out[(i + 1) * out_stride] = T(Op::apply(total, b));
        out[(i + 2) * out_stride] = T(Op::apply(total, c));
        out[(i + 3) * out_stride] = T(total = Op::apply(total, d));
      }
    for (; i < n; ++i) out[i * out_stride] = T(total = Op::apply(total, in[i * in_stride]));
    return;
  }
  constexpr int64_t tile = 256;
  double total[tile];
  for (int64_t j = 0; j < cols; j += tile) {
    const int64_t width = cols - j < tile ? cols - j : tile;
    for (int64_t k = 0; k < width; ++k) total[k] = start;
    for (int64_t i = 0; i < n; ++i) {
      T* y = out + i * out_stride + j;
      const T* x = in + i * in_stride + j;
      for (int64_t k = 0; k < width; ++k) total[k] = Op::apply(total[k], x[k]);
      for (int64_t k = 0; k < width; ++k) y[k] = T(total[k]);
    }
  }
}

template <class T> void cumsum(T* out, const T* in, int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride) {
  scan<AddDoubles>(out, in, n, cols, out_stride, in_stride, 0);
}
template <class T> void cumprod(T* out, const T* in, int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride) {
  scan<MultiplyDoubles>(out, in, n, cols, out_stride, in_stride, 1);
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
