// Layer norm and RMS norm over rows, forward and backward. RMS norm is layer norm whose mean is taken as zero and
// which has no bias. Included once, by rowwise.cpp.
#pragma once

PYDL_ISA_BEGIN
namespace {

template <class T> struct MeanRstd {
  T *mean, *rstd;
  double eps;
  PYDL_INLINE void write(int64_t i, const Moments& m) const {
    mean[i] = T(m.mean);
    rstd[i] = T(1 / __builtin_sqrt((m.m2 > 0 || m.m2 != m.m2 ? m.m2 : 0) / m.count + eps));
  }
  PYDL_INLINE void write_empty(int64_t i) const { mean[i] = 0, rstd[i] = T(1 / __builtin_sqrt(eps)); }
};

// y = (x - mean) * rstd * weight + bias, the parts that are null left out.
template <bool Weight, bool Bias, class T>
PYDL_INLINE void normalize_row(T* y, const T* x, const T* weight, const T* bias, int64_t cols, T mean, T rstd,
                               bool past) {
  const vec<T> m(mean), s(rstd);
  write_vectors<T>(cols, past, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
    vec<T> v = (lanes.load(x + j) - m) * s;
    if constexpr (Weight && Bias) v = fma(v, lanes.load(weight + j), lanes.load(bias + j));
    else if constexpr (Weight) v = v * lanes.load(weight + j);
    else if constexpr (Bias) v += lanes.load(bias + j);
    lanes.write(v, y + j);
  });
}
template <class T>
PYDL_INLINE void normalize(T* y, const T* x, const T* weight, const T* bias, int64_t cols, T mean, T rstd, bool past) {
  if (weight && bias) normalize_row<true, true>(y, x, weight, bias, cols, mean, rstd, past);
  else if (weight) normalize_row<true, false>(y, x, weight, bias, cols, mean, rstd, past);
  else if (bias) normalize_row<false, true>(y, x, weight, bias, cols, mean, rstd, past);
  else normalize_row<false, false>(y, x, weight, bias, cols, mean, rstd, past);
}

template <class T>
void layer_norm(T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, int64_t rows, int64_t cols,
                int64_t x_stride, double eps) {
  const bool past = past_cache(y, rows, cols);
  T m[vec<T>::size], s[vec<T>::size];
  for_groups<T>(rows, cols, 2, [&](int64_t r, int64_t count) PYDL_FORCE_INLINE {
    const T* in = x + r * x_stride;
    moments_of_rows(MeanRstd<T>{m, s, eps}, in, count, cols, x_stride);
    for (int64_t k = 0; k < count; ++k)
      normalize(y + (r + k) * cols, in + k * x_stride, weight, bias, cols, m[k], s[k], past);
    for (int64_t k = 0; mean && k < count; ++k) mean[r + k] = m[k];
    for (int64_t k = 0; rstd && k < count; ++k) rstd[r + k] = s[k];
  });
  if (past) stream_fence();
}

template <class T>
void rms_norm(T* y, T* rstd, const T* x, const T* weight, int64_t rows, int64_t cols, int64_t x_stride, double eps) {
  const bool past = past_cache(y, rows, cols);
  T s[vec<T>::size];
  for_groups<T>(rows, cols, 2, [&](int64_t r, int64_t count) PYDL_FORCE_INLINE {
    const T* in = x + r * x_stride;
    reduce_inner(SumSquares<T>{}, s, in, count, cols, x_stride);
    for (int64_t k = 0; k < count; ++k) s[k] = T(1 / __builtin_sqrt(double(s[k]) / double(cols) + eps));
    for (int64_t k = 0; k < count; ++k)
      normalize(y + (r + k) * cols, in + k * x_stride, weight, (const T*)nullptr, cols, T(0), s[k], past);
    for (int64_t k = 0; rstd && k < count; ++k) rstd[r + k] = s[k];
  });
  if (past) stream_fence();
}

// With h = (x - mean) * rstd and u = g * weight:  dx = rstd * (u - mean(u) - h * mean(u*h)),  dweight = sum of g*h and
// dbias = sum of g over the rows. The column sums are updated for R rows at a time.
template <bool Centered, int R, class T>
PYDL_INLINE void normalize_rows_backward(T* dx, T* dweight, T* dbias, const T* mean, const T* rstd, const T* mean_u,
                                         const T* mean_uh, const T* g, const T* x, const T* weight, int64_t cols,
                                         bool past) {
  write_vectors<T>(cols, past, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
    const vec<T> w = weight ? lanes.load(weight + j) : vec<T>(1);
    vec<T> sum_gh(0), sum_g(0);
    for (int r = 0; r < R; ++r) {
      const int64_t i = r * cols + j;
      const vec<T> d = lanes.load(g + i), s(rstd[r]);
      const vec<T> h = Centered ? (lanes.load(x + i) - vec<T>(mean[r])) * s : lanes.load(x + i) * s;
      sum_gh = fma(d, h, sum_gh);
      sum_g += d;
      if (dx) {
        const vec<T> u = Centered ? fma(d, w, vec<T>(-mean_u[r])) : d * w;
        lanes.write(s * fma(h, vec<T>(-mean_uh[r]), u), dx + i);
      }
    }
    if (dweight) lanes.store(lanes.load(dweight + j) + sum_gh, dweight + j);
    if (Centered && dbias) lanes.store(lanes.load(dbias + j) + sum_g, dbias + j);
  });
}

template <bool Centered, class T>
void normalize_backward(T* dx, T* dweight, T* dbias, const T* mean, const T* rstd, const T* g, const T* x,
                        const T* weight, int64_t rows, int64_t cols) {
  constexpr int64_t L = vec<T>::size;
  for (int64_t j = 0; dweight && j < cols; ++j) dweight[j] = 0;
  for (int64_t j = 0; dbias && j < cols; ++j) dbias[j] = 0;
  const int64_t group = cols > 4 * kReduceBlock<T> ? 1 : cols > 128 && L > 4 ? 4 : L;
  T mean_u[L], mean_uh[L];
  vec<T> sum_u[L], sum_uh[L];
  const T scale = T(1) / T(cols);
  const bool past = dx && past_cache(dx, rows, cols);
  for (int64_t r = 0; r < rows; r += group) {
    const int64_t count = rows - r < group ? rows - r : group;
    for (int64_t k = 0; dx && k < count; ++k) {
      const T *in = x + (r + k) * cols, *d = g + (r + k) * cols;
      const vec<T> m(Centered ? mean[r + k] : 0), s(rstd[r + k]);
      vec<T> u_total(0);
      sum_uh[k] = sum_terms<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        const vec<T> u = weight ? lanes.load(d + j) * lanes.load(weight + j) : lanes.load(d + j);
        if (Centered) u_total += u;
        return u * ((lanes.load(in + j) - m) * s);
      });
      sum_u[k] = u_total;
    }
    if (dx) {
      if (Centered) across_rows(Sum<T>{}, mean_u, sum_u, count);
      across_rows(Sum<T>{}, mean_uh, sum_uh, count);
      for (int64_t k = 0; k < count; ++k) mean_u[k] = Centered ? mean_u[k] * scale : 0, mean_uh[k] *= scale;
    }
    int64_t k = 0;
    const auto rows_backward = [&](auto height) PYDL_FORCE_INLINE {
      const int64_t i = (r + k) * cols;
      normalize_rows_backward<Centered, decltype(height)::value>(
          dx ? dx + i : nullptr, dweight, dbias, Centered ? mean + r + k : nullptr, rstd + r + k, mean_u + k,
          mean_uh + k, g + i, x + i, weight, cols, past);
    };
    for (; k + 4 <= count; k += 4) rows_backward(std::integral_constant<int, 4>{});
    for (; k < count; ++k) rows_backward(std::integral_constant<int, 1>{});
  }
  if (past) stream_fence();
}

template <class T>
void layer_norm_backward(T* dx, T* dweight, T* dbias, const T* mean, const T* rstd, const T* g, const T* x,
                         const T* weight, int64_t rows, int64_t cols) {
  normalize_backward<true>(dx, dweight, dbias, mean, rstd, g, x, weight, rows, cols);
}
template <class T>
void rms_norm_backward(T* dx, T* dweight, const T* rstd, const T* g, const T* x, const T* weight, int64_t rows,
                       int64_t cols) {
  normalize_backward<false>(dx, dweight, (T*)nullptr, (const T*)nullptr, rstd, g, x, weight, rows, cols);
}

}  // namespace
PYDL_ISA_END
