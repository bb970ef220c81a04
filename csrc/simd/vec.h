// One SIMD vector type for every ISA, compiled from the same source once per ISA.
//
// vec<T> (T = float, double) wraps a GCC/Clang vector of the ISA's full register width. Arithmetic, comparison and
// integer bit work use the compilers' vector operators; intrinsics appear only where those have no spelling (fma,
// sqrt, rounding, masked memory access). Everything lives in the ISA's own namespace, so the same inline function
// compiled for two ISAs is two functions and the linker can never pick the wrong one.
#pragma once
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#if defined(__x86_64__)
#pragma GCC diagnostic push
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 on its own _mm512_undefined_ps
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#ifndef PYDL_ISA
#error "compile kernel sources with -DPYDL_ISA=<namespace of the ISA>"
#endif
#define PYDL_ISA_BEGIN namespace pydl { namespace PYDL_ISA {
#define PYDL_ISA_END }}
#define PYDL_FORCE_INLINE __attribute__((always_inline))
#define PYDL_INLINE inline PYDL_FORCE_INLINE

PYDL_ISA_BEGIN

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

// The signed integer as wide as T: lane type of masks and of exponent arithmetic.
template <class T> using int_of = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;

template <class T> struct vec {
  static constexpr int size = kVectorBytes / int(sizeof(T));
  using value_type = T;
  using integer = int_of<T>;
  typedef T raw __attribute__((vector_size(kVectorBytes)));
  typedef integer raw_int __attribute__((vector_size(kVectorBytes)));
  typedef T unaligned __attribute__((vector_size(kVectorBytes), aligned(alignof(T)), may_alias));

  raw v;

  vec() = default;
  PYDL_INLINE vec(raw r) : v(r) {}
  template <class S, std::enable_if_t<std::is_arithmetic_v<S>, int> = 0>
  PYDL_INLINE vec(S s) : v(T(s) - raw{}) {}  // s - 0 is s for every s, -0 included

  static PYDL_INLINE vec load(const T* p) { return vec(raw(*reinterpret_cast<const unaligned*>(p))); }
  PYDL_INLINE void store(T* p) const { *reinterpret_cast<unaligned*>(p) = v; }
  // The same for reading long arrays in order: on AVX-512 as two halves, with which Zen 4 reads from L3 and memory up
  // to 20 % faster, and no slower from L1.
  static PYDL_INLINE vec load_in_order(const T* p);
  // The first n lanes (0 <= n <= size); the other lanes read as zero and are never touched in memory.
  static PYDL_INLINE vec load_partial(const T* p, int64_t n);
  PYDL_INLINE void store_partial(T* p, int64_t n) const;
  // To memory around the caches, without reading the line first: for results larger than they are. p is aligned to the
  // vector. stream_fence orders such stores before what follows.
  PYDL_INLINE void store_past_cache(T* p) const;

  friend PYDL_INLINE vec operator+(vec a, vec b) { return a.v + b.v; }
  friend PYDL_INLINE vec operator-(vec a, vec b) { return a.v - b.v; }
  friend PYDL_INLINE vec operator*(vec a, vec b) { return a.v * b.v; }
  friend PYDL_INLINE vec operator/(vec a, vec b) { return a.v / b.v; }
  friend PYDL_INLINE vec operator-(vec a) { return -a.v; }
  PYDL_INLINE vec& operator+=(vec b) { v += b.v; return *this; }
  PYDL_INLINE vec& operator-=(vec b) { v -= b.v; return *this; }
  PYDL_INLINE vec& operator*=(vec b) { v *= b.v; return *this; }
};

// A lane-wise truth value: all bits set where true.
template <class T> struct mask {
  using raw_int = typename vec<T>::raw_int;
  raw_int m;
  mask() = default;
  PYDL_INLINE mask(raw_int r) : m(r) {}
  friend PYDL_INLINE mask operator&(mask a, mask b) { return a.m & b.m; }
  friend PYDL_INLINE mask operator|(mask a, mask b) { return a.m | b.m; }
  friend PYDL_INLINE mask operator^(mask a, mask b) { return a.m ^ b.m; }
  friend PYDL_INLINE mask operator!(mask a) { return ~a.m; }
};

// Comparisons are found by argument-dependent lookup and take scalars on either side (x > 0).
#define PYDL_COMPARE(op)                                                                                             \
  template <class T> PYDL_INLINE mask<T> operator op(vec<T> a, vec<T> b) {                                            \
    return {typename vec<T>::raw_int(a.v op b.v)};                                                                    \
  }                                                                                                                   \
  template <class T> PYDL_INLINE mask<T> operator op(vec<T> a, std::type_identity_t<T> b) { return a op vec<T>(b); }  \
  template <class T> PYDL_INLINE mask<T> operator op(std::type_identity_t<T> a, vec<T> b) { return vec<T>(a) op b; }
PYDL_COMPARE(<)
PYDL_COMPARE(<=)
PYDL_COMPARE(>)
PYDL_COMPARE(>=)
PYDL_COMPARE(==)
PYDL_COMPARE(!=)
#undef PYDL_COMPARE

// a where m is true, b elsewhere.
template <class T> PYDL_INLINE vec<T> select(mask<T> m, vec<T> a, vec<T> b) { return vec<T>(m.m ? a.v : b.v); }
template <class T> PYDL_INLINE vec<T> select(mask<T> m, vec<T> a, std::type_identity_t<T> b) {
  return select(m, a, vec<T>(b));
}
template <class T> PYDL_INLINE vec<T> select(mask<T> m, std::type_identity_t<T> a, vec<T> b) {
  return select(m, vec<T>(a), b);
}

// Reinterpret the bits of a vector as integers and back.
template <class T> PYDL_INLINE typename vec<T>::raw_int bits(vec<T> a) { return (typename vec<T>::raw_int)a.v; }
template <class T> PYDL_INLINE vec<T> from_bits(typename vec<T>::raw_int b) { return vec<T>((typename vec<T>::raw)b); }
template <class T> inline constexpr int_of<T> kSignBit = std::numeric_limits<int_of<T>>::min();

// One bit a lane.
template <class T> PYDL_INLINE uint32_t mask_bits(mask<T> m) {
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
template <class T> PYDL_INLINE bool all_lanes(mask<T> m) { return mask_bits(m) == (uint32_t(1) << vec<T>::size) - 1; }

// ---- the few operations that need an intrinsic --------------------------------------------------------------------
// fma(a, b, c) = a*b + c, rounded once where the ISA has FMA and twice on the baseline.
// lesser(a, b) = a < b ? a : b and greater(a, b) = a > b ? a : b: b where either is NaN.
#if defined(__FMA__)
inline constexpr bool kHasFma = true;
#else
inline constexpr bool kHasFma = false;
#endif
#if defined(__AVX512F__)
PYDL_INLINE vec<float> fma(vec<float> a, vec<float> b, vec<float> c) {
  return vec<float>(_mm512_fmadd_ps(a.v, b.v, c.v));
}
PYDL_INLINE vec<double> fma(vec<double> a, vec<double> b, vec<double> c) {
  return vec<double>(_mm512_fmadd_pd(a.v, b.v, c.v));
}
PYDL_INLINE vec<float> sqrt(vec<float> a) { return vec<float>(_mm512_sqrt_ps(a.v)); }
PYDL_INLINE vec<double> sqrt(vec<double> a) { return vec<double>(_mm512_sqrt_pd(a.v)); }
PYDL_INLINE vec<float> lesser(vec<float> a, vec<float> b) { return vec<float>(_mm512_min_ps(a.v, b.v)); }
PYDL_INLINE vec<double> lesser(vec<double> a, vec<double> b) { return vec<double>(_mm512_min_pd(a.v, b.v)); }
PYDL_INLINE vec<float> greater(vec<float> a, vec<float> b) { return vec<float>(_mm512_max_ps(a.v, b.v)); }
PYDL_INLINE vec<double> greater(vec<double> a, vec<double> b) { return vec<double>(_mm512_max_pd(a.v, b.v)); }
#define PYDL_ROUND(name, mode)                                                                            \
  PYDL_INLINE vec<float> name(vec<float> a) { return vec<float>(_mm512_roundscale_ps(a.v, mode)); }        \
  PYDL_INLINE vec<double> name(vec<double> a) { return vec<double>(_mm512_roundscale_pd(a.v, mode)); }
template <> PYDL_INLINE vec<float> vec<float>::load_in_order(const float* p) {
  return vec(_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(p)), _mm256_loadu_ps(p + 8), 1));
}
template <> PYDL_INLINE vec<double> vec<double>::load_in_order(const double* p) {
  return vec(_mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_loadu_pd(p)), _mm256_loadu_pd(p + 4), 1));
}
template <> PYDL_INLINE vec<float> vec<float>::load_partial(const float* p, int64_t n) {
  return vec(_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p));
}
template <> PYDL_INLINE vec<double> vec<double>::load_partial(const double* p, int64_t n) {
  return vec(_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p));
}
template <> PYDL_INLINE void vec<float>::store_partial(float* p, int64_t n) const {
  _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), v);
}
template <> PYDL_INLINE void vec<double>::store_partial(double* p, int64_t n) const {
  _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), v);
}
#elif defined(__AVX2__)
PYDL_INLINE vec<float> fma(vec<float> a, vec<float> b, vec<float> c) {
  return vec<float>(_mm256_fmadd_ps(a.v, b.v, c.v));
}
PYDL_INLINE vec<double> fma(vec<double> a, vec<double> b, vec<double> c) {
  return vec<double>(_mm256_fmadd_pd(a.v, b.v, c.v));
}
PYDL_INLINE vec<float> sqrt(vec<float> a) { return vec<float>(_mm256_sqrt_ps(a.v)); }
PYDL_INLINE vec<double> sqrt(vec<double> a) { return vec<double>(_mm256_sqrt_pd(a.v)); }
PYDL_INLINE vec<float> lesser(vec<float> a, vec<float> b) { return vec<float>(_mm256_min_ps(a.v, b.v)); }
PYDL_INLINE vec<double> lesser(vec<double> a, vec<double> b) { return vec<double>(_mm256_min_pd(a.v, b.v)); }
PYDL_INLINE vec<float> greater(vec<float> a, vec<float> b) { return vec<float>(_mm256_max_ps(a.v, b.v)); }
PYDL_INLINE vec<double> greater(vec<double> a, vec<double> b) { return vec<double>(_mm256_max_pd(a.v, b.v)); }
#define PYDL_ROUND(name, mode)                                                                         \
  PYDL_INLINE vec<float> name(vec<float> a) { return vec<float>(_mm256_round_ps(a.v, mode)); }          \
  PYDL_INLINE vec<double> name(vec<double> a) { return vec<double>(_mm256_round_pd(a.v, mode)); }
PYDL_INLINE __m256i first_lanes_ps(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
PYDL_INLINE __m256i first_lanes_pd(int64_t n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
template <> PYDL_INLINE vec<float> vec<float>::load_partial(const float* p, int64_t n) {
  return vec(_mm256_maskload_ps(p, first_lanes_ps(n)));
}
template <> PYDL_INLINE vec<double> vec<double>::load_partial(const double* p, int64_t n) {
  return vec(_mm256_maskload_pd(p, first_lanes_pd(n)));
}
template <> PYDL_INLINE void vec<float>::store_partial(float* p, int64_t n) const {
  _mm256_maskstore_ps(p, first_lanes_ps(n), v);
}
template <> PYDL_INLINE void vec<double>::store_partial(double* p, int64_t n) const {
  _mm256_maskstore_pd(p, first_lanes_pd(n), v);
}
#else
PYDL_INLINE vec<float> fma(vec<float> a, vec<float> b, vec<float> c) { return a * b + c; }
PYDL_INLINE vec<double> fma(vec<double> a, vec<double> b, vec<double> c) { return a * b + c; }
PYDL_INLINE vec<float> sqrt(vec<float> a) { return vec<float>(_mm_sqrt_ps(a.v)); }
PYDL_INLINE vec<double> sqrt(vec<double> a) { return vec<double>(_mm_sqrt_pd(a.v)); }
PYDL_INLINE vec<float> lesser(vec<float> a, vec<float> b) { return vec<float>(_mm_min_ps(a.v, b.v)); }
PYDL_INLINE vec<double> lesser(vec<double> a, vec<double> b) { return vec<double>(_mm_min_pd(a.v, b.v)); }
PYDL_INLINE vec<float> greater(vec<float> a, vec<float> b) { return vec<float>(_mm_max_ps(a.v, b.v)); }
PYDL_INLINE vec<double> greater(vec<double> a, vec<double> b) { return vec<double>(_mm_max_pd(a.v, b.v)); }
#define PYDL_ROUND(name, mode)                                                                      \
  PYDL_INLINE vec<float> name(vec<float> a) { return vec<float>(_mm_round_ps(a.v, mode)); }          \
  PYDL_INLINE vec<double> name(vec<double> a) { return vec<double>(_mm_round_pd(a.v, mode)); }
template <class T> PYDL_INLINE vec<T> vec<T>::load_partial(const T* p, int64_t n) {
  vec r(0);
  std::memcpy(&r.v, p, size_t(n) * sizeof(T));
  return r;
}
template <class T> PYDL_INLINE void vec<T>::store_partial(T* p, int64_t n) const {
  std::memcpy(p, &v, size_t(n) * sizeof(T));
}
#endif
#if !defined(__AVX512F__)
template <class T> PYDL_INLINE vec<T> vec<T>::load_in_order(const T* p) { return load(p); }
#endif
template <class T> PYDL_INLINE void vec<T>::store_past_cache(T* p) const {
#if defined(__AVX512F__)
  _mm512_stream_si512((__m512i*)p, (__m512i)v);
#elif defined(__AVX2__)
  _mm256_stream_si256((__m256i*)p, (__m256i)v);
#elif defined(__x86_64__)
  _mm_stream_si128((__m128i*)p, (__m128i)v);
#else
  store(p);
#endif
}
PYDL_INLINE void stream_fence() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}
PYDL_INLINE bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % kVectorBytes == 0; }

// Round to an integral value; round() breaks ties to even, as PyTorch and NumPy do.
PYDL_ROUND(round, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
PYDL_ROUND(floor, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)
PYDL_ROUND(ceil, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)
PYDL_ROUND(trunc, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
#undef PYDL_ROUND

PYDL_ISA_END
