// Max and average pooling over channels-last images, forward and backward. Layouts and rules: pool.inc.
#pragma once
#include <cstdint>

namespace pydl {

// One spatial axis. Seen from the outputs, output o reads the inputs begin[o] + t*step, 0 <= t < count[o] (none where
// padding is all it meets). Seen from the inputs, input i is tap tap[k] of output output[k] for first[i] <= k <
// first[i + 1].
struct PoolAxis {
  int64_t inputs, outputs, step;
  const int64_t *begin, *count;
  const int64_t *first, *output, *tap;
  const double *divisor, *scale;  // an average divides by the product of its outputs' divisors; scale[o] = 1/divisor[o]
};

// Depth, height and width; images of fewer dimensions have depth, or depth and height, 1.
struct PoolWindows {
  PoolAxis axis[3];
  int64_t channels;  // between neighbouring pixels of every dense array
};

template <class T> struct PoolKernels {
#define KERNEL(name, result, args) result (*name) args;
#include "kernels/pool.inc"
#undef KERNEL
};

}  // namespace pydl
