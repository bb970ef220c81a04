// The windows of a pooling operator over 1 to 3 spatial dimensions: arguments checked, output size computed, and the
// tables that the kernels walk. Fixed windows have a kernel size, stride, padding and dilation, adaptive ones divide
// the input evenly among the outputs.
#pragma once
#include <memory>
#include <vector>

#include "kernels/pool.h"
#include "tensor/tensor.h"

namespace pydl {

// A pooling operator: its name for errors and its spatial dimensions.
struct PoolOp {
  const char* name;
  int64_t spatial;
};

struct WindowArguments {
  IntSpan kernel, stride, padding, dilation;  // one number, or one a dimension; no stride: the kernel's size
  bool ceil_mode = false;
  bool count_include_pad = true;        // of averages
  std::optional<int64_t> divisor = {};  // of averages: instead of the window's size
};

// Which inputs each output reads. Made once a call and shared with its backward.
class PoolPlan {
 public:
  static std::shared_ptr<const PoolPlan> fixed(const PoolOp& op, const Tensor& input, const WindowArguments& arguments);
  static std::shared_ptr<const PoolPlan> adaptive(const PoolOp& op, const Tensor& input, IntSpan output_size);

  PoolWindows windows;                          // for the kernels
  int64_t images = 1, inputs = 1, outputs = 1;  // pixels of one image
  Dims input_sizes;                             // as given, batched or not
  Dims output_sizes;
  int64_t largest = 1;  // taps of the largest window
  double mean_taps = 1;
  bool has_empty = false;  // some window lies in the padding altogether

  int64_t channels() const { return windows.channels; }
  // Memory of [images, channels, spatial...], channels last, in the shape of the input or the output.
  Tensor input_like(DType dtype) const { return channels_last(input_sizes, dtype); }
  Tensor output_like(DType dtype) const { return channels_last(output_sizes, dtype); }
  // x with every dimension there is: [images, channels, depth, height, width], the absent ones 1.
  Tensor as_images(const Tensor& x) const;

  PoolPlan(const PoolPlan&) = delete;

 private:
  PoolPlan(const PoolOp& op, const Tensor& input);
  Tensor channels_last(IntSpan sizes, DType dtype) const;
  // Adds axis `a`, whose output o reads count(o) inputs from begin(o) on.
  template <class Begin, class End, class Divisor>
  void add_axis(int a, int64_t outputs, int64_t step, Begin begin, End end, Divisor divisor);

  int64_t spatial_;
  bool batched_;
  std::vector<int64_t> indices_[3];
  std::vector<double> divisors_[3];
};

}  // namespace pydl
