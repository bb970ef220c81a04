// Cross entropy of logits against class indices or class probabilities, forward and backward: log-softmax and the loss
// in one pass over the logits, their gradient in another; and the loss of log-probabilities. Included once, by
// rowwise.cpp.
#pragma once

PYDL_ISA_BEGIN
namespace {

// normalizer[2k] = m = max x, normalizer[2k + 1] = log(sum exp(x - m)); NaN where m is infinite, as in log-softmax.
template <class T>
PYDL_INLINE void normalizers(T* normalizer, const T* x, int64_t count, int64_t cols, int64_t x_stride) {
  constexpr int64_t L = vec<T>::size;
  T top[L], sum[L];
  for (T& s : sum) s = 1;
  sum_exp_rows<MaxOfNumbers<T>>(top, sum, x, count, cols, x_stride);
  log(vec<T>::load(sum)).store(sum);
  for (int64_t k = 0; k < count; ++k) normalizer[2 * k] = top[k], normalizer[2 * k + 1] = sum[k] + (top[k] - top[k]);
}

template <class T> PYDL_INLINE T total(const T* x, int64_t n) { return across(Sum<T>{}, reduce_run(Sum<T>{}, x, n)); }

template <class T>
void cross_entropy(T* loss, T* row_weight, T* normalizer, const T* logits, const ClassTarget<T>& target, int64_t rows,
                   int64_t cols, int64_t x_stride) {
  const T* weight = target.class_weight;
  const T share = target.smoothing / T(cols);
  for_groups<T>(rows, cols, 1, [&](int64_t first, int64_t count) PYDL_FORCE_INLINE {
    normalizers(normalizer + 2 * first, logits + first * x_stride, count, cols, x_stride);
    for (int64_t r = first; r < first + count; ++r) {
      const int64_t t = target.index[r];
      const bool ignored = t == target.ignore_index;
      const T m = normalizer[2 * r], log_sum = normalizer[2 * r + 1], w = ignored ? T(0) : weight ? weight[t] : T(1);
      const T* x = logits + r * x_stride;
      if (row_weight) row_weight[r] = w;
      loss[r] = ignored ? T(0) : w * (1 - target.smoothing) * ((m - x[t]) + log_sum);
      if (share > 0 && !ignored) {
        const vec<T> top(m), ls(log_sum);
        loss[r] += share * across(Sum<T>{}, sum_terms<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
          const vec<T> nll = (top - lanes.load(x + j)) + ls;
          return weight ? nll * lanes.load(weight + j) : nll;
        }));
      }
    }
  });
}

template <class T>
void cross_entropy_backward(T* dlogits, const T* normalizer, const T* grad, int64_t grad_stride, const T* logits,
                            const ClassTarget<T>& target, int64_t rows, int64_t cols, int64_t x_stride, T scale) {
  const T* weight = target.class_weight;
  const T share = target.smoothing / T(cols), all = share > 0 ? weight ? total(weight, cols) : T(cols) : T(0);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t t = target.index[r];
    T* dx = dlogits + r * cols;
    const T* x = logits + r * x_stride;
    if (t == target.ignore_index) {
      for (int64_t j = 0; j < cols; ++j) dx[j] = 0;
      continue;
    }
    const T c = scale * grad[r * grad_stride], on_target = (1 - target.smoothing) * (weight ? weight[t] : T(1));
    const vec<T> m(normalizer[2 * r]), log_sum(normalizer[2 * r + 1]), sum_q(c * (on_target + share * all));
    if (share > 0) {
      const vec<T> s(c * share);
      for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        const vec<T> q = weight ? s * lanes.load(weight + j) : s;
        lanes.store(exp_nonpositive((lanes.load(x + j) - m) - log_sum) * sum_q - q, dx + j);
      });
    } else {
      for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        lanes.store(exp_nonpositive((lanes.load(x + j) - m) - log_sum) * sum_q, dx + j);
      });
    }
    dx[t] -= c * on_target;
  }
}

// q as a vector: class_weight * ((1 - smoothing) * probability + smoothing / cols).
template <class T> struct TargetRow {
  const T *probability, *weight;
  vec<T> keep, share;
  template <class Lanes> PYDL_INLINE vec<T> at(int64_t j, Lanes lanes) const {
    const vec<T> q = fma(lanes.load(probability + j), keep, share);
    return weight ? q * lanes.load(weight + j) : q;
  }
};
template <class T> PYDL_INLINE TargetRow<T> target_row(const ProbabilityTarget<T>& target, int64_t r, int64_t cols) {
  return {target.probability + r * cols, target.class_weight, vec<T>(1 - target.smoothing),
          vec<T>(target.smoothing / T(cols))};
}

template <class T>
void cross_entropy_probability(T* loss, T* normalizer, const T* logits, const ProbabilityTarget<T>& target,
                               int64_t rows, int64_t cols, int64_t x_stride) {
  constexpr int64_t L = vec<T>::size;
  vec<T> acc[L];
  for_groups<T>(rows, cols, 2, [&](int64_t r, int64_t count) PYDL_FORCE_INLINE {
    normalizers(normalizer + 2 * r, logits + r * x_stride, count, cols, x_stride);
    for (int64_t k = 0; k < count; ++k) {
      const vec<T> m(normalizer[2 * (r + k)]), log_sum(normalizer[2 * (r + k) + 1]);
      const TargetRow<T> q = target_row(target, r + k, cols);
      acc[k] = sum_terms<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        return q.at(j, lanes) * ((m - lanes.load(logits + (r + k) * x_stride + j)) + log_sum);
      });
    }
    across_rows(Sum<T>{}, loss + r, acc, count);
  });
}

template <class T>
void cross_entropy_probability_backward(T* dlogits, T* dprobability, const T* normalizer, const T* grad,
                                        int64_t grad_stride, const T* logits, const ProbabilityTarget<T>& target,
                                        int64_t rows, int64_t cols, int64_t x_stride, T scale) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* x = logits + r * x_stride;
    const vec<T> c(scale * grad[r * grad_stride]), m(normalizer[2 * r]), log_sum(normalizer[2 * r + 1]);
    const TargetRow<T> q = target_row(target, r, cols);
    if (dlogits) {
      const vec<T> sum_q(across(
          Sum<T>{}, sum_terms<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE { return q.at(j, lanes); })));
      for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        const vec<T> p = exp_nonpositive((lanes.load(x + j) - m) - log_sum);
        lanes.store(c * (p * sum_q - q.at(j, lanes)), dlogits + r * cols + j);
      });
    }
    if (dprobability) {
      const vec<T> factor = c * q.keep;
      for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        const vec<T> d = factor * ((m - lanes.load(x + j)) + log_sum);
        lanes.store(q.weight ? d * lanes.load(q.weight + j) : d, dprobability + r * cols + j);
      });
    }
  }
}

// f(position, place of its target's log-probability, class weight) for the positions whose target counts.
template <class T, class F>
PYDL_INLINE void for_targets(const ClassTarget<T>& target, int64_t first, int64_t last, int64_t classes, int64_t inner,
                             F f) {
  int64_t block = first / inner * inner;  // the first position of its batch
  for (int64_t r = first; r < last; ++r) {
    if (r - block == inner) block = r;
    const int64_t t = target.index[r];
    if (t == target.ignore_index) continue;
    f(r, (block * classes) + t * inner + (r - block), target.class_weight ? target.class_weight[t] : T(1));
  }
}

template <class T>
void nll(T* loss, T* row_weight, const T* logp, const ClassTarget<T>& target, int64_t first, int64_t last,
         int64_t classes, int64_t inner) {
  for (int64_t r = first; r < last; ++r) loss[r] = row_weight[r] = 0;
  for_targets(target, first, last, classes, inner, [&](int64_t r, int64_t at, T w) PYDL_FORCE_INLINE {
    loss[r] = -w * logp[at];
    row_weight[r] = w;
  });
}

template <class T>
void nll_backward(T* dlogp, const T* grad, int64_t grad_stride, const ClassTarget<T>& target, int64_t first,
                  int64_t last, int64_t classes, int64_t inner, T scale) {
  for_targets(target, first, last, classes, inner, [&](int64_t r, int64_t at, T w) PYDL_FORCE_INLINE {
    dlogp[at] -= scale * grad[r * grad_stride] * w;
  });
}

}  // namespace
PYDL_ISA_END
