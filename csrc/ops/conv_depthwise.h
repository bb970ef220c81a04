// Depthwise convolution on raw memory: as many groups as channels, one filter each. Channels are contiguous
// where weight gradients are computed.
#pragma once
#include "ops/conv_direct.h"

namespace pydl {

inline bool is_depthwise(const ConvShape& s) {
  return s.groups > 1 && s.groups == s.in_channels && s.groups == s.out_channels;
}

// As direct_forward, direct_input and direct_weight.
template <class T>
void depthwise_forward(const ConvShape& s, Image<const T> x, const ConvWeight& weight, const Epilogue<T>& epilogue,
                       Image<T> y);
template <class T>
void depthwise_input(const ConvShape& s, Image<const T> y, const ConvWeight& weight, const T* bias, Image<T> x);
template <class T> void depthwise_weight(const ConvShape& s, Image<const T> x, Image<const T> y, T* weight);

}  // namespace pydl
