// The loops of one instruction set. _word2vec.h includes this file once for each, with
//   SET(name)   the name with the set's suffix
//   TARGET      the attribute that lets the compiler use the set
//   WIDTH       floats in a register
//
// Contract: rows have `dim` floats, a multiple of 16, and begin at multiples of 64 bytes; rows[k] may be one row twice,
// and other threads may write them meanwhile. Sums are taken in an order that depends on WIDTH alone.

typedef float SET(vec) __attribute__((vector_size(4 * WIDTH), may_alias));

TARGET static inline float SET(dot)(const float *a, const float *b, ptrdiff_t dim) {
  SET(vec) total = {0};
  for (ptrdiff_t d = 0; d < dim; d += WIDTH) total += *(const SET(vec) *)(a + d) * *(const SET(vec) *)(b + d);
#if WIDTH == 16
  const eight_floats by8 = __builtin_shufflevector(total, total, 0, 1, 2, 3, 4, 5, 6, 7) +
                           __builtin_shufflevector(total, total, 8, 9, 10, 11, 12, 13, 14, 15);
#elif WIDTH == 8
  const eight_floats by8 = total;
#endif
#if WIDTH >= 8
  const four_floats by4 = __builtin_shufflevector(by8, by8, 0, 1, 2, 3) + __builtin_shufflevector(by8, by8, 4, 5, 6, 7);
#else
  const four_floats by4 = total;
#endif
  return (by4[0] + by4[2]) + (by4[1] + by4[3]);
}

// One step of negative sampling for the input h: rows[0] is the output vector to be found, rows[1 .. n) are drawn.
// Updates the rows; adds h's gradient step to h itself or, where `step` is given, writes it there. Returns the loss.
TARGET static double SET(update)(float *h, float *step, float **rows, float *g, int n, ptrdiff_t dim, float rate) {
  double loss = 0;
  for (int k = 0; k < n; ++k) {
    const float score = SET(dot)(h, rows[k], dim);
    const struct sigmoid s = sigmoid_of(score);
    g[k] = rate * ((k == 0 ? 1.0f : 0.0f) - s.value);
    loss += k == 0 ? s.loss : s.loss + score;
  }
  for (ptrdiff_t d = 0; d < dim; d += WIDTH) {
    const SET(vec) input = *(SET(vec) *)(h + d);
    SET(vec) gradient = {0};
    for (int k = 0; k < n; ++k) {
      SET(vec) *row = (SET(vec) *)(rows[k] + d);
      const SET(vec) output = *row;
      gradient += g[k] * output;
      *row = output + g[k] * input;
    }
    if (!step) gradient += input;
    *(SET(vec) *)((step ? step : h) + d) = gradient;
  }
  return loss;
}

// mean = the mean of n rows
TARGET static void SET(average)(float *mean, float *const *rows, int n, ptrdiff_t dim) {
  const float share = 1.0f / (float)n;
  for (ptrdiff_t d = 0; d < dim; d += WIDTH) {
    SET(vec) total = *(SET(vec) *)(rows[0] + d);
    for (int k = 1; k < n; ++k) total += *(SET(vec) *)(rows[k] + d);
    *(SET(vec) *)(mean + d) = total * share;
  }
}

// rows[k] += step for all n rows
TARGET static void SET(spread)(float *const *rows, const float *step, int n, ptrdiff_t dim) {
  for (ptrdiff_t d = 0; d < dim; d += WIDTH)
    for (int k = 0; k < n; ++k) *(SET(vec) *)(rows[k] + d) += *(const SET(vec) *)(step + d);
}
