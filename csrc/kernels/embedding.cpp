// Bags of rows. The rows of a bag are far apart in memory, so a bag of one column block at a time: its sum stays in
// registers while the rows pass, and those ahead are fetched.
#include "kernels/embedding.h"

#include "kernels/lanes.h"

PYDL_ISA_BEGIN
namespace {

constexpr int64_t kAhead = 8;  // rows fetched ahead
constexpr int64_t kLine = 64;  // bytes

template <class T>
PYDL_INLINE void fetch(const T* row, int64_t bytes) {
  for (int64_t b = 0; b < bytes; b += kLine) __builtin_prefetch(reinterpret_cast<const char*>(row) + b);
}

// Columns [0, width) with width <= Count vectors.
template <int Count, class T>
PYDL_INLINE void sum_block(T* out, const T* table, const int64_t* index, const T* scale, int64_t n, int64_t cols,
                           int64_t width) {
  constexpr int64_t L = vec<T>::size;
  vec<T> sum[Count];
  for (int k = 0; k < Count; ++k) sum[k] = vec<T>(0);
  for (int64_t i = 0; i < n; ++i) {
    if (i + kAhead < n) fetch(table + index[i + kAhead] * cols, width * int64_t(sizeof(T)));
    const T* const row = table + index[i] * cols;
    const vec<T> s(scale ? scale[i] : T(1));
    if (width == Count * L)
      for (int k = 0; k < Count; ++k) sum[k] = fma(s, vec<T>::load(row + k * L), sum[k]);
    else
      for (int k = 0; k < Count; ++k) {
        const int64_t left = width - k * L;
        if (left > 0) sum[k] = fma(s, vec<T>::load_partial(row + k * L, left < L ? left : L), sum[k]);
      }
  }
  for (int k = 0; k < Count; ++k) {
    const int64_t left = width - k * L;
    if (left >= L)
      sum[k].store(out + k * L);
    else if (left > 0)
      sum[k].store_partial(out + k * L, left);
  }
}

template <class T>
void bag_sum(T* out, const T* table, const int64_t* index, const T* scale, int64_t n, int64_t cols) {
  constexpr int64_t block = 8 * vec<T>::size;
  for (int64_t j = 0; j < cols; j += block)
    sum_block<8>(out + j, table + j, index, scale, n, cols, cols - j < block ? cols - j : block);
}

template <class T>
void bag_max(T* out, int64_t* winner, const T* table, const int64_t* index, int64_t n, int64_t cols) {
  for (int64_t j = 0; j < cols; ++j) {
    out[j] = n ? table[index[0] * cols + j] : T(0);
    winner[j] = n ? index[0] : -1;
  }
  for (int64_t i = 1; i < n; ++i) {
    const T* const row = table + index[i] * cols;
    for (int64_t j = 0; j < cols; ++j)
      if (row[j] > out[j] || (row[j] != row[j] && out[j] == out[j])) {
        out[j] = row[j];
        winner[j] = index[i];
      }
  }
}

struct Plus {
  template <class V>
  static PYDL_INLINE V combine(V a, V b) {
    return a + b;
  }
};

template <class T>
void bag_dot(T* out, const T* table, const int64_t* index, const T* g, int64_t n, int64_t cols) {
  for (int64_t i = 0; i < n; ++i) {
    const T* const row = table + index[i] * cols;
    vec<T> sum(0);
    for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      sum = fma(lanes.load(row + j), lanes.load(g + j), sum);
    });
    out[i] = across(Plus(), sum);
  }
}

#define KERNEL(name, result, args) &name<T>,
template <class T>
constexpr EmbeddingKernels<T> make() {
  return {
#include "kernels/embedding.inc"
  };
}
#undef KERNEL

}  // namespace

extern const EmbeddingKernels<float> embedding_f32;
extern const EmbeddingKernels<double> embedding_f64;
const EmbeddingKernels<float> embedding_f32 = make<float>();
const EmbeddingKernels<double> embedding_f64 = make<double>();

PYDL_ISA_END
