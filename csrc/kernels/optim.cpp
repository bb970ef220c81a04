// Optimizer steps. Every kernel reads each array once and writes it once: memory bounds the speed, so divisions by
// constants become products and two quotients over one denominator become one.
#include "kernels/optim.h"

#include "kernels/lanes.h"

PYDL_ISA_BEGIN
namespace {

// param <- f(j, lanes, param, gradient) on vectors at index j, with the gradient's sign and coupled decay applied.
template <class T, class F>
PYDL_INLINE void update(const ParamSlice<T>& s, const GradientRule& rule, F&& f) {
  const vec<T> sign(rule.maximize ? -1 : 1), weight_decay(rule.weight_decay);
  const bool decays = rule.weight_decay != 0;  // 0 * inf must not become NaN
  for_vectors<T>(s.n, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
    const vec<T> p = lanes.load(s.param + j);
    vec<T> g = lanes.load(s.grad + j) * sign;
    if (decays) g = fma(weight_decay, p, g);
    lanes.store(f(j, lanes, p, g), s.param + j);
  });
}

// The larger of a and b; NaN if either is.
template <class T>
PYDL_INLINE vec<T> max_or_nan(vec<T> a, vec<T> b) {
  return select((b > a) | (b != b), b, a);
}

// Exponential moving averages, computed as torch.lerp and mul_().addcmul_() do and stored back.
template <class T>
struct Average {
  vec<T> beta, weight;
  bool from_new;  // past the middle, lerp starts at its other end and is exact there
  explicit PYDL_INLINE Average(double b) : beta(b), weight(1 - b), from_new(1 - b >= 0.5) {}

  template <class L>
  PYDL_INLINE vec<T> of(vec<T> g, T* state, L lanes) const {
    const vec<T> old = lanes.load(state), d = g - old;
    const vec<T> m = from_new ? fma(-beta, d, g) : fma(weight, d, old);
    lanes.store(m, state);
    return m;
  }
  template <class L>
  PYDL_INLINE vec<T> of_square(vec<T> g, T* state, L lanes) const {
    const vec<T> v = fma(weight * g, g, beta * lanes.load(state));
    lanes.store(v, state);
    return v;
  }
};

template <class T>
void sgd(const ParamSlice<T>& s, const SgdStep& step) {
  using V = vec<T>;
  const V lr(-step.lr), momentum(step.momentum), undamped(1 - step.dampening);
  if (step.momentum == 0) {
    update(s, step, [&](int64_t, auto, V p, V g) PYDL_FORCE_INLINE { return fma(lr, g, p); });
    return;
  }
  update(s, step, [&](int64_t j, auto lanes, V p, V g) PYDL_FORCE_INLINE {
    T* const buffer = s.state[0] + j;
    const V b = fma(undamped, g, momentum * lanes.load(buffer));
    lanes.store(b, buffer);
    return fma(lr, step.nesterov ? fma(momentum, b, g) : b, p);
  });
}

template <bool Amsgrad, class T>
PYDL_INLINE void adam_loop(const ParamSlice<T>& s, const AdamStep& step) {
  using V = vec<T>;
  const Average<T> first(step.beta1), second(step.beta2);
  const V size(-step.step_size), unbias(1 / step.bias2_sqrt), eps(step.eps), decay(step.decay);
  update(s, step, [&](int64_t j, auto lanes, V p, V g) PYDL_FORCE_INLINE {
    const V m = first.of(g, s.state[0] + j, lanes);
    V v = second.of_square(g, s.state[1] + j, lanes);
    if constexpr (Amsgrad) {
      v = max_or_nan(lanes.load(s.state[2] + j), v);
      lanes.store(v, s.state[2] + j);
    }
    return decay * p + size * m / fma(sqrt(v), unbias, eps);
  });
}
template <class T>
void adam(const ParamSlice<T>& s, const AdamStep& step) {
  s.state[2] ? adam_loop<true>(s, step) : adam_loop<false>(s, step);
}

template <class T>
void nadam(const ParamSlice<T>& s, const NadamStep& step) {
  using V = vec<T>;
  const Average<T> first(step.beta1), second(step.beta2);
  const V grad_size(-step.grad_size), momentum_size(-step.momentum_size), unbias(1 / step.bias2), eps(step.eps);
  const V decay(step.decay);
  update(s, step, [&](int64_t j, auto lanes, V p, V g) PYDL_FORCE_INLINE {
    const V m = first.of(g, s.state[0] + j, lanes);
    const V v = second.of_square(g, s.state[1] + j, lanes);
    return decay * p + fma(grad_size, g, momentum_size * m) / (sqrt(v * unbias) + eps);
  });
}

template <class T>
void radam(const ParamSlice<T>& s, const RadamStep& step) {
  using V = vec<T>;
  const Average<T> first(step.beta1), second(step.beta2);
  const V size(-step.step_size), eps(step.eps), decay(step.decay);
  update(s, step, [&](int64_t j, auto lanes, V p, V g) PYDL_FORCE_INLINE {
    const V m = first.of(g, s.state[0] + j, lanes);
    const V v = second.of_square(g, s.state[1] + j, lanes);
    return step.rectified ? decay * p + size * m / (sqrt(v) + eps) : fma(size, m, decay * p);
  });
}

template <class T>
void adamax(const ParamSlice<T>& s, const AdamaxStep& step) {
  using V = vec<T>;
  const Average<T> first(step.beta1);
  const V size(-step.step_size), eps(step.eps), beta2(step.beta2);
  update(s, step, [&](int64_t j, auto lanes, V p, V g) PYDL_FORCE_INLINE {
    const V m = first.of(g, s.state[0] + j, lanes);
    const V magnitude = select(g < T(0), -g, g) + eps;
    const V u = max_or_nan(beta2 * lanes.load(s.state[1] + j), magnitude);
    lanes.store(u, s.state[1] + j);
    return p + size * m / u;
  });
}

template <class T>
void rmsprop(const ParamSlice<T>& s, const RmspropStep& step) {
  using V = vec<T>;
  const Average<T> average(step.alpha);
  const V lr(-step.lr), eps(step.eps), momentum(step.momentum);
  update(s, step, [&](int64_t j, auto lanes, V p, V g) PYDL_FORCE_INLINE {
    V v = average.of_square(g, s.state[0] + j, lanes);
    if (s.state[1]) {
      const V mean = average.of(g, s.state[1] + j, lanes);
      v = fma(-mean, mean, v);
    }
    const V scaled = g / (sqrt(v) + eps);
    if (!s.state[2]) return fma(lr, scaled, p);
    const V b = fma(momentum, lanes.load(s.state[2] + j), scaled);
    lanes.store(b, s.state[2] + j);
    return fma(lr, b, p);
  });
}

template <class T>
void adagrad(const ParamSlice<T>& s, const AdagradStep& step) {
  using V = vec<T>;
  const V size(-step.step_size), eps(step.eps);
  update(s, step, [&](int64_t j, auto lanes, V p, V g) PYDL_FORCE_INLINE {
    const V sum = fma(g, g, lanes.load(s.state[0] + j));
    lanes.store(sum, s.state[0] + j);
    return p + size * g / (sqrt(sum) + eps);
  });
}

template <class T>
void adadelta(const ParamSlice<T>& s, const AdadeltaStep& step) {
  using V = vec<T>;
  const Average<T> average(step.rho);
  const V lr(-step.lr), eps(step.eps);
  update(s, step, [&](int64_t j, auto lanes, V p, V g) PYDL_FORCE_INLINE {
    const V v = average.of_square(g, s.state[0] + j, lanes);
    const V delta = g * sqrt((lanes.load(s.state[1] + j) + eps) / (v + eps));
    average.of_square(delta, s.state[1] + j, lanes);
    return fma(lr, delta, p);
  });
}

template <class T>
void scale(const ParamSlice<T>& s, const double& factor) {
  const vec<T> f(factor);
  for_vectors<T>(
      s.n, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE { lanes.store(lanes.load(s.param + j) * f, s.param + j); });
}

#define KERNEL(name, result, args) &name<T>,
template <class T>
constexpr OptimKernels<T> make() {
  return {
#include "kernels/optim.inc"
  };
}
#undef KERNEL

}  // namespace

extern const OptimKernels<float> optim_f32;
extern const OptimKernels<double> optim_f64;
const OptimKernels<float> optim_f32 = make<float>();
const OptimKernels<double> optim_f64 = make<double>();

PYDL_ISA_END
