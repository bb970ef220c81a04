// One step of a recurrent layer: what the serial kernels take, and how recurrent weights are packed for them.
#pragma once
#include <cstdint>

namespace pydl {

// Elman's network, the long short-term memory with a forget gate, the gated recurrent unit with the reset gate inside.
enum class Cell : uint8_t { Simple, Lstm, Gru };
enum class CellActivation : uint8_t { Tanh, Relu, Sigmoid, Identity };
constexpr int64_t gates_of(Cell cell) { return cell == Cell::Lstm ? 4 : cell == Cell::Gru ? 3 : 1; }
// Gradients of pre-activations that the backward step writes for a unit: the GRU's candidate has one on each side of
// the reset gate. [n inside, r, z, n outside]: the first three belong to W_hh, the last three to W_ih.
constexpr int64_t gradients_of(Cell cell) { return cell == Cell::Gru ? 4 : gates_of(cell); }

// A weight matrix as panels, one after the other: `k` rows of the columns of `units` consecutive units, gate after gate,
// each padded with zeros to whole vectors. The last panel of a one-gate matrix has only the vectors it needs. Where the
// register file is small, the two halves of a panel of four vectors follow each other, each of `k` rows.
template <class T> struct Panels {
  const T* data;
  int64_t k, columns;  // columns: units
  int64_t first, last; // panels to work on
};

// Row r of a batch in a forward step. h and c_before are the states before it.
template <class T> struct ForwardRow {
  const T* x;         // [input.k]
  const T* h;         // [k]
  T* gates;           // [gates * units]: without `bias` the input's products; the activated gates if `save`
  T* out;             // [units]
  const T* c_before;  // [units] (LSTM); may be c
  T* c;
  T* inner;           // [units] (GRU, if `save`): W_hn h + b_hn
  const T* h_units;   // [units] (GRU): h again
};
template <class T> struct ForwardStep {
  const ForwardRow<T>* rows;
  int64_t count;
  // Either the step multiplies its inputs (not the GRU's), or `gates` has their products and biases already.
  Panels<T> input;     // of W_ih^T, or all zeros
  const T* bias;       // [gates * units], or null
  Panels<T> weights;   // of W_hh^T
  const T* inner_bias; // [units] (GRU): b_hn, or null
  bool save;
};

// Row r of a batch in a backward step.
template <class T> struct BackwardRow {
  const T* next;      // [k] gradients on W_hh's side one step later
  const T* dy;        // [units] of this step's state, from outside; may be null
  const T* gates;     // saved
  const T* out;       // (simple cell)
  const T *c, *c_before;  // (LSTM)
  const T *inner, *h;     // (GRU): h before the step
  T* carry;           // [units] in: dc (LSTM) or dh past the product (GRU) from later; out: the same for the step before
  T* gradients;       // [gradients * units]; may be the gates of an LSTM
};
template <class T> struct BackwardStep {
  const BackwardRow<T>* rows;
  int64_t count;
  Panels<T> weights;  // of W_hh, or of W_hr for a layer with a projection
};

// out = a @ weights + add.
template <class T> struct ProjectRow {
  const T* a;    // [k]
  const T* add;  // [columns], may be null or out
  T* out;        // [columns]
};
template <class T> struct ProjectStep {
  const ProjectRow<T>* rows;
  int64_t count;
  Panels<T> weights;
};

template <class T> struct RecurrentKernels {
#define KERNEL(name, result, args) result (*name) args;
#include "kernels/recurrent.inc"
#undef KERNEL
  int64_t vector;      // units are dealt out in multiples of it
  int64_t lone_vectors;  // vectors of a one-gate panel
};

}  // namespace pydl
