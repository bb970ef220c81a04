#include "base/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <utility>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace pydl {
namespace {

constexpr int kLanes = 16;

struct Words {
  uint32_t w[4][kLanes];
};  // w[j][l]: word j of block l of a group

// 32-bit words in the low halves of 64-bit lanes, whatever the high halves hold: multiplying them is one instruction.
typedef uint64_t Wide __attribute__((vector_size(16)));
typedef uint32_t Narrow __attribute__((vector_size(16)));
inline Wide multiply(Wide a, uint32_t b) {
#if defined(__SSE2__)
  return Wide(_mm_mul_epu32(__m128i(a), _mm_set1_epi64x(b)));
#else
  return (a & 0xffffffff) * b;
#endif
}

void philox_group(PhiloxStream s, uint64_t group, Words& out) {
  constexpr uint32_t kMul0 = 0xD2511F53, kMul1 = 0xCD9E8D57, kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  constexpr int kWidth = 4;  // independent vectors: enough to hide a multiplication's latency, few enough for registers
  for (int lane = 0; lane < kLanes; lane += 2 * kWidth) {
    const uint64_t first = s.offset + group * kLanes + uint64_t(lane);
    Wide x[4][kWidth];
    for (int v = 0; v < kWidth; ++v) {
      const Wide block = Wide{0, 1} + (first + uint64_t(2 * v));
      x[0][v] = block;
      x[1][v] = block >> 32;
      x[2][v] = x[3][v] = Wide{};
    }
    uint32_t key0 = uint32_t(s.seed), key1 = uint32_t(s.seed >> 32);
    for (int round = 0; round < 10; ++round, key0 += kWeyl0, key1 += kWeyl1) {
      for (int v = 0; v < kWidth; ++v) {
        const Wide p = multiply(x[0][v], kMul0), q = multiply(x[2][v], kMul1);
        x[0][v] = q >> 32 ^ x[1][v] ^ key0;
        x[1][v] = q;
        x[2][v] = p >> 32 ^ x[3][v] ^ key1;
        x[3][v] = p;
      }
    }
    for (int j = 0; j < 4; ++j) {
      for (int v = 0; v < kWidth; v += 2) {
        const Narrow low = __builtin_shufflevector(Narrow(x[j][v]), Narrow(x[j][v + 1]), 0, 2, 4, 6);
        std::memcpy(&out.w[j][lane + 2 * v], &low, sizeof low);
      }
    }
  }
}

// Calls make(words, T[Size]) for the groups of Size elements that cover [first, first + n).
template <int Size, class T, class F>
void for_groups(PhiloxStream s, T* out, int64_t first, int64_t n, const F& make) {
  Words words;
  for (int64_t k = 0; k < n;) {
    const int64_t group = (first + k) / Size, skip = (first + k) % Size, count = std::min<int64_t>(Size - skip, n - k);
    philox_group(s, uint64_t(group), words);
    if (count == Size) {
      make(words, out + k);
    } else {
      T whole[Size];
      make(words, whole);
      std::memcpy(out + k, whole + skip, size_t(count) * sizeof(T));
    }
    k += count;
  }
}
template <class T>
constexpr int kGroup = 4 * kLanes / kWords<T>;

// ---- words to numbers ----------------------------------------------------------------------------------------------
template <class T>
struct Real;

template <>
struct Real<float> {
  // Multiples of 2^-24 in [0, 1).
  static float unit(const Words& w, int j, int l) { return float(int32_t(w.w[j][l] >> 8)) * 0x1p-24f; }
  // In (0, 1], down to 2^-32.
  static float positive(const Words& w, int j, int l) { return float(int32_t(w.w[j][l] >> 1)) * 0x1p-31f + 0x1p-32f; }
  static uint32_t quadrant(const Words& w, int j, int l) { return w.w[j][l] >> 30; }
  // In [-1/2, 1/2], from the bits below the quadrant's.
  static float turn(const Words& w, int j, int l) { return float(int32_t(w.w[j][l] << 2)) * 0x1p-32f; }

  // log on normal positive numbers, 1 ulp; coefficients of FreeBSD's e_logf.c.
  static float log(float x) {
    const int32_t shifted = std::bit_cast<int32_t>(x) - 0x3f3504f3;  // mantissa into [sqrt(1/2), sqrt(2))
    const float k = float(shifted >> 23);
    const float f = std::bit_cast<float>((shifted & 0x7fffff) + 0x3f3504f3) - 1;
    const float s = f / (2 + f), z = s * s, half = 0.5f * f * f;
    const float r = z * (0x1.555554p-1f + z * (0x1.999c26p-2f + z * (0x1.23d3dcp-2f + z * 0x1.f13c4cp-3f)));
    return s * (half + r) + k * 9.0580006145e-06f - half + f + k * 6.9313812256e-01f;
  }
  // sin and cos of x in [-pi/4, pi/4], 1 ulp (Cephes).
  static float sin(float x) {
    const float z = x * x;
    return x + x * z * (-1.6666654611e-1f + z * (8.3321608736e-3f + z * -1.9515295891e-4f));
  }
  static float cos(float x) {
    const float z = x * x;
    return 1 - 0.5f * z + z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
  }
};

template <>
struct Real<double> {
  static uint64_t word(const Words& w, int j, int l) { return uint64_t(w.w[2 * j][l]) << 32 | w.w[2 * j + 1][l]; }
  // The top 52 bits as a number in [1, 2).
  static double mantissa(uint64_t bits) { return std::bit_cast<double>(bits >> 12 | 0x3ff0000000000000); }

  // Multiples of 2^-53 in [0, 1): 32 bits and 21.
  static double unit(const Words& w, int j, int l) {
    return (double(int32_t(w.w[2 * j][l] ^ 0x80000000u)) + 0x1p31) * 0x1p-32 +
           double(int32_t(w.w[2 * j + 1][l] >> 11)) * 0x1p-53;
  }
  static double positive(const Words& w, int j, int l) { return unit(w, j, l) + 0x1p-54; }
  static uint32_t quadrant(const Words& w, int j, int l) { return w.w[2 * j][l] >> 30; }
  static double turn(const Words& w, int j, int l) { return mantissa(word(w, j, l) << 2) - 1.5; }

  // FreeBSD's e_log.c, k_sin.c and k_cos.c.
  static double log(double x) {
    const uint64_t shifted = std::bit_cast<uint64_t>(x) - 0x3fe6a09e00000000;
    // The exponent as a double without a 64-bit conversion: below 2^11 in magnitude, biased to be positive.
    const double k = std::bit_cast<double>((((shifted >> 52) + 0x800) & 0xfff) | 0x4330000000000000) - (0x1p52 + 0x800);
    const double f = std::bit_cast<double>((shifted & 0xfffffffffffff) + 0x3fe6a09e00000000) - 1;
    const double s = f / (2 + f), z = s * s, w = z * z, half = 0.5 * f * f;
    const double odd =
        z * (6.666666666666735130e-01 +
             w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    const double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    return s * (half + (odd + even)) + k * 1.90821492927058770002e-10 - half + f + k * 6.93147180369123816490e-01;
  }
  static double sin(double x) {
    const double z = x * x;
    return x + x * z *
                   (-1.66666666666666324348e-01 +
                    z * (8.33333333332248946124e-03 +
                         z * (-1.98412698298579493134e-04 +
                              z * (2.75573137070700676789e-06 +
                                   z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)))));
  }
  static double cos(double x) {
    const double z = x * x;
    return 1 - (0.5 * z - z * z *
                              (4.16666666666666019037e-02 +
                               z * (-1.38888888888741095749e-03 +
                                    z * (2.48015872894767294178e-05 +
                                         z * (-2.75573143513906633035e-07 +
                                              z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))))));
  }
};

}  // namespace

// ---- the generator -------------------------------------------------------------------------------------------------

Generator::Generator() {
  std::random_device device;
  seed_ = uint64_t(device()) << 32 | device();
}

void Generator::manual_seed(uint64_t seed) { set_state({seed, 0}); }

void Generator::set_state(PhiloxStream s) {
  seed_.store(s.seed, std::memory_order_relaxed);
  offset_.store(s.offset, std::memory_order_relaxed);
}

PhiloxStream Generator::reserve(int64_t n, int words_per_element) {
  const int64_t group = 4 * kLanes / words_per_element;
  const uint64_t blocks = uint64_t((n + group - 1) / group) * kLanes;
  return {seed(), offset_.fetch_add(blocks, std::memory_order_relaxed)};
}

static thread_local Generator* thread_generator = nullptr;

Generator& default_generator() {
  static Generator generator;
  return thread_generator ? *thread_generator : generator;
}

Generator* set_thread_generator(Generator* g) { return std::exchange(thread_generator, g); }

// ---- fills ---------------------------------------------------------------------------------------------------------

template <class T>
void fill_uniform(PhiloxStream s, T* out, int64_t first, int64_t n, T low, T high) {
  const T scale = high - low;
  for_groups<kGroup<T>>(s, out, first, n, [=](const Words& w, T* o) {
    for (int j = 0; j < kGroup<T> / kLanes; ++j)
      for (int l = 0; l < kLanes; ++l) o[j * kLanes + l] = Real<T>::unit(w, j, l) * scale + low;
  });
}

template <class T>
void fill_normal(PhiloxStream s, T* out, int64_t first, int64_t n, T mean, T std) {
  using R = Real<T>;
  for_groups<kGroup<T>>(s, out, first, n, [=](const Words& w, T* o) {
    for (int j = 0; j < kGroup<T> / kLanes; j += 2) {
      for (int l = 0; l < kLanes; ++l) {
        const T radius = std::sqrt(-2 * R::log(R::positive(w, j, l))) * std;
        const T angle = R::turn(w, j + 1, l) * T(1.57079632679489661923);
        const T sin = R::sin(angle), cos = R::cos(angle);
        // The point (cos, sin) turned by the quadrant.
        const uint32_t q = R::quadrant(w, j + 1, l);
        const T x = q & 1 ? sin : cos, y = q & 1 ? cos : sin;
        o[j * kLanes + l] = ((q + 1) & 2 ? -x : x) * radius + mean;
        o[(j + 1) * kLanes + l] = (q & 2 ? -y : y) * radius + mean;
      }
    }
  });
}

template <class T>
void fill_exponential(PhiloxStream s, T* out, int64_t first, int64_t n, T rate) {
  constexpr T kBelowOne = T(1) - (sizeof(T) == 8 ? T(0x1p-53) : T(0x1p-24));
  const T scale = -1 / rate;
  for_groups<kGroup<T>>(s, out, first, n, [=](const Words& w, T* o) {
    for (int j = 0; j < kGroup<T> / kLanes; ++j)
      for (int l = 0; l < kLanes; ++l) {
        const T u = Real<T>::positive(w, j, l);
        o[j * kLanes + l] = Real<T>::log(u < kBelowOne ? u : kBelowOne) * scale;
      }
  });
}

uint64_t bernoulli_threshold(double p) { return uint64_t(std::nearbyint(std::clamp(p, 0.0, 1.0) * 0x1p32)); }

template <class T>
void fill_bernoulli(PhiloxStream s, T* out, int64_t first, int64_t n, double p) {
  const uint64_t threshold = bernoulli_threshold(p);
  for_groups<4 * kLanes>(s, out, first, n, [=](const Words& w, T* o) {
    for (int j = 0; j < 4; ++j)
      for (int l = 0; l < kLanes; ++l) o[j * kLanes + l] = T(w.w[j][l] < threshold);
  });
}

void fill_integers(PhiloxStream s, int64_t* out, int64_t first, int64_t n, int64_t low, uint64_t range) {
  for_groups<2 * kLanes>(s, out, first, n, [=](const Words& w, int64_t* o) {
    for (int j = 0; j < 2; ++j)
      for (int l = 0; l < kLanes; ++l) {
        const uint64_t word = Real<double>::word(w, j, l);
        const uint64_t value = range ? uint64_t((static_cast<unsigned __int128>(word) * range) >> 64) : word;
        o[j * kLanes + l] = int64_t(uint64_t(low) + value);
      }
  });
}

void fill_permutation(PhiloxStream s, int64_t* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = i;
  Words words;
  for (int64_t i = 0; i < n - 1; ++i) {  // out[i] is drawn from the n - i that are left
    const int64_t lane = i % (2 * kLanes);
    if (lane == 0) philox_group(s, uint64_t(i / (2 * kLanes)), words);
    const uint64_t word = Real<double>::word(words, int(lane / kLanes), int(lane % kLanes));
    std::swap(out[i], out[i + int64_t((static_cast<unsigned __int128>(word) * uint64_t(n - i)) >> 64)]);
  }
}

#define INSTANTIATE(T)                                                     \
  template void fill_uniform<T>(PhiloxStream, T*, int64_t, int64_t, T, T); \
  template void fill_normal<T>(PhiloxStream, T*, int64_t, int64_t, T, T);  \
  template void fill_exponential<T>(PhiloxStream, T*, int64_t, int64_t, T);
INSTANTIATE(float)
INSTANTIATE(double)
template void fill_bernoulli<bool>(PhiloxStream, bool*, int64_t, int64_t, double);
template void fill_bernoulli<float>(PhiloxStream, float*, int64_t, int64_t, double);
template void fill_bernoulli<double>(PhiloxStream, double*, int64_t, int64_t, double);

}  // namespace pydl
