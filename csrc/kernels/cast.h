// Conversions between dtypes and the loops that move elements: strided gather and scatter, fill, where.
#pragma once
#include "base/dtype.h"
#include "kernels/pointwise.h"

namespace pydl {

// out[k] = To(in[k]) for k < n, both contiguous, no overlap. PyTorch's conversions: to bool is != 0; floats to integers
// truncate, and what does not fit takes the low bits of the processor's int32 (int64 for int64 and uint8) conversion,
// which is the smallest int for NaN; halves round to nearest even, from whatever dtype by way of float32.
using CastLoop = void (*)(void* out, const void* in, int64_t n);

struct CastKernels {
  CastLoop cast[kDTypeCount][kDTypeCount];  // [from][to]
  MovingLoops where;     // operands condition (bool), a, b
  MovingLoops identity;  // one operand: a copy, or a fill with one value
#define KERNEL(name, result, args) result (*name) args;
#include "kernels/cast.inc"
#undef KERNEL
};

const CastKernels& cast_kernels();  // of the ISA in use

inline CastLoop cast_loop(DType from, DType to) { return cast_kernels().cast[int(from)][int(to)]; }

#define PYDL_BY_SIZE(name, item_size, ...)                                                    \
  const CastKernels& k = cast_kernels();                                                      \
  (item_size == 1 ? k.name##1 : item_size == 2 ? k.name##2 : item_size == 4 ? k.name##4 : k.name##8)(__VA_ARGS__)

// Contiguous `out` from elements of 1, 2, 4 or 8 bytes that lie `byte_stride` apart (any sign, 0 too), and back.
inline void gather_strided(void* out, const void* in, int64_t byte_stride, int64_t item_size, int64_t n) {
  PYDL_BY_SIZE(gather, item_size, out, in, byte_stride, n);
}
inline void scatter_strided(void* out, int64_t byte_stride, const void* in, int64_t item_size, int64_t n) {
  PYDL_BY_SIZE(scatter, item_size, out, byte_stride, in, n);
}
// n copies of *value.
inline void fill(void* out, const void* value, int64_t item_size, int64_t n) {
  PYDL_BY_SIZE(fill, item_size, out, value, n);
}
#undef PYDL_BY_SIZE

}  // namespace pydl
