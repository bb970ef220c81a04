// Loops of the pointwise operators, one slot per row of pointwise.inc.
#pragma once
#include <cstdint>

#include "simd/special.h"  // kNaN

namespace pydl {

// out[k] = f(in[0][k * step[0]], in[1][k * step[1]], ...) for k < n.
//
// `out` is contiguous; operand i is contiguous (step[i] == 1) or one value for all k (step[i] == 0). `out` may be one
// of the contiguous operands (in place) as long as the element sizes agree; otherwise they do not overlap. The bits of
// out[k] do not depend on k, n, alignment or the steps. Operands are in the row's order: tensors, then params,
// whose step is 0.
// `past_cache`: out is none of the operands, and all together are larger than the caches. Loops that wait for memory then
// write around them.
using PointwiseLoop = void (*)(void* out, const void* const* in, const int64_t* step, int64_t n, bool past_cache);

// Element types in and out: T for the arithmetic rows; bool out for TEST and COMPARE. Slots outside the row's domain
// are null: F rows for the integers, I rows for the floats.
template <class T> struct PointwiseKernels {
#define UNARY(name, domain, params, forward, saved, gradient) PointwiseLoop name, name##_backward;
#define UNARY_NOGRAD(name, domain, params, forward) PointwiseLoop name;
#define BINARY(name, domain, params, forward, ra, ga, rb, gb) PointwiseLoop name;
#define BINARY_NOGRAD(name, domain, params, forward) PointwiseLoop name;
#define TERNARY(name, domain, params, forward, ra, ga, rb, gb, rc, gc) PointwiseLoop name;
#define TEST(name, domain, condition) PointwiseLoop name;
#define COMPARE(name, domain, condition) PointwiseLoop name;
#include "kernels/pointwise.inc"
};

// The words of the table's columns.
enum class PointwiseDomain : uint8_t { F, N, I };
struct PointwiseReads {
  enum : uint8_t {
    NONE = 0, A = 1, B = 2, C = 4, Y = 8, X = A, AB = A | B, BC = B | C, ABC = A | B | C, AC = A | C, AY = A | Y,
    BY = B | Y, ABY = A | B | Y
  };
};

// A loop that moves elements of 1, 2, 4 or 8 bytes, whatever they mean.
struct MovingLoops {
  PointwiseLoop bytes1, bytes2, bytes4, bytes8;
  PointwiseLoop of(int64_t item_size) const {
    return item_size == 1 ? bytes1 : item_size == 2 ? bytes2 : item_size == 4 ? bytes4 : bytes8;
  }
};

// Integers and bool, compiled once at baseline. Arithmetic wraps; bool adds as `or` and multiplies as `and`; a zero
// divisor in floor_divide, div_trunc, fmod or remainder yields 0: ask any_zero first and raise.
template <class T> const PointwiseKernels<T>& integer_pointwise();  // bool, uint8_t, int8_t, int16_t, int32_t, int64_t
// True when one of the n contiguous integers of `item_size` bytes is zero.
bool any_zero(const void* in, int64_t item_size, int64_t n);

}  // namespace pydl
