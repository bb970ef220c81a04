#include "ops/pool_windows.h"

#include <algorithm>

namespace pydl {

namespace {

constexpr const char* kAxis[] = {"depth", "height", "width"};

// One number for every spatial dimension, or one each.
Dims per_dimension(const PoolOp& op, const char* what, IntSpan values, int64_t least) {
  const size_t n = size_t(op.spatial);
  if (values.size() != 1 && values.size() != n)
    fail(op.name, ": expected ", what, " to be one number", n > 1 ? " or " : "", n > 1 ? std::to_string(n) : "",
         ", got ", show(values));
  Dims all(values);
  if (values.size() == 1) all.resize(n, values[0]);
  for (int64_t v : all)
    if (v < least) fail(op.name, ": expected ", what, " of at least ", least, ", got ", show(values));
  return all;
}

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

PoolPlan::PoolPlan(const PoolOp& op, const Tensor& x)
    : input_sizes(x.sizes()), spatial_(op.spatial), batched_(x.dim() == op.spatial + 2) {
  if (!batched_ && x.dim() != op.spatial + 1)
    fail<ShapeError>(op.name, ": expected an input of ", op.spatial + 1, " or ", op.spatial + 2,
                     " dimensions (unbatched or batched), got ", x);
  if (!is_floating(x.dtype())) fail(op.name, ": expected a floating point tensor, got ", x);
  for (int64_t d = batched_; d < x.dim(); ++d)
    if (x.size(d) == 0) fail<ShapeError>(op.name, ": expected dimensions other than the batch to be non-zero, got ", x);
  if (batched_) images = x.size(0), output_sizes.push_back(images);
  windows.channels = x.size(batched_);
  output_sizes.push_back(windows.channels);
}

template <class Begin, class End, class Divisor>
void PoolPlan::add_axis(int a, int64_t outputs, int64_t step, Begin begin, End end, Divisor divisor) {
  const int64_t absent = 3 - spatial_, inputs = a < absent ? 1 : input_sizes[size_t(a - absent + 1 + batched_)];
  std::vector<int64_t>& table = indices_[a];
  table.resize(size_t(2 * outputs + inputs + 1));
  divisors_[a].resize(size_t(2 * outputs));
  int64_t taps = 0, most = 0;
  for (int64_t o = 0; o < outputs; ++o) {
    int64_t from = begin(o);
    if (from < 0) from += ceil_div(-from, step) * step;
    const int64_t to = std::min<int64_t>(end(o), inputs), count = from < to ? ceil_div(to - from, step) : 0;
    table[size_t(o)] = from, table[size_t(outputs + o)] = count;
    divisors_[a][size_t(o)] = divisor(o, count);
    divisors_[a][size_t(outputs + o)] = 1 / divisors_[a][size_t(o)];
    taps += count, most = std::max(most, count);
    has_empty |= count == 0;
  }
  // The same seen from the inputs: how many outputs read each, then which.
  const size_t first = size_t(2 * outputs);
  table.resize(first + size_t(inputs + 1 + 2 * taps));
  int64_t *const start = table.data() + first, *const output = start + inputs + 1, *const tap = output + taps;
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t t = 0; t < table[size_t(outputs + o)]; ++t) ++start[table[size_t(o)] + t * step + 1];
  for (int64_t i = 0; i < inputs; ++i) start[i + 1] += start[i];
  std::vector<int64_t> next(start, start + inputs);
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t t = 0; t < table[size_t(outputs + o)]; ++t) {
      const int64_t k = next[size_t(table[size_t(o)] + t * step)]++;
      output[k] = o, tap[k] = t;
    }
  windows.axis[a] = {inputs, outputs, step, table.data(),        table.data() + outputs,
                     start,  output,  tap,  divisors_[a].data(), divisors_[a].data() + outputs};
  largest *= most;
  mean_taps *= outputs ? double(taps) / double(outputs) : 0;
  this->inputs *= inputs, this->outputs *= outputs;
  if (a >= absent) output_sizes.push_back(outputs);
}

std::shared_ptr<const PoolPlan> PoolPlan::fixed(const PoolOp& op, const Tensor& input,
                                                const WindowArguments& arguments) {
  const Dims kernel = per_dimension(op, "kernel_size", arguments.kernel, 1);
  const Dims stride = arguments.stride.empty() ? kernel : per_dimension(op, "stride", arguments.stride, 1);
  const Dims padding = per_dimension(op, "padding", arguments.padding, 0);
  const Dims dilation = per_dimension(op, "dilation", arguments.dilation, 1);
  if (arguments.divisor == 0) fail(op.name, ": expected a divisor_override other than zero, got 0");
  for (size_t d = 0; d < kernel.size(); ++d)
    if (padding[d] > ((kernel[d] - 1) * dilation[d] + 1) / 2)
      fail(op.name, ": expected pad to be at most half of effective kernel size, got padding ", padding[d],
           " with kernel_size ", kernel[d], " and dilation ", dilation[d]);
  std::shared_ptr<PoolPlan> plan(new PoolPlan(op, input));
  const int absent = int(3 - op.spatial);
  const double whole = double(arguments.divisor.value_or(1));
  for (int a = 0; a < absent; ++a)
    plan->add_axis(
        a, 1, 1, [](int64_t) { return 0; }, [](int64_t) { return 1; },
        [=](int64_t, int64_t) { return a ? 1.0 : whole; });
  for (size_t d = 0; d < kernel.size(); ++d) {
    const int64_t in = input.size(int64_t(d) - op.spatial), k = kernel[d], s = stride[d], p = padding[d],
                  step = dilation[d];
    const int64_t reach = (k - 1) * step + 1, room = in + 2 * p - reach;
    int64_t out = floor_div(room + (arguments.ceil_mode ? s - 1 : 0), s) + 1;
    if (arguments.ceil_mode && (out - 1) * s >= in + p) --out;  // the last window would start in the right padding
    if (out < 1)
      fail<ShapeError>(op.name, ": expected an input at least as large as the window, got ", input,
                       " with a window that reaches over ", reach, " and padding ", p, " in ",
                       kAxis[size_t(absent) + d]);
    plan->add_axis(
        absent + int(d), out, step, [=](int64_t o) { return o * s - p; }, [=](int64_t o) { return o * s - p + reach; },
        [&, in](int64_t o, int64_t count) {
          if (arguments.divisor) return absent + int(d) == 0 ? whole : 1.0;
          return double(arguments.count_include_pad ? std::min(o * s - p + k, in + p) - (o * s - p) : count);
        });
  }
  return plan;
}

std::shared_ptr<const PoolPlan> PoolPlan::adaptive(const PoolOp& op, const Tensor& input, IntSpan output_size) {
  const Dims out = per_dimension(op, "output_size", output_size, 0);
  std::shared_ptr<PoolPlan> plan(new PoolPlan(op, input));
  const int absent = int(3 - op.spatial);
  for (int a = 0; a < 3; ++a) {
    const int64_t outputs = a < absent ? 1 : out[size_t(a - absent)], in = a < absent ? 1 : input.size(a - 3);
    plan->add_axis(
        a, outputs, 1, [=](int64_t o) { return o * in / outputs; },
        [=](int64_t o) { return ceil_div((o + 1) * in, outputs); },
        [](int64_t, int64_t count) { return double(count); });
  }
  return plan;
}

Tensor PoolPlan::channels_last(IntSpan sizes, DType dtype) const {
  if (batched_) return Tensor::empty_strided(sizes, channels_last_strides(sizes), dtype);
  Dims batch{1};
  batch.append(sizes.begin(), sizes.end());
  return Tensor::empty_strided(sizes, IntSpan(channels_last_strides(batch)).subspan(1), dtype);
}

Tensor PoolPlan::as_images(const Tensor& x) const {
  Dims sizes{batched_ ? x.size(0) : 1, windows.channels}, strides{batched_ ? x.stride(0) : 0, x.stride(batched_)};
  for (int64_t a = 0; a < 3 - spatial_; ++a) sizes.push_back(1), strides.push_back(0);
  for (int64_t d = x.dim() - spatial_; d < x.dim(); ++d) sizes.push_back(x.size(d)), strides.push_back(x.stride(d));
  return x.alias(sizes, strides, x.offset());
}

}  // namespace pydl
