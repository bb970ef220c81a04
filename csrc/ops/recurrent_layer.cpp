// The forward pass of a recurrent layer: the products with the inputs, of all steps at once or each in its step, and step
// by step the kernels that add the product with the state and apply the gates.
#include "ops/recurrent_layer.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "autograd/node.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/gemm.h"
#include "ops/recurrent_steps.h"
#include "ops/view.h"
#include "ops/workspace.h"

namespace pydl {

// ---- timelines --------------------------------------------------------------------------------------------------------
void Timeline::count_active() {
  active.assign(size_t(steps), 0);
  for (int64_t t = 0, s = sequences; t < steps; ++t) {
    while (s > 0 && length[size_t(s - 1)] <= t) --s;
    active[size_t(t)] = s;
  }
}

Timeline Timeline::padded(int64_t steps, int64_t batch, bool batch_first, const int64_t* lengths) {
  Timeline time;
  time.steps = steps, time.sequences = batch, time.positions = steps * batch;
  time.batch.resize(size_t(batch));
  std::iota(time.batch.begin(), time.batch.end(), int64_t(0));
  if (lengths)
    std::stable_sort(time.batch.begin(), time.batch.end(), [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
  for (int64_t t = 0; t < steps; ++t) time.base.push_back(batch_first ? t : t * batch);
  for (const int64_t b : time.batch) {
    time.offset.push_back(batch_first ? b * steps : b);
    time.length.push_back(lengths ? lengths[b] : steps);
    time.gaps |= time.length.back() < steps;
  }
  time.count_active();
  return time;
}

Timeline Timeline::packed(const int64_t* batch_sizes, int64_t steps) {
  Timeline time;
  time.steps = steps, time.sequences = steps ? batch_sizes[0] : 0;
  time.offset.resize(size_t(time.sequences));
  std::iota(time.offset.begin(), time.offset.end(), int64_t(0));
  time.batch = time.offset;
  time.length.assign(size_t(time.sequences), 0);
  for (int64_t t = 0; t < steps; ++t) {
    time.base.push_back(time.positions);
    time.positions += batch_sizes[t];
    for (int64_t s = 0; s < batch_sizes[t]; ++s) ++time.length[size_t(s)];
  }
  time.count_active();
  return time;
}

Timeline Timeline::reversed() const {
  Timeline time = *this;
  time.reverse = !reverse;
  return time;
}

namespace {

Tensor memory(bool zeroed, IntSpan sizes, DType t) { return zeroed ? zeros(sizes, t) : Tensor::empty(sizes, t); }

// Every bias that is added to the products with the inputs: b_hh too, but for a GRU's candidate. Zeros without biases.
template <class T> void fill_bias(T* bias, const Layer& layer, const LayerWeights& w) {
  const int64_t n = w.ih.size(0), both = layer.cell == Cell::Gru ? n / 3 * 2 : n;
  for (int64_t j = 0; j < n; ++j)
    bias[j] = w.b_ih.defined() ? w.b_ih.data<T>()[j] + (j < both ? w.b_hh.data<T>()[j] : T(0)) : T(0);
}

// Whether each step multiplies its own inputs while their sums are in registers, which spares the memory for the sums
// of all steps. It repays reading W_ih at every step where rows are many beside the weights. A GRU's candidate needs
// both of its products apart.
template <class T> bool steps_take_inputs(const Layer& layer, const LayerWeights& w) {
  const int64_t rows = layer.time->sequences, bytes = (w.ih.numel() + w.hh.numel()) * int64_t(sizeof(T));
  return layer.cell != Cell::Gru && rows >= (bytes <= 1 << 19 ? 8 : 24);
}

// The inputs' products of all steps at once.
template <class T>
void project_inputs(const Layer& layer, const Tensor& x, const LayerWeights& w, const T* bias, T* gates, bool keep) {
  const int64_t n = w.ih.size(0), k = w.ih.size(1), rows = layer.time->positions;
  Epilogue<T> epilogue;
  epilogue.row_bias = bias;
  const T* const values = w.ih.data<T>();
  if (!keep) return gemm<T>(rows, n, k, 1, x.data<T>(), k, 1, values, 1, k, 0, gates, n, 1, epilogue);
  constexpr int64_t kKind = -8;
  const Dims key{kKind, w.ih.offset(), int64_t(w.ih.dtype()), n, k};
  const Ref<DerivedBuffer> packed = derived_buffer<T>(w.ih, key, std::max<int64_t>(gemm_packed_size<T>(k, n), 1), true,
                                                      [&](T* to) { gemm_pack<T>(to, k, n, values, 1, k); });
  gemm_packed<T>(rows, n, k, 1, x.data<T>(), k, 1, packed->values.data<T>(), 0, gates, n, epilogue);
}

// All steps; writes out, and c_n unless the c of all steps are kept.
template <class T>
void take_steps(const Layer& layer, const Tensor& x, const Tensor& h0, const Tensor& c0, const LayerWeights& w,
                const LayerSaved& kept, bool save, bool keep, const Tensor& out, const Tensor& c_n) {
  const RecurrentKernels<T>& kernel = kernels<T>().recurrent;
  const Timeline& time = *layer.time;
  const int64_t gates = gates_of(layer.cell), units = w.hh.size(0) / gates, k = w.hh.size(1), features = w.ih.size(1);
  const bool projected = w.hr.defined(), with_inputs = steps_take_inputs<T>(layer, w);
  const Workspace<T> bias(gates * units);
  fill_bias(bias.data(), layer, w);
  if (!with_inputs) project_inputs<T>(layer, x, w, bias.data(), kept.gates.data<T>(), keep);

  const Ref<DerivedBuffer> ih =
      with_inputs ? packed_panels<T>(w.ih, 1, features, features, gates, units, keep) : Ref<DerivedBuffer>();
  const Ref<DerivedBuffer> hh = packed_panels<T>(w.hh, 1, k, k, gates, units, keep);
  const Ref<DerivedBuffer> hr = projected ? packed_panels<T>(w.hr, 1, units, units, 1, k, keep) : Ref<DerivedBuffer>();
  const T* const inner_bias = layer.cell == Cell::Gru && w.b_hh.defined() ? w.b_hh.data<T>() + 2 * units : nullptr;
  T *const all_gates = pointer_or_null<T>(kept.gates), *const all_out = out.data<T>(),
     *const all_c = pointer_or_null<T>(kept.c), *const all_inner = pointer_or_null<T>(kept.inner),
     *const all_h = pointer_or_null<T>(kept.h);
  const T *const all_x = x.data<T>(), *const first_h = h0.data<T>(), *const first_c = pointer_or_null<T>(c0);
  T* const last_c = pointer_or_null<T>(c_n);

  const StepPlan plan = StepPlan::make<T>(time, k + (with_inputs ? features : 0), units, gates);
  plan.run(time, [&](const StepShare& share, const Team& team) {
    std::vector<ForwardRow<T>> rows(size_t(share.count(time.sequences)));
    std::vector<ProjectRow<T>> project(projected ? rows.size() : 0);
    const Panels<T> states{hh->values.data<T>(), k, units, 0, 0};
    ForwardStep<T> step{rows.data(), 0, {}, nullptr, states, inner_bias, save};
    if (with_inputs) step.input = {ih->values.data<T>(), features, units, 0, 0}, step.bias = bias.data();
    share.choose(step.weights, gates);
    ProjectStep<T> projection{project.data(), 0, {nullptr, units, k, 0, 0}};
    if (projected) projection.weights.data = hr->values.data<T>(), share.choose(projection.weights, 1);
    for (int64_t i = 0; i < time.steps; ++i) {
      const int64_t t = time.step(i), earlier = time.with_before(t);
      step.count = projection.count = share.count(time.active[size_t(t)]);
      for (int64_t r = 0, s = share.first; r < step.count; ++r, s += share.stride) {
        const int64_t now = time.position(t, s), b = time.batch[size_t(s)];
        const int64_t past = s < earlier ? time.position(time.before(t), s) : -1;
        ForwardRow<T>& row = rows[size_t(r)];
        row.x = all_x + now * features;
        row.h = row.h_units = past < 0 ? first_h + b * k : all_out + past * k;
        row.gates = all_gates ? all_gates + now * gates * units : nullptr;
        row.out = projected ? all_h + now * units : all_out + now * k;
        if (all_inner) row.inner = all_inner + now * units;
        if (all_c) {
          row.c = all_c + now * units;
          row.c_before = past < 0 ? first_c + b * units : all_c + past * units;
        } else if (last_c) {
          row.c = last_c + b * units;
          row.c_before = past < 0 ? first_c + b * units : row.c;
        }
        if (projected) project[size_t(r)] = {row.out, nullptr, all_out + now * k};
      }
      kernel.forward(layer.cell, layer.activation, step);
      if (projected) {
        plan.wait(team);
        kernel.project(projection);
      }
      plan.wait(team);
    }
  });
}

// Rows of `from` at each sequence's last step.
template <class T> void copy_last(const Timeline& time, const Tensor& from, const Tensor& into) {
  const int64_t n = into.size(1);
  for (int64_t s = 0; s < time.sequences; ++s)
    std::memcpy(into.data<T>() + time.batch[size_t(s)] * n, from.data<T>() + time.position(time.last(s), s) * n,
                size_t(n) * sizeof(T));
}

// Through the composite, on inputs of their own so that no gradient flows from one to another.
Tensors composite_gradients(const Layer& layer, Tensors inputs, const Tensors& grads) {
  Tensors wanted;
  for (Tensor& t : inputs)
    if (t.defined() && autograd::requires_grad(t)) wanted.push_back(t = view(t, t.sizes()));
  const LayerResult result = recurrent_composite(layer, inputs[0], inputs[1], inputs[2],
                                                 {inputs[3], inputs[4], inputs[5], inputs[6], inputs[7]});
  Tensors roots, seeds;
  const Tensor* outputs[] = {&result.out, &result.h, &result.c};
  for (size_t i = 0; i < grads.size(); ++i)
    if (grads[i].defined() && autograd::requires_grad(*outputs[i])) roots.push_back(*outputs[i]), seeds.push_back(grads[i]);
  const Tensors found = autograd::gradients({roots.data(), roots.size()}, {seeds.data(), seeds.size()},
                                            {wanted.data(), wanted.size()}, {true, true}, true);
  Tensors results;
  size_t next = 0;
  for (const Tensor& t : inputs)
    results.push_back(t.defined() && autograd::requires_grad(t) ? found[next++] : Tensor());
  return results;
}

}  // namespace

LayerResult recurrent_layer(const Layer& layer, const Tensor& input, const Tensor& initial_h, const Tensor& initial_c,
                            const LayerWeights& weights) {
  Call call("recurrent_layer");
  const auto dense = [](const Tensor& t) { return t.defined() ? contiguous(t.alias(), MemoryFormat::Contiguous) : t; };
  const Tensor x = dense(input), h0 = dense(initial_h), c0 = dense(initial_c);
  const LayerWeights w{dense(weights.ih), dense(weights.hh), dense(weights.b_ih), dense(weights.b_hh), dense(weights.hr)};
  const Timeline& time = *layer.time;
  const DType t = x.dtype();
  const int64_t gates = gates_of(layer.cell), units = w.hh.size(0) / gates, outputs = w.hh.size(1);
  const bool save = autograd::needed(input, initial_h, initial_c, weights.ih, weights.hh, weights.b_ih, weights.b_hh,
                                     weights.hr);
  const bool keep = !autograd::needed(weights.ih, weights.hh, weights.hr);  // weights that train change before their next use
  Dims shape(x.sizes());
  shape.back() = outputs;
  LayerResult result{memory(time.gaps, shape, t), Tensor::empty(h0.sizes(), t),
                     c0.defined() ? Tensor::empty(c0.sizes(), t) : Tensor()};
  LayerSaved kept;
  if (save && layer.cell == Cell::Lstm) kept.c = Tensor::empty(Dims{time.positions, units}, t);
  if (save && layer.cell == Cell::Gru) kept.inner = Tensor::empty(Dims{time.positions, units}, t);
  if (w.hr.defined()) kept.h = memory(time.gaps, Dims{time.positions, units}, t);
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if ((save && layer.cell != Cell::Simple) || !steps_take_inputs<T>(layer, w))
      kept.gates = Tensor::empty(Dims{time.positions, gates * units}, t);
    take_steps<T>(layer, x, h0, c0, w, kept, save, keep, result.out, result.c);
    copy_last<T>(time, result.out, result.h);
    if (kept.c.defined()) copy_last<T>(time, kept.c, result.c);
  });
  if (!save) return result;

  Tensors results{result.out, result.h};
  if (result.c.defined()) results.push_back(result.c);
  if (layer.cell == Cell::Simple) kept.gates = Tensor();
  const Tensor operands[] = {input, initial_h, initial_c, weights.ih, weights.hh, weights.b_ih, weights.b_hh, weights.hr};
  std::vector<autograd::Saved> saved;
  for (const Tensor& operand : operands) saved.push_back(autograd::save(operand));
  autograd::record(
      "RecurrentBackward", {results.data(), results.size()}, operands,
      [layer, kept, dense, saved = std::move(saved),
       out = autograd::Saved::output(result.out)](const Tensors& grads) mutable {
        if (kept.disposable) autograd::fail_released("RecurrentBackward");
        Tensors in;
        for (const autograd::Saved& s : saved) in.push_back(s);
        if (autograd::grad_enabled()) return composite_gradients(layer, in, grads);
        kept.disposable = autograd::last_run();
        LayerGradients wanted;
        Tensor* const slots[] = {&wanted.x, &wanted.h0, &wanted.c0, &wanted.weights.ih, &wanted.weights.hh,
                                 &wanted.weights.b_ih, &wanted.weights.b_hh, &wanted.weights.hr};
        for (size_t i = 0; i < in.size(); ++i)
          if (in[i].defined() && autograd::requires_grad(in[i]) && autograd::wanted(i)) *slots[i] = in[i];
        for (Tensor& operand : in) operand = dense(operand);
        LayerGradients g = recurrent_backward(layer, in[0], in[1], in[2], {in[3], in[4], in[5], in[6], in[7]}, out.get(), kept,
                                              grads[0], grads[1], grads.size() > 2 ? grads[2] : Tensor(), wanted);
        return Tensors{g.x, g.h0, g.c0, g.weights.ih, g.weights.hh, g.weights.b_ih, g.weights.b_hh, g.weights.hr};
      });
  return result;
}

}  // namespace pydl
