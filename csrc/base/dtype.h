// Element types: the enum, its properties, the 16-bit float storage types, and the visitors that turn a run-time
// dtype into a compile-time type.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

namespace pydl {

// The order is the promotion order inside a category. Complex64/128 are reserved: naming them raises.
enum class DType : uint8_t {
  Bool, UInt8, Int8, Int16, Int32, Int64, Float16, BFloat16, Float32, Float64, Complex64, Complex128
};
inline constexpr int kDTypeCount = 10;  // the usable ones

// 16-bit floats are storage types: arithmetic happens in float32 and rounds once, to nearest even. The conversions are
// always inlined: a weak copy compiled with one ISA's flags must never serve the others.
#define PYDL_ALWAYS_INLINE __attribute__((always_inline))
struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  PYDL_ALWAYS_INLINE explicit bfloat16(float f) {
    uint32_t u = std::bit_cast<uint32_t>(f);
    bits = (u & 0x7fffffff) > 0x7f800000 ? uint16_t((u >> 16) | 0x40) : uint16_t((u + 0x7fff + ((u >> 16) & 1)) >> 16);
  }
  PYDL_ALWAYS_INLINE explicit operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};

struct float16 {
  uint16_t bits = 0;
  float16() = default;
  PYDL_ALWAYS_INLINE explicit float16(float f) {
    const uint32_t u = std::bit_cast<uint32_t>(f), sign = (u >> 16) & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) bits = uint16_t(sign | 0x7e00);                          // NaN
    else if (a >= 0x477ff000) bits = uint16_t(sign | 0x7c00);                    // overflow, infinity
    else if (a < 0x38800000) {                                                   // subnormal: let the FPU round
      const float r = std::bit_cast<float>(a) + 0.5f;
      bits = uint16_t(sign | (std::bit_cast<uint32_t>(r) - 0x3f000000));
    } else bits = uint16_t(sign | ((a - 0x38000000 + 0xfff + ((a >> 13) & 1)) >> 13));
  }
  PYDL_ALWAYS_INLINE explicit operator float() const {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, e = (bits >> 10) & 31, m = bits & 0x3ff;
    if (e == 31) return std::bit_cast<float>(sign | 0x7f800000 | (m << 13));
    if (e) return std::bit_cast<float>(sign | ((e + 112) << 23) | (m << 13));
    const float f = float(m) * 0x1p-24f;
    return sign ? -f : f;
  }
};

constexpr bool is_floating(DType t) { return t >= DType::Float16 && t <= DType::Float64; }
constexpr bool is_integral(DType t) { return t <= DType::Int64; }  // bool included
constexpr bool is_half(DType t) { return t == DType::Float16 || t == DType::BFloat16; }
constexpr int64_t item_size(DType t) {
  constexpr int8_t sizes[] = {1, 1, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16};
  return sizes[int(t)];
}
constexpr std::string_view name_of(DType t) {
  constexpr std::string_view names[] = {"bool", "uint8", "int8", "int16", "int32", "int64",
                                        "float16", "bfloat16", "float32", "float64", "complex64", "complex128"};
  return names[int(t)];
}
// float16 and bfloat16 compute in float32; everything else in itself.
constexpr DType compute_dtype(DType t) { return is_half(t) ? DType::Float32 : t; }

template <class T> inline constexpr DType dtype_of = [] {
  if constexpr (std::is_same_v<T, bool>) return DType::Bool;
  else if constexpr (std::is_same_v<T, uint8_t>) return DType::UInt8;
  else if constexpr (std::is_same_v<T, int8_t>) return DType::Int8;
  else if constexpr (std::is_same_v<T, int16_t>) return DType::Int16;
  else if constexpr (std::is_same_v<T, int32_t>) return DType::Int32;
  else if constexpr (std::is_same_v<T, int64_t>) return DType::Int64;
  else if constexpr (std::is_same_v<T, float16>) return DType::Float16;
  else if constexpr (std::is_same_v<T, bfloat16>) return DType::BFloat16;
  else if constexpr (std::is_same_v<T, float>) return DType::Float32;
  else return DType::Float64;
}();

template <class T> struct type_tag { using type = T; };

// visit_*(dtype, f) calls f(type_tag<T>{}) with the C++ type of the dtype. The caller has excluded other dtypes.
template <class F> decltype(auto) visit_float(DType t, F&& f) {
  return t == DType::Float64 ? f(type_tag<double>{}) : f(type_tag<float>{});
}
template <class F> decltype(auto) visit_all(DType t, F&& f) {
  switch (t) {
    case DType::Bool: return f(type_tag<bool>{});
    case DType::UInt8: return f(type_tag<uint8_t>{});
    case DType::Int8: return f(type_tag<int8_t>{});
    case DType::Int16: return f(type_tag<int16_t>{});
    case DType::Int32: return f(type_tag<int32_t>{});
    case DType::Int64: return f(type_tag<int64_t>{});
    case DType::Float16: return f(type_tag<float16>{});
    case DType::BFloat16: return f(type_tag<bfloat16>{});
    case DType::Float32: return f(type_tag<float>{});
    default: return f(type_tag<double>{});
  }
}
// float32, float64 and the integers: the types kernels compute in.
template <class F> decltype(auto) visit_compute(DType t, F&& f) {
  switch (t) {
    case DType::Bool: return f(type_tag<bool>{});
    case DType::UInt8: return f(type_tag<uint8_t>{});
    case DType::Int8: return f(type_tag<int8_t>{});
    case DType::Int16: return f(type_tag<int16_t>{});
    case DType::Int32: return f(type_tag<int32_t>{});
    case DType::Int64: return f(type_tag<int64_t>{});
    case DType::Float32: return f(type_tag<float>{});
    default: return f(type_tag<double>{});
  }
}

// The unsigned integer of an element size: what moves values without looking at them works on.
template <class F> decltype(auto) visit_bits(int64_t item_size, F&& f) {
  switch (item_size) {
    case 1: return f(type_tag<uint8_t>{});
    case 2: return f(type_tag<uint16_t>{});
    case 4: return f(type_tag<uint32_t>{});
    default: return f(type_tag<uint64_t>{});
  }
}

}  // namespace pydl
