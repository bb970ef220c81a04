#include "kernels/table.h"

#include "kernels/random.h"

namespace pydl {

// What the kernel sources define once per ISA, and the tables made of it.
#define DECLARE_FAMILY(Type, family)      \
  extern const Type<float> family##_f32;  \
  extern const Type<double> family##_f64;
#define FLOAT_FAMILY(Type, family) family##_f32,
#define DOUBLE_FAMILY(Type, family) family##_f64,
#define DECLARE_ISA(isa)                                                      \
  namespace isa {                                                             \
  PYDL_KERNEL_FAMILIES(DECLARE_FAMILY)                                        \
  static const Kernels<float> all_f32{PYDL_KERNEL_FAMILIES(FLOAT_FAMILY)};    \
  static const Kernels<double> all_f64{PYDL_KERNEL_FAMILIES(DOUBLE_FAMILY)};  \
  extern const CastKernels cast_kernels;                                      \
  extern const RandomKernels<float> random_f32;                               \
  extern const RandomKernels<double> random_f64;                              \
  extern const MoveKernels<uint8_t> move_u8;                                  \
  extern const MoveKernels<uint16_t> move_u16;                                \
  extern const MoveKernels<uint32_t> move_u32;                                \
  extern const MoveKernels<uint64_t> move_u64;                                \
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

// The table of the ISA in use.
#define CHOOSE(Type, function)                                        \
  function {                                                          \
    static const Type* const tables[] = {EACH_ISA(TABLE)};            \
    static const Type& chosen = *tables[int(active_isa())];           \
    return chosen;                                                    \
  }
#define TABLE(isa) &isa::all_f32
CHOOSE(Kernels<float>, template <> const Kernels<float>& kernels<float>())
#undef TABLE
#define TABLE(isa) &isa::all_f64
CHOOSE(Kernels<double>, template <> const Kernels<double>& kernels<double>())
#undef TABLE
#define TABLE(isa) &isa::cast_kernels
CHOOSE(CastKernels, const CastKernels& cast_kernels())
#undef TABLE
#define TABLE(isa) &isa::random_f32
CHOOSE(RandomKernels<float>, template <> const RandomKernels<float>& random_kernels<float>())
#undef TABLE
#define TABLE(isa) &isa::random_f64
CHOOSE(RandomKernels<double>, template <> const RandomKernels<double>& random_kernels<double>())
#undef TABLE
#define TABLE(isa) &isa::move_u8
CHOOSE(MoveKernels<uint8_t>, template <> const MoveKernels<uint8_t>& move_kernels<uint8_t>())
#undef TABLE
#define TABLE(isa) &isa::move_u16
CHOOSE(MoveKernels<uint16_t>, template <> const MoveKernels<uint16_t>& move_kernels<uint16_t>())
#undef TABLE
#define TABLE(isa) &isa::move_u32
CHOOSE(MoveKernels<uint32_t>, template <> const MoveKernels<uint32_t>& move_kernels<uint32_t>())
#undef TABLE
#define TABLE(isa) &isa::move_u64
CHOOSE(MoveKernels<uint64_t>, template <> const MoveKernels<uint64_t>& move_kernels<uint64_t>())
#undef TABLE

}  // namespace pydl
