// The loss of connectionist temporal classification (Graves et al. 2006), one sequence a thread.
#include <cmath>
#include <limits>

#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/index.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "ops/workspace.h"

namespace pydl {

namespace {

constexpr const char* kOp = "ctc_loss";

// Lengths as int64 [batch] in [0, most].
Tensor checked_lengths(const char* what, const Tensor& lengths, int64_t batch, int64_t most) {
  if (!is_integral(lengths.dtype()) || lengths.dtype() == DType::Bool)
    fail<TypeError>(kOp, ": expected integers as ", what, ", got ", lengths);
  if (lengths.numel() != batch)
    fail<ShapeError>(kOp, ": expected ", batch, " ", what, ", one a sequence, got ", lengths);
  const Tensor dense = reshape(contiguous(cast(lengths.alias(), DType::Int64)), Dims{batch});
  for (int64_t b = 0; b < batch; ++b)
    if (const int64_t n = dense.data<int64_t>()[b]; n < 0 || n > most)
      fail<ShapeError>(kOp, ": expected ", what, " in [0, ", most, "], got ", n, " for sequence ", b);
  return dense;
}

// The sequences of a batch: where each has its target, its states and its rows of alpha.
struct Sequences {
  int64_t frames, batch, classes;
  Tensor input_lengths, target_lengths;
  Tensor labels;                      // int64: all states of all sequences, and their margins
  std::vector<int64_t> state, alpha;  // [batch + 1]: where those of a sequence begin

  int64_t input_length(int64_t b) const { return input_lengths.data<int64_t>()[b]; }
  int64_t target_length(int64_t b) const { return target_lengths.data<int64_t>()[b]; }
  int64_t states(int64_t b) const { return 2 * target_length(b) + 1; }

  Sequences(const Tensor& log_probs, const Tensor& targets, const Tensor& inputs, const Tensor& lengths, int64_t blank)
      : frames(log_probs.size(0)), batch(log_probs.size(1)), classes(log_probs.size(2)) {
    if (blank < 0 || blank >= classes) fail<ValueError>(kOp, ": expected blank in [0, ", classes - 1, "], got ", blank);
    if (targets.dtype() != DType::Int64 && targets.dtype() != DType::Int32)
      fail<TypeError>(kOp, ": expected int64 or int32 targets, got ", targets);
    const bool padded = targets.dim() == 2;
    if (!padded && targets.dim() != 1)
      fail<ShapeError>(kOp, ": expected targets (batch, length) or (sum of lengths), got ", targets);
    if (padded && targets.size(0) != batch)
      fail<ShapeError>(kOp, ": expected targets of ", batch, " sequences, got ", targets);
    input_lengths = checked_lengths("input_lengths", inputs, batch, frames);
    target_lengths = checked_lengths("target_lengths", lengths, batch, padded ? targets.size(1) : targets.numel());
    state = alpha = {0};
    int64_t total = 0;
    for (int64_t b = 0; b < batch; ++b) {
      total += target_length(b);
      state.push_back(state.back() + states(b) + kCtcMargin);
      alpha.push_back(alpha.back() + input_length(b) * (states(b) + kCtcMargin));
    }
    if (!padded && total != targets.numel())
      fail<ShapeError>(kOp, ": expected ", total, " targets, the sum of target_lengths, got ", targets);
    const Tensor given = contiguous(cast(targets.alias(), DType::Int64));
    labels = full(Dims{state.back()}, Scalar(blank), DType::Int64);
    const int64_t* at = given.data<int64_t>();
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t* const own = padded ? at + b * targets.size(1) : at;
      for (int64_t i = 0; i < target_length(b); ++i) {
        if (own[i] < 0 || own[i] >= classes || own[i] == blank)
          fail<IndexError>(kOp, ": expected targets in [0, ", classes - 1, "] other than the blank ", blank, ", got ",
                           own[i], " in sequence ", b);
        labels.data<int64_t>()[state[size_t(b)] + 2 * i + 1] = own[i];
      }
      if (!padded) at += target_length(b);
    }
  }

  // kernels' view of sequence b; `skip` has room for the states and their margin.
  template <class T>
  CtcPath<T> path(int64_t b, T* skip) const {
    const int64_t* const label = labels.data<int64_t>() + state[size_t(b)];
    const int64_t n = states(b);
    constexpr T kNever = -std::numeric_limits<T>::infinity();
    for (int64_t s = 0; s < n + kCtcMargin; ++s)
      skip[s] = s % 2 && s > 1 && s < n && label[s] != label[s - 2] ? T(0) : kNever;
    return {label, skip, n};
  }
};

// f(sequence), one thread a sequence.
template <class F>
void for_sequences(const Sequences& q, F&& f) {
  parallel_for(q.batch, q.frames * q.classes * q.batch < 4096 ? q.batch : 1, [&](int64_t b, int64_t e) {
    for (; b < e; ++b) f(b);
  });
}

// The gradient where `scale` [batch] is that of each loss. A sequence without a likelihood has the gradient NaN, or 0
// with zero_infinity.
Tensor gradient(const Tensor& log_probs, const Tensor& alpha, const Tensor& losses, const Tensor& scale,
                const Sequences& q, bool zero_infinity) {
  const Tensor grad = zeros(log_probs.sizes(), log_probs.dtype());
  visit_float(log_probs.dtype(), [&]<class T>(type_tag<T>) {
    for_sequences(q, [&](int64_t b) {
      const T loss = losses.data<T>()[b];
      const int64_t frames = q.input_length(b), width = q.states(b) + kCtcMargin, step = q.batch * q.classes;
      if (frames == 0 || (zero_infinity && std::isinf(loss))) return;
      const Workspace<T> skip(width), work(3 * width);
      kernels<T>().ctc.backward(grad.data<T>() + b * q.classes, work.data(), alpha.data<T>() + q.alpha[size_t(b)],
                                log_probs.data<T>() + b * q.classes, step, q.path(b, skip.data()), frames, q.classes,
                                -loss, scale.data<T>()[b]);
    });
  });
  return grad;
}

Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                const Tensor& target_lengths, int64_t blank, std::string_view reduction, bool zero_infinity) {
  Call call(kOp);
  if (!is_floating(log_probs.dtype())) fail<TypeError>(kOp, ": expected floating point log_probs, got ", log_probs);
  if (log_probs.dim() != 3) fail<ShapeError>(kOp, ": expected log_probs (frames, batch, classes), got ", log_probs);
  if (reduction != "none" && reduction != "mean" && reduction != "sum")
    fail<ValueError>(kOp, ": expected reduction 'none', 'mean' or 'sum', got '", reduction, "'");
  const Sequences q(log_probs, targets, input_lengths, target_lengths, blank);
  const DType t = compute_dtype(log_probs.dtype());
  const Tensor x = contiguous(cast(log_probs.alias(), t));
  const Tensor alpha = Tensor::empty(Dims{q.alpha.back()}, t), losses = Tensor::empty(Dims{q.batch}, t);
  visit_float(t, [&]<class T>(type_tag<T>) {
    for_sequences(q, [&](int64_t b) {
      const int64_t frames = q.input_length(b), width = q.states(b) + kCtcMargin;
      const Workspace<T> skip(width), work(width);
      // No frame at all can only spell nothing.
      losses.data<T>()[b] = frames == 0 ? (q.target_length(b) ? std::numeric_limits<T>::infinity() : T(0))
                                        : -kernels<T>().ctc.forward(alpha.data<T>() + q.alpha[size_t(b)], work.data(),
                                                                    x.data<T>() + b * q.classes, q.batch * q.classes,
                                                                    q.path(b, skip.data()), frames);
    });
  });
  const Tensor shown = zero_infinity ? masked_fill(losses, isinf(losses), Operand(0)) : losses;
  const bool mean = reduction == "mean";
  // The share of each loss in the mean, which is over sequences and, in each, over its target.
  const Tensor lengths = cast(clamp_min(q.target_lengths, Operand(1)), t);
  const Tensor share = mean ? div(Operand(1.0 / double(q.batch)), lengths) : ones(Dims{q.batch}, t);
  const Tensor y = cast(reduction == "none" ? shown : sum(mul(shown, share)), log_probs.dtype());
  if (autograd::needed(log_probs))
    autograd::record("CtcLossBackward", y, {log_probs}, [=, input = autograd::save(log_probs)](const Tensor& g) {
      const Tensor log_probs = input;
      Tensor dx;
      {
        autograd::GradGuard off(false);
        const Tensor scale = contiguous(mul(cast(g, t), share));
        dx = cast(gradient(contiguous(cast(log_probs, t)), alpha, losses, scale, q, zero_infinity), log_probs.dtype());
      }
      if (autograd::needed(log_probs, g))
        autograd::record("CtcLossBackwardBackward", dx, {log_probs, g}, [](const Tensor&) -> Tensors {
          fail<NotImplementedError>(kOp, ": expected a first derivative, got a request for the second, which it lacks");
        });
      return dx;
    });
  return y;
}

const Operator ops[] = {
    {&ctc_loss,
     "ctc_loss(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor target_lengths, int blank=0, str "
     "reduction='mean', "
     "bool zero_infinity=False) -> Tensor",
     kNN, "Minus the log-probability of the targets under all alignments with log_probs (frames, batch, classes)."},
};

}  // namespace

}  // namespace pydl
