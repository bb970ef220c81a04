// Bags of rows: sums, means and maxima over rows that indices name. embedding.inc lists the kernels.
#pragma once
#include <cstdint>

namespace pydl {

template <class T>
struct EmbeddingKernels {
#define KERNEL(name, result, args) result(*name) args;
#include "kernels/embedding.inc"
#undef KERNEL
};

}  // namespace pydl
