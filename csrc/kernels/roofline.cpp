// The FMA peak and the streams of the roofline. Nothing here is clever: eight vectors a step, so that no loop counter,
// latency or address computation stands between the loop and the unit it measures.
#include "kernels/roofline.h"

#include "simd/vec.h"

PYDL_ISA_BEGIN
namespace {

// Enough chains to cover the latency of FMA on every port (4 to 5 cycles, two ports), few enough for 16 registers.
constexpr int kChains = 12;
constexpr int kUnroll = 8;

template <class T> T total(vec<T> v) {
  T sum = 0;
  for (int i = 0; i < vec<T>::size; ++i) sum += v.v[i];
  return sum;
}

template <class T> T fma_chains(int64_t rounds) {
  vec<T> chain[kChains];
  for (int i = 0; i < kChains; ++i) chain[i] = vec<T>(T(i));
  vec<T> factor(T(0.5)), term(T(1));
  for (int64_t r = 0; r < rounds; ++r) {
    asm volatile("" : "+x"(factor.v), "+x"(term.v));  // opaque: the steps cannot be folded
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chain[i] = fma(chain[i], factor, term);
  }
  vec<T> sum(0);
  for (int i = 0; i < kChains; ++i) sum += chain[i];
  return total(sum);
}

template <class T> int64_t flops_per_round() { return int64_t(2) * kChains * vec<T>::size; }

template <class T> T read(const T* a, int64_t n) {
  vec<T> sums[kUnroll];
  for (auto& s : sums) s = vec<T>(0);
  for (int64_t j = 0; j < n; j += kUnroll * vec<T>::size)
#pragma GCC unroll 8
    for (int i = 0; i < kUnroll; ++i) sums[i] += vec<T>::load(a + j + i * vec<T>::size);
  vec<T> sum(0);
  for (auto& s : sums) sum += s;
  return total(sum);
}

// value(j) is the vector to be written at out + j.
template <class T, class Value, class Store> PYDL_INLINE void stream(T* out, int64_t n, Value value, Store store) {
  for (int64_t j = 0; j < n; j += kUnroll * vec<T>::size)
#pragma GCC unroll 8
    for (int i = 0; i < kUnroll; ++i) store(out + j + i * vec<T>::size, value(j + i * vec<T>::size));
}

template <class T> void copy(T* out, const T* a, int64_t n) {
  stream(out, n, [=](int64_t j) { return vec<T>::load(a + j); }, [](T* p, vec<T> v) { v.store(p); });
}
template <class T> void copy_past_cache(T* out, const T* a, int64_t n) {
  stream(out, n, [=](int64_t j) { return vec<T>::load(a + j); }, [](T* p, vec<T> v) { v.store_past_cache(p); });
  stream_fence();
}
template <class T> void add(T* out, const T* a, const T* b, int64_t n) {
  stream(out, n, [=](int64_t j) { return vec<T>::load(a + j) + vec<T>::load(b + j); },
         [](T* p, vec<T> v) { v.store(p); });
}
template <class T> void add_past_cache(T* out, const T* a, const T* b, int64_t n) {
  stream(out, n, [=](int64_t j) { return vec<T>::load(a + j) + vec<T>::load(b + j); },
         [](T* p, vec<T> v) { v.store_past_cache(p); });
  stream_fence();
}

#define KERNEL(name, result, args) &name<T>,
template <class T> constexpr RooflineKernels<T> make() {
  return {
#include "kernels/roofline.inc"
  };
}
#undef KERNEL

}  // namespace

extern const RooflineKernels<float> roofline_f32;
extern const RooflineKernels<double> roofline_f64;
const RooflineKernels<float> roofline_f32 = make<float>();
const RooflineKernels<double> roofline_f64 = make<double>();

PYDL_ISA_END
