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

// Rows of the matrices are a vector more than a multiple of one apart, lest they all meet in a few sets of the cache.
template <class T> int64_t pitch_of(int64_t channels) {
  const int64_t vector = kernels<T>().conv.vector;
  return round_up(channels, vector) + vector;
}
template <class T> int64_t transformed_plane(const Correlation& c) {
  return c.reduced * round_up(c.channels, kernels<T>().conv.vector);
}

template <class T>
void multiply(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_rs, const T* b_packed, T* c, int64_t c_rs) {
  kernels<T>().gemm.block({.m = m, .n = n, .k = k, .a = a, .a_rs = a_rs, .a_cs = 1, .a_packed = false, .b = b_packed,
                           .b_rs = 0, .b_cs = 1, .b_packed = true, .c = c, .c_rs = c_rs, .alpha = 1, .beta = 0,
                           .epilogue = {}});
}

// Panel by panel, packed and transformed while it is in the cache.
template <class T> void transform_weight(const Correlation& c, const Dims3& kernel, const T* weight, T* u) {
  const ConvKernels<T>& table = kernels<T>().conv;
  const int64_t plane = transformed_plane<T>(c);
  for_weight_panels<T>(c, kernel, kWinogradPlanes / c.taps(),
                       [&](int64_t from, int64_t to, const ConvWeightLayout& layout) {
                         const Workspace<T> packed(c.rows() * round_up(layout.channels, table.vector));
                         table.pack_weight(packed.data(), weight + from, layout);
                         table.winograd_weight(u + to / c.taps(), plane, packed.data(), layout.channels, c.reduced);
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

constexpr int64_t kBytesOfBox = 1 << 20;       // of the matrices that one thread works on
constexpr int64_t kBytesOfStretch = 8 << 20;   // of those that all threads share
constexpr int64_t kBytesOfWeights = 4 << 20;  // transformed weights beyond this are read once a stretch, not once a box

}  // namespace

// Boxes of tiles: their input is transformed into 36 matrices tiles x reduced, these are multiplied with the
// transformed weights, and the products transformed back. A thread takes a box through all three steps; where the
// weights are large, all threads take many boxes through one step after the other, and each reads its own part of the
// weights.
template <class T>
void winograd(const Correlation& c, const Dims3& kernel, Image<const T> x, const ConvWeight& weight,
              const Epilogue<T>& epilogue, Image<T> y) {
  const ConvKernels<T>& table = kernels<T>().conv;
  const int64_t plane = transformed_plane<T>(c), panels = ceil_div(c.channels, table.panel);
  constexpr int64_t kTransformed = 1;
  const Ref<DerivedBuffer> kept =
      derived_buffer<T>(weight.values, packing_key(c, kernel, weight, kTransformed), kWinogradPlanes * plane,
                        weight.keep, [&](T* to) { transform_weight(c, kernel, weight.data<T>(), to); });
  const T* const u = kept->values.data<T>();

  const int64_t v_pitch = pitch_of<T>(c.reduced), m_pitch = pitch_of<T>(c.channels);
  const int64_t tile_bytes = kWinogradPlanes * (v_pitch + m_pitch) * int64_t(sizeof(T));
  const bool large = kWinogradPlanes * plane * int64_t(sizeof(T)) > kBytesOfWeights;
  const int64_t most = std::max<int64_t>(28, (large ? kBytesOfStretch / 8 : kBytesOfBox) / tile_bytes);
  const Tiling<T> tiling(c, {.window = kBytesOfBox / 2 / int64_t(sizeof(T)), .units = 8, .fewest = 14, .most = most},
                         x);
  const bool parallel = worth_threads<T>(double(tiling.first_tile(tiling.boxes())) * double(kWinogradPlanes * plane));
  const auto finish = [&](int64_t box, int64_t first, int64_t channels, const T* m, int64_t m_plane, int64_t pitch) {
    Image<T> part = y;
    part.data += first;
    tiling.output(box, m, m_plane, pitch, part, channels, from_channel(epilogue, first));
  };
  if (large) {
    const int64_t at_once = std::max<int64_t>(64, kBytesOfStretch / tile_bytes);
    const Workspace<T> matrices(kWinogradPlanes * (v_pitch + m_pitch) * (at_once + most));
    for_stretches(tiling, at_once, [&](int64_t from, int64_t to, int64_t tiles) {
      T *const v = matrices.data(), *const m = v + kWinogradPlanes * tiles * v_pitch;
      const int64_t start = tiling.first_tile(from);
      for_units(to - from, parallel, [&](int64_t i) {
        tiling.input(from + i, v + (tiling.first_tile(from + i) - start) * v_pitch, tiles * v_pitch, v_pitch);
      });
      for_units(kWinogradPlanes * panels, parallel, [&](int64_t unit) {
        const int64_t i = unit / panels, j = unit % panels * table.panel;
        multiply(tiles, std::min(table.panel, c.channels - j), c.reduced, v + i * tiles * v_pitch, v_pitch,
                 u + i * plane + j * c.reduced, m + i * tiles * m_pitch + j, m_pitch);
      });
      for_units(to - from, parallel, [&](int64_t i) {
        finish(from + i, 0, c.channels, m + (tiling.first_tile(from + i) - start) * m_pitch, tiles * m_pitch, m_pitch);
      });
    });
    return;
  }
  const int64_t parts = std::min(panels, ceil_div(4, tiling.boxes())), part = ceil_div(panels, parts) * table.panel;
  for_units(tiling.boxes() * parts, parallel, [&](int64_t unit) {
    const int64_t box = unit / parts, tiles = tiling.tiles(box);
    const int64_t first = unit % parts * part, channels = std::min(c.channels, first + part) - first;
    if (channels <= 0) return;
    const int64_t v_plane = tiles * v_pitch, pitch = pitch_of<T>(channels), m_plane = tiles * pitch;
    const Workspace<T> matrices(kWinogradPlanes * (v_plane + m_plane));
    T *const v = matrices.data(), *const m = v + kWinogradPlanes * v_plane;
    tiling.input(box, v, v_plane, v_pitch);
    for (int64_t i = 0; i < kWinogradPlanes; ++i)
      multiply(tiles, channels, c.reduced, v + i * v_plane, v_pitch, u + i * plane + first * c.reduced,
               m + i * m_plane, pitch);
    finish(box, first, channels, m, m_plane, pitch);
  });
}

// Stretches of boxes: x and y are transformed, and for each of the 36 planes and panel of channels the sum over tiles
// of their products is added to what came before.
template <class T> void winograd_weight(const ConvShape& s, Image<const T> x, Image<const T> y, T* weight) {
  const ConvKernels<T>& table = kernels<T>().conv;
  const Correlation c = forward_correlation(s);
  const int64_t plane = transformed_plane<T>(c), panels = ceil_div(c.channels, table.panel);
  const int64_t v_pitch = pitch_of<T>(c.reduced), g_pitch = pitch_of<T>(c.channels);
  const int64_t tile_bytes = kWinogradPlanes * (v_pitch + g_pitch) * int64_t(sizeof(T));
  const int64_t at_once = std::max<int64_t>(56, kBytesOfStretch / tile_bytes),
                most = std::max<int64_t>(14, at_once / 8);
  const Tiling<T> tiling(c, {.window = kBytesOfBox / 2 / int64_t(sizeof(T)), .units = 8, .fewest = 14, .most = most},
                         x);
  const bool parallel = worth_threads<T>(double(tiling.first_tile(tiling.boxes())) * double(kWinogradPlanes * plane));
  const Workspace<T> matrices(kWinogradPlanes * (v_pitch + g_pitch) * (at_once + most)), u(kWinogradPlanes * plane);
  for_stretches(tiling, at_once, [&](int64_t from, int64_t to, int64_t tiles) {
    T *const v = matrices.data(), *const g = v + kWinogradPlanes * tiles * v_pitch;
    const int64_t start = tiling.first_tile(from);
    for_units(to - from, parallel, [&](int64_t i) {
      const int64_t row = tiling.first_tile(from + i) - start;
      tiling.input(from + i, v + row * v_pitch, tiles * v_pitch, v_pitch);
      tiling.gradient(from + i, g + row * g_pitch, tiles * g_pitch, g_pitch, y);
    });
    for_units(kWinogradPlanes * panels, parallel, [&](int64_t unit) {
      const int64_t i = unit / panels, j = unit % panels * table.panel, n = std::min(table.panel, c.channels - j);
      kernels<T>().gemm.block({.m = c.reduced, .n = n, .k = tiles, .a = v + i * tiles * v_pitch, .a_rs = 1,
                               .a_cs = v_pitch, .a_packed = false, .b = g + i * tiles * g_pitch + j, .b_rs = g_pitch,
                               .b_cs = 1, .b_packed = false, .c = u.data() + i * plane + j * c.reduced,
                               .c_rs = round_up(n, table.vector), .alpha = 1, .beta = T(from > 0 ? 1 : 0),
                               .epilogue = {}});
    });
  });
  for_weight_panels<T>(
      c, s.kernel, kWinogradPlanes / c.taps(), [&](int64_t to, int64_t at, const ConvWeightLayout& layout) {
        const Workspace<T> packed(c.rows() * round_up(layout.channels, table.vector));
        table.winograd_weight_gradient(packed.data(), u.data() + at / c.taps(), plane, layout.channels, c.reduced);
        table.unpack_weight(weight + to, packed.data(), 1, 0, layout);
      });
}

#define INSTANTIATE(T)                                                                                           \
  template void winograd<T>(const Correlation&, const Dims3&, Image<const T>, const ConvWeight&,                 \
                            const Epilogue<T>&, Image<T>);                                                       \
  template void winograd_weight<T>(const ConvShape&, Image<const T>, Image<const T>, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace pydl
