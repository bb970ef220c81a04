// The serial kernels of convolution: correlation of pixels with weights, its weight gradient, and the packers.
#pragma once
#include <cstdint>

#include "kernels/gemm.h"

namespace pydl {

// The geometry of a block: which values of x meet which weights in which values of y. For pixel p, run r, place k of
// the run and output channel j,
//
//   x[x_at[p] + run_at[r] + k]   meets   w[r][k][j]   in   y[y_at[p] + j]
//
// A run is a stretch of x that lies together: the input channels at one filter tap, or at a whole row of taps. Padding
// does not exist here: every such x can be read. Weights are packed in panels of `panel` output channels, [panel][run]
// [k][channel of the panel]; the last panel is as wide as its vectors, and the channels beyond are zero.
template <class T> struct ConvBlock {
  int64_t pixels;
  const int64_t *x_at, *y_at;
  int64_t runs;             // of this block
  const int64_t* run_at;
  int64_t run_length;
  int64_t first_run, all_runs;  // where the block's runs stand among those of the packed weights
  int64_t channels;         // output channels; y's are contiguous
  bool stream;              // y is written past the cache: all of it aligned whole vectors
};

// Where the values of a weight tensor go when it is packed. Output channel j has its values in `segments` stretches of
// `segment_length`, lane_stride * j + segment_stride * s; value q = s * segment_length + i of it goes to row row_of[q]
// of the panel, or nowhere where that is negative.
struct ConvWeightLayout {
  int64_t channels, lane_stride;
  int64_t segments, segment_stride, segment_length;
  int64_t rows;             // of a panel
  const int64_t* row_of;
};

// Pixels of one row, of a depthwise convolution, that the same taps reach: pixel p and tap t meet at x[p * x_pitch +
// x_at[t]], y[p * y_pitch] and row[t] of the packed weights. Those are packed in panels as above.
template <class T> struct DepthwiseRow {
  int64_t pixels, x_pitch, y_pitch;
  int64_t taps;
  const int64_t *x_at, *row;
  int64_t all_taps;         // of the packed weights
  int64_t channels;
  bool stream;              // as in ConvBlock; who calls orders the writes
};

// Winograd's tiles: 4x4 of y under 3x3 filters need 6x6 of x, and 36 products.
inline constexpr int kWinogradOut = 4, kWinogradIn = 6, kWinogradPlanes = kWinogradIn * kWinogradIn;

template <class T> struct ConvKernels {
#define KERNEL(name, result, args) result (*name) args;
#include "kernels/conv.inc"
#undef KERNEL
  int64_t panel, vector;
};

}  // namespace pydl
