// Kernels that measure the machine: the roofline's two limits. roofline.inc lists them.
#pragma once
#include <cstdint>

namespace pydl {

inline constexpr int64_t kStreamBlock = 128;  // elements; eight vectors of the widest ISA

template <class T> struct RooflineKernels {
#define KERNEL(name, result, args) result (*name) args;
#include "kernels/roofline.inc"
#undef KERNEL
};

}  // namespace pydl
