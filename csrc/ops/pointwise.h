// Pointwise operators: broadcasting, promotion, gradients. The rows come from kernels/pointwise.inc; a row without
// parameters is a public operator of that name, one with parameters is the engine of hand-written ones (clamp, elu, ...).
#pragma once
#include "kernels/pointwise.h"
#include "ops/promote.h"
#include "ops/registry.h"

namespace pydl {

// One row of the table, as data.
struct PointwiseRow {
  using Reads = uint8_t;
  const char* name;
  int arity, params;
  PointwiseDomain domain;
  uint16_t forward;                // index into PointwiseKernels
  uint16_t backward;               // of unary rows with a gradient; else 0
  enum class Kind : uint8_t { Arithmetic, Test } kind;
  bool differentiable;
  Reads reads[3];                  // per input: what its gradient reads
  // The gradient for input `which`, as differentiable tensor operations.
  Tensor (*gradient)(int which, const Tensor& g, const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& y, const double* params);
};

// Applies a row: promotion, iteration, history.
Tensor pointwise(const PointwiseRow& row, std::initializer_list<Operand> tensors, std::initializer_list<Scalar> params, const Out& out);

namespace rows {
#define UNARY(name, ...) extern const PointwiseRow name;
#define UNARY_NOGRAD(name, ...) extern const PointwiseRow name;
#define BINARY(name, ...) extern const PointwiseRow name;
#define BINARY_NOGRAD(name, ...) extern const PointwiseRow name;
#define TERNARY(name, ...) extern const PointwiseRow name;
#define TEST(name, ...) extern const PointwiseRow name;
#define COMPARE(name, ...) extern const PointwiseRow name;
#include "kernels/pointwise.inc"
}  // namespace rows

#define DECLARE_UNARY_0(name) Tensor name(const Tensor& x, const Out& out = {});
#define DECLARE_UNARY_1(name) Tensor name(const Tensor& x, const Scalar& p, const Out& out = {});
#define DECLARE_UNARY_2(name) Tensor name(const Tensor& x, const Scalar& p, const Scalar& q, const Out& out = {});
#define DECLARE_UNARY_3(name) Tensor name(const Tensor& x, const Scalar& p, const Scalar& q, const Scalar& r, const Out& out = {});
#define UNARY(name, domain, params, ...) DECLARE_UNARY_##params(name)
#define UNARY_NOGRAD(name, domain, params, ...) DECLARE_UNARY_##params(name)
#define TEST(name, ...) Tensor name(const Tensor& x, const Out& out = {});
#define DECLARE_BINARY_0(name) Tensor name(const Operand& a, const Operand& b, const Out& out = {});
#define DECLARE_BINARY_1(name) Tensor name(const Operand& a, const Operand& b, const Scalar& p, const Out& out = {});
#define DECLARE_BINARY_2(name) \
  Tensor name(const Operand& a, const Operand& b, const Scalar& p, const Scalar& q, const Out& out = {});
#define BINARY(name, domain, params, ...) DECLARE_BINARY_##params(name)
#define BINARY_NOGRAD(name, domain, params, ...) DECLARE_BINARY_##params(name)
#define COMPARE(name, ...) DECLARE_BINARY_0(name)
#include "kernels/pointwise.inc"

// The gradient of a unary row without parameters from that of its result and what the row saves, its input or output.
Tensor unary_gradient(const PointwiseRow& row, const Tensor& g, const Tensor& saved);

// PyTorch's add and sub: input + alpha * other.
Tensor add(const Operand& a, const Operand& b, const Scalar& alpha, const Out& out = {});
Tensor sub(const Operand& a, const Operand& b, const Scalar& alpha, const Out& out = {});
Tensor where(const Tensor& condition, const Operand& a, const Operand& b, const Out& out = {});
Tensor zeros_like(const Tensor& x);
// x summed over the dimensions that broadcasting to x's shape added or stretched.
Tensor sum_to(const Tensor& x, IntSpan sizes);
// The result of a floating point operator: integers give the default dtype.
DType float_result(const Promotion& p);

// ---- the vocabulary of the table's gradient expressions, on tensors ------------------------------------------------
inline Tensor operator+(const Tensor& a, const Operand& b) { return add(a, b); }
inline Tensor operator+(double a, const Tensor& b) { return add(Operand(a), b); }
inline Tensor operator-(const Tensor& a, const Operand& b) { return sub(a, b); }
inline Tensor operator-(double a, const Tensor& b) { return sub(Operand(a), b); }
inline Tensor operator*(const Tensor& a, const Operand& b) { return mul(a, b); }
inline Tensor operator*(double a, const Tensor& b) { return mul(Operand(a), b); }
inline Tensor operator/(const Tensor& a, const Operand& b) { return div(a, b); }
inline Tensor operator/(double a, const Tensor& b) { return div(Operand(a), b); }
inline Tensor operator-(const Tensor& a) { return neg(a); }
inline Tensor operator<(const Tensor& a, const Operand& b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, const Operand& b) { return le(a, b); }
inline Tensor operator>(const Tensor& a, const Operand& b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, const Operand& b) { return ge(a, b); }
inline Tensor operator==(const Tensor& a, const Tensor& b) { return eq(a, b); }
inline Tensor operator==(const Tensor& a, const Operand& b) { return eq(a, b); }
inline Tensor operator!=(const Tensor& a, const Operand& b) { return ne(a, b); }
inline Tensor operator&(const Tensor& a, const Tensor& b) { return logical_and(a, b); }
inline Tensor operator|(const Tensor& a, const Tensor& b) { return logical_or(a, b); }
inline Tensor operator!(const Tensor& a) { return logical_not(a); }
inline Tensor polygamma(double n, const Tensor& x) { return polygamma(x, Scalar(n)); }
inline Tensor squared_error_slope(const Tensor& g, const Tensor& a, const Tensor& b) {
  return pointwise(rows::squared_error_slope, {g, a, b}, {}, {});
}
inline Tensor huber_slope(const Tensor& g, const Tensor& a, const Tensor& b, double limit, double scale) {
  return pointwise(rows::huber_slope, {g, a, b}, {Scalar(limit), Scalar(scale)}, {});
}
inline Tensor gate_slope(const Tensor& g, const Tensor& a, const Tensor& b, const Out& out = {}) {
  return pointwise(rows::gate_slope, {g, a, b}, {}, out);
}
inline Tensor select(const Tensor& condition, const Operand& a, const Operand& b) { return where(condition, a, b); }

}  // namespace pydl
