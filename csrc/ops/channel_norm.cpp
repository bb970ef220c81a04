#include "ops/channel_norm.h"

#include <algorithm>

#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/copy.h"

namespace pydl {

namespace {

constexpr int64_t kPiece = 32768;          // elements of a piece, about
constexpr int64_t kMaxPieces = 64;         // of an image
constexpr int64_t kStreamBytes = 8 << 20;  // results from this size on are written past the cache

bool streams(const Tensor& t) { return int64_t(t.nbytes()) >= kStreamBytes; }

}  // namespace

ChannelView::ChannelView(const Tensor& input, bool pool)
    : x(input.is_channels_last() ? input.alias() : contiguous(input.alias())),
      last(x.dim() == 2 || x.is_channels_last()) {
  images = x.size(0), channels = x.size(1);
  length = x.numel() / std::max<int64_t>(1, images * channels);
  if (last && pool) length *= images, images = 1;
  const int64_t per_position = last ? channels : images * channels >= kMaxPieces ? kPiece : 1;
  piece = std::max({int64_t(64), kPiece / std::max<int64_t>(1, per_position), (length + kMaxPieces - 1) / kMaxPieces});
  if (!last && images * channels >= kMaxPieces) piece = std::max<int64_t>(1, length);
  pieces = (length + piece - 1) / piece;
}

template <class F>
void ChannelView::for_pieces(F f) const {
  const int64_t all = images * pieces, per_unit = std::max<int64_t>(1, std::min(piece, length) * (last ? channels : 1));
  const int64_t grain = std::max<int64_t>(1, 16384 / per_unit), width = last ? 1 : channels;
  parallel_for(all * width, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin, count; i < end; i += count) {
      const int64_t unit = i / width, c = i % width, first = unit % pieces * piece;
      count = std::min(end - i, width - c);
      f(unit / pieces, unit % pieces, first, std::min(length, first + piece) - first, c, last ? channels : count);
    }
  });
}

// ---- statistics ----------------------------------------------------------------------------------------------------

ChannelMoments moments_of(const ChannelView& v) {
  const size_t n = size_t(v.images * v.pieces * v.channels);
  std::vector<double> mean(n), m2(n);
  visit_float(v.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    v.for_pieces([&](int64_t image, int64_t part, int64_t first, int64_t count, int64_t c, int64_t channels) {
      const int64_t at = (image * v.pieces + part) * v.channels + c;
      const T* x = v.x.data<T>() + v.offset(image, first, c);
      if (v.last)
        kernels<T>().batch_norm.moments_columns(mean.data() + at, m2.data() + at, x, count, channels);
      else
        kernels<T>().reduce.moments_inner(mean.data() + at, m2.data() + at, x, channels, count, v.length);
    });
  });
  if (v.pieces > 1) {  // the first piece of an image becomes the whole of it
    for (int64_t image = 0; image < v.images; ++image) {
      double *im = mean.data() + image * v.pieces * v.channels, *i2 = m2.data() + image * v.pieces * v.channels;
      for (int64_t p = 1; p < v.pieces; ++p)
        kernels<float>().reduce.moments_combine(im, i2, im + p * v.channels, i2 + p * v.channels, v.channels,
                                                p * v.piece, std::min(v.length, (p + 1) * v.piece) - p * v.piece);
      std::copy_n(im, v.channels, mean.data() + image * v.channels);
      std::copy_n(i2, v.channels, m2.data() + image * v.channels);
    }
    mean.resize(size_t(v.images * v.channels)), m2.resize(mean.size());
  }
  return {std::move(mean), std::move(m2), double(v.length)};
}

// Sets of equal counts: the mean of the means, and around it the squares inside the sets and between them.
ChannelMoments pool_images(const ChannelMoments& m, int64_t images) {
  if (images == 1) return m;
  const size_t channels = m.mean.size() / size_t(std::max<int64_t>(1, images));
  ChannelMoments all{std::vector<double>(channels), std::vector<double>(channels), m.count * double(images)};
  for (size_t i = 0; i < m.mean.size(); i += channels)
    for (size_t c = 0; c < channels; ++c) all.mean[c] += m.mean[i + c];
  for (size_t c = 0; c < channels; ++c) all.mean[c] /= double(images);
  for (size_t i = 0; i < m.mean.size(); i += channels)
    for (size_t c = 0; c < channels; ++c) {
      const double d = m.mean[i + c] - all.mean[c];
      all.m2[c] += m.m2[i + c] + d * d * m.count;
    }
  return all;
}

ChannelMoments pool_groups(const ChannelMoments& m, int64_t groups, int64_t group_size) {
  if (group_size == 1) return m;
  ChannelMoments all{m.mean, m.m2, m.count * double(group_size)};
  for (size_t i = 0, size = size_t(group_size); groups && i < m.mean.size(); i += size) {
    double mean = 0, m2 = 0;
    for (size_t c = 0; c < size; ++c) mean += m.mean[i + c];
    mean /= double(group_size);
    for (size_t c = 0; c < size; ++c) m2 += m.m2[i + c] + (m.mean[i + c] - mean) * (m.mean[i + c] - mean) * m.count;
    std::fill_n(all.mean.begin() + int64_t(i), size, mean), std::fill_n(all.m2.begin() + int64_t(i), size, m2);
  }
  return all;
}

// ---- values and gradients ------------------------------------------------------------------------------------------

namespace {

// The coefficients of one image's channels from c on.
template <class T>
ChannelNorm<T> norm_at(const NormCoefficients& n, const ChannelView& v, int64_t image, int64_t c, bool relu) {
  const int64_t stride = n.sets * v.channels, at = (n.sets > 1 ? image * v.channels : 0) + c;
  const T* values = n.values.data<T>() + at;
  return {values, values + stride, values + 2 * stride, relu};
}

}  // namespace

Tensor normalize(const ChannelView& v, const NormCoefficients& c, bool relu) {
  const Tensor y = empty_like(v.x);
  const bool stream = streams(y);
  visit_float(y.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto& k = kernels<T>().batch_norm;
    v.for_pieces([&](int64_t image, int64_t, int64_t first, int64_t count, int64_t channel, int64_t channels) {
      const int64_t at = v.offset(image, first, channel);
      const ChannelNorm<T> norm = norm_at<T>(c, v, image, channel, relu);
      if (v.last)
        k.normalize_columns(y.data<T>() + at, v.x.data<T>() + at, norm, count, channels, stream);
      else
        k.normalize_rows(y.data<T>() + at, v.x.data<T>() + at, norm, channels, count, v.length, stream);
    });
  });
  return y;
}

GradientSums gradient_sums(const ChannelView& v, const Tensor& dy, const NormCoefficients& c, bool relu) {
  const size_t n = size_t(v.images * v.pieces * v.channels);
  std::vector<double> s1(n), s2(n);
  visit_float(dy.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto& k = kernels<T>().batch_norm;
    v.for_pieces([&](int64_t image, int64_t part, int64_t first, int64_t count, int64_t channel, int64_t channels) {
      const int64_t at = v.offset(image, first, channel), out = (image * v.pieces + part) * v.channels + channel;
      const ChannelNorm<T> norm = norm_at<T>(c, v, image, channel, relu);
      const T *g = dy.data<T>() + at, *x = v.x.data<T>() + at;
      if (v.last)
        k.gradient_sums_columns(s1.data() + out, s2.data() + out, g, x, norm, count, channels);
      else
        k.gradient_sums_rows(s1.data() + out, s2.data() + out, g, x, norm, channels, count, v.length);
    });
  });
  const size_t channels = size_t(v.channels), all = size_t(c.sets) * channels;
  GradientSums sums{std::vector<double>(all), std::vector<double>(all)};
  for (size_t i = 0; i < size_t(v.images * v.pieces); ++i) {
    const size_t set = c.sets > 1 ? i / size_t(v.pieces) * channels : 0;
    for (size_t k = 0; k < channels; ++k)
      sums.dy[set + k] += s1[i * channels + k], sums.dyx[set + k] += s2[i * channels + k];
  }
  return sums;
}

Tensor normalize_backward(const ChannelView& v, const Tensor& dy, const NormCoefficients& c, const Tensor& by,
                          bool relu) {
  const Tensor dx = empty_like(v.x);
  const bool stream = streams(dx);
  visit_float(dx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto& k = kernels<T>().batch_norm;
    v.for_pieces([&](int64_t image, int64_t, int64_t first, int64_t count, int64_t channel, int64_t channels) {
      const int64_t at = v.offset(image, first, channel), stride = c.sets * v.channels;
      const ChannelNorm<T> norm = norm_at<T>(c, v, image, channel, relu);
      const T* b = by.data<T>() + (c.sets > 1 ? image * v.channels : 0) + channel;
      const ChannelGradient<T> g{b, by.size(0) > 1 ? b + stride : nullptr, by.size(0) > 1 ? b + 2 * stride : nullptr};
      T* out = dx.data<T>() + at;
      const T *from = dy.data<T>() + at, *x = v.x.data<T>() + at;
      if (v.last)
        k.normalize_backward_columns(out, from, x, norm, g, count, channels, stream);
      else
        k.normalize_backward_rows(out, from, x, norm, g, channels, count, v.length, stream);
    });
  });
  return dx;
}

}  // namespace pydl
