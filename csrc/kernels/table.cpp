#include "kernels/table.h"

namespace pydl {

// The tables that the kernel sources define once per ISA: family by family, for float and double.
#define FAMILIES(X) X(PointwiseKernels, pointwise) X(ReduceKernels, reduce) X(RowwiseKernels, rowwise) X(GemmKernels, gemm) X(ConvKernels, conv) \
  X(OptimKernels, optim) X(RooflineKernels, roofline) X(ScatterKernels, scatter)
#define DECLARE_FAMILY(Type, family)      \
  extern const Type<float> family##_f32;  \
  extern const Type<double> family##_f64;
#define DECLARE_ISA(isa)                    \
  namespace isa {                           \
  FAMILIES(DECLARE_FAMILY)                  \
  extern const CastKernels cast_kernels;    \
  extern const MoveKernels<uint8_t> move_u8;   \
  extern const MoveKernels<uint16_t> move_u16; \
  extern const MoveKernels<uint32_t> move_u32; \
  extern const MoveKernels<uint64_t> move_u64; \
  }

// EACH_ISA(X): X(isa) for every ISA this build has, in the order of enum Isa.
#if defined(__x86_64__)
#define EACH_ISA(X) X(baseline), X(avx2), X(avx512)
DECLARE_ISA(baseline)
DECLARE_ISA(avx2)
DECLARE_ISA(avx512)
#else
#define EACH_ISA(X) X(baseline)
DECLARE_ISA(baseline)
#endif

template <> const Kernels<float>& kernels<float>() {
#define TABLE(isa) {isa::pointwise_f32, isa::reduce_f32, isa::rowwise_f32, isa::gemm_f32, isa::conv_f32, isa::optim_f32, isa::roofline_f32, isa::scatter_f32}
  static const Kernels<float> tables[] = {EACH_ISA(TABLE)};
  static const Kernels<float>& chosen = tables[int(active_isa())];
  return chosen;
#undef TABLE
}

template <> const Kernels<double>& kernels<double>() {
#define TABLE(isa) {isa::pointwise_f64, isa::reduce_f64, isa::rowwise_f64, isa::gemm_f64, isa::conv_f64, isa::optim_f64, isa::roofline_f64, isa::scatter_f64}
  static const Kernels<double> tables[] = {EACH_ISA(TABLE)};
  static const Kernels<double>& chosen = tables[int(active_isa())];
  return chosen;
#undef TABLE
}

const CastKernels& cast_kernels() {
#define TABLE(isa) &isa::cast_kernels
  static const CastKernels* const tables[] = {EACH_ISA(TABLE)};
  static const CastKernels& chosen = *tables[int(active_isa())];
  return chosen;
#undef TABLE
}

#define MOVE_TABLE(T, name)                                       \
  template <> const MoveKernels<T>& move_kernels<T>() {           \
    static const MoveKernels<T>* const tables[] = {EACH_ISA(TABLE)}; \
    static const MoveKernels<T>& chosen = *tables[int(active_isa())]; \
    return chosen;                                                \
  }
#define TABLE(isa) &isa::move_u8
MOVE_TABLE(uint8_t, move_u8)
#undef TABLE
#define TABLE(isa) &isa::move_u16
MOVE_TABLE(uint16_t, move_u16)
#undef TABLE
#define TABLE(isa) &isa::move_u32
MOVE_TABLE(uint32_t, move_u32)
#undef TABLE
#define TABLE(isa) &isa::move_u64
MOVE_TABLE(uint64_t, move_u64)
#undef TABLE

}  // namespace pydl
