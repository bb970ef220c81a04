// Activations: the parametrised rows of pointwise.inc under PyTorch's names and defaults.
#include <cmath>

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
  return mul(narrow(x, d, 0, n / 2), sigmoid(narrow(x, d, n / 2, n / 2)));
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
    {&relu, "relu(Tensor input) -> Tensor", kEverywhere, "max(x, 0)."},
    {&relu6, "relu6(Tensor input) -> Tensor", kActivation, "min(max(x, 0), 6)."},
    {&leaky_relu_slope, "leaky_relu(Tensor input, Scalar negative_slope=0.01) -> Tensor", kActivation, "x where positive, negative_slope * x elsewhere."},
    {&elu_alpha, "elu(Tensor input, Scalar alpha=1.0) -> Tensor", kActivation, "x where positive, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2015)."},
    {&selu, "selu(Tensor input) -> Tensor", kNN | kInplace | kFunction, "Scaled elu that keeps mean 0 and variance 1 (Klambauer et al. 2017)."},
    {&celu, "celu(Tensor input, Scalar alpha=1.0) -> Tensor", kActivation | kFunction, "x where positive, alpha * (exp(x / alpha) - 1) elsewhere (Barron 2017)."},
    {&gelu_approximate, "gelu(Tensor input, *, str approximate='none') -> Tensor", kNN | kOut,
     "x times the normal distribution function of x (Hendrycks and Gimpel 2016); 'tanh' approximates it."},
    {&silu, "silu(Tensor input) -> Tensor", kActivation, "x * sigmoid(x)."},
    {&mish, "mish(Tensor input) -> Tensor", kActivation, "x * tanh(log(1 + exp(x))) (Misra 2019)."},
    {&softplus_beta, "softplus(Tensor input, Scalar beta=1.0, Scalar threshold=20.0) -> Tensor", kNN | kOut, "log(1 + exp(beta * x)) / beta, x itself where beta * x > threshold."},
    {&hardtanh_range, "hardtanh(Tensor input, Scalar min_val=-1.0, Scalar max_val=1.0) -> Tensor", kActivation, "x limited to [min_val, max_val]."},
    {&hardsigmoid, "hardsigmoid(Tensor input) -> Tensor", kActivation, "min(max(x + 3, 0), 6) / 6."},
    {&hardswish, "hardswish(Tensor input) -> Tensor", kActivation, "x * hardsigmoid(x) (Howard et al. 2019)."},
    {&softshrink_lambda, "softshrink(Tensor input, Scalar lambd=0.5) -> Tensor", kNN | kOut, "x moved toward 0 by lambd, 0 within lambd of it."},
    {&hardshrink_lambda, "hardshrink(Tensor input, Scalar lambd=0.5) -> Tensor", kNN | kFunction | kMethod, "x, 0 within lambd of 0."},
    {&log_sigmoid, "logsigmoid(Tensor input) -> Tensor", kNN | kOut, "log(sigmoid(x)), without overflow."},
    {&softsign, "softsign(Tensor input) -> Tensor", kNN, "x / (1 + |x|)."},
    {&tanhshrink, "tanhshrink(Tensor input) -> Tensor", kNN, "x - tanh(x)."},
    {&threshold_value, "threshold(Tensor input, Scalar threshold, Scalar value) -> Tensor", kActivation | kFunction, "x where above threshold, value elsewhere."},
    {&glu, "glu(Tensor input, int dim=-1) -> Tensor", kNN, "The first half along dim times the sigmoid of the second (Dauphin et al. 2016)."},
    {&prelu, "prelu(Tensor input, Tensor weight) -> Tensor", kNN | kFunction | kMethod, "leaky_relu with learned slopes, one or one a channel (He et al. 2015)."},
    {&sigmoid, "sigmoid(Tensor input) -> Tensor", kNN, "1 / (1 + exp(-x))."},
    {&tanh, "tanh(Tensor input) -> Tensor", kNN, "Hyperbolic tangent."},
};

}  // namespace

}  // namespace pydl
