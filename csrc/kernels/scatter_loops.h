// The loops of scatter.inc, for every arithmetic type.
#pragma once
#include <cstdint>
#include <type_traits>

#include "base/truth.h"

namespace pydl {
namespace {

// Integers wrap around, as unsigned arithmetic does.
struct Add {
  template <class T>
  static T combine(T a, T b) {
    if constexpr (std::is_same_v<T, bool>)
      return a || b;
    else if constexpr (std::is_integral_v<T>)
      return T(uint64_t(a) + uint64_t(b));
    else
      return a + b;
  }
};
struct Multiply {
  template <class T>
  static T combine(T a, T b) {
    if constexpr (std::is_same_v<T, bool>)
      return a && b;
    else if constexpr (std::is_integral_v<T>)
      return T(uint64_t(a) * uint64_t(b));
    else
      return a * b;
  }
};
struct Larger {
  template <class T>
  static T combine(T a, T b) {
    return b > a || b != b ? b : a;
  }
};
struct Smaller {
  template <class T>
  static T combine(T a, T b) {
    return b < a || b != b ? b : a;
  }
};

#define PYDL_LINE                                                                                                  \
  T *out, int64_t along, int64_t step, const T *in, int64_t in_stride, const int64_t *index, int64_t index_stride, \
      int64_t n

template <class Op, class T>
void combine_line(PYDL_LINE) {
  if (along == 1 && step == 0 && in_stride == 1 && index_stride == 1) {
#pragma GCC unroll 4
    for (int64_t i = 0; i < n; ++i) out[index[i]] = Op::combine(value_at(out + index[i]), value_at(in + i));
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    T* const o = out + index[i * index_stride] * along + i * step;
    *o = Op::combine(value_at(o), value_at(in + i * in_stride));
  }
}

}  // namespace
}  // namespace pydl
