// Pooling of float and double images: layouts and rules in pool.inc. The vectors run along the channels of one pixel,
// up to four of them at once in registers, and the taps of a window go by one after the other.
#include "kernels/pool.h"

#include "kernels/lanes.h"
#include "simd/math.h"

PYDL_ISA_BEGIN
namespace {

// Tap numbers, one a lane: stored in one byte or in four. A whole vector is read even where channels end. Compilers
// turn the conversions of short vectors into scalar code, hence the intrinsics.
template <class T> PYDL_INLINE typename vec<T>::raw_int widen(const uint8_t* p) {
  using raw_int = typename vec<T>::raw_int;
#if defined(__AVX512F__)
  if constexpr (kSingle<T>) return (raw_int)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p));
  else return (raw_int)_mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i*)p));
#elif defined(__AVX2__)
  if constexpr (kSingle<T>) return (raw_int)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p));
  else return (raw_int)_mm256_cvtepu8_epi64(_mm_loadu_si32(p));
#else
  if constexpr (kSingle<T>) return (raw_int)_mm_cvtepu8_epi32(_mm_loadu_si32(p));
  else return (raw_int)_mm_cvtepu8_epi64(_mm_loadu_si16(p));
#endif
}
template <class T> PYDL_INLINE void narrow(typename vec<T>::raw_int taps, uint8_t* p) {
#if defined(__AVX512F__)
  if constexpr (kSingle<T>) _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8((__m512i)taps));
  else _mm_storel_epi64((__m128i*)p, _mm512_cvtepi64_epi8((__m512i)taps));
#else
  // The low byte of every lane, gathered inside 128 bits.
  const __m128i low_bytes = kSingle<T> ? _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)
                                       : _mm_setr_epi8(0, 8, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
#if defined(__AVX2__)
  const __m128i low = _mm_shuffle_epi8(_mm256_castsi256_si128((__m256i)taps), low_bytes);
  const __m128i high = _mm_shuffle_epi8(_mm256_extracti128_si256((__m256i)taps, 1), low_bytes);
  if constexpr (kSingle<T>) _mm_storel_epi64((__m128i*)p, _mm_unpacklo_epi32(low, high));
  else _mm_storeu_si32(p, _mm_unpacklo_epi16(low, high));
#else
  if constexpr (kSingle<T>) _mm_storeu_si32(p, _mm_shuffle_epi8((__m128i)taps, low_bytes));
  else _mm_storeu_si16(p, _mm_shuffle_epi8((__m128i)taps, low_bytes));
#endif
#endif
}
template <class T> PYDL_INLINE typename vec<T>::raw_int widen(const int32_t* p) {
  typedef int32_t raw __attribute__((vector_size(vec<T>::size * 4)));
  raw taps;
  std::memcpy(&taps, p, sizeof(taps));
  return __builtin_convertvector(taps, typename vec<T>::raw_int);
}
template <class T> PYDL_INLINE void narrow(typename vec<T>::raw_int wide, int32_t* p) {
  typedef int32_t raw __attribute__((vector_size(vec<T>::size * 4)));
  const raw taps = __builtin_convertvector(wide, raw);
  std::memcpy(p, &taps, sizeof(taps));
}
template <class T, class Tap>
PYDL_INLINE void store_taps(typename vec<T>::raw_int taps, Tap* p, WholeVector<T>) { narrow<T>(taps, p); }
template <class T, class Tap>
PYDL_INLINE void store_taps(typename vec<T>::raw_int taps, Tap* p, PartVector<T> part) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Tap) == 1) {
    const __mmask16 m = __mmask16((1u << part.n) - 1);
    const __m128i bytes = kSingle<T> ? _mm512_cvtepi32_epi8((__m512i)taps) : _mm512_cvtepi64_epi8((__m512i)taps);
    return _mm_mask_storeu_epi8(p, m, bytes);
  }
#endif
  Tap lanes[vec<T>::size];
  narrow<T>(taps, lanes);
  for (int64_t i = 0; i < part.n; ++i) p[i] = lanes[i];
}

template <int V> struct Count { static constexpr int value = V; };

// f(first channel, vectors, lanes) over the channels of a pixel in blocks of 4, 2 and 1 vectors, then the rest.
template <class T, class F> PYDL_INLINE void for_channels(int64_t channels, F f) {
  constexpr int64_t L = vec<T>::size;
  int64_t c = 0;
  for (; c + 4 * L <= channels; c += 4 * L) f(c, Count<4>{}, WholeVector<T>{});
  if (c + 2 * L <= channels) f(c, Count<2>{}, WholeVector<T>{}), c += 2 * L;
  if (c + L <= channels) f(c, Count<1>{}, WholeVector<T>{}), c += L;
  if (c < channels) f(c, Count<1>{}, PartVector<T>{channels - c});
}

// One window: where its first tap lies, and how many taps follow at which distances.
template <class T> struct Window {
  const T* x;
  int64_t count[3], stride[3];
};

// f(output pixel, window) for every output of the rows.
template <class T, class F>
PYDL_INLINE void for_windows(const T* x, const int64_t* x_stride, const PoolWindows& p, int64_t row, int64_t rows,
                             F f) {
  const PoolAxis &depth = p.axis[0], &height = p.axis[1], &width = p.axis[2];
  Window<T> window;
  for (int a = 0; a < 3; ++a) window.stride[a] = p.axis[a].step * x_stride[a];
  for (int64_t r = row; r < row + rows; ++r) {
    const int64_t d = r / height.outputs, h = r % height.outputs;
    const T* first = x + depth.begin[d] * x_stride[0] + height.begin[h] * x_stride[1];
    window.count[0] = depth.count[d], window.count[1] = height.count[h];
    for (int64_t w = 0; w < width.outputs; ++w) {
      window.x = first + width.begin[w] * x_stride[2], window.count[2] = width.count[w];
      f(d, h, w, (r * width.outputs + w) * p.channels, window);
    }
  }
}

// ---- maximum -------------------------------------------------------------------------------------------------------
template <int V, class Tap, class T, class Lanes>
PYDL_INLINE void max_of_window(T* y, Tap* taps, const Window<T>& w, int64_t c, Lanes lanes) {
  constexpr int64_t L = vec<T>::size;
  using raw_int = typename vec<T>::raw_int;
  vec<T> best[V];
  raw_int at[V], number{};
  for (int v = 0; v < V; ++v) best[v] = vec<T>(-kInf), at[v] = raw_int{};
  for (int64_t d = 0; d < w.count[0]; ++d)
    for (int64_t h = 0; h < w.count[1]; ++h) {
      const T* x = w.x + d * w.stride[0] + h * w.stride[1] + c;
      for (int64_t t = 0; t < w.count[2]; ++t, x += w.stride[2], number += 1)
        for (int v = 0; v < V; ++v) {
          const vec<T> value = lanes.load(x + v * L);
          if (taps) {
            const mask<T> takes = (value > best[v]) | isnan(value);
            best[v] = select(takes, value, best[v]);
            at[v] = takes.m ? number : at[v];
          } else {
            best[v] = maximum(value, best[v]);
          }
        }
    }
  for (int v = 0; v < V; ++v) {
    lanes.store(best[v], y + c + v * L);
    if (taps) store_taps<T>(at[v], taps + c + v * L, lanes);
  }
}

template <class Tap, class T>
PYDL_INLINE void max_rows(T* y, Tap* taps, const T* x, const int64_t* x_stride, const PoolWindows& p, int64_t row,
                          int64_t rows, int64_t channels) {
  for_windows(x, x_stride, p, row, rows, [&](int64_t, int64_t, int64_t, int64_t pixel, const Window<T>& window)
                                             PYDL_FORCE_INLINE {
    for_channels<T>(channels, [&](int64_t c, auto vectors, auto lanes) PYDL_FORCE_INLINE {
      max_of_window<decltype(vectors)::value>(y + pixel, taps ? taps + pixel : nullptr, window, c, lanes);
    });
  });
}
template <class T>
void max_pool(T* y, uint8_t* taps, const T* x, const int64_t* x_stride, const PoolWindows& windows, int64_t row,
              int64_t rows, int64_t channels) {
  if (taps) max_rows(y, taps, x, x_stride, windows, row, rows, channels);
  else max_rows(y, (uint8_t*)nullptr, x, x_stride, windows, row, rows, channels);
}
template <class T>
void max_pool_wide(T* y, int32_t* taps, const T* x, const int64_t* x_stride, const PoolWindows& windows, int64_t row,
                   int64_t rows, int64_t channels) {
  max_rows(y, taps, x, x_stride, windows, row, rows, channels);
}

// f(input pixel, d, h, w) for every input of the rows.
template <class F> PYDL_INLINE void for_inputs(const PoolWindows& p, int64_t row, int64_t rows, F f) {
  const int64_t width = p.axis[2].inputs;
  for (int64_t r = row; r < row + rows; ++r) {
    const int64_t d = r / p.axis[1].inputs, h = r % p.axis[1].inputs;
    for (int64_t w = 0; w < width; ++w) f((r * width + w) * p.channels, d, h, w);
  }
}

// Input (d, h, w) is a tap of some outputs: f(offset of the output, number of the tap in its window, od, oh, ow) for
// each, ascending.
template <class F> PYDL_INLINE void for_readers(const PoolWindows& p, int64_t d, int64_t h, int64_t w, F f) {
  const PoolAxis &depth = p.axis[0], &height = p.axis[1], &width = p.axis[2];
  const int64_t begin = width.first[w], end = width.first[w + 1];
  for (int64_t i = depth.first[d]; i < depth.first[d + 1]; ++i)
    for (int64_t j = height.first[h]; j < height.first[h + 1]; ++j) {
      const int64_t od = depth.output[i], oh = height.output[j];
      const int64_t tap_row = depth.tap[i] * height.count[oh] + height.tap[j];
      const int64_t row = (od * height.outputs + oh) * width.outputs;
      for (int64_t k = begin; k < end; ++k) {
        const int64_t ow = width.output[k];
        f((row + ow) * p.channels, tap_row * width.count[ow] + width.tap[k], od, oh, ow);
      }
    }
}

template <class Tap, class T>
PYDL_INLINE void max_rows_backward(T* dx, const Tap* taps, const T* g, const PoolWindows& p, int64_t row, int64_t rows,
                                   int64_t channels) {
  constexpr int64_t L = vec<T>::size;
  for_inputs(p, row, rows, [&](int64_t pixel, int64_t d, int64_t h, int64_t w) PYDL_FORCE_INLINE {
    for_channels<T>(channels, [&](int64_t c, auto vectors, auto lanes) PYDL_FORCE_INLINE {
      constexpr int V = decltype(vectors)::value;
      vec<T> sum[V];
      for (int v = 0; v < V; ++v) sum[v] = vec<T>(0);
      for_readers(p, d, h, w, [&](int64_t output, int64_t number, int64_t, int64_t, int64_t) PYDL_FORCE_INLINE {
        const auto wanted = typename vec<T>::raw_int{} + int_of<T>(number);
        for (int v = 0; v < V; ++v) {
          const mask<T> took(widen<T>(taps + output + c + v * L) == wanted);
          sum[v] += select(took, lanes.load(g + output + c + v * L), vec<T>(0));
        }
      });
      for (int v = 0; v < V; ++v) lanes.store(sum[v], dx + pixel + c + v * L);
    });
  });
}
template <class T>
void max_pool_backward(T* dx, const uint8_t* taps, const T* g, const PoolWindows& windows, int64_t row, int64_t rows,
                       int64_t channels) {
  max_rows_backward(dx, taps, g, windows, row, rows, channels);
}
template <class T>
void max_pool_backward_wide(T* dx, const int32_t* taps, const T* g, const PoolWindows& windows, int64_t row,
                            int64_t rows, int64_t channels) {
  max_rows_backward(dx, taps, g, windows, row, rows, channels);
}

// ---- average -------------------------------------------------------------------------------------------------------
template <class T>
void avg_pool(T* y, const T* x, const int64_t* x_stride, const PoolWindows& p, int64_t row, int64_t rows,
              int64_t channels) {
  constexpr int64_t L = vec<T>::size, kRun = 64;
  for_windows(x, x_stride, p, row, rows, [&](int64_t d, int64_t h, int64_t w, int64_t pixel, const Window<T>& window)
                                             PYDL_FORCE_INLINE {
    const vec<T> divisor(p.axis[0].divisor[d] * p.axis[1].divisor[h] * p.axis[2].divisor[w]);
    for_channels<T>(channels, [&](int64_t c, auto vectors, auto lanes) PYDL_FORCE_INLINE {
      constexpr int V = decltype(vectors)::value;
      vec<T> sum[V];
      for (int v = 0; v < V; ++v) sum[v] = vec<T>(0);
      for (int64_t i = 0; i < window.count[0]; ++i)
        for (int64_t j = 0; j < window.count[1]; ++j) {
          const T* in = window.x + i * window.stride[0] + j * window.stride[1] + c;
          for (int64_t k = 0, end; k < window.count[2]; k = end) {
            end = window.count[2] - k < kRun ? window.count[2] : k + kRun;
            vec<T> run[V];
            for (int v = 0; v < V; ++v) run[v] = vec<T>(0);
            for (int64_t t = k; t < end; ++t, in += window.stride[2])
              for (int v = 0; v < V; ++v) run[v] += lanes.load(in + v * L);
            for (int v = 0; v < V; ++v) sum[v] += run[v];
          }
        }
      for (int v = 0; v < V; ++v) lanes.store(sum[v] / divisor, y + pixel + c + v * L);
    });
  });
}

template <class T>
void avg_pool_backward(T* dx, const T* g, const PoolWindows& p, int64_t row, int64_t rows, int64_t channels) {
  constexpr int64_t L = vec<T>::size;
  for_inputs(p, row, rows, [&](int64_t pixel, int64_t d, int64_t h, int64_t w) PYDL_FORCE_INLINE {
    for_channels<T>(channels, [&](int64_t c, auto vectors, auto lanes) PYDL_FORCE_INLINE {
      constexpr int V = decltype(vectors)::value;
      vec<T> sum[V];
      for (int v = 0; v < V; ++v) sum[v] = vec<T>(0);
      for_readers(p, d, h, w, [&](int64_t output, int64_t, int64_t od, int64_t oh, int64_t ow) PYDL_FORCE_INLINE {
        const vec<T> scale(p.axis[0].scale[od] * p.axis[1].scale[oh] * p.axis[2].scale[ow]);
        for (int v = 0; v < V; ++v) sum[v] = fma(lanes.load(g + output + c + v * L), scale, sum[v]);
      });
      for (int v = 0; v < V; ++v) lanes.store(sum[v], dx + pixel + c + v * L);
    });
  });
}

template <class T> constexpr PoolKernels<T> make() {
#define KERNEL(name, result, args) &name<T>,
  return {
#include "kernels/pool.inc"
  };
#undef KERNEL
}

}  // namespace

extern const PoolKernels<float> pool_f32;
extern const PoolKernels<double> pool_f64;
const PoolKernels<float> pool_f32 = make<float>();
const PoolKernels<double> pool_f64 = make<double>();

PYDL_ISA_END
