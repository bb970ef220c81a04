// The backward pass of a recurrent layer: step by step backwards, the gradients of the pre-activations by hand; then the
// gradients of weights and inputs as one product each over all steps.
#include <cstring>

#include "autograd/grad_mode.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/gemm.h"
#include "ops/join.h"
#include "ops/pointwise.h"
#include "ops/recurrent_steps.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace pydl {
namespace {

// dL/d(out) with the last states' gradients added where they belong; on request in memory that may be written.
template <class T>
Tensor output_gradients(const Timeline& time, const Tensor& dout, const Tensor& dh, IntSpan sizes, DType t,
                        bool writable) {
  if (dout.defined() && !dh.defined() && !writable) return contiguous(dout.alias(), MemoryFormat::Contiguous);
  const Tensor total = Tensor::empty(sizes, t);
  if (dout.defined()) copy_values(total, dout);
  else std::memset(total.raw(), 0, total.nbytes());
  if (!dh.defined()) return total;
  const Tensor last = contiguous(dh.alias());
  const int64_t n = dh.size(1);
  for (int64_t s = 0; s < time.sequences; ++s) {
    T* const to = total.data<T>() + time.position(time.last(s), s) * n;
    const T* const from = last.data<T>() + time.batch[size_t(s)] * n;
    for (int64_t j = 0; j < n; ++j) to[j] += from[j];
  }
  return total;
}

// A matrix of n columns with the row source(t, s) at each position, and zeros where there is none.
template <class T, class F> Tensor rows_at_positions(const Timeline& time, int64_t n, DType t_, F source) {
  const Dims sizes{time.positions, n};
  const Tensor rows = time.gaps ? zeros(sizes, t_) : Tensor::empty(sizes, t_);
  const int64_t bytes = n * int64_t(sizeof(T)), step = std::max<int64_t>(bytes * time.sequences, 1);
  parallel_for(time.steps, std::max<int64_t>(1, 65536 / step), [&](int64_t t, int64_t end) {
    for (; t < end; ++t)
      for (int64_t s = 0; s < time.active[size_t(t)]; ++s)
        std::memcpy(rows.data<T>() + time.position(t, s) * n, source(t, s), size_t(bytes));
  });
  return rows;
}
// The state before each position.
template <class T> Tensor states_before(const Timeline& time, const Tensor& h0, const Tensor& out) {
  const int64_t n = h0.size(1);
  return rows_at_positions<T>(time, n, out.dtype(), [&](int64_t t, int64_t s) {
    return s < time.with_before(t) ? out.data<T>() + time.position(time.before(t), s) * n
                                   : h0.data<T>() + time.batch[size_t(s)] * n;
  });
}
// The inputs, whatever stands beyond the end of a sequence: times a gradient of zero a NaN there would be one.
template <class T> Tensor inputs_within(const Timeline& time, const Tensor& x) {
  if (!time.gaps) return x;
  const int64_t n = x.size(-1);
  return rows_at_positions<T>(time, n, x.dtype(),
                              [&](int64_t t, int64_t s) { return x.data<T>() + time.position(t, s) * n; });
}

// What the steps compute: gradients of all pre-activations [positions, width], of h and c before the first step, and with
// a projection those of its outputs in `dy`.
struct StepGradients {
  Tensor all, h0, c0;
};

template <class T>
StepGradients take_steps_back(const Layer& layer, const Tensor& h0, const Tensor& c0, const LayerWeights& w,
                              const Tensor& out, const LayerSaved& saved, const Tensor& dy, const Tensor& dc) {
  const RecurrentKernels<T>& kernel = kernels<T>().recurrent;
  const Timeline& time = *layer.time;
  const DType t_ = out.dtype();
  const int64_t gates = gates_of(layer.cell), units = w.hh.size(0) / gates, outputs = w.hh.size(1), k = gates * units;
  const int64_t width = gradients_of(layer.cell) * units;
  const bool projected = w.hr.defined();
  StepGradients g;
  // An LSTM's gates are read where its gradients are written: lines that are in the cache already.
  if (layer.cell == Cell::Lstm && saved.disposable && !time.gaps) g.all = saved.gates;
  else if (time.gaps) g.all = zeros(Dims{time.positions, width}, t_);
  else g.all = Tensor::empty(Dims{time.positions, width}, t_);
  g.h0 = Tensor::empty(h0.sizes(), t_);
  if (layer.cell != Cell::Simple) {
    g.c0 = dc.defined() ? clone(contiguous(dc.alias())) : zeros(Dims{time.sequences, units}, t_);
  }
  // The candidate's rows of a GRU's weights come first, as its gradients do.
  Tensor hh = w.hh;
  if (layer.cell == Cell::Gru) hh = cat({narrow(hh, 0, 2 * units, units), narrow(hh, 0, 0, 2 * units)}, 0);
  const Ref<DerivedBuffer> hh_panels = packed_panels<T>(hh, outputs, 1, k, 1, outputs, false);
  const Ref<DerivedBuffer> hr_panels =
      projected ? packed_panels<T>(w.hr, units, 1, outputs, 1, units, false) : Ref<DerivedBuffer>();
  const Panels<T> all_hh{hh_panels->values.data<T>(), k, outputs, 0, 0};
  const Tensor nothing = zeros(Dims{k}, t_);
  T *const all = g.all.data<T>(), *const all_dy = dy.data<T>(), *const carry = pointer_or_null<T>(g.c0);
  const T *const all_out = out.data<T>(), *const all_gates = pointer_or_null<T>(saved.gates);
  const T *const all_c = pointer_or_null<T>(saved.c), *const all_inner = pointer_or_null<T>(saved.inner);

  const StepPlan plan = StepPlan::make<T>(time, outputs, units, gates);
  plan.run(time, [&](const StepShare& share, const Team& team) {
    std::vector<BackwardRow<T>> rows(size_t(share.count(time.sequences)));
    std::vector<ProjectRow<T>> project(rows.size());
    BackwardStep<T> step{rows.data(), 0, all_hh};
    if (projected) step.weights = {hr_panels->values.data<T>(), outputs, units, 0, 0};
    share.choose(step.weights, 1);
    ProjectStep<T> projection{project.data(), 0, all_hh};
    share.choose(projection.weights, 1);
    for (int64_t i = time.steps - 1; i >= 0; --i) {
      const int64_t t = time.step(i), later = time.with_after(t), earlier = time.with_before(t);
      step.count = projection.count = share.count(time.active[size_t(t)]);
      for (int64_t r = 0, s = share.first; r < step.count; ++r, s += share.stride) {
        const int64_t now = time.position(t, s), b = time.batch[size_t(s)];
        const int64_t past = s < earlier ? time.position(time.before(t), s) : -1;
        const T* const next = s < later ? all + time.position(time.after(t), s) * width : nothing.data<T>();
        T* const dy_now = all_dy + now * outputs;
        if (projected) project[size_t(r)] = {next, dy_now, dy_now};
        BackwardRow<T>& row = rows[size_t(r)];
        row.next = projected ? dy_now : next;
        row.dy = projected ? nullptr : dy_now;
        row.gradients = all + now * width;
        row.carry = carry + b * units;
        if (layer.cell == Cell::Simple) {
          row.out = all_out + now * units;
          continue;
        }
        row.gates = all_gates + now * k;
        if (layer.cell == Cell::Lstm) {
          row.c = all_c + now * units;
          row.c_before = past < 0 ? c0.data<T>() + b * units : all_c + past * units;
        } else {
          row.inner = all_inner + now * units;
          row.h = past < 0 ? h0.data<T>() + b * units : all_out + past * units;
        }
      }
      const int64_t depth = later > 0 ? k : 0;  // nothing comes from later yet
      if (projected) {
        projection.weights.k = depth;
        kernel.project(projection);
        plan.wait(team);
      } else {
        step.weights.k = depth;
      }
      kernel.backward(layer.cell, layer.activation, step);
      plan.wait(team);
    }
    // The first states'.
    projection.weights.k = k;
    projection.count = share.count(time.sequences);
    for (int64_t r = 0, s = share.first; r < projection.count; ++r, s += share.stride) {
      const int64_t b = time.batch[size_t(s)];
      project[size_t(r)] = {all + time.position(time.first(s), s) * width,
                            layer.cell == Cell::Gru ? carry + b * units : nullptr, g.h0.data<T>() + b * outputs};
    }
    kernel.project(projection);
  });
  return g;
}

// a^T b over all positions: a [positions, m] with rows `stride` apart, b [positions, n].
template <class T>
void weight_product(T* into, const T* a, int64_t stride, int64_t m, const Tensor& b, int64_t n, int64_t positions) {
  gemm<T>(m, n, positions, 1, a, 1, stride, b.data<T>(), n, 1, 0, into, n, 1);
}

Tensor column_sums(const Tensor& all, int64_t first, int64_t count) { return sum(narrow(all, 1, first, count), Dims{0}); }

}  // namespace

LayerGradients recurrent_backward(const Layer& layer, const Tensor& x, const Tensor& h0, const Tensor& c0,
                                  const LayerWeights& w, const Tensor& out, const LayerSaved& saved,
                                  const Tensor& dout, const Tensor& dh, const Tensor& dc, const LayerGradients& wanted) {
  const autograd::GradGuard off(false);
  const Timeline& time = *layer.time;
  const DType t = x.dtype();
  const int64_t gates = gates_of(layer.cell), units = w.hh.size(0) / gates, outputs = w.hh.size(1), k = gates * units;
  const int64_t width = gradients_of(layer.cell) * units, features = w.ih.size(1), outside = width - k;
  LayerGradients g;
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Tensor dy = output_gradients<T>(time, dout, dh, out.sizes(), t, w.hr.defined());
    const StepGradients steps = take_steps_back<T>(layer, h0, c0, w, out, saved, dy, dc);
    const T *const all = steps.all.template data<T>(), *const of_inputs = all + outside;
    if (wanted.h0.defined()) g.h0 = steps.h0;
    if (wanted.c0.defined()) g.c0 = steps.c0;
    if (wanted.x.defined()) {
      g.x = Tensor::empty(x.sizes(), t);
      gemm<T>(time.positions, features, k, 1, of_inputs, width, 1, w.ih.template data<T>(), features, 1, 0,
              g.x.template data<T>(), features, 1);
    }
    if (wanted.weights.ih.defined()) {
      g.weights.ih = Tensor::empty(w.ih.sizes(), t);
      weight_product<T>(g.weights.ih.template data<T>(), of_inputs, width, k, inputs_within<T>(time, x), features,
                        time.positions);
    }
    if (wanted.weights.hh.defined()) {
      const Tensor before = states_before<T>(time, h0, out);
      g.weights.hh = Tensor::empty(w.hh.sizes(), t);
      T* const into = g.weights.hh.template data<T>();
      const int64_t candidate = outside;  // of a GRU: its gradients come first, its weights last
      weight_product<T>(into, all + candidate, width, k - candidate, before, outputs, time.positions);
      if (candidate)
        weight_product<T>(into + (k - candidate) * outputs, all, width, candidate, before, outputs, time.positions);
    }
    if (wanted.weights.hr.defined()) {
      g.weights.hr = Tensor::empty(w.hr.sizes(), t);
      weight_product<T>(g.weights.hr.template data<T>(), dy.data<T>(), outputs, outputs, saved.h, units, time.positions);
    }
    if (wanted.weights.b_ih.defined() || (wanted.weights.b_hh.defined() && !outside))
      g.weights.b_ih = column_sums(steps.all, outside, k);
    if (wanted.weights.b_hh.defined())
      g.weights.b_hh = outside ? cat({column_sums(steps.all, outside, k - outside), column_sums(steps.all, 0, outside)}, 0)
                               : clone(g.weights.b_ih);
  });
  return g;
}

}  // namespace pydl
