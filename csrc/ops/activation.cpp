// Activations: the parametrised rows of pointwise.inc under PyTorch's names and defaults.
#include <cmath>

#include "autograd/node.h"
#include "ops/join.h"
#include "ops/pointwise.h"
#include "ops/view.h"

namespace pydl {

namespace {

Tensor relu6(const Tensor& x, const Out& out) { return hardtanh(x, Scalar(0), Scalar(6), out); }
Tensor leaky_relu_slope(const Tensor& x, const Scalar& slope, const Out& out) { return leaky_relu(x, slope, out); }
Tensor elu_alpha(const Tensor& x, const Scalar& alpha, const Out& out) { return elu(x, alpha, Scalar(1), Scalar(1), out); }
// Klambauer et al. 2017.
Tensor selu(const Tensor& x, const Out& out) { return elu(x, Scalar(1.6732632423543772848), Scalar(1.0507009873554804934), Scalar(1), out); }
Tensor celu(const Tensor& x, const Scalar& alpha, const Out& out) {
  if (alpha.equals(0)) fail("celu: expected alpha other than 0, got 0");
  return elu(x, alpha, Scalar(1), Scalar(1 / alpha.to_double()), out);
}
Tensor gelu_approximate(const Tensor& x, std::string_view approximate, const Out& out) {
  if (approximate == "none") return gelu(x, out);
  if (approximate == "tanh") return gelu_tanh(x, out);
  fail("gelu: expected approximate 'none' or 'tanh', got '", approximate, "'");
}
Tensor softplus_beta(const Tensor& x, const Scalar& beta, const Scalar& threshold, const Out& out) { return softplus(x, beta, threshold, out); }
Tensor hardtanh_range(const Tensor& x, const Scalar& low, const Scalar& high, const Out& out) {
  if (low.to_double() > high.to_double()) fail<ValueError>("hardtanh: expected min_val <= max_val, got ", low.to_double(), " and ", high.to_double());
  return hardtanh(x, low, high, out);
}
Tensor threshold_value(const Tensor& x, const Scalar& threshold_at, const Scalar& value, const Out& out) { return threshold(x, threshold_at, value, out); }
Tensor softshrink_lambda(const Tensor& x, const Scalar& lambda, const Out& out) {
  if (!(lambda.to_double() >= 0)) fail("softshrink: expected lambd >= 0, got ", lambda.to_double());
  return softshrink(x, lambda, out);
}
Tensor hardshrink_lambda(const Tensor& x, const Scalar& lambda, const Out& out) { return hardshrink(x, lambda, out); }
Tensor glu(const Tensor& x, int64_t dim) {
  if (x.dim() == 0) fail("glu: expected a tensor with dimensions, got a 0-d tensor");
  const int64_t d = wrap_dim("glu", dim, x.dim()), n = x.size(d);
  if (n % 2) fail("glu: expected an even size along dimension ", d, ", got ", n);
  const auto value = [=](const Tensor& t) { return narrow(t, d, 0, n / 2); };
  const auto gate = [=](const Tensor& t) { return narrow(t, d, n / 2, n / 2); };
  const Tensor y = gated(value(x.alias()), gate(x.alias()));
  if (autograd::needed(x))
    autograd::record("GluBackward", y, {x}, [=, saved = autograd::save(x)](const Tensor& g) -> Tensor {
      const Tensor in = saved;
      if (autograd::grad_enabled()) return cat({gated(g, gate(in)), gate_slope(g, value(in), gate(in))}, d);
      const Tensor dx = Tensor::empty(in.sizes(), in.dtype());
      gated(g, gate(in), Out::prepared(value(dx)));
      gate_slope(g, value(in), gate(in), Out::prepared(gate(dx)));
      return dx;
    });
  return y;
}
// weight: one slope, or one for each channel (dimension 1).
Tensor prelu(const Tensor& x, const Tensor& weight) {
  Tensor w = weight;
  if (weight.numel() != 1) {
    const int64_t channels = x.dim() > 1 ? x.size(1) : 1;
    if (weight.dim() != 1 || weight.numel() != channels) fail("prelu: expected one weight or one for each of ", channels, " channels, got ", weight);
    Dims shape(size_t(x.dim()), 1);
    shape[1] = channels;
    w = reshape(weight, shape);
  }
  return where(gt(x, Operand(0)), x, mul(x, w));
}

constexpr int kActivation = kNN | kInplace | kOut;
constexpr int kEverywhere = kFunction | kMethod | kInplace | kNN;

const Operator ops[] = {
    {&relu, "relu(Tensor input) -> Tensor", kEverywhere,
     "max(x, 0).\n"
     ">>> pydl.relu(pydl.tensor([-1.0, 2.0]))\ntensor([0., 2.])"},
    {&relu6, "relu6(Tensor input) -> Tensor", kActivation,
     "min(max(x, 0), 6).\n"
     ">>> pydl.nn.functional.relu6(pydl.tensor([-1.0, 2.0, 8.0]))\ntensor([0., 2., 6.])"},
    {&leaky_relu_slope, "leaky_relu(Tensor input, Scalar negative_slope=0.01) -> Tensor", kActivation,
     "x where positive, negative_slope * x elsewhere.\n"
     ">>> pydl.nn.functional.leaky_relu(pydl.tensor([-1.0, 2.0]), negative_slope=0.1)\ntensor([-0.1000,  2.0000])"},
    {&elu_alpha, "elu(Tensor input, Scalar alpha=1.0) -> Tensor", kActivation,
     "x where positive, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2015).\n"
     ">>> pydl.nn.functional.elu(pydl.tensor([-1.0, 2.0]), alpha=0.5)\ntensor([-0.3161,  2.0000])"},
    {&selu, "selu(Tensor input) -> Tensor", kNN | kInplace | kFunction,
     "Scaled elu that keeps mean 0 and variance 1 (Klambauer et al. 2017).\n"
     ">>> pydl.selu(pydl.tensor([-1.0, 2.0]))\ntensor([-1.1113,  2.1014])"},
    {&celu, "celu(Tensor input, Scalar alpha=1.0) -> Tensor", kActivation | kFunction,
     "x where positive, alpha * (exp(x / alpha) - 1) elsewhere (Barron 2017).\n"
     ">>> pydl.celu(pydl.tensor([-1.0, 2.0]), alpha=0.5)\ntensor([-0.4323,  2.0000])"},
    {&gelu_approximate, "gelu(Tensor input, *, str approximate='none') -> Tensor", kNN | kOut,
     "x times the normal distribution function of x (Hendrycks and Gimpel 2016); 'tanh' approximates it.\n"
     ">>> pydl.nn.functional.gelu(pydl.tensor([-1.0, 2.0]))\ntensor([-0.1587,  1.9545])\n"
     ">>> pydl.nn.functional.gelu(pydl.tensor([-1.0, 2.0]), approximate='tanh')\ntensor([-0.1588,  1.9546])"},
    {&silu, "silu(Tensor input) -> Tensor", kActivation,
     "x * sigmoid(x).\n"
     ">>> pydl.nn.functional.silu(pydl.tensor([-1.0, 2.0]))\ntensor([-0.2689,  1.7616])"},
    {&mish, "mish(Tensor input) -> Tensor", kActivation,
     "x * tanh(log(1 + exp(x))) (Misra 2019).\n"
     ">>> pydl.nn.functional.mish(pydl.tensor([-1.0, 2.0]))\ntensor([-0.3034,  1.9440])"},
    {&softplus_beta, "softplus(Tensor input, Scalar beta=1.0, Scalar threshold=20.0) -> Tensor", kNN | kOut,
     "log(1 + exp(beta * x)) / beta, x itself where beta * x > threshold.\n"
     ">>> pydl.nn.functional.softplus(pydl.tensor([0.0, 1.0]), beta=2)\ntensor([0.3466, 1.0635])"},
    {&hardtanh_range, "hardtanh(Tensor input, Scalar min_val=-1.0, Scalar max_val=1.0) -> Tensor", kActivation,
     "x limited to [min_val, max_val].\n"
     ">>> pydl.nn.functional.hardtanh(pydl.tensor([-3.0, 0.5, 3.0]), min_val=0, max_val=2)\n"
     "tensor([0.0000, 0.5000, 2.0000])"},
    {&hardsigmoid, "hardsigmoid(Tensor input) -> Tensor", kActivation,
     "min(max(x + 3, 0), 6) / 6.\n"
     ">>> pydl.nn.functional.hardsigmoid(pydl.tensor([-4.0, 0.0, 1.5]))\ntensor([0.0000, 0.5000, 0.7500])"},
    {&hardswish, "hardswish(Tensor input) -> Tensor", kActivation,
     "x * hardsigmoid(x) (Howard et al. 2019).\n"
     ">>> pydl.nn.functional.hardswish(pydl.tensor([-1.0, 1.0, 4.0]))\ntensor([-0.3333,  0.6667,  4.0000])"},
    {&softshrink_lambda, "softshrink(Tensor input, Scalar lambd=0.5) -> Tensor", kNN | kOut,
     "x moved toward 0 by lambd, 0 within lambd of it.\n"
     ">>> pydl.nn.functional.softshrink(pydl.tensor([-2.0, 0.3, 2.0]), lambd=0.5)\n"
     "tensor([-1.5000,  0.0000,  1.5000])"},
    {&hardshrink_lambda, "hardshrink(Tensor input, Scalar lambd=0.5) -> Tensor", kNN | kFunction | kMethod,
     "x, 0 within lambd of 0.\n"
     ">>> pydl.hardshrink(pydl.tensor([-2.0, 0.3, 2.0]), lambd=0.5)\ntensor([-2.,  0.,  2.])"},
    {&log_sigmoid, "logsigmoid(Tensor input) -> Tensor", kNN | kOut,
     "log(sigmoid(x)), without overflow.\n"
     ">>> pydl.nn.functional.logsigmoid(pydl.tensor([-100.0, 0.0]))\ntensor([-100.0000,   -0.6931])"},
    {&softsign, "softsign(Tensor input) -> Tensor", kNN,
     "x / (1 + |x|).\n"
     ">>> pydl.nn.functional.softsign(pydl.tensor([-1.0, 3.0]))\ntensor([-0.5000,  0.7500])"},
    {&tanhshrink, "tanhshrink(Tensor input) -> Tensor", kNN,
     "x - tanh(x).\n"
     ">>> pydl.nn.functional.tanhshrink(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 0.2384])"},
    {&threshold_value, "threshold(Tensor input, Scalar threshold, Scalar value) -> Tensor", kActivation | kFunction,
     "x where above threshold, value elsewhere.\n"
     ">>> pydl.threshold(pydl.tensor([0.5, 2.0]), 1, 10)\ntensor([10.,  2.])"},
    {&glu, "glu(Tensor input, int dim=-1) -> Tensor", kNN,
     "The first half along dim times the sigmoid of the second (Dauphin et al. 2016).\n"
     ">>> pydl.nn.functional.glu(pydl.tensor([1.0, 2.0, 0.0, 1.0]))\ntensor([0.5000, 1.4621])"},
    {&prelu, "prelu(Tensor input, Tensor weight) -> Tensor", kNN | kFunction | kMethod,
     "leaky_relu with learned slopes, one or one a channel (He et al. 2015).\n"
     ">>> pydl.prelu(pydl.tensor([[-1.0, -1.0], [2.0, 2.0]]), pydl.tensor([0.1, 0.5]))\ntensor([[-0.1000, -0.5000],\n"
     "        [ 2.0000,  2.0000]])"},
    {&sigmoid, "sigmoid(Tensor input) -> Tensor", kNN,
     "1 / (1 + exp(-x)).\n"
     ">>> pydl.nn.functional.sigmoid(pydl.tensor([0.0, 1.0]))\ntensor([0.5000, 0.7311])"},
    {&tanh, "tanh(Tensor input) -> Tensor", kNN,
     "Hyperbolic tangent.\n"
     ">>> pydl.nn.functional.tanh(pydl.tensor([0.0, 1.0]))\ntensor([0.0000, 0.7616])"},
};

}  // namespace

}  // namespace pydl
