// The extreme and the first index where it occurs. Included once, by reduce.cpp.
#pragma once

PYDL_ISA_BEGIN
namespace {

// Whether x takes the place of an earlier best: it is beyond it, or is the first NaN.
template <class T> struct Largest : Max<T> {
  static PYDL_INLINE mask<T> replaces(vec<T> x, vec<T> best) { return (best == best) & !(x <= best); }
  static PYDL_INLINE bool replaces(T x, T best) { return !(x <= best) && best == best; }
};
template <class T> struct Smallest : Min<T> {
  static PYDL_INLINE mask<T> replaces(vec<T> x, vec<T> best) { return (best == best) & !(x >= best); }
  static PYDL_INLINE bool replaces(T x, T best) { return !(x >= best) && best == best; }
};

// The first of n elements equal to value, or the first NaN; it exists.
template <class T> PYDL_INLINE int64_t find_first(const T* in, int64_t n, T value) {
  constexpr int64_t L = vec<T>::size;
  const vec<T> v(value);
  const mask<T> is_nan = v != v;
  const auto found = [&](vec<T> x) PYDL_FORCE_INLINE { return (x == v) | ((x != x) & is_nan); };
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    const mask<T> a = found(vec<T>::load(in + i)), b = found(vec<T>::load(in + i + L)),
                  c = found(vec<T>::load(in + i + 2 * L)), d = found(vec<T>::load(in + i + 3 * L));
    if (any((a | b) | (c | d))) break;
  }
  for (; i + L <= n; i += L)
    if (const uint32_t hit = lane_bits(found(vec<T>::load(in + i)))) return i + __builtin_ctz(hit);
  return i + __builtin_ctz(lane_bits(found(vec<T>::load_partial(in + i, n - i))));
}

template <class Op, class T>
void extreme_inner(Op op, T* values, int64_t* indices, const T* in, int64_t rows, int64_t cols, int64_t row_stride) {
  constexpr int64_t L = vec<T>::size, block = 2048;
  const auto write = [&](int64_t r, int64_t i) PYDL_FORCE_INLINE {
    indices[r] = i;
    if (values) values[r] = in[r * row_stride + i];
  };
  if (cols <= block / L) {  // L rows fit in L1: their extremes together, then one search each
    T best[L];
    for (int64_t r = 0; r < rows; r += L) {
      const int64_t count = rows - r < L ? rows - r : L;
      reduce_inner(op, best, in + r * row_stride, count, cols, row_stride);
      for (int64_t k = 0; k < count; ++k) write(r + k, find_first(in + (r + k) * row_stride, cols, best[k]));
    }
    return;
  }
  for (int64_t r = 0; r < rows; ++r) {  // the extreme block by block; only the block that holds it is searched
    const T* row = in + r * row_stride;
    T best = row[0];
    int64_t where = 0;
    for (int64_t c = 0; c < cols; c += block) {
      const T top = across(op, reduce_block(op, row + c, cols - c < block ? cols - c : block));
      if (op.replaces(top, best)) best = top, where = c;
      if (best != best) break;
    }
    write(r, where + find_first(row + where, cols - where < block ? cols - where : block, best));
  }
}

// Rows R at a time against the running best of every column and its row number.
template <int R, class Op, class T>
PYDL_INLINE void extreme_rows(Op op, T* best, int_of<T>* where, const T* in, int64_t width, int64_t stride,
                              int64_t row) {
  using raw_int = typename vec<T>::raw_int;
  for_vectors<T>(width, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
    vec<T> top = lanes.load(best + j);
    raw_int index;
    __builtin_memcpy(&index, where + j, sizeof index);
    for (int r = 0; r < R; ++r) {
      const vec<T> x = lanes.load(in + r * stride + j);
      const mask<T> take = op.replaces(x, top);
      top = select(take, x, top);
      index = take.m ? raw_int{} + int_of<T>(row + r) : index;
    }
    lanes.store(top, best + j);
    __builtin_memcpy(where + j, &index, sizeof index);
  });
}

template <class Op, class T>
void extreme_outer(Op op, T* values, int64_t* indices, const T* in, int64_t batch, int64_t n, int64_t cols,
                   int64_t batch_stride, int64_t row_stride) {
  constexpr int64_t tile = kTileBytes / sizeof(T) / 2, pad = vec<T>::size, span = int64_t(1) << 30;
  T best[tile];
  int_of<T> where[tile + pad];  // row numbers within a span fit an int32
  for (int64_t b = 0; b < batch; ++b, indices += cols, in += batch_stride, values += values ? cols : 0)
    for (int64_t j = 0; j < cols; j += tile) {
      const int64_t width = cols - j < tile ? cols - j : tile;
      for (int64_t begin = 0; begin < n; begin += span) {
        const int64_t end = n - begin < span ? n : begin + span;
        const T* first = in + begin * row_stride + j;
        for (int64_t k = 0; k < width; ++k) best[k] = first[k];
        for (int64_t k = 0; k < width + pad; ++k) where[k] = 0;
        int64_t i = begin + 1;
        for (; i + 8 <= end; i += 8)
          extreme_rows<8>(op, best, where, in + i * row_stride + j, width, row_stride, i - begin);
        for (; i < end; ++i) extreme_rows<1>(op, best, where, in + i * row_stride + j, width, row_stride, i - begin);
        for (int64_t k = 0; k < width; ++k)
          if (begin == 0 || op.replaces(best[k], in[indices[j + k] * row_stride + j + k]))
            indices[j + k] = begin + where[k];
      }
      if (values)
        for (int64_t k = 0; k < width; ++k) values[j + k] = in[indices[j + k] * row_stride + j + k];
    }
}

template <class Op, class T>
void extreme_combine(Op op, T* values, int64_t* indices, const T* piece_values, const int64_t* piece_indices,
                     int64_t size, int64_t offset) {
  for (int64_t k = 0; k < size; ++k)
    if (op.replaces(piece_values[k], values[k])) values[k] = piece_values[k], indices[k] = offset + piece_indices[k];
}

#define EXTREME(name, Op)                                                                                             \
  template <class T>                                                                                                  \
  void name##_inner(T* values, int64_t* indices, const T* in, int64_t rows, int64_t cols, int64_t row_stride) {       \
    extreme_inner(Op<T>{}, values, indices, in, rows, cols, row_stride);                                              \
  }                                                                                                                   \
  template <class T>                                                                                                  \
  void name##_outer(T* values, int64_t* indices, const T* in, int64_t batch, int64_t n, int64_t cols,                 \
                    int64_t batch_stride, int64_t row_stride) {                                                       \
    extreme_outer(Op<T>{}, values, indices, in, batch, n, cols, batch_stride, row_stride);                            \
  }                                                                                                                   \
  template <class T>                                                                                                  \
  void name##_combine(T* values, int64_t* indices, const T* piece_values, const int64_t* piece_indices, int64_t size, \
                      int64_t offset) {                                                                               \
    extreme_combine(Op<T>{}, values, indices, piece_values, piece_indices, size, offset);                             \
  }
EXTREME(max_index, Largest)
EXTREME(min_index, Smallest)
#undef EXTREME

}  // namespace
PYDL_ISA_END
