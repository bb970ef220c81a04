// The three forms of convolution and their history. Each is linear in both operands and its derivatives are the other
// two, so derivatives of any order take the same kernels.
#include "ops/conv.h"

#include "autograd/node.h"
#include "ops/call.h"
#include "ops/conv_depthwise.h"
#include "ops/conv_direct.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/reduce.h"

namespace pydl {
namespace {

template <class T> Image<T> image_of(const Tensor& t) {
  Image<T> image{t.data<std::remove_const_t<T>>(), t.stride(0), t.stride(1), {0, 0, 0}};
  for (int64_t d = 2, a = 5 - t.dim(); d < t.dim(); ++d, ++a) image.stride[size_t(a)] = t.stride(d);
  return image;
}
Tensor channels_last(IntSpan sizes, DType t) { return Tensor::empty_strided(sizes, channels_last_strides(sizes), t); }
Tensor dense(const Tensor& x) { return x.defined() ? contiguous(x.alias(), MemoryFormat::Contiguous) : x; }
template <class T> const T* pointer(const Tensor& t) { return t.defined() ? t.data<T>() : nullptr; }

// For kernels that read contiguous channels only.
Tensor with_channels_last(const Tensor& x) {
  return x.stride(1) == 1 ? x : contiguous(x.alias(), MemoryFormat::ChannelsLast);
}

ConvWeight weight_of(const Tensor& weight, bool keep) { return {dense(weight), keep && !autograd::needed(weight)}; }

bool wants(const Tensor& t) { return t.defined() && autograd::requires_grad(t); }

// A bias' gradient: y's summed over everything but channels.
Tensor channel_sum(const Tensor& y) {
  Dims others{0};
  for (int64_t d = 2; d < y.dim(); ++d) others.push_back(d);
  return sum(y, others);
}

}  // namespace

Tensor convolve(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvShape& s, bool keep) {
  const Tensor y = channels_last(s.output_sizes(), x.dtype()), b = dense(bias);
  const ConvWeight kept = weight_of(weight, keep);
  if (y.numel() > 0)
    visit_float(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      if (is_depthwise(s))
        depthwise_forward<T>(s, image_of<const T>(x), kept, pointer<T>(b), Activation::None, image_of<T>(y));
      else
        direct_forward<T>(s, image_of<const T>(x), kept, pointer<T>(b), Activation::None, image_of<T>(y));
    });
  if (autograd::needed(x, weight, bias)) {
    const bool wx = wants(x), ww = wants(weight), wb = wants(bias);
    autograd::record(
        "ConvolutionBackward", y, {x, weight, bias},
        [=, x = autograd::save(ww ? x : Tensor()), w = autograd::save(wx ? weight : Tensor())](const Tensor& g) {
          return Tensors{wx ? convolve_input(g, w, Tensor(), s, false) : Tensor(),
                         ww ? convolve_weight(x, g, s) : Tensor(), wb ? channel_sum(g) : Tensor()};
        });
  }
  return y;
}

Tensor convolve_input(const Tensor& y, const Tensor& weight, const Tensor& bias, const ConvShape& s, bool keep) {
  Call call("convolution_input");
  const Tensor x = channels_last(s.input_sizes(), y.dtype()), b = dense(bias);
  const ConvWeight kept = weight_of(weight, keep);
  if (x.numel() > 0)
    visit_float(y.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      if (is_depthwise(s))
        depthwise_input<T>(s, image_of<const T>(y), kept, pointer<T>(b), image_of<T>(x));
      else
        direct_input<T>(s, image_of<const T>(y), kept, pointer<T>(b), image_of<T>(x));
    });
  if (autograd::needed(y, weight, bias)) {
    const bool wy = wants(y), ww = wants(weight), wb = wants(bias);
    autograd::record(
        "ConvolutionInputBackward", x, {y, weight, bias},
        [=, y = autograd::save(ww ? y : Tensor()), w = autograd::save(wy ? weight : Tensor())](const Tensor& g) {
          return Tensors{wy ? convolve(g, w, Tensor(), s, false) : Tensor(), ww ? convolve_weight(g, y, s) : Tensor(),
                         wb ? channel_sum(g) : Tensor()};
        });
  }
  return x;
}

Tensor convolve_weight(const Tensor& x, const Tensor& y, const ConvShape& s) {
  Call call("convolution_weight");
  const bool empty = x.numel() == 0 || y.numel() == 0;
  const Tensor w = empty ? zeros(s.weight_sizes(), x.dtype()) : Tensor::empty(s.weight_sizes(), x.dtype());
  if (!empty)
    visit_float(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const Tensor g = with_channels_last(y);
      if (is_depthwise(s))
        depthwise_weight<T>(s, image_of<const T>(with_channels_last(x)), image_of<const T>(g), w.data<T>());
      else
        direct_weight<T>(s, image_of<const T>(x), image_of<const T>(g), w.data<T>());
    });
  if (autograd::needed(x, y)) {
    const bool wx = wants(x), wy = wants(y);
    autograd::record(
        "ConvolutionWeightBackward", w, {x, y},
        [=, x = autograd::save(wy ? x : Tensor()), y = autograd::save(wx ? y : Tensor())](const Tensor& g) {
          return Tensors{wx ? convolve_input(y, g, Tensor(), s, false) : Tensor(),
                         wy ? convolve(x, g, Tensor(), s, false) : Tensor()};
        });
  }
  return w;
}

}  // namespace pydl
