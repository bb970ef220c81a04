// interpolate: every mode is a sparse linear map along each spatial dimension, so one separable scheme serves all of them and
// their gradients. Source positions and weights are PyTorch's.
#include <algorithm>
#include <cmath>

#include "autograd/node.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/registry.h"
#include "ops/separable.h"

namespace pydl {

namespace {

enum class Mode { Nearest, NearestExact, Linear, Cubic, Area };

Mode mode_of(std::string_view name, int64_t spatial) {
  if (name == "nearest") return Mode::Nearest;
  if (name == "nearest-exact") return Mode::NearestExact;
  if (name == "area") return Mode::Area;
  if ((name == "linear" && spatial == 1) || (name == "bilinear" && spatial == 2) || (name == "trilinear" && spatial == 3)) return Mode::Linear;
  if (name == "bicubic" && spatial == 2) return Mode::Cubic;
  fail<NotImplementedError>("interpolate: expected mode 'nearest', 'nearest-exact', 'area' or, by the number of spatial dimensions, 'linear' (1), "
                            "'bilinear', 'bicubic' (2) or 'trilinear' (3), got '", name, "' with ", spatial);
}

// One spatial dimension.
struct Axis {
  int64_t in, out;
  bool align_corners;
  std::optional<double> factor;  // the scale factor that was asked for; else out / in counts

  // Input positions that one output position covers.
  double step() const {
    if (align_corners) return out > 1 ? double(in - 1) / double(out - 1) : 0;
    return factor && *factor > 0 ? 1 / *factor : double(in) / double(out);
  }
  double position(int64_t o) const { return align_corners ? step() * double(o) : step() * (double(o) + 0.5) - 0.5; }
};

// In float, as PyTorch computes it for every dtype: a rounding decides which pixel is taken.
Positions nearest(const Axis& a, bool exact) {
  const float step = a.factor && *a.factor > 0 ? float(1 / *a.factor) : float(a.in) / float(a.out);
  Positions positions;
  for (int64_t o = 0; o < a.out; ++o)
    positions.push_back(std::min(int64_t(std::floor((float(o) + (exact ? 0.5f : 0.0f)) * step)), a.in - 1));
  return positions;
}

Taps linear(const Axis& a) {
  Taps taps;
  taps.inputs = a.in;
  for (int64_t o = 0; o < a.out; ++o) {
    const double at = std::max(a.position(o), 0.0);
    const int64_t left = std::min(int64_t(at), a.in - 1);
    const double t = std::min(at - double(left), 1.0);
    taps.add(left, left + 1 < a.in ? 1 - t : 1);
    if (left + 1 < a.in) taps.add(left + 1, t);
    taps.end_output();
  }
  return taps;
}

// Keys' cubic convolution at distance x (IEEE Trans. ASSP 29, 1981).
double keys(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

Taps cubic(const Axis& a) {
  Taps taps;
  taps.inputs = a.in;
  for (int64_t o = 0; o < a.out; ++o) {
    const double at = a.position(o);
    const int64_t left = int64_t(std::floor(at));
    for (int64_t k = left - 1; k <= left + 2; ++k) taps.add(std::clamp<int64_t>(k, 0, a.in - 1), keys(at - double(k), -0.75));
    taps.end_output();
  }
  return taps;
}

Taps area(const Axis& a) {
  Taps taps;
  taps.inputs = a.in;
  for (int64_t o = 0; o < a.out; ++o) {
    const int64_t first = o * a.in / a.out, last = ((o + 1) * a.in + a.out - 1) / a.out;
    for (int64_t i = first; i < last; ++i) taps.add(i, 1 / double(last - first));
    taps.end_output();
  }
  return taps;
}

// The filter stretched over all pixels that a smaller output position covers, its weights adding up to 1, as Pillow does.
Taps antialiased(const Axis& a, Mode mode) {
  const double step = a.step(), stretch = std::max(step, 1.0), reach = (mode == Mode::Cubic ? 2 : 1) * stretch;
  Taps taps;
  taps.inputs = a.in;
  for (int64_t o = 0; o < a.out; ++o) {
    const double center = step * (double(o) + 0.5);
    const int64_t first = std::max<int64_t>(int64_t(center - reach + 0.5), 0), last = std::min(int64_t(center + reach + 0.5), a.in);
    double total = 0;
    for (int64_t i = first; i < last; ++i) {
      const double x = (double(i) - center + 0.5) / stretch;
      taps.add(i, mode == Mode::Cubic ? keys(x, -0.5) : std::max(0.0, 1 - std::abs(x)));
      total += taps.weights.back();
    }
    for (size_t k = size_t(taps.starts.back()); k < taps.weights.size() && total != 0; ++k) taps.weights[k] /= total;
    taps.end_output();
  }
  return taps;
}

Tensor read_nearest(const Tensor& y, const Tensor& x, const std::vector<Positions>& positions) {
  if (y.numel() > 0) read_at(y, x, positions, Scalar(0));
  if (autograd::needed(x))
    autograd::record("UpsampleNearestBackward", y, {x}, [positions, sizes = Dims(x.sizes())](const Tensor& g) {
      Tensor sum = g;
      for (size_t d = 2; d < positions.size(); ++d)
        sum = weighted_sums(sum, int64_t(d), std::make_shared<const Taps>(Taps::of(positions[d], sizes[d]).transposed()));
      return sum;
    });
  return y;
}

Tensor interpolate(const Tensor& x, IntSpan size, std::string_view mode_name, bool align_corners, bool antialias,
                   std::optional<double> first_scale, std::optional<double> second_scale, std::optional<double> third_scale) {
  Call call("interpolate");
  const int64_t spatial = x.dim() - 2;
  if (spatial < 1 || spatial > 3) fail<NotImplementedError>("interpolate: expected a 3-, 4- or 5-dimensional input, got ", x);
  const Mode mode = mode_of(mode_name, spatial);
  if (int64_t(size.size()) != spatial) fail<ShapeError>("interpolate: expected ", spatial, " sizes, got ", show(size));
  if (antialias && (spatial != 2 || (mode != Mode::Linear && mode != Mode::Cubic)))
    fail<ValueError>("interpolate: expected mode 'bilinear' or 'bicubic' with antialias, got '", mode_name, "' for ", x);
  for (int64_t d = 1; d < x.dim(); ++d)
    if (x.size(d) == 0) fail<ShapeError>("interpolate: expected positive sizes apart from the batch, got ", x);
  for (int64_t s : size)
    if (s < 1) fail<ShapeError>("interpolate: expected positive output sizes, got ", show(size));
  const bool reads = mode == Mode::Nearest || mode == Mode::NearestExact;
  if (!reads && !is_floating(x.dtype())) fail("interpolate: expected a floating point tensor with mode '", mode_name, "', got ", x);

  Dims sizes(x.sizes());
  std::copy(size.begin(), size.end(), sizes.begin() + 2);
  const Tensor resized = ImageLayout(x).empty(sizes, x.dtype());  // before positions are listed: there may be too many
  const std::optional<double> scales[] = {first_scale, second_scale, third_scale};
  std::vector<Positions> positions(size_t(x.dim()));
  Tensor y = reads ? x : cast(x, compute_dtype(x.dtype()));
  std::vector<std::pair<double, int64_t>> order;  // dimensions that shrink go first: the others then have less to do
  for (int64_t i = 0; i < spatial; ++i) order.emplace_back(double(size[size_t(i)]) / double(x.size(i + 2)), i);
  std::sort(order.begin(), order.end());
  for (auto [growth, i] : order) {
    const Axis axis{x.size(i + 2), size[size_t(i)], align_corners, scales[i]};
    if (reads) {
      positions[size_t(i) + 2] = nearest(axis, mode == Mode::NearestExact);
      continue;
    }
    const bool same_size = axis.in == axis.out && (align_corners || axis.step() == 1);
    if (same_size) continue;
    Taps taps = antialias ? antialiased(axis, mode) : mode == Mode::Linear ? linear(axis) : mode == Mode::Cubic ? cubic(axis) : area(axis);
    y = weighted_sums(y, i + 2, std::make_shared<const Taps>(std::move(taps)));
  }
  if (reads) return read_nearest(resized, x, positions);
  return y.is(x) ? clone(x) : cast(y, x.dtype());
}

const Operator ops[] = {
    {&interpolate,
     "interpolate(Tensor input, int[] size, str mode='nearest', bool align_corners=False, bool antialias=False, float? scale_1=None, "
     "float? scale_2=None, float? scale_3=None) -> Tensor", kNN,
     "The image resampled to the given spatial sizes; scale factors, where given, say how positions correspond instead of the sizes."},
};

}  // namespace

}  // namespace pydl
