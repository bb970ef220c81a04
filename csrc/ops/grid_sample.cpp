// grid_sample: the image at points of a grid, each a weighted sum of 1 (nearest), 4 or 8 (linear) or 16 (cubic) pixels. Weights are
// plain tensor arithmetic on the grid. What remains is trilinear: y = gather(x, w), with dx = spread(g, w) and dw = dot(g, x),
// whose own gradients are these three again; so derivatives of every order run on the same kernels.
#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/join.h"
#include "ops/pointwise.h"
#include "ops/separable.h"
#include "ops/view.h"

namespace pydl {

namespace {

constexpr int64_t kGrain = 16 * 1024;    // multiplications worth a thread
constexpr int64_t kChannelBlock = 64;    // channels that one thread spreads

// The pixels of each point: sources (N, points, taps), flat positions in an image or -1.
struct Points {
  Tensor sources, starts;
  Dims image, out;  // spatial sizes

  Points(const Tensor& sources, IntSpan image, IntSpan out)
      : sources(sources), starts(arange(Scalar(int64_t(0)), Scalar((sources.size(1) + 1) * sources.size(2)), Scalar(sources.size(2)))), image(image), out(out) {}

  int64_t batch() const { return sources.size(0); }
  int64_t count() const { return sources.size(1); }
  int64_t taps() const { return sources.size(2); }
  int64_t pixels() const { return element_count(image); }
  Dims sized(int64_t channels, const Dims& spatial) const {
    Dims sizes{batch(), channels};
    sizes.append(spatial.begin(), spatial.end());
    return sizes;
  }
};

Tensor gather(const Tensor& x, const Tensor& weights, const Points& p);
Tensor spread(const Tensor& g, const Tensor& weights, const Points& p, bool channels_last);
Tensor dot(const Tensor& g, const Tensor& x, const Points& p);

// Runs each(n, begin, end) over the points of all images.
template <class F> void for_points(const Points& p, int64_t work, F&& each) {
  parallel_for(p.batch() * p.count(), std::max<int64_t>(1, kGrain / std::max<int64_t>(1, work)), [&](int64_t at, int64_t end) {
    while (at < end) {
      const int64_t n = at / p.count(), first = at % p.count(), last = std::min(p.count(), first + end - at);
      each(n, first, last);
      at += last - first;
    }
  });
}
// Runs each(n, first channel, last channel) over blocks of channels of all images: an image's pixels belong to one thread.
template <class F> void for_channels(const Points& p, int64_t channels, int64_t block, F&& each) {
  const int64_t blocks = (channels + block - 1) / block;
  parallel_for(p.batch() * blocks, std::max<int64_t>(1, kGrain / (p.count() * p.taps() * block)), [&](int64_t at, int64_t end) {
    for (; at < end; ++at) each(at / blocks, at % blocks * block, std::min(channels, (at % blocks + 1) * block));
  });
}

Tensor gather(const Tensor& x, const Tensor& weights, const Points& p) {
  const ImageLayout layout(x);
  const int64_t c = x.size(1), in = p.pixels(), out = p.count(), k = p.taps();
  const Tensor y = layout.empty(p.sized(c, p.out), x.dtype()), from = layout.dense(x), w = contiguous(weights.alias());
  if (y.numel() > 0)
    visit_float(x.dtype(), [&]<class T>(type_tag<T>) {
      const auto& kernel = kernels<T>().taps;
      const int64_t* const starts = p.starts.data<int64_t>();
      auto sources = [&](int64_t n) { return p.sources.data<int64_t>() + n * out * k; };
      if (layout.channels_last) {
        for_points(p, c * k, [&](int64_t n, int64_t begin, int64_t end) {
          kernel.sum_rows(y.data<T>() + n * out * c, c, from.data<T>() + n * in * c, c, starts, sources(n), w.data<T>() + n * out * k, begin, end, c);
        });
      } else {
        for_channels(p, c, 8, [&](int64_t n, int64_t first, int64_t last) {
          kernel.sum_columns(y.data<T>() + (n * c + first) * out, out, from.data<T>() + (n * c + first) * in, in, starts, sources(n),
                             w.data<T>() + n * out * k, last - first);
        });
      }
    });
  if (autograd::needed(x, weights)) {
    const bool wx = autograd::requires_grad(x), ww = autograd::requires_grad(weights);
    autograd::record("GridSampleBackward", y, {x, weights}, [=, x = autograd::save(x), weights = autograd::save(weights)](const Tensor& g) {
      const Tensor image = x, w = weights;
      return Tensors{wx ? spread(g, w, p, ImageLayout(image).channels_last) : Tensor(), ww ? dot(g, image, p) : Tensor()};
    });
  }
  return y;
}

Tensor spread(const Tensor& g, const Tensor& weights, const Points& p, bool channels_last) {
  const ImageLayout layout(g.dim(), channels_last);
  const int64_t c = g.size(1), in = p.pixels(), out = p.count(), k = p.taps();
  const Tensor dx = layout.empty(p.sized(c, p.image), g.dtype()), from = layout.dense(g), w = contiguous(weights.alias());
  fill_(dx, Scalar(0));
  if (g.numel() > 0)
    visit_float(g.dtype(), [&]<class T>(type_tag<T>) {
      const auto& kernel = kernels<T>().taps;
      const int64_t* const starts = p.starts.data<int64_t>();
      for_channels(p, c, channels_last ? kChannelBlock : 1, [&](int64_t n, int64_t first, int64_t last) {
        const int64_t* const sources = p.sources.data<int64_t>() + n * out * k;
        const T* const at = w.data<T>() + n * out * k;
        if (channels_last)
          kernel.spread_rows(dx.data<T>() + n * in * c + first, c, from.data<T>() + n * out * c + first, c, starts, sources, at, out, last - first);
        else
          kernel.spread_columns(dx.data<T>() + (n * c + first) * in, in, from.data<T>() + (n * c + first) * out, out, starts, sources, at, last - first);
      });
    });
  if (autograd::needed(g, weights)) {
    const bool wg = autograd::requires_grad(g), ww = autograd::requires_grad(weights);
    autograd::record("GridSampleSpreadBackward", dx, {g, weights}, [=, g = autograd::save(g), weights = autograd::save(weights)](const Tensor& gg) {
      return Tensors{wg ? gather(gg, weights, p) : Tensor(), ww ? dot(g, gg, p) : Tensor()};
    });
  }
  return dx;
}

Tensor dot(const Tensor& g, const Tensor& x, const Points& p) {
  const ImageLayout layout(x);
  const int64_t c = x.size(1), in = p.pixels(), out = p.count(), k = p.taps();
  const Tensor dw = Tensor::empty(p.sources.sizes(), x.dtype()), from = layout.dense(x), seed = layout.dense(g);
  if (dw.numel() > 0)
    visit_float(x.dtype(), [&]<class T>(type_tag<T>) {
      const auto& kernel = kernels<T>().taps;
      for_points(p, c * k, [&](int64_t n, int64_t begin, int64_t end) {
        T* const to = dw.data<T>() + n * out * k;
        const T* const a = seed.data<T>() + n * out * c;
        const T* const b = from.data<T>() + n * in * c;
        const int64_t* const starts = p.starts.data<int64_t>();
        const int64_t* const sources = p.sources.data<int64_t>() + n * out * k;
        if (layout.channels_last) kernel.dot_rows(to, a, c, b, c, starts, sources, begin, end, c);
        else kernel.dot_columns(to, a, out, b, in, starts, sources, begin, end, c);
      });
    });
  if (autograd::needed(g, x)) {
    const bool wg = autograd::requires_grad(g), wx = autograd::requires_grad(x);
    autograd::record("GridSampleDotBackward", dw, {g, x}, [=, g = autograd::save(g), x = autograd::save(x)](const Tensor& gg) {
      return Tensors{wg ? gather(x, gg, p) : Tensor(), wx ? spread(g, gg, p, layout.channels_last) : Tensor()};
    });
  }
  return dw;
}

// ---- from the grid to pixels and weights -------------------------------------------------------------------------------

enum class Border { Zeros, Clamp, Reflect };
enum class Mode { Nearest, Linear, Cubic };

// One spatial dimension of size n; all functions take and return tensors of positions in pixels.
struct Axis {
  int64_t n;
  Border border;
  bool align_corners;

  // Grid coordinates -1 and 1 are the centers of the border pixels (align_corners) or their outer edges.
  Tensor pixels(const Tensor& c) const {
    return align_corners ? (c + Operand(1.0)) * Operand(0.5 * double(n - 1)) : (c + Operand(1.0)) * Operand(0.5 * double(n)) - Operand(0.5);
  }
  Tensor inside(const Tensor& at) const {
    if (border == Border::Zeros) return at;
    Tensor x = at;
    if (border == Border::Reflect) {
      const double low = align_corners ? 0 : -0.5, span = align_corners ? double(n - 1) : double(n);
      if (span == 0) return x * Operand(0.0);
      const Tensor distance = abs(x - Operand(low)), turns = floor(detach(distance) / Operand(span)), rest = distance - turns * Operand(span);
      x = where(eq(remainder(turns, Operand(2.0)), Operand(0.0)), rest, span - rest) + Operand(low);
    }
    return minimum(maximum(x, Operand(0.0)), Operand(double(n - 1)));
  }
};

// The taps of every point along one dimension: whole positions, and weights that the gradient of the grid flows through.
struct AxisTaps {
  std::vector<Tensor> at, weights;  // (N, points) each
};

// Keys' cubic convolution with a = -0.75 at the four pixels around a point, t beyond the second.
std::vector<Tensor> cubic_weights(const Tensor& t) {
  constexpr double a = -0.75;
  auto near = [](const Tensor& x) { return ((a + 2) * x - Operand(a + 3)) * x * x + Operand(1.0); };
  auto far = [](const Tensor& x) { return ((a * x - Operand(5 * a)) * x + Operand(8 * a)) * x - Operand(4 * a); };
  return {far(t + Operand(1.0)), near(t), near(1.0 - t), far(2.0 - t)};
}

AxisTaps taps_along(const Axis& axis, const Tensor& coordinate, Mode mode) {
  const Tensor position = axis.pixels(coordinate);
  if (mode == Mode::Cubic) {
    const Tensor left = floor(detach(position));
    AxisTaps taps{{}, cubic_weights(position - left)};
    for (int k = -1; k <= 2; ++k) taps.at.push_back(axis.inside(left + Operand(double(k))));
    return taps;
  }
  const Tensor inside = axis.inside(position);
  // Nearest pixels do not move with the grid, whose gradient is zero rather than none.
  if (mode == Mode::Nearest) return {{round(detach(inside))}, {where(zeros(position.sizes(), DType::Bool), position, Operand(1.0))}};
  const Tensor left = floor(detach(inside)), t = inside - left;
  return {{left, left + Operand(1.0)}, {1.0 - t, t}};
}

// Flat positions of a point's tap, -1 where any coordinate lies outside. A NaN coordinate reads pixel 0 if its weight
// is NaN, too, so that the result shows it.
Tensor flat(const std::vector<Axis>& axes, const std::vector<Tensor>& at, bool nan_weights) {
  Tensor position, valid;
  for (size_t d = 0; d < axes.size(); ++d) {
    const Tensor in = logical_and(ge(at[d], Operand(0.0)), le(at[d], Operand(double(axes[d].n - 1))));
    const Tensor read = nan_weights ? logical_or(in, ne(at[d], at[d])) : in;
    valid = d ? logical_and(valid, read) : read;
    const Tensor whole = cast(where(in, at[d], Operand(0.0)), DType::Int64);
    position = d ? add(mul(position, Operand(Scalar(axes[d].n))), whole) : whole;
  }
  return where(valid, position, Operand(Scalar(int64_t(-1))));
}

Tensor grid_sample(const Tensor& input, const Tensor& grid, std::string_view mode_name, std::string_view padding_mode, bool align_corners) {
  Call call("grid_sample");
  const int64_t spatial = input.dim() - 2;
  if (spatial != 2 && spatial != 3) fail<ShapeError>("grid_sample: expected a 4- or 5-dimensional input, got ", input);
  if (grid.dim() != input.dim() || grid.size(0) != input.size(0) || grid.size(-1) != spatial)
    fail<ShapeError>("grid_sample: expected a grid of ", input.dim(), " dimensions that starts with ", input.size(0), " and ends in ", spatial, ", got ", grid,
                     " for an input ", input);
  if (!is_floating(input.dtype()) || grid.dtype() != input.dtype())
    fail("grid_sample: expected a floating point input and a grid of its dtype, got ", input, " and ", grid);
  for (int64_t d = 2; d < input.dim(); ++d)
    if (input.size(d) == 0) fail<ShapeError>("grid_sample: expected an input with positive spatial sizes, got ", input);
  const Mode mode = mode_name == "bilinear" ? Mode::Linear : mode_name == "nearest" ? Mode::Nearest : mode_name == "bicubic" ? Mode::Cubic
                    : (fail<ValueError>("grid_sample: expected mode 'bilinear', 'nearest' or 'bicubic', got '", mode_name, "'"), Mode::Linear);
  if (mode == Mode::Cubic && spatial != 2) fail("grid_sample: expected a 4-dimensional input with mode 'bicubic', got ", input);
  const Border border = padding_mode == "zeros" ? Border::Zeros : padding_mode == "border" ? Border::Clamp : padding_mode == "reflection" ? Border::Reflect
                        : (fail<ValueError>("grid_sample: expected padding_mode 'zeros', 'border' or 'reflection', got '", padding_mode, "'"), Border::Zeros);

  const DType t = compute_dtype(input.dtype());
  const Tensor x = cast(input, t), coordinates = cast(grid, t);
  const Dims out(grid.sizes().begin() + 1, grid.sizes().end() - 1);
  std::vector<Axis> axes;
  std::vector<AxisTaps> along;
  for (int64_t d = 0; d < spatial; ++d) {
    axes.push_back({input.size(d + 2), border, align_corners});
    // The grid's last dimension counts from the innermost axis: x, y, z.
    const Tensor c = reshape(select(coordinates, -1, spatial - 1 - d), Dims{grid.size(0), element_count(out)});
    along.push_back(taps_along(axes.back(), c, mode));
  }
  // All combinations of the taps of each dimension, the last one changing fastest.
  std::vector<Tensor> sources, weights;
  int64_t combinations = 1;
  for (const AxisTaps& a : along) combinations *= int64_t(a.at.size());
  for (int64_t k = 0; k < combinations; ++k) {
    std::vector<Tensor> at(axes.size());
    Tensor weight;
    int64_t rest = k;
    for (size_t d = axes.size(); d-- > 0;) {
      const size_t tap = size_t(rest % int64_t(along[d].at.size()));
      rest /= int64_t(along[d].at.size());
      at[d] = along[d].at[tap];
      weight = weight.defined() ? along[d].weights[tap] * weight : along[d].weights[tap];
    }
    autograd::GradGuard without_history(false);
    sources.push_back(flat(axes, at, mode != Mode::Nearest));
    weights.push_back(weight);
  }
  const Points points(contiguous(stack(sources, 2)), x.sizes().subspan(2), out);
  return cast(gather(x, stack(weights, 2), points), input.dtype());
}

const Operator ops[] = {
    {&grid_sample, "grid_sample(Tensor input, Tensor grid, str mode='bilinear', str padding_mode='zeros', bool align_corners=False) -> Tensor", kNN,
     "The image at the points of a grid of coordinates in [-1, 1] (Jaderberg et al. 2015)."},
};

}  // namespace

}  // namespace pydl
