#include "ops/conv_direct.h"

#include <algorithm>

#include "kernels/table.h"
#include "ops/conv_pack.h"
#include "ops/conv_scatter.h"
#include "ops/conv_window.h"
#include "ops/conv_winograd.h"
#include "ops/workspace.h"

namespace pydl {
namespace {

// Rows of packed weights that meet all pixels of a box before the next ones do.
constexpr int64_t kBlockRows = 1024;
// A box's share of the L2 cache.
constexpr int64_t kWindowBytes = 192 * 1024;

// ---- y from x and the weights --------------------------------------------------------------------------------------
template <class T>
void correlate(const Correlation& c, const Dims3& kernel, Image<const T> x, const ConvWeight& weight,
               const Epilogue<T>& epilogue, Image<T> y) {
  if (c.taps() == 0) return fill_bias(c, epilogue.row_bias, y);
  if (wants_winograd(c)) return winograd(c, kernel, x, weight, epilogue, y);
  const ConvKernels<T>& kernel_table = kernels<T>().conv;
  const int64_t group = packed_group<T>(c);
  const Ref<DerivedBuffer> kept = packed_weight<T>(c, kernel, weight);
  const T* const packed = kept->values.data<T>();

  const BoxGrid grid(c, {.window = kWindowBytes / int64_t(sizeof(T)), .units = kConvUnits});
  const Window<T> window(c, x, grid);
  const int64_t panels = ceil_div(c.channels, kernel_table.panel);
  const int64_t parts = std::min(panels, ceil_div(kConvUnits, grid.count()));
  const int64_t part = ceil_div(panels, parts) * kernel_table.panel;
  const bool parallel = worth_threads<T>(double(c.pixels() * c.groups) * double(group));
  const bool stream = can_stream(c, y, epilogue);
  for_units(grid.count() * parts, parallel, [&](int64_t unit) {
    const Box box = grid.box(unit / parts);
    const int64_t first = unit % parts * part, last = std::min(c.channels, first + part);
    if (first >= last) return;
    const Workspace<T> workspace(window.workspace());
    const Workspace<int64_t> places(2 * box.pixels());
    int64_t *const x_at = places.data(), *const y_at = x_at + box.pixels(), *next = y_at;
    for_pixels(c, box, y, [&](int64_t at) { *next++ = at; });
    const InputView<T> in = window.open(box, workspace.data(), x_at);
    const Runs runs = make_runs(c, in.pitch, in.origin);
    const int64_t all_runs = int64_t(runs.at.size());
    const int64_t at_once = std::max<int64_t>(1, kBlockRows / std::max<int64_t>(runs.length, 1));
    for (int64_t g = 0; g < c.groups; ++g)
      for (int64_t r = 0; r < all_runs; r += at_once) {
        const int64_t count = std::min(at_once, all_runs - r);
        const ConvBlock<T> block{box.pixels(), x_at, y_at, count, runs.at.data() + r, runs.length, r, all_runs,
                                 last - first, stream && r + count == all_runs};
        const Epilogue<T> last_step =
            r + count == all_runs ? from_channel(epilogue, g * c.channels + first) : Epilogue<T>{};
        kernel_table.correlate(block, y.data + g * c.channels + first, in.data + g * c.reduced,
                               packed + g * group + first * c.rows(), r > 0, last_step);
      }
  });
}

}  // namespace

template <class T>
void direct_forward(const ConvShape& s, Image<const T> x, const ConvWeight& weight, const Epilogue<T>& epilogue,
                    Image<T> y) {
  correlate(forward_correlation(s), s.kernel, x, weight, epilogue, y);
}

template <class T>
void direct_input(const ConvShape& s, Image<const T> y, const ConvWeight& weight, const T* bias, Image<T> x) {
  if (wants_scatter<T>(s)) return scatter_input(s, y, weight.data<T>(), bias, x);
  for (const Correlation& c : input_correlations(s))
    if (wants_scatter_taps(c)) scatter_taps(c, s.kernel, y, weight, bias, x);
    else correlate(c, s.kernel, y, weight, {.row_bias = bias}, x);
}

// ---- the weights' gradient -----------------------------------------------------------------------------------------
// Channel panels are independent; where there are too few of them, the boxes are dealt out to parts with sums of their
// own, which are added in ascending order.
template <class T> void direct_weight(const ConvShape& s, Image<const T> x, Image<const T> y, T* weight) {
  const Correlation c = forward_correlation(s);
  if (wants_winograd(c)) return winograd_weight(s, x, y, weight);
  const ConvKernels<T>& kernel_table = kernels<T>().conv;
  const BoxGrid grid(c, {.window = kWindowBytes / int64_t(sizeof(T))});
  const Window<T> window(c, x, grid);
  const int64_t width = round_up(c.channels, kernel_table.vector), group = packed_group<T>(c);
  const int64_t panels = ceil_div(c.channels, kernel_table.panel), boxes = grid.count();
  const int64_t parts = std::min(boxes, ceil_div(kConvUnits, panels * c.groups));
  const int64_t shares = std::min(panels, kConvUnits), share = ceil_div(panels, shares) * kernel_table.panel;
  const bool copy_y = width != c.channels;  // the kernel reads whole vectors
  const bool parallel = worth_threads<T>(double(c.pixels() * c.groups) * double(group));
  const Workspace<T> sums(parts * c.groups * group);

  for_units(parts * shares, parallel, [&](int64_t unit) {
    const int64_t part = unit / shares, first = unit % shares * share, last = std::min(c.channels, first + share);
    if (first >= last) return;
    const int64_t padded = copy_y ? round_up(last - first, kernel_table.vector) : 0;
    const Workspace<T> workspace(window.workspace()), y_copy(grid.largest_pixels() * c.groups * padded);
    const Workspace<int64_t> places(2 * grid.largest_pixels());
    const int64_t from = boxes * part / parts, to = boxes * (part + 1) / parts;
    for (int64_t i = from; i < to; ++i) {
      const Box box = grid.box(i);
      int64_t *const x_at = places.data(), *const y_at = x_at + box.pixels();
      int64_t p = 0;
      for_pixels(c, box, y, [&](int64_t at) {
        y_at[p] = at;
        if (copy_y) {
          y_at[p] = p * c.groups * padded;
          for (int64_t g = 0; g < c.groups; ++g) {
            T* const out = y_copy.data() + y_at[p] + g * padded;
            std::copy_n(y.data + at + g * c.channels + first, last - first, out);
            std::fill(out + last - first, out + padded, T(0));
          }
        }
        ++p;
      });
      const InputView<T> in = window.open(box, workspace.data(), x_at);
      const Runs runs = make_runs(c, in.pitch, in.origin);
      const int64_t all_runs = int64_t(runs.at.size());
      const ConvBlock<T> block{box.pixels(), x_at, y_at, all_runs, runs.at.data(), runs.length, 0, all_runs,
                               last - first, false};
      for (int64_t g = 0; g < c.groups; ++g)
        kernel_table.correlate_weight(block, sums.data() + (part * c.groups + g) * group + first * c.rows(),
                                      in.data + g * c.reduced,
                                      copy_y ? y_copy.data() + g * padded : y.data + g * c.channels + first, i > from);
    }
  });

  unpack_weight(c, s.kernel, sums.data(), parts, weight);
}

#define INSTANTIATE(T)                                                                                       \
  template void direct_forward<T>(const ConvShape&, Image<const T>, const ConvWeight&, const Epilogue<T>&,   \
                                  Image<T>);                                                                 \
  template void direct_input<T>(const ConvShape&, Image<const T>, const ConvWeight&, const T*, Image<T>);    \
  template void direct_weight<T>(const ConvShape&, Image<const T>, Image<const T>, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace pydl
