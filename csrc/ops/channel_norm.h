// Normalization by channel as data: which elements share a mean and variance, in which memory, and the grid over them.
// Batch norm pools all images of a channel, group norm the channels of a group of one image, instance norm nothing.
#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace pydl {

// Dense memory seen as [images, channels, length]: channels last, or with every channel a run of its own. The grid cuts
// each length into pieces, by shape alone.
struct ChannelView {
  Tensor x;
  bool last;
  int64_t images, channels, length, piece, pieces;

  // `pool`: what is normalized together spans the images, which then count as one where memory allows.
  ChannelView(const Tensor& x, bool pool);
  int64_t offset(int64_t image, int64_t from, int64_t channel) const {
    return last ? (image * length + from) * channels + channel : (image * channels + channel) * length + from;
  }
  // f(image, piece, first, count, first channel, channels) over the grid, concurrently. With channels last, every call
  // has them all.
  template <class F>
  void for_pieces(F f) const;
};

// A double of statistics for each channel of each image, or for each channel.
struct ChannelMoments {
  std::vector<double> mean, m2;  // m2: the sum of squared deviations
  double count;
};
// Of every channel of every image.
ChannelMoments moments_of(const ChannelView& v);
// Of every channel over all images.
ChannelMoments pool_images(const ChannelMoments& m, int64_t images);
// Of every group of every image, at each of the group's channels.
ChannelMoments pool_groups(const ChannelMoments& m, int64_t groups, int64_t group_size);

// What y = (x - mean) * scale + shift takes for each of `sets` x channels, in the dtype of x.
struct NormCoefficients {
  Tensor values;  // [3, sets, channels]: mean, scale, shift
  int64_t sets;   // 1, or one for every image
};
// y; relu: max(y, 0).
Tensor normalize(const ChannelView& v, const NormCoefficients& c, bool relu);

// The sums of dy and of dy * (x - mean), for each channel of each set. With relu, dy counts where y is not <= 0.
struct GradientSums {
  std::vector<double> dy, dyx;
};
GradientSums gradient_sums(const ChannelView& v, const Tensor& dy, const NormCoefficients& c, bool relu);
// dx = dy * by_dy + (x - mean) * by_x + constant, where `by` [3, sets, channels] holds the three; [1, ...]: by_dy
// alone.
Tensor normalize_backward(const ChannelView& v, const Tensor& dy, const NormCoefficients& c, const Tensor& by,
                          bool relu);

}  // namespace pydl
