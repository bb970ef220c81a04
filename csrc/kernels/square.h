// Squares of L x L values transposed in registers: what packing is made of.
#pragma once
#include <utility>

#include "simd/vec.h"

#if defined(__clang__)
#define PYDL_UNROLL _Pragma("unroll")
#else
#define PYDL_UNROLL _Pragma("GCC unroll 32")
#endif

PYDL_ISA_BEGIN
namespace {

template <int S, bool Second, class T, int... I>
PYDL_INLINE vec<T> exchange(vec<T> a, vec<T> b, std::integer_sequence<int, I...>) {
  constexpr int L = vec<T>::size;
  if constexpr (Second) return vec<T>(__builtin_shufflevector(a.v, b.v, (I & S ? L + I : I + S)...));
  else return vec<T>(__builtin_shufflevector(a.v, b.v, (I & S ? L + I - S : I)...));
}
// Transposes L vectors of L lanes: each step exchanges one bit of the row number with the same bit of the lane.
template <class T, int S = 1> PYDL_INLINE void transpose(vec<T>* row) {
  constexpr int L = vec<T>::size;
  using All = std::make_integer_sequence<int, L>;
  if constexpr (S < L) {
    PYDL_UNROLL for (int i = 0; i < L; ++i)
      if (!(i & S)) {
        const vec<T> a = row[i], b = row[i + S];
        row[i] = exchange<S, false>(a, b, All{});
        row[i + S] = exchange<S, true>(a, b, All{});
      }
    transpose<T, 2 * S>(row);
  }
}

// A square of L rows of L values, `stride` apart, transposed; rows and values that do not exist read as zero. The array
// stays in registers as long as all its indices are constants.
template <class T> PYDL_INLINE void load_square(vec<T>* row, const T* in, int64_t stride) {
  PYDL_UNROLL for (int i = 0; i < vec<T>::size; ++i) row[i] = vec<T>::load(in + i * stride);
  transpose<T>(row);
}
template <class T>
PYDL_INLINE void load_square(vec<T>* row, const T* in, int64_t stride, int64_t rows, int64_t values) {
  PYDL_UNROLL for (int i = 0; i < vec<T>::size; ++i)
    row[i] = i < rows ? vec<T>::load_partial(in + i * stride, values) : vec<T>(0);
  transpose<T>(row);
}

}  // namespace
PYDL_ISA_END
