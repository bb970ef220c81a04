// Work across the lanes of a vector and over arrays cut into vectors: what reductions and row-wise kernels share.
#pragma once
#include <utility>

#include "simd/vec.h"

PYDL_ISA_BEGIN
namespace {

// ---- arrays as vectors: f(j, lanes) for j = 0, L, 2L, ... where lanes loads and stores L elements, or the last few -
template <class T> struct WholeVector {
  static constexpr bool whole = true;
  PYDL_INLINE vec<T> load(const T* p) const { return vec<T>::load(p); }
  PYDL_INLINE vec<T> load(const T* p, T) const { return vec<T>::load(p); }
  PYDL_INLINE void store(vec<T> v, T* p) const { v.store(p); }
  PYDL_INLINE void write(vec<T> v, T* p) const { v.store(p); }
  PYDL_INLINE vec<T> keep(vec<T> v, T) const { return v; }
};

// The same with aligned writes past the cache, for large results; the kernel ends with stream_fence.
template <class T> struct StreamedVector : WholeVector<T> {
  PYDL_INLINE void write(vec<T> v, T* p) const { v.store_past_cache(p); }
};

template <class T> PYDL_INLINE typename vec<T>::raw_int iota() {
  typename vec<T>::raw_int r;
  for (int i = 0; i < vec<T>::size; ++i) r[i] = i;
  return r;
}
template <class T> PYDL_INLINE mask<T> first_lanes(int64_t n) {
  return mask<T>(iota<T>() < (typename vec<T>::raw_int{} + int_of<T>(n)));
}

template <class T> struct PartVector {
  static constexpr bool whole = false;
  int64_t n;
  PYDL_INLINE vec<T> load(const T* p) const { return vec<T>::load_partial(p, n); }
  PYDL_INLINE vec<T> load(const T* p, T fill) const { return keep(load(p), fill); }
  PYDL_INLINE void store(vec<T> v, T* p) const { v.store_partial(p, n); }
  PYDL_INLINE void write(vec<T> v, T* p) const { v.store_partial(p, n); }
  // v in the lanes that exist, fill in the others.
  PYDL_INLINE vec<T> keep(vec<T> v, T fill) const { return select(first_lanes<T>(n), v, vec<T>(fill)); }
};

template <class T, class Whole = WholeVector<T>, class F> PYDL_INLINE void for_vectors(int64_t n, F&& f) {
  constexpr int64_t L = vec<T>::size;
  int64_t j = 0;
  for (; j + L <= n; j += L) f(j, Whole{});
  if (j < n) f(j, PartVector<T>{n - j});
}

// ---- across lanes --------------------------------------------------------------------------------------------------
// One bit per lane, lane 0 lowest.
template <class T> PYDL_INLINE uint32_t lane_bits(mask<T> m) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return _mm512_movepi32_mask((__m512i)m.m);
  else return _mm512_movepi64_mask((__m512i)m.m);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) return uint32_t(_mm256_movemask_ps((__m256)m.m));
  else return uint32_t(_mm256_movemask_pd((__m256d)m.m));
#else
  if constexpr (sizeof(T) == 4) return uint32_t(_mm_movemask_ps((__m128)m.m));
  else return uint32_t(_mm_movemask_pd((__m128d)m.m));
#endif
}
template <class T> PYDL_INLINE bool any(mask<T> m) { return lane_bits(m) != 0; }

// Blocks of S lanes of (a, b), the even ones (Odd = 0) or the odd ones (Odd = 1), side by side.
template <int S, int Odd, class T, int... I>
PYDL_INLINE vec<T> blocks(vec<T> a, vec<T> b, std::integer_sequence<int, I...>) {
  return vec<T>(__builtin_shufflevector(a.v, b.v, ((I / S * 2 + Odd) * S + I % S)...));
}
template <int S, class Op, class T> PYDL_INLINE vec<T> fold_pair(Op op, vec<T> a, vec<T> b) {
  using All = std::make_integer_sequence<int, vec<T>::size>;
  return op.combine(blocks<S, 0>(a, b, All{}), blocks<S, 1>(a, b, All{}));
}

// The lanes of one vector combined as a tree of halves: lane i with lane i + L/2, then i + L/4, ...
template <class Op, class T, int S = vec<T>::size / 2> PYDL_INLINE T across(Op op, vec<T> v) {
  if constexpr (S == 0) return v.v[0];
  else return across<Op, T, S / 2>(op, fold_pair<S>(op, v, v));
}

// The same tree for L vectors at once: lane i of the result is across(v[i]), bit for bit, in L - 1 steps altogether.
template <int Count, class Op, class T> PYDL_INLINE vec<T> across_each(Op op, const vec<T>* v) {
  if constexpr (Count == 1) return v[0];
  else
    return fold_pair<vec<T>::size / Count>(op, across_each<Count / 2>(op, v),
                                           across_each<Count / 2>(op, v + Count / 2));
}
// out[i] = across(v[i]), 0 <= i < n <= L; the array has L elements.
template <class Op, class T> PYDL_INLINE void across_rows(Op op, T* out, const vec<T>* v, int64_t n) {
  constexpr int64_t L = vec<T>::size;
  if (n == L) return across_each<L>(op, v).store(out);
  if (n > L / 4) return across_each<L>(op, v).store_partial(out, n);
  for (int64_t i = 0; i < n; ++i) out[i] = across(op, v[i]);
}

}  // namespace
PYDL_ISA_END
