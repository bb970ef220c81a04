// Depthwise convolution: channel c of y sees only channel c of x, so vectors run along channels and every value of x is
// used once a tap. Included by conv.cpp.
#pragma once
#include "kernels/conv.h"
#include "kernels/lanes.h"

PYDL_ISA_BEGIN
namespace {

// Taps in threes, each a pixel further than the one before: what 3-wide filters at stride 1 see between the borders.
template <class T> PYDL_INLINE bool slides(const DepthwiseRow<T>& r) {
  if (r.taps % 3 != 0) return false;
  for (int64_t t = 0; t < r.taps; t += 3)
    if (r.x_at[t + 1] - r.x_at[t] != r.x_pitch || r.x_at[t + 2] - r.x_at[t + 1] != r.x_pitch) return false;
  return true;
}

// P pixels x NV vectors of channels, of which the last may be partial. When the taps slide, every value of x is loaded
// once for the three taps that meet it.
template <class T, int P, int NV, bool Slides, class Last>
PYDL_INLINE void depthwise_tile(const DepthwiseRow<T>& r, T* y, const T* x, const T* w, const T* bias, bool relu,
                                Last last) {
  using V = vec<T>;
  constexpr int64_t L = V::size;
  const auto load = [&](const T* p, int v) __attribute__((always_inline)) {
    return v < NV - 1 ? V::load(p + v * L) : last.load(p + v * L);
  };
  V acc[P][NV];
  PYDL_UNROLL for (int v = 0; v < NV; ++v) {
    const V start = bias ? load(bias, v) : V(0);
    PYDL_UNROLL for (int p = 0; p < P; ++p) acc[p][v] = start;
  }
  constexpr int kTaps = Slides ? 3 : 1;
  for (int64_t t = 0; t < r.taps; t += kTaps) {
    const T* const in = x + r.x_at[t];
    V wv[kTaps][NV];
    PYDL_UNROLL for (int k = 0; k < kTaps; ++k)
      PYDL_UNROLL for (int v = 0; v < NV; ++v) wv[k][v] = V::load(w + (r.row[t + k] * NV + v) * L);
    PYDL_UNROLL for (int q = 0; q < P + kTaps - 1; ++q)
      PYDL_UNROLL for (int v = 0; v < NV; ++v) {
        const V xv = load(in + q * r.x_pitch, v);
        PYDL_UNROLL for (int k = kTaps - 1; k >= 0; --k)
          if (q - k >= 0 && q - k < P) acc[q - k][v] = fma(xv, wv[k][v], acc[q - k][v]);
      }
  }
  PYDL_UNROLL for (int p = 0; p < P; ++p)
    PYDL_UNROLL for (int v = 0; v < NV; ++v) {
      if (relu) acc[p][v] = select(acc[p][v] < T(0), V(0), acc[p][v]);
      T* const out = y + p * r.y_pitch + v * L;
      if (r.stream) StreamedVector<T>{}.write(acc[p][v], out);
      else if (v < NV - 1) acc[p][v].store(out);
      else last.store(acc[p][v], out);
    }
}

// f(first channel, tag of the number of vectors, the last vector) for each panel of channels.
template <class T, class F> PYDL_INLINE void for_channel_panels(int64_t channels, F f) {
  constexpr int64_t L = vec<T>::size;
  int64_t j = 0;
  for (; j + 2 * L <= channels; j += 2 * L) f(j, std::integral_constant<int, 2>{}, WholeVector<T>{});
  const int64_t rest = channels - j;
  if (rest > L) f(j, std::integral_constant<int, 2>{}, PartVector<T>{rest - L});
  else if (rest == L) f(j, std::integral_constant<int, 1>{}, WholeVector<T>{});
  else if (rest > 0) f(j, std::integral_constant<int, 1>{}, PartVector<T>{rest});
}

template <class T>
void depthwise(const DepthwiseRow<T>& r, T* y, const T* x, const T* weight, const T* bias, Activation activation) {
  const bool relu = activation == Activation::Relu;
  int64_t p = 0;
  const bool sliding = slides(r);
  const auto run = [&](auto pixels) __attribute__((always_inline)) {
    constexpr int P = decltype(pixels)::value;
    for_channel_panels<T>(r.channels, [&](int64_t j, auto vectors, auto last) __attribute__((always_inline)) {
      constexpr int NV = decltype(vectors)::value;
      const T *const in = x + p * r.x_pitch + j, *const w = weight + j * r.all_taps,
                     *const b = bias ? bias + j : nullptr;
      if (sliding) depthwise_tile<T, P, NV, true>(r, y + p * r.y_pitch + j, in, w, b, relu, last);
      else depthwise_tile<T, P, NV, false>(r, y + p * r.y_pitch + j, in, w, b, relu, last);
    });
    p += P;
  };
  if constexpr (kVectorBytes == 64)  // as many pixels as the registers hold: they share the loads of the weights
    while (p + 8 <= r.pixels) run(std::integral_constant<int, 8>{});
  while (p + 4 <= r.pixels) run(std::integral_constant<int, 4>{});
  if (p + 2 <= r.pixels) run(std::integral_constant<int, 2>{});
  if (p < r.pixels) run(std::integral_constant<int, 1>{});
}

// NT taps from `first` on, summed over the row's pixels and added to dw.
template <class T, int NT, int NV, class Last>
PYDL_INLINE void depthwise_weight_taps(const DepthwiseRow<T>& r, T* dw, const T* x, const T* y, int64_t first,
                                       Last last) {
  using V = vec<T>;
  constexpr int64_t L = V::size;
  const auto load = [&](const T* p, int v) __attribute__((always_inline)) {
    return v < NV - 1 ? V::load(p + v * L) : last.load(p + v * L);
  };
  V acc[NT][NV];
  PYDL_UNROLL for (int t = 0; t < NT; ++t)
    PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[t][v] = V(0);
  int64_t at[NT];
  PYDL_UNROLL for (int t = 0; t < NT; ++t) at[t] = r.x_at[first + t];
  for (int64_t p = 0; p < r.pixels; ++p, x += r.x_pitch, y += r.y_pitch) {
    V g[NV];
    PYDL_UNROLL for (int v = 0; v < NV; ++v) g[v] = load(y, v);
    PYDL_UNROLL for (int t = 0; t < NT; ++t)
      PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[t][v] = fma(load(x + at[t], v), g[v], acc[t][v]);
  }
  PYDL_UNROLL for (int t = 0; t < NT; ++t)
    PYDL_UNROLL for (int v = 0; v < NV; ++v) {
      T* const out = dw + (r.row[first + t] * NV + v) * L;
      (V::load(out) + acc[t][v]).store(out);
    }
}

template <class T> void depthwise_weight(const DepthwiseRow<T>& r, T* dweight, const T* x, const T* y) {
  for_channel_panels<T>(r.channels, [&](int64_t j, auto vectors, auto last) __attribute__((always_inline)) {
    constexpr int NV = decltype(vectors)::value;
    T* const dw = dweight + j * r.all_taps;
    int64_t t = 0;
    if constexpr (kVectorBytes == 64)
      for (; t + 9 <= r.taps; t += 9) depthwise_weight_taps<T, 9, NV>(r, dw, x + j, y + j, t, last);
    for (; t + 3 <= r.taps; t += 3) depthwise_weight_taps<T, 3, NV>(r, dw, x + j, y + j, t, last);
    for (; t < r.taps; ++t) depthwise_weight_taps<T, 1, NV>(r, dw, x + j, y + j, t, last);
  });
}

}  // namespace
PYDL_ISA_END
