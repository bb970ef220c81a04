// Winograd's minimal filtering F(4x4, 3x3) by vectors of channels, after Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks" (2016), with the points 0, 1, -1, 2, -2 and infinity: a 4x4 tile of y is
// A'((G w G') * (B' x B))A of the 6x6 tile of x under it. Included by conv.cpp.
//
// Accuracy: the transforms multiply by up to 8 and cancel; errors of y grow to some 1e-6 of its largest value.
#pragma once
#include "kernels/conv.h"
#include "kernels/lanes.h"

PYDL_ISA_BEGIN
namespace {

inline constexpr int kIn = kWinogradIn, kOut = kWinogradOut;

// y = B' x of six values; 14 operations.
template <class V> PYDL_INLINE void transform_input(V (&y)[kIn], const V (&x)[kIn]) {
  const V a = fma(V(-4), x[2], x[4]), b = fma(V(-4), x[1], x[3]);
  const V c = x[4] - x[2], d = (x[3] - x[1]) * V(2);
  y[0] = fma(V(4), x[0], fma(V(-5), x[2], x[4]));
  y[1] = a + b;
  y[2] = a - b;
  y[3] = c + d;
  y[4] = c - d;
  y[5] = fma(V(4), x[1], fma(V(-5), x[3], x[5]));
}
// y = G w of three values.
template <class V> PYDL_INLINE void transform_weight(V (&y)[kIn], const V (&w)[3]) {
  const V sum = w[0] + w[2], wide = fma(V(4), w[2], w[0]) * V(1.0 / 24);
  y[0] = w[0] * V(0.25);
  y[1] = (sum + w[1]) * V(-1.0 / 6);
  y[2] = (sum - w[1]) * V(-1.0 / 6);
  y[3] = fma(w[1], V(1.0 / 12), wide);
  y[4] = fma(w[1], V(-1.0 / 12), wide);
  y[5] = w[2];
}
// y = A' m of six values.
template <class V> PYDL_INLINE void transform_output(V (&y)[kOut], const V (&m)[kIn]) {
  const V a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
  y[0] = m[0] + a + c;
  y[1] = fma(V(2), d, b);
  y[2] = fma(V(4), c, a);
  y[3] = fma(V(8), d, b) + m[5];
}

template <class T>
void winograd_input(T* v, int64_t plane, const T* x, int64_t row_pitch, int64_t pitch, int64_t channels) {
  using V = vec<T>;
  for_vectors<T>(channels, [&](int64_t c, auto lanes) __attribute__((always_inline)) {
    V half[kIn][kIn];
    PYDL_UNROLL for (int j = 0; j < kIn; ++j) {
      V column[kIn], out[kIn];
      PYDL_UNROLL for (int i = 0; i < kIn; ++i) column[i] = lanes.load(x + c + i * row_pitch + j * pitch);
      transform_input(out, column);
      PYDL_UNROLL for (int i = 0; i < kIn; ++i) half[i][j] = out[i];
    }
    PYDL_UNROLL for (int i = 0; i < kIn; ++i) {
      V out[kIn];
      transform_input(out, half[i]);
      PYDL_UNROLL for (int j = 0; j < kIn; ++j) lanes.store(out[j], v + c + (i * kIn + j) * plane);
    }
  });
}

template <class T>
void winograd_output(T* y, int64_t row_pitch, int64_t pitch, int64_t rows, int64_t columns, const T* m, int64_t plane,
                     int64_t channels, const Epilogue<T>& epilogue) {
  using V = vec<T>;
  const bool relu = epilogue.activation == Activation::Relu;
  for_vectors<T>(channels, [&](int64_t c, auto lanes) __attribute__((always_inline)) {
    V half[kOut][kIn];
    PYDL_UNROLL for (int j = 0; j < kIn; ++j) {
      V column[kIn], out[kOut];
      PYDL_UNROLL for (int i = 0; i < kIn; ++i) column[i] = lanes.load(m + c + (i * kIn + j) * plane);
      transform_output(out, column);
      PYDL_UNROLL for (int i = 0; i < kOut; ++i) half[i][j] = out[i];
    }
    const V bias = epilogue.row_bias ? lanes.load(epilogue.row_bias + c) : V(0);
    PYDL_UNROLL for (int i = 0; i < kOut; ++i) {
      if (i >= rows) break;
      V out[kOut];
      transform_output(out, half[i]);
      PYDL_UNROLL for (int j = 0; j < kOut; ++j) {
        if (j >= columns) break;
        out[j] += bias;
        if (relu) out[j] = select(out[j] < T(0), V(0), out[j]);
        lanes.store(out[j], y + c + i * row_pitch + j * pitch);
      }
    }
  });
}

template <class T> void winograd_weight(T* u, int64_t plane, const T* packed, int64_t channels, int64_t reduced) {
  using V = vec<T>;
  constexpr int64_t L = V::size;
  for (int64_t j = 0; j < channels; j += kPanelVectors * L) {
    const int64_t width = panel_width<T>(channels, j);
    const T* const in = packed + j * reduced * 9;
    T* const out = u + j * reduced;
    for (int64_t q = 0; q < reduced * width; q += L) {
      V half[kIn][3];
      PYDL_UNROLL for (int b = 0; b < 3; ++b) {
        V column[3], to[kIn];
        PYDL_UNROLL for (int a = 0; a < 3; ++a) column[a] = V::load(in + q + (a * 3 + b) * reduced * width);
        transform_weight(to, column);
        PYDL_UNROLL for (int i = 0; i < kIn; ++i) half[i][b] = to[i];
      }
      PYDL_UNROLL for (int i = 0; i < kIn; ++i) {
        V to[kIn];
        transform_weight(to, half[i]);
        PYDL_UNROLL for (int k = 0; k < kIn; ++k) to[k].store(out + q + (i * kIn + k) * plane);
      }
    }
  }
}

}  // namespace
PYDL_ISA_END
