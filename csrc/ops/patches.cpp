// Rearranging images: sliding patches as columns and back, pixels from channels and back, channels across groups.
#include <limits>

#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/pad.h"
#include "ops/pointwise.h"
#include "ops/separable.h"
#include "ops/view.h"

namespace pydl {

namespace {

// ---- unfold and fold ------------------------------------------------------------------------------------------------

// The positions of a sliding window along both spatial dimensions, checked.
struct Windows {
  Dims image, kernel, dilation, padding, stride;
  Dims counts;  // windows along each dimension

  Windows(const char* op, IntSpan image, IntSpan kernel, IntSpan dilation, IntSpan padding, IntSpan stride)
      : image(image), kernel(pair(op, "kernel_size", kernel, 1)), dilation(pair(op, "dilation", dilation, 1)),
        padding(pair(op, "padding", padding, 0)), stride(pair(op, "stride", stride, 1)) {
    for (size_t i = 0; i < 2; ++i) {
      const int64_t room = this->image[i] + 2 * this->padding[i] - this->dilation[i] * (this->kernel[i] - 1) - 1;
      counts.push_back(room < 0 ? 0 : room / this->stride[i] + 1);
    }
    int64_t product;
    if (counts[0] < 1 || counts[1] < 1 || __builtin_mul_overflow(this->kernel[0], this->kernel[1], &product) ||
        __builtin_mul_overflow(counts[0], counts[1], &product))
      fail<ShapeError>(op, ": expected windows that fit into the padded image, got kernel_size ", show(this->kernel), ", dilation ",
                       show(this->dilation), ", padding ", show(this->padding), " for an image of ", show(image));
  }

  int64_t positions() const { return counts[0] * counts[1]; }
  int64_t taps() const { return kernel[0] * kernel[1]; }
  Dims border(int64_t sign) const { return {sign * padding[1], sign * padding[1], sign * padding[0], sign * padding[0]}; }

  // What tap (i, j) of every window reads in a padded image (N, C, H, W): a view (N, C, rows, columns).
  Tensor tap(const Tensor& padded, int64_t i, int64_t j) const {
    const Dims sizes{padded.size(0), padded.size(1), counts[0], counts[1]};
    const Dims strides{padded.stride(0), padded.stride(1), padded.stride(2) * stride[0], padded.stride(3) * stride[1]};
    return padded.alias(sizes, strides, padded.offset() + i * dilation[0] * padded.stride(2) + j * dilation[1] * padded.stride(3));
  }

 private:
  static Dims pair(const char* op, const char* name, IntSpan given, int64_t least) {
    if (given.size() != 1 && given.size() != 2) fail(op, ": expected one or two numbers as ", name, ", got ", show(given));
    constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
    for (int64_t v : given)
      if (v < least || v > kMost) fail(op, ": expected ", name, " from ", least, " to ", kMost, ", got ", show(given));
    return {given[0], given.back()};
  }
};

Tensor batched(const Tensor& x, bool single) { return single ? unsqueeze(x, 0) : x; }
Tensor unbatched(const Tensor& x, bool single) { return single ? squeeze(x, Dims{0}) : x; }

// im2col: (N, C, H, W) -> (N, C * taps, positions), every row a copy of one tap's view.
Tensor unfold_patches(const Tensor& input, const Windows& w) {
  const Tensor x = pad(input.alias(), w.border(1));
  const Tensor columns = Tensor::empty(Dims{x.size(0), x.size(1), w.taps(), w.counts[0], w.counts[1]}, x.dtype());
  const Dims sizes{x.size(0), x.size(1), w.counts[0], w.counts[1]};
  for (int64_t k = 0; k < w.taps(); ++k) {
    const Tensor row = columns.alias(sizes, Dims{columns.stride(0), columns.stride(1), columns.stride(3), columns.stride(4)}, k * columns.stride(2));
    copy_values(row, w.tap(x, k / w.kernel[1], k % w.kernel[1]));
  }
  return columns.alias(Dims{x.size(0), x.size(1) * w.taps(), w.positions()}, contiguous_strides(Dims{x.size(0), x.size(1) * w.taps(), w.positions()}), 0);
}

// col2im, its transpose: overlapping taps add up, in ascending order; half precision in float32.
Tensor fold_patches(const Tensor& input, const Windows& w) {
  const DType t = compute_dtype(input.dtype());
  const Tensor columns = contiguous(cast(input.alias(), t));
  const int64_t n = columns.size(0), channels = columns.size(1) / w.taps();
  const Tensor padded = autograd::arithmetic.zeros(Dims{n, channels, w.image[0] + 2 * w.padding[0], w.image[1] + 2 * w.padding[1]}, t);
  const int64_t tap = w.positions(), channel = tap * w.taps();
  for (int64_t k = 0; k < w.taps(); ++k) {
    const Tensor row = columns.alias(Dims{n, channels, w.counts[0], w.counts[1]}, Dims{channels * channel, channel, w.counts[1], 1}, k * tap);
    const Tensor target = w.tap(padded, k / w.kernel[1], k % w.kernel[1]);
    add(target, row, Scalar(1), Out::prepared(target));
  }
  return cast(pad(padded, w.border(-1)), input.dtype());
}

Tensor fold_recorded(const Tensor& columns, const Windows& w);

Tensor unfold_recorded(const Tensor& x, const Windows& w) {
  const Tensor y = unfold_patches(x, w);
  if (autograd::needed(x)) autograd::record("Im2ColBackward", y, {x}, [w](const Tensor& g) { return fold_recorded(g, w); });
  return y;
}

Tensor fold_recorded(const Tensor& columns, const Windows& w) {
  const Tensor y = fold_patches(columns, w);
  if (autograd::needed(columns)) autograd::record("Col2ImBackward", y, {columns}, [w](const Tensor& g) { return unfold_recorded(g, w); });
  return y;
}

Tensor unfold(const Tensor& x, IntSpan kernel_size, IntSpan dilation, IntSpan padding, IntSpan stride) {
  Call call("unfold");
  const bool single = x.dim() == 3;
  bool fits = single || x.dim() == 4;
  for (int64_t d = single ? 0 : 1; fits && d < x.dim(); ++d) fits = x.size(d) > 0;
  if (!fits) fail<ShapeError>("unfold: expected an image (C, H, W) or (N, C, H, W) without empty dimensions apart from the batch, got ", x);
  const Windows w(call.op, x.sizes().last(2), kernel_size, dilation, padding, stride);
  return unbatched(unfold_recorded(batched(x, single), w), single);
}

Tensor fold(const Tensor& x, IntSpan output_size, IntSpan kernel_size, IntSpan dilation, IntSpan padding, IntSpan stride) {
  Call call("fold");
  const bool single = x.dim() == 2;
  if (!single && x.dim() != 3) fail<ShapeError>("fold: expected columns (C, L) or (N, C, L), got ", x);
  if (!is_floating(x.dtype())) fail("fold: expected a floating point tensor, got ", x);
  if (output_size.size() != 1 && output_size.size() != 2) fail("fold: expected one or two numbers as output_size, got ", show(output_size));
  const Windows w(call.op, Dims{output_size[0], output_size.back()}, kernel_size, dilation, padding, stride);
  if (x.size(-2) == 0 || x.size(-2) % w.taps() || x.size(-1) != w.positions())
    fail<ShapeError>("fold: expected columns of a multiple of ", w.taps(), " values at ", w.positions(), " positions, for output_size ", show(w.image),
                     " and kernel_size ", show(w.kernel), ", got ", x);
  return unbatched(fold_recorded(batched(x, single), w), single);
}

// ---- pixels and channels ----------------------------------------------------------------------------------------------

// (n, c r^2, h, w) and (n, c, h r, w r): two arrangements of the same elements. A piece of one is the transpose of a piece of
// the other: rows of pixels in contiguous memory, the channels of r neighbouring pixels in channels-last memory.
struct PixelShuffle {
  int64_t n, c, r, h, w;
  bool channels_last;

  template <class T> void run(T* large, T* small, bool enlarge) const {
    const MoveKernels<T>& move = move_kernels<T>();
    const int64_t pieces = channels_last ? n * h * w * r : n * c * h * r, length = channels_last ? c * r : w * r;
    parallel_for(pieces, 1 + 16 * 1024 / length, [&](int64_t p, int64_t end) {
      for (; p < end; ++p) {
        if (channels_last) {
          const int64_t i = p % r, x = p / r % w, y = p / (r * w);  // y counts the rows of all images
          T* const pixels = large + (((y * r + i) * w + x) * r) * c;
          T* const channels = small + (y * w + x) * c * r * r + i * r;
          if (enlarge) move.transpose(pixels, c, channels, r * r, c, r, false);
          else move.transpose(channels, r * r, pixels, c, r, c, false);
        } else {
          const int64_t i = p % r, y = p / r % h, plane = p / (r * h);
          T* const row = large + p * w * r;
          T* const planes = small + ((plane * r + i) * r * h + y) * w;
          if (enlarge) move.transpose(row, r, planes, h * w, r, w, false);
          else move.transpose(planes, h * w, row, r, w, r, false);
        }
      }
    });
  }
};

constexpr int64_t kMostFactor = 1 << 15;  // its square times a dimension is no overflow

Tensor shuffle_pixels(const Tensor& x, int64_t r, bool enlarge) {
  const int64_t lead = x.dim() - 3;
  Dims sizes(x.sizes().begin(), x.sizes().begin() + lead);
  const Dims image = enlarge ? Dims{x.size(-3) / (r * r), x.size(-2) * r, x.size(-1) * r} : Dims{x.size(-3) * r * r, x.size(-2) / r, x.size(-1) / r};
  sizes.append(image.begin(), image.end());
  const ImageLayout layout(x.dim(), x.dim() == 4 && lies_channels_last(x));
  const Tensor y = layout.empty(sizes, x.dtype()), from = layout.dense(x);
  const Tensor& small = enlarge ? from : y;
  if (y.numel() > 0) {
    const int64_t channels = small.size(-3), h = small.size(-2), w = small.size(-1);
    const PixelShuffle shuffle{x.numel() / (channels * h * w), channels / (r * r), r, h, w, layout.channels_last};
    visit_bits(x.item_size(), [&]<class T>(type_tag<T>) { shuffle.run((enlarge ? y : from).data<T>(), small.data<T>(), enlarge); });
  }
  if (autograd::needed(x))
    autograd::record(enlarge ? "PixelShuffleBackward" : "PixelUnshuffleBackward", y, {x}, [r, enlarge](const Tensor& g) { return shuffle_pixels(g, r, !enlarge); });
  return y;
}

// (..., C r^2, H, W) -> (..., C, H r, W r)
Tensor pixel_shuffle(const Tensor& x, int64_t r) {
  Call call("pixel_shuffle");
  if (x.dim() < 3) fail<ShapeError>("pixel_shuffle: expected at least 3 dimensions, got ", x);
  if (r < 1 || r > kMostFactor) fail("pixel_shuffle: expected an upscale_factor from 1 to ", kMostFactor, ", got ", r);
  if (x.size(-3) % (r * r)) fail<ShapeError>("pixel_shuffle: expected channels divisible by ", r * r, ", the square of upscale_factor ", r, ", got ", x.size(-3));
  return shuffle_pixels(x, r, true);
}

// (..., C, H r, W r) -> (..., C r^2, H, W)
Tensor pixel_unshuffle(const Tensor& x, int64_t r) {
  Call call("pixel_unshuffle");
  if (x.dim() < 3) fail<ShapeError>("pixel_unshuffle: expected at least 3 dimensions, got ", x);
  if (r < 1 || r > kMostFactor)
    fail("pixel_unshuffle: expected a downscale_factor from 1 to ", kMostFactor, ", got ", r);
  if (x.size(-2) % r || x.size(-1) % r) fail<ShapeError>("pixel_unshuffle: expected height and width divisible by downscale_factor ", r, ", got ", x);
  return shuffle_pixels(x, r, false);
}

// (N, g k, ...) -> (N, k g, ...): channel i of group j becomes channel j of group i.
Tensor channel_shuffle(const Tensor& x, int64_t groups) {
  Call call("channel_shuffle");
  if (x.dim() < 3) fail<ShapeError>("channel_shuffle: expected at least 3 dimensions, got ", x);
  if (groups < 1) fail("channel_shuffle: expected a positive number of groups, got ", groups);
  if (x.size(1) % groups) fail<ShapeError>("channel_shuffle: expected channels divisible by groups, got ", x.size(1), " and ", groups);
  // Channels last: seen with its channels as the last dimension, which splits and merges as well as any.
  const bool last = lies_channels_last(x);
  Dims to_last, to_first{0, x.dim() - 1};
  for (int64_t d = 0; d < x.dim(); ++d)
    if (d != 1) to_last.push_back(d);
  to_last.push_back(1);
  for (int64_t d = 1; d < x.dim() - 1; ++d) to_first.push_back(d);
  const Tensor in = last ? permute(x, to_last) : x;
  const int64_t channels = last ? in.dim() - 1 : 1;
  Dims split(in.sizes());
  split[size_t(channels)] = groups;
  split.insert(split.begin() + channels + 1, x.size(1) / groups);
  const Tensor moved = transpose(reshape(in, split), channels, channels + 1);
  const Tensor y = view(moved.is_contiguous() ? clone(moved) : contiguous(moved), in.sizes());  // never an alias
  return last ? permute(y, to_first) : y;
}

const Operator ops[] = {
    {&unfold, "unfold(Tensor input, int[] kernel_size, int[] dilation=[1], int[] padding=[0], int[] stride=[1]) -> Tensor", kNN,
     "Sliding patches of an image as columns: (N, C, H, W) -> (N, C * taps, positions)."},
    {&fold, "fold(Tensor input, int[] output_size, int[] kernel_size, int[] dilation=[1], int[] padding=[0], int[] stride=[1]) -> Tensor", kNN,
     "Columns added up into an image, the transpose of unfold: (N, C * taps, positions) -> (N, C, H, W)."},
    {&pixel_shuffle, "pixel_shuffle(Tensor input, int upscale_factor) -> Tensor", kFunction,
     "Channels spread over an r times larger image: (..., C r^2, H, W) -> (..., C, H r, W r) (Shi et al. 2016).\n"
     ">>> pydl.pixel_shuffle(pydl.arange(4).reshape(1, 4, 1, 1), upscale_factor=2)\n"
     "tensor([[[[0, 1],\n          [2, 3]]]])"},
    {&pixel_unshuffle, "pixel_unshuffle(Tensor input, int downscale_factor) -> Tensor", kFunction,
     "The inverse of pixel_shuffle: (..., C, H r, W r) -> (..., C r^2, H, W).\n"
     ">>> pydl.pixel_unshuffle(pydl.zeros(1, 3, 8, 8), downscale_factor=2).shape\npydl.Size([1, 12, 4, 4])"},
    {&channel_shuffle, "channel_shuffle(Tensor input, int groups) -> Tensor", kFunction,
     "Channels dealt out across groups: (N, g k, ...) as (N, g, k, ...), the two swapped (Zhang et al. 2018).\n"
     ">>> pydl.channel_shuffle(pydl.arange(6).reshape(1, 6, 1), groups=2).flatten()\ntensor([0, 3, 1, 4, 2, 5])"},
};

}  // namespace

}  // namespace pydl
