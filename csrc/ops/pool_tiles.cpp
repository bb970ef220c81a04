#include "ops/pool_tiles.h"

namespace pydl {

namespace {

// The inputs that outputs [first, last) of an axis read. Under dilation and padding the first may start after the
// second.
void reach(const PoolAxis& a, int64_t first, int64_t last, int64_t& from, int64_t& to) {
  from = a.inputs, to = 0;
  for (int64_t o = first; o < last; ++o)
    if (a.count[o]) {
      from = std::min(from, a.begin[o]);
      to = std::max(to, a.begin[o] + (a.count[o] - 1) * a.step + 1);
    }
  to = std::max(from, to);
}

// As many outputs from `first` on as read at most `inputs`, but one at least.
int64_t fitting(const PoolAxis& a, int64_t first, int64_t inputs) {
  int64_t last = first + 1;
  for (int64_t from, to; last < a.outputs; ++last) {
    reach(a, first, last + 1, from, to);
    if (to - from > inputs) break;
  }
  return last;
}

}  // namespace

std::vector<PoolStrip> pool_strips(const PoolWindows& windows, int64_t pixels) {
  const auto& [depth, height, width] = windows.axis;
  std::vector<PoolStrip> strips;
  for (int64_t d = 0, d_end; d < depth.outputs; d = d_end) {
    d_end = fitting(depth, d, pixels / (height.inputs * width.inputs));
    PoolStrip s;
    reach(depth, d, d_end, s.from[0], s.to[0]);
    // A strip of several depths has their whole planes; one depth may be cut into rows.
    const int64_t thick = std::max<int64_t>(1, s.to[0] - s.from[0]);
    const bool whole = d_end > d + 1 || thick * height.inputs * width.inputs <= pixels;
    for (int64_t h = 0, h_end; h < height.outputs; h = h_end) {
      h_end = whole ? height.outputs : fitting(height, h, pixels / (width.inputs * thick));
      reach(height, h, h_end, s.from[1], s.to[1]);
      s.row = d * height.outputs + h, s.rows = (d_end - d - 1) * height.outputs + h_end - h;
      strips.push_back(s);
    }
  }
  return strips;
}

}  // namespace pydl
