// The forward grid of pooling. Images whose channels lie together are read where they are, a range of output rows a
// call. Of others (contiguous ones) a tile is turned at a time, small enough to stay in the cache: some channels of the
// inputs that some rows of the output read.
#pragma once
#include <algorithm>

#include "base/parallel.h"
#include "kernels/move.h"
#include "ops/copy.h"
#include "ops/pool_windows.h"

namespace pydl {

struct WindowRows {
  int64_t image, row, rows;  // of the output
  int64_t channel, channels;
};

// Rows worth a thread when one costs this many elements.
inline int64_t pool_grain(double cost) { return std::max<int64_t>(1, int64_t(16384 / std::max(cost, 1.0))); }

// Output rows and the box of inputs that they read.
struct PoolStrip {
  int64_t row, rows, from[2], to[2];  // depth and height
};
// Cuts the output into strips whose box of inputs has at most `pixels` where that is possible.
std::vector<PoolStrip> pool_strips(const PoolWindows& windows, int64_t pixels);

// kernel(x, x_stride, rows) over the whole grid, which depends on the shape alone. x is undefined where no window
// reads.
template <class T, class Kernel>
void for_windows(const PoolPlan& p, const Tensor& input, Kernel kernel) {
  constexpr int64_t kTileBytes = 256 * 1024, kTileChannels = 128 / int64_t(sizeof(T)), kFewRows = 32;
  Tensor x = p.as_images(input);
  const int64_t channels = p.channels(), width = x.size(4), out_width = p.windows.axis[2].outputs;
  if (p.images * p.outputs == 0) return;
  if (channels == 1 || x.stride(1) == 1) {
    const int64_t rows = p.outputs / out_width, all = p.images * rows,
                  x_stride[] = {x.stride(2), x.stride(3), x.stride(4)};
    const int64_t parts = all >= kFewRows ? 1 : std::min((channels + 63) / 64, (kFewRows + all - 1) / all);
    const int64_t block = (channels + 64 * parts - 1) / (64 * parts) * 64;
    const double cost = double(out_width * std::min(block, channels)) * p.mean_taps;
    parallel_for(all * ((channels + block - 1) / block), pool_grain(cost), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin, count; i < end; i += count) {
        const int64_t part = i / all, r = i % all, row = r % rows;
        count = std::min(end - i, rows - row);
        const WindowRows where{r / rows, row, count, part * block, std::min(block, channels - part * block)};
        kernel(x.data<T>() + where.image * x.stride(0) + where.channel, x_stride, where);
      }
    });
    return;
  }
  if (width > 1 && x.stride(4) != 1) x = contiguous(x);
  const int64_t block = std::min(channels, kTileChannels), blocks = (channels + block - 1) / block;
  const std::vector<PoolStrip> strips = pool_strips(p.windows, kTileBytes / (block * int64_t(sizeof(T))));
  const int64_t per_image = blocks * int64_t(strips.size());
  const double cost = double(p.inputs) * double(channels) * 2 / double(per_image);
  parallel_for(p.images * per_image, pool_grain(cost), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const PoolStrip& s = strips[size_t(i % int64_t(strips.size()))];
      const int64_t image = i / per_image, c = i % per_image / int64_t(strips.size()) * block,
                    count = std::min(block, channels - c);
      const int64_t depth = s.to[0] - s.from[0], height = s.to[1] - s.from[1];
      const Tensor tile = Tensor::empty(Dims{depth * height * width * count}, dtype_of<T>);
      using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
      const Bits* from =
          x.data<Bits>() + image * x.stride(0) + c * x.stride(1) + s.from[0] * x.stride(2) + s.from[1] * x.stride(3);
      const bool runs = x.stride(3) == width;  // rows follow one another
      for (int64_t d = 0; d < depth; ++d)
        for (int64_t h = 0; h < (runs ? 1 : height); ++h)
          move_kernels<Bits>().transpose(tile.data<Bits>() + (d * height + h) * width * count, count,
                                         from + d * x.stride(2) + h * x.stride(3), x.stride(1), count,
                                         width * (runs ? height : 1), false);
      const int64_t x_stride[] = {height * width * count, width * count, count};
      kernel(tile.data<T>() - s.from[0] * x_stride[0] - s.from[1] * x_stride[1], x_stride,
             WindowRows{image, s.row, s.rows, c, count});
    }
  });
}

}  // namespace pydl
