// Attention by tiles of scores with an online softmax: Milakov and Gimelshein, "Online normalizer calculation for
// softmax" (2018); Dao, Fu, Ermon, Rudra and Re, "FlashAttention" (2022). The products are those of kernels/gemm.cpp.
//
// Scores are kept in units of ln 2, for which the softmax is one of powers of two.
//
// Accuracy: scores and gradients as the matrix products they are; powers of non-positive numbers to 1.5 units in the
// last place, summed a tile at a time. A score of NaN makes its row NaN.
#include "kernels/attention.h"

#include "kernels/gemm.h"
#include "kernels/row_reduce.h"

PYDL_ISA_BEGIN

extern const GemmKernels<float> gemm_f32;
extern const GemmKernels<double> gemm_f64;

namespace {

template <class T>
PYDL_INLINE const GemmKernels<T>& gemm() {
  if constexpr (kSingle<T>)
    return gemm_f32;
  else
    return gemm_f64;
}

template <class T>
constexpr AttentionBlocking blocking() {
  return {.queries = 64, .keys = 256, .vector = vec<T>::size, .strip = 16, .few = 8};
}
// Rows of a tile of scores; the odd vector keeps them off each other's cache sets.
template <class T>
inline constexpr int64_t kPitch = blocking<T>().keys + vec<T>::size;

template <class T>
inline constexpr T kLog2E = T(1.4426950408889634);

template <class T>
struct Left {
  const T* data;
  int64_t rs, cs;
};
template <class T>
struct Right {
  const T* data;
  int64_t rs, cs;
  bool packed;
};

// C = alpha * A @ B + beta * C.
template <class T>
PYDL_INLINE GemmBlock<T> product(int64_t m, int64_t n, int64_t k, Left<T> a, Right<T> b, T* c, int64_t c_rs, T alpha,
                                 T beta) {
  return {m, n, k, a.data, a.rs, a.cs, false, b.data, b.rs, b.cs, b.packed, c, c_rs, alpha, beta, {}};
}

// Dense rows of whole vectors, zeros behind the n columns.
template <class T>
void copy_rows(T* to, const T* from, int64_t rs, int64_t rows, int64_t n) {
  const int64_t pitch = blocking<T>().padded(n);
  for (int64_t i = 0; i < rows; ++i)
    for_vectors<T>(
        n, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE { lanes.load(from + i * rs + j).store(to + i * pitch + j); });
}

// Keys as the panels of k^T, a block of keys after the other.
template <class T>
void pack_transposed(T* packed, const T* rows, int64_t rs, int64_t size, int64_t begin, int64_t end) {
  constexpr int64_t kKeys = blocking<T>().keys;
  for (int64_t j = begin; j < end; j += kKeys) {
    const int64_t n = end - j < kKeys ? end - j : kKeys;
    gemm<T>().pack_b(packed + (j - begin) * size, rows + j * rs, 1, rs, size, n);
  }
}

// n columns of a packed block of keys, of which `left` remain: up to whole panels, whose width is that of their
// packing.
template <class T>
PYDL_INLINE int64_t whole_panels(int64_t n, int64_t left) {
  const int64_t block = left < blocking<T>().keys ? left : blocking<T>().keys, panel = gemm<T>().blocking.nr;
  const int64_t whole = (n + panel - 1) / panel * panel;
  return whole < block ? whole : block;
}

template <class T>
void pack(T* keys, T* values, const AttentionHead<T>& h, int64_t begin, int64_t end) {
  pack_transposed(keys + begin * h.size, h.k, h.k_rs, h.size, begin, end);
  copy_rows(values + begin * blocking<T>().padded(h.value_size), h.v + begin * h.v_rs, h.v_rs, end - begin,
            h.value_size);
}

// ---- a tile of scores ----------------------------------------------------------------------------------------------
// Columns [j, j + n) of the scores of queries [i, i + rows).
struct TileRange {
  int64_t i, rows, j, n;
};

// Adds the bias, puts -inf where a score does not count and behind the tile, up to a whole vector.
template <class T>
void mask_tile(T* scores, const AttentionHead<T>& h, const TileRange& t) {
  constexpr int64_t L = vec<T>::size;
  const int64_t padded = (t.n + L - 1) / L * L;
  for (int64_t r = 0; r < t.rows; ++r, scores += kPitch<T>) {
    const int64_t i = t.i + r, seen = h.causal && i + 1 - t.j < t.n ? (i + 1 > t.j ? i + 1 - t.j : 0) : t.n;
    if (h.bias) {
      const T* const bias = h.bias + i * h.bias_rs + t.j;
      for_vectors<T>(seen, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
        lanes.store(fma(lanes.load(bias + j), vec<T>(kLog2E<T>), lanes.load(scores + j)), scores + j);
      });
    }
    if (h.allowed) {
      const uint8_t* const allowed = h.allowed + i * h.allowed_rs + t.j;
      for (int64_t j = 0; j < seen; ++j) scores[j] = allowed[j] ? scores[j] : -T(kInf);
    }
    for (int64_t j = seen; j < padded; ++j) scores[j] = -T(kInf);
  }
}

// What a thread holds of a block of queries: dense rows, and the running maximum and sum of each softmax, those of
// every strip from a multiple of blocking().strip on.
template <class T>
struct Block {
  T *q, *out, *top, *sum, *scores, *keep;
  int64_t size, value_size;  // pitches of q and out
  Block(T* scratch, const AttentionHead<T>& h) {
    constexpr AttentionBlocking b = blocking<T>();
    size = b.padded(h.size), value_size = b.padded(h.value_size);
    q = scratch;
    out = q + b.queries * size;
    top = out + b.queries * value_size;
    sum = top + b.most_strips() * b.strip;
    scores = sum + b.most_strips() * b.strip;
    keep = scores + b.strip * kPitch<T>;
  }
};

// Consecutive queries of a block, one register tile high, whose scores share scratch with those of the other strips.
template <class T>
struct Strip {
  T *q, *out, *top, *sum;
  int64_t begin, rows, seen;  // the first query, and how many keys any of them sees
  Strip(const Block<T>& b, const AttentionHead<T>& h, int64_t index, int64_t block_begin, int64_t first, int64_t count)
      : q(b.q + first * b.size), out(b.out + first * b.value_size), top(b.top + index * blocking<T>().strip),
        sum(b.sum + index * blocking<T>().strip), begin(block_begin + first), rows(count),
        seen(h.visible(begin + rows)) {}
};

// Up to L rows of a tile from row r on: scores become weights relative to the row's largest score so far, and what came
// before is scaled to it. Row by row, each would wait for its own maximum and sum.
template <class T>
PYDL_INLINE void softmax_rows(const Block<T>& b, const Strip<T>& strip, int64_t r, int64_t count, int64_t n,
                              bool first) {
  constexpr int64_t L = vec<T>::size;
  using V = vec<T>;
  T* const rows = b.scores + r * kPitch<T>;
  V part[L];
  alignas(64) T of_row[L];
  for (int64_t k = 0; k < count; ++k) {
    const T* const row = rows + k * kPitch<T>;
    V top[2] = {V(-T(kInf)), V(-T(kInf))};
    int64_t j = 0;
    for (; j + L < n; j += 2 * L)
      for (int q = 0; q < 2; ++q) top[q] = greater(V::load(row + j + q * L), top[q]);
    if (j < n) top[0] = greater(V::load(row + j), top[0]);
    part[k] = greater(top[0], top[1]);
  }
  across_rows(MaxOfNumbers<T>{}, of_row, part, count);
  const V before = V::load(strip.top + r), now = greater(V::load(of_row), before), shift = exp_shift(now);
  now.store(strip.top + r);
  shift.store(of_row);
  for (int64_t k = 0; k < count; ++k) {
    T* const row = rows + k * kPitch<T>;
    const V less(of_row[k]);
    V sum[2] = {V(0), V(0)};
    const auto weigh = [&](int64_t at) PYDL_FORCE_INLINE {
      const V p = exp2_nonpositive(V::load(row + at) - less);
      p.store(row + at);
      return p;
    };
    int64_t j = 0;
    for (; j + L < n; j += 2 * L)
      for (int q = 0; q < 2; ++q) sum[q] += weigh(j + q * L);
    if (j < n) sum[0] += weigh(j);
    part[k] = sum[0] + sum[1];
  }
  across_rows(Sum<T>{}, of_row, part, count);
  const V factor = exp2_nonpositive(before - shift);
  fma(V::load(strip.sum + r), factor, V::load(of_row)).store(strip.sum + r);
  if (first) return;
  factor.store(of_row);
  for (int64_t k = 0; k < count; ++k) {
    if (of_row[k] == 1) continue;
    T* const out = strip.out + (r + k) * b.value_size;
    for (int64_t j = 0; j < b.value_size; j += L) (V::load(out + j) * V(of_row[k])).store(out + j);
  }
}

template <class T>
PYDL_INLINE void drop(T* row, const T* keep, int64_t n) {
  for (int64_t j = 0; j < n; j += vec<T>::size) (vec<T>::load(row + j) * vec<T>::load(keep + j)).store(row + j);
}

// The keys from j on, a tile of them, for a strip that sees some.
template <class T>
void forward_tile(const AttentionHead<T>& h, const T* keys, const T* values, int64_t j, const Block<T>& b,
                  const Strip<T>& strip) {
  constexpr AttentionBlocking size = blocking<T>();
  const int64_t rows = strip.rows, left = strip.seen - j;
  const T scale = h.scale * kLog2E<T>;
  const TileRange tile{strip.begin, rows, j, left < size.keys ? left : size.keys};
  if (keys) {
    gemm<T>().block(product<T>(rows, whole_panels<T>(tile.n, h.keys - j), h.size, {strip.q, b.size, 1},
                               {keys + j * h.size, 0, 1, true}, b.scores, kPitch<T>, scale, 0));
  } else {
    gemm<T>().dot_block(product<T>(rows, tile.n, h.size, {h.q + strip.begin * h.q_rs, h.q_rs, 1},
                                   {h.k + j * h.k_rs, 1, h.k_rs, false}, b.scores, kPitch<T>, scale, 0));
  }
  if (h.bias || h.allowed || tile.n % size.vector != 0 || (h.causal && j + tile.n > strip.begin + 1))
    mask_tile(b.scores, h, tile);
  for (int64_t r = 0; r < rows; r += size.vector)
    softmax_rows(b, strip, r, rows - r < size.vector ? rows - r : size.vector, tile.n, j == 0);
  for (int64_t r = 0; r < rows && h.dropout.keep; ++r) {
    h.dropout.keep(h.dropout.context, b.keep, h.dropout.first + (strip.begin + r) * h.keys + j, tile.n);
    drop(b.scores + r * kPitch<T>, b.keep, tile.n);
  }
  const Left<T> weights{b.scores, kPitch<T>, 1};
  const T beta = j > 0;
  if (keys) {
    gemm<T>().block(product<T>(rows, b.value_size, tile.n, weights,
                               {values + j * b.value_size, b.value_size, 1, false}, strip.out, b.value_size, 1, beta));
  } else {
    gemm<T>().block(product<T>(rows, h.value_size, tile.n, weights, {h.v + j * h.v_rs, h.v_rs, 1, false}, strip.out,
                               b.value_size, 1, beta));
  }
}

// Divides by the sums, after the last tile, and keeps their logarithms.
template <class T>
void finish_strip(T* out, int64_t out_rs, T* lse, const AttentionHead<T>& h, const Block<T>& b, const Strip<T>& strip) {
  for (int64_t r = 0; r < strip.rows; ++r) {
    const vec<T> factor(strip.sum[r] == 0 ? T(0) : h.dropout.scale / strip.sum[r]);
    T *const to = out + (strip.begin + r) * out_rs, *const from = strip.out + r * b.value_size;
    for_vectors<T>(h.value_size, [&](int64_t j, auto lanes)
                                     PYDL_FORCE_INLINE { lanes.store(lanes.load(from + j) * factor, to + j); });
  }
  if (!lse) return;
  for_vectors<T>(strip.rows, [&](int64_t r, auto lanes) PYDL_FORCE_INLINE {
    const vec<T> sum = lanes.load(strip.sum + r, 1);
    const auto none = sum == 0;
    lanes.store(select(none, vec<T>(T(kInf)), lanes.load(strip.top + r)), strip.top + r);
    lanes.store(select(none, vec<T>(0), log2(sum)), strip.sum + r);
  });
  for (int64_t r = 0; r < strip.rows; ++r) {
    lse[2 * (strip.begin + r)] = strip.top[r];
    lse[2 * (strip.begin + r) + 1] = strip.sum[r];
  }
}

// All strips of the block meet a tile of keys and values before the next tile: it comes from far away once.
template <class T>
void forward(T* out, int64_t out_rs, T* lse, const AttentionHead<T>& h, const T* keys, const T* values, int64_t begin,
             int64_t end, T* scratch) {
  constexpr AttentionBlocking size = blocking<T>();
  const Block<T> b(scratch, h);
  if (keys) copy_rows(b.q, h.q + begin * h.q_rs, h.q_rs, end - begin, h.size);
  for (int64_t r = 0; r < size.most_strips() * size.strip; ++r) b.top[r] = -T(kInf), b.sum[r] = 0;
  const int64_t seen = h.visible(end);
  if (seen == 0)
    for (int64_t j = 0; j < (end - begin) * b.value_size; ++j) b.out[j] = 0;
  const TileRows heights(end - begin, keys ? gemm<T>().blocking.mr : size.few);
  const auto for_strips = [&](auto f) PYDL_FORCE_INLINE {
    for (int64_t s = 0, first = 0; s < heights.count; first += heights.height_of(s), ++s)
      f(Strip<T>(b, h, s, begin, first, heights.height_of(s)));
  };
  for (int64_t j = 0; j < seen; j += size.keys)
    for_strips([&](const Strip<T>& strip) PYDL_FORCE_INLINE {
      if (j < strip.seen) forward_tile(h, keys, values, j, b, strip);
    });
  for_strips([&](const Strip<T>& strip) PYDL_FORCE_INLINE { finish_strip(out, out_rs, lse, h, b, strip); });
}

// ---- backward ------------------------------------------------------------------------------------------------------
// Weights of row r from the saved logarithm of the sum, in place of the scores, and the gradient of the scores in place of that
// of the weights: w * (g - delta), where delta = sum_j w[j] g[j] = out . grad.
template <class T>
PYDL_INLINE void gradient_row(T* scores, T* grads, const T* lse, T delta, const T* keep, T scale, int64_t n) {
  using V = vec<T>;
  for (int64_t j = 0; j < n; j += V::size) {
    const V w = exp2_nonpositive((V::load(scores + j) - V(lse[0])) - V(lse[1]));
    V g = V::load(grads + j), kept = w;
    if (keep) {
      const V factor = V::load(keep + j) * V(scale);
      g *= factor, kept *= factor;
    }
    kept.store(scores + j);
    (w * (g - V(delta))).store(grads + j);
  }
}

template <class T>
void backward(const AttentionHead<T>& h, const AttentionGradient<T>& g, int64_t begin, int64_t end, T* scratch) {
  constexpr AttentionBlocking size = blocking<T>();
  constexpr int64_t L = vec<T>::size;
  const int64_t e = size.padded(h.size), ev = size.padded(h.value_size), columns = end - begin;
  T* const keys = scratch;                                 // panels of k^T
  T* const values = keys + size.padded(columns) * h.size;  // panels of v^T
  T* const key_rows = values + size.padded(columns) * h.value_size;
  T* const dk = key_rows + columns * e;
  T* const dv = dk + columns * e;
  T* const q = dv + columns * ev;
  T* const grad = q + h.queries * e;
  T* const dq = grad + h.queries * ev;
  T* const delta = dq + h.queries * e;
  T* const scores = delta + size.padded(h.queries);
  T* const dscores = scores + size.queries * kPitch<T>;
  T* const keep = dscores + size.queries * kPitch<T>;
  if (g.first) {
    pack_transposed(keys, h.k, h.k_rs, h.size, begin, end);
    pack_transposed(values, h.v, h.v_rs, h.value_size, begin, end);
    copy_rows(key_rows, h.k + begin * h.k_rs, h.k_rs, columns, h.size);
    for (int64_t j = 0; j < columns * (e + ev); ++j) dk[j] = 0;
  }
  copy_rows(q, h.q, h.q_rs, h.queries, h.size);
  copy_rows(grad, g.grad, g.grad_rs, h.queries, h.value_size);
  for (int64_t j = 0; j < h.queries * e; ++j) dq[j] = 0;
  for (int64_t i = 0; i < h.queries; ++i) {
    vec<T> sum(0);
    for_vectors<T>(h.value_size, [&](int64_t j, auto lanes) PYDL_FORCE_INLINE {
      sum = fma(lanes.load(grad + i * ev + j), lanes.load(g.out + i * g.out_rs + j), sum);
    });
    delta[i] = across(Sum<T>{}, sum);
  }
  const int64_t most = size.rows(h.causal, h.keys);
  for (int64_t j = begin; j < end; j += size.keys) {
    const int64_t at = j - begin, left = end - j < size.keys ? end - j : size.keys;
    for (int64_t i = h.causal ? j / most * most : 0; i < h.queries; i += most) {
      const int64_t rows = h.queries - i < most ? h.queries - i : most;
      const int64_t seen = h.visible(i + rows) - j, n = seen < left ? seen : left, whole = whole_panels<T>(n, end - j);
      const TileRange tile{i, rows, j, n};
      gemm<T>().block(product<T>(rows, whole, h.size, {q + i * e, e, 1}, {keys + at * h.size, 0, 1, true}, scores,
                                 kPitch<T>, h.scale * kLog2E<T>, 0));
      gemm<T>().block(product<T>(rows, whole, h.value_size, {grad + i * ev, ev, 1},
                                 {values + at * h.value_size, 0, 1, true}, dscores, kPitch<T>, 1, 0));
      if (h.bias || h.allowed || n % L != 0 || (h.causal && j + n > i + 1)) mask_tile(scores, h, tile);
      for (int64_t r = 0; r < rows; ++r) {
        if (h.dropout.keep) h.dropout.keep(h.dropout.context, keep, h.dropout.first + (i + r) * h.keys + j, n);
        gradient_row(scores + r * kPitch<T>, dscores + r * kPitch<T>, g.lse + 2 * (i + r), delta[i + r],
                     h.dropout.keep ? keep : nullptr, h.dropout.scale, n);
      }
      gemm<T>().block(
          product<T>(n, ev, rows, {scores, 1, kPitch<T>}, {grad + i * ev, ev, 1, false}, dv + at * ev, ev, 1, 1));
      gemm<T>().block(
          product<T>(n, e, rows, {dscores, 1, kPitch<T>}, {q + i * e, e, 1, false}, dk + at * e, e, h.scale, 1));
      gemm<T>().block(
          product<T>(rows, e, n, {dscores, kPitch<T>, 1}, {key_rows + at * e, e, 1, false}, dq + i * e, e, h.scale, 1));
    }
  }
  const auto give = [](T* to, int64_t rs, const T* from, int64_t rows, int64_t n) {
    const int64_t pitch = blocking<T>().padded(n);
    for (int64_t i = 0; i < rows; ++i)
      for_vectors<T>(n, [&](int64_t j, auto lanes)
                            PYDL_FORCE_INLINE { lanes.store(lanes.load(from + i * pitch + j), to + i * rs + j); });
  };
  give(g.dq, g.dq_rs, dq, h.queries, h.size);
  if (!g.last) return;
  give(g.dk + begin * g.dk_rs, g.dk_rs, dk, columns, h.size);
  give(g.dv + begin * g.dv_rs, g.dv_rs, dv, columns, h.value_size);
}

template <class T>
constexpr AttentionKernels<T> make() {
#define KERNEL(name, result, args) &name<T>,
  return {
#include "kernels/attention.inc"
      blocking<T>()};
#undef KERNEL
}

}  // namespace

extern const AttentionKernels<float> attention_f32;
extern const AttentionKernels<double> attention_f64;
const AttentionKernels<float> attention_f32 = make<float>();
const AttentionKernels<double> attention_f64 = make<double>();

PYDL_ISA_END
