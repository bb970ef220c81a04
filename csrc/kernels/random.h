// What dropout draws, in vectors: the elements that fill_bernoulli of base/random.h draws, of the same generator, stream
// and numbering, on every ISA.
#pragma once
#include <cstdint>

#include "base/random.h"

namespace pydl {

// Element i is kept where its word of the stream is below bernoulli_threshold(probability).
struct KeepDraws {
  PhiloxStream stream;
  uint64_t threshold;
};

template <class T>
struct RandomKernels {
#define KERNEL(name, result, args) result(*name) args;
#include "kernels/random.inc"
#undef KERNEL
};

template <class T>
const RandomKernels<T>& random_kernels();  // float, double; of the ISA in use
template <>
const RandomKernels<float>& random_kernels<float>();
template <>
const RandomKernels<double>& random_kernels<double>();

}  // namespace pydl
