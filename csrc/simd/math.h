// Elementary functions on vec<float> and vec<double>, from one source for every ISA.
//
// Largest errors measured, in units in the last place (float32 densely over the domain, float64 on samples):
//     1    sqrt exp exp2 log pow fmod remainder (exact), float32 erf
//     2    expm1 log2 log1p sin cos acos atan atan2 hypot cosh asinh rsqrt, float64 tanh sigmoid
//     2.5  log10 asin sinh tanh sigmoid acosh atanh
//     3    erfinv, float32 lgamma digamma (gamma.h)
//     4.5  tan erfc
//     5    float64 lgamma digamma
// ndtr keeps 46 + x^2 units in its lower tail (rounding x alone costs x^2). Lane by lane in double, through special.h:
// polygamma i0 i1 nextafter, float64 pow, lgamma and digamma below zero, and sin, cos, tan and fmod of huge arguments.
//
// NaN, infinities and -0 behave as in C and PyTorch. Subnormals are flushed around every kernel, so the logarithms
// count a subnormal argument as zero. The baseline, which lacks FMA, differs in the last bits and may pass these
// bounds by 0.2, that of ndtr by 40.
//
// Polynomials and their quotients are minimax fits (Remez) of the function named beside them unless another source is
// given. The reductions are Cody and Waite's, log's the one of fdlibm, erf's and erfc's shapes after N. Juffa.
#pragma once
#include <utility>

#include "simd/special.h"
#include "simd/vec.h"

PYDL_ISA_BEGIN
namespace {

// ---- parts ----------------------------------------------------------------------------------------------------------
inline constexpr double kInf = __builtin_inf();
inline constexpr double kLn2 = 0.6931471805599453, kPi = 3.141592653589793;

template <class T> inline constexpr bool kSingle = sizeof(T) == 4;
template <class T> inline constexpr int kMantissaBits = kSingle<T> ? 23 : 52;
// Adding it rounds to an integer, which then stands in the low bits.
template <class T> inline constexpr T kRounder = kSingle<T> ? T(0x1.8p23) : T(0x1.8p52);
// ln 2 in two parts, the first short enough that its products with exponents are exact.
template <class T> inline constexpr T kLn2High = kSingle<T> ? T(0.693359375) : T(6.93147180369123816490e-01);
template <class T> inline constexpr T kLn2Low = kSingle<T> ? T(-2.12194440e-4) : T(1.90821492927058770002e-10);

// c0 + c1 x + c2 x^2 + ...
template <class T, class... C> PYDL_INLINE vec<T> polynomial(vec<T> x, double c0, C... rest) {
  if constexpr (sizeof...(rest) == 0) return vec<T>(c0);
  else return fma(polynomial(x, rest...), x, vec<T>(c0));
}

template <int n, class T> PYDL_INLINE vec<T> power(vec<T> x) {
  if constexpr (n == 1) return x;
  else if constexpr (n % 2 == 1) return power<n - 1>(x) * x;
  else return power<n / 2>(x * x);
}
// The same, low and high powers side by side: half as long a chain of additions that wait for each other.
template <class T, size_t... I>
PYDL_INLINE vec<T> low_and_high(vec<T> x, const double (&c)[2 * sizeof...(I)], std::index_sequence<I...>) {
  constexpr int half = sizeof...(I);
  return fma(polynomial(x, c[half + I]...), power<half>(x), polynomial(x, c[I]...));
}
template <class T, class... C> PYDL_INLINE vec<T> long_polynomial(vec<T> x, C... c) {
  static_assert(sizeof...(C) % 2 == 0);
  return low_and_high(x, {c...}, std::make_index_sequence<sizeof...(C) / 2>());
}

// a * b - product, exactly; product is a * b rounded.
template <class T> PYDL_INLINE vec<T> product_error(vec<T> a, vec<T> b, vec<T> product) {
  if constexpr (kHasFma) return fma(a, b, -product);
  const T split = kSingle<T> ? T(0x1p12 + 1) : T(0x1p27 + 1);
  const vec<T> ca = a * split, cb = b * split;
  const vec<T> a1 = ca - (ca - a), b1 = cb - (cb - b), a2 = a - a1, b2 = b - b1;
  return ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2;
}

template <class T> PYDL_INLINE auto unsigned_bits(vec<T> x) {
  typedef std::make_unsigned_t<int_of<T>> raw_unsigned __attribute__((vector_size(kVectorBytes)));
  return (raw_unsigned)x.v;
}

// Lane by lane through a scalar function.
template <class T> __attribute__((noinline)) vec<T> map_lanes(vec<T> x, double (*f)(double)) {
  T lanes[vec<T>::size];
  x.store(lanes);
  for (T& lane : lanes) lane = T(f(double(lane)));
  return vec<T>::load(lanes);
}
template <class T> __attribute__((noinline)) vec<T> map_lanes(vec<T> x, vec<T> y, double (*f)(double, double)) {
  T a[vec<T>::size], b[vec<T>::size];
  x.store(a), y.store(b);
  for (int i = 0; i < vec<T>::size; ++i) a[i] = T(f(double(a[i]), double(b[i])));
  return vec<T>::load(a);
}

// ---- sign, comparison, rounding -------------------------------------------------------------------------------------
template <class T> PYDL_INLINE vec<T> zeros_like(vec<T>) { return vec<T>(0); }
template <class T> PYDL_INLINE vec<T> abs(vec<T> x) { return from_bits<T>(bits(x) & ~kSignBit<T>); }
template <class T> PYDL_INLINE vec<T> copysign(vec<T> x, vec<T> sign) {
  return from_bits<T>((bits(x) & ~kSignBit<T>) | (bits(sign) & kSignBit<T>));
}
template <class T> PYDL_INLINE mask<T> isnan(vec<T> x) { return x != x; }
template <class T> PYDL_INLINE mask<T> isinf(vec<T> x) { return abs(x) == T(kInf); }
template <class T> PYDL_INLINE mask<T> isfinite(vec<T> x) { return abs(x) < T(kInf); }
template <class T> PYDL_INLINE mask<T> isposinf(vec<T> x) { return x == T(kInf); }
template <class T> PYDL_INLINE mask<T> isneginf(vec<T> x) { return x == -T(kInf); }
template <class T> PYDL_INLINE mask<T> signbit(vec<T> x) { return mask<T>(bits(x) < 0); }
// 0 for NaN, as PyTorch's.
template <class T> PYDL_INLINE vec<T> sign(vec<T> x) {
  return select(x > 0, 1, select(x < 0, -1, vec<T>(0)));
}

// NaN wins in maximum and minimum, loses in fmax and fmin. Of equal values (-0 and 0) the former take the second.
template <class T> PYDL_INLINE vec<T> maximum(vec<T> a, std::type_identity_t<vec<T>> b) {
  return select(isnan(a), a, greater(a, b));
}
template <class T> PYDL_INLINE vec<T> minimum(vec<T> a, std::type_identity_t<vec<T>> b) {
  return select(isnan(a), a, lesser(a, b));
}
template <class T> PYDL_INLINE vec<T> fmax(vec<T> a, vec<T> b) { return select(isnan(a), b, greater(b, a)); }
template <class T> PYDL_INLINE vec<T> fmin(vec<T> a, vec<T> b) { return select(isnan(a), b, lesser(b, a)); }

// ---- exponentials ---------------------------------------------------------------------------------------------------
// x = n ln 2 + r with |r| <= ln 2 / 2; `biased` is n + kRounder.
template <class T> struct ExpParts { vec<T> r, n, biased; };
template <class T> PYDL_INLINE ExpParts<T> exp_parts(vec<T> x) {
  const vec<T> biased = fma(x, vec<T>(1.4426950408889634), vec<T>(kRounder<T>));
  const vec<T> n = biased - kRounder<T>;
  return {fma(n, vec<T>(-kLn2Low<T>), fma(n, vec<T>(-kLn2High<T>), x)), n, biased};
}

// exp(r) - 1 for |r| <= 0.3475: r + r^2 P(r).
template <class T> PYDL_INLINE vec<T> expm1_reduced(vec<T> r) {
  vec<T> p;
  if constexpr (kSingle<T>) p = polynomial(r, 0.499999933, 0.166665191, 0.0416684057, 0.00836889871, 0.00138142242);
  else p = polynomial(r, 0.5, 0.16666666666666685, 0.04166666666666608, 0.008333333333316697, 0.0013888888889120338,
                      0.0001984126989723704, 2.4801586920803752e-05, 2.755723399296744e-06, 2.755758456616814e-07,
                      2.5112344906004374e-08, 2.082636703617344e-09);
  return fma(r * r, p, r);
}

// 2^n for a normal result.
template <class T> PYDL_INLINE vec<T> power_of_two(vec<T> biased) {
  return from_bits<T>((bits(biased) << kMantissaBits<T>) + bits(vec<T>(1)));
}
// y * 2^n, where the result may leave the normal range although y does not.
template <class T> PYDL_INLINE vec<T> scale(vec<T> y, vec<T> n, [[maybe_unused]] vec<T> biased) {
#if defined(__AVX512F__)
  if constexpr (kSingle<T>) return vec<T>(_mm512_scalef_ps(y.v, n.v));
  else return vec<T>(_mm512_scalef_pd(y.v, n.v));
#else
  const vec<T> half = fma(n, vec<T>(0.5), vec<T>(kRounder<T>));
  return y * power_of_two(half) * power_of_two(biased - (half - kRounder<T>));
#endif
}
template <class T> PYDL_INLINE vec<T> clamp_keeping_nan(vec<T> x, double low, double high) {
  return greater(vec<T>(low), lesser(vec<T>(high), x));
}

// 2^shift exp(x); shift is -1 where exp(x) itself might overflow on the way to a finite result.
template <class T> PYDL_INLINE vec<T> exp_shifted(vec<T> x, int shift) {
  x = kSingle<T> ? clamp_keeping_nan(x, -104, 90) : clamp_keeping_nan(x, -746, 711);
  const ExpParts<T> e = exp_parts(x);
  return scale(1 + expm1_reduced(e.r), e.n + shift, e.biased + shift);
}
template <class T> PYDL_INLINE vec<T> exp(vec<T> x) { return exp_shifted(x, 0); }
// For x whose exponential is a normal number: -87.3 to 88.3, or -708.3 to 709.4.
template <class T> PYDL_INLINE vec<T> exp_normal(vec<T> x) {
  const ExpParts<T> e = exp_parts(x);
#if defined(__AVX512F__)
  return scale(1 + expm1_reduced(e.r), e.n, e.biased);
#else
  return (1 + expm1_reduced(e.r)) * power_of_two(e.biased);
#endif
}
// 2^r for |r| <= 1/2, and exactly 1 for 0.
template <class T> PYDL_INLINE vec<T> exp2_reduced(vec<T> r) {
  if constexpr (kSingle<T>)
    return polynomial(r, 1, 0.693147182, 0.240226477, 0.0555033237, 0.00961843785, 0.00133989006, 0.000153533416);
  else return 1 + expm1_reduced(r * kLn2);
}
template <class T> PYDL_INLINE vec<T> exp2(vec<T> x) {
  x = kSingle<T> ? clamp_keeping_nan(x, -151, 129) : clamp_keeping_nan(x, -1076, 1025);
  const vec<T> biased = x + kRounder<T>, n = biased - kRounder<T>;
  return scale(exp2_reduced(x - n), n, biased);
}

// 2^shift (exp(x) - 1), up to the sign of zero; shift < 0 where exp(x) might overflow on the way to a finite result.
// x is at least -40, or -18 in float32.
template <int shift, class T> PYDL_INLINE vec<T> expm1_shifted(vec<T> x) {
  const ExpParts<T> e = exp_parts(x);
  const vec<T> power = power_of_two(e.biased + shift);
  return fma(power, expm1_reduced(e.r), power - (shift == 0 ? 1 : shift == -1 ? 0.5 : 0.25));
}
template <class T> PYDL_INLINE vec<T> expm1(vec<T> x) {
  const vec<T> clamped = kSingle<T> ? clamp_keeping_nan(x, -18, 89) : clamp_keeping_nan(x, -40, 710);
  return copysign(2 * expm1_shifted<-1>(clamped), x);
}

template <class T> PYDL_INLINE vec<T> sigmoid(vec<T> x) {
  return 1 / (1 + exp_normal(kSingle<T> ? clamp_keeping_nan(-x, -87.3, 88.3) : clamp_keeping_nan(-x, -708.3, 709.4)));
}

template <class T> PYDL_INLINE vec<T> tanh(vec<T> x) {
  const vec<T> doubled = lesser(vec<T>(kSingle<T> ? 20 : 40), 2 * abs(x));
  const vec<T> e = expm1_shifted<0>(doubled);
  return copysign(e / (e + 2), x);
}
template <class T> PYDL_INLINE vec<T> sinh(vec<T> x) {
  const vec<T> e = expm1_shifted<-2>(lesser(vec<T>(kSingle<T> ? 89.6 : 710.6), abs(x)));  // (exp - 1) / 4
  return copysign(2 * (e + e / (4 * e + 1)), x);
}
template <class T> PYDL_INLINE vec<T> cosh(vec<T> x) {
  const vec<T> half = exp_shifted(abs(x), -1);
  return half + 0.25 / half;
}

// ---- logarithms -----------------------------------------------------------------------------------------------------
// x = 2^n (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), for normal positive x.
template <class T> struct LogParts { vec<T> n, f; };
template <class T> PYDL_INLINE LogParts<T> log_parts(vec<T> x) {
  const auto root = unsigned_bits(vec<T>(0.7071067811865476)), one = unsigned_bits(vec<T>(1));
  const auto shifted = unsigned_bits(x) + (one - root);
  const auto exponent = shifted >> kMantissaBits<T>;
  const auto significand = (shifted - (exponent << kMantissaBits<T>)) + root;
  const T bias = kSingle<T> ? 127 : 1023;
  const vec<T> n(typename vec<T>::raw(exponent + unsigned_bits(vec<T>(kRounder<T>))));
  return {n - (kRounder<T> + bias), vec<T>(typename vec<T>::raw(significand)) - 1};
}
// log(1 + f) - f on that interval.
template <class T> PYDL_INLINE vec<T> log1p_tail(vec<T> f) {
  const vec<T> square = f * f;
  if constexpr (kSingle<T>) {
    const vec<T> q = polynomial(f, 0.333333317, -0.25000821, 0.200012277, -0.166233585, 0.142017412, -0.131601575,
                                0.127616772, -0.0763467489);
    return fma(square, vec<T>(-0.5), square * f * q);
  } else {  // fdlibm's e_log
    const vec<T> s = f / (2 + f), z = s * s, half = 0.5 * square;
    const vec<T> tail = z * polynomial(z, 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                                       2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                                       1.479819860511658591e-01);
    return s * (half + tail) - half;
  }
}
// What a logarithm gives outside the positive normal numbers.
template <class T> PYDL_INLINE vec<T> log_checked(vec<T> x, vec<T> result) {
  const mask<T> regular = (x >= std::numeric_limits<T>::min()) & (x < T(kInf));
  if (__builtin_expect(!all_lanes(regular), 0)) {
    const vec<T> special = select(x < 0, kNaN, select(x < std::numeric_limits<T>::min(), -T(kInf), x));
    result = select(regular, result, special);
  }
  return result;
}

template <class T> PYDL_INLINE vec<T> log(vec<T> x) {
  const LogParts<T> l = log_parts(x);
  const vec<T> tail = fma(l.n, vec<T>(kLn2Low<T>), log1p_tail(l.f));
  return log_checked(x, fma(l.n, vec<T>(kLn2High<T>), l.f + tail));
}
template <class T> PYDL_INLINE vec<T> log2(vec<T> x) {
  const LogParts<T> l = log_parts(x);
  const vec<T> inverse = 1.4426950408889634;
  return log_checked(x, l.n + fma(log1p_tail(l.f), inverse, l.f * inverse));
}
template <class T> PYDL_INLINE vec<T> log10(vec<T> x) {
  const LogParts<T> l = log_parts(x);
  const T high = kSingle<T> ? T(0.301025390625) : T(3.01029995663611771306e-01);
  const T low = kSingle<T> ? T(4.6050389e-6) : T(3.69423907715893078616e-13);
  const vec<T> inverse = 0.4342944819032518;
  const vec<T> tail = fma(l.n, vec<T>(low), log1p_tail(l.f) * inverse);
  return log_checked(x, fma(l.n, vec<T>(high), fma(l.f, inverse, tail)));
}
template <class T> PYDL_INLINE vec<T> log1p(vec<T> x) {
  const vec<T> y = 1 + x;
  LogParts<T> l = log_parts(y);
  // f of the exact 1 + x: rounding y lost what x 2^-n still has.
  const vec<T> down = power_of_two(kRounder<T> - l.n);
  l.f = select(x < T(kSingle<T> ? 0x1p24 : 0x1p53), fma(x, down, down - 1), l.f);
  const vec<T> tail = fma(l.n, vec<T>(kLn2Low<T>), log1p_tail(l.f));
  return copysign(log_checked(y, fma(l.n, vec<T>(kLn2High<T>), l.f + tail)), x);
}

// ---- powers ---------------------------------------------------------------------------------------------------------
template <class T> PYDL_INLINE vec<T> rsqrt(vec<T> x) { return 1 / sqrt(x); }
template <class T> PYDL_INLINE vec<T> hypot(vec<T> a, vec<T> b) {
  a = abs(a), b = abs(b);
  const vec<T> large = maximum(a, b), ratio = minimum(a, b) / large;
  const vec<T> length = large * sqrt(fma(ratio, ratio, vec<T>(1)));
  return select((a == T(kInf)) | (b == T(kInf)), T(kInf), select(large == 0, 0, length));
}

template <int Half, int... I> PYDL_INLINE vec<double> widen(vec<float> x, std::integer_sequence<int, I...>) {
  const auto half = __builtin_shufflevector(x.v, x.v, (Half * int(sizeof...(I)) + I)...);
  return vec<double>(__builtin_convertvector(half, vec<double>::raw));
}
template <int Half> PYDL_INLINE vec<double> widen(vec<float> x) {
  return widen<Half>(x, std::make_integer_sequence<int, vec<double>::size>{});
}
template <int... I> PYDL_INLINE vec<float> narrow(vec<double> a, vec<double> b, std::integer_sequence<int, I...>) {
  typedef float half __attribute__((vector_size(kVectorBytes / 2)));
  const half low = __builtin_convertvector(a.v, half), high = __builtin_convertvector(b.v, half);
  return vec<float>(__builtin_shufflevector(low, high, I...));
}
PYDL_INLINE vec<float> narrow(vec<double> a, vec<double> b) {
  return narrow(a, b, std::make_integer_sequence<int, vec<float>::size>{});
}

PYDL_INLINE vec<double> pow(vec<double> x, vec<double> y) { return map_lanes(x, y, special::pow); }
// a^y in double, good to 2^-28, for a and y that come from float32 and a > 0.
PYDL_INLINE vec<double> pow_of_floats(vec<double> a, vec<double> y) {
  const LogParts<double> l = log_parts(a);
  const vec<double> q = polynomial(l.f, 0.33333333892405564, -0.2499999707631615, 0.19999911250958868,
                                   -0.1666685507415586, 0.1429017456865224, -0.12498287163764708, 0.11014789670345763,
                                   -0.0992453836604379, 0.09988484216202008, -0.0986307461674049, 0.05386770111261073);
  const vec<double> square = l.f * l.f, log = l.f + fma(square, vec<double>(-0.5), square * l.f * q);
  const vec<double> power = clamp_keeping_nan(y * fma(log, vec<double>(1.4426950408889634), l.n), -160, 130);
  const vec<double> biased = power + kRounder<double>, r = (power - (biased - kRounder<double>)) * kLn2;
  const vec<double> p = polynomial(r, 0.500000006870082, 0.1666666585646489, 0.04166629118768529, 0.008333498794295813,
                                   0.0013944942587212432, 0.00019790060542617462);
  return (1 + fma(r * r, p, r)) * power_of_two(biased);
}
PYDL_INLINE vec<float> pow(vec<float> x, vec<float> y) {
  const vec<float> a = abs(x), half = y * 0.5f;
  const mask<float> integer = trunc(y) == y, odd = integer & (trunc(half) != half);
  vec<float> result = narrow(pow_of_floats(widen<0>(a), widen<0>(y)), pow_of_floats(widen<1>(a), widen<1>(y)));
  const mask<float> zero = a == 0;
  result = select(zero | isinf(a), select(zero ^ (y < 0), vec<float>(0), vec<float>(float(kInf))), result);
  result = select(odd, copysign(result, x), result);
  result = select(((x < 0) & !integer & isfinite(x)) | isnan(x) | isnan(y), kNaN, result);
  return select((y == 0) | (x == 1) | ((x == -1) & isinf(y)), 1, result);
}

// ---- trigonometric --------------------------------------------------------------------------------------------------
// x = q pi/2 + r, |r| <= pi/4 (a little over where rounding says so); q modulo 4 stands in the low bits of `quadrant`.
template <class T> struct QuarterTurns {
  vec<T> r;
  typename vec<T>::raw_int quadrant;
};
// Beyond the limit the products below are no longer exact and lanes go through libm.
template <class T> inline constexpr T kTurnLimit = kSingle<T> ? (kHasFma ? 1e5f : 6000) : (kHasFma ? 1e8 : 5e5);
template <class T> PYDL_INLINE QuarterTurns<T> quarter_turns(vec<T> x) {
  const vec<T> biased = fma(x, vec<T>(0.6366197723675814), vec<T>(kRounder<T>)), n = biased - kRounder<T>;
  const auto reduce = [&](auto... part) { vec<T> r = x; ((r = fma(n, vec<T>(-part), r)), ...); return r; };
  vec<T> r;
  if constexpr (kSingle<T> && kHasFma) r = reduce(0x1.921fb6p+0, -0x1.777a5cp-25, -0x1.ee59dap-50);
  else if constexpr (kSingle<T>) r = reduce(0x1.92p+0, 0x1.fbp-12, 0x1.51p-22, 0x1.0b4612p-34);
  else if constexpr (kHasFma) r = reduce(0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110);
  else r = reduce(0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2ep-69, 0x1.b839a252049c1p-104);
  return {r, bits(biased)};
}
template <class T> PYDL_INLINE vec<T> sin_reduced(vec<T> r) {
  const vec<T> z = r * r;
  vec<T> p;
  if constexpr (kSingle<T>) p = polynomial(z, -0.166666666, 0.00833332893, -0.000198391876, 2.71691679e-06);
  else p = polynomial(z, -0.16666666666666624, 0.008333333333320222, -0.00019841269828002432, 2.7557313050818756e-06,
                      -2.505065579896069e-08, 1.5890770745976583e-10);
  return fma(z * r, p, r);
}
template <class T> PYDL_INLINE vec<T> cos_reduced(vec<T> r) {
  const vec<T> z = r * r;
  vec<T> p;
  if constexpr (kSingle<T>) p = polynomial(z, 0.0416666446, -0.00138872518, 2.44249232e-05);
  else p = polynomial(z, 0.04166666666666658, -0.001388888888887116, 2.4801587287575283e-05, -2.7557313787692635e-07,
                      2.0875644931317547e-09, -1.135552139514398e-11);
  return fma(z * z, p, fma(z, vec<T>(-0.5), vec<T>(1)));
}
template <class T> PYDL_INLINE vec<T> sin_turned(vec<T> x, int quarter) {
  const QuarterTurns<T> t = quarter_turns(x);
  const auto q = t.quadrant + quarter;
  const vec<T> y = select(mask<T>((q & 1) == 0), sin_reduced(t.r), cos_reduced(t.r));
  return from_bits<T>(bits(y) ^ ((q & 2) << (int(sizeof(T)) * 8 - 2)));
}
template <class T> PYDL_INLINE vec<T> with_huge(vec<T> x, vec<T> result, double (*f)(double)) {
  const mask<T> moderate = abs(x) < kTurnLimit<T>;
  if (__builtin_expect(!all_lanes(moderate), 0)) result = select(moderate, result, map_lanes(x, f));
  return result;
}
template <class T> PYDL_INLINE vec<T> sin(vec<T> x) {
  return with_huge(x, select(x == 0, x, sin_turned(x, 0)), special::sin);
}
template <class T> PYDL_INLINE vec<T> cos(vec<T> x) { return with_huge(x, sin_turned(x, 1), special::cos); }
template <class T> PYDL_INLINE vec<T> tan(vec<T> x) {
  const QuarterTurns<T> t = quarter_turns(x);
  const mask<T> even((t.quadrant & 1) == 0);
  const vec<T> s = sin_reduced(t.r), c = cos_reduced(t.r);
  return with_huge(x, select(x == 0, x, select(even, s, -c) / select(even, c, s)), special::tan);
}

// asin(x) - x over x, for z = x^2 <= 1/4.
template <class T> PYDL_INLINE vec<T> asin_tail(vec<T> z) {
  if constexpr (kSingle<T>) return z * polynomial(z, 0.166667539, 0.0749524178, 0.0454770984, 0.0241476025,
                                                  0.0422185656);
  else return z * polynomial(z, 0.16666666666666763, 0.07499999999970262, 0.04464285717512083, 0.030381942683621422,
                             0.0223722156600577, 0.017351600097955885, 0.013980961363793013, 0.011397776776494542,
                             0.010786524433660419, 0.0036830596037245645, 0.021763456805150103, -0.021077233924272493,
                             0.03267685464676013);
}
// Beyond 1/2, asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)).
template <class T> PYDL_INLINE vec<T> asin(vec<T> x) {
  const vec<T> a = abs(x);
  const mask<T> outer = a > 0.5;
  const vec<T> z = select(outer, 0.5 * (1 - a), a * a), root = select(outer, sqrt(z), a);
  const vec<T> y = fma(root, asin_tail(z), root);
  return copysign(select(outer, fma(y, vec<T>(-2), vec<T>(kPi / 2)), y), x);
}
template <class T> PYDL_INLINE vec<T> acos(vec<T> x) {
  const vec<T> a = abs(x);
  const mask<T> outer = a > 0.5;
  const vec<T> z = select(outer, 0.5 * (1 - a), a * a), root = select(outer, sqrt(z), x);
  const vec<T> tail = root * asin_tail(z);
  const T low = kSingle<T> ? T(-4.371139e-8) : T(6.123233995736766e-17);  // pi/2 less its rounded value
  const vec<T> y = 2 * (root + tail);
  const vec<T> inner = vec<T>(kPi / 2) - (root - (low - tail));
  return select(outer, select(x < 0, kPi - (y - 2 * low), y), inner);
}

// atan on [0, 1].
template <class T> PYDL_INLINE vec<T> atan_reduced(vec<T> x) {
  const vec<T> z = x * x;
  vec<T> p;
  if constexpr (kSingle<T>) p = polynomial(z, -0.333333019, 0.199986387, -0.142652458, 0.109575777, -0.0841946232,
                                           0.058234591, -0.031455732, 0.0110644531, -0.00182721496);
  else p = polynomial(z, -0.33333333333333093, 0.19999999999955437, -0.14285714282802361, 0.11111111013654036,
                      -0.09090907119296676, 0.07692281187053376, -0.06666414998562677, 0.058805925549653054,
                      -0.05253805536211088, 0.04723293252979693, -0.04221717404666227, 0.03669351551571172,
                      -0.02998554593924488, 0.022085114539718405, -0.013994949721840674, 0.0072633313529483256,
                      -0.002919329175213064, 0.0008434805741520713, -0.00015479630424270968, 1.3489218101854967e-05);
  return fma(z * x, p, x);
}
template <class T> PYDL_INLINE vec<T> atan(vec<T> x) {
  const vec<T> a = abs(x);
  const mask<T> outer = a > 1;
  const vec<T> y = atan_reduced(select(outer, 1 / a, a));
  return copysign(select(outer, kPi / 2 - y, y), x);
}
template <class T> PYDL_INLINE vec<T> atan2(vec<T> y, vec<T> x) {
  const vec<T> ay = abs(y), ax = abs(x), large = maximum(ay, ax);
  // 0/0 counts as 0 and inf/inf as 1.
  const vec<T> ratio = select(large == 0, 0, select(ay == ax, 1, minimum(ay, ax) / large));
  vec<T> angle = atan_reduced(ratio);
  angle = select(ay > ax, kPi / 2 - angle, angle);
  angle = select(signbit(x), kPi - angle, angle);
  return select(isnan(large), large, copysign(angle, y));
}

// ---- inverse hyperbolic ---------------------------------------------------------------------------------------------
template <class T> PYDL_INLINE vec<T> asinh(vec<T> x) {
  const vec<T> a = abs(x), square = a * a;
  const mask<T> large = a > T(kSingle<T> ? 0x1p24 : 0x1p53);  // asinh(a) is log(2a), log1p is log
  const vec<T> y = log1p(select(large, a, a + square / (1 + sqrt(square + 1))));
  return copysign(select(large, y + kLn2, y), x);
}
template <class T> PYDL_INLINE vec<T> acosh(vec<T> x) {
  const vec<T> t = x - 1;
  const mask<T> large = x > T(kSingle<T> ? 0x1p24 : 0x1p53);
  const vec<T> y = log1p(select(large, t, t + sqrt(t * (t + 2))));
  return select(x < 1, kNaN, select(large, y + kLn2, y));
}
template <class T> PYDL_INLINE vec<T> atanh(vec<T> x) {
  const vec<T> a = abs(x);
  return copysign(0.5 * log1p(2 * a / (1 - a)), x);
}

// ---- error function -------------------------------------------------------------------------------------------------
// x + x P(x^2) near zero, 1 - erfc(|x|) with a polynomial for log erfc beyond. The float32 coefficients are N. Juffa's.
template <class T> PYDL_INLINE vec<T> erf(vec<T> x) {
  const vec<T> square = x * x;
  vec<T> a = abs(x), near, exponent;
  mask<T> far;
  if constexpr (kSingle<T>) {
    far = a > 0.927734375f;
    a = lesser(vec<T>(4), a);
    near = polynomial(square, 1.28379166e-1, -3.76125336e-1, 1.12819925e-1, -2.67681349e-2, 4.99119423e-3,
                      -5.96761703e-4);
    exponent = fma(polynomial(a, -1.28717512e-1, -6.34846687e-1, -1.06777877e-1, 2.42546219e-2, -3.88396438e-3,
                              3.83197126e-4, -1.72853470e-5), a, -a);
  } else {
    far = a > 1;
    a = lesser(vec<T>(5.95), a);
    near = polynomial(square, 0.12837916709551256, -0.3761263890318355, 0.11283791670945252, -0.026866170643276024,
                      0.005223977607422219, -0.0008548325989650256, 0.00012055295319441906, -1.4924744648634377e-05,
                      1.6447517554440965e-06, -1.6209175345773597e-07, 1.3722975224490983e-08, -7.801189188553429e-10);
    exponent = polynomial(a, -2.9401942854240306e-08, -1.128378899338622, -0.6366208126238505, -0.10277058235037587,
                          0.019127561135448414, 0.0002030462058818163, -0.0016758372684098641, 0.0005531653138875149,
                          2.141712062196905e-05, -0.0001104349815353929, 6.459507255059409e-05,
                          -2.421642942508546e-05, 6.764425079070121e-06, -1.4648497424319378e-06,
                          2.4720048042439605e-07, -3.205554579287147e-08, 3.0929160909942486e-09,
                          -2.0936091985526818e-10, 8.873573357612655e-12, -1.771644769199445e-13);
  }
  return select(far, copysign(1 - exp_normal(exponent), x), fma(x, near, x));
}

// erfc(a) = exp(-a^2) G(q) / (1 + 2a) with q = (a - 2) / (a + 2), for a >= 0 up to where the result underflows.
template <class T> PYDL_INLINE vec<T> erfc(vec<T> x) {
  const vec<T> a = lesser(vec<T>(kSingle<T> ? 10.2 : 27.5), abs(x)), q = (a - 2) / (a + 2);
  vec<T> g;
  if constexpr (kSingle<T>) g = polynomial(q, 1.27697839, -0.092763895, -0.166031387, 0.164053102, -0.0542048611,
                                           -0.00804401531, 0.00863755607, 0.00127120915, -0.00125306398,
                                           -0.000362019284, 2.77547403e-05);
  else g = polynomial(q, 1.2769783815525286, -0.092763826585746, -0.1660303976152914, 0.16405128003344085,
                      -0.05422000099189379, -0.008034015082389141, 0.00872265387166365, 0.0012713389654703895,
                      -0.0014568138870968573, -0.0004543408266810278, 0.00020636668026537903, 0.0001510391343283526,
                      -1.5068240108957e-06, -3.642297716390463e-05, -1.3504293018648255e-05, 3.7086059337494626e-06,
                      5.252765109210122e-06, 1.5115868482206642e-06, -7.441876895111785e-07, -8.521690987819552e-07,
                      -2.0972740946650918e-07, 1.6258784143173598e-07, 1.2771725157575687e-07, 6.4108170438113075e-09,
                      -2.151497782623629e-08, -6.13817104631964e-09);
  const vec<T> square = a * a, lost = product_error(a, a, square);
  const vec<T> y = exp(-square) * (g / (1 + 2 * a)), result = fma(-lost, y, y);
  return select(x < 0, 2 - result, result);
}

// x P(w) up to w = -log(1 - x^2) = 5, M. Giles's variable ("Approximating the erfinv function", 2011), and beyond
// r Q(1/r) with r = sqrt(-log(1 - |x|)).
template <class T> PYDL_INLINE vec<T> erfinv(vec<T> x) {
  const vec<T> a = abs(x), w = -log((1 - a) * (1 + a));
  vec<T> p;
  if constexpr (kSingle<T>) p = polynomial(w, 0.886226892, 0.232013822, 0.0115486542, -0.002334296, -0.000127481748,
                                           4.45652913e-05, 3.98320708e-06, -1.97645431e-06, 2.21029666e-07,
                                           -8.79097595e-09);
  else p = polynomial(w, 0.886226925452758, 0.23201366653465214, 0.011549342038349352, -0.002335101642650295,
                      -0.00012804328699116542, 4.6611409388342824e-05, 2.020076939075346e-06, -1.012730665532494e-06,
                      -3.703694492765118e-08, 2.2509001686011968e-08, 9.943189286663509e-10, -6.807639727713704e-10,
                      6.306128058074929e-11, -1.8838826227887193e-11, 9.68764136418535e-12, -2.3636862410124143e-12,
                      3.095401779704726e-13, -1.991633813113612e-14, -9.997994922057373e-17, 1.199089898024834e-16,
                      -8.471787482242286e-18, 2.0993925772141747e-19);
  const mask<T> near = w < 5;
  if (__builtin_expect(all_lanes(near), 1)) return x * p;
  const vec<T> r = sqrt(-log(1 - a)), u = 1 / r - 0.3;
  vec<T> q;
  if constexpr (kSingle<T>) q = polynomial(u, 0.91842407, -0.399221569, -0.192403927, 0.487545758, -0.513671577,
                                           0.43328777);
  else q = polynomial(u, 0.9184240438767699, -0.3992209502150012, -0.19239073863683165, 0.4869413594128484,
                      -0.5148795716712209, 0.5650500434598171, -0.9346701346613059, 1.9187234019715849,
                      -4.134956747392694, 9.234031300732674, -21.50090963051888, 51.82451616172579,
                      -127.44025187401233, 339.12266078283835, -1004.405342243704, 1866.3858183402215,
                      -962.083175374685, 30640.47515129465, -144768.85540227607);
  return select(near, x * p, copysign(r * q, x));
}

// The normal distribution function. In float32 its smaller half is exp(P(|x|)) up to 6 standard deviations.
PYDL_INLINE vec<double> ndtr(vec<double> x) { return 0.5 * erfc(x * -0.7071067811865476); }
PYDL_INLINE vec<float> ndtr(vec<float> x) {
  const vec<float> a = abs(x);
  vec<float> half = exp_normal(long_polynomial(
      a, -0.693147172, -0.797885041, -0.318305597, -0.0363497706, 0.00480338054, 2.38444036e-05,
      -0.000215245916, 6.35863652e-05, -1.06739647e-05, 1.11514602e-06, -6.74893031e-08, 1.81072421e-09));
  const mask<float> near = a <= 6;
  if (__builtin_expect(!all_lanes(near), 0)) half = select(near, half, 0.5f * erfc(a * 0.7071067811865476f));
  return select(x > 0, 1 - half, half);
}

// ---- division with remainder ----------------------------------------------------------------------------------------
PYDL_INLINE vec<float> nextafter(vec<float> a, vec<float> b) { return map_lanes(a, b, special::nextafter_float); }
PYDL_INLINE vec<double> nextafter(vec<double> a, vec<double> b) { return map_lanes(a, b, special::nextafter); }

template <class T> PYDL_INLINE vec<T> div_trunc(vec<T> a, vec<T> b) { return trunc(a / b); }

// Exact. With FMA the remainder of a short quotient needs one step; the rest goes through libm.
template <class T> PYDL_INLINE vec<T> fmod(vec<T> a, vec<T> b) {
  if constexpr (!kHasFma) return map_lanes(a, b, special::fmod);
  const vec<T> quotient = trunc(a / b);
  const mask<T> short_quotient = (abs(quotient) < T(kSingle<T> ? 0x1p22 : 0x1p51)) & isfinite(b);
  vec<T> r = copysign(vec<T>(1), a) * fma(-quotient, b, a);  // as if a were positive
  r = copysign(select(r < 0, r + abs(b), r), a);             // the quotient was rounded up to the next integer
  if (__builtin_expect(!all_lanes(short_quotient), 0)) r = select(short_quotient, r, map_lanes(a, b, special::fmod));
  return r;
}
// Of the divisor's sign.
template <class T> PYDL_INLINE vec<T> remainder(vec<T> a, vec<T> b) {
  const vec<T> r = fmod(a, b);
  return select((r != 0) & ((b < 0) ^ (r < 0)), r + b, r);
}
// PyTorch's div_floor, which agrees with remainder and NumPy.
template <class T> PYDL_INLINE vec<T> floor_divide(vec<T> a, vec<T> b) {
  const vec<T> r = fmod(a, b);
  vec<T> quotient = (a - r) / b;
  quotient = select((r != 0) & ((b < 0) ^ (r < 0)), quotient - 1, quotient);
  const vec<T> down = floor(quotient), rounded = select(quotient - down > 0.5, down + 1, down);
  return select(b == 0, a / b, select(quotient == 0, copysign(vec<T>(0), a / b), rounded));
}

// ---- sums of exponentials -------------------------------------------------------------------------------------------
template <class T> PYDL_INLINE vec<T> logaddexp(vec<T> a, vec<T> b) {
  const vec<T> y = maximum(a, b) + log1p(exp(-abs(a - b)));
  return select((a == b) & isinf(a), a, y);
}
template <class T> PYDL_INLINE vec<T> logaddexp2(vec<T> a, vec<T> b) {
  const vec<T> y = maximum(a, b) + log1p(exp2(-abs(a - b))) * 1.4426950408889634;
  return select((a == b) & isinf(a), a, y);
}

// ---- lane by lane ---------------------------------------------------------------------------------------------------
#define PYDL_LANEWISE(name) \
  template <class T> PYDL_INLINE vec<T> name(vec<T> x) { return map_lanes(x, special::name); }
PYDL_LANEWISE(i0)
PYDL_LANEWISE(i0e)
PYDL_LANEWISE(i1)
PYDL_LANEWISE(i1e)
#undef PYDL_LANEWISE
template <class T> PYDL_INLINE vec<T> polygamma(std::type_identity_t<vec<T>> order, vec<T> x) {
  return map_lanes(order, x, special::polygamma);
}

}  // namespace
PYDL_ISA_END
