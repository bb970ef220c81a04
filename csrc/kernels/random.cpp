// Philox4x32-10 in whole vectors, a word in the low half of each 64-bit lane (Salmon, Moraes, Dror, Shaw 2011). Layout of
// a stream: base/random.h. Integers alone, so every ISA draws the same.
#include "kernels/random.h"

#include "kernels/lanes.h"

PYDL_ISA_BEGIN
namespace {

constexpr int kGroup = 64;  // elements: word j of block l of a group belongs to element 16 j + l
constexpr int kBlocks = 16;
#if defined(__AVX512F__)
constexpr int kMostVectors = 4;  // of each word, that registers hold
#else
constexpr int kMostVectors = 2;
#endif

typedef uint64_t Wide __attribute__((vector_size(kVectorBytes)));
typedef uint32_t Words __attribute__((vector_size(kVectorBytes)));
constexpr int kWide = kVectorBytes / 8;

// The product of the low halves.
PYDL_INLINE Wide multiply(Wide a, uint32_t b) {
#if defined(__AVX512F__)
  return Wide(_mm512_mul_epu32(__m512i(a), _mm512_set1_epi64(b)));
#elif defined(__AVX2__)
  return Wide(_mm256_mul_epu32(__m256i(a), _mm256_set1_epi64x(b)));
#else
  return Wide(_mm_mul_epu32(__m128i(a), _mm_set1_epi64x(b)));
#endif
}

PYDL_INLINE Wide lane_numbers() {
  Wide r;
  for (int i = 0; i < kWide; ++i) r[i] = uint64_t(i);
  return r;
}

template <int... I>
PYDL_INLINE Words low_halves(Wide a, Wide b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(Words(a), Words(b), (2 * I)...);
}

// words[j][v]: word j of blocks [block + v * kWide, ...) of Count vectors, with anything in the high halves.
template <int Count>
PYDL_INLINE void philox(Wide (&words)[4][Count], uint64_t seed, uint64_t block) {
  constexpr uint32_t kMul0 = 0xD2511F53, kMul1 = 0xCD9E8D57, kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  for (int v = 0; v < Count; ++v) {
    words[0][v] = lane_numbers() + (block + uint64_t(v * kWide));
    words[1][v] = words[0][v] >> 32;
    words[2][v] = words[3][v] = Wide{};
  }
  uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round, key0 += kWeyl0, key1 += kWeyl1) {
    for (int v = 0; v < Count; ++v) {
      const Wide p = multiply(words[0][v], kMul0), q = multiply(words[2][v], kMul1);
      words[0][v] = q >> 32 ^ words[1][v] ^ key0;
      words[1][v] = q;
      words[2][v] = p >> 32 ^ words[3][v] ^ key1;
      words[3][v] = p;
    }
  }
}

// factors[i] = value where element i of the group is kept, else 0.
template <class T>
PYDL_INLINE void draw_group(T (&factors)[kGroup], const KeepDraws& draws, uint64_t group, T value) {
  using V = vec<T>;
  constexpr int kCount = kBlocks / kWide < kMostVectors ? kBlocks / kWide : kMostVectors;
  const bool some = draws.threshold > 0;
  const uint32_t last = uint32_t(draws.threshold - some);
  const V kept(some ? value : T(0));
  for (int block = 0; block < kBlocks; block += kCount * kWide) {
    Wide words[4][kCount];
    philox(words, draws.stream.seed, draws.stream.offset + group * kBlocks + uint64_t(block));
    for (int j = 0; j < 4; ++j) {
      T* const out = factors + j * kBlocks + block;
      if constexpr (sizeof(T) == 4) {
        for (int v = 0; v < kCount; v += 2) {
          const Words low = low_halves(words[j][v], words[j][v + 1], std::make_integer_sequence<int, V::size>{});
          select(mask<T>(typename V::raw_int(low <= last)), kept, T(0)).store(out + v * kWide);
        }
      } else {
        for (int v = 0; v < kCount; ++v) {
          const Wide low = words[j][v] & 0xffffffff;
          select(mask<T>(typename V::raw_int(low <= uint64_t(last))), kept, T(0)).store(out + v * kWide);
        }
      }
    }
  }
}

// use(k, factors) for runs [k, k + count) of the elements, a group's at most.
template <class T, class F>
PYDL_INLINE void for_draws(const KeepDraws& draws, T value, int64_t first, int64_t n, F&& use) {
  alignas(64) T factors[kGroup];
  for (int64_t k = 0; k < n;) {
    const int64_t skip = (first + k) % kGroup, room = kGroup - skip, count = n - k < room ? n - k : room;
    draw_group(factors, draws, uint64_t((first + k) / kGroup), value);
    use(k, factors + skip, count);
    k += count;
  }
}

template <class T>
void keep(T* out, const KeepDraws& draws, T value, int64_t first, int64_t n) {
  for_draws(draws, value, first, n, [&](int64_t k, const T* factors, int64_t count) PYDL_FORCE_INLINE {
    for_vectors<T>(count, [&](int64_t j, auto lanes)
                              PYDL_FORCE_INLINE { lanes.store(lanes.load(factors + j), out + k + j); });
  });
}

template <class T>
void keep_product(T* y, const T* x, const KeepDraws& draws, T value, int64_t first, int64_t n) {
  for_draws(draws, value, first, n, [&](int64_t k, const T* factors, int64_t count) PYDL_FORCE_INLINE {
    for_vectors<T>(count, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      lanes.store(lanes.load(x + k + j) * lanes.load(factors + j), y + k + j);
    });
  });
}

template <class T>
constexpr RandomKernels<T> make() {
#define KERNEL(name, result, args) &name<T>,
  return {
#include "kernels/random.inc"
  };
#undef KERNEL
}

}  // namespace

extern const RandomKernels<float> random_f32;
extern const RandomKernels<double> random_f64;
const RandomKernels<float> random_f32 = make<float>();
const RandomKernels<double> random_f64 = make<double>();

PYDL_ISA_END
