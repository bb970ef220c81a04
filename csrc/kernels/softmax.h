// Softmax and log-softmax over rows and over a middle axis, forward and backward. Included once, by rowwise.cpp.
#pragma once

PYDL_ISA_BEGIN
namespace {

// A row that fits in the cache is exponentiated once and scaled in place; a longer one is read twice, written once.
inline constexpr int64_t kCachedRowBytes = 256 * 1024;

template <class T> void softmax(T* y, const T* x, int64_t rows, int64_t cols, int64_t x_stride) {
  T top[vec<T>::size], sum[vec<T>::size];
  vec<T> acc[vec<T>::size];
  if (cols * int64_t(sizeof(T)) > kCachedRowBytes) {
    const bool past = past_cache(y, rows, cols);
    for (int64_t r = 0; r < rows; ++r, y += cols, x += x_stride) {
      sum_exp_rows<MaxOfNumbers<T>>(top, sum, x, 1, cols, x_stride);
      const vec<T> m(top[0]), inverse(1 / (sum[0] + (top[0] - top[0])));  // an infinite maximum makes the row NaN
      write_vectors<T>(cols, past, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        lanes.write(exp_nonpositive(lanes.load(x + j) - m) * inverse, y + j);
      });
    }
    stream_fence();
    return;
  }
  for_groups<T>(rows, cols, 2, [&](int64_t r, int64_t count) PYDL_FORCE_INLINE {
    reduce_inner(MaxOfNumbers<T>{}, top, x + r * x_stride, count, cols, x_stride);
    for (int64_t k = 0; k < count; ++k) {
      const vec<T> m(top[k]);
      const T* in = x + (r + k) * x_stride;
      T* out = y + (r + k) * cols;
      acc[k] = sum_terms<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        const vec<T> e = exp_nonpositive(lanes.load(in + j) - m);
        lanes.store(e, out + j);
        return e;
      });
    }
    across_rows(Sum<T>{}, sum, acc, count);
    for (int64_t k = 0; k < count; ++k) {
      const vec<T> inverse(1 / sum[k]);
      T* out = y + (r + k) * cols;
      for_vectors<T>(
          cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE { lanes.store(lanes.load(out + j) * inverse, out + j); });
    }
  });
}

template <class T> void softmax_backward(T* dx, const T* y, const T* g, int64_t rows, int64_t cols) {
  const bool past = past_cache(dx, rows, cols);
  T dot[vec<T>::size];
  vec<T> acc[vec<T>::size];
  for_groups<T>(rows, cols, 3, [&](int64_t r, int64_t count) PYDL_FORCE_INLINE {
    const T *y0 = y + r * cols, *g0 = g + r * cols;
    for (int64_t k = 0; k < count; ++k)
      acc[k] = sum_terms<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        return lanes.load(y0 + k * cols + j) * lanes.load(g0 + k * cols + j);
      });
    across_rows(Sum<T>{}, dot, acc, count);
    for (int64_t k = 0; k < count; ++k) {
      const vec<T> d(dot[k]);
      write_vectors<T>(cols, past, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        const int64_t i = k * cols + j;
        lanes.write(lanes.load(y0 + i) * (lanes.load(g0 + i) - d), dx + r * cols + i);
      });
    }
  });
  if (past) stream_fence();
}

template <class T> void log_softmax(T* y, const T* x, int64_t rows, int64_t cols, int64_t x_stride) {
  T top[vec<T>::size], sum[vec<T>::size];
  const bool past = past_cache(y, rows, cols);
  for (T& s : sum) s = 1;
  for_groups<T>(rows, cols, 2, [&](int64_t r, int64_t count) PYDL_FORCE_INLINE {
    sum_exp_rows<MaxOfNumbers<T>>(top, sum, x + r * x_stride, count, cols, x_stride);
    log(vec<T>::load(sum)).store(sum);
    for (int64_t k = 0; k < count; ++k) {
      const vec<T> m(top[k]), log_sum(sum[k] + (top[k] - top[k]));
      write_vectors<T>(cols, past, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        lanes.write(lanes.load(x + (r + k) * x_stride + j) - m - log_sum, y + (r + k) * cols + j);
      });
    }
  });
  if (past) stream_fence();
}

template <class T> void log_softmax_backward(T* dx, const T* y, const T* g, int64_t rows, int64_t cols) {
  const bool past = past_cache(dx, rows, cols);
  T sum[vec<T>::size];
  for_groups<T>(rows, cols, 3, [&](int64_t r, int64_t count) PYDL_FORCE_INLINE {
    reduce_inner(Sum<T>{}, sum, g + r * cols, count, cols, cols);
    for (int64_t k = 0; k < count; ++k) {
      const vec<T> s(sum[k]);
      write_vectors<T>(cols, past, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        const int64_t i = (r + k) * cols + j;
        lanes.write(lanes.load(g + i) - exp_nonpositive(lanes.load(y + i)) * s, dx + i);
      });
    }
  });
  if (past) stream_fence();
}

// ---- over a middle axis --------------------------------------------------------------------------------------------
// Columns are cut into tiles whose running results (maximum and sum of exp, or a dot product) stay in L1; the rows
// stream past twice, in memory order.
inline constexpr int64_t kColumnTile = 512;
template <class T, class F>
PYDL_INLINE void for_column_tiles(int64_t batch, int64_t n, int64_t inner, int64_t stride, F f) {
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t j = 0; j < inner; j += kColumnTile)
      f(b * n * stride + j, inner - j < kColumnTile ? inner - j : kColumnTile);
}

template <bool Log, class T>
PYDL_INLINE void softmax_columns(T* y, const T* x, int64_t batch, int64_t n, int64_t inner, int64_t stride) {
  const bool past = past_cache(y, batch * n, stride);
  T top[kColumnTile], sum[kColumnTile];
  for_column_tiles<T>(batch, n, inner, stride, [&](int64_t at, int64_t width) PYDL_FORCE_INLINE {
    sum_exp_columns(top, sum, x + at, n, width, stride);
    for_vectors<T>(width, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      const vec<T> m = lanes.load(top + j), s = lanes.load(sum + j) + (m - m);
      lanes.store(Log ? log(s) : 1 / s, sum + j);
    });
    for (int64_t i = 0; i < n; ++i) {
      const int64_t row = at + i * stride;
      write_vectors<T>(width, past, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        const vec<T> d = lanes.load(x + row + j) - lanes.load(top + j), s = lanes.load(sum + j);
        lanes.write(Log ? d - s : exp_nonpositive(d) * s, y + row + j);
      });
    }
  });
  if (past) stream_fence();
}
template <class T>
void softmax_outer(T* y, const T* x, int64_t batch, int64_t n, int64_t inner, int64_t inner_stride) {
  softmax_columns<false>(y, x, batch, n, inner, inner_stride);
}
template <class T>
void log_softmax_outer(T* y, const T* x, int64_t batch, int64_t n, int64_t inner, int64_t inner_stride) {
  softmax_columns<true>(y, x, batch, n, inner, inner_stride);
}

template <bool Log, class T>
PYDL_INLINE void softmax_columns_backward(T* dx, const T* y, const T* g, int64_t batch, int64_t n, int64_t inner,
                                          int64_t stride) {
  const bool past = past_cache(dx, batch * n, stride);
  T total[kColumnTile];
  for_column_tiles<T>(batch, n, inner, stride, [&](int64_t at, int64_t width) PYDL_FORCE_INLINE {
    for (int64_t j = 0; j < width; ++j) total[j] = 0;
    const auto add_rows = [&](int64_t i, auto rows) PYDL_FORCE_INLINE {
      const int64_t row = at + i * stride;
      for_vectors<T>(width, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        vec<T> sum(0);
        for (int r = 0; r < decltype(rows)::value; ++r) {
          const vec<T> d = lanes.load(g + row + r * stride + j);
          sum = Log ? sum + d : fma(d, lanes.load(y + row + r * stride + j), sum);
        }
        lanes.store(lanes.load(total + j) + sum, total + j);
      });
    };
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) add_rows(i, std::integral_constant<int, 4>{});
    for (; i < n; ++i) add_rows(i, std::integral_constant<int, 1>{});
    for (i = 0; i < n; ++i) {
      const int64_t row = at + i * stride;
      write_vectors<T>(width, past, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        const vec<T> out = lanes.load(y + row + j), d = lanes.load(g + row + j), t = lanes.load(total + j);
        lanes.write(Log ? d - exp_nonpositive(out) * t : out * (d - t), dx + row + j);
      });
    }
  });
  if (past) stream_fence();
}
template <class T>
void softmax_outer_backward(T* dx, const T* y, const T* g, int64_t batch, int64_t n, int64_t inner,
                            int64_t inner_stride) {
  softmax_columns_backward<false>(dx, y, g, batch, n, inner, inner_stride);
}
template <class T>
void log_softmax_outer_backward(T* dx, const T* y, const T* g, int64_t batch, int64_t n, int64_t inner,
                                int64_t inner_stride) {
  softmax_columns_backward<true>(dx, y, g, batch, n, inner, inner_stride);
}

}  // namespace
PYDL_ISA_END
