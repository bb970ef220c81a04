// The serial kernels of matrix multiplication, and the block sizes that go with them on each ISA.
#pragma once
#include <cstdint>

namespace pydl {

enum class Activation : uint8_t { None, Relu };

// What happens to a product before it is stored, in this order; null and None do nothing.
template <class T> struct Epilogue {
  const T* row_bias = nullptr;  // n values, added to every row
  const T* col_bias = nullptr;  // m values, added to every column
  Activation activation = Activation::None;
  void (*elementwise)(T* values, int64_t n) = nullptr;  // any other function, in place, a row of a tile at a time

  bool empty() const { return !row_bias && !col_bias && activation == Activation::None && !elementwise; }
};

// C = activation(alpha * A @ B + beta * C + row_bias + col_bias) on one block. Strides count elements and the columns
// of C are contiguous. C overlaps nothing else; with beta == 0 it is not read. Nothing outside the block is touched.
//
// Every value is the same sequence of operations wherever it lies in a block, so cutting a product along m or n never
// changes a bit; cutting it along k does.
template <class T> struct GemmBlock {
  int64_t m, n, k;
  const T* a;
  int64_t a_rs, a_cs;
  bool a_packed;  // by pack_a, for exactly this m and k
  const T* b;
  int64_t b_rs, b_cs;
  bool b_packed;  // by pack_b, for this k; b points to the start of a panel
  T* c;
  int64_t c_rs;
  T alpha, beta;
  Epilogue<T> epilogue;
};

// The register tile is mr x nr. A packed mc x kc block of A lives in the L2 cache, a kc x nc block of B in the L3, and
// two mr x kc strips of A and nr x kc panels of B in the L1. Products by dots run over dot_kc of k at a time.
struct GemmBlocking {
  int64_t mr, nr, vector;
  int64_t mc, kc, nc, dot_kc;
  // From so many rows of C on, a copy of B's contiguous rows pays: a large B's, one's whose rows lie a multiple of 2 KiB
  // apart, of 4 KiB.
  int64_t packing_rows, packing_rows_2k, packing_rows_4k;
  int64_t wide_mr;       // up to so many rows, unpacked panels are twice as wide
  bool masked_columns;   // a partial last vector of unpacked B costs nothing
};

// Rows are dealt out evenly: the m rows of a block make ceil(m / mr) tiles whose heights differ by one at most, the
// taller ones first. (14 rows at a time would leave 1024 = 73 * 14 + 2.)
struct TileRows {
  int64_t count, height, taller;
  constexpr TileRows(int64_t m, int64_t mr) : count((m + mr - 1) / mr), height(m / count), taller(m % count) {}
  constexpr int64_t height_of(int64_t tile) const { return height + (tile < taller); }
};

template <class T> struct GemmKernels {
#define KERNEL(name, result, args) result (*name) args;
#include "kernels/gemm.inc"
#undef KERNEL
  GemmBlocking blocking;
};

}  // namespace pydl
