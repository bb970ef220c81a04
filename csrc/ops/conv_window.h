// The input of a box of output pixels, as the kernels want it.
#pragma once
#include "kernels/table.h"
#include "ops/conv_plan.h"

namespace pydl {

// Where a box's pixels are read: the start of axis a's coordinates is origin[a].
template <class T> struct InputView {
  const T* data;
  Dims3 pitch, origin;
};

// Where the kernels read: in the image itself if its channels are contiguous and no tap leaves it, else in a
// channels-last copy of the box's window, zeros around it, that each thread makes for itself.
template <class T> class Window {
 public:
  Window(const Correlation& c, Image<const T> x, const BoxGrid& grid)
      : c_(c), x_(x), channels_(c.groups * c.reduced) {
    if (channels_ == 1) x_.channel_stride = 1;
    // Pixels half a page apart would all meet in a few sets of the L1 cache.
    const bool crowded = channels_ * int64_t(sizeof(T)) % 2048 == 0;
    pitch_ = channels_ + (crowded ? 64 / int64_t(sizeof(T)) : 0);
    in_place_ = x_.channel_stride == 1 && !crowded;
    for (const Axis& a : c.axis)
      in_place_ &= a.taps.front().offset >= 0 && (a.out - 1) * a.stride + a.taps.back().offset < a.in;
    if (!in_place_) values_ = grid.largest_window(c) * pitch_;
  }
  int64_t workspace() const { return values_; }

  // Makes the box readable and writes where its pixels are.
  InputView<T> open(const Box& box, T* workspace, int64_t* x_at) const {
    if (in_place_) {
      locate(box, x_.stride, {0, 0, 0}, x_.batch_stride, 0, x_at);
      return {x_.data, x_.stride, {0, 0, 0}};
    }
    Dims3 extent, lowest, start;
    for (size_t a = 0; a < 3; ++a) {
      extent[a] = c_.axis[a].window(box.extent(int(a) + 1));
      lowest[a] = c_.axis[a].taps.front().offset;
      start[a] = box.begin[a + 1] * c_.axis[a].stride;
    }
    const Dims3 pitch{extent[2] * extent[1] * pitch_, extent[2] * pitch_, pitch_};
    copy(box, extent, {start[0] + lowest[0], start[1] + lowest[1], start[2] + lowest[2]}, workspace);
    locate(box, pitch, start, extent[0] * pitch[0], box.begin[0], x_at);
    return {workspace, pitch, lowest};
  }

 private:
  void locate(const Box& box, const Dims3& pitch, const Dims3& start, int64_t batch_pitch, int64_t batch_start,
              int64_t* x_at) const {
    for (int64_t n = box.begin[0]; n < box.end[0]; ++n)
      for (int64_t d = box.begin[1]; d < box.end[1]; ++d)
        for (int64_t h = box.begin[2]; h < box.end[2]; ++h) {
          int64_t at = (n - batch_start) * batch_pitch + (d * c_.axis[0].stride - start[0]) * pitch[0] +
                       (h * c_.axis[1].stride - start[1]) * pitch[1] +
                       (box.begin[3] * c_.axis[2].stride - start[2]) * pitch[2];
          for (int64_t w = box.begin[3]; w < box.end[3]; ++w, at += c_.axis[2].stride * pitch[2]) *x_at++ = at;
        }
  }

  void copy(const Box& box, const Dims3& extent, const Dims3& from, T* out) const {
    const int64_t row = extent[2] * pitch_;
    const int64_t before = std::clamp<int64_t>(-from[2], 0, extent[2]);
    const int64_t inside = std::clamp<int64_t>(c_.axis[2].in - from[2], before, extent[2]) - before;
    for (int64_t n = box.begin[0]; n < box.end[0]; ++n)
      for (int64_t d = from[0]; d < from[0] + extent[0]; ++d)
        for (int64_t h = from[1]; h < from[1] + extent[1]; ++h, out += row) {
          if (d < 0 || d >= c_.axis[0].in || h < 0 || h >= c_.axis[1].in || inside == 0) {
            std::fill_n(out, row, T(0));
            continue;
          }
          const T* const in = x_.data + n * x_.batch_stride + d * x_.stride[0] + h * x_.stride[1] +
                              (from[2] + before) * x_.stride[2];
          std::fill_n(out, before * pitch_, T(0));
          if (x_.channel_stride == 1 && x_.stride[2] == pitch_)
            std::copy_n(in, inside * pitch_, out + before * pitch_);
          else
            kernels<T>().conv.copy_pixels(out + before * pitch_, pitch_, in, x_.stride[2], x_.channel_stride, inside,
                                          channels_);
          std::fill_n(out + (before + inside) * pitch_, row - (before + inside) * pitch_, T(0));
        }
  }

  const Correlation& c_;
  Image<const T> x_;
  int64_t channels_, pitch_, values_ = 0;
  bool in_place_;
};

}  // namespace pydl
