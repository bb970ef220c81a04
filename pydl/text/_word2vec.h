// The arithmetic of Word2Vec with negative sampling (Mikolov et al. 2013b), for the instruction sets of pydl's kernels.
#pragma once
#include <math.h>
#include <stddef.h>
#include <string.h>

enum { kSigmoidSteps = 4096 };
static const float kSigmoidRange = 6;  // beyond it the sigmoid counts as 0 or 1, as in the original program

struct sigmoid {
  float value, loss;  // 1 / (1 + exp(-x)), and the negative logarithm of it
};
static struct sigmoid sigmoid_table[kSigmoidSteps];

static void fill_sigmoid_table(void) {
  for (int i = 0; i < kSigmoidSteps; ++i) {
    const double x = ((i + 0.5) / kSigmoidSteps * 2 - 1) * kSigmoidRange;
    sigmoid_table[i].value = (float)(1 / (1 + exp(-x)));
    sigmoid_table[i].loss = (float)log1p(exp(-x));
  }
}

static inline struct sigmoid sigmoid_of(float x) {
  if (x >= kSigmoidRange) return (struct sigmoid){1, 0};
  if (x > -kSigmoidRange) return sigmoid_table[(int)((x + kSigmoidRange) * (kSigmoidSteps / (2 * kSigmoidRange)))];
  return (struct sigmoid){0, -x};  // and for NaN
}

typedef float four_floats __attribute__((vector_size(16)));
typedef float eight_floats __attribute__((vector_size(32)));

static inline void fetch(const float *row, ptrdiff_t dim) {
  for (ptrdiff_t d = 0; d < dim; d += 16) __builtin_prefetch(row + d, 1);
}

struct loops {
  double (*update)(float *h, float *step, float **rows, float *g, int n, ptrdiff_t dim, float rate);
  void (*average)(float *mean, float *const *rows, int n, ptrdiff_t dim);
  void (*spread)(float *const *rows, const float *step, int n, ptrdiff_t dim);
};

#define SET(name) name##_baseline
#define TARGET
#define WIDTH 4
#include "_word2vec_step.h"
#undef SET
#undef TARGET
#undef WIDTH

#if defined(__x86_64__)
#define SET(name) name##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define WIDTH 8
#include "_word2vec_step.h"
#undef SET
#undef TARGET
#undef WIDTH

#define SET(name) name##_avx512
#define TARGET __attribute__((target("avx512f,fma")))
#define WIDTH 16
#include "_word2vec_step.h"
#undef SET
#undef TARGET
#undef WIDTH
#endif

// The loops of the instruction set that pydl's kernels run on.
static struct loops loops_of(const char *isa) {
#if defined(__x86_64__)
  if (strncmp(isa, "avx512", 6) == 0) return (struct loops){update_avx512, average_avx512, spread_avx512};
  if (strcmp(isa, "avx2") == 0) return (struct loops){update_avx2, average_avx2, spread_avx2};
#endif
  return (struct loops){update_baseline, average_baseline, spread_baseline};
}
