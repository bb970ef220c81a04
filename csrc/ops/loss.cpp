// Losses with kernels of their own: cross_entropy (log_softmax and the loss in one pass), nll_loss, and the errors that
// mse_loss, smooth_l1_loss and huber_loss reduce.
#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/index.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/shape.h"
#include "ops/softmax.h"
#include "ops/view.h"

namespace pydl {

namespace {

constexpr int64_t kGrain = 8192;

enum class Reduction { None, Mean, Sum };
Reduction parse_reduction(const char* op, std::string_view r) {
  if (r == "mean") return Reduction::Mean;
  if (r == "sum") return Reduction::Sum;
  if (r == "none") return Reduction::None;
  fail<ValueError>(op, ": expected reduction 'none', 'mean' or 'sum', got '", r, "'");
}

// Logits (C), (N, C) or (N, C, d...) as dense [batch, classes, inner]; the loss has `loss_sizes`.
struct Classes {
  Dims loss_sizes;
  int64_t batch = 1, classes, inner = 1;
  int64_t rows() const { return batch * inner; }
  Classes(const char* op, const Tensor& x) {
    if (x.dim() == 0) fail<ShapeError>(op, ": expected logits (C), (N, C) or (N, C, d...), got ", x);
    const int64_t axis = x.dim() == 1 ? 0 : 1;
    classes = x.size(axis);
    for (int64_t d = 0; d < x.dim(); ++d) {
      if (d == axis) continue;
      loss_sizes.push_back(x.size(d));
      (d < axis ? batch : inner) *= x.size(d);
    }
  }
};

// The same as rows of classes: a view where the classes are last already.
struct Rows : Classes {
  Tensor flat;  // [rows, classes]
  Rows(const char* op, const Tensor& x) : Classes(op, x) {
    flat = reshape(x.dim() > 2 ? movedim(x, Dims{1}, Dims{-1}) : x, Dims{rows(), classes});
  }
};

Tensor class_weights(const char* op, const Tensor& weight, const Classes& r, DType t) {
  if (!weight.defined()) return weight;
  if (weight.dim() != 1 || weight.numel() != r.classes) fail<ShapeError>(op, ": expected one weight for each of ", r.classes, " classes, got ", weight);
  return contiguous(cast(weight.alias(), t));
}

Tensor class_indices(const char* op, const Tensor& target, const Classes& r, int64_t ignore_index) {
  if (target.dtype() != DType::Int64 && target.dtype() != DType::UInt8)
    fail(op, ": expected int64 or uint8 class indices as the target, got ", target);
  if (!same(target.sizes(), r.loss_sizes)) fail<ShapeError>(op, ": expected a target of shape ", show(r.loss_sizes), ", got ", target);
  Tensor index = contiguous(cast(target.alias(), DType::Int64));
  if (index.storage()->shared) index = clone(index);  // a write from outside would go unnoticed before the backward pass
  const int64_t* at = index.data<int64_t>();
  for (int64_t i = 0; i < index.numel(); ++i)
    if ((at[i] < 0 || at[i] >= r.classes) && at[i] != ignore_index)
      fail<IndexError>(op, ": expected class indices in [0, ", r.classes - 1, "], got ", at[i]);
  return index;
}

// The reduced loss and, for a mean, what it was divided by.
struct Reduced {
  Tensor loss;
  double divisor = 1;
};
Reduced reduce(const Tensor& losses, Reduction reduction, double divisor, IntSpan sizes) {
  if (reduction == Reduction::None) return {reshape(losses, sizes), 1};
  const Tensor total = sum(losses);
  if (reduction == Reduction::Sum) return {total, 1};
  return {div(total, Operand(divisor), Out::inplace(total)), divisor};
}

template <class T> double add_up(const Tensor& x) {
  T total;
  kernels<T>().reduce.sum_inner(&total, x.data<T>(), 1, x.numel(), x.numel());
  return double(total);
}

}  // namespace

// The definition, in plain operations: what the fused kernels compute, and the route of second derivatives.
static Tensor cross_entropy_composite(const Tensor& flat, const Tensor& q, Reduction reduction, double divisor, IntSpan sizes) {
  const Tensor losses = neg(sum(mul(log_softmax(flat, 1), q), Dims{1}));
  if (reduction == Reduction::None) return reshape(losses, sizes);
  return reduction == Reduction::Sum ? sum(losses) : div(sum(losses), Operand(divisor));
}

// The target distribution of class indices as a [rows, classes] tensor.
static Tensor class_distribution(const Tensor& index, const Tensor& weight, int64_t rows, int64_t classes, int64_t ignore_index, double smoothing, DType t) {
  const Tensor flat = reshape(index, Dims{rows});
  const Tensor ignored = eq(flat, Operand(Scalar(ignore_index)));
  const Tensor safe = unsqueeze(where(ignored, Operand(Scalar(int64_t(0))), flat), 1);
  Tensor q = full(Dims{rows, classes}, Scalar(smoothing / double(classes)), t);
  scatter_add_(q, 1, safe, full(Dims{rows, 1}, Scalar(1 - smoothing), t));
  if (weight.defined()) q = mul(q, weight);
  return where(unsqueeze(ignored, 1), Operand(0), q);
}

static Tensor cross_entropy_indices(const Tensor& input, const Tensor& target, const Tensor& weight, Reduction reduction,
                                    int64_t ignore_index, double smoothing) {
  const Rows r("cross_entropy", input);
  const DType t = compute_dtype(input.dtype());
  const Tensor index = class_indices("cross_entropy", target, r, ignore_index), w = class_weights("cross_entropy", weight, r, t);
  const Tensor logits = contiguous(cast(r.flat.alias(), t));
  const Tensor losses = Tensor::empty(Dims{r.rows()}, t), row_weight = Tensor::empty(Dims{r.rows()}, t), lse = Tensor::empty(Dims{r.rows(), 2}, t);
  return visit_float(t, [&](auto tag) -> Tensor {
    using T = typename decltype(tag)::type;
    const ClassTarget<T> classes{index.data<int64_t>(), w.defined() ? w.data<T>() : nullptr, ignore_index, T(smoothing)};
    auto at = [classes](int64_t row) {
      ClassTarget<T> c = classes;
      c.index += row;
      return c;
    };
    parallel_for(r.rows(), std::max<int64_t>(1, kGrain / std::max<int64_t>(r.classes, 1)), [&](int64_t b, int64_t e) {
      kernels<T>().rowwise.cross_entropy(losses.data<T>() + b, row_weight.data<T>() + b, lse.data<T>() + 2 * b, logits.data<T>() + b * r.classes,
                                         at(b), e - b, r.classes, r.classes);
    });
    const double divisor = reduction == Reduction::Mean ? add_up<T>(row_weight) : 1;
    const Tensor loss = cast(reduce(losses, reduction, divisor, r.loss_sizes).loss, input.dtype());
    if (autograd::needed(input)) {
      autograd::record("CrossEntropyBackward", loss, {r.flat},
                       [=, sizes = r.loss_sizes, rows = r.rows(), cols = r.classes, flat = autograd::save(r.flat), index_saved = autograd::save(index)](const Tensor& g) {
        const Tensor x = flat, targets = index_saved;
        if (autograd::grad_enabled()) {
          const Tensor q = class_distribution(targets, w, rows, cols, ignore_index, smoothing, t);
          const Tensor p = softmax(x, 1);
          const Tensor gr = reduction == Reduction::None ? reshape(g, Dims{rows, 1}) : div(g, Operand(divisor));
          return mul(gr, sub(mul(p, sum(q, Dims{1}, true)), q));
        }
        const Tensor gd = contiguous(cast(g, t)), logits = contiguous(cast(x, t));
        const Tensor dx = Tensor::empty(Dims{rows, cols}, t);
        const int64_t step = reduction == Reduction::None;
        parallel_for(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(cols, 1)), [&](int64_t b, int64_t e) {
          kernels<T>().rowwise.cross_entropy_backward(dx.data<T>() + b * cols, lse.data<T>() + 2 * b, gd.data<T>() + b * step, step,
                                                      logits.data<T>() + b * cols, at(b), e - b, cols, cols, T(1 / divisor));
        });
        return cast(dx, x.dtype());
      });
    }
    return loss;
  });
}

static Tensor cross_entropy_probabilities(const Tensor& input, const Tensor& target, const Tensor& weight, Reduction reduction, double smoothing) {
  if (!same(input.sizes(), target.sizes()))
    fail<ShapeError>("cross_entropy: expected class probabilities of shape ", show(input.sizes()), ", got ", target);
  const Rows r("cross_entropy", input), q("cross_entropy", target);
  const Tensor w = class_weights("cross_entropy", weight, r, input.dtype());
  Tensor distribution = q.flat;
  if (smoothing > 0) distribution = add(mul(distribution, Operand(1 - smoothing)), Operand(smoothing / double(r.classes)));
  if (w.defined()) distribution = mul(distribution, w);
  return cross_entropy_composite(r.flat, distribution, reduction, double(r.rows()), r.loss_sizes);
}

Tensor cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight, std::string_view reduction,
                     int64_t ignore_index, double label_smoothing) {
  Call call("cross_entropy");
  if (!is_floating(input.dtype())) fail("cross_entropy: expected floating point logits, got ", input);
  if (label_smoothing < 0 || label_smoothing > 1) fail("cross_entropy: expected label_smoothing in [0, 1], got ", label_smoothing);
  const Reduction r = parse_reduction("cross_entropy", reduction);
  if (is_floating(target.dtype())) return cross_entropy_probabilities(input, target, weight, r, label_smoothing);
  return cross_entropy_indices(input, target, weight, r, ignore_index, label_smoothing);
}

Tensor nll_loss(const Tensor& input, const Tensor& target, const Tensor& weight, std::string_view reduction, int64_t ignore_index) {
  Call call("nll_loss");
  if (!is_floating(input.dtype())) fail("nll_loss: expected floating point log-probabilities, got ", input);
  const Reduction red = parse_reduction("nll_loss", reduction);
  const Classes c("nll_loss", input);
  const DType t = compute_dtype(input.dtype());
  const Tensor index = class_indices("nll_loss", target, c, ignore_index), w = class_weights("nll_loss", weight, c, t);
  const Tensor logp = contiguous(cast(input.alias(), t));
  const Tensor losses = Tensor::empty(Dims{c.rows()}, t), row_weight = Tensor::empty(Dims{c.rows()}, t);
  return visit_float(t, [&](auto tag) -> Tensor {
    using T = typename decltype(tag)::type;
    const auto classes = [ignore_index](const Tensor& at, const Tensor& weights) {
      return ClassTarget<T>{at.data<int64_t>(), weights.defined() ? weights.data<T>() : nullptr, ignore_index, T(0)};
    };
    parallel_for(c.rows(), kGrain, [&](int64_t b, int64_t e) {
      kernels<T>().rowwise.nll(losses.data<T>(), row_weight.data<T>(), logp.data<T>(), classes(index, w), b, e, c.classes, c.inner);
    });
    const double divisor = red == Reduction::Mean ? add_up<T>(row_weight) : 1;
    const Tensor loss = cast(reduce(losses, red, divisor, c.loss_sizes).loss, input.dtype());
    if (!autograd::needed(input)) return loss;
    autograd::record("NllLossBackward", loss, {input}, [=, saved = autograd::save(index), sizes = Dims(input.sizes()), dtype = input.dtype()](const Tensor& g) -> Tensor {
      const Tensor targets = saved;
      if (autograd::grad_enabled()) {
        const Dims one_class{c.batch, 1, c.inner};
        const Tensor safe = where(eq(targets, Operand(Scalar(ignore_index))), Operand(Scalar(int64_t(0))), targets);
        const Tensor scaled = div(neg(row_weight), Operand(divisor));
        const Tensor share = mul(red == Reduction::None ? reshape(g, one_class) : g, reshape(scaled, one_class));
        const Tensor dx = zeros(Dims{c.batch, c.classes, c.inner}, t);
        return cast(reshape(scatter_add_(dx, 1, reshape(safe, one_class), cast(share, t)), sizes), dtype);
      }
      const Tensor gd = contiguous(cast(g, t)), dx = zeros(sizes, t);
      const int64_t step = red == Reduction::None;
      parallel_for(c.rows(), kGrain, [&](int64_t b, int64_t e) {
        kernels<T>().rowwise.nll_backward(dx.data<T>(), gd.data<T>(), step, classes(targets, w), b, e, c.classes, c.inner, T(1 / divisor));
      });
      return cast(dx, dtype);
    });
    return loss;
  });
}

// Losses element by element: the reduction is Python's.
static Tensor squared_errors(const Tensor& x, const Tensor& target) {
  if (x.dtype() == DType::Bool && target.dtype() == DType::Bool) fail("mse_loss: expected numbers, got bool tensors");
  return squared_error(x, target);
}
static Tensor huber_errors(const Tensor& x, const Tensor& target, double limit, double scale) {
  return huber(x, target, Scalar(limit), Scalar(scale));
}

namespace {

const Operator ops[] = {
    {&cross_entropy, "cross_entropy(Tensor input, Tensor target, Tensor? weight=None, str reduction='mean', "
     "int ignore_index=-100, float label_smoothing=0.0) -> Tensor", kNN,
     "Cross entropy of logits (N, C, ...) against class indices (N, ...) or probabilities of the logits' shape.\n"
     ">>> logits = pydl.tensor([[2.0, 0.0], [2.0, 0.0]])\n"
     ">>> pydl.nn.functional.cross_entropy(logits, pydl.tensor([0, 1]), reduction='none')\ntensor([0.1269, 2.1269])"},
    {&nll_loss, "nll_loss(Tensor input, Tensor target, Tensor? weight=None, str reduction='mean', "
     "int ignore_index=-100) -> Tensor", kNN,
     "Minus the log-probability (N, C, ...) of the target class (N, ...), weighted by class.\n"
     ">>> pydl.nn.functional.nll_loss(pydl.tensor([[-1.0, -2.0], [-3.0, -4.0]]), pydl.tensor([0, 1]))\ntensor(2.5000)"},
    {&squared_errors, "_squared_error(Tensor input, Tensor target) -> Tensor", kNN, "(x - t)^2 of each element."},
    {&huber_errors, "_huber(Tensor input, Tensor target, float limit, float scale=1.0) -> Tensor", kNN,
     "scale * c * (d - c / 2) with d = |x - t| and c = min(d, limit), of each element (Huber 1964)."},
};

}  // namespace

}  // namespace pydl
