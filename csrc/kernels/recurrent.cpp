// Recurrent cells: a tile of the product with the recurrent weights, then the gates of its units.
//
//   simple   h' = f(x + W h)                                                     Elman 1990
//   LSTM     c' = s(f) c + s(i) f(g),  h' = s(o) f(c')                           Hochreiter and Schmidhuber 1997, Gers 2000
//   GRU      n = f(x_n + s(r) (W_n h + b_n)),  h' = (1 - s(z)) n + s(z) h        Cho 2014, in cuDNN's form
//
// with s the logistic function and f an activation. Gates are in PyTorch's order: i f g o and r z n. The backward steps
// are these equations differentiated by hand.
//
// Accuracy: one rounding per multiply-add in ascending k (two on the baseline ISA), then simd/math.h's bounds.
#include "kernels/recurrent.h"

#include "kernels/gemm.h"
#include "kernels/lanes.h"
#include "kernels/square.h"
#include "simd/math.h"

PYDL_ISA_BEGIN
namespace {

// A tile's sums are a few rows by the vectors of a panel. Those that the register file does not hold at once are summed
// in turns: more rows then share each line of a panel that comes from the L2 cache. A few rows alone would wait for each
// other's additions: they take several panels at a time.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 6, kAccumulators = 24, kMostPanels = 4;
#elif defined(__AVX2__)
inline constexpr int kTileRows = 6, kAccumulators = 12, kMostPanels = 2;
#else
inline constexpr int kTileRows = 2, kAccumulators = 8, kMostPanels = 2;
#endif
// Vectors of a panel whose rows lie together and that a whole tile sums at a time.
constexpr int piece_of(int vectors) { return vectors == 4 && kTileRows * vectors > kAccumulators ? 2 : vectors; }
// Rows of a tile of so many vectors: three of them in turns would leave one alone.
constexpr int tile_rows(int vectors) {
  return vectors == 3 && kAccumulators / 3 < kTileRows ? kAccumulators / 3 : kTileRows;
}
inline constexpr int kLoneVectors = 4;

// ---- the product ----------------------------------------------------------------------------------------------------
// One left operand of a tile's sums and the panels it meets: rows of k values. Meanwhile the lines `ahead`, one of each
// row of a panel, are fetched into the L2 cache.
template <class T> struct Factor {
  const T* const* rows;
  int64_t k;
  const T *panels, *ahead;
};

// acc[panel][row][vector] += a row . columns of a panel, for the vectors from First on of P panels of NV.
template <class T, int NV, int First, int P, int MR, int N>
PYDL_INLINE void accumulate(vec<T> (&acc)[P][MR][N], const Factor<T>& factor) {
  using V = vec<T>;
  constexpr int64_t L = V::size;
  constexpr int kPiece = piece_of(NV);
  const int64_t panel = factor.k * NV * L, piece = factor.k * kPiece * L;
  const T *a[MR], *b = factor.panels + First / kPiece * piece, *ahead = factor.ahead;
  PYDL_UNROLL for (int r = 0; r < MR; ++r) a[r] = factor.rows[r];
  for (int64_t p = 0; p < factor.k; ++p, b += kPiece * L, ahead += NV * L) {
    if (First == 0) __builtin_prefetch(ahead, 0, 2);
    PYDL_UNROLL for (int q = 0; q < P; ++q) {
      V bv[N];
      PYDL_UNROLL for (int v = 0; v < N; ++v) bv[v] = V::load(b + q * panel + v / kPiece * piece + v % kPiece * L);
      PYDL_UNROLL for (int r = 0; r < MR; ++r) {
        const V av(a[r][p]);
        PYDL_UNROLL for (int v = 0; v < N; ++v) acc[q][r][v] = fma(av, bv[v], acc[q][r][v]);
      }
    }
  }
}

// sums[panel][row][vector] = inputs[row] . columns of its panel + states[row] . columns of its panel, for P panels side
// by side, from vector First on.
template <class T, int MR, int NV, int P, int First = 0>
PYDL_INLINE void sum(T* sums, const Factor<T>& inputs, const Factor<T>& states) {
  using V = vec<T>;
  constexpr int N = MR * NV * P <= kAccumulators ? NV : piece_of(NV);
  V acc[P][MR][N];
  PYDL_UNROLL for (int q = 0; q < P; ++q)
    PYDL_UNROLL for (int r = 0; r < MR; ++r)
      PYDL_UNROLL for (int v = 0; v < N; ++v) acc[q][r][v] = V(0);
  accumulate<T, NV, First>(acc, inputs);
  accumulate<T, NV, First>(acc, states);
  PYDL_UNROLL for (int q = 0; q < P; ++q)
    PYDL_UNROLL for (int r = 0; r < MR; ++r)
      PYDL_UNROLL for (int v = 0; v < N; ++v) acc[q][r][v].store(sums + ((q * MR + r) * NV + First + v) * V::size);
  if constexpr (First + N < NV) sum<T, MR, NV, P, First + N>(sums, inputs, states);
}
template <class T, int MR, int NV, int P> void tile(T* sums, const Factor<T>& inputs, const Factor<T>& states) {
  sum<T, MR, NV, P>(sums, inputs, states);
}

template <class T> using TileFn = void (*)(T*, const Factor<T>&, const Factor<T>&);
// The panels that a tile of so many rows takes at a time.
constexpr int panels_at_once(int rows) { return rows == 1 ? kMostPanels : rows == 2 ? kMostPanels / 2 : 1; }
template <class T, int NV> struct Tiles {
  TileFn<T> one[kTileRows], many[kTileRows];
  template <int MR = 1> constexpr void fill() {
    one[MR - 1] = &tile<T, MR, NV, 1>;
    many[MR - 1] = &tile<T, MR, NV, panels_at_once(MR)>;
    if constexpr (MR < kTileRows) fill<MR + 1>();
  }
  constexpr Tiles() : one{}, many{} { fill(); }
};
template <class T, int NV> inline constexpr Tiles<T, NV> kTiles{};

// Products of all rows with the panels; f(first row, rows, sums, first unit, vectors of a gate) for each tile of them.
// state(row) and, unless `input` is empty, input_row(row) are the left operands. Panels are outermost: one stays in the
// cache while all rows pass.
template <class T, int Gates, class X, class H, class F>
PYDL_INLINE void for_tiles(const Panels<T>& input, const Panels<T>& w, int64_t count, X input_row, H state, F f) {
  constexpr int64_t L = vec<T>::size, kUnits = Gates == 1 ? kLoneVectors : 1, kVectors = Gates * kUnits;
  alignas(64) T sums[kTileRows * kVectors * L > kMostPanels * kVectors * L ? kTileRows * kVectors * L
                                                                         : kMostPanels * kVectors * L];
  if (count == 0) return;
  const TileRows heights(count, tile_rows(kVectors));
  const int64_t at_once = heights.count == 1 ? panels_at_once(int(count)) : 1;
  const int64_t whole = w.columns / (kUnits * L);  // panels with all their vectors
  const auto panel = [](const Panels<T>& of, int64_t j) { return of.data + j * of.k * kVectors * L; };
  for (int64_t j = w.first; j < w.last;) {
    const int64_t panels = j + at_once <= (w.last < whole ? w.last : whole) ? at_once : 1;
    const int64_t rest = w.columns - j * kUnits * L;
    const int64_t units = j < whole ? kUnits : (rest + L - 1) / L;  // vectors of one gate
    for (int64_t t = 0, r = 0; t < heights.count; ++t) {
      const int64_t height = heights.height_of(t);
      const T *inputs[kTileRows], *states[kTileRows];
      for (int64_t i = 0; i < height; ++i) {
        inputs[i] = input.k ? input_row(r + i) : nullptr;
        states[i] = state(r + i);
      }
      TileFn<T> product;
      if constexpr (Gates == 1) {
        product = units == 4   ? (panels > 1 ? kTiles<T, 4>.many : kTiles<T, 4>.one)[height - 1]
                  : units == 3 ? kTiles<T, 3>.one[height - 1]
                  : units == 2 ? kTiles<T, 2>.one[height - 1]
                               : kTiles<T, 1>.one[height - 1];
      } else {
        product = (panels > 1 ? kTiles<T, Gates>.many : kTiles<T, Gates>.one)[height - 1];
      }
      // The first tiles of a panel fetch the next one, a vector of each row; the others fetch nothing new.
      const int64_t next = t >= kVectors ? j : j + 1 < w.last ? j + 1 : w.first, vector = t % kVectors * L;
      product(sums, {inputs, input.k, panel(input, j), panel(input, next) + (input.k ? vector : 0)},
              {states, w.k, panel(w, j), panel(w, next) + vector});
      for (int64_t q = 0; q < panels; ++q)
        f(r, height, sums + q * height * Gates * units * L, (j + q) * kUnits * L, units);
      r += height;
    }
    j += panels;
  }
}
// The same row by row: f(row, sums, first unit, vectors of a gate).
template <class T, int Gates, class X, class H, class F>
PYDL_INLINE void for_rows(const Panels<T>& input, const Panels<T>& w, int64_t count, X input_row, H state, F f) {
  for_tiles<T, Gates>(
      input, w, count, input_row, state,
      [&](int64_t first, int64_t rows, const T* sums, int64_t unit, int64_t vectors) __attribute__((always_inline)) {
        for (int64_t r = 0; r < rows; ++r) f(first + r, sums + r * Gates * vectors * vec<T>::size, unit, vectors);
      });
}

// f(offset, lanes) for the vectors of the units from `first` on that exist.
template <class T, class F> PYDL_INLINE void for_units(int64_t first, int64_t vectors, int64_t columns, F f) {
  const int64_t n = columns - first < vectors * vec<T>::size ? columns - first : vectors * vec<T>::size;
  for_vectors<T>(n, f);
}

// ---- activations ----------------------------------------------------------------------------------------------------
template <CellActivation A, class T> PYDL_INLINE vec<T> activate(vec<T> x) {
  if constexpr (A == CellActivation::Tanh) return tanh(x);
  else if constexpr (A == CellActivation::Relu) return select(x < T(0), vec<T>(0), x);
  else if constexpr (A == CellActivation::Sigmoid) return sigmoid(x);
  else return x;
}
// The derivative, from the activation's value.
template <CellActivation A, class T> PYDL_INLINE vec<T> slope(vec<T> y) {
  if constexpr (A == CellActivation::Tanh) return fma(-y, y, vec<T>(1));
  else if constexpr (A == CellActivation::Relu) return select(y > T(0), 1, vec<T>(0));
  else if constexpr (A == CellActivation::Sigmoid) return y * (1 - y);
  else return vec<T>(1);
}

// ---- forward --------------------------------------------------------------------------------------------------------
// f(row, first unit, vectors, sums, the rest of the pre-activations) for the products of a step, Gates gates side by
// side.
template <class T, int Gates, class F> PYDL_INLINE void for_gates(const ForwardStep<T>& s, F f) {
  for_rows<T, Gates>(
      s.input, s.weights, s.count, [&](int64_t r) __attribute__((always_inline)) { return s.rows[r].x; },
      [&](int64_t r) __attribute__((always_inline)) { return s.rows[r].h; },
      [&](int64_t r, const T* sums, int64_t first, int64_t vectors) __attribute__((always_inline)) {
        const ForwardRow<T>& row = s.rows[r];
        f(row, first, vectors, sums, s.bias ? s.bias : row.gates);
      });
}

template <class T, CellActivation A> void forward_simple(const ForwardStep<T>& s) {
  for_gates<T, 1>(s, [&](const ForwardRow<T>& row, int64_t first, int64_t vectors, const T* sums, const T* before)
                         __attribute__((always_inline)) {
    for_units<T>(first, vectors, s.weights.columns, [&](int64_t q, auto lanes) __attribute__((always_inline)) {
      lanes.store(activate<A>(lanes.load(before + first + q) + vec<T>::load(sums + q)), row.out + first + q);
    });
  });
}

// A row's new state waits for the gates, and its output for the state: the rows of a tile take the second wait together.
template <class T, CellActivation A> void forward_lstm(const ForwardStep<T>& s) {
  constexpr int64_t L = vec<T>::size;
  const int64_t units = s.weights.columns;
  for_tiles<T, 4>(
      s.input, s.weights, s.count, [&](int64_t r) __attribute__((always_inline)) { return s.rows[r].x; },
      [&](int64_t r) __attribute__((always_inline)) { return s.rows[r].h; },
      [&](int64_t first, int64_t rows, const T* sums, int64_t j, int64_t) __attribute__((always_inline)) {
        for_units<T>(j, 1, units, [&](int64_t, auto lanes) __attribute__((always_inline)) {
          vec<T> cells[kTileRows], outputs[kTileRows];
          for (int64_t r = 0; r < rows; ++r, sums += 4 * L) {
            const ForwardRow<T>& row = s.rows[first + r];
            const T* const in = (s.bias ? s.bias : row.gates) + j;
            const vec<T> i = sigmoid(lanes.load(in) + vec<T>::load(sums));
            const vec<T> f = sigmoid(lanes.load(in + units) + vec<T>::load(sums + L));
            const vec<T> g = activate<A>(lanes.load(in + 2 * units) + vec<T>::load(sums + 2 * L));
            const vec<T> o = sigmoid(lanes.load(in + 3 * units) + vec<T>::load(sums + 3 * L));
            const vec<T> c = fma(f, lanes.load(row.c_before + j), i * g);
            lanes.store(c, row.c + j);
            cells[r] = c, outputs[r] = o;
            if (!s.save) continue;
            T* const gates = row.gates + j;
            lanes.store(i, gates);
            lanes.store(f, gates + units);
            lanes.store(g, gates + 2 * units);
            lanes.store(o, gates + 3 * units);
          }
          for (int64_t r = 0; r < rows; ++r) lanes.store(outputs[r] * activate<A>(cells[r]), s.rows[first + r].out + j);
        });
      });
}

template <class T, CellActivation A> void forward_gru(const ForwardStep<T>& s) {
  constexpr int64_t L = vec<T>::size;
  const int64_t units = s.weights.columns;
  for_gates<T, 3>(s, [&](const ForwardRow<T>& row, int64_t j, int64_t, const T* sums, const T*)
                         __attribute__((always_inline)) {
    for_units<T>(j, 1, units, [&](int64_t, auto lanes) __attribute__((always_inline)) {
      T* const gates = row.gates + j;
      const vec<T> r = sigmoid(lanes.load(gates) + vec<T>::load(sums));
      const vec<T> z = sigmoid(lanes.load(gates + units) + vec<T>::load(sums + L));
      vec<T> inner = vec<T>::load(sums + 2 * L);
      if (s.inner_bias) inner += lanes.load(s.inner_bias + j);
      const vec<T> n = activate<A>(fma(r, inner, lanes.load(gates + 2 * units)));
      lanes.store(fma(z, lanes.load(row.h_units + j) - n, n), row.out + j);
      if (!s.save) return;
      lanes.store(r, gates);
      lanes.store(z, gates + units);
      lanes.store(n, gates + 2 * units);
      lanes.store(inner, row.inner + j);
    });
  });
}

// ---- backward -------------------------------------------------------------------------------------------------------
// f(row, unit, lanes, dh) with dh = dy + the product.
template <class T, class F> PYDL_INLINE void for_state_gradients(const BackwardStep<T>& s, F f) {
  for_rows<T, 1>(
      Panels<T>{}, s.weights, s.count,
      [](int64_t) __attribute__((always_inline)) { return static_cast<const T*>(nullptr); },
      [&](int64_t r) __attribute__((always_inline)) { return s.rows[r].next; },
      [&](int64_t r, const T* sums, int64_t first, int64_t vectors) __attribute__((always_inline)) {
        const BackwardRow<T>& row = s.rows[r];
        for_units<T>(first, vectors, s.weights.columns, [&](int64_t q, auto lanes) __attribute__((always_inline)) {
          vec<T> dh = vec<T>::load(sums + q);
          if (row.dy) dh += lanes.load(row.dy + first + q);
          f(row, first + q, lanes, dh);
        });
      });
}

template <class T, CellActivation A> void backward_simple(const BackwardStep<T>& s) {
  for_state_gradients<T>(s, [](const BackwardRow<T>& row, int64_t j, auto lanes, vec<T> dh)
                                __attribute__((always_inline)) {
    lanes.store(dh * slope<A>(lanes.load(row.out + j)), row.gradients + j);
  });
}

template <class T, CellActivation A> void backward_lstm(const BackwardStep<T>& s) {
  const int64_t units = s.weights.columns;
  for_state_gradients<T>(s, [units](const BackwardRow<T>& row, int64_t j, auto lanes, vec<T> dh)
                                __attribute__((always_inline)) {
    const T* const gates = row.gates + j;
    const vec<T> i = lanes.load(gates), f = lanes.load(gates + units), g = lanes.load(gates + 2 * units),
                 o = lanes.load(gates + 3 * units), y = activate<A>(lanes.load(row.c + j));
    const vec<T> dc = fma(dh * o, slope<A>(y), lanes.load(row.carry + j));
    T* const out = row.gradients + j;
    lanes.store(dc * g * (i * (1 - i)), out);
    lanes.store(dc * lanes.load(row.c_before + j) * (f * (1 - f)), out + units);
    lanes.store(dc * i * slope<A>(g), out + 2 * units);
    lanes.store(dh * y * (o * (1 - o)), out + 3 * units);
    lanes.store(dc * f, row.carry + j);
  });
}

template <class T, CellActivation A> void backward_gru(const BackwardStep<T>& s) {
  const int64_t units = s.weights.columns;
  for_state_gradients<T>(s, [units](const BackwardRow<T>& row, int64_t j, auto lanes, vec<T> through)
                                __attribute__((always_inline)) {
    const T* const gates = row.gates + j;
    const vec<T> r = lanes.load(gates), z = lanes.load(gates + units), n = lanes.load(gates + 2 * units);
    const vec<T> dh = through + lanes.load(row.carry + j);
    const vec<T> dn = dh * (1 - z) * slope<A>(n);
    T* const out = row.gradients + j;
    lanes.store(dn * r, out);
    lanes.store(dn * lanes.load(row.inner + j) * (r * (1 - r)), out + units);
    lanes.store(dh * (lanes.load(row.h + j) - n) * (z * (1 - z)), out + 2 * units);
    lanes.store(dn, out + 3 * units);
    lanes.store(dh * z, row.carry + j);
  });
}

// ---- the table's functions --------------------------------------------------------------------------------------------
template <class T, CellActivation A> void forward_with(Cell cell, const ForwardStep<T>& s) {
  if (cell == Cell::Simple) forward_simple<T, A>(s);
  else if (cell == Cell::Lstm) forward_lstm<T, A>(s);
  else forward_gru<T, A>(s);
}
template <class T> void forward(Cell cell, CellActivation activation, const ForwardStep<T>& s) {
  switch (activation) {
    case CellActivation::Tanh: return forward_with<T, CellActivation::Tanh>(cell, s);
    case CellActivation::Relu: return forward_with<T, CellActivation::Relu>(cell, s);
    case CellActivation::Sigmoid: return forward_with<T, CellActivation::Sigmoid>(cell, s);
    case CellActivation::Identity: return forward_with<T, CellActivation::Identity>(cell, s);
  }
}

template <class T, CellActivation A> void backward_with(Cell cell, const BackwardStep<T>& s) {
  if (cell == Cell::Simple) backward_simple<T, A>(s);
  else if (cell == Cell::Lstm) backward_lstm<T, A>(s);
  else backward_gru<T, A>(s);
}
template <class T> void backward(Cell cell, CellActivation activation, const BackwardStep<T>& s) {
  switch (activation) {
    case CellActivation::Tanh: return backward_with<T, CellActivation::Tanh>(cell, s);
    case CellActivation::Relu: return backward_with<T, CellActivation::Relu>(cell, s);
    case CellActivation::Sigmoid: return backward_with<T, CellActivation::Sigmoid>(cell, s);
    case CellActivation::Identity: return backward_with<T, CellActivation::Identity>(cell, s);
  }
}

template <class T> void project(const ProjectStep<T>& s) {
  for_rows<T, 1>(
      Panels<T>{}, s.weights, s.count,
      [](int64_t) __attribute__((always_inline)) { return static_cast<const T*>(nullptr); },
      [&](int64_t r) __attribute__((always_inline)) { return s.rows[r].a; },
      [&](int64_t r, const T* sums, int64_t first, int64_t vectors) __attribute__((always_inline)) {
        const ProjectRow<T>& row = s.rows[r];
        for_units<T>(first, vectors, s.weights.columns, [&](int64_t q, auto lanes) __attribute__((always_inline)) {
          vec<T> sum = vec<T>::load(sums + q);
          if (row.add) sum += lanes.load(row.add + first + q);
          lanes.store(sum, row.out + first + q);
        });
      });
}

// Columns of the panel that lie together in b are turned in squares when b's columns are contiguous.
template <class T>
void pack_panel(T* packed, const T* b, int64_t rs, int64_t cs, int64_t k, int64_t gates, int64_t units, int64_t panel) {
  constexpr int64_t L = vec<T>::size;
  const int64_t most = gates == 1 ? kLoneVectors : 1, first = panel * most * L;
  const int64_t vectors = units - first >= most * L ? most : (units - first + L - 1) / L;
  const int64_t piece = piece_of(int(gates * vectors)), stride = piece * L;
  T* const start = packed + first * gates * k;
  for (int64_t g = 0; g < gates; ++g)
    for (int64_t v = 0; v < vectors; ++v) {
      const int64_t unit = first + v * L, n = units - unit < L ? units - unit : L, vector = g * vectors + v;
      packed = start + vector / piece * k * stride + vector % piece * L;
      const T* const in = b + (g * units + unit) * cs;
      if (cs == 1) {
        for (int64_t p = 0; p < k; ++p) vec<T>::load_partial(in + p * rs, n).store(packed + p * stride);
      } else if (rs == 1) {
        for (int64_t p = 0; p < k; p += L) {
          vec<T> square[L];
          if (n == L && k - p >= L) load_square(square, in + p, cs);
          else load_square(square, in + p, cs, n, k - p < L ? k - p : L);
          PYDL_UNROLL for (int i = 0; i < L; ++i)
            if (p + i < k) square[i].store(packed + (p + i) * stride);
        }
      } else {
        for (int64_t p = 0; p < k; ++p)
          for (int64_t q = 0; q < L; ++q) packed[p * stride + q] = q < n ? in[p * rs + q * cs] : T(0);
      }
    }
}

template <class T> constexpr RecurrentKernels<T> make() {
#define KERNEL(name, result, args) &name<T>,
  return {
#include "kernels/recurrent.inc"
      vec<T>::size, kLoneVectors};
#undef KERNEL
}

}  // namespace

extern const RecurrentKernels<float> recurrent_f32;
extern const RecurrentKernels<double> recurrent_f64;
const RecurrentKernels<float> recurrent_f32 = make<float>();
const RecurrentKernels<double> recurrent_f64 = make<double>();

PYDL_ISA_END
