// Row-wise operators (softmax, normalization, cross entropy), forward and backward. Layouts and formulas: rowwise.inc.
#pragma once
#include <cstdint>

namespace pydl {

// q[c] = class_weight[c] * ((1 - smoothing) * [c == index[r]] + smoothing / cols), all zero where index[r] is
// ignore_index. Every other index lies in [0, cols): the caller has checked. class_weight may be null (ones).
template <class T> struct ClassTarget {
  const int64_t* index;
  const T* class_weight;
  int64_t ignore_index;
  T smoothing;
};

// q[c] = class_weight[c] * ((1 - smoothing) * probability[r*cols + c] + smoothing / cols).
template <class T> struct ProbabilityTarget {
  const T* probability;
  const T* class_weight;
  T smoothing;
};

template <class T> struct RowwiseKernels {
#define KERNEL(name, result, args) result (*name) args;
#include "kernels/rowwise.inc"
#undef KERNEL
};

}  // namespace pydl
