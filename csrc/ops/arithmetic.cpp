// Arithmetic, comparison, logic and elementary functions: the public face of pointwise.inc.
#include <cmath>

#include "autograd/node.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/iterate.h"
#include "ops/pointwise.h"
#include "ops/promote.h"
#include "ops/view.h"

namespace pydl {

// Each row of the table as a C++ function.
#define DEFINE_UNARY_0(name) Tensor name(const Tensor& x, const Out& out) { return pointwise(rows::name, {x}, {}, out); }
#define DEFINE_UNARY_1(name) Tensor name(const Tensor& x, const Scalar& p, const Out& out) { return pointwise(rows::name, {x}, {p}, out); }
#define DEFINE_UNARY_2(name) \
  Tensor name(const Tensor& x, const Scalar& p, const Scalar& q, const Out& out) { return pointwise(rows::name, {x}, {p, q}, out); }
#define DEFINE_UNARY_3(name)                                                                      \
  Tensor name(const Tensor& x, const Scalar& p, const Scalar& q, const Scalar& r, const Out& out) { \
    return pointwise(rows::name, {x}, {p, q, r}, out);                                            \
  }
#define DEFINE_BINARY_0(name) Tensor name(const Operand& a, const Operand& b, const Out& out) { return pointwise(rows::name, {a, b}, {}, out); }
#define DEFINE_BINARY_1(name) \
  Tensor name(const Operand& a, const Operand& b, const Scalar& p, const Out& out) { return pointwise(rows::name, {a, b}, {p}, out); }
#define DEFINE_BINARY_2(name)                                                                         \
  Tensor name(const Operand& a, const Operand& b, const Scalar& p, const Scalar& q, const Out& out) { \
    return pointwise(rows::name, {a, b}, {p, q}, out);                                                \
  }
#define UNARY(name, domain, params, ...) DEFINE_UNARY_##params(name)
#define UNARY_NOGRAD(name, domain, params, ...) DEFINE_UNARY_##params(name)
#define BINARY(name, domain, params, ...) DEFINE_BINARY_##params(name)
#define BINARY_NOGRAD(name, domain, params, ...) DEFINE_BINARY_##params(name)
#define TEST(name, ...) Tensor name(const Tensor& x, const Out& out) { return pointwise(rows::name, {x}, {}, out); }
#define COMPARE(name, ...) DEFINE_BINARY_0(name)
#include "kernels/pointwise.inc"

// ---- where PyTorch's rules go beyond the row -------------------------------------------------------------------------

namespace {

DType common_dtype(const Operand& a, const Operand& b) { return result_type({a, b}); }

bool is_bool(const Operand& o) { return o.is_tensor() ? o.tensor().dtype() == DType::Bool : o.scalar().is_bool(); }
void refuse_two_bools(const char* op, const Operand& a, const Operand& b) {
  if (is_bool(a) && is_bool(b)) fail(op, ": expected numbers, got bool operands");
}

void check_alpha(const char* op, DType result, const Scalar& alpha) {
  if (is_integral(result) && alpha.is_float()) fail(op, ": expected an integer alpha for ", result, " operands, got a float");
  if (result != DType::Bool && alpha.is_bool()) fail(op, ": expected a number as alpha, got a bool");
}

// Integer division by zero raises, before anything is written.
void check_divisor(const char* op, const Operand& a, const Operand& b) {
  if (!is_integral(common_dtype(a, b))) return;
  bool zero;
  if (b.is_tensor()) {
    const Tensor dense = contiguous(b.tensor());
    zero = any_zero(dense.raw(), dense.item_size(), dense.numel());
  } else {
    zero = b.scalar().equals(0);
  }
  if (zero) fail(op, ": expected divisors other than 0 for integers, got 0 (ZeroDivisionError)");
}

Tensor checked_floor_divide(const Operand& a, const Operand& b, const Out& out) {
  refuse_two_bools("floor_divide", a, b);
  check_divisor("floor_divide", a, b);
  return floor_divide(a, b, out);
}
Tensor checked_remainder(const Operand& a, const Operand& b, const Out& out) {
  refuse_two_bools("remainder", a, b);
  check_divisor("remainder", a, b);
  return remainder(a, b, out);
}
Tensor checked_fmod(const Operand& a, const Operand& b, const Out& out) {
  check_divisor("fmod", a, b);
  return fmod(a, b, out);
}

Tensor div_rounded(const Operand& a, const Operand& b, std::string_view rounding_mode, const Out& out) {
  if (rounding_mode.empty()) return div(a, b, out);
  if (rounding_mode == "floor") return checked_floor_divide(a, b, out);
  if (rounding_mode == "trunc") {
    check_divisor("div", a, b);
    return div_trunc(a, b, out);
  }
  fail("div: expected rounding_mode None, 'trunc' or 'floor', got '", rounding_mode, "'");
}

Tensor rsub(const Tensor& x, const Operand& other, const Scalar& alpha) { return sub(other, x, alpha); }

Tensor checked_neg(const Tensor& x, const Out& out) {
  if (x.dtype() == DType::Bool) fail("neg: expected numbers, got a bool tensor; use logical_not or ~");
  return neg(x, out);
}
Tensor checked_abs(const Tensor& x, const Out& out) {
  if (x.dtype() == DType::Bool) fail("abs: expected numbers, got a bool tensor");
  return abs(x, out);
}
Tensor positive(const Tensor& x) {
  if (x.dtype() == DType::Bool) fail("positive: expected numbers, got a bool tensor");
  return x;
}
Tensor sgn(const Tensor& x, const Out& out) { return sign(x, out); }

Tensor power(const Operand& a, const Operand& b, const Out& out) {
  if (b.is_tensor()) refuse_two_bools("pow", a, b);
  if (!a.is_tensor() || b.is_tensor()) return pow(a, b, out);
  const Tensor& x = a.tensor();
  const Scalar& e = b.scalar();
  const bool floating = is_floating(x.dtype());
  if (!floating && !e.is_float() && e.to_int() < 0) fail("pow: expected a non-negative integer exponent for ", x.dtype(), ", got ", e.to_int());
  if (out.fresh() && floating) {
    if (e.equals(2)) return square(x);
    if (e.equals(0.5)) return sqrt(x);
    if (e.equals(1)) return clone(x);
    if (e.equals(-1)) return reciprocal(x);
    if (e.equals(-0.5)) return rsqrt(x);
  }
  return pow(a, b, out);
}

Tensor round_decimals(const Tensor& x, int64_t decimals, const Out& out) {
  if (x.dtype() == DType::Bool) fail("round: expected numbers, got a bool tensor");
  if (decimals == 0) return round(x, out);
  if (!is_floating(x.dtype())) fail("round: expected a floating point tensor with decimals, got ", x);
  const double scale = std::pow(10.0, double(decimals < 0 ? -decimals : decimals));
  const Tensor y = decimals > 0 ? round(x * scale) / scale : round(x / scale) * scale;
  if (out.fresh()) return y;
  return out.kind == Out::Kind::Inplace ? copy_(out.target, y) : mul(y, Operand(1), out);
}

Tensor square_any(const Tensor& x, const Out& out) { return x.dtype() == DType::Bool ? square(cast(x, DType::Int64), out) : square(x, out); }

Tensor clamp_any(const Tensor& x, const std::optional<Scalar>& low, const std::optional<Scalar>& high, const Out& out) {
  if (!low && !high) fail("clamp: expected at least one of min and max, got neither");
  if (low && high) return clamp(x, *low, *high, out);
  return low ? clamp_min(x, *low, out) : clamp_max(x, *high, out);
}
Tensor clamp_tensors(const Tensor& x, const Tensor& low, const Tensor& high, const Out& out) {
  if (!low.defined() && !high.defined()) fail("clamp: expected at least one of min and max, got neither");
  if (low.defined() && high.defined()) return pointwise(rows::clamp_tensor, {x, low, high}, {}, out);
  return low.defined() ? clamp_min(x, low, out) : clamp_max(x, high, out);
}

Tensor nan_to_number(const Tensor& x, std::optional<double> nan, std::optional<double> posinf, std::optional<double> neginf, const Out& out) {
  const DType t = is_floating(x.dtype()) ? x.dtype() : DType::Float64;
  const double largest = t == DType::Float64 ? 1.7976931348623157e308 : t == DType::Float16 ? 65504.0
                       : t == DType::BFloat16 ? 3.3895313892515355e38 : 3.4028234663852886e38;
  if (!is_floating(x.dtype())) return out.fresh() ? clone(x) : mul(x, Operand(1), out);
  return nan_to_num(x, Scalar(nan.value_or(0)), Scalar(posinf.value_or(largest)), Scalar(neginf.value_or(-largest)), out);
}

Tensor logit_eps(const Tensor& x, std::optional<double> eps, const Out& out) {
  return eps ? logit_clamped(x, Scalar(*eps), out) : logit(x, out);
}

Tensor polygamma_order(const Tensor& x, int64_t n, const Out& out) {
  if (n < 0) fail("polygamma: expected n >= 0, got ", n);
  return polygamma(x, Scalar(n), out);
}

Tensor addcmul_value(const Tensor& x, const Tensor& t1, const Tensor& t2, const Scalar& value, const Out& out) {
  return pointwise(rows::addcmul, {x, t1, t2}, {value}, out);
}
Tensor addcdiv_value(const Tensor& x, const Tensor& t1, const Tensor& t2, const Scalar& value, const Out& out) {
  if (is_integral(promote(x.dtype(), promote(t1.dtype(), t2.dtype()))))
    fail("addcdiv: expected floating point tensors, got ", x, ", ", t1, ", ", t2);
  return pointwise(rows::addcdiv, {x, t1, t2}, {value}, out);
}
Tensor lerp_weight(const Tensor& x, const Tensor& end, const Operand& weight, const Out& out) {
  if (x.dtype() != end.dtype()) fail("lerp: expected start and end of one dtype, got ", x, " and ", end);
  return pointwise(rows::lerp, {x, end, weight}, {}, out);
}
// Neighbours of a 16-bit float are neighbours as integers, too, which sign and magnitude make.
uint16_t next_half(uint16_t a, uint16_t b, int infinity) {
  const int x = a & 0x7fff, y = b & 0x7fff, from = a >> 15 ? -x : x, to = b >> 15 ? -y : y;
  if (x > infinity) return a;
  if (y > infinity || from == to) return b;
  if (from == 0) return to > 0 ? 1 : 0x8001;
  return uint16_t((from < to) == (from > 0) ? a + 1 : a - 1);
}
Tensor next_number(const Tensor& a, const Tensor& b, const Out& out) {
  const DType t = result_type({a, b});
  if (!is_half(t)) return nextafter(a, b, out);
  Call call("nextafter");
  const Dims shape = broadcast_shapes(call.op, a.sizes(), b.sizes());
  const Tensor x = contiguous(expand(cast(a, t), shape)), y = contiguous(expand(cast(b, t), shape)), next = Tensor::empty(shape, t);
  const auto *from = x.data<uint16_t>(), *to = y.data<uint16_t>();
  const int infinity = t == DType::Float16 ? 0x7c00 : 0x7f80;
  parallel_for(next.numel(), 1 << 15, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) next.data<uint16_t>()[i] = next_half(from[i], to[i], infinity);
  });
  if (out.fresh()) return next;
  prepare_output(call.op, out, shape, t);
  return copy_(out.target, next);
}

Tensor ldexp(const Tensor& x, const Tensor& other) { return x * exp2(is_floating(other.dtype()) ? other : cast(other, default_dtype())); }
Tensor float_power(const Operand& a, const Operand& b) {
  auto wide = [](const Operand& o) { return o.is_tensor() ? cast(o.tensor(), DType::Float64) : Tensor(); };
  const Tensor x = wide(a), y = wide(b);
  return pow(a.is_tensor() ? Operand(x) : Operand(a.scalar().to_double()), b.is_tensor() ? Operand(y) : Operand(b.scalar().to_double()));
}
Tensor true_divide(const Operand& a, const Operand& b, const Out& out) { return div(a, b, out); }
Tensor isreal(const Tensor& x) { return eq(x, x) | ne(x, x); }

}  // namespace

Tensor add(const Operand& a, const Operand& b, const Scalar& alpha, const Out& out) {
  if (alpha.equals(1) && !alpha.is_float()) return add(a, b, out);
  check_alpha("add", common_dtype(a, b), alpha);
  return add_scaled(a, b, alpha, out);
}

Tensor sub(const Operand& a, const Operand& b, const Scalar& alpha, const Out& out) {
  if (is_bool(a) || is_bool(b)) fail("sub: expected numbers, got a bool operand; use logical_xor or ^");
  if (alpha.equals(1) && !alpha.is_float()) return sub(a, b, out);
  check_alpha("sub", common_dtype(a, b), alpha);
  return sub_scaled(a, b, alpha, out);
}

Tensor zeros_like(const Tensor& x) { return fill_(empty_like(x), Scalar(0)); }

Tensor where(const Tensor& condition, const Operand& a, const Operand& b, const Out& out) {
  Call call("where");
  if (condition.dtype() == DType::UInt8) return where(cast(condition, DType::Bool), a, b, out);
  if (condition.dtype() != DType::Bool) fail("where: expected a bool condition, got ", condition);
  const DType t = result_type({a, b});
  const Input in[] = {{condition, DType::Bool}, {a, t}, {b, t}};
  const Tensor y = run_pointwise({call.op, cast_kernels().where.of(item_size(t)), t, t, 0.3}, in, out);
  const Tensor ta = a.is_tensor() ? a.tensor() : Tensor(), tb = b.is_tensor() ? b.tensor() : Tensor();
  if (out.fresh() && autograd::needed(ta, tb)) {
    const bool wants_a = ta.defined() && autograd::requires_grad(ta), wants_b = tb.defined() && autograd::requires_grad(tb);
    autograd::record("WhereBackward", y, {ta, tb}, [condition = autograd::save(condition), wants_a, wants_b](const Tensor& g) {
      return Tensors{wants_a ? where(condition, g, Operand(0)) : Tensor(), wants_b ? where(condition, Operand(0), g) : Tensor()};
    });
  }
  return y;
}

namespace {

constexpr int kFull = kFunction | kMethod | kInplace | kOut;
constexpr int kTest = kFunction | kMethod | kNoGrad;
constexpr auto add_op = static_cast<Tensor (*)(const Operand&, const Operand&, const Scalar&, const Out&)>(&add);
constexpr auto sub_op = static_cast<Tensor (*)(const Operand&, const Operand&, const Scalar&, const Out&)>(&sub);

const Operator arithmetic_ops[] = {
    {add_op, "add(Operand input, Operand other, *, Scalar alpha=1) -> Tensor", kFull,
     "input + alpha * other.\n"
     ">>> pydl.add(pydl.tensor([1, 2]), pydl.tensor([10, 20]), alpha=2)\ntensor([21, 42])"},
    {sub_op, "sub(Operand input, Operand other, *, Scalar alpha=1) -> Tensor", kFull,
     "input - alpha * other.\n"
     ">>> pydl.sub(pydl.tensor([5, 7]), pydl.tensor([1, 2]), alpha=2)\ntensor([3, 3])"},
    {sub_op, "subtract(Operand input, Operand other, *, Scalar alpha=1) -> Tensor", kFull,
     "Alias of sub.\n"
     ">>> pydl.subtract(pydl.tensor([5, 7]), 2)\ntensor([3, 5])"},
    {&rsub, "rsub(Tensor input, Operand other, *, Scalar alpha=1) -> Tensor", kFunction,
     "other - alpha * input.\n"
     ">>> pydl.rsub(pydl.tensor([1, 2]), 10)\ntensor([9, 8])"},
    {&mul, "mul(Operand input, Operand other) -> Tensor", kFull,
     "input * other.\n"
     ">>> pydl.mul(pydl.tensor([[1], [2]]), pydl.tensor([10, 20]))\ntensor([[10, 20],\n        [20, 40]])"},
    {&mul, "multiply(Operand input, Operand other) -> Tensor", kFull,
     "Alias of mul.\n"
     ">>> pydl.multiply(pydl.tensor([1, 2, 3]), 10)\ntensor([10, 20, 30])"},
    {&div_rounded, "div(Operand input, Operand other, *, str? rounding_mode=None) -> Tensor", kFull,
     "input / other; rounding_mode 'trunc' rounds toward zero, 'floor' down. Integers give floats without a mode.\n"
     ">>> pydl.div(pydl.tensor([-7, 7]), 2)\ntensor([-3.5000,  3.5000])\n"
     ">>> pydl.div(pydl.tensor([-7, 7]), 2, rounding_mode='floor')\ntensor([-4,  3])"},
    {&div_rounded, "divide(Operand input, Operand other, *, str? rounding_mode=None) -> Tensor", kFull,
     "Alias of div.\n"
     ">>> pydl.divide(pydl.tensor([-7, 7]), 2, rounding_mode='trunc')\ntensor([-3,  3])"},
    {&true_divide, "true_divide(Operand input, Operand other) -> Tensor", kFull,
     "input / other, in floating point.\n"
     ">>> pydl.true_divide(pydl.tensor([-7, 7]), 2)\ntensor([-3.5000,  3.5000])"},
    {&checked_floor_divide, "floor_divide(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "input / other rounded down.\n"
     ">>> pydl.floor_divide(pydl.tensor([-7, 7]), 2)\ntensor([-4,  3])"},
    {&checked_remainder, "remainder(Operand input, Operand other) -> Tensor", kFull,
     "input - other * floor(input / other): the sign of other.\n"
     ">>> pydl.remainder(pydl.tensor([-7, 7]), 3)\ntensor([2, 1])"},
    {&checked_fmod, "fmod(Operand input, Operand other) -> Tensor", kFull,
     "input - other * trunc(input / other): the sign of input.\n"
     ">>> pydl.fmod(pydl.tensor([-7, 7]), 3)\ntensor([-1,  1])"},
    {&power, "pow(Operand input, Operand exponent) -> Tensor", kFull,
     "input to the power of exponent.\n"
     ">>> pydl.pow(pydl.tensor([1, 2, 3]), 2)\ntensor([1, 4, 9])"},
    {&float_power, "float_power(Operand input, Operand exponent) -> Tensor", kFunction | kMethod | kOut | kInplace,
     "pow in float64.\n"
     ">>> pydl.float_power(pydl.tensor([1, 2, 3]), 2)\ntensor([1., 4., 9.], dtype=pydl.float64)"},
    {&ldexp, "ldexp(Tensor input, Tensor other) -> Tensor", kFunction | kMethod | kOut,
     "input * 2^other.\n"
     ">>> pydl.ldexp(pydl.tensor([1.0, 3.0]), pydl.tensor([2, 3]))\ntensor([ 4., 24.])"},
    {&addcmul_value, "addcmul(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", kFull,
     "input + value * tensor1 * tensor2.\n"
     ">>> pydl.addcmul(pydl.tensor([1, 1]), pydl.tensor([2, 3]), pydl.tensor([4, 5]), value=10)\ntensor([ 81, 151])"},
    {&addcdiv_value, "addcdiv(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", kFull,
     "input + value * tensor1 / tensor2.\n"
     ">>> pydl.addcdiv(pydl.tensor([1.0, 1.0]), pydl.tensor([4.0, 6.0]), pydl.tensor([2.0, 3.0]), value=10)\n"
     "tensor([21., 21.])"},
    {&lerp_weight, "lerp(Tensor input, Tensor end, Operand weight) -> Tensor", kFull,
     "input + weight * (end - input).\n"
     ">>> pydl.lerp(pydl.tensor([0.0, 10.0]), pydl.tensor([10.0, 30.0]), 0.5)\ntensor([ 5., 20.])"},
    {&maximum, "maximum(Tensor input, Tensor other) -> Tensor", kFunction | kMethod | kOut,
     "The larger of each pair; NaN wins.\n"
     ">>> pydl.maximum(pydl.tensor([1.0, 5.0, float('nan')]), pydl.tensor([3.0, 2.0, 0.0]))\ntensor([3., 5., nan])"},
    {&minimum, "minimum(Tensor input, Tensor other) -> Tensor", kFunction | kMethod | kOut,
     "The smaller of each pair; NaN wins.\n"
     ">>> pydl.minimum(pydl.tensor([1.0, 5.0, float('nan')]), pydl.tensor([3.0, 2.0, 0.0]))\ntensor([1., 2., nan])"},
    {&fmax, "fmax(Tensor input, Tensor other) -> Tensor", kFunction | kMethod | kOut,
     "The larger of each pair; NaN loses.\n"
     ">>> pydl.fmax(pydl.tensor([1.0, 5.0, float('nan')]), pydl.tensor([3.0, 2.0, 0.0]))\ntensor([3., 5., 0.])"},
    {&fmin, "fmin(Tensor input, Tensor other) -> Tensor", kFunction | kMethod | kOut,
     "The smaller of each pair; NaN loses.\n"
     ">>> pydl.fmin(pydl.tensor([1.0, 5.0, float('nan')]), pydl.tensor([3.0, 2.0, 0.0]))\ntensor([1., 2., 0.])"},
    {&atan2, "atan2(Tensor input, Tensor other) -> Tensor", kFull,
     "The angle of the point (other, input), in radians.\n"
     ">>> pydl.atan2(pydl.tensor([1.0, 1.0, -1.0]), pydl.tensor([1.0, -1.0, -1.0]))\n"
     "tensor([ 0.7854,  2.3562, -2.3562])"},
    {&atan2, "arctan2(Tensor input, Tensor other) -> Tensor", kFull,
     "Alias of atan2.\n"
     ">>> pydl.arctan2(pydl.tensor([1.0, -1.0]), pydl.tensor([1.0, 1.0]))\ntensor([ 0.7854, -0.7854])"},
    {&hypot, "hypot(Tensor input, Tensor other) -> Tensor", kFull,
     "sqrt(input^2 + other^2) without overflow.\n"
     ">>> pydl.hypot(pydl.tensor([3.0, 1.0]), pydl.tensor([4.0, 1.0]))\ntensor([5.0000, 1.4142])"},
    {&copysign, "copysign(Tensor input, Operand other) -> Tensor", kFull,
     "The magnitude of input with the sign of other.\n"
     ">>> pydl.copysign(pydl.tensor([1.0, -2.0]), -1)\ntensor([-1., -2.])"},
    {&next_number, "nextafter(Tensor input, Tensor other) -> Tensor", kFull | kNoGrad,
     "The next representable number from input toward other.\n"
     ">>> pydl.nextafter(pydl.tensor(1.0), pydl.tensor(2.0)).item() == 1 + 2**-23\nTrue"},
    {&logaddexp, "logaddexp(Tensor input, Tensor other) -> Tensor", kFunction | kMethod | kOut,
     "log(exp(input) + exp(other)).\n"
     ">>> pydl.logaddexp(pydl.tensor([0.0, 100.0]), pydl.tensor([0.0, 100.0]))\ntensor([  0.6931, 100.6931])"},
    {&logaddexp2, "logaddexp2(Tensor input, Tensor other) -> Tensor", kFunction | kMethod | kOut,
     "log2(2^input + 2^other).\n"
     ">>> pydl.logaddexp2(pydl.tensor([0.0, 1.0]), pydl.tensor([0.0, 2.0]))\ntensor([1.0000, 2.5850])"},
    {&xlogy, "xlogy(Operand input, Operand other) -> Tensor", kFull,
     "input * log(other), 0 where input is 0.\n"
     ">>> pydl.xlogy(pydl.tensor([0.0, 2.0]), pydl.tensor([0.0, 3.0]))\ntensor([0.0000, 2.1972])"},
    {&xlog1py, "special.xlog1py(Operand input, Operand other) -> Tensor", kFunction | kOut,
     "input * log1p(other), 0 where input is 0.\n"
     ">>> pydl.special.xlog1py(pydl.tensor([0.0, 2.0]), pydl.tensor([-1.0, 1.0]))\ntensor([0.0000, 1.3863])"},
    {&heaviside, "heaviside(Tensor input, Tensor values) -> Tensor", kFull | kNoGrad,
     "0 below zero, values at zero, 1 above.\n"
     ">>> pydl.heaviside(pydl.tensor([-2.0, 0.0, 3.0]), pydl.tensor([0.5]))\ntensor([0.0000, 0.5000, 1.0000])"},
    {&gcd, "gcd(Tensor input, Tensor other) -> Tensor", kFull | kNoGrad,
     "Greatest common divisor.\n"
     ">>> pydl.gcd(pydl.tensor([12, 18]), pydl.tensor([8, 27]))\ntensor([4, 9])"},
    {&lcm, "lcm(Tensor input, Tensor other) -> Tensor", kFull | kNoGrad,
     "Least common multiple.\n"
     ">>> pydl.lcm(pydl.tensor([4, 6]), pydl.tensor([6, 9]))\ntensor([12, 18])"},
    {&clamp_any, "clamp(Tensor input, Scalar? min=None, Scalar? max=None) -> Tensor", kFull,
     "Each element limited to [min, max].\n"
     ">>> pydl.clamp(pydl.tensor([-2, 0, 5]), min=-1, max=3)\ntensor([-1,  0,  3])"},
    {&clamp_tensors, "clamp(Tensor input, Tensor? min=None, Tensor? max=None) -> Tensor", kFull, ""},
    {&clamp_any, "clip(Tensor input, Scalar? min=None, Scalar? max=None) -> Tensor", kFull,
     "Alias of clamp.\n"
     ">>> pydl.clip(pydl.tensor([-2, 0, 5]), max=3)\ntensor([-2,  0,  3])"},
    {&clamp_tensors, "clip(Tensor input, Tensor? min=None, Tensor? max=None) -> Tensor", kFull, ""},
    {&clamp_min, "clamp_min(Tensor input, Operand min) -> Tensor", kFull,
     "Each element, at least min.\n"
     ">>> pydl.clamp_min(pydl.tensor([-2, 0, 5]), 1)\ntensor([1, 1, 5])"},
    {&clamp_max, "clamp_max(Tensor input, Operand max) -> Tensor", kFull,
     "Each element, at most max.\n"
     ">>> pydl.clamp_max(pydl.tensor([-2, 0, 5]), 1)\ntensor([-2,  0,  1])"},
};

const Operator elementary_ops[] = {
    {&checked_abs, "abs(Tensor input) -> Tensor", kFull,
     "Absolute value.\n"
     ">>> pydl.abs(pydl.tensor([-1, 2]))\ntensor([1, 2])"},
    {&checked_abs, "absolute(Tensor input) -> Tensor", kFull,
     "Alias of abs.\n"
     ">>> pydl.absolute(pydl.tensor([-1, 2]))\ntensor([1, 2])"},
    {&checked_neg, "neg(Tensor input) -> Tensor", kFull,
     "Negation.\n"
     ">>> pydl.neg(pydl.tensor([-1, 2]))\ntensor([ 1, -2])"},
    {&checked_neg, "negative(Tensor input) -> Tensor", kFull,
     "Alias of neg.\n"
     ">>> pydl.negative(pydl.tensor([-1, 2]))\ntensor([ 1, -2])"},
    {&positive, "positive(Tensor input) -> Tensor", kFunction | kMethod,
     "The tensor itself.\n"
     ">>> pydl.positive(pydl.tensor([-1, 2]))\ntensor([-1,  2])"},
    {&sign, "sign(Tensor input) -> Tensor", kFull,
     "-1, 0 or 1.\n"
     ">>> pydl.sign(pydl.tensor([-3, 0, 5]))\ntensor([-1,  0,  1])"},
    {&sgn, "sgn(Tensor input) -> Tensor", kFull,
     "sign, for real numbers.\n"
     ">>> pydl.sgn(pydl.tensor([-3, 0, 5]))\ntensor([-1,  0,  1])"},
    {&floor, "floor(Tensor input) -> Tensor", kFull,
     "Rounded down.\n"
     ">>> pydl.floor(pydl.tensor([-1.5, 1.5]))\ntensor([-2.,  1.])"},
    {&ceil, "ceil(Tensor input) -> Tensor", kFull,
     "Rounded up.\n"
     ">>> pydl.ceil(pydl.tensor([-1.5, 1.5]))\ntensor([-1.,  2.])"},
    {&trunc, "trunc(Tensor input) -> Tensor", kFull,
     "Rounded toward zero.\n"
     ">>> pydl.trunc(pydl.tensor([-1.5, 1.5]))\ntensor([-1.,  1.])"},
    {&trunc, "fix(Tensor input) -> Tensor", kFull,
     "Alias of trunc.\n"
     ">>> pydl.fix(pydl.tensor([-1.5, 1.5]))\ntensor([-1.,  1.])"},
    {&round_decimals, "round(Tensor input, *, int decimals=0) -> Tensor", kFull,
     "Rounded to the nearest, ties to even.\n"
     ">>> pydl.round(pydl.tensor([0.5, 1.5, 2.7]))\ntensor([0., 2., 3.])\n"
     ">>> pydl.round(pydl.tensor([3.1416]), decimals=2)\ntensor([3.1400])"},
    {&frac, "frac(Tensor input) -> Tensor", kFull,
     "The part behind the point, with the sign of the input.\n"
     ">>> pydl.frac(pydl.tensor([-1.5, 2.25]))\ntensor([-0.5000,  0.2500])"},
    {&nan_to_number, "nan_to_num(Tensor input, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor", kFull,
     "NaN and infinities replaced: by 0 and the largest finite values unless told otherwise.\n"
     ">>> pydl.nan_to_num(pydl.tensor([float('nan'), float('inf'), 1.0]), posinf=9.0)\ntensor([0., 9., 1.])"},
    {&square_any, "square(Tensor input) -> Tensor", kFull,
     "The square.\n"
     ">>> pydl.square(pydl.tensor([-2, 3]))\ntensor([4, 9])"},
    {&sqrt, "sqrt(Tensor input) -> Tensor", kFull,
     "The square root.\n"
     ">>> pydl.sqrt(pydl.tensor([2.0, 9.0]))\ntensor([1.4142, 3.0000])"},
    {&rsqrt, "rsqrt(Tensor input) -> Tensor", kFull,
     "1 / sqrt(input).\n"
     ">>> pydl.rsqrt(pydl.tensor([2.0, 4.0]))\ntensor([0.7071, 0.5000])"},
    {&reciprocal, "reciprocal(Tensor input) -> Tensor", kFull,
     "1 / input.\n"
     ">>> pydl.reciprocal(pydl.tensor([2.0, 3.0]))\ntensor([0.5000, 0.3333])"},
    {&exp, "exp(Tensor input) -> Tensor", kFull,
     "e to the power of each element.\n"
     ">>> pydl.exp(pydl.tensor([0.0, 1.0]))\ntensor([1.0000, 2.7183])"},
    {&exp2, "exp2(Tensor input) -> Tensor", kFull,
     "2 to the power of each element.\n"
     ">>> pydl.exp2(pydl.tensor([0.5, 3.0]))\ntensor([1.4142, 8.0000])"},
    {&expm1, "expm1(Tensor input) -> Tensor", kFull,
     "exp(input) - 1, accurate near 0.\n"
     ">>> pydl.expm1(pydl.tensor([1e-10, 2e-10]))\ntensor([1.0000e-10, 2.0000e-10])"},
    {&log, "log(Tensor input) -> Tensor", kFull,
     "The natural logarithm.\n"
     ">>> pydl.log(pydl.tensor([1.0, 2.0]))\ntensor([0.0000, 0.6931])"},
    {&log2, "log2(Tensor input) -> Tensor", kFull,
     "The logarithm to base 2.\n"
     ">>> pydl.log2(pydl.tensor([3.0, 8.0]))\ntensor([1.5850, 3.0000])"},
    {&log10, "log10(Tensor input) -> Tensor", kFull,
     "The logarithm to base 10.\n"
     ">>> pydl.log10(pydl.tensor([2.0, 100.0]))\ntensor([0.3010, 2.0000])"},
    {&log1p, "log1p(Tensor input) -> Tensor", kFull,
     "log(1 + input), accurate near 0.\n"
     ">>> pydl.log1p(pydl.tensor([1e-10, 2e-10]))\ntensor([1.0000e-10, 2.0000e-10])"},
    {&sin, "sin(Tensor input) -> Tensor", kFull,
     "Sine of radians.\n"
     ">>> pydl.sin(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 0.8415])"},
    {&cos, "cos(Tensor input) -> Tensor", kFull,
     "Cosine of radians.\n"
     ">>> pydl.cos(pydl.tensor([0.0, 1.0]))\ntensor([1.0000, 0.5403])"},
    {&tan, "tan(Tensor input) -> Tensor", kFull,
     "Tangent of radians.\n"
     ">>> pydl.tan(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 1.5574])"},
    {&asin, "asin(Tensor input) -> Tensor", kFull,
     "Inverse sine, in radians.\n"
     ">>> pydl.asin(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 1.5708])"},
    {&asin, "arcsin(Tensor input) -> Tensor", kFull,
     "Alias of asin.\n"
     ">>> pydl.arcsin(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 1.5708])"},
    {&acos, "acos(Tensor input) -> Tensor", kFull,
     "Inverse cosine, in radians.\n"
     ">>> pydl.acos(pydl.tensor([0.0, 0.5]))\ntensor([1.5708, 1.0472])"},
    {&acos, "arccos(Tensor input) -> Tensor", kFull,
     "Alias of acos.\n"
     ">>> pydl.arccos(pydl.tensor([0.0, 0.5]))\ntensor([1.5708, 1.0472])"},
    {&atan, "atan(Tensor input) -> Tensor", kFull,
     "Inverse tangent, in radians.\n"
     ">>> pydl.atan(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 0.7854])"},
    {&atan, "arctan(Tensor input) -> Tensor", kFull,
     "Alias of atan.\n"
     ">>> pydl.arctan(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 0.7854])"},
    {&sinh, "sinh(Tensor input) -> Tensor", kFull,
     "Hyperbolic sine.\n"
     ">>> pydl.sinh(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 1.1752])"},
    {&cosh, "cosh(Tensor input) -> Tensor", kFull,
     "Hyperbolic cosine.\n"
     ">>> pydl.cosh(pydl.tensor([0.0, 1.0]))\ntensor([1.0000, 1.5431])"},
    {&tanh, "tanh(Tensor input) -> Tensor", kFull,
     "Hyperbolic tangent.\n"
     ">>> pydl.tanh(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 0.7616])"},
    {&asinh, "asinh(Tensor input) -> Tensor", kFull,
     "Inverse hyperbolic sine.\n"
     ">>> pydl.asinh(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 0.8814])"},
    {&asinh, "arcsinh(Tensor input) -> Tensor", kFull,
     "Alias of asinh.\n"
     ">>> pydl.arcsinh(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 0.8814])"},
    {&acosh, "acosh(Tensor input) -> Tensor", kFull,
     "Inverse hyperbolic cosine.\n"
     ">>> pydl.acosh(pydl.tensor([1.0, 2.0]))\ntensor([0.0000, 1.3170])"},
    {&acosh, "arccosh(Tensor input) -> Tensor", kFull,
     "Alias of acosh.\n"
     ">>> pydl.arccosh(pydl.tensor([1.0, 2.0]))\ntensor([0.0000, 1.3170])"},
    {&atanh, "atanh(Tensor input) -> Tensor", kFull,
     "Inverse hyperbolic tangent.\n"
     ">>> pydl.atanh(pydl.tensor([0.0, 0.5]))\ntensor([0.0000, 0.5493])"},
    {&atanh, "arctanh(Tensor input) -> Tensor", kFull,
     "Alias of atanh.\n"
     ">>> pydl.arctanh(pydl.tensor([0.0, 0.5]))\ntensor([0.0000, 0.5493])"},
    {&sinc, "sinc(Tensor input) -> Tensor", kFull,
     "sin(pi x) / (pi x), 1 at 0.\n"
     ">>> pydl.sinc(pydl.tensor([0.0, 0.5]))\ntensor([1.0000, 0.6366])"},
    {&deg2rad, "deg2rad(Tensor input) -> Tensor", kFull,
     "Degrees to radians.\n"
     ">>> pydl.deg2rad(pydl.tensor([90.0, 180.0]))\ntensor([1.5708, 3.1416])"},
    {&rad2deg, "rad2deg(Tensor input) -> Tensor", kFull,
     "Radians to degrees.\n"
     ">>> pydl.rad2deg(pydl.tensor([1.0, 1.5]))\ntensor([57.2958, 85.9437])"},
    {&erf, "erf(Tensor input) -> Tensor", kFull,
     "The error function.\n"
     ">>> pydl.erf(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 0.8427])"},
    {&erfc, "erfc(Tensor input) -> Tensor", kFull,
     "1 - erf(input).\n"
     ">>> pydl.erfc(pydl.tensor([0.0, 1.0]))\ntensor([1.0000, 0.1573])"},
    {&erfinv, "erfinv(Tensor input) -> Tensor", kFull,
     "The inverse of erf.\n"
     ">>> pydl.erfinv(pydl.tensor([0.0, 0.5]))\ntensor([0.0000, 0.4769])"},
    {&lgamma, "lgamma(Tensor input) -> Tensor", kFull,
     "log |gamma(input)|.\n"
     ">>> pydl.lgamma(pydl.tensor([0.5, 4.0]))\ntensor([0.5724, 1.7918])"},
    {&digamma, "digamma(Tensor input) -> Tensor", kFull,
     "The derivative of lgamma.\n"
     ">>> pydl.digamma(pydl.tensor([1.0, 2.0]))\ntensor([-0.5772,  0.4228])"},
    {&polygamma_order, "_polygamma(Tensor input, int n) -> Tensor", kFunction | kOut, "The n-th derivative of digamma."},
    {&i0, "i0(Tensor input) -> Tensor", kFull,
     "The modified Bessel function of order 0.\n"
     ">>> pydl.i0(pydl.tensor([0.0, 1.0]))\ntensor([1.0000, 1.2661])"},
    {&i0e, "special.i0e(Tensor input) -> Tensor", kFunction | kOut,
     "i0 times exp(-|input|).\n"
     ">>> pydl.special.i0e(pydl.tensor([0.0, 1.0]))\ntensor([1.0000, 0.4658])"},
    {&i1, "special.i1(Tensor input) -> Tensor", kFunction | kOut,
     "The modified Bessel function of order 1.\n"
     ">>> pydl.special.i1(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 0.5652])"},
    {&i1e, "special.i1e(Tensor input) -> Tensor", kFunction | kOut,
     "i1 times exp(-|input|).\n"
     ">>> pydl.special.i1e(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 0.2079])"},
    {&ndtr, "special.ndtr(Tensor input) -> Tensor", kFunction | kOut,
     "The distribution function of the standard normal distribution.\n"
     ">>> pydl.special.ndtr(pydl.tensor([-1.0, 0.0, 1.0]))\ntensor([0.1587, 0.5000, 0.8413])"},
    {&logit_eps, "logit(Tensor input, float? eps=None) -> Tensor", kFull,
     "log(x / (1 - x)), x first limited to [eps, 1 - eps].\n"
     ">>> pydl.logit(pydl.tensor([0.5, 0.9]))\ntensor([0.0000, 2.1972])\n"
     ">>> pydl.logit(pydl.tensor([0.0, 1.0]), eps=0.1)\ntensor([-2.1972,  2.1972])"},
    {&sigmoid, "sigmoid(Tensor input) -> Tensor", kFull,
     "1 / (1 + exp(-input)).\n"
     ">>> pydl.sigmoid(pydl.tensor([0.0, 1.0]))\ntensor([0.5000, 0.7311])"},
    {&sigmoid, "expit(Tensor input) -> Tensor", kFunction,
     "Alias of sigmoid.\n"
     ">>> pydl.expit(pydl.tensor([0.0, 1.0]))\ntensor([0.5000, 0.7311])"},
};

const Operator comparison_ops[] = {
    {&eq, "eq(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "input == other.\n"
     ">>> pydl.eq(pydl.tensor([1, 2, 3]), 2)\ntensor([False,  True, False])"},
    {&ne, "ne(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "input != other.\n"
     ">>> pydl.ne(pydl.tensor([1, 2, 3]), 2)\ntensor([ True, False,  True])"},
    {&ne, "not_equal(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "Alias of ne.\n"
     ">>> pydl.not_equal(pydl.tensor([1, 2, 3]), 2)\ntensor([ True, False,  True])"},
    {&lt, "lt(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "input < other.\n"
     ">>> pydl.lt(pydl.tensor([1, 2, 3]), 2)\ntensor([ True, False, False])"},
    {&lt, "less(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "Alias of lt.\n"
     ">>> pydl.less(pydl.tensor([1, 2, 3]), 2)\ntensor([ True, False, False])"},
    {&le, "le(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "input <= other.\n"
     ">>> pydl.le(pydl.tensor([1, 2, 3]), 2)\ntensor([ True,  True, False])"},
    {&le, "less_equal(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "Alias of le.\n"
     ">>> pydl.less_equal(pydl.tensor([1, 2, 3]), 2)\ntensor([ True,  True, False])"},
    {&gt, "gt(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "input > other.\n"
     ">>> pydl.gt(pydl.tensor([1, 2, 3]), 2)\ntensor([False, False,  True])"},
    {&gt, "greater(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "Alias of gt.\n"
     ">>> pydl.greater(pydl.tensor([1, 2, 3]), 2)\ntensor([False, False,  True])"},
    {&ge, "ge(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "input >= other.\n"
     ">>> pydl.ge(pydl.tensor([1, 2, 3]), 2)\ntensor([False,  True,  True])"},
    {&ge, "greater_equal(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "Alias of ge.\n"
     ">>> pydl.greater_equal(pydl.tensor([1, 2, 3]), 2)\ntensor([False,  True,  True])"},
    {&logical_and, "logical_and(Tensor input, Tensor other) -> Tensor", kFull | kNoGrad,
     "Both are other than 0.\n"
     ">>> pydl.logical_and(pydl.tensor([0, 1, 2]), pydl.tensor([3, 0, 4]))\ntensor([False, False,  True])"},
    {&logical_or, "logical_or(Tensor input, Tensor other) -> Tensor", kFull | kNoGrad,
     "Either is other than 0.\n"
     ">>> pydl.logical_or(pydl.tensor([0, 1, 0]), pydl.tensor([3, 0, 0]))\ntensor([ True,  True, False])"},
    {&logical_xor, "logical_xor(Tensor input, Tensor other) -> Tensor", kFull | kNoGrad,
     "One of the two is other than 0.\n"
     ">>> pydl.logical_xor(pydl.tensor([0, 1, 2]), pydl.tensor([3, 0, 4]))\ntensor([ True,  True, False])"},
    {&logical_not, "logical_not(Tensor input) -> Tensor", kFull | kNoGrad,
     "True where the input is 0.\n"
     ">>> pydl.logical_not(pydl.tensor([0, 1, 2]))\ntensor([ True, False, False])"},
    {&isnan, "isnan(Tensor input) -> Tensor", kTest,
     "True where the input is NaN.\n"
     ">>> pydl.isnan(pydl.tensor([1.0, float('nan'), float('inf')]))\ntensor([False,  True, False])"},
    {&isinf, "isinf(Tensor input) -> Tensor", kTest,
     "True where the input is infinite.\n"
     ">>> pydl.isinf(pydl.tensor([1.0, float('nan'), float('inf')]))\ntensor([False, False,  True])"},
    {&isfinite, "isfinite(Tensor input) -> Tensor", kTest,
     "True where the input is neither NaN nor infinite.\n"
     ">>> pydl.isfinite(pydl.tensor([1.0, float('nan'), float('inf')]))\ntensor([ True, False, False])"},
    {&isposinf, "isposinf(Tensor input) -> Tensor", kTest | kOut,
     "True where the input is +inf.\n"
     ">>> pydl.isposinf(pydl.tensor([1.0, float('-inf'), float('inf')]))\ntensor([False, False,  True])"},
    {&isneginf, "isneginf(Tensor input) -> Tensor", kTest | kOut,
     "True where the input is -inf.\n"
     ">>> pydl.isneginf(pydl.tensor([1.0, float('-inf'), float('inf')]))\ntensor([False,  True, False])"},
    {&isreal, "isreal(Tensor input) -> Tensor", kTest,
     "True everywhere: there are no complex tensors.\n"
     ">>> pydl.isreal(pydl.tensor([1.0, 2.0]))\ntensor([True, True])"},
    {&signbit, "signbit(Tensor input) -> Tensor", kTest | kOut,
     "True where the sign bit is set, -0.0 included.\n"
     ">>> pydl.signbit(pydl.tensor([-1.0, -0.0, 0.0]))\ntensor([ True,  True, False])"},
    {&bitwise_not, "bitwise_not(Tensor input) -> Tensor", kFull | kNoGrad,
     "Bits flipped; logical not of bool.\n"
     ">>> pydl.bitwise_not(pydl.tensor([0, 5]))\ntensor([-1, -6])\n"
     ">>> pydl.bitwise_not(pydl.tensor([True, False]))\ntensor([False,  True])"},
    {&bitwise_and, "bitwise_and(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "Bitwise and.\n"
     ">>> pydl.bitwise_and(pydl.tensor([12, 10]), 6)\ntensor([4, 2])"},
    {&bitwise_or, "bitwise_or(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "Bitwise or.\n"
     ">>> pydl.bitwise_or(pydl.tensor([12, 10]), 6)\ntensor([14, 14])"},
    {&bitwise_xor, "bitwise_xor(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "Bitwise exclusive or.\n"
     ">>> pydl.bitwise_xor(pydl.tensor([12, 10]), 6)\ntensor([10, 12])"},
    {&bitwise_left_shift, "bitwise_left_shift(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "input << other.\n"
     ">>> pydl.bitwise_left_shift(pydl.tensor([1, 3]), 2)\ntensor([ 4, 12])"},
    {&bitwise_right_shift, "bitwise_right_shift(Operand input, Operand other) -> Tensor", kFull | kNoGrad,
     "input >> other, keeping the sign.\n"
     ">>> pydl.bitwise_right_shift(pydl.tensor([8, -8]), 2)\ntensor([ 2, -2])"},
    {&where, "where(Tensor condition, Tensor input, Tensor other) -> Tensor", kFunction | kOut,
     "input where condition, other elsewhere.\n"
     ">>> x = pydl.tensor([[1, -2], [-3, 4]])\n"
     ">>> pydl.where(x > 0, x, 10 * x)\ntensor([[  1, -20],\n        [-30,   4]])"},
    {&where, "where(Tensor condition, Operand input, Operand other) -> Tensor", kFunction, ""},
};

}  // namespace

}  // namespace pydl
