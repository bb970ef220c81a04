// max_pool, avg_pool and their adaptive forms. One way serves all: windows as tables, images as channel vectors.
#include "ops/pool.h"

#include "autograd/flat.h"
#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/index.h"
#include "ops/pointwise.h"
#include "ops/pool_tiles.h"
#include "ops/view.h"

namespace pydl {

namespace {

using Plan = std::shared_ptr<const PoolPlan>;
constexpr int64_t kTapSlack = 64;  // elements that the kernels may read behind the tap numbers

// Dense channels-last memory of all five dimensions.
Tensor dense_images(const PoolPlan& p, const Tensor& x, DType dtype) {
  return contiguous(p.as_images(cast(x.alias(), dtype)), MemoryFormat::ChannelsLast);
}

// f(image, first row, rows) over all rows of all images; rows of one image stay together in a call.
template <class F>
void for_image_rows(int64_t images, int64_t rows, double cost, F f) {
  parallel_for(images * rows, pool_grain(cost), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin, count; r < end; r += count) {
      count = std::min(end - r, rows - r % rows);
      f(r / rows, r % rows, count);
    }
  });
}

// ---- maximum -------------------------------------------------------------------------------------------------------

// f(pointer to tap numbers) in the width that the largest window needs.
template <class F>
void visit_taps(const Tensor& taps, F f) {
  if (!taps.defined())
    f(static_cast<uint8_t*>(nullptr));
  else if (taps.dtype() == DType::UInt8)
    f(taps.data<uint8_t>());
  else
    f(taps.data<int32_t>());
}

// The positions of a window's taps in the order of their numbers. Without taps: where the first would have been.
void list_taps(std::vector<int64_t>& position, const PoolWindows& windows, int64_t od, int64_t oh, int64_t ow) {
  const PoolAxis &depth = windows.axis[0], &height = windows.axis[1], &width = windows.axis[2];
  auto at = [&](int64_t i, int64_t j, int64_t k) {
    const int64_t d = depth.begin[od] + i * depth.step, h = height.begin[oh] + j * height.step;
    return (d * height.inputs + h) * width.inputs + width.begin[ow] + k * width.step;
  };
  position.clear();
  for (int64_t i = 0; i < depth.count[od]; ++i)
    for (int64_t j = 0; j < height.count[oh]; ++j)
      for (int64_t k = 0; k < width.count[ow]; ++k) position.push_back(at(i, j, k));
  if (position.empty()) position.push_back(at(0, 0, 0));
}

// Tap numbers as positions in the input: [images, channels, outputs...].
Tensor positions_of(const PoolPlan& p, const Tensor& taps) {
  const Tensor result = p.output_like(DType::Int64);
  const int64_t height = p.windows.axis[1].outputs, width = p.windows.axis[2].outputs, channels = p.channels();
  visit_taps(taps, [&](const auto* number) {
    for_image_rows(p.images, p.outputs / std::max<int64_t>(1, width), double(width * channels),
                   [&](int64_t image, int64_t row, int64_t rows) {
      std::vector<int64_t> position;
      for (int64_t pixel = row * width; pixel < (row + rows) * width; ++pixel) {
        list_taps(position, p.windows, pixel / width / height, pixel / width % height, pixel % width);
        const int64_t at = (image * p.outputs + pixel) * channels;
        for (int64_t c = 0; c < channels; ++c) result.data<int64_t>()[at + c] = position[size_t(number[at + c])];
      }
    });
  });
  return result;
}

Tensor max_pool_backward(const PoolPlan& p, const Tensor& g, const Tensor& taps) {
  const DType t = compute_dtype(g.dtype());
  const Tensor from = dense_images(p, g, t), dx = p.input_like(t);
  const PoolAxis &depth = p.windows.axis[0], &height = p.windows.axis[1], &width = p.windows.axis[2];
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto& k = kernels<T>().pool;
    visit_taps(taps, [&](const auto* number) {
      for_image_rows(
          p.images, depth.inputs * height.inputs, double(width.inputs * p.channels()),
          [&](int64_t image, int64_t row, int64_t rows) {
            T* to = dx.data<T>() + image * p.inputs * p.channels();
            const int64_t first = image * p.outputs * p.channels();
            if constexpr (sizeof(*number) == 1)
              k.max_pool_backward(to, number + first, from.data<T>() + first, p.windows, row, rows, p.channels());
            else
              k.max_pool_backward_wide(to, number + first, from.data<T>() + first, p.windows, row, rows, p.channels());
          });
    });
  });
  return cast(dx, g.dtype());
}

// [outputs]: 1 where the window has taps, else 0.
Tensor has_taps(const PoolPlan& p) {
  const Tensor result = Tensor::empty(Dims{p.outputs}, DType::Int64);
  const PoolAxis &depth = p.windows.axis[0], &height = p.windows.axis[1], &width = p.windows.axis[2];
  for (int64_t o = 0; o < p.outputs; ++o) {
    const int64_t w = o % width.outputs, h = o / width.outputs % height.outputs, d = o / width.outputs / height.outputs;
    result.data<int64_t>()[o] = depth.count[d] * height.count[h] * width.count[w] > 0;
  }
  return result;
}

// The same in plain operations: g added at its positions, nowhere for windows without taps.
Tensor add_at_positions(const PoolPlan& p, const Tensor& g, const Tensor& positions, int64_t spatial) {
  const Dims lead(p.input_sizes.begin(), p.input_sizes.end() - spatial);
  Dims flat = lead, into = lead;
  flat.push_back(p.outputs), into.push_back(p.inputs);
  Tensor at = reshape(positions, flat), values = reshape(g, flat);
  if (p.has_empty) {
    const Tensor counted = has_taps(p);
    at = mul(at, counted), values = mul(values, counted);
  }
  return reshape(scatter_add_(autograd::arithmetic.zeros(into, g.dtype()), -1, at, values), p.input_sizes);
}

}  // namespace

Pooled max_pool(const PoolOp& op, const Tensor& input, Plan plan, bool positions) {
  const PoolPlan& p = *plan;
  const DType t = compute_dtype(input.dtype());
  const bool recorded = autograd::needed(input);
  const Tensor y = p.output_like(t);
  Tensor taps;
  if (recorded || positions)
    taps = Tensor::empty(Dims{y.numel() + kTapSlack}, p.largest > 256 ? DType::Int32 : DType::UInt8);
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto& k = kernels<T>().pool;
    visit_taps(taps, [&](auto* number) {
      for_windows<T>(p, cast(input.alias(), t), [&](const T* x, const int64_t* x_stride, const WindowRows& r) {
        const int64_t at = r.image * p.outputs * p.channels() + r.channel;
        auto* to = number ? number + at : nullptr;
        if constexpr (sizeof(*number) == 1)
          k.max_pool(y.data<T>() + at, to, x, x_stride, p.windows, r.row, r.rows, r.channels);
        else
          k.max_pool_wide(y.data<T>() + at, to, x, x_stride, p.windows, r.row, r.rows, r.channels);
      });
    });
  });
  Pooled result{cast(y, input.dtype()), {}};
  if (positions) result.positions = positions_of(p, taps);
  if (recorded) {
    static constexpr const char* kNames[] = {"MaxPool1dBackward", "MaxPool2dBackward", "MaxPool3dBackward"};
    autograd::record(kNames[op.spatial - 1], result.values, {input},
                     [plan, taps, spatial = op.spatial](const Tensor& g) {
                       if (!autograd::grad_enabled()) return max_pool_backward(*plan, g, taps);
                       return autograd::flat(add_at_positions(*plan, g, positions_of(*plan, taps), spatial));
                     });
  }
  return result;
}

// ---- average -------------------------------------------------------------------------------------------------------

namespace {

// The gradient of an average: every output's g * scale, at each of its inputs. Linear, and its own gradient the
// average.
Tensor avg_pool_backward(const PoolOp& op, const Tensor& g, const Plan& plan) {
  const PoolPlan& p = *plan;
  const DType t = compute_dtype(g.dtype());
  const Tensor from = dense_images(p, g, t), dx = p.input_like(t);
  const PoolAxis &depth = p.windows.axis[0], &height = p.windows.axis[1], &width = p.windows.axis[2];
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_image_rows(p.images, depth.inputs * height.inputs, double(width.inputs * p.channels()),
                   [&](int64_t image, int64_t row, int64_t rows) {
                     kernels<T>().pool.avg_pool_backward(dx.data<T>() + image * p.inputs * p.channels(),
                                                         from.data<T>() + image * p.outputs * p.channels(), p.windows,
                                                         row, rows, p.channels());
                   });
  });
  const Tensor result = cast(dx, g.dtype());
  if (autograd::needed(g))
    autograd::record("AvgPoolBackwardBackward", result, {g},
                     [op, plan](const Tensor& gg) { return avg_pool(op, gg, plan); });
  return result;
}

}  // namespace

Tensor avg_pool(const PoolOp& op, const Tensor& input, Plan plan) {
  const PoolPlan& p = *plan;
  const DType t = compute_dtype(input.dtype());
  const Tensor y = p.output_like(t);
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_windows<T>(p, cast(input.alias(), t), [&](const T* x, const int64_t* x_stride, const WindowRows& r) {
      kernels<T>().pool.avg_pool(y.data<T>() + r.image * p.outputs * p.channels() + r.channel, x, x_stride, p.windows,
                                 r.row, r.rows, r.channels);
    });
  });
  const Tensor result = cast(y, input.dtype());
  if (autograd::needed(input)) {
    static constexpr const char* kNames[] = {"AvgPool1dBackward", "AvgPool2dBackward", "AvgPool3dBackward"};
    autograd::record(kNames[op.spatial - 1], result, {input},
                     [op, plan](const Tensor& g) { return autograd::flat(avg_pool_backward(op, g, plan)); });
  }
  return result;
}

// ---- the operators: fixed and adaptive windows over 1 to 3 dimensions ----------------------------------------------

namespace {

constexpr const char* kMax[] = {"max_pool1d", "max_pool2d", "max_pool3d"};
constexpr const char* kAvg[] = {"avg_pool1d", "avg_pool2d", "avg_pool3d"};
constexpr const char* kAdaptiveMax[] = {"adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"};
constexpr const char* kAdaptiveAvg[] = {"adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"};

// One channel would fill one lane of a vector. Many images of one channel are pooled as the channels of one image.
constexpr int64_t kManyImages = 8;
Tensor swapped(const Tensor& x) {
  Dims sizes(x.sizes()), strides(x.strides());
  std::swap(sizes[0], sizes[1]), std::swap(strides[0], strides[1]);
  const Tensor result = x.alias(sizes, strides, x.offset());
  if (autograd::needed(x))
    autograd::record("TransposeBackward", result, {x}, [](const Tensor& g) { return contiguous(transpose(g, 0, 1)); });
  return result;
}
// pool(input, plan), make_plan(input) being the plan; the tensors of the result are put into `input`'s order.
template <class MakePlan, class Pool>
Pooled pool_images(const Tensor& input, MakePlan make_plan, Pool pool) {
  const Plan plan = make_plan(input);
  if (plan->channels() > 1 || plan->images < kManyImages) return pool(input, plan);
  const Tensor x = swapped(input);
  const Pooled r = pool(x, make_plan(x));
  return {contiguous(transpose(r.values, 0, 1)),
          r.positions.defined() ? contiguous(transpose(r.positions, 0, 1)) : Tensor()};
}
template <class MakePlan>
Pooled max_of(const PoolOp& op, const Tensor& input, bool positions, MakePlan make_plan) {
  return pool_images(input, make_plan,
                     [&](const Tensor& x, const Plan& plan) { return max_pool(op, x, plan, positions); });
}
template <class MakePlan>
Tensor mean_of(const PoolOp& op, const Tensor& input, MakePlan make_plan) {
  return pool_images(input, make_plan,
                     [&](const Tensor& x, const Plan& plan) {
                       return Pooled{avg_pool(op, x, plan), {}};
                     })
      .values;
}

using Stride = std::optional<Dims>;  // None and [] mean the kernel's size
IntSpan given(const Stride& stride) { return stride ? IntSpan(*stride) : IntSpan(); }

template <int N>
Tensor max_pool_nd(const Tensor& input, IntSpan kernel_size, const Stride& stride, IntSpan padding, IntSpan dilation,
                   bool ceil_mode) {
  Call call(kMax[N - 1]);
  const PoolOp op{call.op, N};
  return max_of(op, input, false,
                [&](const Tensor& x) {
                  return PoolPlan::fixed(op, x, {kernel_size, given(stride), padding, dilation, ceil_mode});
                })
      .values;
}
template <int N>
std::tuple<Tensor, Tensor> max_pool_nd_with_indices(const Tensor& input, IntSpan kernel_size, const Stride& stride,
                                                    IntSpan padding, IntSpan dilation, bool ceil_mode) {
  Call call(kMax[N - 1]);
  const PoolOp op{call.op, N};
  const Pooled r = max_of(op, input, true, [&](const Tensor& x) {
    return PoolPlan::fixed(op, x, {kernel_size, given(stride), padding, dilation, ceil_mode});
  });
  return {r.values, r.positions};
}
template <int N>
Tensor avg_pool_nd(const Tensor& input, IntSpan kernel_size, const Stride& stride, IntSpan padding, bool ceil_mode,
                   bool count_include_pad, std::optional<int64_t> divisor_override) {
  Call call(kAvg[N - 1]);
  const PoolOp op{call.op, N};
  const int64_t one = 1;
  return mean_of(op, input, [&](const Tensor& x) {
    return PoolPlan::fixed(
        op, x, {kernel_size, given(stride), padding, IntSpan(&one, 1), ceil_mode, count_include_pad, divisor_override});
  });
}
Tensor avg_pool1d(const Tensor& input, IntSpan kernel_size, const Stride& stride, IntSpan padding, bool ceil_mode,
                  bool count_include_pad) {
  return avg_pool_nd<1>(input, kernel_size, stride, padding, ceil_mode, count_include_pad, {});
}
template <int N>
Tensor adaptive_avg_pool_nd(const Tensor& input, IntSpan output_size) {
  Call call(kAdaptiveAvg[N - 1]);
  const PoolOp op{call.op, N};
  return mean_of(op, input, [&](const Tensor& x) { return PoolPlan::adaptive(op, x, output_size); });
}
template <int N>
std::tuple<Tensor, Tensor> adaptive_max_pool_nd(const Tensor& input, IntSpan output_size) {
  Call call(kAdaptiveMax[N - 1]);
  const PoolOp op{call.op, N};
  const Pooled r = max_of(op, input, true, [&](const Tensor& x) { return PoolPlan::adaptive(op, x, output_size); });
  return {r.values, r.positions};
}
// Without positions, which nn.functional asks for only where they are wanted.
template <int N>
Tensor adaptive_max_pool_values(const Tensor& input, IntSpan output_size) {
  Call call(kAdaptiveMax[N - 1]);
  const PoolOp op{call.op, N};
  return max_of(op, input, false, [&](const Tensor& x) { return PoolPlan::adaptive(op, x, output_size); }).values;
}

#define MAX_ARGUMENTS \
  "(Tensor input, int[] kernel_size, int[]? stride=None, int[] padding=[0], int[] dilation=[1], bool ceil_mode=False)"
#define AVG_ARGUMENTS                                                                                 \
  "(Tensor input, int[] kernel_size, int[]? stride=None, int[] padding=[0], bool ceil_mode=False, bool " \
  "count_include_pad=True"
#define MAX_DOC "The largest element of each window; stride defaults to kernel_size. NaN wins."
#define INDICES_DOC "max_pool and the position of each result in its channel."
#define AVG_DOC "The mean of each window; stride defaults to kernel_size."
#define ADAPTIVE_AVG_DOC "Means over windows that divide the input evenly into output_size."
#define ADAPTIVE_MAX_DOC "Maxima, and their positions, over windows that divide the input evenly into output_size."

const Operator ops[] = {
    {&max_pool_nd<1>, "max_pool1d" MAX_ARGUMENTS " -> Tensor", kFunction,
     MAX_DOC "\n>>> pydl.max_pool1d(pydl.tensor([[1.0, 3.0, 4.0, 2.0]]), kernel_size=2)\ntensor([[3., 4.]])"},
    {&max_pool_nd<2>, "max_pool2d" MAX_ARGUMENTS " -> Tensor", kFunction,
     MAX_DOC "\n>>> pydl.max_pool2d(pydl.arange(16.0).reshape(1, 4, 4), kernel_size=2)\n"
     "tensor([[[ 5.,  7.],\n         [13., 15.]]])"},
    {&max_pool_nd<3>, "max_pool3d" MAX_ARGUMENTS " -> Tensor", kFunction,
     MAX_DOC "\n>>> pydl.max_pool3d(pydl.arange(16.0).reshape(1, 2, 2, 4), kernel_size=2)\ntensor([[[[13., 15.]]]])"},
    {&max_pool_nd_with_indices<1>, "max_pool1d_with_indices" MAX_ARGUMENTS " -> (Tensor, Tensor)", kFunction,
     INDICES_DOC "\n>>> pydl.max_pool1d_with_indices(pydl.tensor([[1.0, 3.0, 4.0, 2.0]]), kernel_size=2)\n"
     "(tensor([[3., 4.]]), tensor([[1, 2]]))"},
    {&max_pool_nd_with_indices<2>, "max_pool2d_with_indices" MAX_ARGUMENTS " -> (Tensor, Tensor)", kNN, INDICES_DOC},
    {&max_pool_nd_with_indices<3>, "max_pool3d_with_indices" MAX_ARGUMENTS " -> (Tensor, Tensor)", kNN, INDICES_DOC},
    {&avg_pool1d, "avg_pool1d" AVG_ARGUMENTS ") -> Tensor", kFunction,
     AVG_DOC "\n>>> pydl.avg_pool1d(pydl.tensor([[1.0, 3.0, 4.0, 2.0]]), kernel_size=2)\ntensor([[2., 3.]])"},
    {&avg_pool_nd<2>, "avg_pool2d" AVG_ARGUMENTS ", int? divisor_override=None) -> Tensor", kNN,
     AVG_DOC "\n>>> pydl.nn.functional.avg_pool2d(pydl.arange(16.0).reshape(1, 4, 4), kernel_size=2)\n"
     "tensor([[[ 2.5000,  4.5000],\n         [10.5000, 12.5000]]])"},
    {&avg_pool_nd<3>, "avg_pool3d" AVG_ARGUMENTS ", int? divisor_override=None) -> Tensor", kNN,
     AVG_DOC "\n>>> pydl.nn.functional.avg_pool3d(pydl.arange(16.0).reshape(1, 2, 2, 4), kernel_size=2)\n"
     "tensor([[[[6.5000, 8.5000]]]])"},
    {&adaptive_avg_pool_nd<1>, "adaptive_avg_pool1d(Tensor input, int[] output_size) -> Tensor", kFunction,
     ADAPTIVE_AVG_DOC "\n>>> pydl.adaptive_avg_pool1d(pydl.tensor([[1.0, 3.0, 4.0, 2.0]]), output_size=2)\n"
     "tensor([[2., 3.]])"},
    {&adaptive_avg_pool_nd<2>, "adaptive_avg_pool2d(Tensor input, int[] output_size) -> Tensor", kNN, ADAPTIVE_AVG_DOC},
    {&adaptive_avg_pool_nd<3>, "adaptive_avg_pool3d(Tensor input, int[] output_size) -> Tensor", kNN, ADAPTIVE_AVG_DOC},
    {&adaptive_max_pool_nd<1>, "adaptive_max_pool1d(Tensor input, int[] output_size) -> (Tensor, Tensor)", kFunction,
     ADAPTIVE_MAX_DOC "\n>>> pydl.adaptive_max_pool1d(pydl.tensor([[1.0, 3.0, 4.0, 2.0]]), output_size=2)\n"
     "(tensor([[3., 4.]]), tensor([[1, 2]]))"},
    {&adaptive_max_pool_nd<2>, "adaptive_max_pool2d(Tensor input, int[] output_size) -> (Tensor, Tensor)", kNN,
     ADAPTIVE_MAX_DOC},
    {&adaptive_max_pool_nd<3>, "adaptive_max_pool3d(Tensor input, int[] output_size) -> (Tensor, Tensor)", kNN,
     ADAPTIVE_MAX_DOC},
    {&adaptive_max_pool_values<1>, "_adaptive_max_pool1d(Tensor input, int[] output_size) -> Tensor", kNN,
     ADAPTIVE_MAX_DOC},
    {&adaptive_max_pool_values<2>, "_adaptive_max_pool2d(Tensor input, int[] output_size) -> Tensor", kNN,
     ADAPTIVE_MAX_DOC},
    {&adaptive_max_pool_values<3>, "_adaptive_max_pool3d(Tensor input, int[] output_size) -> Tensor", kNN,
     ADAPTIVE_MAX_DOC},
};

}  // namespace

}  // namespace pydl
