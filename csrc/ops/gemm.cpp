#include "ops/gemm.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/arch.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/workspace.h"

namespace pydl {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// Part `index` of [0, n) cut into `count` nearly equal parts of whole units.
struct Range { int64_t begin, end; };
Range part_of(int64_t n, int64_t unit, int64_t index, int64_t count) {
  const int64_t units = ceil_div(n, unit), each = units / count, extra = units % count;
  const int64_t first = index * each + std::min(index, extra), last = first + each + (index < extra);
  return {std::min(n, first * unit), std::min(n, last * unit)};
}

// ---- what to do for a shape ---------------------------------------------------------------------------------------
enum class Method { Tiles, Dots, Row };

// Chosen from shape, strides and ISA alone: it fixes the bits of the result.
struct Plan {
  Method method;
  bool pack_a, pack_b;
  int64_t kc;      // k is walked in equal blocks of at most so many
  int64_t parts;   // > 1: k is cut into parts of part_k, computed side by side and added up in ascending order
  int64_t part_k;
};

// The length of equal blocks of [0, n), multiples of `unit` and at most `limit` long.
int64_t even_block(int64_t n, int64_t limit, int64_t unit = 8) {
  return n <= limit ? std::max<int64_t>(n, 1) : round_up(ceil_div(n, ceil_div(n, limit)), unit);
}

// Whether a copy of A pays. The tile kernels read A in place about as fast as packed, unless neither its rows nor its
// columns are contiguous, or a stride near a multiple of 4 KiB (1 KiB for columns, which every panel of B walks anew) puts
// them all on the same few sets of the caches.
template <class T> bool a_wants_packing(const GemmBlock<T>& g, const GemmBlocking& size) {
  if (g.m <= size.mr || g.n < 4 * size.nr) return false;
  if (g.a_rs != 1 && g.a_cs != 1) return true;
  const bool by_rows = g.a_cs == 1;
  const int64_t few_sets = by_rows ? 4096 : 1024, bytes = std::abs(by_rows ? g.a_rs : g.a_cs) * int64_t(sizeof(T));
  return std::min(bytes % few_sets, few_sets - bytes % few_sets) < 16 && (by_rows || g.n >= 8 * size.nr);
}

// Whether a copy of B, whose rows are contiguous, pays. The tiles read them where they are while a block fits the L2
// cache, they start on cache lines, or are used too seldom to repay a copy; a copy repays itself sooner where rows a
// multiple of 2 KiB apart put a panel on the same few sets of the L1 cache, and of 4 KiB on those of the L2. Packed or
// not, the bits are the same.
template <class T> bool b_wants_packing(const GemmBlock<T>& g, const GemmBlocking& size, int64_t kc) {
  constexpr int64_t kFewRows = 32;  // of B, which fit those sets
  const int64_t in_l2 = std::min<int64_t>(cache_sizes().l2, 1 << 20);
  if (!size.masked_columns && g.n % size.vector != 0) return true;
  const int64_t stride = std::abs(g.b_rs) * int64_t(sizeof(T));
  if (kc > kFewRows && stride % 4096 == 0 && g.m >= size.packing_rows_4k) return true;
  if (kc > kFewRows && stride % 2048 == 0 && g.m >= size.packing_rows_2k) return true;
  const bool split_lines = (reinterpret_cast<uintptr_t>(g.b) | uintptr_t(stride)) % 64 != 0;
  return (split_lines && g.m >= 10 * size.mr) || (kc * g.n * int64_t(sizeof(T)) > in_l2 && g.m >= size.packing_rows);
}

// How many parts a long k is cut into: for a C so small beside k that its rows and columns, dealt out to threads, would
// have each of them read most of A and B, of which another thread may have written what it reads. A power of two, so
// that it deals evenly.
template <class T> int64_t parts_of_k(const GemmBlock<T>& g) {
  constexpr int64_t kShortest = 384, kMost = 64, kValues = 1 << 19;
  if (g.b_packed || g.k < 4 * kShortest || g.k < 4 * std::max(g.m, g.n)) return 1;
  int64_t parts = 1;
  while (parts < kMost && g.k >= 2 * parts * kShortest && 2 * parts * g.m * g.n <= kValues) parts *= 2;
  return parts;
}

template <class T> Plan make_plan(const GemmBlock<T>& g) {
  const GemmBlocking& size = kernels<T>().gemm.blocking;
  const int64_t parts = parts_of_k(g), k = ceil_div(g.k, parts);
  Plan plan{Method::Tiles, false, false, even_block(k, size.kc), parts, k};
  if (k == 0) return plan;
  const bool rows_of_b = g.b_cs == 1 || g.b_packed;
  if (g.m == 1 && rows_of_b && !g.b_packed) {
    plan.method = Method::Row;
    plan.kc = k;
  } else if (!rows_of_b && g.b_rs == 1 && g.a_cs == 1 && (g.m == 1 || (g.m <= 64 && g.m * 16 <= k))) {
    plan.method = Method::Dots;
    plan.kc = even_block(k, size.dot_kc);
  } else {
    plan.pack_a = a_wants_packing(g, size);
    // Each step along a row of A whose columns are contiguous is another line, often another page: few of them at a
    // time stay in the caches until the tiles below have used the rest of those lines.
    if (g.a_rs == 1 && g.a_cs != 1) plan.kc = even_block(k, plan.pack_a ? size.kc / 2 : size.kc / 4);
    plan.pack_b = !g.b_packed && (!rows_of_b || b_wants_packing(g, size, plan.kc));
  }
  return plan;
}

// Nanoseconds that one core needs, roughly: what decides whether other threads are worth waking.
template <class T> int64_t estimate_ns(const GemmBlock<T>& g) {
  const int64_t flops_per_ns = sizeof(T) == 4 ? 90 : 45, bytes_per_ns = 32;
  const int64_t columns = g.m == 1 ? g.n : round_up(g.n, kernels<T>().gemm.blocking.vector);
  return std::max(2 * g.m * columns * g.k / flops_per_ns,
                  (g.m * g.k + g.k * g.n + g.m * g.n) * int64_t(sizeof(T)) / bytes_per_ns);
}
constexpr int64_t kWakeNs = 3000;  // what a thread must have to do, for a region to repay its start

int team_for(int64_t ns) {
  if (ns < 2 * kWakeNs || in_parallel_region()) return 1;
  return int(std::min<int64_t>(num_threads(), ns / kWakeNs));
}

// ---- the loops ----------------------------------------------------------------------------------------------------
template <class T> GemmBlock<T> block_of(const GemmBlock<T>& g, Range rows, Range columns, Range depth) {
  GemmBlock<T> part = g;
  part.m = rows.end - rows.begin;
  part.n = columns.end - columns.begin;
  part.k = depth.end - depth.begin;
  part.a += rows.begin * g.a_rs + depth.begin * g.a_cs;
  if (!g.b_packed) part.b += depth.begin * g.b_rs + columns.begin * g.b_cs;
  part.c += rows.begin * g.c_rs + columns.begin;
  if (depth.begin > 0) part.beta = 1;
  if (depth.end < g.k) part.epilogue = {};
  if (part.epilogue.row_bias) part.epilogue.row_bias += columns.begin;
  if (part.epilogue.col_bias) part.epilogue.col_bias += rows.begin;
  return part;
}

// How C is dealt out to a team: a grid of rows x columns of rectangles, the cheapest for its members. The unit of cost
// is a vector multiply-add per unit of k; packing a value costs about one, reading it a fraction. Where two members write
// one row of C, prefetching moves the lines around their border from core to core and back.
struct Grid { int rows, columns; };
template <class T> Grid make_grid(const GemmBlock<T>& g, const Plan& plan, int team, int64_t unit) {
  constexpr int64_t kBarrier = 4000, kBorder = 128;
  const int64_t vector = kernels<T>().gemm.blocking.vector;
  Grid best{1, 1};
  int64_t best_cost = INT64_MAX;
  for (int rows = 1; rows <= team; ++rows) {
    const int columns = team / rows;
    const int64_t m = ceil_div(g.m, rows), n = std::min(g.n, ceil_div(ceil_div(g.n, unit), columns) * unit);
    int64_t cost = m * ceil_div(n, vector) + (m + n) / 4;
    if (columns > 1) cost += m * kBorder / std::max<int64_t>(g.k, 1);
    if (plan.pack_a) cost += m;
    if (plan.pack_b) cost += rows == 1 ? n : ceil_div(3 * g.n, 2 * team) + kBarrier / g.k;
    if (cost < best_cost) best_cost = cost, best = {rows, columns};
  }
  return best;
}

// C by tiles: blocks of nc columns, blocks of kc of k, a packed block of B shared by the team, blocks of mc rows.
template <class T> void multiply_tiles(const GemmBlock<T>& g, const Plan& plan, int threads) {
  const GemmKernels<T>& kernel = kernels<T>().gemm;
  const GemmBlocking& size = kernel.blocking;
  if (threads == 1 && !plan.pack_a && !plan.pack_b && g.k <= plan.kc && g.m <= size.mc) return kernel.block(g);
  const bool by_panels = plan.pack_b || g.b_packed;
  const int64_t unit = by_panels ? size.nr : size.vector;
  const int64_t nc = plan.pack_b ? std::min(size.nc, round_up(g.n, size.vector)) : g.n;
  const int64_t packed_columns = round_up(g.n, size.vector);

  // Two blocks of B take turns, so that one barrier a block is enough.
  const bool alternate = g.n > nc || g.k > plan.kc;
  const int64_t b_size = plan.pack_b ? round_up(nc * plan.kc, 16) : 0;
  const int64_t a_size = plan.pack_a ? round_up(std::min(size.mc, g.m) * plan.kc, 16) + 16 : 0;
  const Workspace<T> workspace(b_size * (alternate ? 2 : 1) + a_size * threads);

  auto member = [&](const Team& team) {
    const Grid grid = team.size > 1 ? make_grid(g, plan, team.size, unit) : Grid{1, 1};
    const bool idle = team.index >= grid.rows * grid.columns;
    const Range my_rows = idle ? Range{0, 0} : part_of(g.m, 1, team.index / grid.columns, grid.rows);
    const int64_t mc = even_block(my_rows.end - my_rows.begin, size.mc, 1);
    const bool own_b = grid.rows == 1;  // nobody else needs these columns of B
    T* const my_a = workspace.data() + b_size * (alternate ? 2 : 1) + a_size * team.index;
    int which = 0;
    for (int64_t jc = 0; jc < g.n; jc += nc) {
      const Range columns{jc, std::min(g.n, jc + nc)};
      Range mine = part_of(columns.end - jc, unit, team.index % grid.columns, grid.columns);
      mine = {jc + mine.begin, jc + mine.end};
      for (int64_t pc = 0; pc < std::max<int64_t>(g.k, 1); pc += plan.kc, which ^= 1) {
        const Range depth{pc, std::min(g.k, pc + plan.kc)};
        const int64_t kc = depth.end - pc;
        T* const packed_b = workspace.data() + (alternate ? which * b_size : 0);
        if (plan.pack_b) {
          Range share = part_of(columns.end - jc, size.nr, team.index, team.size);
          share = own_b ? mine : Range{jc + share.begin, jc + share.end};
          if (share.begin < share.end)
            kernel.pack_b(packed_b + (share.begin - jc) * kc, g.b + pc * g.b_rs + share.begin * g.b_cs, g.b_rs, g.b_cs,
                          kc, share.end - share.begin);
          if (!own_b) team.barrier();
        }
        if (mine.begin == mine.end) continue;
        for (int64_t ic = my_rows.begin; ic < my_rows.end; ic += mc) {
          const Range rows{ic, std::min(my_rows.end, ic + mc)};
          GemmBlock<T> part = block_of(g, rows, mine, depth);
          if (plan.pack_b) {
            part.b = packed_b + (mine.begin - jc) * kc;
            part.b_packed = true;
          } else if (g.b_packed) {
            part.b = g.b + packed_columns * pc + mine.begin * kc;
          }
          if (plan.pack_a) {
            kernel.pack_a(my_a, part.a, g.a_rs, g.a_cs, part.m, kc);
            part.a = my_a;
            part.a_packed = true;
          }
          kernel.block(part);
        }
      }
    }
  };
  if (threads > 1) parallel_team(threads, member);
  else member(Team{0, 1, nullptr});
}

// C without packing, by dots or row by row of B: every thread has a rectangle.
template <class T> void multiply_unpacked(const GemmBlock<T>& g, const Plan& plan, int threads) {
  const GemmKernels<T>& kernel = kernels<T>().gemm;
  const auto run = plan.method == Method::Row ? kernel.row_times_matrix : kernel.dot_block;
  const int64_t unit = plan.method == Method::Row ? kernel.blocking.nr : 4;
  auto member = [&](const Team& team) {
    const Grid grid = team.size > 1 ? make_grid(g, plan, team.size, unit) : Grid{1, 1};
    if (team.index >= grid.rows * grid.columns) return;
    const Range rows = part_of(g.m, 4, team.index / grid.columns, grid.rows);
    const Range columns = part_of(g.n, unit, team.index % grid.columns, grid.columns);
    if (rows.begin == rows.end || columns.begin == columns.end) return;
    for (int64_t pc = 0; pc < g.k; pc += plan.kc)
      run(block_of(g, rows, columns, {pc, std::min(g.k, pc + plan.kc)}));
  };
  if (threads > 1) parallel_team(threads, member);
  else member(Team{0, 1, nullptr});
}

template <class T> void multiply_whole(const GemmBlock<T>& g, const Plan& plan, int threads) {
  if (plan.method == Method::Tiles) multiply_tiles(g, plan, threads);
  else multiply_unpacked(g, plan, threads);
}

// Few values of C and a long k: parts of k side by side.
template <class T> void multiply_parts(const GemmBlock<T>& g, const Plan& plan, int threads) {
  constexpr int64_t kAddGrain = 1 << 15;
  const int64_t values = g.m * g.n;
  const Workspace<T> workspace(plan.parts * values);
  auto range = [&](int64_t begin, int64_t end) {
    for (int64_t q = begin; q < end; ++q) {
      GemmBlock<T> part = g;
      part.k = std::min(g.k, (q + 1) * plan.part_k) - q * plan.part_k;
      part.a += q * plan.part_k * g.a_cs;
      part.b += q * plan.part_k * g.b_rs;
      part.c = workspace.data() + q * values;
      part.c_rs = g.n;
      part.alpha = 1;
      part.beta = 0;
      part.epilogue = {};
      multiply_whole(part, plan, 1);
    }
  };
  if (threads > 1) parallel_for(plan.parts, 1, range);
  else range(0, plan.parts);
  const int64_t row = g.n * plan.parts, grain = threads > 1 ? std::max<int64_t>(1, kAddGrain / row) : g.m;
  parallel_for(g.m, grain, [&](int64_t begin, int64_t end) {
    const GemmBlock<T> rows = block_of(g, {begin, end}, {0, g.n}, {0, g.k});
    kernels<T>().gemm.add_parts(rows, workspace.data() + begin * g.n, plan.parts, values);
  });
}

template <class T> void multiply(const GemmBlock<T>& g, const Plan& plan, int threads) {
  const SerialRegion alone(threads == 1 && estimate_ns(g) >= 2 * kWakeNs);
  if (plan.parts > 1) multiply_parts(g, plan, threads);
  else multiply_whole(g, plan, threads);
}

// ---- the problem in the form that the kernels take ----------------------------------------------------------------
template <class T> void transpose_problem(GemmBlock<T>& g, int64_t& c_cs) {
  std::swap(g.m, g.n);
  std::swap(g.a, g.b);
  std::swap(g.a_rs, g.b_cs);
  std::swap(g.a_cs, g.b_rs);
  std::swap(g.c_rs, c_cs);
  std::swap(g.epilogue.row_bias, g.epilogue.col_bias);
}

// Turns C = AB into the equal C' = B'A' where that makes the columns of C contiguous, or a column a row; and gives the
// strides of dimensions of size one the value that suits the kernels.
template <class T> void normalize(GemmBlock<T>& g, int64_t& c_cs) {
  if (g.k == 0 || g.alpha == T(0)) g.k = 0, g.alpha = 1;
  const bool columns = c_cs == 1 || g.n == 1, rows = g.c_rs == 1 || g.m == 1;
  if (rows && (!columns || (g.n == 1 && g.m > 1))) transpose_problem(g, c_cs);
  if (g.n == 1) c_cs = 1, g.b_cs = 1;
  if (g.m == 1) g.a_rs = g.k;
  if (g.k <= 1) {
    g.a_cs = 1;
    if (g.b_cs != 1) g.b_rs = 1;
  }
}

// A C whose rows and columns are both strided is computed in a dense copy.
template <class T, class Multiply> void through_copy(GemmBlock<T> g, int64_t c_cs, const Multiply& run) {
  const Workspace<T> dense(g.m * g.n);
  T* const c = g.c;
  const int64_t c_rs = g.c_rs;
  if (g.beta != T(0))
    for (int64_t i = 0; i < g.m; ++i)
      for (int64_t j = 0; j < g.n; ++j) dense.data()[i * g.n + j] = c[i * c_rs + j * c_cs];
  g.c = dense.data();
  g.c_rs = g.n;
  run(g);
  for (int64_t i = 0; i < g.m; ++i)
    for (int64_t j = 0; j < g.n; ++j) c[i * c_rs + j * c_cs] = dense.data()[i * g.n + j];
}

}  // namespace

template <class T>
void gemm(int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t a_rs, int64_t a_cs, const T* b, int64_t b_rs,
          int64_t b_cs, T beta, T* c, int64_t c_rs, int64_t c_cs, const Epilogue<T>& epilogue) {
  if (m == 0 || n == 0) return;
  const FlushDenormals flush;
  GemmBlock<T> g{m, n, k, a, a_rs, a_cs, false, b, b_rs, b_cs, false, c, c_rs, alpha, beta, epilogue};
  normalize(g, c_cs);
  const auto run = [](const GemmBlock<T>& g) { multiply(g, make_plan(g), team_for(estimate_ns(g))); };
  if (c_cs == 1) run(g);
  else through_copy(g, c_cs, run);
}

template <class T>
void gemm_batched(int64_t batch, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t a_bs, int64_t a_rs,
                  int64_t a_cs, const T* b, int64_t b_bs, int64_t b_rs, int64_t b_cs, T beta, T* c, int64_t c_bs,
                  int64_t c_rs, int64_t c_cs, const Epilogue<T>& epilogue) {
  if (batch == 0 || m == 0 || n == 0) return;
  // One B for all and evenly spaced rows of A and C: a single, taller product.
  if (batch == 1 || (b_bs == 0 && a_bs == m * a_rs && c_bs == m * c_rs && !epilogue.col_bias))
    return gemm(batch * m, n, k, alpha, a, a_rs, a_cs, b, b_rs, b_cs, beta, c, c_rs, c_cs, epilogue);
  const FlushDenormals flush;
  GemmBlock<T> g{m, n, k, a, a_rs, a_cs, false, b, b_rs, b_cs, false, c, c_rs, alpha, beta, epilogue};
  int64_t column_stride = c_cs;
  normalize(g, column_stride);
  if (g.a != a) std::swap(a_bs, b_bs);
  const Plan plan = make_plan(g);
  const int64_t each_ns = estimate_ns(g);
  const auto one = [&](int64_t i, int threads) {
    GemmBlock<T> item = g;
    item.a += i * a_bs;
    item.b += i * b_bs;
    item.c += i * c_bs;
    const auto run = [&](const GemmBlock<T>& whole) { multiply(whole, plan, threads); };
    if (column_stride == 1) run(item);
    else through_copy(item, column_stride, run);
  };
  // Whole products to every thread, or every thread in each product where there are few and they are large.
  constexpr int64_t kLargeNs = 200000;
  if (each_ns >= kLargeNs && batch < 4 * int64_t(num_threads())) {
    for (int64_t i = 0; i < batch; ++i) one(i, team_for(each_ns));
  } else {
    const int64_t grain = std::max<int64_t>(1, kWakeNs / std::max<int64_t>(each_ns, 1));
    parallel_for(batch, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) one(i, 1);
    });
  }
}

template <class T> int64_t gemm_packed_size(int64_t k, int64_t n) {
  return k * round_up(n, kernels<T>().gemm.blocking.vector);
}

template <class T> void gemm_pack(T* packed, int64_t k, int64_t n, const T* b, int64_t b_rs, int64_t b_cs) {
  const GemmKernels<T>& kernel = kernels<T>().gemm;
  const int64_t kc = even_block(k, kernel.blocking.kc), columns = round_up(n, kernel.blocking.vector);
  const int64_t panels = ceil_div(n, kernel.blocking.nr), blocks = ceil_div(k, kc);
  const int64_t grain = std::max<int64_t>(1, 32768 / (kc * kernel.blocking.nr));
  parallel_for(panels * blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t q = begin; q < end; ++q) {
      const int64_t p = q / panels * kc, j = q % panels * kernel.blocking.nr, depth = std::min(kc, k - p);
      kernel.pack_b(packed + p * columns + j * depth, b + p * b_rs + j * b_cs, b_rs, b_cs, depth,
                    std::min(kernel.blocking.nr, n - j));
    }
  });
}

template <class T>
void gemm_packed(int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t a_rs, int64_t a_cs, const T* packed,
                 T beta, T* c, int64_t c_rs, const Epilogue<T>& epilogue) {
  if (m == 0 || n == 0) return;
  const FlushDenormals flush;
  GemmBlock<T> g{m, n, k, a, a_rs, a_cs, false, packed, 0, 1, true, c, c_rs, alpha, beta, epilogue};
  if (alpha == T(0)) g.k = 0, g.alpha = 1;
  multiply(g, make_plan(g), team_for(estimate_ns(g)));
}

#define INSTANTIATE(T)                                                                                               \
  template void gemm(int64_t, int64_t, int64_t, T, const T*, int64_t, int64_t, const T*, int64_t, int64_t, T, T*,    \
                     int64_t, int64_t, const Epilogue<T>&);                                                          \
  template void gemm_batched(int64_t, int64_t, int64_t, int64_t, T, const T*, int64_t, int64_t, int64_t, const T*,   \
                             int64_t, int64_t, int64_t, T, T*, int64_t, int64_t, int64_t, const Epilogue<T>&);       \
  template int64_t gemm_packed_size<T>(int64_t, int64_t);                                                            \
  template void gemm_pack(T*, int64_t, int64_t, const T*, int64_t, int64_t);                                         \
  template void gemm_packed(int64_t, int64_t, int64_t, T, const T*, int64_t, int64_t, const T*, T, T*, int64_t,      \
                            const Epilogue<T>&);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace pydl
