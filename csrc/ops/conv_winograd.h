// Winograd's convolution for 3x3 filters at stride 1 over many channels: a quarter of the multiplications. F(4x4) alone:
// for every output of more than two pixels a side it multiplies no more than F(2x2), with its border tiles counted.
#pragma once
#include "ops/conv_plan.h"

namespace pydl {

// Switches it off and on, for convolutions from then on (pydl.backends.winograd).
void set_winograd(bool on);
bool winograd_enabled();

// Whether a correlation takes this algorithm: by its shape, and the switch.
bool wants_winograd(const Correlation& c);

template <class T>
void winograd(const Correlation& c, const Dims3& kernel, Image<const T> x, const ConvWeight& weight,
              const Epilogue<T>& epilogue, Image<T> y);
// The weights' gradient, where the forward correlation takes it; y's channels are contiguous.
template <class T> void winograd_weight(const ConvShape& s, Image<const T> x, Image<const T> y, T* weight);

}  // namespace pydl
