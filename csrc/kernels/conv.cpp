// Direct convolution: register tiles of pixels x output channels over packed weights, after Georganas et al., "Anatomy
// of High-Performance Deep Learning Convolutions on SIMD Architectures" (2018), and the indirect addressing of Dukhan,
// "The Indirect Convolution Algorithm" (2019).
//
// Accuracy: one rounding per multiply-add (two on the baseline ISA) in ascending order of runs, or of pixels for weight
// gradients. A value's bits do not depend on the tile that it falls into.
#include "kernels/conv.h"

#include "kernels/lanes.h"
#include "kernels/square.h"

PYDL_ISA_BEGIN
namespace {

// ---- register budget -----------------------------------------------------------------------------------------------
// Tiles of kTileRows x 2 vectors fill the register file with accumulators, a row of weights and one broadcast value.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 14;
#elif defined(__AVX2__)
inline constexpr int kTileRows = 6;
#else
inline constexpr int kTileRows = 4;
#endif
inline constexpr int kPanelVectors = 2;

// How wide the panel that starts at channel j is in memory.
template <class T> PYDL_INLINE int64_t panel_width(int64_t channels, int64_t j) {
  constexpr int64_t L = vec<T>::size, kPanel = kPanelVectors * L;
  return channels - j < kPanel ? (channels - j + L - 1) / L * L : kPanel;
}

}  // namespace
PYDL_ISA_END

#include "kernels/depthwise.h"
#include "kernels/winograd.h"

PYDL_ISA_BEGIN
namespace {

// ---- pixels x channels ---------------------------------------------------------------------------------------------
// One row of a tile of y, of which the last vector has `last` channels.
template <class T, int NV> struct Row {
  static constexpr int64_t L = vec<T>::size;
  int64_t last;
  PYDL_INLINE vec<T> load(const T* p, int v) const {
    return v < NV - 1 || last == L ? vec<T>::load(p + v * L) : vec<T>::load_partial(p + v * L, last);
  }
  PYDL_INLINE void store(vec<T> x, T* p, int v) const {
    if (v < NV - 1 || last == L) x.store(p + v * L);
    else x.store_partial(p + v * L, last);
  }
};

template <class T, int MR, int NV>
void correlate_tile(const ConvBlock<T>& b, int64_t p, int64_t j, T* y, const T* x, const T* w, bool accumulate,
                    const Epilogue<T>& epilogue) {
  using V = vec<T>;
  constexpr int64_t L = V::size;
  const Row<T, NV> row{b.channels - j - (NV - 1) * L < L ? b.channels - j - (NV - 1) * L : L};
  int64_t at[MR];
  V acc[MR][NV];
  y += j;
  PYDL_UNROLL for (int i = 0; i < MR; ++i) at[i] = b.x_at[p + i];
  PYDL_UNROLL for (int i = 0; i < MR; ++i)
    PYDL_UNROLL for (int v = 0; v < NV; ++v) {
      acc[i][v] = V(0);
      if (!b.stream) __builtin_prefetch(y + b.y_at[p + i] + v * L, 1);
    }
  for (int64_t r = 0; r < b.runs; ++r) {
    const T* in = x + b.run_at[r];
    for (int64_t k = b.run_length; k > 0; --k, ++in, w += NV * L) {
      V wv[NV];
      PYDL_UNROLL for (int v = 0; v < NV; ++v) {
        wv[v] = V::load(w + v * L);
        __builtin_prefetch(w + 16 * L + v * L);
      }
      PYDL_UNROLL for (int i = 0; i < MR; ++i) {
        const V xv(in[at[i]]);
        PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[i][v] = fma(xv, wv[v], acc[i][v]);
      }
    }
  }
  if (accumulate) {
    PYDL_UNROLL for (int i = 0; i < MR; ++i)
      PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[i][v] = row.load(y + b.y_at[p + i], v) + acc[i][v];
  }
  if (epilogue.row_bias) {
    PYDL_UNROLL for (int v = 0; v < NV; ++v) {
      const V bias = row.load(epilogue.row_bias + j, v);
      PYDL_UNROLL for (int i = 0; i < MR; ++i) acc[i][v] += bias;
    }
  }
  if (epilogue.activation == Activation::Relu) {
    PYDL_UNROLL for (int i = 0; i < MR; ++i)
      PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[i][v] = select(acc[i][v] < T(0), V(0), acc[i][v]);
  }
  if (b.stream) {
    PYDL_UNROLL for (int i = 0; i < MR; ++i)
      PYDL_UNROLL for (int v = 0; v < NV; ++v) StreamedVector<T>{}.write(acc[i][v], y + b.y_at[p + i] + v * L);
  } else {
    PYDL_UNROLL for (int i = 0; i < MR; ++i)
      PYDL_UNROLL for (int v = 0; v < NV; ++v) row.store(acc[i][v], y + b.y_at[p + i], v);
  }
  if (epilogue.elementwise)
    for (int i = 0; i < MR; ++i) epilogue.elementwise(y + b.y_at[p + i], (NV - 1) * L + row.last);
}

// ---- places of runs x channels, summed over pixels -----------------------------------------------------------------
// The tile's rows start at place k of run r and lie one after the other in dw. Rows of one run are consecutive values
// of x; short runs share a tile, whose rows are then found one by one (Gathered).
template <class T, int MR, int NV, bool Gathered>
void weight_tile(const ConvBlock<T>& b, T* dw, const T* x, const T* y, int64_t r, int64_t k, bool accumulate) {
  using V = vec<T>;
  constexpr int64_t L = V::size;
  V acc[MR][NV];
  PYDL_UNROLL for (int i = 0; i < MR; ++i)
    PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[i][v] = V(0);
  int64_t at[MR];
  if constexpr (Gathered) {
    PYDL_UNROLL for (int i = 0; i < MR; ++i) {
      at[i] = b.run_at[r] + k;
      if (++k == b.run_length) k = 0, ++r;
    }
  } else {
    x += b.run_at[r] + k;
  }
  const int64_t *x_at = b.x_at, *y_at = b.y_at;
  for (int64_t p = b.pixels; p > 0; --p) {
    const T *const in = x + *x_at++, *const g = y + *y_at++;
    V gv[NV];
    PYDL_UNROLL for (int v = 0; v < NV; ++v) gv[v] = V::load(g + v * L);
    PYDL_UNROLL for (int i = 0; i < MR; ++i) {
      const V xv(Gathered ? in[at[i]] : in[i]);
      PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[i][v] = fma(xv, gv[v], acc[i][v]);
    }
  }
  PYDL_UNROLL for (int i = 0; i < MR; ++i)
    PYDL_UNROLL for (int v = 0; v < NV; ++v) {
      T* const out = dw + (i * NV + v) * L;
      (accumulate ? V::load(out) + acc[i][v] : acc[i][v]).store(out);
    }
}

template <class T>
using CorrelateTile = void (*)(const ConvBlock<T>&, int64_t, int64_t, T*, const T*, const T*, bool, const Epilogue<T>&);
template <class T>
using WeightTile = void (*)(const ConvBlock<T>&, T*, const T*, const T*, int64_t, int64_t, bool);

// The tile functions by height and number of vectors, less one.
template <class T> struct Tiles {
  CorrelateTile<T> correlate[kTileRows][kPanelVectors];
  WeightTile<T> weight[kTileRows][kPanelVectors][2];  // by Gathered
};
template <class T, int MR = 1, int NV = 1> constexpr void fill_tiles(Tiles<T>& tiles) {
  tiles.correlate[MR - 1][NV - 1] = &correlate_tile<T, MR, NV>;
  tiles.weight[MR - 1][NV - 1][0] = &weight_tile<T, MR, NV, false>;
  tiles.weight[MR - 1][NV - 1][1] = &weight_tile<T, MR, NV, true>;
  if constexpr (NV < kPanelVectors) fill_tiles<T, MR, NV + 1>(tiles);
  else if constexpr (MR < kTileRows) fill_tiles<T, MR + 1, 1>(tiles);
}
template <class T> constexpr Tiles<T> make_tiles() {
  Tiles<T> tiles{};
  fill_tiles<T>(tiles);
  return tiles;
}
template <class T> inline constexpr Tiles<T> kTiles = make_tiles<T>();

// f(first channel, vectors, offset of the block's first packed row) for each panel.
template <class T, class F> PYDL_INLINE void for_panels(const ConvBlock<T>& b, F f) {
  constexpr int64_t L = vec<T>::size, kPanel = kPanelVectors * L;
  for (int64_t j = 0; j < b.channels; j += kPanel) {
    const int64_t width = b.channels - j < kPanel ? b.channels - j : kPanel, vectors = (width + L - 1) / L;
    f(j, vectors, (j * b.all_runs + b.first_run * vectors * L) * b.run_length);
  }
}

template <class T>
void correlate(const ConvBlock<T>& b, T* y, const T* x, const T* weight, bool accumulate, const Epilogue<T>& epilogue) {
  // Small weights stay in the cache while x and y stream through it once; otherwise a panel of them stays, and x.
  constexpr int64_t kSmallWeights = 192 * 1024;
  const TileRows tiles(b.pixels, kTileRows);
  const auto run = [&](int64_t t, int64_t& p, int64_t j, int64_t vectors, int64_t at) __attribute__((always_inline)) {
    kTiles<T>.correlate[tiles.height_of(t) - 1][vectors - 1](b, p, j, y, x, weight + at, accumulate, epilogue);
  };
  if (b.runs * b.run_length * b.channels * int64_t(sizeof(T)) <= kSmallWeights) {
    for (int64_t t = 0, p = 0; t < tiles.count; p += tiles.height_of(t++))
      for_panels(b, [&](int64_t j, int64_t vectors, int64_t at)
                        __attribute__((always_inline)) { run(t, p, j, vectors, at); });
  } else {
    for_panels(b, [&](int64_t j, int64_t vectors, int64_t at) __attribute__((always_inline)) {
      for (int64_t t = 0, p = 0; t < tiles.count; p += tiles.height_of(t++)) run(t, p, j, vectors, at);
    });
  }
  if (b.stream) stream_fence();
}

template <class T>
void correlate_weight(const ConvBlock<T>& b, T* dweight, const T* x, const T* y, bool accumulate) {
  constexpr int64_t L = vec<T>::size;
  // Runs shorter than a tile are taken as one.
  const bool gathered = b.run_length < kTileRows && b.runs > 1;
  const int64_t stretches = gathered ? 1 : b.runs, length = gathered ? b.runs * b.run_length : b.run_length;
  const TileRows tiles(length, kTileRows);
  for_panels(b, [&](int64_t j, int64_t vectors, int64_t at) __attribute__((always_inline)) {
    T* dw = dweight + at;
    for (int64_t r = 0; r < stretches; ++r) {
      int64_t row = 0;
      for (int64_t t = 0; t < tiles.count; ++t) {
        const int64_t height = tiles.height_of(t), run = gathered ? row / b.run_length : r;
        const int64_t k = gathered ? row % b.run_length : row;
        kTiles<T>.weight[height - 1][vectors - 1][gathered](b, dw, x, y + j, run, k, accumulate);
        row += height;
        dw += height * vectors * L;
      }
    }
  });
}

// ---- packing -------------------------------------------------------------------------------------------------------
template <class T> void pack_weight(T* packed, const T* weight, const ConvWeightLayout& layout) {
  constexpr int64_t L = vec<T>::size, kPanel = kPanelVectors * L;
  for (int64_t j = 0; j < layout.channels; j += L) {
    const int64_t lanes = layout.channels - j < L ? layout.channels - j : L, panel = j / kPanel * kPanel;
    const int64_t width = panel_width<T>(layout.channels, panel);
    T* const out = packed + panel * layout.rows + (j - panel);
    const int64_t* row_of = layout.row_of;
    for (int64_t s = 0; s < layout.segments; ++s, row_of += layout.segment_length) {
      const T* const in = weight + j * layout.lane_stride + s * layout.segment_stride;
      if (layout.lane_stride == 1) {
        for (int64_t q = 0; q < layout.segment_length; ++q)
          if (row_of[q] >= 0) vec<T>::load_partial(in + q, lanes).store(out + row_of[q] * width);
        continue;
      }
      for (int64_t q = 0; q < layout.segment_length; q += L) {
        const int64_t values = layout.segment_length - q < L ? layout.segment_length - q : L;
        vec<T> square[L];
        if (lanes == L && values == L) load_square(square, in + q, layout.lane_stride);
        else load_square(square, in + q, layout.lane_stride, lanes, values);
        PYDL_UNROLL for (int i = 0; i < L; ++i)
          if (i < values && row_of[q + i] >= 0) square[i].store(out + row_of[q + i] * width);
      }
    }
  }
}

template <class T>
void unpack_weight(T* weight, const T* packed, int64_t parts, int64_t part_stride, const ConvWeightLayout& layout) {
  constexpr int64_t L = vec<T>::size, kPanel = kPanelVectors * L;
  for (int64_t j = 0; j < layout.channels; j += L) {
    const int64_t lanes = layout.channels - j < L ? layout.channels - j : L, panel = j / kPanel * kPanel;
    const int64_t width = panel_width<T>(layout.channels, panel);
    const T* const in = packed + panel * layout.rows + (j - panel);
    const int64_t* row_of = layout.row_of;
    for (int64_t s = 0; s < layout.segments; ++s, row_of += layout.segment_length) {
      T* const out = weight + j * layout.lane_stride + s * layout.segment_stride;
      for (int64_t q = 0; q < layout.segment_length; q += L) {
        const int64_t values = layout.segment_length - q < L ? layout.segment_length - q : L;
        vec<T> square[L];
        PYDL_UNROLL for (int i = 0; i < L; ++i) {
          square[i] = vec<T>(0);
          if (i < values) {
            const T* const at = in + row_of[q + i] * width;
            square[i] = vec<T>::load(at);
            for (int64_t part = 1; part < parts; ++part) square[i] += vec<T>::load(at + part * part_stride);
          }
        }
        transpose<T>(square);
        PYDL_UNROLL for (int i = 0; i < L; ++i) {
          if (i >= lanes) break;
          if (values == L) square[i].store(out + q + i * layout.lane_stride);
          else square[i].store_partial(out + q + i * layout.lane_stride, values);
        }
      }
    }
  }
}

template <class T>
void copy_pixels(T* out, int64_t pitch, const T* in, int64_t pixel_stride, int64_t channel_stride, int64_t pixels,
                 int64_t channels) {
  constexpr int64_t L = vec<T>::size;
  if (channel_stride == 1) {
    for (int64_t p = 0; p < pixels; ++p)
      for_vectors<T>(channels, [&](int64_t c, auto lanes) __attribute__((always_inline)) {
        lanes.store(lanes.load(in + p * pixel_stride + c), out + p * pitch + c);
      });
  } else if (pixel_stride == 1 && channels > 4) {  // a square pays with more than a few rows
    for (int64_t p = 0; p < pixels; p += L)
      for (int64_t c = 0; c < channels; c += L) {
        const int64_t columns = pixels - p < L ? pixels - p : L, rows = channels - c < L ? channels - c : L;
        vec<T> square[L];
        if (rows == L && columns == L) load_square(square, in + c * channel_stride + p, channel_stride);
        else load_square(square, in + c * channel_stride + p, channel_stride, rows, columns);
        PYDL_UNROLL for (int i = 0; i < L; ++i) {
          if (i >= columns) break;
          if (rows == L) square[i].store(out + (p + i) * pitch + c);
          else square[i].store_partial(out + (p + i) * pitch + c, rows);
        }
      }
  } else {
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < channels; ++c) out[p * pitch + c] = in[p * pixel_stride + c * channel_stride];
  }
}

template <class T> constexpr ConvKernels<T> make() {
#define KERNEL(name, result, args) &name<T>,
  return {
#include "kernels/conv.inc"
      kPanelVectors * vec<T>::size, vec<T>::size};
#undef KERNEL
}

}  // namespace

extern const ConvKernels<float> conv_f32;
extern const ConvKernels<double> conv_f64;
const ConvKernels<float> conv_f32 = make<float>();
const ConvKernels<double> conv_f64 = make<double>();

PYDL_ISA_END
