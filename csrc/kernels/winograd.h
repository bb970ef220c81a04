// Winograd's minimal filtering F(4x4, 3x3) by vectors of channels, after Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks" (2016), with the points 0, 1, -1, 2, -2 and infinity: a 4x4 tile of y is
// A'((G w G') * (B' x B))A of the 6x6 tile of x under it. Included by conv.cpp.
//
// The gradient of w is the transpose of that, G'((A y A') * (B' x B))G summed over tiles.
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

// y = A m of four values, and y = G' u of six.
template <class V> PYDL_INLINE void transform_gradient(V (&y)[kIn], const V (&m)[kOut]) {
  const V even = m[0] + m[2], odd = m[1] + m[3];
  const V wide = fma(V(4), m[2], m[0]), high = fma(V(8), m[3], m[1] * V(2));
  y[0] = m[0];
  y[1] = even + odd;
  y[2] = even - odd;
  y[3] = wide + high;
  y[4] = wide - high;
  y[5] = m[3];
}
template <class V> PYDL_INLINE void transform_weight_gradient(V (&y)[3], const V (&u)[kIn]) {
  const V near = u[1] + u[2], far = u[3] + u[4];
  y[0] = fma(V(1.0 / 24), far, fma(V(-1.0 / 6), near, u[0] * V(0.25)));
  y[1] = fma(V(1.0 / 12), u[3] - u[4], (u[2] - u[1]) * V(1.0 / 6));
  y[2] = fma(V(1.0 / 6), far - near, u[5]);
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
  if (epilogue.elementwise)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) epilogue.elementwise(y + i * row_pitch + j * pitch, channels);
}

template <class T>
void winograd_gradient(T* v, int64_t plane, const T* y, int64_t row_pitch, int64_t pitch, int64_t rows, int64_t columns,
                       int64_t channels) {
  using V = vec<T>;
  for_vectors<T>(channels, [&](int64_t c, auto lanes) __attribute__((always_inline)) {
    V half[kIn][kOut];
    PYDL_UNROLL for (int j = 0; j < kOut; ++j) {
      V column[kOut], out[kIn];
      PYDL_UNROLL for (int i = 0; i < kOut; ++i)
        column[i] = i < rows && j < columns ? lanes.load(y + c + i * row_pitch + j * pitch) : V(0);
      transform_gradient(out, column);
      PYDL_UNROLL for (int i = 0; i < kIn; ++i) half[i][j] = out[i];
    }
    PYDL_UNROLL for (int i = 0; i < kIn; ++i) {
      V out[kIn];
      transform_gradient(out, half[i]);
      PYDL_UNROLL for (int j = 0; j < kIn; ++j) lanes.store(out[j], v + c + (i * kIn + j) * plane);
    }
  });
}

// f(values of a panel's rows, offset of the panel in a plane, in packed 3x3 weights, and their distance between taps).
template <class T, class F> PYDL_INLINE void for_filter_panels(int64_t channels, int64_t reduced, F f) {
  constexpr int64_t kPanel = kPanelVectors * vec<T>::size;
  for (int64_t j = 0; j < channels; j += kPanel) {
    const int64_t values = reduced * panel_width<T>(channels, j);
    f(values, j * reduced, j * reduced * 9, values);
  }
}

template <class T>
void winograd_weight_gradient(T* packed, const T* u, int64_t plane, int64_t channels, int64_t reduced) {
  using V = vec<T>;
  for_filter_panels<T>(channels, reduced, [&](int64_t values, int64_t from, int64_t to, int64_t tap)
                                              __attribute__((always_inline)) {
    for (int64_t q = 0; q < values; q += V::size) {
      V half[3][kIn];
      PYDL_UNROLL for (int j = 0; j < kIn; ++j) {
        V column[kIn], out[3];
        PYDL_UNROLL for (int i = 0; i < kIn; ++i) column[i] = V::load(u + from + q + (i * kIn + j) * plane);
        transform_weight_gradient(out, column);
        PYDL_UNROLL for (int a = 0; a < 3; ++a) half[a][j] = out[a];
      }
      PYDL_UNROLL for (int a = 0; a < 3; ++a) {
        V out[3];
        transform_weight_gradient(out, half[a]);
        PYDL_UNROLL for (int b = 0; b < 3; ++b) out[b].store(packed + to + q + (a * 3 + b) * tap);
      }
    }
  });
}

template <class T> void winograd_weight(T* u, int64_t plane, const T* packed, int64_t channels, int64_t reduced) {
  using V = vec<T>;
  for_filter_panels<T>(channels, reduced, [&](int64_t values, int64_t to, int64_t from, int64_t tap)
                                              __attribute__((always_inline)) {
    for (int64_t q = 0; q < values; q += V::size) {
      V half[kIn][3];
      PYDL_UNROLL for (int b = 0; b < 3; ++b) {
        V column[3], out[kIn];
        PYDL_UNROLL for (int a = 0; a < 3; ++a) column[a] = V::load(packed + from + q + (a * 3 + b) * tap);
        transform_weight(out, column);
        PYDL_UNROLL for (int i = 0; i < kIn; ++i) half[i][b] = out[i];
      }
      PYDL_UNROLL for (int i = 0; i < kIn; ++i) {
        V out[kIn];
        transform_weight(out, half[i]);
        PYDL_UNROLL for (int j = 0; j < kIn; ++j) out[j].store(u + to + q + (i * kIn + j) * plane);
      }
    }
  });
}

}  // namespace
PYDL_ISA_END
