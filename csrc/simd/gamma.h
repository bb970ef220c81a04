// The gamma function's logarithm and its derivative for vec<float> and vec<double>; bounds and edge cases in math.h.
#pragma once
#include "simd/math.h"

PYDL_ISA_BEGIN
namespace {

// lgamma(1 + u) = u (u - 1) P(u), u = x below 1, where log x is taken off, and x - 1 up to x = 3; from there Stirling's
// (x - 1/2)(log x - 1) + (log(2 pi) - 1)/2 + R(1/x^2)/x. Small results near the zeros 1 and 2 lose no digits.
template <class T> PYDL_INLINE vec<T> lgamma(vec<T> x) {
  const mask<T> small = x < 1, large = x >= 3, common = !(x <= 0);
  const vec<T> u = select(small, x, x - 1), t = u - 1, inverse = 1 / x, z = inverse * inverse;
  vec<T> p, r;
  if constexpr (kSingle<T>) {
    p = polynomial(t, 0.422784328, -0.10031727, 0.0329649448, -0.0123849772, 0.0049994858, -0.00210204907,
                   0.000910483941, -0.000425600418, 0.000195843517, -5.23901399e-05, 2.02094998e-05, -3.87449327e-05,
                   1.93222513e-05);
    r = polynomial(z, 0.0833331645, -0.00276988791, 0.000678977929);
  } else {
    p = polynomial(u, 0.5772156649015329, 1.700658418898413, 1.927622582400061, 1.0577001689079777, 0.29036871041799583,
                   0.03717703292869469, 0.0017986389560768292, 1.6887273890309063e-05, -2.5069850224291996e-08) /
        polynomial(u, 1.0, 3.371200585405016, 4.502614935293204, 3.0371994469493298, 1.0937479800981025,
                   0.20470315366247435, 0.017889429279851505, 0.0005635339590357274, 2.6328592963177064e-06);
    r = polynomial(z, 0.08333333333333144, -0.0027777777769409937, 0.0007936506563943112, -0.000595226352036743,
                   0.0008411430787794476, -0.001896851068733574, 0.005921706016167549, -0.021153149560267072,
                   0.06862911449856171, -0.15842166454358853, 0.18137264064107755);
  }
  // log x, or log x - 1 without rounding log x first.
  const LogParts<T> l = log_parts(x);
  const vec<T> whole = fma(l.n, vec<T>(kLn2High<T>), select(large, -1, vec<T>(0))) + l.f;
  const vec<T> logarithm = whole + fma(l.n, vec<T>(kLn2Low<T>), log1p_tail(l.f));
  vec<T> y = select(large, fma(inverse, r, vec<T>(0.4189385332046727)), u * t * p);
  y = fma(select(large, x - 0.5, select(small, -1, vec<T>(0))), logarithm, y);
  if (__builtin_expect(!all_lanes(common), 0)) y = select(common, y, map_lanes(x, special::lgamma));
  return y;
}

// digamma(1 + u) = (u - root) P(u), u = x below 1, where 1/x is taken off, and x - 1 up to x = 2, or 3 in float64; from
// there log x - 1/(2x) - R(1/x^2)/x^2. The root in two parts: small results near it lose no digits.
template <class T> PYDL_INLINE vec<T> digamma(vec<T> x) {
  const mask<T> small = x < 1, large = x >= T(kSingle<T> ? 2 : 3), common = !(x < 0);
  const vec<T> u = select(small, x, x - 1), inverse = 1 / x, z = inverse * inverse;
  const T high = kSingle<T> ? T(0.461632133) : T(0.46163214496836236);
  const T low = kSingle<T> ? T(1.24381499e-08) : T(-1.5522348162858677e-17);
  vec<T> p, r;
  if constexpr (kSingle<T>) {
    p = polynomial(u - 0.5, 0.951055884, -0.423627466, 0.240538388, -0.148399979, 0.0951175764, -0.0620398968,
                   0.0393607207, -0.0258727204, 0.0239265393, -0.0162209533);
    r = polynomial(z, 0.0833323896, -0.00830013398, 0.00356145645, -0.0018288584);
  } else {
    p = polynomial(u, 1.2503801375034054, 2.016252773334194, 1.1862160009946403, 0.3225522672874282,
                   0.04177265517652691, 0.0023445502520017683, 4.195898578593707e-05, 4.541776295158182e-08) /
        polynomial(u, 1.0, 2.2960586527456437, 1.916356268696916, 0.7575925452558568, 0.15159274758360444,
                   0.014922363136977479, 0.0006324961817654114, 7.951115106201528e-06);
    r = polynomial(z, 0.08333333333320504, -0.008333333281263872, 0.003968246311793847, -0.0041660892261681055,
                   0.007549808910794144, -0.0203369631108948, 0.0682111297235772, -0.22359611456254566,
                   0.5440420292880964, -0.668137090870521);
  }
  const vec<T> near = fma(u - high - low, p, select(small, -inverse, 0));
  vec<T> y = select(large, fma(-inverse, fma(inverse, r, vec<T>(0.5)), log(x)), near);
  if (__builtin_expect(!all_lanes(common), 0)) y = select(common, y, map_lanes(x, special::digamma));
  return y;
}

}  // namespace
PYDL_ISA_END
