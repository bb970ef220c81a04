// Reductions and scans of integers and bool, compiled once at baseline: plain loops that the compiler vectorises. The
// layouts and meanings are those of reduce.inc; sums and products wrap around in int64, whatever the order.
#include <limits>
#include <type_traits>

#include "base/truth.h"
#include "kernels/reduce.h"

namespace pydl {
namespace {

// start: the reduction of nothing; step: fold one element in; stop: nothing can change the result any more.
template <class T, class R> struct Add {
  static constexpr R start = 0;
  static R step(R a, T x) { return R(uint64_t(a) + uint64_t(int64_t(x))); }
  static bool stop(R) { return false; }
};
template <class T, class R> struct Multiply {
  static constexpr R start = 1;
  static R step(R a, T x) { return R(uint64_t(a) * uint64_t(int64_t(x))); }
  static bool stop(R a) { return a == 0; }
};
template <class T, class R> struct Count {
  static constexpr R start = 0;
  static R step(R a, T x) { return a + (x != 0); }
  static bool stop(R) { return false; }
};
template <class T, class R> struct Any {
  static constexpr R start = false;
  static R step(R a, T x) { return a | (x != 0); }
  static bool stop(R a) { return a; }
};
template <class T, class R> struct All {
  static constexpr R start = true;
  static R step(R a, T x) { return a & (x != 0); }
  static bool stop(R a) { return !a; }
};
template <class T, class R> struct Larger {
  static constexpr R start = std::numeric_limits<T>::lowest();
  static R step(R a, T x) { return x > a ? x : a; }
  static bool stop(R) { return false; }
  static bool replaces(T x, T best) { return x > best; }
};
template <class T, class R> struct Smaller {
  static constexpr R start = std::numeric_limits<T>::max();
  static R step(R a, T x) { return x < a ? x : a; }
  static bool stop(R) { return false; }
  static bool replaces(T x, T best) { return x < best; }
};

// Truth values fold as bytes: loops over bool do not vectorize.
template <class R> using Result = std::conditional_t<std::is_same_v<R, bool>, uint8_t, R>;

constexpr int64_t kBlock = 4096, kTile = 1024;

template <class Op, class T, class R> R fold(R value, const T* in, int64_t n) {
  for (int64_t i = 0; i < n; ++i) value = Op::step(value, value_at(in + i));
  return value;
}

template <class Op, class T, class R>
void inner(R* out, const T* in, int64_t rows, int64_t cols, int64_t row_stride) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = in + r * row_stride;
    R value = Op::start;
    for (int64_t c = 0; c < cols && !Op::stop(value); c += kBlock)
      value = fold<Op>(value, row + c, cols - c < kBlock ? cols - c : kBlock);
    out[r] = value;
  }
}

// Tiles of the output stay in L1 while the rows stream past.
template <class Op, class T, class R>
void outer(R* out, const T* in, int64_t batch, int64_t n, int64_t cols, int64_t batch_stride, int64_t row_stride) {
  for (int64_t b = 0; b < batch; ++b, out += cols, in += batch_stride)
    for (int64_t j = 0; j < cols; j += kTile) {
      const int64_t width = cols - j < kTile ? cols - j : kTile;
      R* __restrict y = out + j;
      for (int64_t k = 0; k < width; ++k) y[k] = Op::start;
      for (int64_t i = 0; i < n; ++i) {
        const T* __restrict x = in + i * row_stride + j;
        for (int64_t k = 0; k < width; ++k) y[k] = Op::step(y[k], value_at(x + k));
      }
    }
}

// The extreme block by block; only the block that first reached it is searched.
template <class Op, class T>
void index_inner(T* values, int64_t* indices, const T* in, int64_t rows, int64_t cols, int64_t row_stride) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = in + r * row_stride;
    T best = value_at(row);
    int64_t where = 0;
    for (int64_t c = 0; c < cols; c += kBlock) {
      const T top = fold<Op>(best, row + c, cols - c < kBlock ? cols - c : kBlock);
      if (Op::replaces(top, best)) best = top, where = c;
    }
    while (value_at(row + where) != best) ++where;
    indices[r] = where;
    if (values) values[r] = best;
  }
}
template <class Op, class T>
void index_outer(T* values, int64_t* indices, const T* in, int64_t batch, int64_t n, int64_t cols, int64_t batch_stride,
                 int64_t row_stride) {
  T best[kTile];
  for (int64_t b = 0; b < batch; ++b, indices += cols, in += batch_stride, values += values ? cols : 0)
    for (int64_t j = 0; j < cols; j += kTile) {
      const int64_t width = cols - j < kTile ? cols - j : kTile;
      for (int64_t k = 0; k < width; ++k) best[k] = value_at(in + j + k), indices[j + k] = 0;
      for (int64_t i = 1; i < n; ++i) {
        const T* x = in + i * row_stride + j;
        for (int64_t k = 0; k < width; ++k) {
          const T value = value_at(x + k);
          const bool take = Op::replaces(value, best[k]);
          best[k] = take ? value : best[k];
          indices[j + k] = take ? i : indices[j + k];
        }
      }
      for (int64_t k = 0; values && k < width; ++k) values[j + k] = best[k];
    }
}
template <class Op, class T>
void index_combine(T* values, int64_t* indices, const T* piece_values, const int64_t* piece_indices, int64_t size,
                   int64_t offset) {
  for (int64_t k = 0; k < size; ++k)
    if (Op::replaces(piece_values[k], values[k])) values[k] = piece_values[k], indices[k] = offset + piece_indices[k];
}

template <class Op, class T>
void scan(int64_t* out, const T* in, int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride) {
  if (cols == 1) {
    int64_t total = int64_t(Op::start);
    for (int64_t i = 0; i < n; ++i) out[i * out_stride] = total = Op::step(total, value_at(in + i * in_stride));
    return;
  }
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < cols; ++j) {
      const int64_t before = i ? out[(i - 1) * out_stride + j] : int64_t(Op::start);
      out[i * out_stride + j] = Op::step(before, value_at(in + i * in_stride + j));
    }
}
// The latest of ties, as PyTorch's cummax and cummin.
template <class Op, class T>
void scan_extreme(T* out, int64_t* indices, const T* in, int64_t n, int64_t cols, int64_t out_stride,
                  int64_t in_stride) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < cols; ++j) {
      const int64_t at = i * out_stride + j, before = at - out_stride;
      const T x = value_at(in + i * in_stride + j);
      const bool keep = i && Op::replaces(out[before], x);
      indices[at] = keep ? indices[before] : i;
      out[at] = keep ? out[before] : x;
    }
}

}  // namespace

#define INNER int64_t rows, int64_t cols, int64_t row_stride
#define OUTER int64_t batch, int64_t n, int64_t cols, int64_t batch_stride, int64_t row_stride
#define BOTH(name, R, Op)                                                                                        \
  template <class T> void IntReduce<T>::name##_inner(R* out, const T* in, INNER) {                               \
    inner<Op<T, Result<R>>>(reinterpret_cast<Result<R>*>(out), in, rows, cols, row_stride);                            \
  }                                                                                                              \
  template <class T> void IntReduce<T>::name##_outer(R* out, const T* in, OUTER) {                               \
    outer<Op<T, Result<R>>>(reinterpret_cast<Result<R>*>(out), in, batch, n, cols, batch_stride, row_stride);          \
  }
BOTH(sum, int64_t, Add)
BOTH(prod, int64_t, Multiply)
BOTH(max, T, Larger)
BOTH(min, T, Smaller)
BOTH(any, bool, Any)
BOTH(all, bool, All)
BOTH(count_nonzero, int64_t, Count)

#define EXTREME(name, Op)                                                                                        \
  template <class T> void IntReduce<T>::name##_inner(T* values, int64_t* indices, const T* in, INNER) {          \
    index_inner<Op<T, T>>(values, indices, in, rows, cols, row_stride);                                          \
  }                                                                                                              \
  template <class T> void IntReduce<T>::name##_outer(T* values, int64_t* indices, const T* in, OUTER) {          \
    index_outer<Op<T, T>>(values, indices, in, batch, n, cols, batch_stride, row_stride);                        \
  }                                                                                                              \
  template <class T>                                                                                             \
  void IntReduce<T>::name##_combine(T* values, int64_t* indices, const T* piece_values, const int64_t* piece_indices, \
                                    int64_t size, int64_t offset) {                                              \
    index_combine<Op<T, T>>(values, indices, piece_values, piece_indices, size, offset);                         \
  }
EXTREME(max_index, Larger)
EXTREME(min_index, Smaller)

#define SCAN int64_t n, int64_t cols, int64_t out_stride, int64_t in_stride
template <class T> void IntReduce<T>::cumsum(int64_t* out, const T* in, SCAN) {
  scan<Add<T, int64_t>>(out, in, n, cols, out_stride, in_stride);
}
template <class T> void IntReduce<T>::cumprod(int64_t* out, const T* in, SCAN) {
  scan<Multiply<T, int64_t>>(out, in, n, cols, out_stride, in_stride);
}
template <class T> void IntReduce<T>::cummax(T* out, int64_t* indices, const T* in, SCAN) {
  scan_extreme<Larger<T, T>>(out, indices, in, n, cols, out_stride, in_stride);
}
template <class T> void IntReduce<T>::cummin(T* out, int64_t* indices, const T* in, SCAN) {
  scan_extreme<Smaller<T, T>>(out, indices, in, n, cols, out_stride, in_stride);
}

template struct IntReduce<bool>;
template struct IntReduce<uint8_t>;
template struct IntReduce<int8_t>;
template struct IntReduce<int16_t>;
template struct IntReduce<int32_t>;
template struct IntReduce<int64_t>;

}  // namespace pydl
