#include "kernels/index_int.h"

#include <algorithm>
#include <cstring>

#include "base/truth.h"

namespace pydl {

int64_t index_out_of_range(const int64_t* index, int64_t n, int64_t low, int64_t high) {
  constexpr int64_t kBlock = 1024;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t end = std::min(n, begin + kBlock);
    // The sign bit gathers every violation of the block; unsigned arithmetic wraps without harm.
    uint64_t wrong = 0;
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t x = uint64_t(index[i]);
      wrong |= (x - uint64_t(low)) | (uint64_t(high) - 1 - x);
    }
    if (int64_t(wrong) >= 0) continue;
    for (int64_t i = begin; i < end; ++i)
      if (index[i] < low || index[i] >= high) return i;
  }
  return -1;
}

int64_t count_true(const uint8_t* mask, int64_t n) {
  int64_t total = 0, i = 0;
  // Eight byte counters in a word, emptied before they can overflow.
  while (i + 8 <= n) {
    uint64_t counters[4] = {};
    const int64_t end = std::min(n - 7, i + 255 * 32);
    for (; i + 24 < end; i += 32) {
      uint64_t words[4];
      std::memcpy(words, mask + i, 32);
      for (int k = 0; k < 4; ++k) counters[k] += truths(words[k]);
    }
    for (int k = 0; i < end && k < 4; ++k, i += 8) {
      uint64_t word;
      std::memcpy(&word, mask + i, 8);
      total += int64_t(truths(word) * 0x0101010101010101 >> 56);
    }
    for (const uint64_t c : counters)
      for (int b = 0; b < 64; b += 8) total += int64_t(c >> b & 255);
  }
  for (; i < n; ++i) total += mask[i] != 0;
  return total;
}

void true_positions(int64_t* out, const uint8_t* mask, int64_t n, int64_t base, int64_t count) {
  const int64_t* const end = out + count;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t word;
    std::memcpy(&word, mask + i, 8);
    if (word == 0) continue;
    if (end - out >= 8) {  // room to write every position and keep some: no branch to mispredict
      for (int64_t k = 0; k < 8; ++k) {
        *out = base + i + k;
        out += mask[i + k] != 0;
      }
    } else {
      for (word = truths(word); word; word &= word - 1) *out++ = base + i + __builtin_ctzll(word) / 8;
    }
  }
  for (; i < n; ++i)
    if (mask[i]) *out++ = base + i;
}

void unravel(int64_t* out, const int64_t* position, int64_t n, const int64_t* sizes, int64_t dim) {
  if (dim == 1) return void(std::copy_n(position, n, out));
  const int64_t width = sizes[dim - 1];
  int64_t row = 0;  // where the row of the last position starts
  for (int64_t i = 0; i < n; ++i) {
    const int64_t p = position[i];
    int64_t* const o = out + i * dim;
    if (i > 0 && uint64_t(p - row) < uint64_t(width)) {
      for (int64_t d = 0; d < dim - 1; ++d) o[d] = o[d - dim];
    } else {
      int64_t rest = p / width;
      row = rest * width;
      for (int64_t d = dim - 1; d-- > 0;) {
        const int64_t above = rest / sizes[d];
        o[d] = rest - above * sizes[d];
        rest = above;
      }
    }
    o[dim - 1] = p - row;
  }
}

}  // namespace pydl
