// Norms, distances and comparisons within a tolerance.
#include <cmath>

#include "autograd/node.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/matmul.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/sparse.h"
#include "ops/view.h"

namespace pydl {

namespace {

IntSpan or_all(const std::optional<Dims>& d) { return d ? IntSpan(*d) : IntSpan(); }

// (sum |x|^p)^(1/p) over dims; p = inf and -inf are the extremes, p = 0 counts. The gradient at 0 is 0.
Tensor vector_norm(const Tensor& input, const Scalar& ord, const std::optional<Dims>& dim, bool keepdim, std::optional<DType> dtype) {
  Call call("linalg.vector_norm");
  if (input.is_sparse() && or_all(dim).empty() && !keepdim)
    return vector_norm(coalesce(input).sparse().values, ord, std::nullopt, false, dtype);
  const Tensor x = dtype ? cast(input, *dtype) : input;
  if (!is_floating(x.dtype())) fail(call.op, ": expected a floating point tensor or dtype, got ", x);
  const IntSpan dims = or_all(dim);
  const double p = ord.to_double();
  if (p == 0) return sum(cast(ne(x, Operand(0)), x.dtype()), dims, keepdim);
  if (p == 1) return sum_abs(x, dims, keepdim);
  if (std::isinf(p)) return p > 0 ? amax(abs(x), dims, keepdim) : amin(abs(x), dims, keepdim);
  const Tensor powers = p == 2 ? sum_squares(x, dims, keepdim) : sum(pow(abs(x), Operand(p)), dims, keepdim);
  const Tensor zero = eq(powers.alias(), Operand(0));
  const Tensor safe = autograd::needed(x) ? where(zero, Operand(1.0), powers) : powers;
  const Tensor root = p == 2 ? sqrt(safe) : pow(safe, Operand(1 / p));
  return autograd::needed(x) ? where(zero, Operand(0.0), root) : root;
}

Tensor norm(const Tensor& x, const std::optional<Scalar>& p, const std::optional<Dims>& dim, bool keepdim, std::optional<DType> dtype) {
  return vector_norm(x, p.value_or(Scalar(2)), dim, keepdim, dtype);
}
Tensor norm_named(const Tensor& x, std::string_view p, const std::optional<Dims>& dim, bool keepdim, std::optional<DType> dtype) {
  if (p != "fro") fail("norm: expected a number, 'fro' or 'nuc' as p, got '", p, "'");
  return vector_norm(x, Scalar(2), dim, keepdim, dtype);
}
Tensor dist(const Tensor& a, const Tensor& b, const Scalar& p) { return vector_norm(sub(a, b), p, std::nullopt, false, {}); }

// Each slice along dim scaled down to p-norm maxnorm where it is larger.
Tensor renorm(const Tensor& x, const Scalar& p, int64_t dim, const Scalar& maxnorm) {
  if (x.dim() < 2) fail("renorm: expected a tensor of at least 2 dimensions, got ", x);
  const int64_t d = wrap_dim("renorm", dim, x.dim());
  Dims others;
  for (int64_t k = 0; k < x.dim(); ++k)
    if (k != d) others.push_back(k);
  const Tensor norms = vector_norm(x, p, others, true, {});
  const Tensor factor = where(gt(norms, maxnorm), div(maxnorm, add(norms, Operand(1e-7))), Operand(1.0));
  return mul(x, factor);
}

Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  Call call("isclose");
  if (a.dtype() != b.dtype()) fail("isclose: expected tensors of one dtype, got ", a, " and ", b);
  if (rtol < 0 || atol < 0) fail("isclose: expected non-negative tolerances, got ", rtol, " and ", atol);
  Tensor close = eq(a, b);
  if (equal_nan && is_floating(a.dtype())) close = logical_or(close, logical_and(isnan(a), isnan(b)));
  if (rtol == 0 && atol == 0) return close;
  const bool integral = is_integral(a.dtype());
  const Tensor x = integral ? cast(a, DType::Float64) : a, y = integral ? cast(b, DType::Float64) : b;
  const Tensor error = abs(sub(x, y)), allowed = add(abs(mul(y, Operand(rtol))), Operand(atol));
  return logical_or(close, logical_and(isfinite(error), le(error, allowed)));
}
bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) { return *all(isclose(a, b, rtol, atol, equal_nan)).data<bool>(); }
bool equal(const Tensor& a, const Tensor& b) { return same(a.sizes(), b.sizes()) && *all(eq(a, b)).data<bool>(); }

Tensor isin(const Operand& elements, const Operand& test, bool, bool invert) {
  const Tensor x = elements.is_tensor() ? elements.tensor() : scalar_tensor(elements.scalar());
  const Tensor t = test.is_tensor() ? reshape(test.tensor(), Dims{-1}) : scalar_tensor(test.scalar());
  const Tensor found = t.dim() == 0 ? eq(x, t) : t.numel() == 0 ? full(x.sizes(), Scalar(false)) : any(eq(unsqueeze(x, -1), t), Dims{-1});
  return in_format_of(x, invert ? logical_not(found) : found);
}

bool is_nonzero(const Tensor& x) {
  if (x.numel() != 1) fail("is_nonzero: expected a tensor of one element, got ", x);
  return *any(x).data<uint8_t>();
}

constexpr int kBoth = kFunction | kMethod;

const Operator ops[] = {
    {&vector_norm, "linalg.vector_norm(Tensor x, Scalar ord=2, int[]? dim=None, bool keepdim=False, *, "
     "ScalarType? dtype=None) -> Tensor", kFunction | kOut,
     "The p-norm of the elements over dim.\n"
     ">>> pydl.linalg.vector_norm(pydl.tensor([3.0, 4.0]))\ntensor(5.)\n"
     ">>> pydl.linalg.vector_norm(pydl.tensor([3.0, 4.0]), ord=1)\ntensor(7.)"},
    {&norm, "norm(Tensor input, Scalar? p=2, int[]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
     kBoth | kOut, "The p-norm of the elements over dim.\n"
     ">>> pydl.norm(pydl.tensor([[3.0, 4.0], [6.0, 8.0]]), dim=1)\ntensor([ 5., 10.])"},
    {&norm_named, "norm(Tensor input, str p, int[]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", kBoth | kOut, ""},
    {&dist, "dist(Tensor input, Tensor other, Scalar p=2) -> Tensor", kBoth,
     "The p-norm of the difference.\n"
     ">>> pydl.dist(pydl.tensor([1.0, 2.0]), pydl.tensor([4.0, 6.0]))\ntensor(5.)"},
    {&renorm, "renorm(Tensor input, Scalar p, int dim, Scalar maxnorm) -> Tensor", kBoth | kInplace | kOut,
     "Slices along dim scaled down to p-norm maxnorm.\n"
     ">>> pydl.renorm(pydl.tensor([[6.0, 8.0], [0.0, 2.0]]), p=2, dim=0, maxnorm=5)\n"
     "tensor([[3., 4.],\n        [0., 2.]])"},
    {&isclose,
     "isclose(Tensor input, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> Tensor",
     kBoth | kNoGrad, "|input - other| <= atol + rtol |other|.\n"
     ">>> pydl.isclose(pydl.tensor([1.0, 2.0]), pydl.tensor([1.0, 2.1]))\ntensor([ True, False])"},
    {&allclose,
     "allclose(Tensor input, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> bool",
     kBoth | kNoGrad | kSynchronizes, "isclose everywhere.\n"
     ">>> pydl.allclose(pydl.tensor([1.0, 2.0]), pydl.tensor([1.0, 2.1]), atol=0.2)\nTrue"},
    {&equal, "equal(Tensor input, Tensor other) -> bool", kBoth | kNoGrad | kSynchronizes,
     "The same shape and elements.\n"
     ">>> pydl.equal(pydl.tensor([1, 2]), pydl.tensor([1, 2]))\nTrue"},
    {&isin, "isin(Operand elements, Operand test_elements, *, bool assume_unique=False, bool invert=False) -> Tensor",
     kFunction | kNoGrad | kOut, "Which elements occur in test_elements.\n"
     ">>> pydl.isin(pydl.tensor([1, 2, 3]), pydl.tensor([2, 3, 5]))\ntensor([False,  True,  True])"},
    {&is_nonzero, "is_nonzero(Tensor input) -> bool", kBoth | kNoGrad | kSynchronizes,
     "Whether the one element is other than 0.\n"
     ">>> pydl.is_nonzero(pydl.tensor([2]))\nTrue"},
};

}  // namespace

}  // namespace pydl
