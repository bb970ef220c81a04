// Sparse linear maps: interpolation, sampling at points, and their gradients. taps.inc lists the kernels.
#pragma once
#include <cstdint>

namespace pydl {

template <class T>
struct TapsKernels {
#define KERNEL(name, result, args) result(*name) args;
#include "kernels/taps.inc"
#undef KERNEL
};

}  // namespace pydl
