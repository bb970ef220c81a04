#include "ops/conv_scatter.h"

#include <algorithm>

#include "ops/conv_pack.h"
#include "ops/conv_winograd.h"
#include "ops/gemm.h"
#include "ops/workspace.h"

namespace pydl {
namespace {

// Rows of x that one thread adds up.
struct Strip { int64_t image, begin, end; };

template <class T> class Scatter {
 public:
  Scatter(const ConvShape& s, Image<const T> y, const T* weight, const T* bias, Image<T> x)
      : s_(s), y_(y), x_(x), weight_(weight), bias_(bias), sent_(s.in_channels * s.taps()) {
    constexpr int64_t kPixels = 112;  // of one product
    const bool even = y.stride[1] == s.out[2] * y.stride[2];
    rows_ = even ? std::clamp<int64_t>(kPixels / s.out[2], 1, s.out[1]) : 1;
  }
  int64_t workspace() const { return rows_ * s_.out[2] * sent_; }

  void run(const Strip& strip, T* sent) const {
    for (int64_t h = strip.begin; h < strip.end; ++h) {
      T* const row = x_row(strip.image, h);
      for (int64_t w = 0; w < s_.in[2]; ++w)
        for (int64_t c = 0; c < s_.in_channels; ++c) row[w * x_.stride[2] + c] = bias_ ? bias_[c] : T(0);
    }
    // The rows of y of which some tap reaches the strip.
    const int64_t reach = (s_.kernel[1] - 1) * s_.dilation[1];
    const int64_t first = ceil_div(std::max<int64_t>(0, strip.begin + s_.padding[1] - reach), s_.stride[1]);
    const int64_t last = std::min(s_.out[1], (strip.end - 1 + s_.padding[1]) / s_.stride[1] + 1);
    for (int64_t i = first; i < last; i += rows_) {
      const int64_t rows = std::min(rows_, last - i);
      gemm<T>(rows * s_.out[2], sent_, s_.out_channels, 1, y_.data + strip.image * y_.batch_stride + i * y_.stride[1],
              y_.stride[2], y_.channel_stride, weight_, sent_, 1, 0, sent, sent_, 1);
      for (int64_t r = 0; r < rows; ++r) add_row(strip, i + r, sent + r * s_.out[2] * sent_);
    }
  }

 private:
  T* x_row(int64_t image, int64_t h) const { return x_.data + image * x_.batch_stride + h * x_.stride[1]; }

  // What row i of y sends to the strip.
  void add_row(const Strip& strip, int64_t i, const T* sent) const {
    for (int64_t k = 0; k < s_.kernel[1]; ++k) {
      const int64_t h = i * s_.stride[1] + k * s_.dilation[1] - s_.padding[1];
      if (h < strip.begin || h >= strip.end) continue;
      T* const row = x_row(strip.image, h);
      for (int64_t j = 0; j < s_.out[2]; ++j) {
        const T* const from = sent + j * sent_ + k * s_.kernel[2];
        for (int64_t t = 0; t < s_.kernel[2]; ++t) {
          const int64_t w = j * s_.stride[2] + t * s_.dilation[2] - s_.padding[2];
          if (w < 0 || w >= s_.in[2]) continue;
          for (int64_t c = 0; c < s_.in_channels; ++c) row[w * x_.stride[2] + c] += from[c * s_.taps() + t];
        }
      }
    }
  }

  const ConvShape& s_;
  Image<const T> y_;
  Image<T> x_;
  const T *weight_, *bias_;
  int64_t sent_, rows_;  // by a pixel of y; rows of one product
};

}  // namespace

template <class T> bool wants_scatter(const ConvShape& s) {
  return s.groups == 1 && s.in[0] == 1 && s.kernel[0] == 1 && s.taps() > 1 && s.out[0] == 1 && s.padding[0] == 0 &&
         4 * s.in_channels <= kernels<T>().conv.vector && s.in_channels * s.taps() >= kernels<T>().conv.vector / 2;
}

template <class T>
void scatter_input(const ConvShape& s, Image<const T> y, const T* weight, const T* bias, Image<T> x) {
  const Scatter<T> scatter(s, y, weight, bias, x);
  // Rows of y around a strip's border are sent twice, so strips are several times as high as a filter.
  const int64_t highest = std::max<int64_t>(4 * ((s.kernel[1] - 1) * s.dilation[1] + 1), ceil_div(s.in[1], kConvUnits));
  const int64_t strips = s.batch >= kConvUnits ? 1 : ceil_div(s.in[1], highest);
  const double work = double(s.batch * s.out[1] * s.out[2]) * double(s.out_channels * s.in_channels * s.taps());
  for_units(s.batch * strips, worth_threads<T>(work), [&](int64_t unit) {
    const int64_t k = unit % strips;
    const Workspace<T> sent(scatter.workspace());
    scatter.run({unit / strips, s.in[1] * k / strips, s.in[1] * (k + 1) / strips}, sent.data());
  });
}

// ---- tap by tap ----------------------------------------------------------------------------------------------------
namespace {

// The outputs [begin, end) of an axis whose input at a tap exists.
struct Reach { int64_t begin, end; };
Reach reach(const Axis& axis, const Tap& tap) {
  const int64_t begin = std::clamp<int64_t>(-tap.offset, 0, axis.out);
  return {begin, std::clamp<int64_t>(axis.in - tap.offset, begin, axis.out)};
}

// Images [begin, end) of x, channels-last in `copy`; place 0 stays that of image 0.
template <class T>
Image<const T> channels_last(const Correlation& c, int64_t begin, int64_t end, const Image<const T>& x, T* copy) {
  const int64_t channels = c.groups * c.reduced, width = c.axis[2].in, height = c.axis[1].in, depth = c.axis[0].in;
  T* out = copy;
  for (int64_t n = begin; n < end; ++n)
    for (int64_t d = 0; d < depth; ++d)
      for (int64_t h = 0; h < height; ++h, out += width * channels)
        kernels<T>().conv.copy_pixels(out, channels, x.data + n * x.batch_stride + d * x.stride[0] + h * x.stride[1],
                                      x.stride[2], x.channel_stride, width, channels);
  const Dims3 stride{height * width * channels, width * channels, channels};
  return {copy - begin * depth * stride[0], depth * stride[0], 1, stride};
}

// Where the pixels of images [begin, end) lie that a tap reaches, and what it reaches them from; returns their number.
template <class T>
int64_t reached(const Correlation& c, int64_t begin, int64_t end, const std::array<const Tap*, 3>& tap,
                const Image<const T>& x, const Image<T>& y, int64_t* x_at, int64_t* y_at) {
  std::array<Reach, 3> r;
  for (size_t a = 0; a < 3; ++a) r[a] = reach(c.axis[a], *tap[a]);
  const auto x_place = [&](size_t a, int64_t i) { return (i + tap[a]->offset) * x.stride[a]; };
  const auto y_place = [&](size_t a, int64_t i) { return (c.axis[a].first + i * c.axis[a].step) * y.stride[a]; };
  int64_t count = 0;
  for (int64_t n = begin; n < end; ++n)
    for (int64_t d = r[0].begin; d < r[0].end; ++d)
      for (int64_t h = r[1].begin; h < r[1].end; ++h) {
        const int64_t x_row = n * x.batch_stride + x_place(0, d) + x_place(1, h);
        const int64_t y_row = n * y.batch_stride + y_place(0, d) + y_place(1, h);
        for (int64_t w = r[2].begin; w < r[2].end; ++w, ++count) {
          x_at[count] = x_row + x_place(2, w);
          y_at[count] = y_row + y_place(2, w);
        }
      }
  return count;
}

}  // namespace

bool wants_scatter_taps(const Correlation& c) {
  constexpr int64_t kFewestReduced = 32;  // each tap reads and writes y once
  double products = double(c.batch), all = products, tiles = 36 * products;
  for (const Axis& axis : c.axis) {
    if (axis.stride != 1) return false;
    int64_t reached = 0;
    for (const Tap& tap : axis.taps) reached += reach(axis, tap).end - reach(axis, tap).begin;
    products *= double(reached);
    all *= double(axis.out * int64_t(axis.taps.size()));
    if (axis.taps.size() > 1) tiles *= double(ceil_div(axis.out, 4));
  }
  return c.reduced >= kFewestReduced && products < 0.7 * (wants_winograd(c) ? tiles : all);
}

template <class T>
void scatter_taps(const Correlation& c, const Dims3& kernel, Image<const T> x, const ConvWeight& weight, const T* bias,
                  Image<T> y) {
  const ConvKernels<T>& table = kernels<T>().conv;
  const int64_t group = packed_group<T>(c), panels = ceil_div(c.channels, table.panel);
  const int64_t stretches = std::min(c.batch, kConvUnits);  // of images
  const int64_t parts = std::min(panels, ceil_div(kConvUnits, stretches)), part = ceil_div(panels, parts) * table.panel;
  const int64_t x_pixels = c.axis[0].in * c.axis[1].in * c.axis[2].in;  // of an image
  const Ref<DerivedBuffer> kept = packed_weight<T>(c, kernel, weight);
  const T* const packed = kept->values.data<T>();
  const bool parallel = worth_threads<T>(double(c.pixels() * c.groups) * double(group));
  for_units(stretches * parts, parallel, [&](int64_t unit) {
    const int64_t stretch = unit / parts, first = unit % parts * part, last = std::min(c.channels, first + part);
    if (first >= last) return;
    const Box box{{c.batch * stretch / stretches, 0, 0, 0},
                  {c.batch * (stretch + 1) / stretches, c.axis[0].out, c.axis[1].out, c.axis[2].out}};
    for_pixels(c, box, y, [&](int64_t at) {
      for (int64_t g = 0; g < c.groups; ++g) {
        T* const out = y.data + at + g * c.channels;
        if (bias) std::copy(bias + g * c.channels + first, bias + g * c.channels + last, out + first);
        else std::fill(out + first, out + last, T(0));
      }
    });
    const bool copy = x.channel_stride != 1;
    const Workspace<T> channels_last_x(copy ? box.extent(0) * x_pixels * c.groups * c.reduced : 0);
    const Image<const T> in = copy ? channels_last(c, box.begin[0], box.end[0], x, channels_last_x.data()) : x;
    const Workspace<int64_t> places(2 * box.pixels());
    int64_t *const x_at = places.data(), *const y_at = x_at + box.pixels(), tap = 0;
    for (const Tap& d : c.axis[0].taps)
      for (const Tap& h : c.axis[1].taps)
        for (const Tap& w : c.axis[2].taps) {
          const int64_t count = reached(c, box.begin[0], box.end[0], {&d, &h, &w}, in, y, x_at, y_at), run_at = 0;
          const ConvBlock<T> block{count, x_at, y_at, 1, &run_at, c.reduced, tap++, c.taps(), last - first, false};
          for (int64_t g = 0; g < c.groups; ++g)
            table.correlate(block, y.data + g * c.channels + first, in.data + g * c.reduced,
                            packed + g * group + first * c.rows(), true, {});
        }
  });
}

#define INSTANTIATE(T)                                                                                        \
  template bool wants_scatter<T>(const ConvShape&);                                                           \
  template void scatter_input<T>(const ConvShape&, Image<const T>, const T*, const T*, Image<T>);             \
  template void scatter_taps<T>(const Correlation&, const Dims3&, Image<const T>, const ConvWeight&, const T*, \
                                Image<T>);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace pydl
