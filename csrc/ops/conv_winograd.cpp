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
  if (!enabled || c.groups != 1 || c.axis[0].taps.size() != 1 || !is_three(c.axis[1]) || !is_three(c.axis[2])) return false;
  const int64_t tiles = c.batch * c.axis[0].out * tiles_along(c.axis[1]) * tiles_along(c.axis[2]);
  return c.reduced >= kFewestChannels && c.channels >= kFewestChannels && tiles >= kFewestTiles;
}

// Boxes of tiles: their input is transformed into 36 matrices tiles x reduced, these are multiplied with the transformed
// weights, and the products transformed back.
template <class T>
void winograd(const Correlation& c, const Dims3& kernel, Image<const T> x, const T* weight, const T* bias,
              Activation activation, Image<T> y) {
  const Kernels<T>& table = kernels<T>();
  const Correlation tiles = tiles_of(c);
  const int64_t width = round_up(c.channels, table.conv.vector), u_plane = c.reduced * width;
  const int64_t panel = table.conv.panel, panels = ceil_div(c.channels, panel);
  const double work = double(tiles.pixels()) * double(kWinogradPlanes * u_plane);
  const Workspace<T> packed(packed_size<T>(c)), u(kWinogradPlanes * u_plane);
  pack_weight(c, kernel, weight, packed.data());
  for_units(panels, worth_threads<T>(double(kWinogradPlanes * u_plane)), [&](int64_t i) {
    table.conv.winograd_weight(u.data() + i * panel * c.reduced, u_plane, packed.data() + i * panel * c.rows(),
                               std::min(panel, c.channels - i * panel), c.reduced);
  });

  const int64_t values = (1 << 20) / int64_t(sizeof(T));
  const int64_t most = std::max<int64_t>(28, values / (kWinogradPlanes * (c.reduced + width)));
  const BoxGrid grid(tiles, {.window = values / 2, .units = 8, .fewest = 14, .most = most});
  const Window<T> window(tiles, x, grid);
  const int64_t parts = std::min(panels, ceil_div(4, grid.count())), part = ceil_div(panels, parts) * panel;
  // Rows of the matrices are a vector apart from a multiple of a page, lest all land in one set of the cache.
  const int64_t v_pitch = round_up(c.reduced, table.conv.vector) + table.conv.vector, m_pitch = std::min(part, width);
  for_units(grid.count() * parts, worth_threads<T>(work), [&](int64_t unit) {
    const Box box = grid.box(unit / parts);
    const int64_t first = unit % parts * part, last = std::min(c.channels, first + part);
    if (first >= last) return;
    const int64_t count = box.pixels(), v_plane = count * v_pitch, m_plane = count * m_pitch;
    const Workspace<T> workspace(window.workspace()), v(kWinogradPlanes * v_plane), m(kWinogradPlanes * m_plane);
    const Workspace<int64_t> places(count);
    const InputView<T> in = window.open(box, workspace.data(), places.data());
    const T* corner = in.data;
    for (size_t a = 0; a < 3; ++a) corner += (tiles.axis[a].taps.front().offset - in.origin[a]) * in.pitch[a];
    for (int64_t t = 0; t < count; ++t)
      table.conv.winograd_input(v.data() + t * v_pitch, v_plane, corner + places.data()[t], in.pitch[1], in.pitch[2],
                                c.reduced);
    for (int64_t i = 0; i < kWinogradPlanes; ++i)
      table.gemm.block({.m = count, .n = last - first, .k = c.reduced, .a = v.data() + i * v_plane, .a_rs = v_pitch,
                        .a_cs = 1, .a_packed = false, .b = u.data() + i * u_plane + first * c.reduced, .b_rs = 0,
                        .b_cs = 1, .b_packed = true, .c = m.data() + i * m_plane, .c_rs = m_pitch, .alpha = 1,
                        .beta = 0, .epilogue = {}});
    Epilogue<T> epilogue;
    epilogue.row_bias = bias ? bias + first : nullptr;
    epilogue.activation = activation;
    int64_t t = 0;
    for (int64_t n = box.begin[0]; n < box.end[0]; ++n)
      for (int64_t d = box.begin[1]; d < box.end[1]; ++d)
        for (int64_t h = box.begin[2]; h < box.end[2]; ++h)
          for (int64_t w = box.begin[3]; w < box.end[3]; ++w, ++t) {
            const Dims3 at{d, h * kWinogradOut, w * kWinogradOut};
            T* out = y.data + n * y.batch_stride + first;
            for (size_t a = 0; a < 3; ++a) out += (c.axis[a].first + at[a] * c.axis[a].step) * y.stride[a];
            table.conv.winograd_output(out, c.axis[1].step * y.stride[1], c.axis[2].step * y.stride[2],
                                       std::min<int64_t>(kWinogradOut, c.axis[1].out - at[1]),
                                       std::min<int64_t>(kWinogradOut, c.axis[2].out - at[2]), m.data() + t * m_pitch,
                                       m_plane, last - first, epilogue);
          }
  });
}

#define INSTANTIATE(T)                                                                                           \
  template void winograd<T>(const Correlation&, const Dims3&, Image<const T>, const T*, const T*, Activation, \
                            Image<T>);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace pydl
