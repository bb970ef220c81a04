// Optimizer steps over lists of parameters: one call, one parallel pass over all elements of all parameters, no
// history. The Python classes of pydl.optim own the hyper-parameters and the states; the formulas are in
// kernels/optim.cpp.
#include <cmath>

#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/registry.h"

namespace pydl {

namespace {

using List = std::vector<Tensor>;

// Threads share the elements of all tensors in units of this many; each takes a contiguous run of units.
constexpr int64_t kUnit = 1024;
constexpr int64_t kGrainUnits = 8;

void check_count(const char* op, const char* what, const List& list, size_t count) {
  if (list.size() != count)
    fail<ValueError>(op, ": expected ", count, " ", what, ", one a parameter, got ", list.size());
}

// A tensor as dense memory of the dtype that kernels compute in. Parameters, gradients and states normally are that
// already; half precision and odd strides work on a copy, written back at the end.
class Dense {
 public:
  Dense(const Tensor& t, bool written)
      : original_(t), work_(cast(contiguous(t), compute_dtype(t.dtype()))), written_(written) {}
  template <class T>
  T* data() const {
    return work_.data<T>();
  }
  void finish() const {
    if (!written_) return;
    if (!work_.is(original_)) copy_values(original_, work_);
    original_.bump_version();
  }

 private:
  Tensor original_, work_;
  bool written_;
};

// The parameters of one step with their gradients and states, checked. An optional state is an empty list.
class Update {
 public:
  Update(const char* op, const List& params, const List& grads, std::initializer_list<const List*> states)
      : params_(params), states_(states.begin(), states.end()) {
    check_count(op, "gradients", grads, params.size());
    for (const List* s : states)
      if (!s->empty()) check_count(op, "states", *s, params.size());
    for (size_t i = 0; i < params.size(); ++i) {
      if (!is_floating(params[i].dtype())) fail<TypeError>(op, ": expected floating point parameters, got ", params[i]);
      check_twin(op, params[i], grads[i], false);
      check_twin(op, params[i], params[i], true);
      for (const List* s : states)
        if (!s->empty()) check_twin(op, params[i], (*s)[i], true);
    }
    dense_.reserve(params.size() * (2 + states.size()));
    for (size_t i = 0; i < params.size(); ++i) {
      dense_.emplace_back(params[i], true);
      dense_.emplace_back(grads[i], false);
      for (const List* s : states)
        if (!s->empty()) dense_.emplace_back((*s)[i], true);
    }
  }

  // Runs `kernel(table)` of every parameter's dtype with that parameter's step.
  template <class Step, class Kernel>
  void run(const std::vector<Step>& steps, const Kernel& kernel) {
    run_dtype<float>(steps, kernel);
    run_dtype<double>(steps, kernel);
    for (const Dense& d : dense_) d.finish();
  }

 private:
  static void check_twin(const char* op, const Tensor& param, const Tensor& t, bool written) {
    if (!same_shape(param, t))
      fail<ShapeError>(op, ": expected a gradient and states like the parameter's ", param, ", got ", t);
    if (param.dtype() != t.dtype())
      fail<TypeError>(op, ": expected a gradient and states of ", param.dtype(), ", got ", t);
    if (written && t.storage()->read_only) fail(op, ": expected writable memory, got a read-only tensor ", t);
    if (written && t.may_self_overlap())
      fail(op, ": expected elements with memory of their own, got an expanded tensor ", t);
  }
  static bool same_shape(const Tensor& a, const Tensor& b) {
    return std::equal(a.sizes().begin(), a.sizes().end(), b.sizes().begin(), b.sizes().end());
  }

  template <class T, class Step, class Kernel>
  void run_dtype(const std::vector<Step>& steps, const Kernel& kernel) {
    std::vector<ParamSlice<T>> slices;
    std::vector<const Step*> slice_steps;
    std::vector<int64_t> first_unit{0};
    const Dense* d = dense_.data();
    for (size_t i = 0; i < params_.size(); ++i) {
      const Dense *param = d++, *grad = d++, *state[3] = {};
      for (size_t k = 0; k < states_.size(); ++k)
        if (!states_[k]->empty()) state[k] = d++;
      if (compute_dtype(params_[i].dtype()) != dtype_of<T>) continue;
      ParamSlice<T> s{param->data<T>(), grad->data<T>(), {}, params_[i].numel()};
      for (int k = 0; k < 3; ++k) s.state[k] = state[k] ? state[k]->data<T>() : nullptr;
      slices.push_back(s);
      slice_steps.push_back(&steps[i]);
      first_unit.push_back(first_unit.back() + (s.n + kUnit - 1) / kUnit);
    }
    const auto function = kernel(kernels<T>().optim);
    parallel_for(first_unit.back(), kGrainUnits, [&](int64_t begin, int64_t end) {
      size_t i = size_t(std::upper_bound(first_unit.begin(), first_unit.end(), begin) - first_unit.begin()) - 1;
      for (; i < slices.size() && first_unit[i] < end; ++i) {
        const int64_t from = std::max<int64_t>(begin - first_unit[i], 0) * kUnit;
        const int64_t to = std::min((end - first_unit[i]) * kUnit, slices[i].n);
        if (from < to) function(slices[i].piece(from, to - from), *slice_steps[i]);
      }
    });
  }

  const List& params_;
  SmallVector<const List*, 3> states_;
  std::vector<Dense> dense_;
};

// The step counters: scalar tensors, checked by the constructor, counted up and read one by one.
class Steps {
 public:
  Steps(const char* op, const List& counters, size_t count) : counters_(counters) {
    check_count(op, "step counters", counters, count);
    for (const Tensor& c : counters)
      if (c.numel() != 1 || (c.dtype() != DType::Float32 && c.dtype() != DType::Float64))
        fail<ValueError>(op, ": expected step counters of one float32 or float64 element, got ", c);
  }
  double advance(size_t i) const {
    return change(counters_[i], [](auto t) { return t + 1; });
  }
  template <class F>
  static double change(const Tensor& scalar, const F& f) {
    scalar.bump_version();
    return visit_float(scalar.dtype(),
                       [&]<class T>(type_tag<T>) { return double(*scalar.data<T>() = T(f(*scalar.data<T>()))); });
  }

 private:
  const List& counters_;
};

// ---- the optimizers ------------------------------------------------------------------------------------------------

void sgd_step(const List& params, const List& grads, const List& momentum_buffers, double lr, double momentum,
              double dampening, double weight_decay, bool nesterov, bool maximize, bool first) {
  Call call("_sgd_step");
  Update update(call.op, params, grads, {&momentum_buffers});
  if (momentum != 0) check_count(call.op, "momentum buffers", momentum_buffers, params.size());
  update.run(std::vector<SgdStep>(params.size(), {{weight_decay, maximize}, lr, momentum, dampening, nesterov, first}),
             [](const auto& k) { return k.sgd; });
}

void adam_step(const List& params, const List& grads, const List& exp_avgs, const List& exp_avg_sqs,
               const List& max_exp_avg_sqs, const List& state_steps, double lr, double beta1, double beta2, double eps,
               double weight_decay, bool decoupled_weight_decay, bool maximize) {
  Call call("_adam_step");
  Update update(call.op, params, grads, {&exp_avgs, &exp_avg_sqs, &max_exp_avg_sqs});
  check_count(call.op, "states", exp_avgs, params.size());
  check_count(call.op, "states", exp_avg_sqs, params.size());
  const Steps counters(call.op, state_steps, params.size());
  const double coupled = decoupled_weight_decay ? 0 : weight_decay,
               decay = decoupled_weight_decay ? 1 - lr * weight_decay : 1;
  std::vector<AdamStep> steps(params.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const double t = counters.advance(i);
    steps[i] = {{coupled, maximize},
                beta1,
                beta2,
                eps,
                lr / (1 - std::pow(beta1, t)),
                std::sqrt(1 - std::pow(beta2, t)),
                decay};
  }
  update.run(steps, [](const auto& k) { return k.adam; });
}

void nadam_step(const List& params, const List& grads, const List& exp_avgs, const List& exp_avg_sqs,
                const List& mu_products, const List& state_steps, double lr, double beta1, double beta2, double eps,
                double weight_decay, double momentum_decay, bool decoupled_weight_decay, bool maximize) {
  Call call("_nadam_step");
  Update update(call.op, params, grads, {&exp_avgs, &exp_avg_sqs});
  check_count(call.op, "states", exp_avgs, params.size());
  check_count(call.op, "states", exp_avg_sqs, params.size());
  const Steps counters(call.op, state_steps, params.size());
  const Steps products(call.op, mu_products, params.size());
  const double coupled = decoupled_weight_decay ? 0 : weight_decay,
               decay = decoupled_weight_decay ? 1 - lr * weight_decay : 1;
  std::vector<NadamStep> steps(params.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const double t = counters.advance(i);
    auto mu_at = [&](double s) { return beta1 * (1 - 0.5 * std::pow(0.96, s * momentum_decay)); };
    const double mu = mu_at(t), mu_next = mu_at(t + 1);
    const double product = Steps::change(mu_products[i], [mu](auto p) { return p * mu; });
    steps[i] = {{coupled, maximize},
                beta1,
                beta2,
                eps,
                lr * (1 - mu) / (1 - product),
                lr * mu_next / (1 - product * mu_next),
                1 - std::pow(beta2, t),
                decay};
  }
  update.run(steps, [](const auto& k) { return k.nadam; });
}

void radam_step(const List& params, const List& grads, const List& exp_avgs, const List& exp_avg_sqs,
                const List& state_steps, double lr, double beta1, double beta2, double eps, double weight_decay,
                bool decoupled_weight_decay, bool maximize) {
  Call call("_radam_step");
  Update update(call.op, params, grads, {&exp_avgs, &exp_avg_sqs});
  check_count(call.op, "states", exp_avgs, params.size());
  check_count(call.op, "states", exp_avg_sqs, params.size());
  const Steps counters(call.op, state_steps, params.size());
  const double coupled = decoupled_weight_decay ? 0 : weight_decay,
               decay = decoupled_weight_decay ? 1 - lr * weight_decay : 1;
  const double rho_inf = 2 / (1 - beta2) - 1;
  std::vector<RadamStep> steps(params.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const double t = counters.advance(i), beta2_t = std::pow(beta2, t);
    const double rho = rho_inf - 2 * t * beta2_t / (1 - beta2_t);
    const bool rectified = rho > 5;
    double size = lr / (1 - std::pow(beta1, t));
    if (rectified)
      size *=
          std::sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) * std::sqrt(1 - beta2_t);
    steps[i] = {{coupled, maximize}, beta1, beta2, eps, size, rectified, decay};
  }
  update.run(steps, [](const auto& k) { return k.radam; });
}

void adamax_step(const List& params, const List& grads, const List& exp_avgs, const List& exp_infs,
                 const List& state_steps, double lr, double beta1, double beta2, double eps, double weight_decay,
                 bool maximize) {
  Call call("_adamax_step");
  Update update(call.op, params, grads, {&exp_avgs, &exp_infs});
  check_count(call.op, "states", exp_avgs, params.size());
  check_count(call.op, "states", exp_infs, params.size());
  const Steps counters(call.op, state_steps, params.size());
  std::vector<AdamaxStep> steps(params.size());
  for (size_t i = 0; i < steps.size(); ++i)
    steps[i] = {{weight_decay, maximize}, beta1, beta2, eps, lr / (1 - std::pow(beta1, counters.advance(i)))};
  update.run(steps, [](const auto& k) { return k.adamax; });
}

void rmsprop_step(const List& params, const List& grads, const List& square_avgs, const List& grad_avgs,
                  const List& momentum_buffers, const List& state_steps, double lr, double alpha, double eps,
                  double weight_decay, double momentum, bool maximize) {
  Call call("_rmsprop_step");
  Update update(call.op, params, grads, {&square_avgs, &grad_avgs, &momentum_buffers});
  check_count(call.op, "states", square_avgs, params.size());
  const Steps counters(call.op, state_steps, params.size());
  for (size_t i = 0; i < params.size(); ++i) counters.advance(i);
  update.run(std::vector<RmspropStep>(params.size(), {{weight_decay, maximize}, lr, alpha, eps, momentum}),
             [](const auto& k) { return k.rmsprop; });
}

void adagrad_step(const List& params, const List& grads, const List& state_sums, const List& state_steps, double lr,
                  double lr_decay, double eps, double weight_decay, bool maximize) {
  Call call("_adagrad_step");
  Update update(call.op, params, grads, {&state_sums});
  check_count(call.op, "states", state_sums, params.size());
  const Steps counters(call.op, state_steps, params.size());
  std::vector<AdagradStep> steps(params.size());
  for (size_t i = 0; i < steps.size(); ++i)
    steps[i] = {{weight_decay, maximize}, eps, lr / (1 + (counters.advance(i) - 1) * lr_decay)};
  update.run(steps, [](const auto& k) { return k.adagrad; });
}

void adadelta_step(const List& params, const List& grads, const List& square_avgs, const List& acc_deltas,
                   const List& state_steps, double lr, double rho, double eps, double weight_decay, bool maximize) {
  Call call("_adadelta_step");
  Update update(call.op, params, grads, {&square_avgs, &acc_deltas});
  check_count(call.op, "states", square_avgs, params.size());
  check_count(call.op, "states", acc_deltas, params.size());
  const Steps counters(call.op, state_steps, params.size());
  for (size_t i = 0; i < params.size(); ++i) counters.advance(i);
  update.run(std::vector<AdadeltaStep>(params.size(), {{weight_decay, maximize}, lr, rho, eps}),
             [](const auto& k) { return k.adadelta; });
}

// ---- clipping ------------------------------------------------------------------------------------------------------

// (sum |x|^p)^(1/p) over all elements of all tensors; max |x| for infinite p. Partial results of fixed pieces, added
// in order in double.
double total_norm_value(const List& tensors, double p) {
  constexpr int64_t kPiece = 32 * kUnit;
  double total = 0;
  for (const Tensor& t : tensors) {
    const Tensor x = cast(contiguous(t), compute_dtype(t.dtype()));
    if (x.numel() == 0) continue;
    visit_float(x.dtype(), [&]<class T>(type_tag<T>) {
      const auto& k = kernels<T>().reduce;
      const int64_t pieces = (x.numel() + kPiece - 1) / kPiece;
      std::vector<T> part(size_t(pieces), T(0));
      parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const T* const in = x.data<T>() + i * kPiece;
          const int64_t n = std::min(kPiece, x.numel() - i * kPiece);
          if (std::isinf(p))
            k.max_abs_inner(&part[size_t(i)], in, 1, n, n);
          else if (p == 2)
            k.sum_squares_inner(&part[size_t(i)], in, 1, n, n);
          else if (p == 1)
            k.sum_abs_inner(&part[size_t(i)], in, 1, n, n);
          else
            k.sum_pow_inner(&part[size_t(i)], in, 1, n, n, T(p));
        }
      });
      for (const T v : part)
        total = !std::isinf(p) ? total + double(v) : std::isnan(v) || v > total ? double(v) : total;
    });
  }
  return std::isinf(p) || p == 1 ? total : p == 2 ? std::sqrt(total) : std::pow(total, 1 / p);
}

Tensor total_norm(const List& tensors, double norm_type) {
  Call call("_total_norm");
  if (!(norm_type > 0)) fail<ValueError>(call.op, ": expected a positive norm_type, got ", norm_type);
  DType dtype = DType::Float32;
  for (const Tensor& t : tensors) {
    if (!is_floating(t.dtype())) fail<TypeError>(call.op, ": expected floating point tensors, got ", t);
    if (&t == &tensors[0] || t.dtype() == DType::Float64) dtype = t.dtype();
  }
  const double norm = total_norm_value(tensors, norm_type);
  const Tensor out = Tensor::empty({}, compute_dtype(dtype));
  visit_float(out.dtype(), [&]<class T>(type_tag<T>) { *out.data<T>() = T(norm); });
  return cast(out, dtype);
}

void scale_all(const List& tensors, double factor) {
  Call call("_scale_all_");
  Update update(call.op, tensors, tensors, {});
  update.run(std::vector<double>(tensors.size(), factor), [](const auto& k) { return k.scale; });
}

// ---- registration --------------------------------------------------------------------------------------------------

#define LISTS "(Tensor[] params, Tensor[] grads, "
const int kInternal = kFunction | kNoGrad;
const Operator ops[] = {
    {&sgd_step,
     "_sgd_step" LISTS "Tensor[] momentum_buffers, *, float lr, float momentum, float dampening, "
     "float weight_decay, bool nesterov, bool maximize, bool first) -> ()",
     kInternal, "One step of SGD, in place."},
    {&adam_step,
     "_adam_step" LISTS "Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] max_exp_avg_sqs, "
     "Tensor[] state_steps, *, float lr, float beta1, float beta2, float eps, float weight_decay, "
     "bool decoupled_weight_decay, bool maximize) -> ()",
     kInternal, "One step of Adam or AdamW, in place."},
    {&nadam_step,
     "_nadam_step" LISTS "Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] mu_products, "
     "Tensor[] state_steps, *, float lr, float beta1, float beta2, float eps, float weight_decay, "
     "float momentum_decay, bool decoupled_weight_decay, bool maximize) -> ()",
     kInternal, "One step of NAdam, in place."},
    {&radam_step,
     "_radam_step" LISTS "Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] state_steps, *, float lr, "
     "float beta1, float beta2, float eps, float weight_decay, bool decoupled_weight_decay, bool maximize) -> ()",
     kInternal, "One step of RAdam, in place."},
    {&adamax_step,
     "_adamax_step" LISTS "Tensor[] exp_avgs, Tensor[] exp_infs, Tensor[] state_steps, *, float lr, "
     "float beta1, float beta2, float eps, float weight_decay, bool maximize) -> ()",
     kInternal, "One step of Adamax, in place."},
    {&rmsprop_step,
     "_rmsprop_step" LISTS "Tensor[] square_avgs, Tensor[] grad_avgs, Tensor[] momentum_buffers, "
     "Tensor[] state_steps, *, float lr, float alpha, float eps, float weight_decay, float momentum, "
     "bool maximize) -> ()",
     kInternal, "One step of RMSprop, in place."},
    {&adagrad_step,
     "_adagrad_step" LISTS "Tensor[] state_sums, Tensor[] state_steps, *, float lr, float lr_decay, "
     "float eps, float weight_decay, bool maximize) -> ()",
     kInternal, "One step of Adagrad, in place."},
    {&adadelta_step,
     "_adadelta_step" LISTS "Tensor[] square_avgs, Tensor[] acc_deltas, Tensor[] state_steps, *, "
     "float lr, float rho, float eps, float weight_decay, bool maximize) -> ()",
     kInternal, "One step of Adadelta, in place."},
    {&total_norm, "_total_norm(Tensor[] tensors, float norm_type=2.0) -> Tensor", kInternal,
     "The norm of all elements of all tensors."},
    {&scale_all, "_scale_all_(Tensor[] tensors, float factor) -> ()", kInternal,
     "Multiplies all tensors by a number, in place."},
};
#undef LISTS

}  // namespace

}  // namespace pydl
