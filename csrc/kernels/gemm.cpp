// Matrix multiplication: register tiles, packers and the kernels for thin shapes. After Goto and van de Geijn, "Anatomy
// of High-Performance Matrix Multiplication", and BLIS, with vectors along the columns of C.
//
// Accuracy: one rounding per multiply-add (two on the baseline ISA) in ascending k, at most kc of them in a chain.
#include "kernels/gemm.h"

#include "kernels/lanes.h"
#include "kernels/square.h"

PYDL_ISA_BEGIN
namespace {

// ---- register budget ----------------------------------------------------------------------------------------------
// Tiles are up to kTileRows x 2 vectors; short ones (kWideRows) up to kWideVectors. Accumulators, a row of B and one
// value of A fill the register file.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 14, kWideRows = 6, kWideVectors = 4;
inline constexpr int kDotRows = 4;
inline constexpr int kPackingTiles = 14, kPackingTiles2K = 14, kPackingTiles4K = 14;
#elif defined(__AVX2__)
inline constexpr int kTileRows = 6, kWideRows = 2, kWideVectors = 4;
inline constexpr int kDotRows = 3;
inline constexpr int kPackingTiles = 28, kPackingTiles2K = 5, kPackingTiles4K = 2;
#else
inline constexpr int kTileRows = 4, kWideRows = 1, kWideVectors = 4;
inline constexpr int kDotRows = 2;
inline constexpr int kPackingTiles = 28, kPackingTiles2K = 5, kPackingTiles4K = 2;
#endif
inline constexpr int kDotColumns = 4, kDotRowColumns = 4;

template <class T> constexpr GemmBlocking blocking() {
  const int64_t vector = vec<T>::size, halves = sizeof(T) / 4;
  return {.mr = kTileRows, .nr = 2 * vector, .vector = vector,
          .mc = 8 * kTileRows, .kc = 1024 / halves, .nc = 2048,
          .dot_kc = 1024 / halves,
          .packing_rows = kPackingTiles * kTileRows, .packing_rows_2k = kPackingTiles2K * kTileRows,
          .packing_rows_4k = kPackingTiles4K * kTileRows, .wide_mr = kWideRows,
#if defined(__AVX2__)
          .masked_columns = true
#else
          .masked_columns = false
#endif
  };
}

// ---- the tile -----------------------------------------------------------------------------------------------------
// A row of NV vectors, of which the last may have only `last` columns.
template <class T, int NV, bool Partial> struct Columns {
  static constexpr int64_t L = vec<T>::size;
  int64_t last;
  PYDL_INLINE vec<T> load(const T* p, int v) const {
    return Partial && v == NV - 1 ? vec<T>::load_partial(p + v * L, last) : vec<T>::load(p + v * L);
  }
  PYDL_INLINE void store(vec<T> x, T* p, int v) const {
    if (Partial && v == NV - 1) x.store_partial(p + v * L, last);
    else x.store(p + v * L);
  }
};

template <class T> PYDL_INLINE vec<T> relu(vec<T> x) { return select(x < T(0), vec<T>(0), x); }

// Finishes a tile in registers and stores it at c, row i, column j of the block.
template <class T, int MR, int NV, class Cols>
PYDL_INLINE void store_tile(const GemmBlock<T>& block, vec<T> (&acc)[MR][NV], T* c, int64_t i, int64_t j,
                            Cols columns) {
  using V = vec<T>;
  const int64_t c_rs = block.c_rs;
  const Epilogue<T>& epilogue = block.epilogue;
  if (block.alpha != T(1)) {
    const V alpha(block.alpha);
    PYDL_UNROLL for (int r = 0; r < MR; ++r)
      PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] *= alpha;
  }
  if (block.beta == T(1)) {
    PYDL_UNROLL for (int r = 0; r < MR; ++r)
      PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] += columns.load(c + r * c_rs, v);
  } else if (block.beta != T(0)) {
    const V beta(block.beta);
    PYDL_UNROLL for (int r = 0; r < MR; ++r)
      PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] = fma(beta, columns.load(c + r * c_rs, v), acc[r][v]);
  }
  if (!epilogue.empty()) {
    if (epilogue.row_bias) {
      PYDL_UNROLL for (int v = 0; v < NV; ++v) {
        const V bias = columns.load(epilogue.row_bias + j, v);
        PYDL_UNROLL for (int r = 0; r < MR; ++r) acc[r][v] += bias;
      }
    }
    if (epilogue.col_bias) {
      PYDL_UNROLL for (int r = 0; r < MR; ++r) {
        const V bias(epilogue.col_bias[i + r]);
        PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] += bias;
      }
    }
    if (epilogue.activation == Activation::Relu) {
      PYDL_UNROLL for (int r = 0; r < MR; ++r)
        PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] = relu(acc[r][v]);
    }
  }
  PYDL_UNROLL for (int r = 0; r < MR; ++r)
    PYDL_UNROLL for (int v = 0; v < NV; ++v) columns.store(acc[r][v], c + r * c_rs, v);
  if (epilogue.elementwise)
    for (int r = 0; r < MR; ++r) epilogue.elementwise(c + r * c_rs, (NV - 1) * V::size + columns.last);
}

// An MR x NV-vector tile of C at row i, column j. a(r, p) = a[r*a_rs + p*a_cs]; row p of B starts at b + p*b_rs.
// Meanwhile the lines ahead + p*b_rs are fetched into the L2 cache.
template <class T, int MR, int NV, bool Partial>
void tile(const GemmBlock<T>& block, const T* a, int64_t a_rs, int64_t a_cs, const T* b, int64_t b_rs, const T* ahead,
          int64_t i, int64_t j, int64_t last) {
  using V = vec<T>;
  constexpr int kVectorsOfLine = 64 / kVectorBytes;
  const Columns<T, NV, Partial> columns{last};
  V acc[MR][NV];
  PYDL_UNROLL for (int r = 0; r < MR; ++r)
    PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] = V(0);
  T* const c = block.c + i * block.c_rs + j;
  PYDL_UNROLL for (int r = 0; r < MR; ++r)
    PYDL_UNROLL for (int v = 0; v < NV; v += kVectorsOfLine) __builtin_prefetch(c + r * block.c_rs + v * V::size, 1);
  // Three rows to a pointer: base, base + stride and base + 2*stride are all addressing modes.
  constexpr int kPointers = (MR + 2) / 3;
  const T* row[kPointers];
  PYDL_UNROLL for (int q = 0; q < kPointers; ++q) row[q] = a + 3 * q * a_rs;
  for (int64_t p = block.k; p > 0; --p) {
    V bv[NV];
    PYDL_UNROLL for (int v = 0; v < NV; ++v) {
      bv[v] = columns.load(b, v);
      if (v % kVectorsOfLine == 0) __builtin_prefetch(b + 8 * b_rs + v * V::size);
    }
    PYDL_UNROLL for (int r = 0; r < MR; ++r) {
      const V av(row[r / 3][r % 3 * a_rs]);
      PYDL_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] = fma(av, bv[v], acc[r][v]);
    }
    PYDL_UNROLL for (int q = 0; q < kPointers; ++q) row[q] += a_cs;
    __builtin_prefetch(ahead, 0, 2);
    ahead += b_rs;
    b += b_rs;
  }
  store_tile(block, acc, c, i, j, columns);
}

template <class T>
using TileFn = void (*)(const GemmBlock<T>&, const T*, int64_t, int64_t, const T*, int64_t, const T*, int64_t, int64_t,
                        int64_t);

// The tile functions of one height, by number of vectors less one, the whole ones first.
template <class T> struct TilesOfHeight { TileFn<T> of[kWideVectors][2]; };
template <class T, int MR, int NV> constexpr void fill_tiles(TilesOfHeight<T>& tiles) {
  if constexpr (NV <= 2 || MR <= kWideRows) {
    tiles.of[NV - 1][0] = &tile<T, MR, NV, false>;
    tiles.of[NV - 1][1] = &tile<T, MR, NV, true>;
  }
  if constexpr (NV < kWideVectors) fill_tiles<T, MR, NV + 1>(tiles);
}
template <class T> struct Tiles { TilesOfHeight<T> height[kTileRows]; };
template <class T, int MR = 1> constexpr void fill_heights(Tiles<T>& tiles) {
  fill_tiles<T, MR, 1>(tiles.height[MR - 1]);
  if constexpr (MR < kTileRows) fill_heights<T, MR + 1>(tiles);
}
template <class T> constexpr Tiles<T> make_tiles() {
  Tiles<T> tiles{};
  fill_heights<T>(tiles);
  return tiles;
}
template <class T> inline constexpr Tiles<T> kTiles = make_tiles<T>();

// The tiles of one panel of B, or of one strip of A, follow each other. A long C over a small B is walked by rows: it
// and A stream through the cache once, and B stays. Otherwise by columns: a panel of B stays, and A in the next level.
template <class T> void block(const GemmBlock<T>& g) {
  constexpr int64_t L = vec<T>::size, kSmallB = 192 * 1024;
  const TileRows rows(g.m, kTileRows);
  const int64_t panel = !g.b_packed && g.m <= kWideRows ? kWideVectors * L : 2 * L;
  // ahead: how far beyond B's panel to fetch.
  const auto run = [&](int64_t i, int64_t height, int64_t j, int64_t vector_ahead) __attribute__((always_inline)) {
    const int64_t width = g.n - j < panel ? g.n - j : panel;
    const int64_t vectors = (width + L - 1) / L, last = width - (vectors - 1) * L;
    const T* const b = g.b + (g.b_packed ? j * g.k : j);
    const int64_t b_rs = g.b_packed ? vectors * L : g.b_rs;
    const T* const ahead = vector_ahead < vectors ? b + (g.b_packed ? panel * g.k : panel) + vector_ahead * L : b;
    const TileFn<T> f = kTiles<T>.height[height - 1].of[vectors - 1][last < L];
    if (g.a_packed) f(g, g.a + i * g.k, 1, height, b, b_rs, ahead, i, j, last);
    else f(g, g.a + i * g.a_rs, g.a_rs, g.a_cs, b, b_rs, ahead, i, j, last);
  };
  const auto height_at = [&](int64_t i) { return rows.height + (i < rows.taller * (rows.height + 1)); };
  if (rows.count >= 4 && g.k * g.n * int64_t(sizeof(T)) <= kSmallB) {
    for (int64_t i = 0; i < g.m; i += height_at(i))
      for (int64_t j = 0; j < g.n; j += panel) run(i, height_at(i), j, kWideVectors);
  } else {
    for (int64_t j = 0; j < g.n; j += panel)
      for (int64_t i = 0, t = 0; i < g.m; i += height_at(i), ++t) run(i, height_at(i), j, t);
  }
}

// ---- products by dots ---------------------------------------------------------------------------------------------
// What store_tile does, for one value.
template <class T> PYDL_INLINE T finish(const GemmBlock<T>& g, T sum, int64_t i, int64_t j) {
  const T* c = g.c + i * g.c_rs + j;
  T value = g.alpha == T(1) ? sum : g.alpha * sum;
  if (g.beta == T(1)) value += *c;
  else if (g.beta != T(0)) value = fma(vec<T>(g.beta), vec<T>(*c), vec<T>(value)).v[0];
  if (g.epilogue.row_bias) value += g.epilogue.row_bias[j];
  if (g.epilogue.col_bias) value += g.epilogue.col_bias[i];
  if (g.epilogue.activation == Activation::Relu && value < T(0)) value = 0;
  return value;
}

struct AddLanes {
  template <class V> PYDL_INLINE V combine(V a, V b) const { return a + b; }
};

// M x N dots. Columns beyond the block repeat its last one: their sums are computed and dropped.
template <class T, int M, int N> PYDL_INLINE void dot_tile(const GemmBlock<T>& g, int64_t i, int64_t j) {
  using V = vec<T>;
  constexpr int64_t L = V::size;
  constexpr int kSums = (M * N + L - 1) / L * L;
  V acc[kSums];
  PYDL_UNROLL for (int s = 0; s < kSums; ++s) acc[s] = V(0);
  const T *a[M], *b[N];
  PYDL_UNROLL for (int r = 0; r < M; ++r) a[r] = g.a + (i + r) * g.a_rs;
  PYDL_UNROLL for (int s = 0; s < N; ++s) b[s] = g.b + (j + s < g.n ? j + s : g.n - 1) * g.b_cs;
  const auto step = [&](auto load) __attribute__((always_inline)) {
    V av[M];
    PYDL_UNROLL for (int r = 0; r < M; ++r) av[r] = load(a[r]);
    PYDL_UNROLL for (int s = 0; s < N; ++s) {
      const V bv = load(b[s]);
      PYDL_UNROLL for (int r = 0; r < M; ++r) acc[r * N + s] = fma(av[r], bv, acc[r * N + s]);
    }
  };
  int64_t p = 0;
  for (; p + L <= g.k; p += L) step([p](const T* x) __attribute__((always_inline)) { return V::load(x + p); });
  if (p < g.k) step([p, &g](const T* x) __attribute__((always_inline)) { return V::load_partial(x + p, g.k - p); });
  T sums[kSums];
  PYDL_UNROLL for (int s = 0; s < kSums; s += L) across_each<L>(AddLanes{}, acc + s).store(sums + s);
  const int64_t width = g.n - j < N ? g.n - j : N;
  const bool plain = width == N && g.alpha == T(1) && g.beta == T(0) && g.epilogue.empty();
  for (int r = 0; r < M; ++r) {
    T* const c = g.c + (i + r) * g.c_rs + j;
    if (plain) {
      std::memcpy(c, sums + r * N, sizeof(T) * N);
      continue;
    }
    for (int64_t s = 0; s < width; ++s) c[s] = finish(g, sums[r * N + s], i + r, j + s);
    if (g.epilogue.elementwise) g.epilogue.elementwise(c, width);
  }
}

template <class T> void dot_block(const GemmBlock<T>& g) {
  if (g.m == 1) {
    for (int64_t j = 0; j < g.n; j += kDotRowColumns) dot_tile<T, 1, kDotRowColumns>(g, 0, j);
    return;
  }
  for (int64_t j = 0; j < g.n; j += kDotColumns) {
    int64_t i = 0;
    for (; i + kDotRows <= g.m; i += kDotRows) dot_tile<T, kDotRows, kDotColumns>(g, i, j);
    if constexpr (kDotRows > 2)
      if (i + 2 <= g.m) dot_tile<T, 2, kDotColumns>(g, i, j), i += 2;
    if (i < g.m) dot_tile<T, 1, kDotColumns>(g, i, j);
  }
}

// ---- a row times a matrix -----------------------------------------------------------------------------------------
// A few rows of B at a time: their sum is added to a strip of the result that stays in the L1 cache.
template <class T, int Rows>
PYDL_INLINE void add_rows(T* sum, const T* x, int64_t x_stride, const T* b, int64_t b_rs, int64_t n, bool first) {
  vec<T> xv[Rows];
  PYDL_UNROLL for (int r = 0; r < Rows; ++r) xv[r] = vec<T>(x[r * x_stride]);
  for_vectors<T>(n, [&](int64_t j, auto lanes) __attribute__((always_inline)) {
    vec<T> part = xv[0] * lanes.load(b + j);
    PYDL_UNROLL for (int r = 1; r < Rows; ++r) part = fma(xv[r], lanes.load(b + r * b_rs + j), part);
    (first ? part : vec<T>::load(sum + j) + part).store(sum + j);
  });
}

template <class T, int Rows> void row_times_matrix_by(const GemmBlock<T>& g) {
  constexpr int64_t L = vec<T>::size, kStrip = 4096 / sizeof(T);
  alignas(64) T sum[kStrip];
  for (int64_t j = 0; j < g.n; j += kStrip) {
    const int64_t width = g.n - j < kStrip ? g.n - j : kStrip;
    int64_t p = 0;
    for (; p + Rows <= g.k; p += Rows)
      add_rows<T, Rows>(sum, g.a + p * g.a_cs, g.a_cs, g.b + p * g.b_rs + j, g.b_rs, width, p == 0);
    for (; p < g.k; ++p) add_rows<T, 1>(sum, g.a + p * g.a_cs, g.a_cs, g.b + p * g.b_rs + j, g.b_rs, width, p == 0);
    for (int64_t q = 0; q < width; q += L) {
      vec<T> acc[1][1] = {{vec<T>::load(sum + q)}};
      if (width - q >= L) store_tile(g, acc, g.c + j + q, 0, j + q, Columns<T, 1, false>{L});
      else store_tile(g, acc, g.c + j + q, 0, j + q, Columns<T, 1, true>{width - q});
    }
  }
}

// Memory is read fastest in eight long streams; from the caches, where rows a power of two apart compete for the same
// few places, four are faster. The stride, unlike n, is the same for every part of a product.
template <class T> void row_times_matrix(const GemmBlock<T>& g) {
  constexpr int64_t kInCaches = 12 << 20;
  const int64_t stride = g.b_rs < 0 ? -g.b_rs : g.b_rs;
  if (g.k * stride * int64_t(sizeof(T)) <= kInCaches) row_times_matrix_by<T, 4>(g);
  else row_times_matrix_by<T, 8>(g);
}

// ---- packing ------------------------------------------------------------------------------------------------------
// A tile of A whose rows are contiguous. Whole vectors are stored: what they write beyond their column is overwritten
// by the next one.
template <class T> PYDL_INLINE void pack_rows(T* packed, const T* a, int64_t rs, int64_t height, int64_t k) {
  constexpr int L = vec<T>::size, kGroups = (kTileRows + L - 1) / L;
  int64_t p = 0;
  for (; p + L <= k; p += L) {
    vec<T> square[kGroups][L];
    PYDL_UNROLL for (int g = 0; g < kGroups; ++g) {
      const int64_t rows = height - g * L;
      if (rows >= L) load_square(square[g], a + g * L * rs + p, rs);
      else if (g == 0 || rows > 0) load_square(square[g], a + g * L * rs + p, rs, rows, L);
    }
    PYDL_UNROLL for (int q = 0; q < L; ++q)
      PYDL_UNROLL for (int g = 0; g < kGroups; ++g)
        if (g == 0 || g * L < height) square[g][q].store(packed + (p + q) * height + g * L);
  }
  for (; p < k; ++p)
    for (int64_t r = 0; r < height; ++r) packed[p * height + r] = a[r * rs + p];
}

// Tiles of A whose columns are contiguous: all the rows of a column at a time, since they are one piece of memory and the
// next column may lie on another page. What a whole vector writes beyond its column is overwritten by the next one; the
// last column has none after it.
template <class T>
PYDL_INLINE void pack_tiles(T* packed, const T* a, int64_t cs, const TileRows& tiles, int64_t m, int64_t k) {
  constexpr int64_t L = vec<T>::size, kAhead = 4;
  const auto column = [&](const T* in, T* to, auto copy) __attribute__((always_inline)) {
    for (int64_t t = 0; t < tiles.count; ++t) {
      const int64_t height = tiles.height_of(t);
      copy(to, in, height);
      to += height * k, in += height;
    }
  };
  for (int64_t p = 0; p + 1 < k; ++p, a += cs) {
    for (int64_t r = 0; r < m; r += L) __builtin_prefetch(a + kAhead * cs + r);
    column(a, packed, [p](T* to, const T* in, int64_t height) __attribute__((always_inline)) {
      for (int64_t r = 0; r < height; r += L)
        (height - r >= L ? vec<T>::load(in + r) : vec<T>::load_partial(in + r, height - r)).store(to + p * height + r);
    });
  }
  column(a, packed, [k](T* to, const T* in, int64_t height) __attribute__((always_inline)) {
    std::memcpy(to + (k - 1) * height, in, size_t(height) * sizeof(T));
  });
}

template <class T> void pack_a(T* packed, const T* a, int64_t rs, int64_t cs, int64_t m, int64_t k) {
  const TileRows tiles(m, kTileRows);
  if (rs == 1 && k > 0) return pack_tiles(packed, a, cs, tiles, m, k);
  int64_t height;
  for (int64_t t = 0; t < tiles.count; ++t, packed += height * k, a += height * rs) {
    height = tiles.height_of(t);
    if (cs == 1) {
      pack_rows(packed, a, rs, height, k);
    } else {
      for (int64_t p = 0; p < k; ++p)
        for (int64_t r = 0; r < height; ++r) packed[p * height + r] = a[r * rs + p * cs];
    }
  }
}

// Up to L contiguous columns of B, `cs` apart, as L columns of a panel.
template <class T>
PYDL_INLINE void pack_columns(T* packed, int64_t stride, const T* b, int64_t cs, int64_t columns, int64_t k) {
  constexpr int L = vec<T>::size;
  int64_t p = 0;
  for (; p + L <= k; p += L) {
    vec<T> square[L];
    if (columns == L) load_square(square, b + p, cs);
    else load_square(square, b + p, cs, columns, L);
    PYDL_UNROLL for (int i = 0; i < L; ++i) square[i].store(packed + (p + i) * stride);
  }
  if (p < k) {
    vec<T> square[L];
    load_square(square, b + p, cs, columns, k - p);
    PYDL_UNROLL for (int i = 0; i < L; ++i)
      if (p + i < k) square[i].store(packed + (p + i) * stride);
  }
}

// Whole panels of B, whose rows are contiguous, side by side: long pieces of a row at a time, since a panel's own piece
// is two cache lines and the processor fetches ahead along a row only.
template <class T, int Panels> PYDL_INLINE void pack_panels(T* packed, const T* b, int64_t rs, int64_t k) {
  constexpr int64_t L = vec<T>::size, kPanel = 2 * L;
  for (int64_t p = 0; p < k; ++p, b += rs, packed += kPanel) {
    PYDL_UNROLL for (int q = 0; q < 2 * Panels; ++q) __builtin_prefetch(b + 2 * rs + q * L);
    PYDL_UNROLL for (int q = 0; q < Panels; ++q) {
      vec<T>::load(b + q * kPanel).store(packed + q * k * kPanel);
      vec<T>::load(b + q * kPanel + L).store(packed + q * k * kPanel + L);
    }
  }
}

template <class T> void pack_b(T* packed, const T* b, int64_t rs, int64_t cs, int64_t k, int64_t n) {
  constexpr int64_t L = vec<T>::size, kPanel = 2 * L;
  int64_t stride;
  for (int64_t j = 0; j < n; j += kPanel, packed += k * stride) {
    const int64_t width = n - j < kPanel ? n - j : kPanel;
    const T* const in = b + j * cs;
    stride = (width + L - 1) / L * L;
    if (cs == 1 && n - j >= 8 * kPanel) {
      pack_panels<T, 8>(packed, in, rs, k);
      j += 7 * kPanel, packed += 7 * k * kPanel;
    } else if (cs == 1 && width == kPanel) {
      pack_panels<T, 1>(packed, in, rs, k);
    } else if (cs == 1) {
      for (int64_t p = 0; p < k; ++p)
        for (int64_t q = 0; q < width; q += L) {
          const T* const from = in + p * rs + q;
          (width - q >= L ? vec<T>::load(from) : vec<T>::load_partial(from, width - q)).store(packed + p * stride + q);
        }
    } else if (rs == 1) {
      for (int64_t q = 0; q < width; q += L)
        pack_columns(packed + q, stride, in + q * cs, cs, width - q < L ? width - q : L, k);
    } else {
      for (int64_t p = 0; p < k; ++p)
        for (int64_t q = 0; q < stride; ++q) packed[p * stride + q] = q < width ? in[p * rs + q * cs] : T(0);
    }
  }
}

// ---- sums of parts ------------------------------------------------------------------------------------------------
template <class T> void add_parts(const GemmBlock<T>& g, const T* parts, int64_t count, int64_t stride) {
  for (int64_t i = 0; i < g.m; ++i)
    for_vectors<T>(g.n, [&](int64_t j, auto lanes) __attribute__((always_inline)) {
      vec<T> acc[1][1] = {{lanes.load(parts + i * g.n + j)}};
      for (int64_t q = 1; q < count; ++q) acc[0][0] += lanes.load(parts + q * stride + i * g.n + j);
      if constexpr (decltype(lanes)::whole)
        store_tile(g, acc, g.c + i * g.c_rs + j, i, j, Columns<T, 1, false>{vec<T>::size});
      else store_tile(g, acc, g.c + i * g.c_rs + j, i, j, Columns<T, 1, true>{lanes.n});
    });
}

template <class T> constexpr GemmKernels<T> make() {
#define KERNEL(name, result, args) &name<T>,
  return {
#include "kernels/gemm.inc"
      blocking<T>()};
#undef KERNEL
}

}  // namespace

extern const GemmKernels<float> gemm_f32;
extern const GemmKernels<double> gemm_f64;
const GemmKernels<float> gemm_f32 = make<float>();
const GemmKernels<double> gemm_f64 = make<double>();

PYDL_ISA_END
