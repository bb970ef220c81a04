#include "ops/conv_plan.h"

#include <algorithm>

#include "ops/conv_pack.h"

namespace pydl {
namespace {

Correlation correlation_of(const ConvShape& s, bool forward) {
  const int64_t in = s.in_channels / s.groups, out = s.out_channels / s.groups, taps = s.taps();
  Correlation c{};
  c.batch = s.batch;
  c.groups = s.groups;
  c.reduced = forward ? in : out;
  c.channels = forward ? out : in;
  c.lane_stride = forward ? in * taps : taps;
  c.segment_stride = forward ? taps : in * taps;
  c.group_stride = out * in * taps;
  c.kernel_taps = taps;
  return c;
}

// The taps of one axis by which inputs at residue `phase` modulo the stride reach an output.
Axis input_axis(const ConvShape& s, size_t a, int64_t phase) {
  const int64_t stride = s.stride[a];
  Axis axis{s.out[a], ceil_div(std::max<int64_t>(s.in[a] - phase, 0), stride), 1, phase, stride, {}};
  for (int64_t k = s.kernel[a] - 1; k >= 0; --k) {
    const int64_t distance = phase + s.padding[a] - k * s.dilation[a];
    if (distance % stride == 0) axis.taps.push_back({k, distance / stride});
  }
  return axis;
}

}  // namespace

std::vector<int64_t> Correlation::packed_rows(const Dims3& kernel) const {
  std::vector<int64_t> place(size_t(kernel_taps), -1);
  int64_t next = 0;
  for (const Tap& d : axis[0].taps)
    for (const Tap& h : axis[1].taps)
      for (const Tap& w : axis[2].taps) place[size_t((d.index * kernel[1] + h.index) * kernel[2] + w.index)] = next++;
  std::vector<int64_t> rows;
  rows.reserve(size_t(reduced * kernel_taps));
  for (int64_t r = 0; r < reduced; ++r)
    for (int64_t at : place) rows.push_back(at < 0 ? -1 : at * reduced + r);
  return rows;
}

Correlation forward_correlation(const ConvShape& s) {
  Correlation c = correlation_of(s, true);
  for (size_t a = 0; a < 3; ++a) {
    c.axis[a] = {s.in[a], s.out[a], s.stride[a], 0, 1, {}};
    for (int64_t k = 0; k < s.kernel[a]; ++k) c.axis[a].taps.push_back({k, k * s.dilation[a] - s.padding[a]});
  }
  return c;
}

std::vector<Correlation> input_correlations(const ConvShape& s) {
  std::vector<Correlation> all;
  for (int64_t d = 0; d < s.stride[0]; ++d)
    for (int64_t h = 0; h < s.stride[1]; ++h)
      for (int64_t w = 0; w < s.stride[2]; ++w) {
        Correlation c = correlation_of(s, false);
        c.axis = {input_axis(s, 0, d), input_axis(s, 1, h), input_axis(s, 2, w)};
        if (c.pixels() > 0) all.push_back(std::move(c));
      }
  return all;
}

// ---- boxes ---------------------------------------------------------------------------------------------------------
BoxGrid::BoxGrid(const Correlation& c, const BoxLimits& limits) {
  const int64_t channels = c.groups * c.reduced;
  size_ = {c.batch, c.axis[0].out, c.axis[1].out, c.axis[2].out};
  extent_ = {1, 1, 1, size_[3]};
  const auto pixels = [&] { return extent_[0] * extent_[1] * extent_[2] * extent_[3]; };
  const auto window = [&] {
    return extent_[0] * c.axis[0].window(extent_[1]) * c.axis[1].window(extent_[2]) * c.axis[2].window(extent_[3]) *
           channels;
  };
  while (extent_[3] > limits.fewest && (window() > limits.window || extent_[3] > limits.most))
    extent_[3] = ceil_div(extent_[3], 2);
  // Rows, slices and images are taken together while they fit, each only once the smaller ones are whole.
  if (extent_[3] == size_[3])
    for (size_t a : {2, 1, 0}) {
      while (extent_[a] < size_[a]) {
        ++extent_[a];
        if (window() > limits.window || pixels() > limits.most) {
          --extent_[a];
          break;
        }
      }
      if (extent_[a] < size_[a]) break;
    }
  const auto cut = [&] {
    for (size_t a = 0; a < 4; ++a) {
      parts_[a] = ceil_div(size_[a], extent_[a]);
      extent_[a] = ceil_div(size_[a], parts_[a]);
    }
  };
  cut();
  for (size_t a = 0; a < 4; ++a)
    while (count() < limits.units && extent_[a] > 1 && pixels() >= 2 * limits.fewest) {
      extent_[a] = ceil_div(extent_[a], 2);
      cut();
    }
}

Box BoxGrid::box(int64_t index) const {
  Box b;
  for (int a = 3; a >= 0; --a) {
    const size_t i = size_t(a);
    const int64_t part = index % parts_[i], each = size_[i] / parts_[i], extra = size_[i] % parts_[i];
    index /= parts_[i];
    b.begin[i] = part * each + std::min(part, extra);
    b.end[i] = b.begin[i] + each + (part < extra);
  }
  return b;
}

int64_t BoxGrid::largest_pixels() const { return extent_[0] * extent_[1] * extent_[2] * extent_[3]; }
int64_t BoxGrid::largest_window(const Correlation& c) const {
  return extent_[0] * c.axis[0].window(extent_[1]) * c.axis[1].window(extent_[2]) * c.axis[2].window(extent_[3]);
}

// ---- runs ----------------------------------------------------------------------------------------------------------
Runs make_runs(const Correlation& c, const Dims3& pitch, const Dims3& origin) {
  constexpr int64_t kLongestJoined = 1024;
  const std::vector<Tap>& row = c.axis[2].taps;
  bool join = c.groups == 1 && pitch[2] == c.reduced && int64_t(row.size()) * c.reduced <= kLongestJoined;
  for (size_t i = 1; i < row.size(); ++i) join &= row[i].offset == row[i - 1].offset + 1;
  Runs runs{join ? int64_t(row.size()) * c.reduced : c.reduced, {}};
  for (const Tap& d : c.axis[0].taps)
    for (const Tap& h : c.axis[1].taps)
      for (const Tap& w : row) {
        if (join && &w != &row.front()) break;
        runs.at.push_back((d.offset - origin[0]) * pitch[0] + (h.offset - origin[1]) * pitch[1] +
                          (w.offset - origin[2]) * pitch[2]);
      }
  return runs;
}

}  // namespace pydl
