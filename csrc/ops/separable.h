// Maps that act on every dimension alone: reading at other positions (padding, nearest neighbours), and sums of a few
// weighted neighbours (interpolation, and the gradients of all of them). Results keep channels-last memory.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "tensor/memory_order.h"

namespace pydl {

// How an operator lays out its result and looks at its operands: like its first image, channels last or contiguous.
struct ImageLayout {
  Dims dims;  // the dimensions, from the outermost in memory to the innermost
  bool channels_last;
  ImageLayout(int64_t ndim, bool channels_last);
  explicit ImageLayout(const Tensor& x) : ImageLayout(x.dim(), lies_channels_last(x)) {}
  // x in dense memory of this layout, copied if it must be, without history.
  Tensor dense(const Tensor& x) const;
  Tensor empty(IntSpan sizes, DType t) const;
};

// Where each position of the output reads along one dimension of the input; -1 where it reads nothing.
using Positions = std::vector<int64_t>;

// y[o0, o1, ...] = x[positions[0][o0], positions[1][o1], ...], `fill` where any position is -1. One entry for each
// dimension; an empty one leaves its dimension as it is. y is dense in x's layout and not empty. Any dtype; not recorded.
void read_at(const Tensor& y, const Tensor& x, std::span<const Positions> positions, const Scalar& fill);

// A linear map along one dimension: output o is the sum of weights[k] * input[sources[k]] over starts[o] <= k < starts[o + 1].
struct Taps {
  int64_t inputs = 0;
  std::vector<int64_t> starts{0}, sources;
  std::vector<double> weights;

  int64_t outputs() const { return int64_t(starts.size()) - 1; }
  void add(int64_t source, double weight) { sources.push_back(source), weights.push_back(weight); }
  void end_output() { starts.push_back(int64_t(sources.size())); }
  // The map of gradients, its sums in ascending order of the outputs.
  Taps transposed() const;
  // Reading at positions as a linear map.
  static Taps of(const Positions& positions, int64_t inputs);
};

// The map along dimension `dim` of a floating point tensor; half precision is computed in float32. Recorded: the gradient is
// the transposed map, so derivatives of every order are at hand.
Tensor weighted_sums(const Tensor& x, int64_t dim, const std::shared_ptr<const Taps>& taps);

}  // namespace pydl
