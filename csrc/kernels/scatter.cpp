#include "kernels/scatter.h"

#include "kernels/lanes.h"
#include "kernels/scatter_loops.h"

PYDL_ISA_BEGIN
namespace {

template <class T>
void add_rows(T* out, int64_t out_stride, const T* in, int64_t in_stride, const int64_t* index, int64_t n, int64_t cols,
              int64_t first, int64_t last, T alpha) {
  constexpr int64_t kAhead = 8;  // rows fetched ahead
  const vec<T> scale(alpha);
  for (int64_t i = 0; i < n; ++i) {
    if (i + kAhead < n && index[i + kAhead] >= first && index[i + kAhead] < last) {
      const T* const next = out + index[i + kAhead] * out_stride;
      for (int64_t j = 0; j < cols && j < 128; j += 64 / int64_t(sizeof(T))) __builtin_prefetch(next + j, 1);
    }
    if (index[i] < first || index[i] >= last) continue;
    T* const o = out + index[i] * out_stride;
    const T* const a = in + i * in_stride;
    for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      lanes.store(fma(scale, lanes.load(a + j), lanes.load(o + j)), o + j);
    });
  }
}

template <class T>
void add(PYDL_LINE) {
  combine_line<Add>(out, along, step, in, in_stride, index, index_stride, n);
}
template <class T>
void multiply(PYDL_LINE) {
  combine_line<Multiply>(out, along, step, in, in_stride, index, index_stride, n);
}
template <class T>
void max(PYDL_LINE) {
  combine_line<Larger>(out, along, step, in, in_stride, index, index_stride, n);
}
template <class T>
void min(PYDL_LINE) {
  combine_line<Smaller>(out, along, step, in, in_stride, index, index_stride, n);
}

#define KERNEL(name, result, args) &name<T>,
template <class T>
constexpr ScatterKernels<T> make() {
  return {
#include "kernels/scatter.inc"
  };
}
#undef KERNEL

}  // namespace

extern const ScatterKernels<float> scatter_f32;
extern const ScatterKernels<double> scatter_f64;
const ScatterKernels<float> scatter_f32 = make<float>();
const ScatterKernels<double> scatter_f64 = make<double>();

PYDL_ISA_END
