// Optimizer steps: each updates a parameter and its states in one pass. optim.inc lists the kernels; the structs here
// hold what a step needs, with everything that depends on the step number worked out beforehand in double.
// Formulas are those of torch.optim (`_single_tensor_*`), with sign conventions of minimisation.
#pragma once
#include <cstdint>

namespace pydl {

// n contiguous elements of a parameter, of its gradient and of its states. States an algorithm lacks are null.
template <class T>
struct ParamSlice {
  T* param;
  const T* grad;
  T* state[3];
  int64_t n;

  ParamSlice piece(int64_t begin, int64_t count) const {
    auto at = [begin](auto* p) { return p ? p + begin : p; };
    return {param + begin, grad + begin, {at(state[0]), at(state[1]), at(state[2])}, count};
  }
};

struct GradientRule {
  double weight_decay = 0;  // adds weight_decay * param to the gradient
  bool maximize = false;
};
struct SgdStep : GradientRule {  // state: momentum buffer
  double lr, momentum, dampening;
  bool nesterov;
};
struct AdamStep : GradientRule {  // state: exp_avg, exp_avg_sq, max_exp_avg_sq (amsgrad, else null)
  double beta1, beta2, eps;
  double step_size;   // lr / (1 - beta1^t)
  double bias2_sqrt;  // sqrt(1 - beta2^t)
  double decay = 1;   // 1 - lr * weight_decay when decoupled
};
struct NadamStep : GradientRule {  // state: exp_avg, exp_avg_sq
  double beta1, beta2, eps;
  double grad_size;      // lr (1 - mu_t) / (1 - mu_1 ... mu_t)
  double momentum_size;  // lr mu_(t+1) / (1 - mu_1 ... mu_(t+1))
  double bias2;          // 1 - beta2^t
  double decay = 1;
};
struct RadamStep : GradientRule {  // state: exp_avg, exp_avg_sq
  double beta1, beta2, eps;
  double step_size;  // lr / (1 - beta1^t), times rect sqrt(1 - beta2^t) when rectified
  bool rectified;
  double decay = 1;
};
struct AdamaxStep : GradientRule {  // state: exp_avg, exp_inf
  double beta1, beta2, eps;
  double step_size;  // lr / (1 - beta1^t)
};
struct RmspropStep : GradientRule {  // state: square_avg, grad_avg (centered, else null), momentum buffer (or null)
  double lr, alpha, eps, momentum;
};
struct AdagradStep : GradientRule {  // state: sum
  double eps;
  double step_size;  // lr / (1 + (t - 1) lr_decay)
};
struct AdadeltaStep : GradientRule {  // state: square_avg, acc_delta
  double lr, rho, eps;
};

template <class T>
struct OptimKernels {
#define KERNEL(name, result, args) result(*name) args;
#include "kernels/optim.inc"
#undef KERNEL
};

}  // namespace pydl
