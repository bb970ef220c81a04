// The integer and bool rows of pointwise.inc, on scalars that the compiler vectorizes; contract in pointwise.h.
#include "kernels/pointwise.h"

#include <type_traits>
#include <utility>

#include "base/truth.h"

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wbitwise-instead-of-logical"  // the table's & and | between truth values
#pragma clang diagnostic ignored "-Wpass-failed"                  // pow and gcd have loops inside
#define PYDL_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define PYDL_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace pydl {
namespace {

// One integer with the arithmetic that the table's expressions expect: wrapping, and for bool `or` as the sum and
// `and` as the product.
template <class T> struct lane {
  static constexpr bool is_bool = std::is_same_v<T, bool>, is_signed = std::is_signed_v<T>;
  using U = std::make_unsigned_t<std::conditional_t<is_bool, uint8_t, T>>;
  using Wide = std::conditional_t<(sizeof(T) < 4), uint32_t, U>;  // unsigned arithmetic that does not promote to int
  T v;

  lane() = default;
  lane(T x) : v(x) {}
  template <class S> requires(std::is_arithmetic_v<S> && !std::is_same_v<S, T>) lane(S s) : v(T(s)) {}
  static T wrap(Wide x) {
    if constexpr (is_bool) return x != 0;
    else return T(U(x));
  }

  friend lane operator+(lane a, lane b) { return wrap(Wide(a.v) + Wide(b.v)); }
  friend lane operator-(lane a, lane b) { return wrap(Wide(a.v) - Wide(b.v)); }
  friend lane operator*(lane a, lane b) { return wrap(Wide(a.v) * Wide(b.v)); }
  friend lane operator-(lane a) { return wrap(-Wide(a.v)); }
  friend lane operator&(lane a, lane b) { return T(a.v & b.v); }
  friend lane operator|(lane a, lane b) { return T(a.v | b.v); }
  friend lane operator^(lane a, lane b) { return T(a.v ^ b.v); }
  friend lane operator~(lane a) {
    if constexpr (is_bool) return !a.v;
    else return T(~a.v);
  }
  // Shifting by a negative count or by the width and more empties the value, as in PyTorch.
  static bool shiftable(lane count) { return !(count < 0) && uint64_t(count.v) < sizeof(T) * 8; }
  friend lane operator<<(lane a, lane b) { return shiftable(b) ? wrap(Wide(U(a.v)) << int(b.v)) : T(0); }
  friend lane operator>>(lane a, lane b) { return shiftable(b) ? T(a.v >> int(b.v)) : T(a < 0 ? -1 : 0); }

  friend bool operator<(lane a, lane b) { return a.v < b.v; }
  friend bool operator<=(lane a, lane b) { return a.v <= b.v; }
  friend bool operator>(lane a, lane b) { return a.v > b.v; }
  friend bool operator>=(lane a, lane b) { return a.v >= b.v; }
  friend bool operator==(lane a, lane b) { return a.v == b.v; }
  friend bool operator!=(lane a, lane b) { return a.v != b.v; }

  friend lane select(bool where, lane a, lane b) { return where ? a : b; }
  friend lane zeros_like(lane) { return T(0); }
  friend lane abs(lane x) { return x < 0 ? -x : x; }
  friend lane sign(lane x) { return T(int(x > 0) - int(x < 0)); }
  friend lane floor(lane x) { return x; }
  friend lane ceil(lane x) { return x; }
  friend lane trunc(lane x) { return x; }
  friend lane round(lane x) { return x; }
  friend lane maximum(lane a, lane b) { return a < b ? b : a; }
  friend lane minimum(lane a, lane b) { return b < a ? b : a; }
  friend lane fmax(lane a, lane b) { return maximum(a, b); }
  friend lane fmin(lane a, lane b) { return minimum(a, b); }
  friend bool isnan(lane) { return false; }
  friend bool isinf(lane) { return false; }
  friend bool isfinite(lane) { return true; }
  friend bool isposinf(lane) { return false; }
  friend bool isneginf(lane) { return false; }
  friend bool signbit(lane x) { return x < 0; }

  // The smallest integer over -1 would trap: that quotient is -a, wrapped.
  friend lane div_trunc(lane a, lane b) {
    if (b.v == 0) return 0;
    if constexpr (is_signed) if (b.v == T(-1)) return -a;
    return T(a.v / b.v);
  }
  friend lane fmod(lane a, lane b) {
    if (b.v == 0) return 0;
    if constexpr (is_signed) if (b.v == T(-1)) return 0;
    return T(a.v % b.v);
  }
  friend lane remainder(lane a, lane b) {
    const lane r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  }
  friend lane floor_divide(lane a, lane b) {
    const lane q = div_trunc(a, b);
    return fmod(a, b) != 0 && (a < 0) != (b < 0) ? q - 1 : q;
  }
  // Negative exponents leave what an integer can say: 1 for 1, +-1 for -1, else 0.
  friend lane pow(lane base, lane exponent) {
    if (exponent < 0) {
      if (base == 1) return 1;
      if constexpr (is_signed) if (base.v == T(-1)) return exponent.v % 2 ? T(-1) : T(1);
      return 0;
    }
    Wide result = 1, factor = Wide(base.v);
    for (uint64_t e = uint64_t(exponent.v); e; e >>= 1) {
      if (e & 1) result *= factor;
      factor *= factor;
    }
    return wrap(result);
  }
  friend lane gcd(lane a, lane b) {
    Wide x = Wide(abs(a).v), y = Wide(abs(b).v);
    while (y) {
      const Wide r = x % y;
      x = y;
      y = r;
    }
    return wrap(x);
  }
  friend lane lcm(lane a, lane b) {
    const lane g = gcd(a, b);
    if (g == 0) return 0;
    const lane quotient = div_trunc(a, g);
    if constexpr (sizeof(T) >= 4) return abs(quotient * b);
    else return wrap(Wide(quotient.v * b.v < 0 ? -(quotient.v * b.v) : quotient.v * b.v));  // the product as an int
  }
};

template <class T> T value_of(lane<T> x) { return x.v; }
inline bool value_of(bool x) { return x; }

inline constexpr int kMaxOperands = 5;

// ---- rows and loops, as for the floats but one element at a time -------------------------------------------------
#define EXPRESSION(row, count, declarations, expression)            \
  struct row {                                                      \
    static constexpr int operands = count;                          \
    template <class V> static auto apply([[maybe_unused]] const V (&in)[kMaxOperands]) { \
      declarations;                                                 \
      return expression;                                            \
    }                                                               \
  };
#define TENSOR(name, index) [[maybe_unused]] const V name = in[index]
#define PARAMS(first)                           \
  [[maybe_unused]] const V p = in[first];   \
  [[maybe_unused]] const V q = in[(first + 1) % kMaxOperands]; \
  [[maybe_unused]] const V r = in[(first + 2) % kMaxOperands]
#define UNARY_NOGRAD(name, domain, params, forward) EXPRESSION(name##_row, 1 + params, TENSOR(x, 0); PARAMS(1), forward)
#define UNARY(name, domain, params, forward, saved, gradient) UNARY_NOGRAD(name, domain, params, forward)
#define BINARY_NOGRAD(name, domain, params, forward) \
  EXPRESSION(name##_row, 2 + params, TENSOR(a, 0); TENSOR(b, 1); PARAMS(2), forward)
#define BINARY(name, domain, params, forward, ra, ga, rb, gb) BINARY_NOGRAD(name, domain, params, forward)
#define TERNARY(name, domain, params, forward, ra, ga, rb, gb, rc, gc) \
  EXPRESSION(name##_row, 3 + params, TENSOR(a, 0); TENSOR(b, 1); TENSOR(c, 2); PARAMS(3), forward)
#define TEST(name, domain, condition) UNARY_NOGRAD(name, domain, 0, condition)
#define COMPARE(name, domain, condition) BINARY_NOGRAD(name, domain, 0, condition)
#include "kernels/pointwise.inc"
#undef EXPRESSION
#undef TENSOR
#undef PARAMS

// Broadcast operands are spread over one piece, which is then read again and again, so one loop serves both steps.
template <class T, class Row>
void loop(void* out, const void* const* in, const int64_t* step, int64_t n, bool /*past_cache*/) {
  constexpr int64_t kPiece = 512;
  constexpr int count = Row::operands;
  using Out = decltype(value_of(Row::apply(std::declval<const lane<T>(&)[kMaxOperands]>())));
  alignas(64) T copies[count][kPiece];
  const T* at[count];
  for (int i = 0; i < count; ++i) {
    at[i] = static_cast<const T*>(in[i]);
    if (step[i]) continue;
    for (int64_t k = 0; k < (n < kPiece ? n : kPiece); ++k) copies[i][k] = value_at(at[i]);
    at[i] = copies[i];
  }
  Out* to = static_cast<Out*>(out);
  for (; n > 0; n -= kPiece, to += kPiece) {
    const int64_t m = n < kPiece ? n : kPiece;
    PYDL_INDEPENDENT
    for (int64_t k = 0; k < m; ++k) {
      lane<T> v[kMaxOperands] = {};
      for (int i = 0; i < count; ++i) v[i] = value_at(at[i] + k);
      to[k] = value_of(Row::apply(v));
    }
    for (int i = 0; i < count; ++i) at[i] += step[i] ? kPiece : 0;
  }
}

template <PointwiseDomain domain, class T, class Row> constexpr PointwiseLoop slot() {
  if constexpr (domain == PointwiseDomain::F) return nullptr;
  else return &loop<T, Row>;
}

template <class T> constexpr PointwiseKernels<T> make() {
  using enum PointwiseDomain;
#define UNARY(name, domain, ...) slot<domain, T, name##_row>(), nullptr,
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

template <class U> bool has_zero(const void* in, int64_t n) {
  const auto* at = static_cast<const U*>(in);
  constexpr int64_t kPiece = 1024;  // whole pieces vectorize; between them the search may stop
  for (int64_t begin = 0; begin < n; begin += kPiece) {
    bool found = false;
    for (int64_t k = begin; k < (n - begin < kPiece ? n : begin + kPiece); ++k) found |= at[k] == 0;
    if (found) return true;
  }
  return false;
}

}  // namespace

template <class T> const PointwiseKernels<T>& integer_pointwise() {
  static constexpr PointwiseKernels<T> table = make<T>();
  return table;
}
template const PointwiseKernels<bool>& integer_pointwise<bool>();
template const PointwiseKernels<uint8_t>& integer_pointwise<uint8_t>();
template const PointwiseKernels<int8_t>& integer_pointwise<int8_t>();
template const PointwiseKernels<int16_t>& integer_pointwise<int16_t>();
template const PointwiseKernels<int32_t>& integer_pointwise<int32_t>();
template const PointwiseKernels<int64_t>& integer_pointwise<int64_t>();

bool any_zero(const void* in, int64_t item_size, int64_t n) {
  switch (item_size) {
    case 1: return has_zero<uint8_t>(in, n);
    case 2: return has_zero<uint16_t>(in, n);
    case 4: return has_zero<uint32_t>(in, n);
    default: return has_zero<uint64_t>(in, n);
  }
}

}  // namespace pydl
