// CTC in log space: a frame is one pass over the states, in vectors.
#include "kernels/ctc.h"

#include "kernels/lanes.h"
#include "simd/math.h"

PYDL_ISA_BEGIN
namespace {

// log(exp(a) + exp(b) + exp(c)), -inf where all are.
template <class T>
PYDL_INLINE vec<T> log_sum(vec<T> a, vec<T> b, vec<T> c) {
  const vec<T> top = greater(greater(a, b), c);
  const vec<T> shift = select(top == T(-kInf), vec<T>(0), top);
  return log(exp(a - shift) + exp(b - shift) + exp(c - shift)) + shift;
}

template <class T>
PYDL_INLINE void emissions(T* out, const T* frame, const CtcPath<T>& path) {
  for (int64_t s = 0; s < path.states; ++s) out[s] = frame[path.label[s]];
}

template <class T>
T forward(T* alpha, T* work, const T* log_probs, int64_t step, const CtcPath<T>& path, int64_t frames) {
  const int64_t stride = path.states + kCtcMargin;
  for (int64_t s = 0; s < stride; ++s) alpha[s] = T(-kInf);
  alpha += kCtcMargin;
  for (int64_t s = 0; s < path.states && s < 2; ++s) alpha[s] = log_probs[path.label[s]];
  for (int64_t t = 1; t < frames; ++t) {
    const T* const before = alpha;
    alpha += stride;
    for (int64_t s = 1; s <= kCtcMargin; ++s) alpha[-s] = T(-kInf);
    emissions(work, log_probs + t * step, path);
    for_vectors<T>(path.states, [&](int64_t s, auto lanes) PYDL_FORCE_INLINE {
      const T* const from = before + s;
      const vec<T> skipped = lanes.load(from - 2) + lanes.load(path.skip + s);
      lanes.store(log_sum(lanes.load(from), lanes.load(from - 1), skipped) + lanes.load(work + s), alpha + s);
    });
  }
  const T* const last = alpha + path.states - 2;  // the margin, if there is one state
  const vec<T> none(T(-kInf));
  return log_sum(vec<T>(last[0]), vec<T>(last[1]), none).v[0];
}

template <class T>
void backward(T* grad, T* work, const T* alpha, const T* log_probs, int64_t step, const CtcPath<T>& path,
              int64_t frames, int64_t classes, T log_likelihood, T scale) {
  const int64_t states = path.states, stride = states + kCtcMargin;
  // next[s] = beta(t + 1, s) + its emission; beta(t, s) is the log of the probability of what follows frame t.
  T *next = work, *const beta = work + stride, *const posterior = work + 2 * stride;
  for (int64_t s = 0; s < stride; ++s) next[s] = T(-kInf);
  const vec<T> factor(scale), unit(-log_likelihood);
  for (int64_t t = frames - 1; t >= 0; --t) {
    const T *const frame = log_probs + t * step, *const reached = alpha + t * stride + kCtcMargin;
    T* const g = grad + t * step;
    if (t == frames - 1) {
      for (int64_t s = 0; s < states; ++s) beta[s] = s >= states - 2 ? T(0) : T(-kInf);
    } else {
      for_vectors<T>(states, [&](int64_t s, auto lanes) PYDL_FORCE_INLINE {
        const vec<T> skipped = lanes.load(next + s + 2) + lanes.load(path.skip + s + 2);
        lanes.store(log_sum(lanes.load(next + s), lanes.load(next + s + 1), skipped), beta + s);
      });
    }
    for_vectors<T>(states, [&](int64_t s, auto lanes) PYDL_FORCE_INLINE {
      lanes.store(factor * exp(lanes.load(reached + s) + lanes.load(beta + s) + unit), posterior + s);
    });
    for_vectors<T>(classes, [&](int64_t c, auto lanes) PYDL_FORCE_INLINE {
      lanes.store(factor * exp(lanes.load(frame + c)), g + c);
    });
    for (int64_t s = 0; s < states; ++s) {
      g[path.label[s]] -= posterior[s];
      next[s] = beta[s] + frame[path.label[s]];
    }
  }
}

#define KERNEL(name, result, args) &name<T>,
template <class T>
constexpr CtcKernels<T> make() {
  return {
#include "kernels/ctc.inc"
  };
}
#undef KERNEL

}  // namespace

extern const CtcKernels<float> ctc_f32;
extern const CtcKernels<double> ctc_f64;
const CtcKernels<float> ctc_f32 = make<float>();
const CtcKernels<double> ctc_f64 = make<double>();

PYDL_ISA_END
