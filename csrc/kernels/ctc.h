// Connectionist temporal classification of one sequence. ctc.inc lists the kernels.
#pragma once
#include <cstdint>

namespace pydl {

// The target with blanks around every label: states = 2 * labels + 1, states s of label[s]. skip[s] is 0 where a path
// may come from state s - 2 (a label other than the one before), else -inf; kCtcMargin more of them are -inf.
template <class T>
struct CtcPath {
  const int64_t* label;
  const T* skip;
  int64_t states;
};

// Rows of what a kernel keeps for each state begin with this many that no path enters.
inline constexpr int64_t kCtcMargin = 2;

template <class T>
struct CtcKernels {
#define KERNEL(name, result, args) result(*name) args;
#include "kernels/ctc.inc"
#undef KERNEL
};

}  // namespace pydl
