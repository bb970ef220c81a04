// Mean and variance of rows and columns, whole or in pieces (the method: row_reduce.h). Included once, by reduce.cpp.
#pragma once

PYDL_ISA_BEGIN
namespace {

// Where the results of a reduction go: rounded to T, or kept as pieces for a later combine.
template <class T> struct VarMean {
  T *var, *mean;
  double correction;
  PYDL_INLINE void write(int64_t i, const Moments& m) const {
    const double freedom = m.count > correction ? m.count - correction : 0;
    double m2 = m.m2 > 0 || m.m2 != m.m2 ? m.m2 : 0;
    if (m2 != m2 && m.mean - m.mean == 0) m2 = __builtin_inf();  // finite values whose squares overflowed
    if (mean) mean[i] = T(m.mean);
    if (var) var[i] = T(m2 / freedom);
  }
  PYDL_INLINE void write_empty(int64_t i) const { write(i, {0, __builtin_nan(""), __builtin_nan("")}); }
};
struct Pieces {
  double *mean, *m2;
  PYDL_INLINE void write(int64_t i, const Moments& m) const { mean[i] = m.mean, m2[i] = m.m2; }
  PYDL_INLINE void write_empty(int64_t i) const { mean[i] = m2[i] = 0; }
};

// Columns: the shift of a span of rows is the mean of the rows before it (of its own rows, at the start), and a span is
// no longer than what lies before it. Where the shift is a poor guess, the spread that makes it poor is itself in m2,
// so the relative error stays a few eps. Sixteen rows are summed in T, then in double.
template <int R, class T>
PYDL_INLINE void deviation_rows(T* s1, T* s2, const T* shift, const T* in, int64_t width, int64_t stride) {
  constexpr int A = R < 4 ? R : 4;
  for_vectors<T>(width, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
    const vec<T> c = lanes.load(shift + j);
    vec<T> a[A], q[A];
    for (int r = 0; r < A; ++r) {
      a[r] = lanes.load(in + r * stride + j) - c;
      q[r] = a[r] * a[r];
    }
    for (int r = A; r < R; ++r) {
      const vec<T> d = lanes.load(in + r * stride + j) - c;
      a[r % A] += d, q[r % A] = fma(d, d, q[r % A]);
    }
    lanes.store(accumulator_tree<A>(Sum<T>{}, a), s1 + j);
    lanes.store(accumulator_tree<A>(Sum<T>{}, q), s2 + j);
  });
}

template <class T, class Result>
void moments_of_columns(const Result& result, const T* in, int64_t batch, int64_t n, int64_t cols, int64_t batch_stride,
                        int64_t row_stride) {
  constexpr int64_t tile = 256, head = 16, longest = 1024;
  T shift[tile], part1[tile], part2[tile];
  double mean[tile], m2[tile], s1[tile], s2[tile];
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t j = 0; j < cols; j += tile) {
      const int64_t width = cols - j < tile ? cols - j : tile;
      const T* column = in + b * batch_stride + j;
      for (int64_t begin = 0, end; begin < n; begin = end) {
        const int64_t span = begin == 0 ? head : begin < longest ? begin : longest;
        end = n - begin < span ? n : begin + span;
        if (begin == 0) {
          const T inverse = T(1) / T(end);
          reduce_rows(Sum<T>{}, shift, Rows<T>{column, cols, row_stride, 1, nullptr}, 0, end, width);
          for (int64_t k = 0; k < width; ++k) shift[k] *= inverse, mean[k] = m2[k] = 0;
        } else {
          for (int64_t k = 0; k < width; ++k) shift[k] = T(mean[k]);
        }
        for (int64_t k = 0; k < width; ++k) s1[k] = s2[k] = 0;
        for (int64_t i = begin, rows; i < end; i += rows) {
          const T* row = column + i * row_stride;
          if (i + 16 <= end) rows = 16, deviation_rows<16>(part1, part2, shift, row, width, row_stride);
          else if (i + 4 <= end) rows = 4, deviation_rows<4>(part1, part2, shift, row, width, row_stride);
          else rows = 1, deviation_rows<1>(part1, part2, shift, row, width, row_stride);
          for (int64_t k = 0; k < width; ++k) s1[k] += part1[k], s2[k] += part2[k];
        }
        // Moments::of and join for every column, their divisions taken out of the loop.
        const double count = double(end - begin), inverse = 1 / count, share = count / double(end),
                     weight = double(begin) * share;
        for (int64_t k = 0; k < width; ++k) {
          const double d = s1[k] * inverse, delta = begin ? shift[k] + d - mean[k] : 0;
          m2[k] += s2[k] - s1[k] * d + delta * delta * weight;
          mean[k] = begin ? mean[k] + delta * share : shift[k] + d;
        }
      }
      for (int64_t k = 0; k < width; ++k)
        if (n) result.write(b * cols + j + k, Moments{double(n), mean[k], m2[k]});
        else result.write_empty(b * cols + j + k);
    }
}

template <class T>
void var_mean_inner(T* var, T* mean, const T* in, int64_t rows, int64_t cols, int64_t row_stride, double correction) {
  moments_of_rows(VarMean<T>{var, mean, correction}, in, rows, cols, row_stride);
}
template <class T>
void var_mean_outer(T* var, T* mean, const T* in, int64_t batch, int64_t n, int64_t cols, int64_t batch_stride,
                    int64_t row_stride, double correction) {
  moments_of_columns(VarMean<T>{var, mean, correction}, in, batch, n, cols, batch_stride, row_stride);
}
template <class T>
void moments_inner(double* mean, double* m2, const T* in, int64_t rows, int64_t cols, int64_t row_stride) {
  moments_of_rows(Pieces{mean, m2}, in, rows, cols, row_stride);
}
template <class T>
void moments_outer(double* mean, double* m2, const T* in, int64_t batch, int64_t n, int64_t cols, int64_t batch_stride,
                   int64_t row_stride) {
  moments_of_columns(Pieces{mean, m2}, in, batch, n, cols, batch_stride, row_stride);
}

template <class T>
void moments_combine(double* mean, double* m2, const double* piece_mean, const double* piece_m2, int64_t size,
                     int64_t count, int64_t piece_count) {
  for (int64_t i = 0; piece_count && i < size; ++i) {
    const Moments m = Moments{double(count), mean[i], m2[i]}.join({double(piece_count), piece_mean[i], piece_m2[i]});
    mean[i] = m.mean, m2[i] = m.m2;
  }
}
template <class T>
void moments_finish(T* var, T* mean, const double* piece_mean, const double* piece_m2, int64_t size, int64_t count,
                    double correction) {
  const VarMean<T> result{var, mean, correction};
  for (int64_t i = 0; i < size; ++i)
    if (count) result.write(i, {double(count), piece_mean[i], piece_m2[i]});
    else result.write_empty(i);
}

}  // namespace
PYDL_ISA_END
