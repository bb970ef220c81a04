// Batch, group and instance norm of float and double: layouts and formulas in batch_norm.inc. Sums over columns keep a
// few vectors of them in registers while the rows go by, so that memory is read in order.
#include "kernels/batch_norm.h"

#include "kernels/row_reduce.h"

PYDL_ISA_BEGIN
namespace {

// One channel's coefficients in every lane, or a vector of channels.
template <class T> struct NormLanes { vec<T> mean, scale, shift; };
template <class T> struct GradientLanes { vec<T> by_dy, by_x, constant; };

template <class T> PYDL_INLINE vec<T> apply(const NormLanes<T>& n, vec<T> x) {
  return fma(x - n.mean, n.scale, n.shift);
}
template <bool Relu, class T> PYDL_INLINE vec<T> normalized(const NormLanes<T>& n, vec<T> x) {
  const vec<T> y = apply(n, x);
  return Relu ? select((y > 0) | isnan(y), y, 0) : y;
}
template <bool Relu, class T> PYDL_INLINE vec<T> passed(const NormLanes<T>& n, vec<T> dy, vec<T> x) {
  return Relu ? select(apply(n, x) <= 0, 0, dy) : dy;
}
template <bool Relu, bool Constant, class T>
PYDL_INLINE vec<T> gradient(const NormLanes<T>& n, const GradientLanes<T>& b, vec<T> dy, vec<T> x) {
  const vec<T> d = passed<Relu>(n, dy, x);
  return Constant ? d * b.by_dy : fma(d, b.by_dy, fma(x - n.mean, b.by_x, b.constant));
}

template <class T, class Lanes>
PYDL_INLINE NormLanes<T> columns_of(const ChannelNorm<T>& norm, int64_t j, Lanes lanes) {
  return {lanes.load(norm.mean + j), lanes.load(norm.scale + j), lanes.load(norm.shift + j)};
}
template <class T> PYDL_INLINE NormLanes<T> row_of(const ChannelNorm<T>& n, int64_t r) {
  return {vec<T>(n.mean[r]), vec<T>(n.scale[r]), vec<T>(n.shift[r])};
}

template <class T> PYDL_INLINE bool can_stream(const T* out, int64_t stride, bool wanted) {
  return wanted && stride * int64_t(sizeof(T)) % kVectorBytes == 0 && uintptr_t(out) % kVectorBytes == 0;
}
template <class T, class F> PYDL_INLINE void write_vectors(int64_t n, bool stream, F f) {
  if (stream) for_vectors<T, StreamedVector<T>>(n, f);
  else for_vectors<T>(n, f);
}

// f(first column, vectors, lanes) over the columns in blocks of 4 and 1 vectors, then the rest.
template <int V> struct Count { static constexpr int value = V; };
template <class T, class F> PYDL_INLINE void for_column_blocks(int64_t cols, F f) {
  constexpr int64_t L = vec<T>::size;
  int64_t j = 0;
  for (; j + 4 * L <= cols; j += 4 * L) f(j, Count<4>{}, WholeVector<T>{});
  for (; j + L <= cols; j += L) f(j, Count<1>{}, WholeVector<T>{});
  if (j < cols) f(j, Count<1>{}, PartVector<T>{cols - j});
}
// total += the lanes of v.
template <int V, class T> PYDL_INLINE void add_lanes(double* total, const vec<T>* v) {
  T lanes[V * vec<T>::size];
  for (int k = 0; k < V; ++k) v[k].store(lanes + k * vec<T>::size);
  for (int k = 0; k < V * vec<T>::size; ++k) total[k] += lanes[k];
}

// ---- statistics ----------------------------------------------------------------------------------------------------
template <class T> void moments_columns(double* mean, double* m2, const T* x, int64_t rows, int64_t cols) {
  constexpr int64_t L = vec<T>::size, kHead = 16, kLongest = 1024;
  for_column_blocks<T>(cols, [&](int64_t j, auto vectors, auto lanes) PYDL_FORCE_INLINE {
    constexpr int V = decltype(vectors)::value;
    const T* in = x + j;
    double m[V * L] = {}, d2[V * L] = {};
    T shifts[V * L] = {};
    vec<T> shift[V], a[V], q[V];
    for (int64_t begin = 0, end; begin < rows; begin = end) {
      const int64_t span = begin == 0 ? kHead : begin < kLongest ? begin : kLongest;
      end = rows - begin < span ? rows : begin + span;
      if (begin == 0) {
        for (int v = 0; v < V; ++v) shift[v] = vec<T>(0);
        for (int64_t r = 0; r < end; ++r)
          for (int v = 0; v < V; ++v) shift[v] += lanes.load(in + r * cols + v * L);
        for (int v = 0; v < V; ++v) (shift[v] = shift[v] * vec<T>(T(1) / T(end))).store(shifts + v * L);
      } else {
        for (int k = 0; k < V * L; ++k) shifts[k] = T(m[k]);
        for (int v = 0; v < V; ++v) shift[v] = vec<T>::load(shifts + v * L);
      }
      double s1[V * L] = {}, s2[V * L] = {};
      for (int64_t r = begin; r < end; r += 16) {
        for (int v = 0; v < V; ++v) a[v] = q[v] = vec<T>(0);
        for (int64_t i = r; i < end && i < r + 16; ++i)
          for (int v = 0; v < V; ++v) {
            const vec<T> d = lanes.load(in + i * cols + v * L) - shift[v];
            a[v] += d, q[v] = fma(d, d, q[v]);
          }
        add_lanes<V>(s1, a), add_lanes<V>(s2, q);
      }
      // Moments::of and join for every column, their divisions taken out of the loop.
      const double count = double(end - begin), inverse = 1 / count, share = count / double(end),
                   weight = double(begin) * share;
      for (int k = 0; k < V * L; ++k) {
        const double d = s1[k] * inverse, delta = begin ? shifts[k] + d - m[k] : 0;
        d2[k] += s2[k] - s1[k] * d + delta * delta * weight;
        m[k] = begin ? m[k] + delta * share : shifts[k] + d;
      }
    }
    for (int64_t k = 0; k < V * L && j + k < cols; ++k) mean[j + k] = m[k], m2[j + k] = d2[k];
  });
}

// ---- forward -------------------------------------------------------------------------------------------------------
template <bool Relu, class T>
PYDL_INLINE void normalize_columns_as(T* y, const T* x, const ChannelNorm<T>& norm, int64_t rows, int64_t cols,
                                      bool stream) {
  for (int64_t r = 0; r < rows; ++r, x += cols, y += cols)
    write_vectors<T>(cols, stream, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      lanes.write(normalized<Relu>(columns_of(norm, j, lanes), lanes.load(x + j)), y + j);
    });
}
template <class T>
void normalize_columns(T* y, const T* x, const ChannelNorm<T>& norm, int64_t rows, int64_t cols, bool stream) {
  stream = can_stream(y, cols, stream);
  if (norm.relu) normalize_columns_as<true>(y, x, norm, rows, cols, stream);
  else normalize_columns_as<false>(y, x, norm, rows, cols, stream);
  if (stream) stream_fence();
}

template <bool Relu, class T>
PYDL_INLINE void normalize_rows_as(T* y, const T* x, const ChannelNorm<T>& norm, int64_t rows, int64_t cols,
                                   int64_t stride, bool stream) {
  for (int64_t r = 0; r < rows; ++r, x += stride, y += stride) {
    const NormLanes<T> n = row_of(norm, r);
    write_vectors<T>(cols, stream, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      lanes.write(normalized<Relu>(n, lanes.load(x + j)), y + j);
    });
  }
}
template <class T>
void normalize_rows(T* y, const T* x, const ChannelNorm<T>& norm, int64_t rows, int64_t cols, int64_t stride,
                    bool stream) {
  stream = can_stream(y, stride, stream);
  if (norm.relu) normalize_rows_as<true>(y, x, norm, rows, cols, stride, stream);
  else normalize_rows_as<false>(y, x, norm, rows, cols, stride, stream);
  if (stream) stream_fence();
}

// ---- sums over channels --------------------------------------------------------------------------------------------
template <bool Relu, class T>
PYDL_INLINE void gradient_sums_columns_as(double* sum_dy, double* sum_dyx, const T* dy, const T* x,
                                          const ChannelNorm<T>& norm, int64_t rows, int64_t cols) {
  constexpr int64_t L = vec<T>::size;
  for_column_blocks<T>(cols, [&](int64_t j, auto vectors, auto lanes) PYDL_FORCE_INLINE {
    constexpr int V = decltype(vectors)::value;
    NormLanes<T> n[V];
    for (int v = 0; v < V; ++v) n[v] = columns_of(norm, j + v * L, lanes);
    double s1[V * L] = {}, s2[V * L] = {};
    vec<T> a[V], q[V];
    for (int64_t r = 0; r < rows; r += 16) {
      for (int v = 0; v < V; ++v) a[v] = q[v] = vec<T>(0);
      for (int64_t i = r; i < rows && i < r + 16; ++i)
        for (int v = 0; v < V; ++v) {
          const vec<T> in = lanes.load(x + i * cols + j + v * L);
          const vec<T> d = passed<Relu>(n[v], lanes.load(dy + i * cols + j + v * L), in);
          a[v] += d, q[v] = fma(d, in - n[v].mean, q[v]);
        }
      add_lanes<V>(s1, a), add_lanes<V>(s2, q);
    }
    for (int64_t k = 0; k < V * L && j + k < cols; ++k) sum_dy[j + k] = s1[k], sum_dyx[j + k] = s2[k];
  });
}
template <class T>
void gradient_sums_columns(double* sum_dy, double* sum_dyx, const T* dy, const T* x, const ChannelNorm<T>& norm,
                           int64_t rows, int64_t cols) {
  if (norm.relu) gradient_sums_columns_as<true>(sum_dy, sum_dyx, dy, x, norm, rows, cols);
  else gradient_sums_columns_as<false>(sum_dy, sum_dyx, dy, x, norm, rows, cols);
}

template <bool Relu, class T>
PYDL_INLINE void gradient_sums_rows_as(double* sum_dy, double* sum_dyx, const T* dy, const T* x,
                                       const ChannelNorm<T>& norm, int64_t rows, int64_t cols, int64_t stride) {
  constexpr int64_t L = vec<T>::size, kBlock = 64 * L;  // 16 terms to each of four accumulators
  for (int64_t r = 0; r < rows; ++r, dy += stride, x += stride) {
    const NormLanes<T> n = row_of(norm, r);
    double s1 = 0, s2 = 0;
    for (int64_t begin = 0; begin < cols; begin += kBlock) {
      const int64_t end = cols - begin < kBlock ? cols : begin + kBlock;
      vec<T> a[4], q[4];
      for (int k = 0; k < 4; ++k) a[k] = q[k] = vec<T>(0);
      const auto add = [&](int k, int64_t j, auto lanes) PYDL_FORCE_INLINE {
        const vec<T> in = lanes.load(x + j), d = passed<Relu>(n, lanes.load(dy + j), in);
        a[k] += d, q[k] = fma(d, lanes.keep(in - n.mean, 0), q[k]);
      };
      int64_t j = begin;
      for (; j + 4 * L <= end; j += 4 * L)
        for (int k = 0; k < 4; ++k) add(k, j + k * L, WholeVector<T>{});
      for (int k = 0; j + L <= end; j += L, ++k) add(k, j, WholeVector<T>{});
      if (j < end) add(3, j, PartVector<T>{end - j});
      s1 += double(across(Sum<T>{}, accumulator_tree<4>(Sum<T>{}, a)));
      s2 += double(across(Sum<T>{}, accumulator_tree<4>(Sum<T>{}, q)));
    }
    sum_dy[r] = s1, sum_dyx[r] = s2;
  }
}
template <class T>
void gradient_sums_rows(double* sum_dy, double* sum_dyx, const T* dy, const T* x, const ChannelNorm<T>& norm,
                        int64_t rows, int64_t cols, int64_t stride) {
  if (norm.relu) gradient_sums_rows_as<true>(sum_dy, sum_dyx, dy, x, norm, rows, cols, stride);
  else gradient_sums_rows_as<false>(sum_dy, sum_dyx, dy, x, norm, rows, cols, stride);
}

// ---- backward ------------------------------------------------------------------------------------------------------
template <bool Relu, bool Constant, class T>
PYDL_INLINE void backward_columns_as(T* dx, const T* dy, const T* x, const ChannelNorm<T>& norm,
                                     const ChannelGradient<T>& by, int64_t rows, int64_t cols, bool stream) {
  for (int64_t r = 0; r < rows; ++r, dx += cols, dy += cols, x += cols)
    write_vectors<T>(cols, stream, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      const NormLanes<T> n = columns_of(norm, j, lanes);
      GradientLanes<T> b{lanes.load(by.by_dy + j), vec<T>(0), vec<T>(0)};
      if (!Constant) b.by_x = lanes.load(by.by_x + j), b.constant = lanes.load(by.constant + j);
      lanes.write(gradient<Relu, Constant>(n, b, lanes.load(dy + j), lanes.load(x + j)), dx + j);
    });
}
template <class T>
void normalize_backward_columns(T* dx, const T* dy, const T* x, const ChannelNorm<T>& norm,
                                const ChannelGradient<T>& by, int64_t rows, int64_t cols, bool stream) {
  stream = can_stream(dx, cols, stream);
  if (norm.relu && by.by_x) backward_columns_as<true, false>(dx, dy, x, norm, by, rows, cols, stream);
  else if (norm.relu) backward_columns_as<true, true>(dx, dy, x, norm, by, rows, cols, stream);
  else if (by.by_x) backward_columns_as<false, false>(dx, dy, x, norm, by, rows, cols, stream);
  else backward_columns_as<false, true>(dx, dy, x, norm, by, rows, cols, stream);
  if (stream) stream_fence();
}

template <bool Relu, bool Constant, class T>
PYDL_INLINE void backward_rows_as(T* dx, const T* dy, const T* x, const ChannelNorm<T>& norm,
                                  const ChannelGradient<T>& by, int64_t rows, int64_t cols, int64_t stride,
                                  bool stream) {
  for (int64_t r = 0; r < rows; ++r, dx += stride, dy += stride, x += stride) {
    const NormLanes<T> n = row_of(norm, r);
    const GradientLanes<T> b{vec<T>(by.by_dy[r]), vec<T>(Constant ? 0 : by.by_x[r]),
                             vec<T>(Constant ? 0 : by.constant[r])};
    write_vectors<T>(cols, stream, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      lanes.write(gradient<Relu, Constant>(n, b, lanes.load(dy + j), lanes.load(x + j)), dx + j);
    });
  }
}
template <class T>
void normalize_backward_rows(T* dx, const T* dy, const T* x, const ChannelNorm<T>& norm, const ChannelGradient<T>& by,
                             int64_t rows, int64_t cols, int64_t stride, bool stream) {
  stream = can_stream(dx, stride, stream);
  if (norm.relu && by.by_x) backward_rows_as<true, false>(dx, dy, x, norm, by, rows, cols, stride, stream);
  else if (norm.relu) backward_rows_as<true, true>(dx, dy, x, norm, by, rows, cols, stride, stream);
  else if (by.by_x) backward_rows_as<false, false>(dx, dy, x, norm, by, rows, cols, stride, stream);
  else backward_rows_as<false, true>(dx, dy, x, norm, by, rows, cols, stride, stream);
  if (stream) stream_fence();
}

template <class T> constexpr BatchNormKernels<T> make() {
#define KERNEL(name, result, args) &name<T>,
  return {
#include "kernels/batch_norm.inc"
  };
#undef KERNEL
}

}  // namespace

extern const BatchNormKernels<float> batch_norm_f32;
extern const BatchNormKernels<double> batch_norm_f64;
const BatchNormKernels<float> batch_norm_f32 = make<float>();
const BatchNormKernels<double> batch_norm_f64 = make<double>();

PYDL_ISA_END
