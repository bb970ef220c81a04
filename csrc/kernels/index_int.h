// Positions and indices, all int64: checks before a gather, positions of true elements, counts.
#pragma once
#include <cstdint>

namespace pydl {

// The first i with index[i] outside [low, high), or -1.
int64_t index_out_of_range(const int64_t* index, int64_t n, int64_t low, int64_t high);
// out[i] = index[i] + size where that is negative, index[i] elsewhere.
void wrap_indices(int64_t* out, const int64_t* index, int64_t n, int64_t size);

// Masks are bytes, 0 or 1.
int64_t count_true(const uint8_t* mask, int64_t n);
// Writes base + i for every true element, in order; returns the end of what it wrote. nonzero() of a chunk.
int64_t* true_positions(int64_t* out, const uint8_t* mask, int64_t n, int64_t base);
// Turns flat positions into coordinates of a contiguous tensor: out[i*dim + d].
void unravel(int64_t* out, const int64_t* position, int64_t n, const int64_t* sizes, int64_t dim);

// out[i] = base + i
void count_up(int64_t* out, int64_t n, int64_t base);

}  // namespace pydl
