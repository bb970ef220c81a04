// How a convolution is laid out for its kernels: as correlations, cut into boxes of output pixels.
#pragma once
#include <algorithm>
#include <vector>

#include "ops/conv_direct.h"

namespace pydl {

// One axis of a correlation: output i reads the inputs i * stride + offset of every tap. Taps ascend by offset.
struct Tap { int64_t index, offset; };
struct Axis {
  int64_t in, out, stride;
  int64_t first, step;  // output i stands at first + i * step of its image
  std::vector<Tap> taps;

  int64_t window(int64_t outputs) const {
    return (outputs - 1) * stride + taps.back().offset - taps.front().offset + 1;
  }
};

// y(n, c, i) = sum over taps t and channels r of x(n, r, i * stride + offset(t)) * w(c, r, t), group by group. A
// forward convolution is one of these; its input gradient is one for every combination of residues modulo the strides.
struct Correlation {
  int64_t batch, groups;
  int64_t reduced, channels;  // of one group: of x, summed over, and of y
  std::array<Axis, 3> axis;
  int64_t lane_stride, segment_stride,
      group_stride;  // of the weights: from channel, summed channel and group to the next
  int64_t kernel_taps;                                // of the weights, contiguous

  int64_t taps() const { return int64_t(axis[0].taps.size() * axis[1].taps.size() * axis[2].taps.size()); }
  int64_t rows() const { return taps() * reduced; }  // of a panel of packed weights
  int64_t pixels() const { return batch * axis[0].out * axis[1].out * axis[2].out; }
  // Rows of a panel by value of a channel's weights; negative for taps that take no part.
  std::vector<int64_t> packed_rows(const Dims3& kernel) const;
};

Correlation forward_correlation(const ConvShape& s);
std::vector<Correlation> input_correlations(const ConvShape& s);

// Output pixels by batch, depth, height and width: [begin, end).
struct Box {
  std::array<int64_t, 4> begin, end;
  int64_t extent(int a) const { return end[size_t(a)] - begin[size_t(a)]; }
  int64_t pixels() const { return extent(0) * extent(1) * extent(2) * extent(3); }
};
// What a box should be: an input window of at most so many values, pixels between these bounds, and at least `units`
// boxes as long as they do not become too small.
struct BoxLimits {
  int64_t window;
  int64_t units = 1;
  int64_t fewest = 56, most = 1024;
};
// A grid of nearly equal boxes.
class BoxGrid {
 public:
  BoxGrid(const Correlation& c, const BoxLimits& limits);
  int64_t count() const { return parts_[0] * parts_[1] * parts_[2] * parts_[3]; }
  Box box(int64_t index) const;
  int64_t largest_pixels() const;
  int64_t largest_window(const Correlation& c) const;  // pixels

 private:
  std::array<int64_t, 4> size_, parts_, extent_;
};

// f(place in the image y) for the pixels of a box, in order.
template <class T, class F> void for_pixels(const Correlation& c, const Box& box, const Image<T>& y, F&& f) {
  const auto place = [&](size_t a, int64_t i) { return (c.axis[a].first + i * c.axis[a].step) * y.stride[a]; };
  for (int64_t n = box.begin[0]; n < box.end[0]; ++n)
    for (int64_t d = box.begin[1]; d < box.end[1]; ++d)
      for (int64_t h = box.begin[2]; h < box.end[2]; ++h) {
        const int64_t row = n * y.batch_stride + place(0, d) + place(1, h);
        for (int64_t w = box.begin[3]; w < box.end[3]; ++w) f(row + place(2, w));
      }
}

// The runs of a correlation (see ConvBlock) over an input whose pixels, rows and slices are `pitch` apart; `origin` is
// where the window starts on each axis.
struct Runs {
  int64_t length;
  std::vector<int64_t> at;
};
Runs make_runs(const Correlation& c, const Dims3& pitch, const Dims3& origin);

}  // namespace pydl
