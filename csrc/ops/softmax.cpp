// softmax and log_softmax along one dimension.
#include "ops/softmax.h"

#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "tensor/memory_order.h"

namespace pydl {

namespace {

constexpr int64_t kGrain = 8192;  // elements worth a thread

// A dense tensor as [batch, n, inner] around a dimension.
struct Around {
  int64_t batch = 1, n = 1, inner = 1;
  Around(const Tensor& x, int64_t dim) {
    for (int64_t d = 0; d < x.dim(); ++d) (d < dim ? batch : d == dim ? n : inner) *= x.size(d);
  }
};

// Splits [batch, n, inner] over threads: rows, blocks or whole cache lines of columns.
// rows(first, count), outer(first block, blocks, first column, columns).
template <class Rows, class Outer> void split(const Around& a, Rows rows, Outer outer) {
  if (a.inner == 1) {
    parallel_for(a.batch, std::max<int64_t>(1, kGrain / a.n), [&](int64_t b, int64_t e) { rows(b, e - b); });
  } else if (a.batch > 1) {
    parallel_for(a.batch, std::max<int64_t>(1, kGrain / (a.n * a.inner)), [&](int64_t b, int64_t e) { outer(b, e - b, 0, a.inner); });
  } else {
    parallel_for((a.inner + 63) / 64, std::max<int64_t>(1, kGrain / (a.n * 64)), [&](int64_t b, int64_t e) {
      outer(0, 1, b * 64, std::min(a.inner, e * 64) - b * 64);
    });
  }
}

template <bool kLog> Tensor forward(const Tensor& input, int64_t dim) {
  const MemoryOrder order(input);
  const Tensor in = order.to_memory(input.alias()), x = contiguous(is_half(in.dtype()) ? cast(in, DType::Float32) : in);
  const Tensor y = Tensor::empty(x.sizes(), x.dtype());
  if (x.numel() == 0) return cast(y, input.dtype());
  const Around a(x, order.dim(dim));
  visit_float(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto& k = kernels<T>().rowwise;
    T* to = y.data<T>();
    const T* from = x.data<T>();
    split(a, [&](int64_t r, int64_t count) { (kLog ? k.log_softmax : k.softmax)(to + r * a.n, from + r * a.n, count, a.n, a.n); },
          [&](int64_t b, int64_t blocks, int64_t c, int64_t cols) {
            const int64_t at = b * a.n * a.inner + c;
            (kLog ? k.log_softmax_outer : k.softmax_outer)(to + at, from + at, blocks, a.n, cols, a.inner);
          });
  });
  return order.to_logical(cast(y, input.dtype()));
}

template <bool kLog> Tensor fused_backward(const Tensor& grad, const Tensor& output, int64_t dim) {
  const DType t = compute_dtype(output.dtype());
  const MemoryOrder order(output);
  const Tensor g = contiguous(cast(order.to_memory(grad), t)), y = contiguous(cast(order.to_memory(output), t));
  const Tensor dx = Tensor::empty(y.sizes(), t);
  if (y.numel() == 0) return cast(dx, output.dtype());
  const Around a(y, order.dim(dim));
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto& k = kernels<T>().rowwise;
    T* to = dx.data<T>();
    const T *py = y.data<T>(), *pg = g.data<T>();
    split(a, [&](int64_t r, int64_t count) {
            (kLog ? k.log_softmax_backward : k.softmax_backward)(to + r * a.n, py + r * a.n, pg + r * a.n, count, a.n);
          },
          [&](int64_t b, int64_t blocks, int64_t c, int64_t cols) {
            const int64_t at = b * a.n * a.inner + c;
            (kLog ? k.log_softmax_outer_backward : k.softmax_outer_backward)(to + at, py + at, pg + at, blocks, a.n, cols, a.inner);
          });
  });
  return order.to_logical(cast(dx, output.dtype()));
}

template <bool kLog> Tensor apply(const char* op, const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  Call call(op);
  const int64_t d = wrap_dim(op, dim, input.dim());
  const Tensor x = dtype ? cast(input, *dtype) : input;
  if (!is_floating(x.dtype())) fail(op, ": expected a floating point tensor or dtype, got ", x);
  const Tensor y = forward<kLog>(x, d);
  if (autograd::needed(x))
    autograd::record(kLog ? "LogSoftmaxBackward" : "SoftmaxBackward", y, {x}, [d, y = autograd::Saved::output(y)](const Tensor& g) {
      const Tensor out = y;
      if (!autograd::grad_enabled()) return fused_backward<kLog>(g, out, d);
      const Dims dims = out.dim() ? Dims{d} : Dims{};
      if constexpr (kLog) return sub(g, mul(exp(out), sum(g, dims, true)));
      else return mul(out, sub(g, sum(mul(g, out), dims, true)));
    });
  return y;
}

}  // namespace

Tensor softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype) { return apply<false>("softmax", x, dim, dtype); }
Tensor log_softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype) { return apply<true>("log_softmax", x, dim, dtype); }

namespace {

const Operator ops[] = {
    {&softmax, "softmax(Tensor input, int dim, ScalarType? dtype=None) -> Tensor", kFunction | kMethod | kNN | kOut,
     "exp(input) / sum(exp(input)) along dim, without overflow.\n"
     ">>> pydl.softmax(pydl.tensor([[0.0, 1.0], [2.0, 2.0]]), dim=1)\ntensor([[0.2689, 0.7311],\n"
     "        [0.5000, 0.5000]])"},
    {&log_softmax, "log_softmax(Tensor input, int dim, ScalarType? dtype=None) -> Tensor", kFunction | kMethod | kNN | kOut,
     "log(softmax(input)) along dim, accurate for small probabilities.\n"
     ">>> pydl.log_softmax(pydl.tensor([[0.0, 1.0], [2.0, 2.0]]), dim=1)\ntensor([[-1.3133, -0.3133],\n"
     "        [-0.6931, -0.6931]])"},
};

}  // namespace

}  // namespace pydl
