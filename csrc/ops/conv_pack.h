// Packed weights of a correlation, and how the work of a convolution is dealt out.
#pragma once
#include <algorithm>

#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/conv_plan.h"
#include "ops/derived.h"

namespace pydl {

// Values of one group, and of all.
template <class T> int64_t packed_group(const Correlation& c);
template <class T> int64_t packed_size(const Correlation& c) { return c.groups * packed_group<T>(c); }

// The weights of c, packed in panels (ConvBlock in kernels/conv.h), group after group.
template <class T> void pack_weight(const Correlation& c, const Dims3& kernel, const T* weight, T* packed);
// The same, from the buffers kept with the weights.
template <class T>
Ref<DerivedBuffer> packed_weight(const Correlation& c, const Dims3& kernel, const ConvWeight& weight);
// What tells the packed forms of a weight tensor apart; `form` is the caller's number for its own.
Dims packing_key(const Correlation& c, const Dims3& kernel, const ConvWeight& weight, int64_t form);
// The inverse, of parts added up in ascending order.
template <class T>
void unpack_weight(const Correlation& c, const Dims3& kernel, const T* packed, int64_t parts, T* weight);

// Pieces of work that a call is cut into, if it has as many.
inline constexpr int64_t kConvUnits = 8;

// Whether so many multiply-adds are worth other threads.
template <class T> bool worth_threads(double multiply_adds) {
  return multiply_adds / (sizeof(T) == 4 ? 50.0 : 25.0) > double(kParallelThresholdNs);
}
// f(unit) for all of them, each as soon as a thread is free.
template <class F> void for_units(int64_t units, bool parallel, F&& f) {
  auto range = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  };
  if (!parallel || units <= 1) return range(0, units);
  parallel_ranges(
      units, 1, [](void* r, int64_t begin, int64_t end) { (*static_cast<decltype(range)*>(r))(begin, end); }, &range,
      true);
}

// Results from this size on are written past the cache.
inline constexpr int64_t kStreamBytes = 8 << 20;

// Whether y is worth that, and all of its pixels are aligned whole vectors that nothing reads again.
template <class T> bool can_stream(const Correlation& c, const Image<T>& y, const Epilogue<T>& epilogue) {
  constexpr int64_t kLine = 64 / int64_t(sizeof(T));
  bool aligned = reinterpret_cast<uintptr_t>(y.data) % 64 == 0 && c.channels % kLine == 0 &&
                 y.batch_stride % kLine == 0;
  for (int64_t stride : y.stride) aligned &= stride % kLine == 0;
  return aligned && !epilogue.elementwise && c.pixels() * c.groups * c.channels * int64_t(sizeof(T)) >= kStreamBytes;
}

// For outputs that no tap reaches: they are the bias, or zero.
template <class T> void fill_bias(const Correlation& c, const T* bias, const Image<T>& y) {
  const int64_t channels = c.groups * c.channels, height = c.axis[1].out, rows = c.batch * c.axis[0].out * height;
  for_units(rows, worth_threads<T>(double(c.pixels() * channels)), [&](int64_t row) {
    const int64_t h = row % height, d = row / height % c.axis[0].out, n = row / (height * c.axis[0].out);
    for_pixels(c, {{n, d, h, 0}, {n + 1, d + 1, h + 1, c.axis[2].out}}, y, [&](int64_t at) {
      if (bias) std::copy_n(bias, channels, y.data + at);
      else std::fill_n(y.data + at, channels, T(0));
    });
  });
}

// The epilogue for the output channels from `first` on.
template <class T> Epilogue<T> from_channel(Epilogue<T> epilogue, int64_t first) {
  if (epilogue.row_bias) epilogue.row_bias += first;
  return epilogue;
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// How the kernels find a correlation's weights; `row_of` is its packed_rows.
ConvWeightLayout weight_layout(const Correlation& c, const std::vector<int64_t>& row_of);
// f(place in the weights, place in the packed ones, layout) for each panel; `parts` is the work relative to one copy.
template <class T, class F> void for_weight_panels(const Correlation& c, const Dims3& kernel, int64_t parts, F f) {
  const int64_t panel = kernels<T>().conv.panel, panels = ceil_div(c.channels, panel), group = packed_group<T>(c);
  const std::vector<int64_t> row_of = c.packed_rows(kernel);
  for_units(c.groups * panels, worth_threads<T>(4.0 * double(parts * c.groups * group)), [&](int64_t i) {
    const int64_t g = i / panels, j = i % panels * panel;
    ConvWeightLayout layout = weight_layout(c, row_of);
    layout.channels = std::min(panel, c.channels - j);
    f(g * c.group_stride + j * c.lane_stride, g * group + j * c.rows(), layout);
  });
}

}  // namespace pydl
