// A Python number: bool, int or float. It takes part in promotion by category only, never as a 0-d tensor.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace pydl {

class Scalar {
 public:
  Scalar() : Scalar(int64_t(0)) {}
  Scalar(bool v) : kind_(DType::Bool), int_(v) {}
  Scalar(int v) : Scalar(int64_t(v)) {}
  Scalar(int64_t v) : kind_(DType::Int64), int_(v) {}
  Scalar(double v) : kind_(DType::Float64), float_(v) {}

  // Bool, Int64 or Float64: the category.
  DType kind() const { return kind_; }
  bool is_float() const { return kind_ == DType::Float64; }
  bool is_bool() const { return kind_ == DType::Bool; }
  double to_double() const { return is_float() ? float_ : double(int_); }
  int64_t to_int() const { return is_float() ? int64_t(float_) : int_; }
  bool to_bool() const { return is_float() ? float_ != 0 : int_ != 0; }
  template <class T> T to() const {
    if constexpr (std::is_same_v<T, bool>) return to_bool();
    else if constexpr (std::is_same_v<T, bfloat16> || std::is_same_v<T, float16>) return T(float(to_double()));
    else return is_float() ? T(float_) : T(int_);
  }
  bool equals(double v) const { return is_float() ? float_ == v : double(int_) == v; }

 private:
  DType kind_;
  union {
    int64_t int_;
    double float_;
  };
};

}  // namespace pydl
