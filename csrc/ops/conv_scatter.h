// Input gradients from y's side: each pixel of y sends its part through the taps, and the parts are added where they
// belong. No tap meets padding.
#pragma once
#include "ops/conv_direct.h"
#include "ops/conv_plan.h"

namespace pydl {

// Whether an input gradient with few input channels, too few to fill a vector, takes this road: by shape and ISA. A
// product gives what a pixel sends through all taps to all channels.
template <class T> bool wants_scatter(const ConvShape& s);
// As direct_input.
template <class T>
void scatter_input(const ConvShape& s, Image<const T> y, const T* weight, const T* bias, Image<T> x);

// Whether so many taps of c leave its input x that it pays to take tap by tap, each with the pixels that it reaches.
bool wants_scatter_taps(const Correlation& c);
// y, channels-last, from x and the weights.
template <class T>
void scatter_taps(const Correlation& c, const Dims3& kernel, Image<const T> x, const ConvWeight& weight, const T* bias,
                  Image<T> y);

}  // namespace pydl
