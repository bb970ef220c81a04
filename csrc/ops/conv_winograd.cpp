#include "ops/conv_winograd.h"

#include <algorithm>
#include <atomic>

#include "kernels/table.h"
#include "ops/conv_pack.h"
#include "ops/conv_window.h"
#include "ops/workspace.h"

namespace pydl {
namespace {

std::atomic<bool> enabled{true};

bool is_three(const Axis& a) {
  return a.stride == 1 && a.taps.size() == 3 && a.taps[2].offset == a.taps[1].offset + 1 &&
         a.taps[1].offset == a.taps[0].offset + 1;
}
int64_t tiles_along(const Axis& a) { return ceil_div(a.out, kWinogradOut); }

// The tiles as the pixels of a correlation: 6 taps, 4 apart.
Correlation tiles_of(const Correlation& c) {
  Correlation tiles = c;
  for (size_t a : {1, 2}) {
    Axis& axis = tiles.axis[a];
    const int64_t lowest = axis.taps.front().offset;
    axis.out = tiles_along(axis);
    axis.stride = kWinogradOut;
    axis.step *= kWinogradOut;
    axis.taps.clear();
    for (int64_t k = 0; k < kWinogradIn; ++k) axis.taps.push_back({k, lowest + k});
  }
  return tiles;
}

}  // namespace

void set_winograd(bool on) { enabled = on; }
bool winograd_enabled() { return enabled; }

bool wants_winograd(const Correlation& c) {
  constexpr int64_t kFewestChannels = 32, kFewestTiles = 16;
  if (!enabled || c.groups != 1 || c.axis[0].taps.size() != 1 || !is_three(c.axis[1]) || !is_three(c.axis[2]))
    return false;
  const int64_t tiles = c.batch * c.axis[0].out * tiles_along(c.axis[1]) * tiles_along(c.axis[2]);
  return c.reduced >= kFewestChannels && c.channels >= kFewestChannels && tiles >= kFewestTiles;
}

namespace {

// A correlation cut into boxes of tiles, and what the steps do with a box. Matrices have a row for each tile, in the
// order of the boxes; `row` is the box's first.
template <class T> class Tiling {
 public:
  Tiling(const Correlation& c, const BoxLimits& limits, Image<const T> x)
      : c_(c), tiles_(tiles_of(c)), grid_(tiles_, limits), window_(tiles_, x, grid_) {
    first_.push_back(0);
    for (int64_t i = 0; i < grid_.count(); ++i) first_.push_back(first_.back() + grid_.box(i).pixels());
  }
  int64_t boxes() const { return grid_.count(); }
  int64_t first_tile(int64_t box) const { return first_[size_t(box)]; }
  int64_t tiles(int64_t box) const { return first_tile(box + 1) - first_tile(box); }

  // The transformed tiles of x.
  void input(int64_t index, T* v, int64_t plane, int64_t pitch) const {
    const Box box = grid_.box(index);
    const Workspace<T> workspace(window_.workspace());
    const Workspace<int64_t> places(box.pixels());
    const InputView<T> in = window_.open(box, workspace.data(), places.data());
    const T* corner = in.data;
    for (size_t a = 0; a < 3; ++a) corner += (tiles_.axis[a].taps.front().offset - in.origin[a]) * in.pitch[a];
    for (int64_t t = 0; t < box.pixels(); ++t)
      kernels<T>().conv.winograd_input(v + t * pitch, plane, corner + places.data()[t], in.pitch[1], in.pitch[2],
                                       c_.reduced);
  }
  // y from the products of some channels, of which y shows the first.
  void output(int64_t index, const T* m, int64_t plane, int64_t pitch, const Image<T>& y, int64_t channels,
              const Epilogue<T>& epilogue) const {
    each_tile(index, y, [&](int64_t t, T* out, int64_t rows, int64_t columns, int64_t row_pitch, int64_t pixel_pitch) {
      kernels<T>().conv.winograd_output(out, row_pitch, pixel_pitch, rows, columns, m + t * pitch, plane, channels,
                                        epilogue);
    });
  }
  // The transformed tiles of y's gradient.
  void gradient(int64_t index, T* v, int64_t plane, int64_t pitch, const Image<const T>& y) const {
    each_tile(index, y,
              [&](int64_t t, const T* in, int64_t rows, int64_t columns, int64_t row_pitch, int64_t pixel_pitch) {
                kernels<T>().conv.winograd_gradient(v + t * pitch, plane, in, row_pitch, pixel_pitch, rows, columns,
                                                    c_.channels);
              });
  }

 private:
  template <class P, class F> void each_tile(int64_t index, const Image<P>& y, F f) const {
    const Box box = grid_.box(index);
    int64_t t = 0;
    for_pixels(tiles_, box, y, [&](int64_t at) {
      const int64_t w = box.begin[3] + t % box.extent(3), h = box.begin[2] + t / box.extent(3) % box.extent(2);
      f(t, y.data + at, std::min<int64_t>(kWinogradOut, c_.axis[1].out - h * kWinogradOut),
        std::min<int64_t>(kWinogradOut, c_.axis[2].out - w * kWinogradOut), c_.axis[1].step * y.stride[1],
        c_.axis[2].step * y.stride[2]);
      ++t;
    });
  }

  const Correlation& c_;
  Correlation tiles_;
  BoxGrid grid_;
  Window<T> window_;
  std::vector<int64_t> first_;
};

// So many values, a bit more for an odd number of cache lines: what a transform reads or writes in all 36 matrices
// would meet in a few sets of the cache.
template <class T> int64_t odd_lines(int64_t values) {
  constexpr int64_t kLine = 64 / int64_t(sizeof(T));
  return (ceil_div(values, kLine) | 1) * kLine;
}
// Transformed tiles: 36 matrices tiles x channels, one after the other. Rows are a vector more than a multiple of one
// apart, for the same reason.
template <class T> struct Planes {
  int64_t pitch, plane;
  Planes(int64_t tiles, int64_t channels)
      : pitch(round_up(channels, kernels<T>().conv.vector) + kernels<T>().conv.vector),
        plane(odd_lines<T>(tiles * pitch)) {}
  int64_t values() const { return kWinogradPlanes * plane; }
};
// Bytes of a tile in both planes of a step.
template <class T> int64_t tile_bytes(const Correlation& c) {
  return kWinogradPlanes * (Planes<T>(1, c.reduced).pitch + Planes<T>(1, c.channels).pitch) * int64_t(sizeof(T));
}
// Transformed weights: 36 matrices reduced x channels, in panels.
template <class T> int64_t weight_plane(const Correlation& c) {
  return odd_lines<T>(c.reduced * round_up(c.channels, kernels<T>().conv.vector));
}

template <class T>
void multiply(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_rs, const T* b_packed, T* c, int64_t c_rs) {
  kernels<T>().gemm.block({.m = m, .n = n, .k = k, .a = a, .a_rs = a_rs, .a_cs = 1, .a_packed = false, .b = b_packed,
                           .b_rs = 0, .b_cs = 1, .b_packed = true, .c = c, .c_rs = c_rs, .alpha = 1, .beta = 0,
                           .epilogue = {}});
}
// A panel of sums over tiles, n channels of g wide, that starts at u.
template <class T>
void multiply_tiles(int64_t tiles, int64_t m, int64_t n, const T* v, int64_t v_pitch, const T* g, int64_t g_pitch, T* u,
                    bool accumulate) {
  kernels<T>().gemm.block({.m = m, .n = n, .k = tiles, .a = v, .a_rs = 1, .a_cs = v_pitch, .a_packed = false, .b = g,
                           .b_rs = g_pitch, .b_cs = 1, .b_packed = false, .c = u,
                           .c_rs = round_up(n, kernels<T>().conv.vector), .alpha = 1, .beta = T(accumulate ? 1 : 0),
                           .epilogue = {}});
}

// Panel by panel, packed and transformed while it is in the cache.
template <class T> void transform_weight(const Correlation& c, const Dims3& kernel, const T* weight, T* u) {
  const ConvKernels<T>& table = kernels<T>().conv;
  for_weight_panels<T>(c, kernel, kWinogradPlanes / c.taps(),
                       [&](int64_t from, int64_t to, const ConvWeightLayout& layout) {
                         const Workspace<T> packed(c.rows() * round_up(layout.channels, table.vector));
                         table.pack_weight(packed.data(), weight + from, layout);
                         table.winograd_weight(u + to / c.taps(), weight_plane<T>(c), packed.data(), layout.channels,
                                               c.reduced);
                       });
}

// Runs f(first box, last box, tiles) over stretches of boxes with about `tiles` tiles each.
template <class T, class F> void for_stretches(const Tiling<T>& tiling, int64_t tiles, F f) {
  for (int64_t from = 0, to; from < tiling.boxes(); from = to) {
    to = from + 1;
    while (to < tiling.boxes() && tiling.first_tile(to + 1) - tiling.first_tile(from) <= tiles) ++to;
    f(from, to, tiling.first_tile(to) - tiling.first_tile(from));
  }
}

constexpr int64_t kBytesOfBox = 512 << 10;       // of the planes that one thread works on
constexpr int64_t kBytesOfStretch = 8 << 20;   // of those that all threads share
constexpr int64_t kBytesOfWeights = 4 << 20;  // transformed weights beyond this are read once a stretch, not once a box
constexpr int64_t kBytesOfSums = 640 << 10;   // of a weight gradient's sums that a thread keeps for itself

BoxLimits limits_of(int64_t window_bytes, int64_t value_bytes, int64_t most) {
  return {.window = window_bytes / value_bytes, .units = kConvUnits, .fewest = 14, .most = most};
}

}  // namespace

// Boxes of tiles: their input is transformed into 36 matrices tiles x reduced, these are multiplied with the
// transformed weights, and the products transformed back. A thread takes a box through all three steps; where the
// weights are large, all threads take many boxes through one step after the other, and each reads its own part of the
// weights.
template <class T>
void winograd(const Correlation& c, const Dims3& kernel, Image<const T> x, const ConvWeight& weight,
              const Epilogue<T>& epilogue, Image<T> y) {
  const int64_t panel = kernels<T>().conv.panel, plane = weight_plane<T>(c), panels = ceil_div(c.channels, panel);
  constexpr int64_t kTransformed = 1;
  const Ref<DerivedBuffer> kept =
      derived_buffer<T>(weight.values, packing_key(c, kernel, weight, kTransformed), kWinogradPlanes * plane,
                        weight.keep, [&](T* to) { transform_weight(c, kernel, weight.data<T>(), to); });
  const T* const u = kept->values.data<T>();

  const bool large = kWinogradPlanes * plane * int64_t(sizeof(T)) > kBytesOfWeights;
  const int64_t most = std::max<int64_t>(28, (large ? kBytesOfStretch / 8 : kBytesOfBox) / tile_bytes<T>(c));
  const Tiling<T> tiling(c, limits_of(kBytesOfBox / 2, sizeof(T), most), x);
  const bool parallel = worth_threads<T>(double(tiling.first_tile(tiling.boxes())) * double(kWinogradPlanes * plane));
  const auto finish = [&](int64_t box, int64_t first, int64_t channels, const T* m, const Planes<T>& layout) {
    Image<T> part = y;
    part.data += first;
    tiling.output(box, m, layout.plane, layout.pitch, part, channels, from_channel(epilogue, first));
  };
  if (large) {
    const int64_t at_once = std::max<int64_t>(64, kBytesOfStretch / tile_bytes<T>(c));
    const Workspace<T> v(Planes<T>(at_once + most, c.reduced).values());
    const Workspace<T> m(Planes<T>(at_once + most, c.channels).values());
    for_stretches(tiling, at_once, [&](int64_t from, int64_t to, int64_t tiles) {
      const Planes<T> of_v(tiles, c.reduced), of_m(tiles, c.channels);
      const auto row = [&](int64_t i) { return tiling.first_tile(from + i) - tiling.first_tile(from); };
      for_units(to - from, parallel, [&](int64_t i) {
        tiling.input(from + i, v.data() + row(i) * of_v.pitch, of_v.plane, of_v.pitch);
      });
      for_units(kWinogradPlanes * panels, parallel, [&](int64_t unit) {
        const int64_t i = unit / panels, j = unit % panels * panel;
        multiply(tiles, std::min(panel, c.channels - j), c.reduced, v.data() + i * of_v.plane, of_v.pitch,
                 u + i * plane + j * c.reduced, m.data() + i * of_m.plane + j, of_m.pitch);
      });
      for_units(to - from, parallel,
                [&](int64_t i) { finish(from + i, 0, c.channels, m.data() + row(i) * of_m.pitch, of_m); });
    });
    return;
  }
  const int64_t parts = std::min(panels, ceil_div(4, tiling.boxes())), part = ceil_div(panels, parts) * panel;
  for_units(tiling.boxes() * parts, parallel, [&](int64_t unit) {
    const int64_t box = unit / parts, tiles = tiling.tiles(box);
    const int64_t first = unit % parts * part, channels = std::min(c.channels, first + part) - first;
    if (channels <= 0) return;
    const Planes<T> of_v(tiles, c.reduced), of_m(tiles, channels);
    const Workspace<T> v(of_v.values()), m(of_m.values());
    tiling.input(box, v.data(), of_v.plane, of_v.pitch);
    for (int64_t i = 0; i < kWinogradPlanes; ++i)
      multiply(tiles, channels, c.reduced, v.data() + i * of_v.plane, of_v.pitch, u + i * plane + first * c.reduced,
               m.data() + i * of_m.plane, of_m.pitch);
    finish(box, first, channels, m.data(), of_m);
  });
}

namespace {

// Each part of the boxes has sums of its own, and a thread takes a box through all steps while it is in its cache.
template <class T>
void weight_by_parts(const Correlation& c, const Dims3& kernel, Image<const T> x, const Image<const T>& y, T* weight) {
  const ConvKernels<T>& table = kernels<T>().conv;
  const int64_t plane = weight_plane<T>(c), group = packed_group<T>(c);
  const int64_t most = std::max<int64_t>(28, kBytesOfBox / tile_bytes<T>(c));
  const Tiling<T> tiling(c, limits_of(kBytesOfBox / 2, sizeof(T), most), x);
  const int64_t boxes = tiling.boxes(), parts = std::min(boxes, kConvUnits);
  const bool parallel = worth_threads<T>(double(tiling.first_tile(boxes)) * double(kWinogradPlanes * plane));
  const Workspace<T> sums(parts * group);
  for_units(parts, parallel, [&](int64_t part) {
    const Workspace<T> u(kWinogradPlanes * plane);
    const int64_t from = boxes * part / parts, to = boxes * (part + 1) / parts;
    for (int64_t box = from; box < to; ++box) {
      const int64_t tiles = tiling.tiles(box);
      const Planes<T> of_v(tiles, c.reduced), of_g(tiles, c.channels);
      const Workspace<T> v(of_v.values()), g(of_g.values());
      tiling.input(box, v.data(), of_v.plane, of_v.pitch);
      tiling.gradient(box, g.data(), of_g.plane, of_g.pitch, y);
      for (int64_t i = 0; i < kWinogradPlanes; ++i)
        for (int64_t j = 0; j < c.channels; j += table.panel)
          multiply_tiles(tiles, c.reduced, std::min(table.panel, c.channels - j), v.data() + i * of_v.plane, of_v.pitch,
                         g.data() + i * of_g.plane + j, of_g.pitch, u.data() + i * plane + j * c.reduced, box > from);
    }
    table.winograd_weight_gradient(sums.data() + part * group, u.data(), plane, c.channels, c.reduced);
  });
  unpack_weight(c, kernel, sums.data(), parts, weight);
}

// All threads take a stretch of boxes through one step after the other, and share the sums: for each of the 36 planes
// and panel of channels, a stretch is added to what came before.
template <class T>
void weight_by_planes(const Correlation& c, const Dims3& kernel, Image<const T> x, const Image<const T>& y, T* weight) {
  const ConvKernels<T>& table = kernels<T>().conv;
  const int64_t plane = weight_plane<T>(c), panels = ceil_div(c.channels, table.panel);
  const int64_t at_once = std::max<int64_t>(56, kBytesOfStretch / tile_bytes<T>(c)),
                most = std::max<int64_t>(14, at_once / 8);
  const Tiling<T> tiling(c, limits_of(kBytesOfBox / 2, sizeof(T), most), x);
  const bool parallel = worth_threads<T>(double(tiling.first_tile(tiling.boxes())) * double(kWinogradPlanes * plane));
  const Workspace<T> v(Planes<T>(at_once + most, c.reduced).values());
  const Workspace<T> g(Planes<T>(at_once + most, c.channels).values());
  const Workspace<T> u(kWinogradPlanes * plane);
  for_stretches(tiling, at_once, [&](int64_t from, int64_t to, int64_t tiles) {
    const Planes<T> of_v(tiles, c.reduced), of_g(tiles, c.channels);
    for_units(to - from, parallel, [&](int64_t i) {
      const int64_t row = tiling.first_tile(from + i) - tiling.first_tile(from);
      tiling.input(from + i, v.data() + row * of_v.pitch, of_v.plane, of_v.pitch);
      tiling.gradient(from + i, g.data() + row * of_g.pitch, of_g.plane, of_g.pitch, y);
    });
    for_units(kWinogradPlanes * panels, parallel, [&](int64_t unit) {
      const int64_t i = unit / panels, j = unit % panels * table.panel;
      multiply_tiles(tiles, c.reduced, std::min(table.panel, c.channels - j), v.data() + i * of_v.plane, of_v.pitch,
                     g.data() + i * of_g.plane + j, of_g.pitch, u.data() + i * plane + j * c.reduced, from > 0);
    });
  });
  for_weight_panels<T>(
      c, kernel, kWinogradPlanes / c.taps(), [&](int64_t to, int64_t at, const ConvWeightLayout& layout) {
        const Workspace<T> packed(c.rows() * round_up(layout.channels, table.vector));
        table.winograd_weight_gradient(packed.data(), u.data() + at / c.taps(), plane, layout.channels, c.reduced);
        table.unpack_weight(weight + to, packed.data(), 1, 0, layout);
      });
}

}  // namespace

// x and y are transformed, and the products of their tiles are summed for each of the 36 planes.
template <class T> void winograd_weight(const ConvShape& s, Image<const T> x, Image<const T> y, T* weight) {
  const Correlation c = forward_correlation(s);
  const bool small = kWinogradPlanes * weight_plane<T>(c) * int64_t(sizeof(T)) <= kBytesOfSums;
  (small ? weight_by_parts<T> : weight_by_planes<T>)(c, s.kernel, x, y, weight);
}

#define INSTANTIATE(T)                                                                                           \
  template void winograd<T>(const Correlation&, const Dims3&, Image<const T>, const ConvWeight&,                 \
                            const Epilogue<T>&, Image<T>);                                                       \
  template void winograd_weight<T>(const ConvShape&, Image<const T>, Image<const T>, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace pydl
