// Accumulating writes at indices. scatter.inc lists the kernels of float and double; IntScatter is its twin for the
// integers, compiled once. Repeated indices accumulate in ascending order of the source, so results do not depend
// on how threads divide the destinations.
#pragma once
#include <cstdint>

namespace pydl {

template <class T>
struct ScatterKernels {
#define KERNEL(name, result, args) result(*name) args;
#include "kernels/scatter.inc"
#undef KERNEL
};

template <class T>
struct IntScatter {  // bool, uint8_t, int8_t, int16_t, int32_t, int64_t
#define KERNEL(name, result, args) static result name args;
#include "kernels/scatter.inc"
#undef KERNEL
};

}  // namespace pydl
