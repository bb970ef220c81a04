#include "kernels/taps.h"

#include "kernels/lanes.h"

PYDL_ISA_BEGIN
namespace {

template <class T>
void sum_rows(T* out, int64_t out_stride, const T* in, int64_t in_stride, const int64_t* starts, const int64_t* sources,
              const T* weights, int64_t begin, int64_t end, int64_t cols) {
  for (int64_t o = begin; o < end; ++o) {
    T* const to = out + o * out_stride;
    const int64_t first = starts[o], last = starts[o + 1];
    for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      vec<T> sum(0);
      for (int64_t k = first; k < last; ++k)
        if (sources[k] >= 0) sum = fma(vec<T>(weights[k]), lanes.load(in + sources[k] * in_stride + j), sum);
      lanes.store(sum, to + j);
    });
  }
}

// Several rows at a time, so that a tap is read once for all of them.
template <int R, class T>
PYDL_INLINE void sum_some_columns(T* out, int64_t outputs, const T* in, int64_t inputs, const int64_t* starts,
                                  const int64_t* sources, const T* weights) {
  for (int64_t o = 0; o < outputs; ++o) {
    T sum[R] = {};
    for (int64_t k = starts[o]; k < starts[o + 1]; ++k) {
      if (sources[k] < 0) continue;
      const T* const from = in + sources[k];
      for (int r = 0; r < R; ++r) sum[r] += weights[k] * from[r * inputs];
    }
    for (int r = 0; r < R; ++r) out[r * outputs + o] = sum[r];
  }
}
template <class T>
void sum_columns(T* out, int64_t outputs, const T* in, int64_t inputs, const int64_t* starts, const int64_t* sources,
                 const T* weights, int64_t rows) {
  int64_t r = 0;
  for (; r + 8 <= rows; r += 8)
    sum_some_columns<8>(out + r * outputs, outputs, in + r * inputs, inputs, starts, sources, weights);
  for (; r < rows; ++r)
    sum_some_columns<1>(out + r * outputs, outputs, in + r * inputs, inputs, starts, sources, weights);
}

template <class T>
void spread_rows(T* out, int64_t out_stride, const T* in, int64_t in_stride, const int64_t* starts, const int64_t* sources,
                 const T* weights, int64_t outputs, int64_t cols) {
  for (int64_t o = 0; o < outputs; ++o) {
    const T* const from = in + o * in_stride;
    for (int64_t k = starts[o]; k < starts[o + 1]; ++k) {
      if (sources[k] < 0) continue;
      T* const to = out + sources[k] * out_stride;
      const vec<T> weight(weights[k]);
      for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        lanes.store(fma(weight, lanes.load(from + j), lanes.load(to + j)), to + j);
      });
    }
  }
}
template <class T>
void spread_columns(T* out, int64_t inputs, const T* in, int64_t outputs, const int64_t* starts, const int64_t* sources,
                    const T* weights, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r, out += inputs, in += outputs)
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t k = starts[o]; k < starts[o + 1]; ++k)
        if (sources[k] >= 0) out[sources[k]] += weights[k] * in[o];
}

template <class T>
void dot_rows(T* out, const T* g, int64_t g_stride, const T* in, int64_t in_stride, const int64_t* starts,
              const int64_t* sources, int64_t begin, int64_t end, int64_t cols) {
  for (int64_t o = begin; o < end; ++o)
    for (int64_t k = starts[o]; k < starts[o + 1]; ++k) {
      vec<T> sum(0);
      if (sources[k] >= 0) {
        const T* const a = g + o * g_stride;
        const T* const b = in + sources[k] * in_stride;
        for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE { sum = fma(lanes.load(a + j), lanes.load(b + j), sum); });
      }
      T total = 0;
      for (int i = 0; i < vec<T>::size; ++i) total += sum.v[i];
      out[k] = total;
    }
}
template <class T>
void dot_columns(T* out, const T* g, int64_t outputs, const T* in, int64_t inputs, const int64_t* starts,
                 const int64_t* sources, int64_t begin, int64_t end, int64_t rows) {
  for (int64_t k = starts[begin]; k < starts[end]; ++k) out[k] = 0;
  for (int64_t r = 0; r < rows; ++r, g += outputs, in += inputs)
    for (int64_t o = begin; o < end; ++o)
      for (int64_t k = starts[o]; k < starts[o + 1]; ++k)
        if (sources[k] >= 0) out[k] += g[o] * in[sources[k]];
}

#define KERNEL(name, result, args) &name<T>,
template <class T>
constexpr TapsKernels<T> make() {
  return {
#include "kernels/taps.inc"
  };
}
#undef KERNEL

}  // namespace

extern const TapsKernels<float> taps_f32;
extern const TapsKernels<double> taps_f64;
const TapsKernels<float> taps_f32 = make<float>();
const TapsKernels<double> taps_f64 = make<double>();

PYDL_ISA_END
