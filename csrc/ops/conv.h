// Convolution in one to three spatial dimensions, as three bilinear forms that are each other's derivatives. All work
// on the geometry below, write channels-last memory (the weight gradient is contiguous), and record their history.
#pragma once
#include <array>

#include "ops/fused_activation.h"
#include "ops/registry.h"

namespace pydl {

using Dims3 = std::array<int64_t, 3>;

// x (batch, in_channels, in...), weight (out_channels, in_channels / groups, kernel...), y (batch, out_channels,
// out...). Fewer than three spatial dimensions have leading ones. `padding` counts what lies before the image; how much
// lies behind it follows from the sizes.
struct ConvShape {
  int64_t batch, in_channels, out_channels, groups;
  Dims3 in, out, kernel, stride, dilation, padding;
  int spatial;  // dimensions of the tensors: 1 to 3

  Dims input_sizes() const { return sizes(batch, in_channels, in); }
  Dims output_sizes() const { return sizes(batch, out_channels, out); }
  Dims weight_sizes() const { return sizes(out_channels, in_channels / groups, kernel); }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }

 private:
  Dims sizes(int64_t a, int64_t b, const Dims3& rest) const {
    Dims all{a, b};
    all.append(rest.begin() + (3 - spatial), rest.end());
    return all;
  }
};

// y = activation(x * weight + bias); bias may be undefined, activation null. With `keep`, the packed weights stay with
// the weights for the next call, unless history is recorded: then training is about to change them. An activation has
// no history.
Tensor convolve(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvShape& shape, bool keep = true,
                const FusedActivation* activation = nullptr);
// x's gradient from y's; as an operator of its own, with a bias, the transposed convolution.
Tensor convolve_input(const Tensor& y, const Tensor& weight, const Tensor& bias, const ConvShape& shape,
                      bool keep = true);
// weight's gradient from x and y's gradient.
Tensor convolve_weight(const Tensor& x, const Tensor& y, const ConvShape& shape);

}  // namespace pydl
