#include "kernels/move.h"

#include <utility>

#include "base/truth.h"
#include "kernels/bytes.h"

PYDL_ISA_BEGIN
namespace {

// ---- contiguous runs -----------------------------------------------------------------------------------------------
template <class T>
PYDL_INLINE void copy_run(T* out, const T* in, int64_t n) {
  copy_bytes(reinterpret_cast<char*>(out), reinterpret_cast<const char*>(in), n * int64_t(sizeof(T)));
}
template <class T>
PYDL_INLINE void stream_run(T* out, const T* in, int64_t n) {
  stream_bytes(reinterpret_cast<char*>(out), reinterpret_cast<const char*>(in), n * int64_t(sizeof(T)));
}

template <class T>
void copy_rows(T* out, int64_t out_stride, const T* in, int64_t in_stride, int64_t rows, int64_t cols, bool stream) {
  if (out_stride == cols && in_stride == cols) cols *= rows, rows = rows > 0;
  if (stream) {
    for (int64_t i = 0; i < rows; ++i) stream_run(out + i * out_stride, in + i * in_stride, cols);
    return stream_fence();
  }
  if (cols == 1) {
    for (int64_t i = 0; i < rows; ++i) out[i * out_stride] = in[i * in_stride];
    return;
  }
  for (int64_t i = 0; i < rows; ++i) copy_run(out + i * out_stride, in + i * in_stride, cols);
}

template <class T>
void copy_strided(T* out, int64_t out_stride, const T* in, int64_t in_stride, int64_t n) {
  if (out_stride == 1 && in_stride == 1) {
    copy_run(out, in, n);
  } else if (out_stride == 1 && in_stride == 0) {
    const T value = n > 0 ? *in : T();
    for (int64_t i = 0; i < n; ++i) out[i] = value;
  } else if (out_stride == 1) {
    for (int64_t i = 0; i < n; ++i) out[i] = in[i * in_stride];
  } else if (in_stride == 1) {
    for (int64_t i = 0; i < n; ++i) out[i * out_stride] = in[i];
  } else {
    for (int64_t i = 0; i < n; ++i) out[i * out_stride] = in[i * in_stride];
  }
}

template <class T>
void repeat_rows(T* out, const T* in, int64_t rows, int64_t repeats, int64_t cols) {
  if (cols == 1 && repeats == 2) {
    for (int64_t i = 0; i < rows; ++i) out[2 * i] = out[2 * i + 1] = in[i];
  } else if (cols == 1) {
    for (int64_t i = 0; i < rows; ++i, out += repeats)
      for (int64_t r = 0; r < repeats; ++r) out[r] = in[i];
  } else {
    for (int64_t i = 0; i < rows; ++i, in += cols)
      for (int64_t r = 0; r < repeats; ++r, out += cols) copy_run(out, in, cols);
  }
}

template <class T>
void reverse(T* __restrict out, const T* __restrict in, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = in[n - 1 - i];
}

template <class T>
void fill(T* out, T value, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = value;
}

// ---- transposition -------------------------------------------------------------------------------------------------
// 128-bit lanes hold E elements. A block of E*Lanes rows and E columns becomes E registers, lane k of register r being
// row k*E + r; log2(E) rounds of interleaving inside lanes transpose every lane, and register c is then column c.
template <class T, int Lanes>
struct Block {
  static constexpr int E = 16 / int(sizeof(T)), N = E * Lanes;
  typedef T Register __attribute__((vector_size(16 * Lanes)));
  typedef T Lane __attribute__((vector_size(16)));
  typedef T UnalignedLane __attribute__((vector_size(16), aligned(alignof(T)), may_alias));
  typedef T UnalignedRegister __attribute__((vector_size(16 * Lanes), aligned(alignof(T)), may_alias));

  // Lanes rows, E rows apart.
  static PYDL_INLINE Register load(const T* in, int64_t stride) {
    auto lane = [&](int k) __attribute__((always_inline)) {
      return Lane(*reinterpret_cast<const UnalignedLane*>(in + k * E * stride));
    };
    if constexpr (Lanes == 1) {
      return lane(0);
    } else if constexpr (Lanes == 2) {
      return join(lane(0), lane(1), std::make_integer_sequence<int, 2 * E>{});
    } else {
      const auto low = join(lane(0), lane(1), std::make_integer_sequence<int, 2 * E>{});
      const auto high = join(lane(2), lane(3), std::make_integer_sequence<int, 2 * E>{});
      return join(low, high, std::make_integer_sequence<int, 4 * E>{});
    }
  }
  template <class V, int... I>
  static PYDL_INLINE auto join(V a, V b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, I...);
  }
  // The low (Half = 0) or high halves of the lanes of a and b, element by element in turns.
  template <int Half, int... I>
  static PYDL_INLINE Register interleave(Register a, Register b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (I / E * E + I % E / 2 + Half * (E / 2) + I % 2 * N)...);
  }
  static PYDL_INLINE void transpose_lanes(Register (&r)[E]) {
    using All = std::make_integer_sequence<int, N>;
    for (int width = 1; width < E; width *= 2) {
      Register next[E];
      for (int i = 0; i < E / 2; ++i) {
        next[2 * i] = interleave<0>(r[i], r[i + E / 2], All{});
        next[2 * i + 1] = interleave<1>(r[i], r[i + E / 2], All{});
      }
      for (int i = 0; i < E; ++i) r[i] = next[i];
    }
  }
  // N rows, E * Wide columns. All loads of a row stand together: large power-of-two strides put the rows into few
  // cache sets, which would lose a line before its next use.
  template <int Wide, bool Stream>
  static PYDL_INLINE void run(T* out, int64_t out_stride, const T* in, int64_t in_stride) {
    Register r[Wide][E];
    for (int i = 0; i < E; ++i)
      for (int w = 0; w < Wide; ++w) r[w][i] = load(in + i * in_stride + w * E, in_stride);
    for (int w = 0; w < Wide; ++w) {
      transpose_lanes(r[w]);
      for (int i = 0; i < E; ++i) {
        T* const o = out + (w * E + i) * out_stride;
        if constexpr (Stream)
          stream_chunk<16 * Lanes>(reinterpret_cast<char*>(o), reinterpret_cast<const char*>(&r[w][i]));
        else
          *reinterpret_cast<UnalignedRegister*>(o) = r[w][i];
      }
    }
  }
};

// Blocks of N rows and E*Wide columns over the matrix; the last ones overlap those before. rows >= N, cols >= E.
template <int Lanes, int Wide, bool Stream, class T>
void transpose_blocks(T* out, int64_t out_stride, const T* in, int64_t in_stride, int64_t rows, int64_t cols) {
  using B = Block<T, Lanes>;
  constexpr int64_t kLine = 64 / sizeof(T) > B::N ? 64 / sizeof(T) : B::N;  // rows that fill a cache line of the output
  auto block = [&]<int W>(std::integral_constant<int, W>, int64_t row, int64_t column) __attribute__((always_inline)) {
    T* const o = out + column * out_stride + row;
    const T* const a = in + row * in_stride + column;
    if (Stream && row % B::N == 0)
      B::template run<W, Stream>(o, out_stride, a, in_stride);
    else
      B::template run<W, false>(o, out_stride, a, in_stride);
  };
  for (int64_t strip = 0; strip < rows; strip += kLine) {
    const int64_t strip_end = strip + kLine < rows ? strip + kLine : rows;
    for (int64_t j = 0; j < cols;) {
      const bool wide = j + B::E * Wide <= cols;
      const int64_t column = wide || j + B::E <= cols ? j : cols - B::E;
      for (int64_t i = strip; i < strip_end; i += B::N) {
        const int64_t row = i + B::N <= rows ? i : rows - B::N;
        if (wide)
          block(std::integral_constant<int, Wide>{}, row, column);
        else
          block(std::integral_constant<int, 1>{}, row, column);
      }
      j += wide ? B::E * Wide : B::E;
    }
  }
}

template <class T>
void transpose(T* out, int64_t out_stride, const T* in, int64_t in_stride, int64_t rows, int64_t cols, bool stream) {
  constexpr int Lanes = kVectorBytes / 16, E = Block<T, Lanes>::E;
  constexpr int Wide = Lanes < 4 || E > 8 ? 1 : E == 8 ? 2 : 4;
  if (cols == 1) return copy_strided(out, 1, in, in_stride, rows);
  if (rows == 1) return copy_strided(out, out_stride, in, 1, cols);
  if (rows >= E * Lanes && cols >= E) {
    if (!stream || !is_aligned(out) || out_stride * int64_t(sizeof(T)) % kVectorBytes != 0)
      return transpose_blocks<Lanes, Wide, false>(out, out_stride, in, in_stride, rows, cols);
    transpose_blocks<Lanes, Wide, true>(out, out_stride, in, in_stride, rows, cols);
    return stream_fence();
  }
  if (rows >= E && cols >= E) return transpose_blocks<1, 1, false>(out, out_stride, in, in_stride, rows, cols);
  if (rows < cols) {
    for (int64_t j = 0; j < cols; ++j)
      for (int64_t i = 0; i < rows; ++i) out[j * out_stride + i] = in[i * in_stride + j];
  } else {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < cols; ++j) out[j * out_stride + i] = in[i * in_stride + j];
  }
}

// ---- by index ------------------------------------------------------------------------------------------------------
constexpr int64_t kAhead = 12;  // rows fetched ahead: enough to cover a miss, few enough to stay in L1

template <class T>
PYDL_INLINE void prefetch_row(const T* row, int64_t cols) {
  const char* const p = reinterpret_cast<const char*>(row);
  const int64_t bytes = cols * int64_t(sizeof(T));
  for (int64_t b = 0; b < bytes && b < 512; b += 64) __builtin_prefetch(p + b);
}

template <class T>
void gather(T* out, int64_t out_stride, const T* in, int64_t along, int64_t step, const int64_t* index,
            int64_t index_stride, int64_t n) {
  if (out_stride == 1 && index_stride == 1 && along == 1 && step == 0) {
#pragma GCC unroll 8
    for (int64_t i = 0; i < n; ++i) out[i] = in[index[i]];
  } else {
    for (int64_t i = 0; i < n; ++i) out[i * out_stride] = in[index[i * index_stride] * along + i * step];
  }
}

// One row per index.
template <class T, class Run>
PYDL_INLINE void gather_rows_by(T* out, int64_t out_stride, const T* in, int64_t in_stride, const int64_t* index,
                                int64_t n, int64_t cols, Run run) {
  int64_t i = 0;
  for (; i < n - kAhead; ++i) {
    prefetch_row(in + index[i + kAhead] * in_stride, cols);
    run(out + i * out_stride, in + index[i] * in_stride);
  }
  for (; i < n; ++i) run(out + i * out_stride, in + index[i] * in_stride);
}

template <class T>
void gather_rows(T* out, int64_t out_stride, const T* in, int64_t in_stride, const int64_t* index, int64_t n,
                 int64_t cols, bool stream) {
  if (cols == 1) {
    gather(out, out_stride, in, in_stride, 0, index, 1, n);
  } else if (stream) {
    gather_rows_by(out, out_stride, in, in_stride, index, n, cols,
                   [cols](T* o, const T* a) { stream_run(o, a, cols); });
    stream_fence();
  } else {
    gather_rows_by(out, out_stride, in, in_stride, index, n, cols, [cols](T* o, const T* a) { copy_run(o, a, cols); });
  }
}

template <class T>
void scatter_rows(T* out, int64_t out_stride, const T* in, int64_t in_stride, const int64_t* index, int64_t n,
                  int64_t cols, int64_t first, int64_t last) {
  for (int64_t i = 0; i < n; ++i)
    if (index[i] >= first && index[i] < last) copy_run(out + index[i] * out_stride, in + i * in_stride, cols);
}

template <class T>
void scatter(T* out, int64_t along, int64_t step, const T* in, int64_t in_stride, const int64_t* index,
             int64_t index_stride, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[index[i * index_stride] * along + i * step] = in[i * in_stride];
}

// ---- by mask -------------------------------------------------------------------------------------------------------
// Calls run(i, count) for runs of true elements, eight mask bytes at a time: all of a word, none of it, or bit by bit.
template <class Run>
PYDL_INLINE void for_true(const uint8_t* mask, int64_t n, Run run) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t word;
    std::memcpy(&word, mask + i, 8);
    word = truths(word);
    if (word == 0x0101010101010101) {
      run(i, int64_t(8));
      continue;
    }
    for (; word; word &= word - 1) run(i + __builtin_ctzll(word) / 8, int64_t(1));
  }
  for (; i < n; ++i)
    if (mask[i]) run(i, int64_t(1));
}

template <class T>
int64_t masked_select(T* out, const T* in, const uint8_t* mask, int64_t n) {
  T* const begin = out;
  for_true(mask, n, [&](int64_t i, int64_t count) {
    for (int64_t k = 0; k < count; ++k) *out++ = in[i + k];
  });
  return out - begin;
}

template <class T>
int64_t masked_scatter(T* out, const uint8_t* mask, const T* in, int64_t n) {
  const T* const begin = in;
  for_true(mask, n, [&](int64_t i, int64_t count) {
    for (int64_t k = 0; k < count; ++k) out[i + k] = *in++;
  });
  return in - begin;
}

template <class T>
void masked_fill(T* out, const T* in, const uint8_t* mask, T value, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = mask[i] ? value : in[i];
}

#define KERNEL(name, result, args) &name<T>,
template <class T>
constexpr MoveKernels<T> make() {
  return {
#include "kernels/move.inc"
  };
}
#undef KERNEL

}  // namespace

#define TABLE(name, T)              \
  extern const MoveKernels<T> name; \
  const MoveKernels<T> name = make<T>();
TABLE(move_u8, uint8_t)
TABLE(move_u16, uint16_t)
TABLE(move_u32, uint32_t)
TABLE(move_u64, uint64_t)
#undef TABLE

PYDL_ISA_END
