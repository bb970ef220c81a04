// PyTorch's recurrent functions: layers and directions over a padded or packed batch, and single cells.
#include "autograd/grad_mode.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/join.h"
#include "ops/random.h"
#include "ops/recurrent_layer.h"
#include "ops/registry.h"
#include "ops/view.h"

namespace pydl {

namespace {

CellActivation activation_named(const char* op, std::string_view name) {
  constexpr std::pair<std::string_view, CellActivation> known[] = {{"tanh", CellActivation::Tanh},
                                                                   {"relu", CellActivation::Relu},
                                                                   {"sigmoid", CellActivation::Sigmoid},
                                                                   {"linear", CellActivation::Identity}};
  for (const auto& [word, activation] : known)
    if (word == name) return activation;
  fail<ValueError>(op, ": expected 'tanh', 'relu', 'sigmoid' or 'linear' as activation, got '", name, "'");
}

// Values of a small integer tensor.
std::vector<int64_t> integers(const char* op, const char* what, const Tensor& t) {
  if (t.dim() != 1 || !is_integral(t.dtype()) || t.dtype() == DType::Bool)
    fail<ShapeError>(op, ": expected ", what, " as a vector of integers, got ", t);
  const Tensor dense = contiguous(cast(t.alias(), DType::Int64));
  return {dense.data<int64_t>(), dense.data<int64_t>() + dense.numel()};
}

void check_shape(const char* op, const std::string& what, const Tensor& t, IntSpan sizes, DType dtype) {
  if (t.dtype() != dtype) fail(op, ": expected ", what, " of ", dtype, " as the input, got ", t);
  if (!same(t.sizes(), sizes)) fail<ShapeError>(op, ": expected ", what, " of shape ", show(sizes), ", got ", show(t.sizes()));
}

// The arguments of a call, as PyTorch passes them.
struct Stack {
  const char* op;
  Cell cell;
  CellActivation activation;
  const std::vector<Tensor>& params;
  bool has_biases;
  int64_t num_layers;
  double dropout;
  bool train, bidirectional;

  int64_t directions() const { return bidirectional ? 2 : 1; }
};

// One layer's weights, checked.
LayerWeights weights_of(const Stack& s, size_t index, bool projected, int64_t features, int64_t units, int64_t outputs,
                        DType t) {
  const size_t each = 2 + (s.has_biases ? 2 : 0) + (projected ? 1 : 0);
  const Tensor* p = s.params.data() + index * each;
  LayerWeights w{p[0], p[1], {}, {}, {}};
  if (s.has_biases) w.b_ih = p[2], w.b_hh = p[3];
  if (projected) w.hr = p[each - 1];
  const int64_t rows = gates_of(s.cell) * units;
  const std::string which = " " + std::to_string(index);
  check_shape(s.op, "weight_ih" + which, w.ih, Dims{rows, features}, t);
  check_shape(s.op, "weight_hh" + which, w.hh, Dims{rows, outputs}, t);
  if (s.has_biases) {
    check_shape(s.op, "bias_ih" + which, w.b_ih, Dims{rows}, t);
    check_shape(s.op, "bias_hh" + which, w.b_hh, Dims{rows}, t);
  }
  if (projected) check_shape(s.op, "weight_hr" + which, w.hr, Dims{outputs, units}, t);
  return w;
}

// All layers. x is [..., features] with a row for each of the timeline's positions.
LayerResult run(const Stack& s, Tensor x, Tensor h, Tensor c, Timeline time) {
  const DType given = x.dtype();
  if (!is_floating(given)) fail(s.op, ": expected a floating point input, got ", x);
  if (!(s.dropout >= 0 && s.dropout <= 1)) fail<ValueError>(s.op, ": expected dropout in [0, 1], got ", s.dropout);
  if (s.num_layers < 1) fail<ValueError>(s.op, ": expected num_layers of at least 1, got ", s.num_layers);
  const int64_t cells = s.num_layers * s.directions();
  const bool lstm = s.cell == Cell::Lstm;
  for (const Tensor* state : {&h, &c})
    if (state->defined() && (state->dim() != 3 || state->size(0) != cells || state->size(1) != time.sequences))
      fail<ShapeError>(s.op, ": expected hidden states of shape [", cells, ", ", time.sequences, ", size], got ",
                       show(state->sizes()));
  const int64_t outputs = h.size(2), units = lstm ? c.size(2) : outputs;
  const bool projected = lstm && units != outputs;
  const size_t wanted = size_t(cells) * (2 + (s.has_biases ? 2 : 0) + (projected ? 1 : 0));
  if (s.params.size() != wanted)
    fail<ValueError>(s.op, ": expected ", wanted, " parameters for ", cells, " layers and directions, got ", s.params.size());
  if (time.steps == 0) fail(s.op, ": expected a sequence of at least one step, got ", x);
  check_shape(s.op, "h_0", h, h.sizes(), given);
  if (lstm) check_shape(s.op, "c_0", c, c.sizes(), given);

  std::vector<LayerWeights> weights;
  for (int64_t i = 0; i < cells; ++i) {
    const int64_t features = i < s.directions() ? x.size(-1) : outputs * s.directions();
    weights.push_back(weights_of(s, size_t(i), projected, features, units, outputs, given));
  }
  const DType t = compute_dtype(given);
  const auto computing = [t](const Tensor& v) { return v.defined() ? cast(v, t) : v; };
  x = computing(x), h = computing(h), c = computing(c);
  if (t != given)
    for (LayerWeights& w : weights)
      for (Tensor* p : {&w.ih, &w.hh, &w.b_ih, &w.b_hh, &w.hr}) *p = computing(*p);

  const auto forwards = std::make_shared<const Timeline>(std::move(time));
  const auto backwards = s.bidirectional ? std::make_shared<const Timeline>(forwards->reversed()) : nullptr;
  std::vector<Tensor> last_h, last_c;
  for (int64_t i = 0; i < s.num_layers; ++i) {
    std::vector<Tensor> out;
    for (int64_t d = 0; d < s.directions(); ++d) {
      const int64_t cell = i * s.directions() + d;
      LayerResult r = recurrent_layer({s.cell, s.activation, d ? backwards : forwards}, x, select(h, 0, cell),
                                      lstm ? select(c, 0, cell) : Tensor(), weights[size_t(cell)]);
      out.push_back(r.out);
      last_h.push_back(r.h);
      last_c.push_back(r.c);
    }
    x = s.bidirectional ? cat(out, -1) : out[0];
    if (s.train && s.dropout > 0 && i + 1 < s.num_layers) x = dropout(x, s.dropout, true);
  }
  return {cast(x, given), cast(stack(last_h, 0), given), lstm ? cast(stack(last_c, 0), given) : Tensor()};
}

Timeline padded_time(const char* op, const Tensor& x, bool batch_first, const Tensor& lengths) {
  if (x.dim() != 3)
    fail<ShapeError>(op, ": expected an input of 3 dimensions (", batch_first ? "batch, steps" : "steps, batch",
                     ", features), got ", x);
  const int64_t steps = x.size(batch_first ? 1 : 0), batch = x.size(batch_first ? 0 : 1);
  if (!lengths.defined()) return Timeline::padded(steps, batch, batch_first);
  const std::vector<int64_t> values = integers(op, "lengths", lengths);
  if (int64_t(values.size()) != batch)
    fail<ShapeError>(op, ": expected a length for each of ", batch, " sequences, got ", values.size());
  for (const int64_t n : values)
    if (n < 1 || n > steps) fail<ValueError>(op, ": expected lengths from 1 to ", steps, ", got ", n);
  return Timeline::padded(steps, batch, batch_first, values.data());
}

Timeline packed_time(const char* op, const Tensor& data, const Tensor& batch_sizes) {
  if (data.dim() != 2) fail<ShapeError>(op, ": expected packed data of 2 dimensions (positions, features), got ", data);
  const std::vector<int64_t> sizes = integers(op, "batch_sizes", batch_sizes);
  int64_t total = 0;
  for (size_t t = 0; t < sizes.size(); ++t) {
    if (sizes[t] < 1 || (t && sizes[t] > sizes[t - 1]))
      fail<ValueError>(op, ": expected batch_sizes that are positive and never grow, got ", sizes[t], " at step ", t);
    total += sizes[t];
  }
  if (total != data.size(0))
    fail<ShapeError>(op, ": expected batch_sizes that add up to ", data.size(0), " positions, got ", total);
  return Timeline::packed(sizes.data(), int64_t(sizes.size()));
}

void check_states(const char* op, const std::vector<Tensor>& hx) {
  if (hx.size() != 2) fail<ValueError>(op, ": expected (h_0, c_0) as hx, got ", hx.size(), " tensors");
}

// One step of `cell`, as a sequence of one.
LayerResult one_step(const char* op, Cell cell, CellActivation activation, const Tensor& input, const Tensor& h,
                     const Tensor& c, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh) {
  if (input.dim() != 2) fail<ShapeError>(op, ": expected an input of 2 dimensions (batch, features), got ", input);
  if (b_ih.defined() != b_hh.defined()) fail<ValueError>(op, ": expected b_ih and b_hh both or neither, got one of them");
  if (h.dim() != 2 || (c.defined() && c.dim() != 2))
    fail<ShapeError>(op, ": expected hidden states of 2 dimensions (batch, units), got ", h.dim() != 2 ? h : c);
  if (c.defined() && c.size(1) != h.size(1)) fail<ShapeError>(op, ": expected c of the shape of h, got ", c, " and ", h);
  std::vector<Tensor> params{w_ih, w_hh};
  if (b_ih.defined()) params.push_back(b_ih), params.push_back(b_hh);
  const Tensor x = unsqueeze(input, 0);
  LayerResult r = run({op, cell, activation, params, b_ih.defined(), 1, 0, false, false}, x, unsqueeze(h, 0),
                      c.defined() ? unsqueeze(c, 0) : c, padded_time(op, x, false, Tensor()));
  return {r.out, select(r.h, 0, 0), r.c.defined() ? select(r.c, 0, 0) : r.c};
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor> lstm(const Tensor& input, const std::vector<Tensor>& hx, const std::vector<Tensor>& params,
                                        bool has_biases, int64_t num_layers, double dropout, bool train,
                                        bool bidirectional, bool batch_first, const Tensor& lengths,
                                        std::string_view activation) {
  Call call("lstm");
  check_states(call.op, hx);
  const LayerResult r = run({call.op, Cell::Lstm, activation_named(call.op, activation), params, has_biases, num_layers,
                             dropout, train, bidirectional},
                            input, hx[0], hx[1], padded_time(call.op, input, batch_first, lengths));
  return {r.out, r.h, r.c};
}

std::tuple<Tensor, Tensor, Tensor> lstm_packed(const Tensor& data, const Tensor& batch_sizes, const std::vector<Tensor>& hx,
                                               const std::vector<Tensor>& params, bool has_biases, int64_t num_layers,
                                               double dropout, bool train, bool bidirectional) {
  Call call("lstm");
  check_states(call.op, hx);
  const LayerResult r =
      run({call.op, Cell::Lstm, CellActivation::Tanh, params, has_biases, num_layers, dropout, train, bidirectional}, data,
          hx[0], hx[1], packed_time(call.op, data, batch_sizes));
  return {r.out, r.h, r.c};
}

std::tuple<Tensor, Tensor> gru(const Tensor& input, const Tensor& hx, const std::vector<Tensor>& params, bool has_biases,
                               int64_t num_layers, double dropout, bool train, bool bidirectional, bool batch_first,
                               const Tensor& lengths, std::string_view activation) {
  Call call("gru");
  const LayerResult r = run({call.op, Cell::Gru, activation_named(call.op, activation), params, has_biases, num_layers,
                             dropout, train, bidirectional},
                            input, hx, Tensor(), padded_time(call.op, input, batch_first, lengths));
  return {r.out, r.h};
}

std::tuple<Tensor, Tensor> gru_packed(const Tensor& data, const Tensor& batch_sizes, const Tensor& hx,
                                      const std::vector<Tensor>& params, bool has_biases, int64_t num_layers,
                                      double dropout, bool train, bool bidirectional) {
  Call call("gru");
  const LayerResult r =
      run({call.op, Cell::Gru, CellActivation::Tanh, params, has_biases, num_layers, dropout, train, bidirectional}, data,
          hx, Tensor(), packed_time(call.op, data, batch_sizes));
  return {r.out, r.h};
}

template <CellActivation A>
std::tuple<Tensor, Tensor> simple(const Tensor& input, const Tensor& hx, const std::vector<Tensor>& params, bool has_biases,
                                  int64_t num_layers, double dropout, bool train, bool bidirectional, bool batch_first,
                                  const Tensor& lengths) {
  Call call(A == CellActivation::Tanh ? "rnn_tanh" : "rnn_relu");
  const LayerResult r = run({call.op, Cell::Simple, A, params, has_biases, num_layers, dropout, train, bidirectional},
                            input, hx, Tensor(), padded_time(call.op, input, batch_first, lengths));
  return {r.out, r.h};
}

template <CellActivation A>
std::tuple<Tensor, Tensor> simple_packed(const Tensor& data, const Tensor& batch_sizes, const Tensor& hx,
                                         const std::vector<Tensor>& params, bool has_biases, int64_t num_layers,
                                         double dropout, bool train, bool bidirectional) {
  Call call(A == CellActivation::Tanh ? "rnn_tanh" : "rnn_relu");
  const LayerResult r = run({call.op, Cell::Simple, A, params, has_biases, num_layers, dropout, train, bidirectional},
                            data, hx, Tensor(), packed_time(call.op, data, batch_sizes));
  return {r.out, r.h};
}

std::tuple<Tensor, Tensor> lstm_cell(const Tensor& input, const std::vector<Tensor>& hx, const Tensor& w_ih,
                                     const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh) {
  Call call("lstm_cell");
  check_states(call.op, hx);
  const LayerResult r =
      one_step(call.op, Cell::Lstm, CellActivation::Tanh, input, hx[0], hx[1], w_ih, w_hh, b_ih, b_hh);
  return {r.h, r.c};
}

Tensor gru_cell(const Tensor& input, const Tensor& hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih,
                const Tensor& b_hh) {
  Call call("gru_cell");
  return one_step(call.op, Cell::Gru, CellActivation::Tanh, input, hx, Tensor(), w_ih, w_hh, b_ih, b_hh).h;
}

template <CellActivation A>
Tensor simple_cell(const Tensor& input, const Tensor& hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih,
                   const Tensor& b_hh) {
  Call call(A == CellActivation::Tanh ? "rnn_tanh_cell" : "rnn_relu_cell");
  return one_step(call.op, Cell::Simple, A, input, hx, Tensor(), w_ih, w_hh, b_ih, b_hh).h;
}

namespace {

#define STACK "Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional"
#define CELL "Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor"

const Operator ops[] = {
    {&lstm,
     "lstm(Tensor input, Tensor[] hx, " STACK ", bool batch_first, *, Tensor? lengths=None, str activation='tanh') -> "
     "(Tensor, Tensor, Tensor)",
     kFunction,
     "Long short-term memory over a padded batch (Hochreiter and Schmidhuber 1997). With lengths, steps beyond a "
     "sequence's give zeros.\n"
     ">>> lstm, hx = pydl.nn.LSTM(3, 2), [pydl.zeros(1, 4, 2), pydl.zeros(1, 4, 2)]\n"
     ">>> pydl.lstm(pydl.ones(5, 4, 3), hx, list(lstm.parameters()), True, 1, 0.0, False, False, False)[0].shape\n"
     "pydl.Size([5, 4, 2])"},
    {&lstm_packed, "lstm(Tensor data, Tensor batch_sizes, Tensor[] hx, " STACK ") -> (Tensor, Tensor, Tensor)", kFunction,
     "The same over packed sequences."},
    {&gru,
     "gru(Tensor input, Tensor hx, " STACK ", bool batch_first, *, Tensor? lengths=None, str activation='tanh') -> "
     "(Tensor, Tensor)",
     kFunction,
     "Gated recurrent units over a padded batch (Cho et al. 2014). With lengths, steps beyond a sequence's give "
     "zeros.\n"
     ">>> gru, hx = pydl.nn.GRU(3, 2), pydl.zeros(1, 4, 2)\n"
     ">>> pydl.gru(pydl.ones(5, 4, 3), hx, list(gru.parameters()), True, 1, 0.0, False, False, False)[0].shape\n"
     "pydl.Size([5, 4, 2])"},
    {&gru_packed, "gru(Tensor data, Tensor batch_sizes, Tensor hx, " STACK ") -> (Tensor, Tensor)", kFunction,
     "The same over packed sequences."},
    {&simple<CellActivation::Tanh>,
     "rnn_tanh(Tensor input, Tensor hx, " STACK ", bool batch_first, *, Tensor? lengths=None) -> (Tensor, Tensor)",
     kFunction,
     "Elman's recurrent network over a padded batch (1990). With lengths, steps beyond a sequence's give zeros.\n"
     ">>> rnn, hx = pydl.nn.RNN(3, 2), pydl.zeros(1, 4, 2)\n"
     ">>> pydl.rnn_tanh(pydl.ones(5, 4, 3), hx, list(rnn.parameters()), True, 1, 0.0, False, False, False)[0].shape\n"
     "pydl.Size([5, 4, 2])"},
    {&simple_packed<CellActivation::Tanh>, "rnn_tanh(Tensor data, Tensor batch_sizes, Tensor hx, " STACK ") -> (Tensor, Tensor)", kFunction,
     "The same over packed sequences."},
    {&simple<CellActivation::Relu>,
     "rnn_relu(Tensor input, Tensor hx, " STACK ", bool batch_first, *, Tensor? lengths=None) -> (Tensor, Tensor)",
     kFunction,
     "rnn_tanh with relu.\n"
     ">>> w = [pydl.tensor([[1.0]]), pydl.tensor([[2.0]])]\n"
     ">>> pydl.rnn_relu(pydl.ones(3, 1, 1), pydl.zeros(1, 1, 1), w, False, 1, 0.0, False, False, False)[0].flatten()\n"
     "tensor([1., 3., 7.])"},
    {&simple_packed<CellActivation::Relu>, "rnn_relu(Tensor data, Tensor batch_sizes, Tensor hx, " STACK ") -> (Tensor, Tensor)", kFunction,
     "The same over packed sequences."},
    {&lstm_cell,
     "lstm_cell(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> (Tensor, "
     "Tensor)",
     kFunction,
     "One step of lstm: the new (h, c).\n"
     ">>> hx = [pydl.zeros(1, 2), pydl.ones(1, 2)]\n"
     ">>> pydl.lstm_cell(pydl.ones(1, 3), hx, pydl.zeros(8, 3), pydl.zeros(8, 2))\n"
     "(tensor([[0.2311, 0.2311]]), tensor([[0.5000, 0.5000]]))"},
    {&gru_cell, "gru_cell(" CELL, kFunction,
     "One step of gru: the new h.\n"
     ">>> pydl.gru_cell(pydl.ones(1, 3), pydl.tensor([[2.0, 4.0]]), pydl.zeros(6, 3), pydl.zeros(6, 2))\n"
     "tensor([[1., 2.]])"},
    {&simple_cell<CellActivation::Tanh>, "rnn_tanh_cell(" CELL, kFunction,
     "One step of rnn_tanh: the new h.\n"
     ">>> w_ih, w_hh = pydl.tensor([[0.1, 0.2]]), pydl.tensor([[0.5]])\n"
     ">>> pydl.rnn_tanh_cell(pydl.tensor([[1.0, 2.0]]), pydl.tensor([[1.0]]), w_ih, w_hh)\ntensor([[0.7616]])"},
    {&simple_cell<CellActivation::Relu>, "rnn_relu_cell(" CELL, kFunction,
     "One step of rnn_relu: the new h.\n"
     ">>> w_ih, w_hh = pydl.tensor([[1.0, 2.0]]), pydl.tensor([[3.0]])\n"
     ">>> pydl.rnn_relu_cell(pydl.tensor([[1.0, 2.0]]), pydl.tensor([[1.0]]), w_ih, w_hh)\ntensor([[8.]])"},
};

#undef STACK
#undef CELL

}  // namespace

}  // namespace pydl
