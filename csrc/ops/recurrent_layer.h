// One direction of one recurrent layer over a whole sequence: what ops/recurrent.cpp builds PyTorch's functions of.
#pragma once
#include <memory>
#include <vector>

#include "kernels/recurrent.h"
#include "tensor/tensor.h"

namespace pydl {

// Which rows of the data matrices belong to which step and sequence. A data matrix has a row for each position: of a
// padded batch in either order of its dimensions, or of a packed one. Sequences are taken longest first, so that those
// alive at a step are the first ones; nothing is moved in memory for that.
struct Timeline {
  int64_t steps = 0, sequences = 0, positions = 0;
  std::vector<int64_t> base;    // [steps] position(t, s) = base[t] + offset[s]
  std::vector<int64_t> offset;  // [sequences]
  std::vector<int64_t> batch;   // [sequences] place in the states
  std::vector<int64_t> length;  // [sequences] descending
  std::vector<int64_t> active;  // [steps] sequences alive
  bool gaps = false;            // positions beyond the end of their sequence
  bool reverse = false;

  // Every sequence `steps` long; or as long as `lengths` says, in any order.
  static Timeline padded(int64_t steps, int64_t batch, bool batch_first, const int64_t* lengths = nullptr);
  static Timeline packed(const int64_t* batch_sizes, int64_t steps);
  Timeline reversed() const;

  int64_t position(int64_t t, int64_t s) const { return base[size_t(t)] + offset[size_t(s)]; }
  // The i-th step taken, the steps taken before and after step t, and how many sequences have one.
  int64_t step(int64_t i) const { return reverse ? steps - 1 - i : i; }
  int64_t before(int64_t t) const { return reverse ? t + 1 : t - 1; }
  int64_t after(int64_t t) const { return reverse ? t - 1 : t + 1; }
  int64_t with_before(int64_t t) const { return both(t, before(t)); }
  int64_t with_after(int64_t t) const { return both(t, after(t)); }
  int64_t first(int64_t s) const { return reverse ? length[size_t(s)] - 1 : 0; }
  int64_t last(int64_t s) const { return reverse ? 0 : length[size_t(s)] - 1; }

 private:
  void count_active();
  int64_t both(int64_t t, int64_t u) const {
    return u < 0 || u >= steps ? 0 : std::min(active[size_t(t)], active[size_t(u)]);
  }
};

struct LayerWeights {
  Tensor ih, hh;      // [gates * units, features], [gates * units, outputs]
  Tensor b_ih, b_hh;  // [gates * units]; undefined without biases
  Tensor hr;          // [outputs, units]: the projection of an LSTM's output; undefined without
};
struct Layer {
  Cell cell = Cell::Simple;
  CellActivation activation = CellActivation::Tanh;
  std::shared_ptr<const Timeline> time;
};
struct LayerResult {
  Tensor out, h, c;  // [..., outputs], [sequences, outputs], [sequences, units] (LSTM)
};

// x is [..., features] with a row for each position; operands are float32 or float64 of one dtype, their shapes checked.
// Positions beyond the end of a sequence come out as zeros, whatever x has there. Recorded as one node.
LayerResult recurrent_layer(const Layer& layer, const Tensor& x, const Tensor& h0, const Tensor& c0,
                            const LayerWeights& weights);

// The same in plain operators: the reference, and what second derivatives go through.
LayerResult recurrent_composite(const Layer& layer, const Tensor& x, const Tensor& h0, const Tensor& c0,
                                const LayerWeights& weights);

// ---- between recurrent_layer.cpp and recurrent_backward.cpp -----------------------------------------------------------
// What the forward pass keeps, dense.
struct LayerSaved {
  Tensor gates;  // [positions, gates * units] activated
  Tensor c;      // [positions, units] (LSTM)
  Tensor inner;  // [positions, units] (GRU)
  Tensor h;      // [positions, units] (projection): h before it
  bool disposable = false;  // for the backward pass to write over
};
struct LayerGradients {
  Tensor x, h0, c0;
  LayerWeights weights;
};
// dout, dh and dc may be undefined; `wanted` has a defined tensor for each gradient to compute.
LayerGradients recurrent_backward(const Layer& layer, const Tensor& x, const Tensor& h0, const Tensor& c0,
                                  const LayerWeights& weights, const Tensor& out, const LayerSaved& saved,
                                  const Tensor& dout, const Tensor& dh, const Tensor& dc, const LayerGradients& wanted);

}  // namespace pydl
