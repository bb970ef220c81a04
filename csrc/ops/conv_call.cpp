// conv1d to conv3d and their transposes: arguments, checks, registration.
#include <algorithm>
#include <limits>

#include "autograd/node.h"
#include "ops/call.h"
#include "ops/conv.h"
#include "ops/conv_fold.h"
#include "ops/copy.h"
#include "ops/view.h"

namespace pydl {
namespace {

// An argument with one value an axis, or one for all.
Dims3 per_axis(const char* op, const char* name, IntSpan values, int spatial, int64_t lowest, int64_t absent) {
  if (values.size() != 1 && values.size() != size_t(spatial))
    fail<ShapeError>(op, ": expected ", name, " to be one value or ", spatial, ", got ", show(values));
  Dims3 all{absent, absent, absent};
  for (int a = 0; a < spatial; ++a) {
    const int64_t value = values[values.size() == 1 ? 0 : size_t(a)];
    constexpr int64_t kMost = std::numeric_limits<int32_t>::max();  // lest products with sizes overflow
    if (value < lowest || value > kMost)
      fail(op, ": expected ", name, " from ", lowest, " to ", kMost, ", got ", show(values));
    all[size_t(3 - spatial + a)] = value;
  }
  return all;
}

Dims3 spatial_sizes(const Tensor& t, int spatial) {
  Dims3 all{1, 1, 1};
  for (int a = 0; a < spatial; ++a) all[size_t(3 - spatial + a)] = t.size(t.dim() - spatial + a);
  return all;
}
Dims tail(const Dims3& all, int spatial) { return Dims(all.begin() + (3 - spatial), all.end()); }

// What all six operators ask of their tensors. `in` is the weight's dimension of input channels; `x` gains a batch.
struct Operands {
  Tensor x, weight, bias;
  bool batched;
  DType dtype;
};
Operands check(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, int spatial, int64_t groups,
               bool transposed) {
  if (groups < 1) fail(op, ": expected groups of at least 1, got ", groups);
  if (x.dim() != spatial + 1 && x.dim() != spatial + 2)
    fail<ShapeError>(op, ": expected an input of ", spatial + 1, " (unbatched) or ", spatial + 2,
                     " dimensions, got ", x);
  if (weight.dim() != spatial + 2)
    fail<ShapeError>(op, ": expected a weight of ", spatial + 2, " dimensions, got ", weight);
  if (!is_floating(x.dtype())) fail(op, ": expected a floating point input, got ", x);
  if (weight.dtype() != x.dtype() || (bias.defined() && bias.dtype() != x.dtype()))
    fail(op, ": expected operands of one dtype, got ", x, ", ", weight, bias.defined() ? " and a bias of " : "",
         bias.defined() ? name_of(bias.dtype()) : "");
  const bool batched = x.dim() == spatial + 2;
  const int64_t channels = x.size(batched ? 1 : 0), first = weight.size(0), second = weight.size(1);
  if (first % groups != 0)
    fail<ShapeError>(op, ": expected ", first, " ", transposed ? "input" : "output",
                     " channels (weight's dimension 0) ", "to divide into groups=", groups, ", got ", weight);
  if (first == 0) fail<ShapeError>(op, ": expected a weight with at least one filter, got ", weight);
  if (transposed && channels != first)
    fail<ShapeError>(op, ": expected an input of ", first, " channels for a weight of shape ", show(weight.sizes()),
                     ", got ", channels, " in ", x);
  if (!transposed && channels != second * groups)
    fail<ShapeError>(op, ": expected an input of ", second * groups, " channels for a weight of shape ",
                     show(weight.sizes()), " and groups=", groups, ", got ", channels, " in ", x);
  const int64_t out = transposed ? second * groups : first;
  if (bias.defined() && (bias.dim() != 1 || bias.numel() != out))
    fail<ShapeError>(op, ": expected a bias of shape [", out, "], got ", bias);
  const DType t = compute_dtype(x.dtype());
  return {cast(batched ? x : unsqueeze(x, 0), t), cast(weight, t), bias.defined() ? cast(bias, t) : bias, batched,
          x.dtype()};
}

Tensor finish(const Tensor& y, const Operands& o) { return cast(o.batched ? y : squeeze(y, Dims{0}), o.dtype); }

// x (N, C, in...) against weight (O, C/groups, kernel...). `same`: as much padding as keeps the size, the odd one last.
ConvShape shape_of(const char* op, int spatial, const Operands& o, IntSpan stride, IntSpan padding, bool same,
                   IntSpan dilation, int64_t groups) {
  const Tensor &input = o.x, &weight = o.weight;
  ConvShape s{.batch = input.size(0), .in_channels = input.size(1), .out_channels = weight.size(0), .groups = groups,
              .in = spatial_sizes(input, spatial), .out = {1, 1, 1}, .kernel = spatial_sizes(weight, spatial),
              .stride = per_axis(op, "stride", stride, spatial, 1, 1),
              .dilation = per_axis(op, "dilation", dilation, spatial, 1, 1),
              .padding = per_axis(op, "padding", padding, spatial, 0, 0), .spatial = spatial};
  for (size_t a = 0; a < 3; ++a) {
    const int64_t reach = s.dilation[a] * (s.kernel[a] - 1) + 1;
    int64_t around = 2 * s.padding[a];
    if (same) {
      if (s.stride[a] != 1) fail(op, ": expected stride=1 with padding='same', got ", show(stride));
      around = reach - 1;
      s.padding[a] = around / 2;
    }
    if (s.kernel[a] == 0) fail<ShapeError>(op, ": expected a kernel of at least 1, got a weight of ", weight);
    if (reach > s.in[a] + around)
      fail<ShapeError>(op, ": expected a kernel no larger than the padded input, got a kernel that spans ", reach,
                       " over an input of ", s.in[a] + around, " (kernel ", show(tail(s.kernel, spatial)), ", input ",
                       show(tail(s.in, spatial)), ")");
    s.out[a] = (s.in[a] + around - reach) / s.stride[a] + 1;
  }
  return s;
}

Tensor convolution(const char* op, int spatial, const Tensor& input, const Tensor& weight, const Tensor& bias,
                   IntSpan stride, IntSpan padding, bool same, IntSpan dilation, int64_t groups) {
  Call call(op);
  const Operands o = check(op, input, weight, bias, spatial, groups, false);
  return finish(convolve(o.x, o.weight, o.bias, shape_of(op, spatial, o, stride, padding, same, dilation, groups)), o);
}

// activation(batch_norm(convolution)) in evaluation, where nothing is recorded: what Sequential makes of such layers.
Tensor fused_convolution(const Tensor& input, const Tensor& weight, const Tensor& bias, IntSpan stride, IntSpan padding,
                         bool same, IntSpan dilation, int64_t groups, const Tensor& mean, const Tensor& var,
                         const Tensor& norm_weight, const Tensor& norm_bias, double eps, std::string_view activation) {
  static constexpr const char* kNames[] = {"conv1d", "conv2d", "conv3d"};
  const int spatial = int(std::clamp<int64_t>(weight.dim() - 2, 1, 3));
  Call call(kNames[spatial - 1]);
  Operands o = check(call.op, input, weight, bias, spatial, groups, false);
  if (autograd::needed(input, weight, bias, norm_weight, norm_bias))
    fail(call.op, ": expected tensors that record nothing, got one that requires a gradient");
  const ConvShape s = shape_of(call.op, spatial, o, stride, padding, same, dilation, groups);
  bool keep = true;
  if (mean.defined()) {
    for (const Tensor* t : {&mean, &var, &norm_weight, &norm_bias})
      if (t->defined() && (t->dtype() != o.x.dtype() || t->dim() != 1 || t->numel() != s.out_channels))
        fail<ShapeError>(call.op, ": expected statistics and affine values of a norm of ", s.out_channels,
                         " channels, got ", *t);
    const FoldedConv folded = fold(o.weight, o.bias, {mean, var, norm_weight, norm_bias, eps});
    o.weight = folded.weight, o.bias = folded.bias, keep = folded.keep;
  }
  return finish(convolve(o.x, o.weight, o.bias, s, keep, fused_activation(call.op, activation)), o);
}

// x (N, C, in...) against weight (C, O/groups, kernel...): the gradient that flows through a convolution from O
// channels to C.
Tensor transposed_convolution(const char* op, int spatial, const Tensor& input, const Tensor& weight,
                              const Tensor& bias, IntSpan stride, IntSpan padding, IntSpan output_padding,
                              int64_t groups, IntSpan dilation) {
  Call call(op);
  const Operands o = check(op, input, weight, bias, spatial, groups, true);
  ConvShape s{.batch = o.x.size(0), .in_channels = weight.size(1) * groups, .out_channels = o.x.size(1),
              .groups = groups, .in = {1, 1, 1}, .out = spatial_sizes(input, spatial),
              .kernel = spatial_sizes(weight, spatial), .stride = per_axis(op, "stride", stride, spatial, 1, 1),
              .dilation = per_axis(op, "dilation", dilation, spatial, 1, 1),
              .padding = per_axis(op, "padding", padding, spatial, 0, 0), .spatial = spatial};
  const Dims3 extra = per_axis(op, "output_padding", output_padding, spatial, 0, 0);
  for (size_t a = 0; a < 3; ++a) {
    if (extra[a] > 0 && extra[a] >= std::max(s.stride[a], s.dilation[a]))
      fail(op, ": expected output_padding smaller than stride or dilation, got ", extra[a], " with stride ",
           s.stride[a], " and dilation ", s.dilation[a]);
    if (s.kernel[a] == 0) fail<ShapeError>(op, ": expected a kernel of at least 1, got a weight of ", weight);
    s.in[a] = (s.out[a] - 1) * s.stride[a] - 2 * s.padding[a] + s.dilation[a] * (s.kernel[a] - 1) + extra[a] + 1;
    if (s.in[a] < 1 || s.out[a] < 1)
      fail<ShapeError>(op, ": expected an output of at least 1, got ", s.in[a], " from an input of ", s.out[a],
                       " (input ", show(tail(s.out, spatial)), ", padding ", show(padding), ")");
  }
  return finish(convolve_input(o.x, o.weight, o.bias, s), o);
}

bool is_same(const char* op, std::string_view padding) {
  if (padding != "same" && padding != "valid")
    fail(op, ": expected padding to be 'same', 'valid' or numbers, got '", padding, "'");
  return padding == "same";
}

#define CONVOLUTION(name, spatial)                                                                                     \
  Tensor name(const Tensor& x, const Tensor& w, const Tensor& b, IntSpan stride, IntSpan padding, IntSpan dilation,    \
              int64_t groups) {                                                                                        \
    return convolution(#name, spatial, x, w, b, stride, padding, false, dilation, groups);                             \
  }                                                                                                                    \
  Tensor name##_named(const Tensor& x, const Tensor& w, const Tensor& b, IntSpan stride, std::string_view padding,     \
                      IntSpan dilation, int64_t groups) {                                                              \
    const bool same = is_same(#name, padding);                                                                         \
    return convolution(#name, spatial, x, w, b, stride, Dims{0}, same, dilation, groups);                              \
  }
#define TRANSPOSED(name, spatial)                                                                                      \
  Tensor name(const Tensor& x, const Tensor& w, const Tensor& b, IntSpan stride, IntSpan padding,                      \
              IntSpan output_padding, int64_t groups, IntSpan dilation) {                                              \
    return transposed_convolution(#name, spatial, x, w, b, stride, padding, output_padding, groups, dilation);         \
  }
CONVOLUTION(conv1d, 1)
CONVOLUTION(conv2d, 2)
CONVOLUTION(conv3d, 3)
TRANSPOSED(conv_transpose1d, 1)
TRANSPOSED(conv_transpose2d, 2)
TRANSPOSED(conv_transpose3d, 3)

#define TENSORS "(Tensor input, Tensor weight, Tensor? bias=None, int[] stride=[1], "
#define NUMBERS TENSORS "int[] padding=[0], int[] dilation=[1], int groups=1) -> Tensor"
#define NAMED TENSORS "str padding='valid', int[] dilation=[1], int groups=1) -> Tensor"
#define TRANSPOSE TENSORS "int[] padding=[0], int[] output_padding=[0], int groups=1, int[] dilation=[1]) -> Tensor"
#define CONV_DOC "Cross-correlation of input (N, C, size...) with weight (O, C/groups, kernel...), plus bias (O)."
#define TRANSPOSE_DOC \
  "The transpose of a convolution: input (N, C, size...), weight (C, O/groups, kernel...), bias (O)."
constexpr int kFlags = kFunction | kNN;

const Operator ops[] = {
    {&conv1d, "conv1d" NUMBERS, kFlags,
     CONV_DOC "\n>>> pydl.conv1d(pydl.tensor([[[1.0, 2.0, 4.0]]]), pydl.tensor([[[-1.0, 1.0]]]))\n"
     "tensor([[[1., 2.]]])\n"
     ">>> pydl.conv1d(pydl.tensor([[[1.0, 2.0, 4.0]]]), pydl.tensor([[[-1.0, 1.0]]]), padding='same')\n"
     "tensor([[[ 1.,  2., -4.]]])"},
    {&conv1d_named, "conv1d" NAMED, kFlags, CONV_DOC},
    {&conv2d, "conv2d" NUMBERS, kFlags,
     CONV_DOC "\n>>> pydl.conv2d(pydl.ones(1, 3, 8, 8), pydl.ones(16, 3, 3, 3), stride=2, padding=1).shape\n"
     "pydl.Size([1, 16, 4, 4])"},
    {&conv2d_named, "conv2d" NAMED, kFlags, CONV_DOC},
    {&conv3d, "conv3d" NUMBERS, kFlags,
     CONV_DOC "\n>>> pydl.conv3d(pydl.ones(1, 3, 8, 8, 8), pydl.ones(16, 3, 3, 3, 3), stride=2, padding=1).shape\n"
     "pydl.Size([1, 16, 4, 4, 4])"},
    {&conv3d_named, "conv3d" NAMED, kFlags, CONV_DOC},
    {&fused_convolution,
     "_fused_conv(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, bool same, int[] dilation, "
     "int groups, Tensor? mean, Tensor? var, Tensor? norm_weight, Tensor? norm_bias, float eps, str activation) "
     "-> Tensor",
     kNN, "activation(batch_norm(conv(...))) of layers in evaluation; without a mean there is no norm."},
    {&conv_transpose1d, "conv_transpose1d" TRANSPOSE, kFlags,
     TRANSPOSE_DOC "\n>>> pydl.conv_transpose1d(pydl.tensor([[[1.0, 2.0]]]), pydl.tensor([[[1.0, 3.0]]]), stride=2)\n"
     "tensor([[[1., 3., 2., 6.]]])"},
    {&conv_transpose2d, "conv_transpose2d" TRANSPOSE, kFlags,
     TRANSPOSE_DOC "\n>>> pydl.conv_transpose2d(pydl.ones(1, 16, 4, 4), pydl.ones(16, 3, 2, 2), stride=2).shape\n"
     "pydl.Size([1, 3, 8, 8])"},
    {&conv_transpose3d, "conv_transpose3d" TRANSPOSE, kFlags,
     TRANSPOSE_DOC "\n>>> pydl.conv_transpose3d(pydl.ones(1, 16, 4, 4, 4), pydl.ones(16, 3, 2, 2, 2), stride=2).shape\n"
     "pydl.Size([1, 3, 8, 8, 8])"},
};

}  // namespace
}  // namespace pydl
