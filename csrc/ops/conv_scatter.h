// The input gradient of a convolution with few input channels, too few to fill a vector: a product gives what each
// pixel of y sends through all taps to all channels, and those are added where they belong.
#pragma once
#include "ops/conv_direct.h"

namespace pydl {

// Whether an input gradient takes this road: by shape and ISA.
template <class T> bool wants_scatter(const ConvShape& s);

// As direct_input.
template <class T>
void scatter_input(const ConvShape& s, Image<const T> y, const T* weight, const T* bias, Image<T> x);

}  // namespace pydl
