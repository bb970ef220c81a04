// Direct convolution on raw memory: the loops and threads around the kernels of kernels/conv.h. Images are float or
// double with any strides as inputs, channels-last as outputs. The bits depend on shape and ISA alone.
#pragma once
#include "kernels/gemm.h"
#include "ops/conv.h"

namespace pydl {

// A (batch, channels, depth, height, width) image in memory.
template <class T> struct Image {
  T* data;
  int64_t batch_stride, channel_stride;
  Dims3 stride;
};

// A contiguous weight tensor; `keep`: its packed forms may be kept with it.
struct ConvWeight {
  Tensor values;
  bool keep;
  template <class T> const T* data() const { return values.data<T>(); }
};

// The three forms of ops/conv.h without bias gradient or history; weights are contiguous, and so are the channels of
// the y that direct_weight reads. The bias is the epilogue's row_bias.
template <class T>
void direct_forward(const ConvShape& s, Image<const T> x, const ConvWeight& weight, const Epilogue<T>& epilogue,
                    Image<T> y);
template <class T>
void direct_input(const ConvShape& s, Image<const T> y, const ConvWeight& weight, const T* bias, Image<T> x);
template <class T> void direct_weight(const ConvShape& s, Image<const T> x, Image<const T> y, T* weight);

}  // namespace pydl
