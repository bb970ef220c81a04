#include "ops/conv_scatter.h"

#include <algorithm>

#include "ops/conv_pack.h"
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

#define INSTANTIATE(T)                               \
  template bool wants_scatter<T>(const ConvShape&); \
  template void scatter_input<T>(const ConvShape&, Image<const T>, const T*, const T*, Image<T>);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace pydl
