// Bags of rows, which are far apart in memory. A few rows are read side by side, from end to end; of more, one column block
// at a time: its sum stays in registers while the rows pass, and those ahead are fetched.
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

template <class T> PYDL_INLINE vec<T> share(vec<T> sum, T divisor) { return divisor == 1 ? sum : sum / vec<T>(divisor); }

template <int Rows, class T>
PYDL_INLINE void sum_side_by_side(T* out, const T* table, const int64_t* index, const T* scale, T divisor,
                                  int64_t cols) {
  const T* row[Rows];
  vec<T> s[Rows];
  for (int i = 0; i < Rows; ++i) row[i] = table + index[i] * cols, s[i] = vec<T>(scale ? scale[i] : T(1));
  for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
    vec<T> sum(0);
    for (int i = 0; i < Rows; ++i) sum = fma(s[i], lanes.load(row[i] + j), sum);
    lanes.store(share(sum, divisor), out + j);
  });
}

// Columns [0, width) with width <= Count vectors.
template <int Count, class T>
PYDL_INLINE void sum_block(T* out, const T* table, const int64_t* index, const T* scale, T divisor, int64_t n,
                           int64_t cols, int64_t width) {
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
      share(sum[k], divisor).store(out + k * L);
    else if (left > 0)
      share(sum[k], divisor).store_partial(out + k * L, left);
  }
}

template <class T>
void bag_sum(T* out, const T* table, const int64_t* index, const T* scale, T divisor, int64_t n, int64_t cols) {
  switch (n) {
    case 1: return sum_side_by_side<1>(out, table, index, scale, divisor, cols);
    case 2: return sum_side_by_side<2>(out, table, index, scale, divisor, cols);
    case 3: return sum_side_by_side<3>(out, table, index, scale, divisor, cols);
    case 4: return sum_side_by_side<4>(out, table, index, scale, divisor, cols);
    case 5: return sum_side_by_side<5>(out, table, index, scale, divisor, cols);
    case 6: return sum_side_by_side<6>(out, table, index, scale, divisor, cols);
    default: break;
  }
  constexpr int64_t block = 8 * vec<T>::size;
  for (int64_t j = 0; j < cols; j += block)
    sum_block<8>(out + j, table + j, index, scale, divisor, n, cols, cols - j < block ? cols - j : block);
}

template <class T>
void bag_max(T* out, int64_t* winner, const T* table, const int64_t* index, int64_t n, int64_t cols) {
  if (n == 0) {
    for (int64_t j = 0; j < cols; ++j) out[j] = 0, winner[j] = -1;
    return;
  }
  constexpr int64_t L = vec<T>::size;
  for_vectors<T>(cols, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
    vec<T> best = lanes.load(table + index[0] * cols + j);
    typename vec<T>::raw_int place{};  // in the bag
    for (int64_t i = 1; i < n; ++i) {
      const vec<T> x = lanes.load(table + index[i] * cols + j);
      const mask<T> better = (x > best) | ((x != x) & (best == best));
      best = select(better, x, best);
      place = better.m ? place * 0 + int_of<T>(i) : place;
    }
    lanes.store(best, out + j);
    for (int64_t k = 0; k < L && j + k < cols; ++k) winner[j + k] = index[place[k]];
  });
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
