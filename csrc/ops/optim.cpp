// Optimizer steps over lists of parameters: one call, one parallel pass over all elements of all parameters, no
// history. The Python classes of pydl.optim own the hyper-parameters, the states and the step counts; the formulas are
// in kernels/optim.cpp. A row-sparse gradient updates the rows that it holds; the others keep their states too.
#include <cmath>

#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/pointwise.h"
#include "ops/promote.h"
#include "ops/registry.h"
#include "ops/sparse.h"

namespace pydl {

namespace {

using List = std::vector<Tensor>;

// Threads share the elements of all tensors in units of this many; each takes a contiguous run of units.
constexpr int64_t kUnit = 1024;
constexpr int64_t kGrainUnits = 8;

void check_count(const char* op, const char* what, size_t given, size_t count) {
  if (given != count) fail<ValueError>(op, ": expected ", count, " ", what, ", one a parameter, got ", given);
}

// Do row-sparse gradients have a meaning for the optimizer?
enum class Sparse : bool { Refused, Taken };

// The parameters of one step with their gradients and states, checked. An optional state is an empty list.
class Update {
 public:
  Update(const char* op, const List& params, const List& grads, std::initializer_list<const List*> states,
         std::initializer_list<const List*> optional_states = {}, Sparse sparse = Sparse::Refused)
      : params_(params), grads_(grads) {
    check_count(op, "gradients", grads.size(), params.size());
    for (const List* s : states) {
      check_count(op, "states", s->size(), params.size());
      states_.push_back(s);
    }
    for (const List* s : optional_states) {
      if (!s->empty()) check_count(op, "states", s->size(), params.size());
      states_.push_back(s);
    }
    for (size_t i = 0; i < params.size(); ++i) {
      if (!is_floating(params[i].dtype())) fail<TypeError>(op, ": expected floating point parameters, got ", params[i]);
      check_twin(op, params[i], grads[i]);
      if (grads[i].is_sparse() && sparse == Sparse::Refused)
        fail(op, ": expected dense gradients, got a row-sparse ", grads[i], "; it does not support sparse gradients");
      check_written(op, params[i]);
      for (const List* s : states_) {
        if (s->empty()) continue;
        check_twin(op, params[i], (*s)[i]);
        check_written(op, (*s)[i]);
      }
    }
  }

  // Runs `kernel(table)`, of the table of every parameter's dtype, with that parameter's step.
  template <class Step, class Kernel>
  void run(const std::vector<Step>& steps, const Kernel& kernel) {
    run_dtype<float>(steps, kernel);
    run_dtype<double>(steps, kernel);
    for (const auto& [original, copy] : copies_) copy_values(original, copy);
    for (size_t i = 0; i < params_.size(); ++i) {
      params_[i].bump_version();
      for (const List* s : states_)
        if (!s->empty()) (*s)[i].bump_version();
    }
  }

 private:
  static void check_twin(const char* op, const Tensor& param, const Tensor& t) {
    if (!same(param.sizes(), t.sizes()))
      fail<ShapeError>(op, ": expected a gradient and states like the parameter's ", param, ", got ", t);
    if (param.dtype() != t.dtype())
      fail<TypeError>(op, ": expected a gradient and states of ", param.dtype(), ", got ", t);
  }
  static void check_written(const char* op, const Tensor& t) {
    check_writable(op, t);
    if (!t.is_contiguous() && t.may_self_overlap())
      fail(op, ": expected elements with memory of their own, got an expanded tensor ", t);
  }

  // Dense memory of the dtype that kernels compute in. Tensors normally are that already; half precision and odd
  // strides work on a copy, which `run` writes back.
  template <class T>
  const T* read(const Tensor& t) {
    if (t.dtype() == dtype_of<T> && t.is_contiguous()) return t.data<T>();
    inputs_.push_back(cast(contiguous(t), dtype_of<T>));
    return inputs_.back().data<T>();
  }
  template <class T>
  T* write(const Tensor& t) {
    if (t.dtype() == dtype_of<T> && t.is_contiguous()) return t.data<T>();
    copies_.emplace_back(t, cast(contiguous(t), dtype_of<T>));
    return copies_.back().second.data<T>();
  }

  template <class T, class Step, class Kernel>
  void run_dtype(const std::vector<Step>& steps, const Kernel& kernel) {
    std::vector<ParamSlice<T>> slices;
    std::vector<const Step*> slice_steps;
    std::vector<int64_t> first_unit{0};
    slices.reserve(params_.size());
    slice_steps.reserve(params_.size());
    first_unit.reserve(params_.size() + 1);
    for (size_t i = 0; i < params_.size(); ++i) {
      if (compute_dtype(params_[i].dtype()) != dtype_of<T>) continue;
      const bool sparse = grads_[i].is_sparse();
      ParamSlice<T> s{write<T>(params_[i]), sparse ? nullptr : read<T>(grads_[i]), {}, params_[i].numel()};
      for (size_t k = 0; k < states_.size(); ++k)
        if (!states_[k]->empty()) s.state[k] = write<T>((*states_[k])[i]);
      if (sparse) {
        run_rows(s, grads_[i], steps[i], kernel(kernels<T>().optim));
        continue;
      }
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

  // The rows of one parameter that its gradient holds.
  template <class T, class Step, class Function>
  void run_rows(const ParamSlice<T>& whole, const Tensor& grad, const Step& step, const Function& function) {
    constexpr int64_t kAhead = 4;  // rows fetched ahead: each is somewhere else
    const Tensor once = coalesce(grad);
    const Tensor values = cast(once.sparse().values, dtype_of<T>);
    const int64_t* const rows = once.sparse().indices.template data<int64_t>();
    const int64_t n = once.sparse().indices.numel(), cols = n ? values.numel() / n : 0;
    auto row_of = [&](T* array, int64_t i) { return array ? array + rows[i] * cols : nullptr; };
    auto fetch = [bytes = std::min<int64_t>(cols * int64_t(sizeof(T)), 1024)](const T* row) {
      for (int64_t b = 0; row && b < bytes; b += 64) __builtin_prefetch(reinterpret_cast<const char*>(row) + b, 1);
    };
    parallel_for(n, std::max<int64_t>(1, kUnit * kGrainUnits / std::max<int64_t>(cols, 1)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     if (i + kAhead < end) {
                       fetch(row_of(whole.param, i + kAhead));
                       for (T* state : whole.state) fetch(row_of(state, i + kAhead));
                     }
                     ParamSlice<T> row{row_of(whole.param, i), values.template data<T>() + i * cols, {}, cols};
                     for (int k = 0; k < 3; ++k) row.state[k] = row_of(whole.state[k], i);
                     function(row, step);
                   }
                 });
  }

  const List &params_, &grads_;
  SmallVector<const List*, 3> states_;
  List inputs_;
  std::vector<std::pair<Tensor, Tensor>> copies_;  // what was given, what the kernels worked on
};

// make(step count) for every parameter; once for a run of parameters with the same count.
template <class Make>
auto for_steps(const char* op, IntSpan counts, size_t params, const Make& make) {
  check_count(op, "step counts", counts.size(), params);
  std::vector<decltype(make(1.0))> steps;
  steps.reserve(params);
  for (size_t i = 0; i < params; ++i)
    steps.push_back(i > 0 && counts[i] == counts[i - 1] ? steps.back() : make(double(counts[i])));
  return steps;
}

// Weight decay is part of the gradient (coupled), or a factor on the parameter (decoupled).
double coupled(double weight_decay, bool decoupled) { return decoupled ? 0 : weight_decay; }
double decay_factor(double lr, double weight_decay, bool decoupled) { return decoupled ? 1 - lr * weight_decay : 1; }

// ---- the optimizers ------------------------------------------------------------------------------------------------

bool has_sparse(const List& grads) {
  return std::any_of(grads.begin(), grads.end(), [](const Tensor& g) { return g.is_sparse(); });
}
[[noreturn]] void fail_weight_decay(const char* op) {
  fail(op, ": expected weight_decay=0, which is not compatible with sparse gradients, got another");
}

// The momentum of row-sparse gradients holds all rows that ever had one, and all of these move. A dense momentum makes
// such a gradient dense.
void sgd_with_sparse_momentum(const char* op, const List& params, const List& grads, const List& buffers,
                              const SgdStep& step) {
  const Update checked(op, params, grads, {}, {&buffers}, Sparse::Taken);
  List dense_params, dense_grads, dense_buffers, moved, moves;
  for (size_t i = 0; i < params.size(); ++i) {
    const Tensor &grad = grads[i], &buffer = buffers[i];
    if (!buffer.is_sparse()) {
      dense_params.push_back(params[i]);
      dense_grads.push_back(to_dense(grad));
      dense_buffers.push_back(buffer);
      continue;
    }
    if (!grad.is_sparse()) fail(op, ": expected sparse gradients where the momentum is sparse, got a dense ", grad);
    const Tensor g = step.maximize ? neg(grad) : grad;
    const Tensor momentum = coalesce(add(mul(buffer, Operand(step.momentum)), mul(g, Operand(1 - step.dampening))));
    replace_rows(buffer, momentum.sparse());
    moved.push_back(params[i]);
    moves.push_back(step.nesterov ? add(g, mul(momentum, Operand(step.momentum))) : momentum);
  }
  Update dense(op, dense_params, dense_grads, {}, {&dense_buffers}), sparse(op, moved, moves, {}, {}, Sparse::Taken);
  const auto kernel = [](const auto& k) { return k.sgd; };
  dense.run(std::vector<SgdStep>(dense_params.size(), step), kernel);
  sparse.run(std::vector<SgdStep>(moved.size(), {{0, false}, step.lr, 0, 0, false}), kernel);
}

void sgd(const List& params, const List& grads, const List& momentum_buffers, double lr, double momentum,
         double dampening, double weight_decay, bool nesterov, bool maximize) {
  Call call("optim.sgd");
  if (momentum != 0) check_count(call.op, "momentum buffers", momentum_buffers.size(), params.size());
  const bool sparse = has_sparse(grads);
  if (sparse && weight_decay != 0) fail_weight_decay(call.op);
  const SgdStep step{{weight_decay, maximize}, lr, momentum, dampening, nesterov};
  if (sparse && momentum != 0) return sgd_with_sparse_momentum(call.op, params, grads, momentum_buffers, step);
  Update update(call.op, params, grads, {}, {&momentum_buffers}, Sparse::Taken);
  update.run(std::vector<SgdStep>(params.size(), step), [](const auto& k) { return k.sgd; });
}

void adam(const List& params, const List& grads, const List& exp_avgs, const List& exp_avg_sqs,
          const List& max_exp_avg_sqs, IntSpan steps, double lr, double beta1, double beta2, double eps,
          double weight_decay, bool decoupled, bool maximize) {
  Call call("optim.adam");
  Update update(call.op, params, grads, {&exp_avgs, &exp_avg_sqs}, {&max_exp_avg_sqs});
  update.run(for_steps(call.op, steps, params.size(),
                       [&](double t) {
                         return AdamStep{{coupled(weight_decay, decoupled), maximize},
                                         beta1,
                                         beta2,
                                         eps,
                                         lr / (1 - std::pow(beta1, t)),
                                         std::sqrt(1 - std::pow(beta2, t)),
                                         decay_factor(lr, weight_decay, decoupled)};
                       }),
             [](const auto& k) { return k.adam; });
}

// Adam on touched rows, in PyTorch's form: eps is added before the second moment is unbiased.
void sparse_adam(const List& params, const List& grads, const List& exp_avgs, const List& exp_avg_sqs, IntSpan steps,
                 double lr, double beta1, double beta2, double eps, bool maximize) {
  Call call("optim.sparse_adam");
  for (const Tensor& g : grads)
    if (!g.is_sparse()) fail(call.op, ": expected sparse gradients, got a dense ", g, "; Adam takes those");
  Update update(call.op, params, grads, {&exp_avgs, &exp_avg_sqs}, {}, Sparse::Taken);
  update.run(for_steps(call.op, steps, params.size(),
                       [&](double t) {
                         const double size = lr * std::sqrt(1 - std::pow(beta2, t)) / (1 - std::pow(beta1, t));
                         return AdamStep{{0, maximize}, beta1, beta2, eps, size, 1, 1};
                       }),
             [](const auto& k) { return k.adam; });
}

void nadam(const List& params, const List& grads, const List& exp_avgs, const List& exp_avg_sqs,
           const Tensor& mu_products, IntSpan steps, double lr, double beta1, double beta2, double eps,
           double weight_decay, double momentum_decay, bool decoupled, bool maximize) {
  Call call("optim.nadam");
  Update update(call.op, params, grads, {&exp_avgs, &exp_avg_sqs});
  if (mu_products.dtype() != DType::Float64 || !mu_products.is_contiguous())
    fail<TypeError>(call.op, ": expected mu_products as a contiguous float64 vector, got ", mu_products);
  check_count(call.op, "mu_products", size_t(mu_products.numel()), params.size());
  check_count(call.op, "step counts", steps.size(), params.size());
  std::vector<NadamStep> each(params.size());
  for (size_t i = 0; i < each.size(); ++i) {
    const double t = double(steps[i]), product = mu_products.data<double>()[i];
    auto mu = [&](double s) { return beta1 * (1 - 0.5 * std::pow(0.96, s * momentum_decay)); };
    each[i] = {{coupled(weight_decay, decoupled), maximize},
               beta1,
               beta2,
               eps,
               lr * (1 - mu(t)) / (1 - product),
               lr * mu(t + 1) / (1 - product * mu(t + 1)),
               1 - std::pow(beta2, t),
               decay_factor(lr, weight_decay, decoupled)};
  }
  update.run(each, [](const auto& k) { return k.nadam; });
}

void radam(const List& params, const List& grads, const List& exp_avgs, const List& exp_avg_sqs, IntSpan steps,
           double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled, bool maximize) {
  Call call("optim.radam");
  Update update(call.op, params, grads, {&exp_avgs, &exp_avg_sqs});
  const double rho_inf = 2 / (1 - beta2) - 1;
  update.run(for_steps(call.op, steps, params.size(),
                       [&](double t) {
                         const double beta2_t = std::pow(beta2, t);
                         const double rho = rho_inf - 2 * t * beta2_t / (1 - beta2_t);
                         const bool rectified = rho > 5;
                         double size = lr / (1 - std::pow(beta1, t));
                         if (rectified)
                           size *= std::sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) *
                                   std::sqrt(1 - beta2_t);
                         return RadamStep{
                             {coupled(weight_decay, decoupled), maximize}, beta1, beta2, eps, size, rectified,
                             decay_factor(lr, weight_decay, decoupled)};
                       }),
             [](const auto& k) { return k.radam; });
}

void adamax(const List& params, const List& grads, const List& exp_avgs, const List& exp_infs, IntSpan steps, double lr,
            double beta1, double beta2, double eps, double weight_decay, bool maximize) {
  Call call("optim.adamax");
  Update update(call.op, params, grads, {&exp_avgs, &exp_infs});
  update.run(for_steps(call.op, steps, params.size(),
                       [&](double t) {
                         return AdamaxStep{{weight_decay, maximize}, beta1, beta2, eps, lr / (1 - std::pow(beta1, t))};
                       }),
             [](const auto& k) { return k.adamax; });
}

void rmsprop(const List& params, const List& grads, const List& square_avgs, const List& grad_avgs,
             const List& momentum_buffers, double lr, double alpha, double eps, double weight_decay, double momentum,
             bool maximize) {
  Call call("optim.rmsprop");
  Update update(call.op, params, grads, {&square_avgs}, {&grad_avgs, &momentum_buffers});
  update.run(std::vector<RmspropStep>(params.size(), {{weight_decay, maximize}, lr, alpha, eps, momentum}),
             [](const auto& k) { return k.rmsprop; });
}

void adagrad(const List& params, const List& grads, const List& state_sums, IntSpan steps, double lr, double lr_decay,
             double eps, double weight_decay, bool maximize) {
  Call call("optim.adagrad");
  if (weight_decay != 0 && has_sparse(grads)) fail_weight_decay(call.op);
  Update update(call.op, params, grads, {&state_sums}, {}, Sparse::Taken);
  update.run(for_steps(call.op, steps, params.size(),
                       [&](double t) {
                         return AdagradStep{{weight_decay, maximize}, eps, lr / (1 + (t - 1) * lr_decay)};
                       }),
             [](const auto& k) { return k.adagrad; });
}

void adadelta(const List& params, const List& grads, const List& square_avgs, const List& acc_deltas, double lr,
              double rho, double eps, double weight_decay, bool maximize) {
  Call call("optim.adadelta");
  Update update(call.op, params, grads, {&square_avgs, &acc_deltas});
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
    const Tensor elements = t.is_sparse() ? coalesce(t).sparse().values : t;
    const Tensor x = cast(contiguous(elements), compute_dtype(t.dtype()));
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
  Call call("optim.total_norm");
  if (!(norm_type > 0)) fail<ValueError>(call.op, ": expected a positive norm_type, got ", norm_type);
  if (tensors.empty()) fail<ValueError>(call.op, ": expected at least one tensor, got none");
  DType dtype = tensors[0].dtype();
  for (const Tensor& t : tensors) {
    if (!is_floating(t.dtype())) fail<TypeError>(call.op, ": expected floating point tensors, got ", t);
    dtype = promote(dtype, t.dtype());
  }
  const double norm = total_norm_value(tensors, norm_type);
  const Tensor out = Tensor::empty({}, compute_dtype(dtype));
  visit_float(out.dtype(), [&]<class T>(type_tag<T>) { *out.data<T>() = T(norm); });
  return cast(out, dtype);
}

void scale_all(const List& tensors, double factor) {
  Call call("optim.scale_all_");
  if (factor == 1) return;
  List dense;
  for (const Tensor& t : tensors) {
    if (t.is_sparse())
      mul(t, Operand(factor), Out::inplace(t));
    else
      dense.push_back(t);
  }
  Update update(call.op, dense, dense, {});
  update.run(std::vector<double>(dense.size(), factor), [](const auto& k) { return k.scale; });
}

// ---- registration --------------------------------------------------------------------------------------------------

#define LISTS "(Tensor[] params, Tensor[] grads, "
const int kInPlace = kFunction | kNoGrad;
const Operator ops[] = {
    {&sgd,
     "optim.sgd" LISTS "Tensor[] momentum_buffers, *, float lr, float momentum, float dampening, float weight_decay, "
     "bool nesterov, bool maximize) -> ()",
     kInPlace, "One step of SGD."},
    {&adam,
     "optim.adam" LISTS "Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] max_exp_avg_sqs, int[] steps, *, float lr, "
     "float beta1, float beta2, float eps, float weight_decay, bool decoupled, bool maximize) -> ()",
     kInPlace, "One step of Adam or AdamW; with max_exp_avg_sqs, of AMSGrad. steps counts from 1, this step included."},
    {&sparse_adam,
     "optim.sparse_adam" LISTS "Tensor[] exp_avgs, Tensor[] exp_avg_sqs, int[] steps, *, float lr, float beta1, "
     "float beta2, float eps, bool maximize) -> ()",
     kInPlace, "One step of Adam on the rows that row-sparse gradients hold."},
    {&nadam,
     "optim.nadam" LISTS "Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor mu_products, int[] steps, *, float lr, "
     "float beta1, float beta2, float eps, float weight_decay, float momentum_decay, bool decoupled, "
     "bool maximize) -> ()",
     kInPlace, "One step of NAdam. steps and mu_products include this step."},
    {&radam,
     "optim.radam" LISTS "Tensor[] exp_avgs, Tensor[] exp_avg_sqs, int[] steps, *, float lr, float beta1, "
     "float beta2, float eps, float weight_decay, bool decoupled, bool maximize) -> ()",
     kInPlace, "One step of RAdam."},
    {&adamax,
     "optim.adamax" LISTS "Tensor[] exp_avgs, Tensor[] exp_infs, int[] steps, *, float lr, float beta1, float beta2, "
     "float eps, float weight_decay, bool maximize) -> ()",
     kInPlace, "One step of Adamax."},
    {&rmsprop,
     "optim.rmsprop" LISTS "Tensor[] square_avgs, Tensor[] grad_avgs, Tensor[] momentum_buffers, *, float lr, "
     "float alpha, float eps, float weight_decay, float momentum, bool maximize) -> ()",
     kInPlace, "One step of RMSprop, centered where there are grad_avgs."},
    {&adagrad,
     "optim.adagrad" LISTS "Tensor[] state_sums, int[] steps, *, float lr, float lr_decay, float eps, "
     "float weight_decay, bool maximize) -> ()",
     kInPlace, "One step of Adagrad."},
    {&adadelta,
     "optim.adadelta" LISTS "Tensor[] square_avgs, Tensor[] acc_deltas, *, float lr, float rho, float eps, "
     "float weight_decay, bool maximize) -> ()",
     kInPlace, "One step of Adadelta."},
    {&total_norm, "optim.total_norm(Tensor[] tensors, float norm_type=2.0) -> Tensor", kFunction | kNoGrad,
     "The norm of all elements of all tensors."},
    {&scale_all, "optim.scale_all_(Tensor[] tensors, float factor) -> ()", kInPlace, "Multiplies all tensors."},
};
#undef LISTS

}  // namespace

}  // namespace pydl
