// layer_norm and rms_norm over the last dimensions.
#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace pydl {

namespace {

constexpr int64_t kGrain = 8192;  // elements worth a thread

// rows x cols around the normalized shape, checked.
struct Shape {
  int64_t rows = 1, cols = 1;
  Dims lead_dims, tail_dims;  // dimension numbers
  Shape(const char* op, const Tensor& x, IntSpan normalized, const Tensor& weight, const Tensor& bias) {
    const int64_t lead = x.dim() - int64_t(normalized.size());
    if (normalized.empty() || lead < 0 || !same(x.sizes().subspan(size_t(lead)), normalized))
      fail<ShapeError>(op, ": expected an input that ends in the normalized shape ", show(normalized), ", got ", x);
    for (const Tensor* p : {&weight, &bias})
      if (p->defined() && (!same(p->sizes(), normalized) || p->dtype() != x.dtype()))
        fail<ShapeError>(op, ": expected weight and bias of ", x.dtype(), " ", show(normalized), ", got ", *p);
    if (!is_floating(x.dtype())) fail(op, ": expected a floating point tensor, got ", x);
    for (int64_t d = 0; d < x.dim(); ++d) {
      (d < lead ? rows : cols) *= x.size(d);
      (d < lead ? lead_dims : tail_dims).push_back(d);
    }
  }
};

Tensor dense(const Tensor& x, DType t) { return x.defined() ? contiguous(cast(x.alias(), t)) : x; }
template <class T> T* pointer(const Tensor& t) { return t.defined() ? t.data<T>() : nullptr; }

// Adds the rows of `parts` [chunks, cols] in ascending order.
template <class T> Tensor add_chunks(const Tensor& parts, IntSpan sizes) {
  const Tensor total = Tensor::empty(sizes, parts.dtype());
  const int64_t chunks = parts.size(0), cols = parts.size(1);
  kernels<T>().reduce.sum_outer(total.data<T>(), parts.data<T>(), 1, chunks, cols, 0, cols);
  return total;
}

// Rows a chunk of the weight gradients covers: by shape only.
int64_t chunk_rows(const Shape& s) { return std::max<int64_t>({1, kGrain / std::max<int64_t>(s.cols, 1), (s.rows + 63) / 64}); }

struct NormSaved {
  Tensor y, mean, rstd;
};

// Runs the backward kernel over chunks of rows; weight gradients of the chunks are added in order.
template <class T, class Kernel>
Tensors backward_chunks(const Shape& s, IntSpan x_sizes, IntSpan w_sizes, DType t, bool wants_x, bool wants_w, bool wants_b, Kernel kernel) {
  const int64_t step = chunk_rows(s), chunks = (s.rows + step - 1) / step;
  const Tensor dx = wants_x ? Tensor::empty(x_sizes, t) : Tensor();
  const Tensor dw = wants_w ? Tensor::empty(Dims{chunks, s.cols}, t) : Tensor(), db = wants_b ? Tensor::empty(Dims{chunks, s.cols}, t) : Tensor();
  parallel_for(chunks, 1, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i) {
      const int64_t from = i * step, count = std::min(s.rows, from + step) - from;
      kernel(wants_x ? dx.data<T>() + from * s.cols : nullptr, wants_w ? dw.data<T>() + i * s.cols : nullptr,
             wants_b ? db.data<T>() + i * s.cols : nullptr, from, count);
    }
  });
  return {dx, wants_w ? add_chunks<T>(dw, w_sizes) : Tensor(), wants_b ? add_chunks<T>(db, w_sizes) : Tensor()};
}

// dx of a normalization from the gradient of xhat, in plain operations (for second derivatives).
Tensor unnormalize(const Tensor& gx, const Tensor& xhat, const Tensor& rstd, IntSpan dims, bool centered) {
  Tensor inner = sub(gx, mul(xhat, mean(mul(gx, xhat), dims, true)));
  if (centered) inner = sub(inner, mean(gx, dims, true));
  return mul(inner, rstd);
}

}  // namespace

Tensor layer_norm(const Tensor& input, IntSpan normalized_shape, const Tensor& weight, const Tensor& bias, double eps) {
  Call call("layer_norm");
  const Shape s(call.op, input, normalized_shape, weight, bias);
  const DType t = compute_dtype(input.dtype());
  const Tensor x = dense(input, t), w = dense(weight, t), b = dense(bias, t);
  const Tensor y = Tensor::empty(x.sizes(), t), saved_mean = Tensor::empty(Dims{s.rows}, t), rstd = Tensor::empty(Dims{s.rows}, t);
  if (y.numel() > 0)
    visit_float(t, [&](auto tag) {
      using T = typename decltype(tag)::type;
      parallel_for(s.rows, std::max<int64_t>(1, kGrain / s.cols), [&](int64_t r, int64_t end) {
        kernels<T>().rowwise.layer_norm(y.data<T>() + r * s.cols, saved_mean.data<T>() + r, rstd.data<T>() + r, x.data<T>() + r * s.cols,
                                        pointer<T>(w), pointer<T>(b), end - r, s.cols, s.cols, eps);
      });
    });
  const Tensor result = cast(y, input.dtype());
  if (autograd::needed(input, weight, bias)) {
    const bool wx = autograd::requires_grad(input), ww = weight.defined() && autograd::requires_grad(weight);
    const bool wb = bias.defined() && autograd::requires_grad(bias);
    autograd::record("LayerNormBackward", result, {input, weight, bias},
                     [=, shape = Dims(normalized_shape), input = autograd::save(input), weight = autograd::save(weight)](const Tensor& g) {
      const Tensor in = input, scale = weight;
      if (!autograd::grad_enabled() && in.numel() > 0) {
        const Tensor x = dense(in, t), w = dense(scale, t), gd = dense(g, t);
        return visit_float(t, [&](auto tag) {
          using T = typename decltype(tag)::type;
          return backward_chunks<T>(s, in.sizes(), shape, t, wx, ww, wb, [&](T* dx, T* dw, T* db, int64_t from, int64_t count) {
            kernels<T>().rowwise.layer_norm_backward(dx, dw, db, saved_mean.data<T>() + from, rstd.data<T>() + from, gd.data<T>() + from * s.cols,
                                                     x.data<T>() + from * s.cols, pointer<T>(w), count, s.cols);
          });
        });
      }
      const Tensor centered = sub(in, mean(in, s.tail_dims, true));
      const Tensor r = rsqrt(add(mean(square(centered), s.tail_dims, true), Operand(eps)));
      const Tensor xhat = mul(centered, r);
      return Tensors{wx ? unnormalize(scale.defined() ? mul(g, scale) : g, xhat, r, s.tail_dims, true) : Tensor(),
                     ww ? sum_to(mul(g, xhat), shape) : Tensor(), wb ? sum_to(g, shape) : Tensor()};
    });
  }
  return result;
}

Tensor rms_norm(const Tensor& input, IntSpan normalized_shape, const Tensor& weight, std::optional<double> epsilon) {
  Call call("rms_norm");
  const Shape s(call.op, input, normalized_shape, weight, Tensor());
  const DType t = compute_dtype(input.dtype());
  const double eps = epsilon.value_or(t == DType::Float64 ? 2.220446049250313e-16 : input.dtype() == DType::Float32 ? 1.1920928955078125e-07
                                      : input.dtype() == DType::BFloat16 ? 0.0078125 : 0.0009765625);
  const Tensor x = dense(input, t), w = dense(weight, t);
  const Tensor y = Tensor::empty(x.sizes(), t), rstd = Tensor::empty(Dims{s.rows}, t);
  if (y.numel() > 0)
    visit_float(t, [&](auto tag) {
      using T = typename decltype(tag)::type;
      parallel_for(s.rows, std::max<int64_t>(1, kGrain / s.cols), [&](int64_t r, int64_t end) {
        kernels<T>().rowwise.rms_norm(y.data<T>() + r * s.cols, rstd.data<T>() + r, x.data<T>() + r * s.cols, pointer<T>(w), end - r, s.cols, s.cols, eps);
      });
    });
  const Tensor result = cast(y, input.dtype());
  if (autograd::needed(input, weight)) {
    const bool wx = autograd::requires_grad(input), ww = weight.defined() && autograd::requires_grad(weight);
    autograd::record("RmsNormBackward", result, {input, weight},
                     [=, shape = Dims(normalized_shape), input = autograd::save(input), weight = autograd::save(weight)](const Tensor& g) {
      const Tensor in = input, scale = weight;
      if (!autograd::grad_enabled() && in.numel() > 0) {
        const Tensor x = dense(in, t), w = dense(scale, t), gd = dense(g, t);
        Tensors grads = visit_float(t, [&](auto tag) {
          using T = typename decltype(tag)::type;
          return backward_chunks<T>(s, in.sizes(), shape, t, wx, ww, false, [&](T* dx, T* dw, T*, int64_t from, int64_t count) {
            kernels<T>().rowwise.rms_norm_backward(dx, dw, rstd.data<T>() + from, gd.data<T>() + from * s.cols, x.data<T>() + from * s.cols,
                                                   pointer<T>(w), count, s.cols);
          });
        });
        grads.pop_back();
        return grads;
      }
      const Tensor r = rsqrt(add(mean(square(in), s.tail_dims, true), Operand(eps)));
      const Tensor xhat = mul(in, r);
      return Tensors{wx ? unnormalize(scale.defined() ? mul(g, scale) : g, xhat, r, s.tail_dims, false) : Tensor(),
                     ww ? sum_to(mul(g, xhat), shape) : Tensor()};
    });
  }
  return result;
}

namespace {

const Operator ops[] = {
    {&layer_norm, "layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, "
     "float eps=1e-05) -> Tensor", kFunction | kNN,
     "(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, which are normalized_shape "
     "(Ba et al. 2016).\n"
     ">>> pydl.layer_norm(pydl.tensor([[1.0, 3.0], [10.0, 50.0]]), [2])\n"
     "tensor([[-1.0000,  1.0000],\n        [-1.0000,  1.0000]])"},
    {&rms_norm, "rms_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor",
     kFunction | kNN,
     "x / sqrt(mean(x^2) + eps) * weight over the last dimensions, which are normalized_shape "
     "(Zhang and Sennrich 2019).\n"
     ">>> pydl.rms_norm(pydl.tensor([[3.0, 3.0], [0.0, 5.0]]), [2])\n"
     "tensor([[1.0000, 1.0000],\n        [0.0000, 1.4142]])"},
};

}  // namespace

}  // namespace pydl
