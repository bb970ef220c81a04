// Special functions of one double: what the vector math uses lane by lane. Compiled once.
#pragma once

namespace pydl {
inline constexpr double kNaN = __builtin_nan("");

namespace special {

double sin(double x);
double cos(double x);
double tan(double x);
double pow(double x, double y);
double fmod(double x, double y);
double nextafter(double x, double y);
double nextafter_float(double x, double y);  // between floats

double lgamma(double x);
double digamma(double x);                    // +-inf at -+0, NaN at negative integers
double polygamma(double order, double x);    // derivative of digamma of that order, an integer >= 0
double i0(double x), i0e(double x);          // modified Bessel functions; e: times exp(-|x|)
double i1(double x), i1e(double x);

}  // namespace special
}  // namespace pydl
