// Conversion and movement loops; contract in cast.h. Plain loops that the compiler vectorizes for each ISA, and
// intrinsics for float16.
#include "kernels/cast.h"

#include "kernels/bytes.h"

#if defined(__clang__)
#define PYDL_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define PYDL_INDEPENDENT _Pragma("GCC ivdep")
#endif

PYDL_ISA_BEGIN
namespace {

// ---- conversions ----------------------------------------------------------------------------------------------------
template <class T> inline constexpr bool kIsHalf = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;
template <class T> using Stored = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;

template <class To, class From> PYDL_INLINE Stored<To> convert(From x) {
  if constexpr (std::is_same_v<To, bool>) return x != 0;
  else if constexpr (!std::is_floating_point_v<From> || std::is_floating_point_v<To>) return static_cast<To>(x);
  else if constexpr (sizeof(To) == 8 || std::is_same_v<To, uint8_t>) return static_cast<To>(static_cast<int64_t>(x));
  else return static_cast<To>(static_cast<int32_t>(x));
}

template <class To, class From>
void convert_each(Stored<To>* __restrict__ out, const Stored<From>* __restrict__ in, int64_t n) {
  for (int64_t k = 0; k < n; ++k) {
    if constexpr (std::is_same_v<From, bool>) out[k] = convert<To>(uint8_t(in[k] > 1 ? 1 : in[k]));
    else out[k] = convert<To>(in[k]);
  }
}

void widen(float* __restrict__ out, const bfloat16* __restrict__ in, int64_t n) {
  for (int64_t k = 0; k < n; ++k) out[k] = float(in[k]);
}
void round_to(bfloat16* __restrict__ out, const float* __restrict__ in, int64_t n) {
  for (int64_t k = 0; k < n; ++k) out[k] = bfloat16(in[k]);
}
void widen(float* out, const float16* in, int64_t n) {
  int64_t k = 0;
#if defined(__AVX512F__)
  for (; k + 16 <= n; k += 16)
    _mm512_storeu_ps(out + k, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + k))));
#elif defined(__F16C__)
  for (; k + 8 <= n; k += 8)
    _mm256_storeu_ps(out + k, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + k))));
#endif
  for (; k < n; ++k) out[k] = float(in[k]);
}
void round_to(float16* out, const float* in, int64_t n) {
  int64_t k = 0;
#if defined(__AVX512F__)
  for (; k + 16 <= n; k += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + k),
                        _mm512_cvtps_ph(vec<float>::load_in_order(in + k).v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
  for (; k + 8 <= n; k += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + k),
                     _mm256_cvtps_ph(_mm256_loadu_ps(in + k), _MM_FROUND_TO_NEAREST_INT));
#endif
  for (; k < n; ++k) out[k] = float16(in[k]);
}

void round_to(float* out, const double* in, int64_t n) {
  int64_t k = 0;
#if defined(__AVX512F__)
  for (; k + 8 <= n; k += 8) _mm256_storeu_ps(out + k, _mm512_cvtpd_ps(vec<double>::load_in_order(in + k).v));
#endif
  for (; k < n; ++k) out[k] = float(in[k]);
}

// The pairs that round_to serves.
template <class To, class From> inline constexpr bool kRounds =
    (kIsHalf<To> && std::is_same_v<From, float>) || (std::is_same_v<To, float> && std::is_same_v<From, double>);

// Halves meet other dtypes in float32, a piece at a time.
template <class To, class From> void cast(void* out, const void* in, int64_t n) {
  constexpr int64_t kPiece = 512;
  auto* to = static_cast<Stored<To>*>(out);
  auto* from = static_cast<const Stored<From>*>(in);
  if constexpr (std::is_same_v<To, From>) {
    std::memcpy(out, in, size_t(n) * sizeof(To));
  } else if constexpr (kIsHalf<From> && std::is_same_v<To, float>) {
    widen(to, from, n);
  } else if constexpr (kRounds<To, From>) {
    round_to(to, from, n);
  } else if constexpr (kIsHalf<From> || kIsHalf<To>) {
    alignas(64) float piece[kPiece];
    for (; n > 0; n -= kPiece, to += kPiece, from += kPiece) {
      const int64_t m = n < kPiece ? n : kPiece;
      cast<float, From>(piece, from, m);
      cast<To, float>(to, piece, m);
    }
  } else {
    convert_each<To, From>(to, from, n);
  }
}

// ---- movement -------------------------------------------------------------------------------------------------------
template <class U> PYDL_INLINE void gather(void* out, const void* in, int64_t byte_stride, int64_t n) {
  auto* to = static_cast<U*>(out);
  auto* from = static_cast<const char*>(in);
#pragma GCC unroll 4
  for (int64_t k = 0; k < n; ++k, from += byte_stride) std::memcpy(to + k, from, sizeof(U));
}
template <class U> PYDL_INLINE void scatter(void* out, int64_t byte_stride, const void* in, int64_t n) {
  auto* to = static_cast<char*>(out);
  auto* from = static_cast<const U*>(in);
#pragma GCC unroll 4
  for (int64_t k = 0; k < n; ++k, to += byte_stride) std::memcpy(to, from + k, sizeof(U));
}
template <class U> PYDL_INLINE void fill(void* out, const void* value, int64_t n) {
  auto* to = static_cast<U*>(out);
  const U v = *static_cast<const U*>(value);
  for (int64_t k = 0; k < n; ++k) to[k] = v;
}
#define BY_SIZE(name, parameters, ...)                              \
  void name##1 parameters { name<uint8_t>(__VA_ARGS__); }           \
  void name##2 parameters { name<uint16_t>(__VA_ARGS__); }          \
  void name##4 parameters { name<uint32_t>(__VA_ARGS__); }          \
  void name##8 parameters { name<uint64_t>(__VA_ARGS__); }
BY_SIZE(gather, (void* out, const void* in, int64_t byte_stride, int64_t n), out, in, byte_stride, n)
BY_SIZE(scatter, (void* out, int64_t byte_stride, const void* in, int64_t n), out, byte_stride, in, n)
BY_SIZE(fill, (void* out, const void* value, int64_t n), out, value, n)
#undef BY_SIZE

// ---- copy and fill --------------------------------------------------------------------------------------------------
template <class U> void identity(void* out, const void* const* in, const int64_t* step, int64_t n, bool past_cache) {
  if (step[0]) {
    const int64_t bytes = n * int64_t(sizeof(U));
    auto* const from = static_cast<const char*>(in[0]);
    if (!past_cache || bytes < 4096) return copy_bytes(static_cast<char*>(out), from, bytes);
    stream_bytes(static_cast<char*>(out), from, bytes);
    return stream_fence();
  }
  constexpr int64_t L = kVectorBytes / int64_t(sizeof(U));
  auto* to = static_cast<U*>(out);
  if (past_cache && is_aligned(out)) {
    alignas(kVectorBytes) U copies[L];
    fill<U>(copies, in[0], L);
    const auto v = vec<double>::load(reinterpret_cast<const double*>(copies));
    for (; n >= L; n -= L, to += L) v.store_past_cache(reinterpret_cast<double*>(to));
    stream_fence();
  }
  fill<U>(to, in[0], n);
}

// ---- where ----------------------------------------------------------------------------------------------------------
// Broadcast operands are spread over one piece, which is then read again and again. `out` may be a or b themselves.
template <class U> PYDL_INLINE void choose(U* out, const uint8_t* condition, const U* a, const U* b, int64_t n) {
  PYDL_INDEPENDENT
  for (int64_t k = 0; k < n; ++k) {
    const U x = a[k], y = b[k];
    out[k] = condition[k] ? x : y;
  }
}
// A whole number of vectors, past the cache.
template <class T>
PYDL_INLINE void choose_past_cache(T* out, const uint8_t* condition, const T* a, const T* b, int64_t n) {
  constexpr int L = vec<T>::size;
  typedef uint8_t bytes __attribute__((vector_size(L), aligned(1), may_alias));
  for (int64_t k = 0; k < n; k += L) {
    const bytes truth = *reinterpret_cast<const bytes*>(condition + k);
    const mask<T> chosen = __builtin_convertvector(truth, typename vec<T>::raw_int) != 0;
    select(chosen, vec<T>::load_in_order(a + k), vec<T>::load_in_order(b + k)).store_past_cache(out + k);
  }
}

template <class U> void where(void* out, const void* const* in, const int64_t* step, int64_t n, bool past_cache) {
  constexpr int64_t kPiece = 512;
  alignas(64) uint8_t conditions[kPiece];
  alignas(64) U as[kPiece], bs[kPiece];
  auto* condition = static_cast<const uint8_t*>(in[0]);
  auto* a = static_cast<const U*>(in[1]);
  auto* b = static_cast<const U*>(in[2]);
  auto* to = static_cast<U*>(out);
  const int64_t spread = n < kPiece ? n : kPiece;
  if (!step[0]) fill<uint8_t>(conditions, condition, spread), condition = conditions;
  if (!step[1]) fill<U>(as, a, spread), a = as;
  if (!step[2]) fill<U>(bs, b, spread), b = bs;
  auto pieces = [&](int64_t whole, auto choose_piece) PYDL_FORCE_INLINE {
    for (; n >= whole && n > 0; n -= kPiece) {
      choose_piece(to, condition, a, b, n < kPiece ? n : kPiece);
      to += kPiece;
      condition += step[0] ? kPiece : 0, a += step[1] ? kPiece : 0, b += step[2] ? kPiece : 0;
    }
  };
  if constexpr (sizeof(U) >= 4) {
    using T = std::conditional_t<sizeof(U) == 4, float, double>;
    if (past_cache && n >= 2 * kPiece && is_aligned(out)) {
      pieces(kPiece, [](U* p, const uint8_t* c, const U* x, const U* y, int64_t m) {
        choose_past_cache(reinterpret_cast<T*>(p), c, reinterpret_cast<const T*>(x), reinterpret_cast<const T*>(y), m);
      });
      stream_fence();
    }
  }
  pieces(0, choose<U>);
}

#define ROW(From)                                                                                             \
  {&cast<bool, From>, &cast<uint8_t, From>, &cast<int8_t, From>, &cast<int16_t, From>, &cast<int32_t, From>,  \
   &cast<int64_t, From>, &cast<float16, From>, &cast<bfloat16, From>, &cast<float, From>, &cast<double, From>}
#define KERNEL(name, result, args) &name,
constexpr CastKernels kernels = {
    {ROW(bool), ROW(uint8_t), ROW(int8_t), ROW(int16_t), ROW(int32_t), ROW(int64_t), ROW(float16), ROW(bfloat16),
     ROW(float), ROW(double)},
    {&where<uint8_t>, &where<uint16_t>, &where<uint32_t>, &where<uint64_t>},
    {&identity<uint8_t>, &identity<uint16_t>, &identity<uint32_t>, &identity<uint64_t>},
#include "kernels/cast.inc"
};
#undef KERNEL
#undef ROW

}  // namespace

extern const CastKernels cast_kernels;
const CastKernels cast_kernels = kernels;

PYDL_ISA_END
