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

using autograd::wanted;
bool wants(const Tensor& t) { return t.defined() && autograd::requires_grad(t); }

// A bias' gradient: y's summed over everything but channels.
Tensor channel_sum(const Tensor& y) {
  Dims others{0};
  for (int64_t d = 2; d < y.dim(); ++d) others.push_back(d);
  return sum(y, others);
}

// ---- a few filters for each channel --------------------------------------------------------------------------------
// As grouped convolution, such layers would fill a few lanes of each vector. They are depthwise ones of an image whose
// channels are repeated.
bool repeats_channels(const ConvShape& s) {
  constexpr int64_t kMost = 8;
  return s.groups > 1 && s.groups == s.in_channels && s.out_channels > s.groups && s.out_channels <= kMost * s.groups;
}
ConvShape repeated(ConvShape s) {
  s.in_channels = s.groups = s.out_channels;
  return s;
}

// f(place in `few`, place in `many`) for each pixel of two channels-last images.
template <class F> void for_pixel_pairs(const Tensor& few, const Tensor& many, F f) {
  const int64_t c = few.size(1), wide = many.size(1), grain = std::max<int64_t>(1, 16384 / wide);
  parallel_for(few.numel() / c, grain, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) f(p * c, p * wide);
  });
}
Tensor repeat_channels(const Tensor& image, const ConvShape& s) {
  const Tensor x = contiguous(image.alias(), MemoryFormat::ChannelsLast);
  const Tensor wide = channels_last(repeated(s).input_sizes(), x.dtype());
  const int64_t channels = s.in_channels, times = s.out_channels / channels;
  if (x.numel() == 0) return wide;
  visit_float(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* const in = x.data<T>();
    T* const out = wide.data<T>();
    for_pixel_pairs(x, wide, [=](int64_t from, int64_t to) {
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t t = 0; t < times; ++t) out[to + c * times + t] = in[from + c];
    });
  });
  return wide;
}
// The transpose of that, and a bias.
void add_repeats(const Tensor& x, const Tensor& wide, const Tensor& bias) {
  const int64_t channels = x.size(1), times = wide.size(1) / channels;
  visit_float(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *const in = wide.data<T>(), *const b = pointer<T>(bias);
    T* const out = x.data<T>();
    for_pixel_pairs(x, wide, [=](int64_t to, int64_t from) {
      for (int64_t c = 0; c < channels; ++c) {
        T sum = in[from + c * times];
        for (int64_t t = 1; t < times; ++t) sum += in[from + c * times + t];
        out[to + c] = b ? sum + b[c] : sum;
      }
    });
  });
}

}  // namespace

Tensor convolve(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvShape& s, bool keep,
                const FusedActivation* activation) {
  const Tensor y = channels_last(s.output_sizes(), x.dtype()), b = dense(bias);
  const ConvWeight kept = weight_of(weight, keep);
  const bool repeat = repeats_channels(s);
  const Tensor in = repeat ? repeat_channels(x, s) : x;
  if (y.numel() > 0)
    visit_float(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      Epilogue<T> epilogue{.row_bias = pointer<T>(b)};
      set_activation(epilogue, activation);
      if (repeat) depthwise_forward<T>(repeated(s), image_of<const T>(in), kept, epilogue, image_of<T>(y));
      else if (is_depthwise(s)) depthwise_forward<T>(s, image_of<const T>(x), kept, epilogue, image_of<T>(y));
      else direct_forward<T>(s, image_of<const T>(x), kept, epilogue, image_of<T>(y));
    });
  if (autograd::needed(x, weight, bias)) {
    const bool wx = wants(x), ww = wants(weight), wb = wants(bias);
    autograd::record(
        "ConvolutionBackward", y, {x, weight, bias},
        [=, x = autograd::save(ww ? x : Tensor()), w = autograd::save(wx ? weight : Tensor())](const Tensor& g) {
          return Tensors{wx && wanted(0) ? convolve_input(g, w, Tensor(), s, false) : Tensor(),
                         ww && wanted(1) ? convolve_weight(x, g, s) : Tensor(), wb ? channel_sum(g) : Tensor()};
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
      if (repeats_channels(s)) {
        const ConvShape wide = repeated(s);
        const Tensor sums = channels_last(wide.input_sizes(), y.dtype());
        depthwise_input<T>(wide, image_of<const T>(y), kept, nullptr, image_of<T>(sums));
        add_repeats(x, sums, b);
      } else if (is_depthwise(s))
        depthwise_input<T>(s, image_of<const T>(y), kept, pointer<T>(b), image_of<T>(x));
      else
        direct_input<T>(s, image_of<const T>(y), kept, pointer<T>(b), image_of<T>(x));
    });
  if (autograd::needed(y, weight, bias)) {
    const bool wy = wants(y), ww = wants(weight), wb = wants(bias);
    autograd::record(
        "ConvolutionInputBackward", x, {y, weight, bias},
        [=, y = autograd::save(ww ? y : Tensor()), w = autograd::save(wy ? weight : Tensor())](const Tensor& g) {
          return Tensors{wy && wanted(0) ? convolve(g, w, Tensor(), s, false) : Tensor(),
                         ww && wanted(1) ? convolve_weight(g, y, s) : Tensor(), wb ? channel_sum(g) : Tensor()};
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
      if (repeats_channels(s))
        depthwise_weight<T>(repeated(s), image_of<const T>(repeat_channels(x, s)), image_of<const T>(g), w.data<T>());
      else if (is_depthwise(s))
        depthwise_weight<T>(s, image_of<const T>(with_channels_last(x)), image_of<const T>(g), w.data<T>());
      else
        direct_weight<T>(s, image_of<const T>(x), image_of<const T>(g), w.data<T>());
    });
  if (autograd::needed(x, y)) {
    const bool wx = wants(x), wy = wants(y);
    autograd::record(
        "ConvolutionWeightBackward", w, {x, y},
        [=, x = autograd::save(wy ? x : Tensor()), y = autograd::save(wx ? y : Tensor())](const Tensor& g) {
          return Tensors{wx && wanted(0) ? convolve_input(y, g, Tensor(), s, false) : Tensor(),
                         wy && wanted(1) ? convolve(x, g, Tensor(), s, false) : Tensor()};
        });
  }
  return w;
}

}  // namespace pydl
