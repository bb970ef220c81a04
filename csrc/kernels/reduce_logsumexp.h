// logsumexp in one pass over memory: a running maximum m and the sum s of exp(x - m). Included once, by reduce.cpp.
#pragma once

PYDL_ISA_BEGIN
namespace {

template <class T> void logsumexp_inner(T* out, const T* in, int64_t rows, int64_t cols, int64_t row_stride) {
  constexpr int64_t L = vec<T>::size;
  T top[L], sum[L];
  for (int64_t k = 0; k < L; ++k) top[k] = sum[k] = 0;
  const int64_t group = row_group<T>(cols, 1);
  for (int64_t r = 0; r < rows; r += group) {
    const int64_t count = rows - r < group ? rows - r : group;
    sum_exp_rows<Max<T>>(top, sum, in + r * row_stride, count, cols, row_stride);
    const vec<T> result = log_sum_exp(vec<T>::load(top), vec<T>::load(sum));
    result.store_partial(out + r, count);
  }
}

template <class T>
void logsumexp_outer(T* out, const T* in, int64_t batch, int64_t n, int64_t cols, int64_t batch_stride,
                     int64_t row_stride) {
  constexpr int64_t tile = kTileBytes / sizeof(T);
  T m[tile], s[tile];
  for (int64_t b = 0; b < batch; ++b, out += cols, in += batch_stride)
    for (int64_t j = 0; j < cols; j += tile) {
      const int64_t width = cols - j < tile ? cols - j : tile;
      sum_exp_columns(m, s, in + j, n, width, row_stride);
      for_vectors<T>(width, [&](int64_t k, auto lanes) PYDL_FORCE_INLINE {
        lanes.store(log_sum_exp(lanes.load(m + k), lanes.load(s + k)), out + j + k);
      });
    }
}

}  // namespace
PYDL_ISA_END
