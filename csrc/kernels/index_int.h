// Positions and indices, all int64: checks before a gather, positions of true elements, counts.
#pragma once
#include <cstdint>

namespace pydl {

// The first i with index[i] outside [low, high), or -1.
int64_t index_out_of_range(const int64_t* index, int64_t n, int64_t low, int64_t high);

// Masks are bytes; all but 0 are true.
int64_t count_true(const uint8_t* mask, int64_t n);
// Writes base + i for every true element, in order; there are `count`.
void true_positions(int64_t* out, const uint8_t* mask, int64_t n, int64_t base, int64_t count);
// Turns flat positions into coordinates of a contiguous tensor: out[i*dim + d]. The positions may be the last n elements
// of `out`. Neighbours in a row cost no division.
void unravel(int64_t* out, const int64_t* position, int64_t n, const int64_t* sizes, int64_t dim);

}  // namespace pydl
