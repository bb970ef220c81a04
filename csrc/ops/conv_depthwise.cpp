#include "ops/conv_depthwise.h"

#include <algorithm>
#include <atomic>

#include "kernels/table.h"
#include "ops/conv_pack.h"
#include "ops/conv_window.h"
#include "ops/workspace.h"

namespace pydl {
namespace {

// The channels of a depthwise convolution are its groups: for the weights, one group whose channels share one input.
Correlation as_channels(Correlation c) {
  c.channels = c.groups;
  c.groups = 1;
  c.lane_stride = c.group_stride;
  return c;
}

// The pixels of one output row that share their taps, as the kernel takes them. Taps that leave the image are left out,
// so nothing is padded; `x` and `y` are where the first pixel looks and lies.
template <class T> class Rows {
 public:
  Rows(const Correlation& c, const Image<const T>& x, int64_t y_pitch, bool stream = false)
      : c_(c), x_(x), y_pitch_(y_pitch), stream_(stream) {}
  int64_t count() const { return c_.batch * c_.axis[0].out * c_.axis[1].out; }

  // f(row, offset in x, batch, depth, height, first pixel) for each stretch of row i.
  template <class F> void stretches(int64_t i, F f) {
    const Axis& w = c_.axis[2];
    const int64_t h = i % c_.axis[1].out, d = i / c_.axis[1].out % c_.axis[0].out,
                  n = i / (c_.axis[1].out * c_.axis[0].out);
    // Between these two every tap is inside.
    const int64_t from = std::min(w.out, ceil_div(std::max<int64_t>(0, -w.taps.front().offset), w.stride));
    const int64_t to = std::max(from, std::min(w.out, (w.in - 1 - w.taps.back().offset + w.stride) / w.stride));
    for (int64_t p = 0; p < w.out;) {
      const int64_t pixels = p == from && to > from ? to - from : 1;
      collect(d, h, p, pixels > 1 || (p >= from && p < to));
      const DepthwiseRow<T> row{pixels, w.stride * x_.stride[2], y_pitch_, int64_t(at_.size()), at_.data(), row_.data(),
                                c_.rows(), c_.channels, stream_};
      f(row, n * x_.batch_stride + p * w.stride * x_.stride[2], n, d, h, p);
      p += pixels;
    }
  }

 private:
  void collect(int64_t d, int64_t h, int64_t w, bool whole) {
    const auto place = [&](size_t a, int64_t i, const Tap& t) { return i * c_.axis[a].stride + t.offset; };
    const auto inside = [&](size_t a, int64_t i) { return i >= 0 && i < c_.axis[a].in; };
    at_.clear();
    row_.clear();
    int64_t row = 0;
    for (const Tap& td : c_.axis[0].taps)
      for (const Tap& th : c_.axis[1].taps) {
        const int64_t id = place(0, d, td), ih = place(1, h, th);
        for (const Tap& tw : c_.axis[2].taps) {
          if (inside(0, id) && inside(1, ih) && (whole || inside(2, place(2, w, tw)))) {
            at_.push_back(id * x_.stride[0] + ih * x_.stride[1] + tw.offset * x_.stride[2]);
            row_.push_back(row);
          }
          ++row;
        }
      }
  }

  const Correlation& c_;
  const Image<const T>& x_;
  int64_t y_pitch_;
  bool stream_;
  std::vector<int64_t> at_, row_;
};

// Images whose channels are not contiguous: boxes of output pixels over padded copies of their windows, in which all
// taps reach every pixel.
template <class T, class F> void for_window_rows(const Correlation& groups, Image<const T> x, const Image<T>& y,
                                                 bool parallel, F f) {
  constexpr int64_t kWindowBytes = 192 * 1024;
  const BoxGrid grid(groups, {.window = kWindowBytes / int64_t(sizeof(T)), .units = kConvUnits});
  const Window<T> window(groups, x, grid);
  std::vector<int64_t> row_of;
  for (int64_t t = 0; t < groups.taps(); ++t) row_of.push_back(t);
  for_units(grid.count(), parallel, [&](int64_t i) {
    const Box box = grid.box(i);
    const Workspace<T> workspace(window.workspace());
    const Workspace<int64_t> places(box.pixels());
    const InputView<T> in = window.open(box, workspace.data(), places.data());
    const Runs taps = make_runs(groups, in.pitch, in.origin);
    const Axis& w = groups.axis[2];
    const DepthwiseRow<T> row{box.extent(3),  w.stride * in.pitch[2], w.step * y.stride[2], groups.taps(),
                              taps.at.data(), row_of.data(),          groups.taps(),        groups.groups, false};
    int64_t p = 0;
    for_pixels(groups, box, y, [&](int64_t at) {
      if (p % row.pixels == 0) f(row, y.data + at, in.data + places.data()[p]);
      ++p;
    });
  });
}

template <class T>
void correlate(const Correlation& groups, const Dims3& kernel, Image<const T> x, const ConvWeight& weight,
               const Epilogue<T>& epilogue, Image<T> y) {
  const Correlation c = as_channels(groups);
  const auto place = [&](size_t a, int64_t i) { return (c.axis[a].first + i * c.axis[a].step) * y.stride[a]; };
  const Ref<DerivedBuffer> kept = packed_weight<T>(c, kernel, weight);
  const T* const packed = kept->values.data<T>();
  const bool parallel = worth_threads<T>(double(c.pixels()) * double(packed_size<T>(c)));
  const auto run = [&](const DepthwiseRow<T>& row, T* out, const T* in) {
    kernels<T>().conv.depthwise(row, out, in, packed, epilogue.row_bias, epilogue.activation);
    if (epilogue.elementwise)
      for (int64_t p = 0; p < row.pixels; ++p) epilogue.elementwise(out + p * row.y_pitch, row.channels);
  };
  if (x.channel_stride != 1) return for_window_rows(groups, x, y, parallel, run);
  const int64_t rows = Rows<T>(c, x, 0).count(), units = std::min(rows, 4 * kConvUnits);
  const bool stream = can_stream(c, y, epilogue);
  for_units(units, parallel, [&](int64_t unit) {
    Rows<T> all(c, x, c.axis[2].step * y.stride[2], stream);
    for (int64_t i = rows * unit / units; i < rows * (unit + 1) / units; ++i)
      all.stretches(i, [&](const DepthwiseRow<T>& row, int64_t x_at, int64_t n, int64_t d, int64_t h, int64_t w) {
        run(row, y.data + n * y.batch_stride + place(0, d) + place(1, h) + place(2, w), x.data + x_at);
      });
    if (stream) std::atomic_thread_fence(std::memory_order_seq_cst);
  });
}

}  // namespace

template <class T>
void depthwise_forward(const ConvShape& s, Image<const T> x, const ConvWeight& weight, const Epilogue<T>& epilogue,
                       Image<T> y) {
  correlate(forward_correlation(s), s.kernel, x, weight, epilogue, y);
}

template <class T>
void depthwise_input(const ConvShape& s, Image<const T> y, const ConvWeight& weight, const T* bias, Image<T> x) {
  for (const Correlation& c : input_correlations(s)) {
    if (c.taps() > 0) correlate(c, s.kernel, y, weight, {.row_bias = bias}, x);
    else fill_bias(c, bias, x);
  }
}

// Rows are dealt out to parts with sums of their own, which are added in ascending order.
template <class T> void depthwise_weight(const ConvShape& s, Image<const T> x, Image<const T> y, T* weight) {
  const Correlation c = as_channels(forward_correlation(s));
  const int64_t rows = Rows<T>(c, x, 0).count(), parts = std::min(rows, kConvUnits), size = packed_size<T>(c);
  const Workspace<T> sums(parts * size);
  for_units(parts, worth_threads<T>(double(c.pixels()) * double(size)), [&](int64_t part) {
    Rows<T> all(c, x, y.stride[2]);
    T* const sum = sums.data() + part * size;
    std::fill_n(sum, size, T(0));
    for (int64_t i = rows * part / parts; i < rows * (part + 1) / parts; ++i)
      all.stretches(i, [&](const DepthwiseRow<T>& row, int64_t x_at, int64_t n, int64_t d, int64_t h, int64_t w) {
        const T* const g = y.data + n * y.batch_stride + d * y.stride[0] + h * y.stride[1] + w * y.stride[2];
        kernels<T>().conv.depthwise_weight(row, sum, x.data + x_at, g);
      });
  });
  unpack_weight(c, s.kernel, sums.data(), parts, weight);
}

#define INSTANTIATE(T)                                                                                          \
  template void depthwise_forward<T>(const ConvShape&, Image<const T>, const ConvWeight&, const Epilogue<T>&,   \
                                     Image<T>);                                                                 \
  template void depthwise_input<T>(const ConvShape&, Image<const T>, const ConvWeight&, const T*, Image<T>);    \
  template void depthwise_weight<T>(const ConvShape&, Image<const T>, Image<const T>, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace pydl
