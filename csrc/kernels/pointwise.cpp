// The rows of pointwise.inc as loops over vec<float> and vec<double>; contract in pointwise.h.
#include "kernels/pointwise.h"

#include <utility>

#include "simd/gamma.h"

PYDL_ISA_BEGIN
namespace {

// ---- rows as types: apply() maps one vector of each operand to one of the output ------------------------------------
// Operands are tensors, then params; those that a row does not have read as zero. A row is light when memory, not the
// processor, limits it in cache, too: all but the functions of one number that only floats have.
inline constexpr int kMaxOperands = 5;
inline constexpr uint8_t NONE = 0, X = 1, Y = 1;
template <class V> PYDL_INLINE V flat(V gradient) { return gradient; }

#define EXPRESSION(row, arity, params, is_light, declarations, expression)                          \
  struct row {                                                                                      \
    static constexpr int tensors = arity, operands = tensors + params;                              \
    static constexpr bool light = is_light;                                                         \
    template <class V> static PYDL_INLINE auto apply([[maybe_unused]] const V (&in)[kMaxOperands]) { \
      declarations;                                                                                 \
      return expression;                                                                            \
    }                                                                                               \
  };
#define TENSOR(name, index) [[maybe_unused]] const V name = in[index]
#define PARAMS(first)                                 \
  [[maybe_unused]] const V p = in[first];             \
  [[maybe_unused]] const V q = in[(first + 1) % kMaxOperands];   \
  [[maybe_unused]] const V r = in[(first + 2) % kMaxOperands]

#define LIGHT(domain) PointwiseDomain::domain != PointwiseDomain::F
#define UNARY_NOGRAD(name, domain, params, forward) \
  EXPRESSION(name##_row, 1, params, LIGHT(domain), TENSOR(x, 0); PARAMS(1), forward)
#define UNARY(name, domain, params, forward, saved, gradient)                                                  \
  UNARY_NOGRAD(name, domain, params, forward)                                                                  \
  EXPRESSION(name##_backward_row, 1 + saved, params, LIGHT(domain), TENSOR(g, 0); TENSOR(x, 1); TENSOR(y, 1); \
             PARAMS(1 + saved), gradient)
#define BINARY_NOGRAD(name, domain, params, forward) \
  EXPRESSION(name##_row, 2, params, true, TENSOR(a, 0); TENSOR(b, 1); PARAMS(2), forward)
#define BINARY(name, domain, params, forward, ra, ga, rb, gb) BINARY_NOGRAD(name, domain, params, forward)
#define TERNARY(name, domain, params, forward, ra, ga, rb, gb, rc, gc) \
  EXPRESSION(name##_row, 3, params, true, TENSOR(a, 0); TENSOR(b, 1); TENSOR(c, 2); PARAMS(3), forward)
#define TEST(name, domain, condition) UNARY_NOGRAD(name, domain, 0, condition)
#define COMPARE(name, domain, condition) BINARY_NOGRAD(name, domain, 0, condition)
#include "kernels/pointwise.inc"
#undef EXPRESSION
#undef LIGHT
#undef TENSOR
#undef PARAMS

// ---- the loop -------------------------------------------------------------------------------------------------------
// A truth value a lane as bytes, 0 or 1, lane 0 first; bytes beyond the lanes are unspecified.
template <class T> PYDL_INLINE __m128i to_bytes(mask<T> m) {
#if defined(__AVX512F__)
  const __m128i bytes = sizeof(T) == 4 ? _mm512_cvtepi32_epi8((__m512i)m.m) : _mm512_cvtepi64_epi8((__m512i)m.m);
#else
#if defined(__AVX2__)
  const __m128i low = _mm256_castsi256_si128((__m256i)m.m), high = _mm256_extracti128_si256((__m256i)m.m, 1);
#else
  const __m128i low = (__m128i)m.m, high = low;
#endif
  const __m128i even = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(low), _mm_castsi128_ps(high), 0x88));
  const __m128i words = sizeof(T) == 4 ? _mm_packs_epi32(low, high) : _mm_packs_epi32(even, even);
  const __m128i bytes = _mm_packs_epi16(words, words);
#endif
  return _mm_and_si128(bytes, _mm_set1_epi8(1));
}
template <class T> PYDL_INLINE void store(mask<T> m, bool* out) {
  const __m128i bytes = to_bytes(m);
  std::memcpy(out, &bytes, vec<T>::size);
}
template <class T> PYDL_INLINE void store_partial(vec<T> v, T* out, int64_t n) { v.store_partial(out, n); }
template <class T> PYDL_INLINE void store_partial(mask<T> m, bool* out, int64_t n) {
  const __m128i bytes = to_bytes(m);
  std::memcpy(out, &bytes, size_t(n));
}
template <class T> T element_of(vec<T>);
template <class T> bool element_of(mask<T>);

inline constexpr int64_t kStreamRun = 1024;  // elements from which the fence after stores past the cache is paid back

// A broadcast tensor becomes a vector of copies that the pointer never leaves, so one loop serves both steps; params stay
// in registers.
template <class T, class Row>
void loop(void* out, const void* const* in, const int64_t* step, int64_t n, bool past_cache) {
  constexpr int L = vec<T>::size, count = Row::tensors;
  using Operands = const vec<T>[kMaxOperands];
  using Out = decltype(element_of(Row::apply(std::declval<Operands&>())));
  alignas(kVectorBytes) T copies[count][L];
  const T* at[count];
  int64_t advance[count];
  for (int i = 0; i < count; ++i) {
    at[i] = static_cast<const T*>(in[i]);
    advance[i] = step[i] * L;
    if (step[i]) continue;
    vec<T>(*at[i]).store(copies[i]);
    at[i] = copies[i];
  }
  vec<T> v[kMaxOperands] = {0, 0, 0, 0, 0};
  for (int i = count; i < Row::operands; ++i) v[i] = vec<T>(*static_cast<const T*>(in[i]));
  Out* to = static_cast<Out*>(out);
  auto run = [&](auto write) PYDL_FORCE_INLINE {
    for (; n >= L; n -= L, to += L) {
      for (int i = 0; i < count; ++i) v[i] = vec<T>::load_in_order(at[i]), at[i] += advance[i];
      write(Row::apply(v), to);
    }
  };
  if constexpr (std::is_same_v<T, Out>) {
    past_cache = past_cache && n >= kStreamRun && is_aligned(to);
    if constexpr (Row::light) {
      if (past_cache) run([](vec<T> v, T* p) { v.store_past_cache(p); });
      else run([](vec<T> v, T* p) { v.store(p); });
    } else {
      run([&](vec<T> v, T* p) {
        asm volatile("" : "+r"(past_cache));  // one loop for both: the compiler would repeat the row's expression
        if (past_cache) v.store_past_cache(p);
        else v.store(p);
      });
    }
    if (past_cache) stream_fence();
  } else {
    run([](mask<T> m, bool* p) { store(m, p); });
  }
  if (n) {
    for (int i = 0; i < count; ++i) v[i] = vec<T>::load_partial(at[i], n);
    store_partial(Row::apply(v), to, n);
  }
}

template <PointwiseDomain domain, class T, class Row> constexpr PointwiseLoop slot() {
  if constexpr (domain == PointwiseDomain::I) return nullptr;
  else return &loop<T, Row>;
}

template <class T> constexpr PointwiseKernels<T> make() {
  using enum PointwiseDomain;
#define UNARY(name, domain, ...) slot<domain, T, name##_row>(), slot<domain, T, name##_backward_row>(),
#define UNARY_NOGRAD(name, domain, ...) slot<domain, T, name##_row>(),
#define BINARY(name, domain, ...) slot<domain, T, name##_row>(),
#define BINARY_NOGRAD(name, domain, ...) slot<domain, T, name##_row>(),
#define TERNARY(name, domain, ...) slot<domain, T, name##_row>(),
#define TEST(name, domain, ...) slot<domain, T, name##_row>(),
#define COMPARE(name, domain, ...) slot<domain, T, name##_row>(),
  return {
#include "kernels/pointwise.inc"
  };
}

}  // namespace

extern const PointwiseKernels<float> pointwise_f32;
extern const PointwiseKernels<double> pointwise_f64;
const PointwiseKernels<float> pointwise_f32 = make<float>();
const PointwiseKernels<double> pointwise_f64 = make<double>();

PYDL_ISA_END
