// Scaled dot-product attention of one head, forward and backward, without ever storing the matrix of scores: the serial
// tile loops inside ops/attention.cpp. Contracts: attention.inc.
#pragma once
#include <cstdint>

namespace pydl {

// Writes 1 (kept) or 0 (dropped) for weights first, first + 1, ... of the whole call.
template <class T>
struct AttentionDropout {
  void (*keep)(const void* context, T* out, int64_t first, int64_t n) = nullptr;  // null: nothing is dropped
  const void* context = nullptr;
  int64_t first = 0;  // of this head's [queries, keys] weights
  T scale = 1;        // of the kept ones
};

// One head of one sample. Rows lie *_rs elements apart, their elements side by side.
//   scores = scale * q k^T + bias, -inf where not allowed;  weights = softmax(scores);  out = dropout(weights) v
template <class T>
struct AttentionHead {
  int64_t queries, keys, size, value_size;
  const T *q, *k, *v;
  int64_t q_rs, k_rs, v_rs;
  T scale;
  bool causal;             // query i sees keys 0 .. i only
  const T* bias;           // [queries, keys], rows bias_rs apart (0: one row for all); may be null
  const uint8_t* allowed;  // bool, the same
  int64_t bias_rs, allowed_rs;
  AttentionDropout<T> dropout;

  // Keys that a block of queries before `end` can see.
  int64_t visible(int64_t end) const { return causal && end < keys ? end : keys; }
};

// The results of a head, and what its backward is given and gives.
template <class T>
struct AttentionGradient {
  const T *grad, *out;  // [queries, value_size], rows *_rs apart
  int64_t grad_rs, out_rs;
  const T* lse;     // [queries][2], as forward wrote it
  T *dq, *dk, *dv;  // rows *_rs apart
  int64_t dq_rs, dk_rs, dv_rs;
  bool first, last;  // of the query heads that share these keys: dk and dv are theirs together
};

// Forward takes up to `queries` queries to a tile of `keys` keys, which stays in the L2 cache, in strips one register tile
// high, whose scores stay in the L1; backward works on tiles of `queries` x `keys` scores, which stay in the L2 cache
// with their operands.
struct AttentionBlocking {
  int64_t queries, keys, vector;
  int64_t strip;  // at least the queries of a strip
  int64_t few;    // so few queries of a head do not repay the packing of its keys: they are one strip
  // Queries of a tile, backward. Of the tiles that the diagonal cuts, a part is computed in vain: few keys ask for small ones.
  int64_t rows(bool causal, int64_t all_keys) const { return causal && all_keys <= keys ? queries / 2 : queries; }
  constexpr int64_t most_strips() const { return queries / 4; }  // a register tile has at least four rows
  constexpr int64_t padded(int64_t n) const { return (n + vector - 1) / vector * vector; }

  // Elements of the packed keys and values of a head, and of the rest that `forward` needs.
  int64_t packed_keys(int64_t keys, int64_t size) const { return padded(keys) * size; }
  int64_t packed_values(int64_t keys, int64_t value_size) const { return keys * padded(value_size); }
  int64_t forward_scratch(int64_t size, int64_t value_size) const {
    return queries * (padded(size) + padded(value_size)) + 2 * most_strips() * strip + (strip + 1) * (keys + vector);
  }
  // Elements that `backward` needs for a head of `rows` queries and a range of `columns` keys.
  int64_t backward_scratch(int64_t rows, int64_t columns, int64_t size, int64_t value_size) const {
    const int64_t e = padded(size), v = padded(value_size);
    return rows * (2 * e + v + 1) + padded(rows) + columns * (2 * e + v) + padded(columns) * (size + value_size) +
           queries * 2 * (keys + vector) + keys + vector;
  }
};

template <class T>
struct AttentionKernels {
#define KERNEL(name, result, args) result(*name) args;
#include "kernels/attention.inc"
#undef KERNEL
  AttentionBlocking blocking;
};

}  // namespace pydl
