// Normalization by channel: batch, group and instance norm, forward and backward. Layouts and formulas: batch_norm.inc.
#pragma once
#include <cstdint>

namespace pydl {

// y = (x - mean) * scale + shift, and then max(y, 0) if relu; one of each per row or column.
template <class T> struct ChannelNorm {
  const T *mean, *scale, *shift;
  bool relu;
};
// dx = dy * by_dy + (x - mean) * by_x + constant. by_x and constant may be null: of constant statistics.
template <class T> struct ChannelGradient {
  const T *by_dy, *by_x, *constant;
};

template <class T> struct BatchNormKernels {
#define KERNEL(name, result, args) result (*name) args;
#include "kernels/batch_norm.inc"
#undef KERNEL
};

}  // namespace pydl
