#include "simd/special.h"

#include <cmath>
#include <limits>

namespace pydl::special {

static constexpr double kInf = std::numeric_limits<double>::infinity();
static constexpr double kPi = 3.141592653589793;

double sin(double x) { return std::sin(x); }
double cos(double x) { return std::cos(x); }
double tan(double x) { return std::tan(x); }
double pow(double x, double y) { return std::pow(x, y); }
double fmod(double x, double y) { return std::fmod(x, y); }
double nextafter(double x, double y) { return std::nextafter(x, y); }
double nextafter_float(double x, double y) { return std::nextafter(float(x), float(y)); }

double lgamma(double x) {
  int sign;  // lgamma itself writes a global
  return ::lgamma_r(x, &sign);
}

// Reflection below zero, recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.3.18).
double digamma(double x) {
  if (x == 0) return std::copysign(kInf, -x);
  double result = 0;
  if (x < 0) {
    const double fraction = x - std::trunc(x);
    if (fraction == 0) return kNaN;
    result = -kPi / std::tan(kPi * fraction);
    x = 1 - x;
  }
  for (; x < 10; x += 1) result -= 1 / x;
  const double z = 1 / (x * x);
  const double far = 1. / 240 - z * (1. / 132 - z * (691. / 32760 - z / 12));
  const double series = z * (1. / 12 - z * (1. / 120 - z * (1. / 252 - z * far)));
  return result + std::log(x) - 0.5 / x - (x < kInf ? series : 0);
}

// sum (k + x)^-s over k >= 0: terms up to x >= 12, then Euler and Maclaurin.
static double hurwitz_zeta(double s, double x) {
  if (x <= 0 && x == std::floor(x)) return kInf;
  double sum = 0;
  for (; x < 12; x += 1) sum += std::pow(x, -s);
  const double tail = std::pow(x, -s), square = x * x;
  sum += tail * x / (s - 1) + 0.5 * tail;
  // B_2k / (2k)!, k = 1, 2, ...
  static constexpr double kBernoulli[] = {1. / 12,           -1. / 720,          1. / 30240,           -1. / 1209600,
                                          1. / 47900160,     -691. / 1307674368000., 1. / 74724249600.};
  double term = tail / x * s;
  for (int k = 0; k < 7; ++k) {
    sum += kBernoulli[k] * term;
    term *= (s + 2 * k + 1) * (s + 2 * k + 2) / square;
  }
  return sum;
}

double polygamma(double order, double x) {
  if (order == 0) return digamma(x);
  if (std::isnan(x)) return x;
  if (x == kInf) return 0;
  if (order == 1 && x < 0) {  // reflection: the sum over negative terms would be long
    const double sine = std::sin(kPi * (x - std::floor(x)));
    return sine == 0 ? kInf : kPi * kPi / (sine * sine) - polygamma(1, 1 - x);
  }
  if (x < -1e6) return kNaN;
  const double sign = std::fmod(order, 2) == 1 ? 1 : -1;
  return sign * std::tgamma(order + 1) * hurwitz_zeta(order + 1, x);
}

// exp(-x) I_order(x) for x >= 0, order 0 or 1: the power series (all terms positive), or the asymptotic one, whose
// smallest term is about exp(-2x).
static double bessel_scaled(int order, double x) {
  if (x == kInf) return 0;
  double sum = 1, term = 1;
  if (x < 20) {
    const double z = 0.25 * x * x;
    for (int k = 1; term > 1e-17 * sum; ++k) sum += term *= z / (double(k) * (k + order));
    return std::exp(-x) * sum * (order ? 0.5 * x : 1);
  }
  for (int k = 1; std::fabs(term) > 1e-17 * std::fabs(sum) && k < 40; ++k) {
    const double odd = 2 * k - 1;
    sum += term *= (odd * odd - 4 * order) / (8 * k * x);
  }
  return sum / std::sqrt(2 * kPi * x);
}
static double unscale(double scaled, double x) {
  return x > 700 ? scaled * std::exp(x - 350) * std::exp(350) : scaled * std::exp(x);
}

double i0e(double x) { return std::isnan(x) ? x : bessel_scaled(0, std::fabs(x)); }
double i1e(double x) { return std::isnan(x) ? x : std::copysign(bessel_scaled(1, std::fabs(x)), x); }
double i0(double x) { return std::isinf(x) ? kInf : unscale(i0e(x), std::fabs(x)); }
double i1(double x) { return std::isinf(x) ? x : unscale(i1e(x), std::fabs(x)); }

}  // namespace pydl::special
