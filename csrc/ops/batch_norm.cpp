// batch_norm, instance_norm and group_norm: one forward and one backward over channel_norm.h.
#include <algorithm>
#include <cmath>

#include "autograd/node.h"
#include "ops/call.h"
#include "ops/channel_norm.h"
#include "ops/copy.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace pydl {

namespace {

// What is normalized, and how; each tensor may be undefined where PyTorch lets it be None.
struct NormArguments {
  Tensor input, weight, bias;
  Tensor running_mean, running_var;  // read if not `batch`, updated if they are
  bool batch_statistics = true;      // of the input; else the running ones
  double momentum = 0, eps = 1e-5;
  int64_t groups = 0;  // 0: the statistics of a channel span the images (batch norm)
  bool relu = false;
};

void check_vector(const char* op, const char* what, const Tensor& t, const Tensor& x) {
  if (!t.defined()) return;
  if (t.dim() != 1 || t.size(0) != x.size(1))
    fail<ShapeError>(op, ": expected ", what, " of one element for each of ", x.size(1), " channels, got ", t);
  if (t.dtype() != x.dtype() && t.dtype() != compute_dtype(x.dtype()))
    fail(op, ": expected ", what, " of ", x.dtype(), " as the input, got ", t);
}

void check(const char* op, const NormArguments& a) {
  if (a.input.dim() < 2)
    fail<ShapeError>(op, ": expected an input of at least 2 dimensions (batch, channels, ...), got ", a.input);
  if (!is_floating(a.input.dtype())) fail(op, ": expected a floating point tensor, got ", a.input);
  // In PyTorch's order: a layer fed the wrong number of channels is told by its running statistics.
  check_vector(op, "running_mean", a.running_mean, a.input);
  check_vector(op, "running_var", a.running_var, a.input);
  check_vector(op, "weight", a.weight, a.input);
  check_vector(op, "bias", a.bias, a.input);
  if (a.running_mean.defined() != a.running_var.defined())
    fail<ValueError>(op, ": expected running_mean and running_var both or neither, got only one of them");
  if (!a.batch_statistics && !a.running_mean.defined())
    fail(op, ": expected running_mean and running_var in evaluation mode, got None");
  if (a.batch_statistics && a.running_mean.defined())
    for (const Tensor& t : {a.running_mean, a.running_var}) check_writable(op, t);
}

std::vector<double> values_of(const Tensor& t, int64_t n, double otherwise) {
  std::vector<double> result(size_t(n), otherwise);
  if (!t.defined()) return result;
  const Tensor dense = contiguous(cast(t.alias(), DType::Float64));
  std::copy_n(dense.data<double>(), n, result.begin());
  return result;
}

double variance(double m2, double count) { return m2 > 0 || m2 != m2 ? m2 / count : 0; }

// running <- (1 - momentum) * running + momentum * batch, for instances their mean; the variance without its bias.
void update_running(const NormArguments& a, const ChannelMoments& m) {
  const int64_t channels = a.input.size(1), sets = int64_t(m.mean.size()) / channels;
  const Tensor mean = Tensor::empty(Dims{channels}, DType::Float64),
               var = Tensor::empty(Dims{channels}, DType::Float64);
  const std::vector<double> old_mean = values_of(a.running_mean, channels, 0),
                            old_var = values_of(a.running_var, channels, 0);
  for (int64_t c = 0; c < channels; ++c) {
    double sum_mean = 0, sum_var = 0;
    for (int64_t i = c; i < sets * channels; i += channels)
      sum_mean += m.mean[size_t(i)], sum_var += variance(m.m2[size_t(i)], m.count - 1);
    mean.data<double>()[c] = (1 - a.momentum) * old_mean[size_t(c)] + a.momentum * sum_mean / double(sets);
    var.data<double>()[c] = (1 - a.momentum) * old_var[size_t(c)] + a.momentum * sum_var / double(sets);
  }
  autograd::GradGuard off(false);
  copy_(a.running_mean, mean);
  copy_(a.running_var, var);
}

// What the backward needs besides x: everything double, for each channel of each set.
struct NormSaved {
  NormCoefficients coefficients;
  std::vector<double> rstd;
  double count = 0;  // elements that share a statistic
};

NormSaved forward_statistics(const NormArguments& a, const ChannelView& v) {
  const size_t channels = size_t(v.channels);
  ChannelMoments m;
  if (a.batch_statistics) {
    const ChannelMoments each = moments_of(v);
    m = a.groups ? pool_groups(each, a.groups, v.channels / a.groups) : pool_images(each, v.images);
    if (a.running_mean.defined()) update_running(a, m);
  } else {
    m = {values_of(a.running_mean, v.channels, 0), values_of(a.running_var, v.channels, 1), 1};
  }
  NormSaved saved{{Tensor(), int64_t(m.mean.size() / channels)}, std::vector<double>(m.mean.size()), m.count};
  saved.coefficients.values = Tensor::empty(Dims{3, saved.coefficients.sets, v.channels}, v.x.dtype());
  const std::vector<double> w = values_of(a.weight, v.channels, 1), b = values_of(a.bias, v.channels, 0);
  visit_float(v.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T *mean = saved.coefficients.values.data<T>(), *scale = mean + m.mean.size(), *shift = scale + m.mean.size();
    for (size_t i = 0; i < m.mean.size(); ++i) {
      const size_t c = i % channels;
      saved.rstd[i] = 1 / std::sqrt(variance(m.m2[i], m.count) + a.eps);
      mean[i] = T(m.mean[i]), scale[i] = T(w[c] * saved.rstd[i]), shift[i] = T(b[c]);
    }
  });
  return saved;
}

// With u = dy * weight and h = (x - mean) * rstd:  dx = rstd * (u - mean(u) - h * mean(u*h)), means over what shares a
// statistic; dweight = sum of dy * h, dbias = sum of dy.
Tensors fused_backward(const NormArguments& a, const ChannelView& v, const NormSaved& saved, const Tensor& g) {
  const DType t = v.x.dtype();
  const Tensor cast_g = cast(g.alias(), t);
  const Tensor dy = v.last && g.dim() > 2 ? contiguous(cast_g, MemoryFormat::ChannelsLast) : contiguous(cast_g);
  const GradientSums sums = gradient_sums(v, dy, saved.coefficients, a.relu);
  const size_t channels = size_t(v.channels), all = saved.rstd.size(),
               group = a.groups ? size_t(v.channels / a.groups) : 1;
  const std::vector<double> w = values_of(a.weight, v.channels, 1);

  const Tensor by = Tensor::empty(Dims{a.batch_statistics ? 3 : 1, saved.coefficients.sets, v.channels}, t);
  const Tensor dweight = Tensor::empty(Dims{v.channels}, t), dbias = Tensor::empty(Dims{v.channels}, t);
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* factor = by.data<T>();
    for (size_t i = 0; i < all; i += group) {
      double u = 0, ux = 0;
      for (size_t c = i; c < i + group; ++c) u += w[c % channels] * sums.dy[c], ux += w[c % channels] * sums.dyx[c];
      for (size_t c = i; c < i + group; ++c) {
        const double r = saved.rstd[c];
        factor[c] = T(w[c % channels] * r);
        if (a.batch_statistics)
          factor[all + c] = T(-r * r * r * ux / saved.count), factor[2 * all + c] = T(-r * u / saved.count);
      }
    }
    for (size_t c = 0; c < channels; ++c) {
      double dw = 0, db = 0;
      for (size_t i = c; i < all; i += channels) dw += saved.rstd[i] * sums.dyx[i], db += sums.dy[i];
      dweight.data<T>()[c] = T(dw), dbias.data<T>()[c] = T(db);
    }
  });
  return {normalize_backward(v, dy, saved.coefficients, by, a.relu), dweight, dbias};
}

// A vector of channels as [1, C, 1, ...].
Tensor along_channels(const Tensor& t, int64_t ndim) {
  Dims sizes(size_t(ndim), 1);
  sizes[1] = t.size(0);
  return reshape(t, sizes);
}

// The same in plain operations, for second derivatives.
Tensors composite_backward(const NormArguments& a, const Tensor& g) {
  const Tensor& x = a.input;
  Dims others;  // all dimensions but the channels
  for (int64_t d = 0; d < x.dim(); ++d)
    if (d != 1) others.push_back(d);
  const int64_t sets = x.size(0) * a.groups;
  const Dims sizes(x.sizes()), flat = a.groups ? Dims{x.size(0), a.groups, sets ? x.numel() / sets : 0} : sizes,
                               dims = a.groups ? Dims{2} : others;
  Tensor centered, r;
  if (a.batch_statistics) {
    const Tensor whole = reshape(x, flat);
    centered = sub(whole, mean(whole, dims, true));
    r = rsqrt(add(mean(square(centered), dims, true), Operand(a.eps)));
  } else {
    centered = sub(x, along_channels(a.running_mean, x.dim()));
    r = rsqrt(add(along_channels(a.running_var, x.dim()), Operand(a.eps)));
  }
  const Tensor h = mul(centered, r), xhat = reshape(h, sizes);
  Tensor dy = g;
  if (a.relu) {
    Tensor y = a.weight.defined() ? mul(xhat, along_channels(a.weight, x.dim())) : xhat;
    if (a.bias.defined()) y = add(y, along_channels(a.bias, x.dim()));
    dy = mul(g, logical_not(le(y, Operand(0))));
  }
  const Tensor u =
      reshape(a.weight.defined() ? mul(dy, along_channels(a.weight, x.dim())) : dy, a.batch_statistics ? flat : sizes);
  const Tensor inner = a.batch_statistics ? sub(sub(u, mean(u, dims, true)), mul(h, mean(mul(u, h), dims, true))) : u;
  return {reshape(mul(inner, r), sizes), sum(mul(dy, xhat), others), sum(dy, others)};
}

Tensor channel_norm(const char* op, const char* node, const NormArguments& a) {
  check(op, a);
  const Tensor& input = a.input;
  const DType t = compute_dtype(input.dtype());
  const ChannelView v(cast(input.alias(), t), a.groups == 0);
  NormSaved saved;
  Tensor y;
  if (input.numel() > 0) {
    saved = forward_statistics(a, v);
    y = cast(normalize(v, saved.coefficients, a.relu), input.dtype());
  } else {
    y = empty_like(input);
  }
  if (autograd::needed(input, a.weight, a.bias)) {
    NormArguments kept = a;
    kept.input = kept.weight = kept.bias = kept.running_mean = kept.running_var = Tensor();
    autograd::record(
        node, y, {input, a.weight, a.bias},
        [kept, saved = std::move(saved), input = autograd::save(input), weight = autograd::save(a.weight),
         bias = autograd::save(a.bias), mean = autograd::save(a.batch_statistics ? Tensor() : a.running_mean),
         var = autograd::save(a.batch_statistics ? Tensor() : a.running_var)](const Tensor& g) {
          NormArguments a = kept;
          a.input = input, a.weight = weight, a.bias = bias, a.running_mean = mean, a.running_var = var;
          const bool fused = !autograd::grad_enabled() && a.input.numel() > 0;
          Tensors grads =
              fused
                  ? fused_backward(a, ChannelView(cast(a.input.alias(), compute_dtype(a.input.dtype())), a.groups == 0),
                                   saved, g)
                  : composite_backward(a, g);
          for (size_t i = 0; i < 3; ++i) {
            const Tensor& of = i == 0 ? a.input : i == 1 ? a.weight : a.bias;
            grads[i] = of.defined() ? cast(grads[i], of.dtype()) : Tensor();
          }
          return grads;
        });
  }
  return y;
}

Tensor batch_norm_with(const char* op, const Tensor& input, const Tensor& weight, const Tensor& bias,
                       const Tensor& running_mean, const Tensor& running_var, bool training, double momentum,
                       double eps, bool relu) {
  Call call(op);
  return channel_norm(op, "BatchNormBackward",
                      {input, weight, bias, running_mean, running_var, training, momentum, eps, 0, relu});
}

Tensor batch_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                  const Tensor& running_var, bool training, double momentum, double eps, bool) {
  return batch_norm_with("batch_norm", input, weight, bias, running_mean, running_var, training, momentum, eps, false);
}
Tensor batch_norm_relu(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                       const Tensor& running_var, bool training, double momentum, double eps) {
  return batch_norm_with("batch_norm", input, weight, bias, running_mean, running_var, training, momentum, eps, true);
}

Tensor instance_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                     const Tensor& running_var, bool use_input_stats, double momentum, double eps, bool) {
  Call call("instance_norm");
  const int64_t groups = use_input_stats && input.dim() > 1 ? input.size(1) : 0;
  return channel_norm(call.op, "InstanceNormBackward",
                      {input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, groups, false});
}

Tensor group_norm(const Tensor& input, int64_t num_groups, const Tensor& weight, const Tensor& bias, double eps, bool) {
  Call call("group_norm");
  if (input.dim() < 2) fail<ShapeError>("group_norm: expected an input of at least 2 dimensions, got ", input);
  if (num_groups < 1 || input.size(1) % num_groups != 0)
    fail<ShapeError>("group_norm: expected a number of channels that num_groups divides, got ", input,
                     " and num_groups ", num_groups);
  return channel_norm(call.op, "GroupNormBackward",
                      {input, weight, bias, Tensor(), Tensor(), true, 0, eps, num_groups, false});
}

#define NORM_ARGUMENTS "(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, "

const Operator ops[] = {
    {&batch_norm, "batch_norm" NORM_ARGUMENTS "bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor",
     kFunction,
     "(x - mean) / sqrt(var + eps) * weight + bias by channel (Ioffe and Szegedy 2015). In training the statistics are "
     "the batch's, and running_mean and running_var follow them.\n"
     ">>> x = pydl.tensor([[1.0], [3.0]])\n"
     ">>> pydl.batch_norm(x, None, None, None, None, training=True, momentum=0.1, eps=1e-5, cudnn_enabled=False)\n"
     "tensor([[-1.0000],\n        [ 1.0000]])"},
    {&batch_norm_relu, "_batch_norm_relu" NORM_ARGUMENTS "bool training, float momentum, float eps) -> Tensor", kNN,
     "max(batch_norm(...), 0) in one pass."},
    {&instance_norm,
     "instance_norm" NORM_ARGUMENTS "bool use_input_stats, float momentum, float eps, bool cudnn_enabled) -> Tensor",
     kFunction,
     "(x - mean) / sqrt(var + eps) * weight + bias by channel of each sample (Ulyanov et al. 2016).\n"
     ">>> x = pydl.tensor([[[1.0, 3.0], [2.0, 6.0]]])\n"
     ">>> pydl.instance_norm(x, None, None, None, None, use_input_stats=True, momentum=0.1, eps=1e-5, "
     "cudnn_enabled=False)\n"
     "tensor([[[-1.0000,  1.0000],\n         [-1.0000,  1.0000]]])"},
    {&group_norm,
     "group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool "
     "cudnn_enabled=True) -> Tensor",
     kFunction,
     "(x - mean) / sqrt(var + eps) * weight + bias over groups of channels of each sample (Wu and He 2018).\n"
     ">>> pydl.group_norm(pydl.tensor([[1.0, 3.0, 2.0, 6.0]]), num_groups=2)\n"
     "tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])"},
};

}  // namespace

}  // namespace pydl
