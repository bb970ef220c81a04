// Random numbers: Philox4x32-10, a counter-based generator (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011). Block c of a seed is a pure function of (seed, c) and holds four 32-bit words.
//
// Element i of a fill is a pure function of (seed, offset, i), so a fill may be cut among threads anywhere. Blocks are
// taken in groups of 16, which makes every step a loop over 16 lanes that compilers vectorise:
//   one word an element    i = 64 g + 16 j + l takes word j of block offset + 16 g + l        (0 <= l < 16, 0 <= j < 4)
//   two words an element   i = 32 g + 16 j + l takes words 2j and 2j + 1 of that block        (0 <= j < 2)
// A fill of n elements therefore consumes 16 ceil(n / 64) or 16 ceil(n / 32) blocks. Only integer arithmetic and the
// correctly rounded + - * / sqrt are used, never libm or fused operations: the same bits on every machine and ISA.
#pragma once
#include <atomic>
#include <cstdint>

namespace pydl {

// A position in the stream of a seed.
struct PhiloxStream {
  uint64_t seed = 0;
  uint64_t offset = 0;  // in blocks
};

struct Generator {
  Generator();  // seeded by the operating system
  explicit Generator(uint64_t seed) : seed_(seed) {}

  void manual_seed(uint64_t seed);
  uint64_t seed() const { return seed_.load(std::memory_order_relaxed); }
  uint64_t offset() const { return offset_.load(std::memory_order_relaxed); }
  void set_state(PhiloxStream s);
  PhiloxStream state() const { return {seed(), offset()}; }

  // Takes what a fill of n elements consumes and moves on.
  PhiloxStream reserve(int64_t n, int words_per_element);

 private:
  std::atomic<uint64_t> seed_, offset_{0};
};

// The generator that this thread draws from unless told otherwise: the process's, or the one set here (null: none).
Generator& default_generator();
// Returns what was set before. The caller keeps the generator alive.
Generator* set_thread_generator(Generator* g);

// ---- fills ---------------------------------------------------------------------------------------------------------
// out[k] = element first + k, 0 <= k < n. Words per element: kWords<T>, but two for integers and one for bernoulli.
template <class T>
inline constexpr int kWords = sizeof(T) == 8 ? 2 : 1;  // T = float, double

// low + (high - low) u with u a multiple of 2^-24 (float) or 2^-53 (double) in [0, 1).
template <class T>
void fill_uniform(PhiloxStream s, T* out, int64_t first, int64_t n, T low, T high);
// mean + std z, by Box and Muller's method: elements 16 apart share a radius. |z| <= 6.8 (float), 8.7 (double).
template <class T>
void fill_normal(PhiloxStream s, T* out, int64_t first, int64_t n, T mean, T std);
// -log(u) / rate, always positive.
template <class T>
void fill_exponential(PhiloxStream s, T* out, int64_t first, int64_t n, T rate);
// 1 with probability p (to within 2^-32), else 0: whether the element's word is below the threshold, at most 2^32.
uint64_t bernoulli_threshold(double p);
template <class T>
void fill_bernoulli(PhiloxStream s, T* out, int64_t first, int64_t n, double p);  // bool, float, double
// Integers in [low, low + range), range > 0, by the high half of a 64 x 64 bit product: a value's probability is off by
// less than 2^-64. range = 0 stands for 2^64.
void fill_integers(PhiloxStream s, int64_t* out, int64_t first, int64_t n, int64_t low, uint64_t range);
// A permutation of 0 .. n-1 by Fisher and Yates' shuffle; consumes what n integers consume.
void fill_permutation(PhiloxStream s, int64_t* out, int64_t n);

}  // namespace pydl
