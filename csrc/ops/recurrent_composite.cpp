// A recurrent layer in plain operators, step by step.
#include <numeric>

#include "ops/creation.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/matmul.h"
#include "ops/pointwise.h"
#include "ops/recurrent_layer.h"
#include "ops/view.h"

namespace pydl {
namespace {

Tensor activate(CellActivation a, const Tensor& x) {
  switch (a) {
    case CellActivation::Tanh: return tanh(x);
    case CellActivation::Relu: return relu(x);
    case CellActivation::Sigmoid: return sigmoid(x);
    default: return x;
  }
}

Tensor indices(const std::vector<int64_t>& values) {
  const Tensor t = Tensor::empty(Dims{int64_t(values.size())}, DType::Int64);
  std::copy(values.begin(), values.end(), t.data<int64_t>());
  return t;
}

struct State {
  Tensor h, c;
};

// One step from the input's products (with b_ih) and the state.
State step(const Layer& layer, const LayerWeights& w, const Tensor& projected, const State& before) {
  const int64_t units = w.hh.size(0) / gates_of(layer.cell);
  const Tensor inner = linear(before.h, w.hh, w.b_hh);
  const auto gate = [units](const Tensor& t, int64_t g) { return narrow(t, 1, g * units, units); };
  if (layer.cell == Cell::Simple) return {activate(layer.activation, projected + inner), {}};
  if (layer.cell == Cell::Gru) {
    const Tensor r = sigmoid(gate(projected, 0) + gate(inner, 0)), z = sigmoid(gate(projected, 1) + gate(inner, 1));
    const Tensor n = activate(layer.activation, gate(projected, 2) + r * gate(inner, 2));
    return {n + z * (before.h - n), {}};
  }
  const Tensor sums = projected + inner;
  const Tensor i = sigmoid(gate(sums, 0)), f = sigmoid(gate(sums, 1)), g = activate(layer.activation, gate(sums, 2));
  const Tensor c = f * before.c + i * g, h = sigmoid(gate(sums, 3)) * activate(layer.activation, c);
  return {w.hr.defined() ? linear(h, w.hr, Tensor()) : h, c};
}

// `now` in the first rows of `all`.
Tensor update(const Tensor& all, const Tensor& now) {
  if (!now.defined() || now.size(0) == all.size(0)) return now;
  return cat({now, narrow(all, 0, now.size(0), all.size(0) - now.size(0))}, 0);
}

}  // namespace

LayerResult recurrent_composite(const Layer& layer, const Tensor& x, const Tensor& h0, const Tensor& c0,
                                const LayerWeights& w) {
  const Timeline& time = *layer.time;
  const Tensor projected = linear(reshape(x, Dims{time.positions, x.size(-1)}), w.ih, w.b_ih);
  const Tensor order = indices(time.batch);
  State state{index_select(h0, 0, order), c0.defined() ? index_select(c0, 0, order) : Tensor()};
  std::vector<Tensor> outputs;
  std::vector<int64_t> place(size_t(time.positions), -1);  // of a position's row among the outputs
  int64_t rows = 0;
  for (int64_t i = 0; i < time.steps; ++i) {
    const int64_t t = time.step(i), n = time.active[size_t(t)];
    if (n == 0) continue;
    std::vector<int64_t> positions;
    for (int64_t s = 0; s < n; ++s) {
      positions.push_back(time.position(t, s));
      place[size_t(positions.back())] = rows++;
    }
    const State now = step(layer, w, index_select(projected, 0, indices(positions)),
                           {narrow(state.h, 0, 0, n), state.c.defined() ? narrow(state.c, 0, 0, n) : Tensor()});
    outputs.push_back(now.h);
    state = {update(state.h, now.h), update(state.c, now.c)};
  }
  outputs.push_back(zeros(Dims{1, h0.size(1)}, x.dtype()));  // what gaps show
  for (int64_t& p : place) p = p < 0 ? rows : p;
  Dims shape(x.sizes());
  shape.back() = h0.size(1);
  std::vector<int64_t> home(size_t(time.sequences));
  for (int64_t s = 0; s < time.sequences; ++s) home[size_t(time.batch[size_t(s)])] = s;
  const Tensor back = indices(home);
  return {reshape(index_select(cat(outputs, 0), 0, indices(place)), shape), index_select(state.h, 0, back),
          state.c.defined() ? index_select(state.c, 0, back) : Tensor()};
}

}  // namespace pydl
