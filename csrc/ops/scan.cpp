// Running reductions along a dimension, and the product, whose gradient is made of them.
#include <limits>

#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/reduce_layout.h"
#include "ops/shape.h"
#include "ops/view.h"
#include "tensor/memory_order.h"

namespace pydl {

namespace {

// A contiguous tensor around its scanned dimension: [outer, n, inner].
struct Lines {
  int64_t outer = 1, n = 1, inner = 1;
  Lines(const Tensor& x, int64_t dim) {
    for (int64_t d = 0; d < x.dim(); ++d) (d < dim ? outer : d == dim ? n : inner) *= x.size(d);
  }
  // scan(offset, columns) over pieces that threads share.
  template <class F> void each(F&& scan) const {
    if (inner >= 64 && outer == 1) {
      parallel_for((inner + 63) / 64, std::max<int64_t>(1, 256 / std::max<int64_t>(n, 1)), [&](int64_t b, int64_t e) {
        scan(b * 64, std::min(inner, e * 64) - b * 64);
      });
    } else {
      parallel_for(outer, std::max<int64_t>(1, 16384 / std::max<int64_t>(n * inner, 1)), [&](int64_t b, int64_t e) {
        for (int64_t o = b; o < e; ++o) scan(o * n * inner, inner);
      });
    }
  }
};

Tensor dense(const Tensor& x) { return contiguous(is_half(x.dtype()) ? cast(x.alias(), DType::Float32) : x.alias()); }

Tensor reversed(const Tensor& x, int64_t dim) { return x.dim() ? flip(x, Dims{dim}) : x; }

// cumsum or cumprod; integers scan in int64.
template <bool kSum> Tensor scan_values(const Tensor& input, int64_t dim) {
  const MemoryOrder order(input);
  const Tensor x = dense(order.to_memory(input));
  const bool integral = is_integral(x.dtype());
  const Tensor y = Tensor::empty(x.sizes(), integral ? DType::Int64 : x.dtype());
  if (x.numel() == 0) return y;
  const Lines l(x, order.dim(dim));
  visit_compute(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (l.inner == 1)
      return parallel_for(l.outer, std::max<int64_t>(1, 16384 / l.n), [&](int64_t b, int64_t e) {
        if constexpr (std::is_floating_point_v<T>) {
          const auto& k = kernels<T>().reduce;
          (kSum ? k.cumsum_rows : k.cumprod_rows)(y.data<T>() + b * l.n, x.data<T>() + b * l.n, e - b, l.n);
        } else {
          for (int64_t at = b * l.n; at < e * l.n; at += l.n)
            (kSum ? IntReduce<T>::cumsum : IntReduce<T>::cumprod)(y.data<int64_t>() + at, x.data<T>() + at, l.n, 1, 1, 1);
        }
      });
    l.each([&](int64_t at, int64_t cols) {
      if constexpr (std::is_floating_point_v<T>) {
        const auto& k = kernels<T>().reduce;
        (kSum ? k.cumsum : k.cumprod)(y.data<T>() + at, x.data<T>() + at, l.n, cols, l.inner, l.inner);
      } else {
        (kSum ? IntReduce<T>::cumsum : IntReduce<T>::cumprod)(y.data<int64_t>() + at, x.data<T>() + at, l.n, cols, l.inner, l.inner);
      }
    });
  });
  return order.to_logical(y);
}

Tensor prepared(const Tensor& input, std::optional<DType> dtype) {
  return cast(input, dtype.value_or(is_integral(input.dtype()) ? DType::Int64 : input.dtype()));
}

}  // namespace

Tensor cumsum(const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  Call call("cumsum");
  const int64_t d = wrap_dim(call.op, dim, input.dim());
  const Tensor x = prepared(input, dtype);
  const Tensor y = cast(scan_values<true>(x, d), x.dtype());
  if (autograd::needed(x))
    autograd::record("CumsumBackward", y, {x}, [d](const Tensor& g) { return reversed(cumsum(reversed(g, d), d), d); });
  return y;
}

namespace {

// dx_i = (x_0 ... x_(i-1)) r_i with r_i = g_i + x_(i+1) r_(i+1): exact where elements are zero.
Tensor cumprod_gradient(const Tensor& g, const Tensor& x, int64_t dim);

Tensor exclusive_cumprod(const Tensor& x, int64_t dim);

Tensor cumprod(const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  Call call("cumprod");
  const int64_t d = wrap_dim(call.op, dim, input.dim());
  const Tensor x = prepared(input, dtype);
  const Tensor y = cast(scan_values<false>(x, d), x.dtype());
  if (autograd::needed(x))
    autograd::record("CumprodBackward", y, {x}, [d, x = autograd::save(x)](const Tensor& g) { return cumprod_gradient(g, x, d); });
  return y;
}

Tensor exclusive_cumprod(const Tensor& x, int64_t dim) {
  const Tensor first = ones(narrow(x, dim, 0, 1).sizes(), x.dtype());
  return x.size(dim) == 1 ? first : cat({first, cumprod(narrow(x, dim, 0, x.size(dim) - 1), dim, {})}, dim);
}

Tensor cumprod_gradient(const Tensor& g, const Tensor& x, int64_t dim) {
  if (x.dim() == 0 || x.numel() == 0) return g;
  const std::vector<Tensor> xs = unbind(x, dim), gs = unbind(g, dim);
  std::vector<Tensor> r(gs);
  for (size_t i = r.size() - 1; i-- > 0;) r[i] = add(gs[i], mul(xs[i + 1], r[i + 1]));
  return mul(exclusive_cumprod(x, dim), stack(r, dim));
}

template <bool kMax> std::tuple<Tensor, Tensor> running_extreme(const char* op, const Tensor& input, int64_t dim) {
  Call call(op);
  const int64_t d = wrap_dim(op, dim, input.dim());
  const MemoryOrder order(input);
  const Tensor x = dense(order.to_memory(input));
  Tensor values = Tensor::empty(x.sizes(), x.dtype()), indices = Tensor::empty(x.sizes(), DType::Int64);
  if (x.numel() > 0) {
    const Lines l(x, order.dim(d));
    visit_compute(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      l.each([&](int64_t at, int64_t cols) {
        T* v = values.data<T>() + at;
        int64_t* i = indices.data<int64_t>() + at;
        const T* in = x.data<T>() + at;
        if constexpr (std::is_floating_point_v<T>) {
          const auto& k = kernels<T>().reduce;
          (kMax ? k.cummax : k.cummin)(v, i, in, l.n, cols, l.inner, l.inner);
        } else {
          (kMax ? IntReduce<T>::cummax : IntReduce<T>::cummin)(v, i, in, l.n, cols, l.inner, l.inner);
        }
      });
    });
  }
  const Tensor y = order.to_logical(cast(values, input.dtype()));
  indices = order.to_logical(indices);
  if (autograd::needed(input))
    autograd::record(kMax ? "CummaxBackward" : "CumminBackward", y, {input}, [d, indices, sizes = Dims(input.sizes())](const Tensor& g) {
      return sizes.empty() ? g : scatter_add_(zeros(sizes, g.dtype()), d, indices, g);
    });
  return {y, indices};
}

Tensor logcumsumexp(const Tensor& input, int64_t dim) {
  Call call("logcumsumexp");
  if (!is_floating(input.dtype())) fail("logcumsumexp: expected a floating point tensor, got ", input);
  const int64_t d = wrap_dim(call.op, dim, input.dim());
  const MemoryOrder order(input);
  const Tensor x = dense(order.to_memory(input));
  const Tensor result = Tensor::empty(x.sizes(), x.dtype());
  if (x.numel() > 0) {
    const Lines l(x, order.dim(d));
    visit_float(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      l.each([&](int64_t at, int64_t cols) { kernels<T>().reduce.logcumsumexp(result.data<T>() + at, x.data<T>() + at, l.n, cols, l.inner, l.inner); });
    });
  }
  const Tensor y = order.to_logical(cast(result, input.dtype()));
  if (autograd::needed(input))
    // dx_i = sum_(j >= i) g_j exp(x_i - y_j), its positive and negative terms summed as logarithms.
    autograd::record("LogcumsumexpBackward", y, {input}, [d, x = autograd::save(input), y = autograd::Saved::output(y)](const Tensor& g) {
      const Tensor value = x, out = y;
      if (autograd::grad_enabled() && value.dim() > 0) {
        // In plain operations: the weights exp(x_i - y_j), j >= i, which are at most 1, as a matrix.
        const Tensor xs = unsqueeze(transpose(value, d, -1), -1), ys = unsqueeze(transpose(out, d, -1), -2);
        const Tensor position = arange(Scalar(int64_t(0)), Scalar(value.size(d)));
        const Tensor later = ge(position, unsqueeze(position, 1));
        const Tensor weights = exp(where(later, sub(xs, ys), Operand(-std::numeric_limits<double>::infinity())));
        return transpose(sum(mul(weights, unsqueeze(transpose(g, d, -1), -2)), Dims{-1}), d, -1);
      }
      const double nothing = -std::numeric_limits<double>::infinity();
      auto part = [&](const Tensor& selected, const Tensor& magnitude) {
        const Tensor logs = where(selected, log(where(selected, magnitude, Operand(1.0))), Operand(nothing));
        return exp(add(reversed(logcumsumexp(reversed(sub(logs, out), d), d), d), value));
      };
      return sub(part(gt(g, Operand(0)), g), part(lt(g, Operand(0)), neg(g)));
    });
  return y;
}

// Product over dims of x (one or all), by kernels; integers in int64.
Tensor product_values(const Tensor& input, IntSpan dims, bool keepdim) {
  const Tensor x = is_half(input.dtype()) ? cast(input.alias(), DType::Float32) : input.alias();
  const ReduceLayout l = reduce_layout(x, dims);
  const bool integral = is_integral(x.dtype());
  const Tensor flat = Tensor::empty(Dims{element_count(l.kept_sizes)}, integral ? DType::Int64 : x.dtype());
  if (flat.numel() > 0)
    visit_compute(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_floating_point_v<T>) {
        const auto& k = kernels<T>().reduce;
        run_reduction(l, flat.data<T>(), l.input.data<T>(), k.prod_inner, k.prod_outer,
                      [&](T* o, const T* p, int64_t pieces, int64_t n) { k.prod_outer(o, p, 1, pieces, n, 0, n); });
      } else {
        run_reduction(l, flat.data<int64_t>(), l.input.data<T>(), IntReduce<T>::prod_inner, IntReduce<T>::prod_outer,
                      [](int64_t* o, const int64_t* p, int64_t pieces, int64_t n) { IntReduce<int64_t>::prod_outer(o, p, 1, pieces, n, 0, n); });
      }
    });
  return reduced_view(flat, l, x.dim(), dims, keepdim);
}

}  // namespace

Tensor prod(const Tensor& input, std::optional<int64_t> dim, bool keepdim, std::optional<DType> dtype) {
  Call call("prod");
  const Tensor x = prepared(input, dtype);
  const bool all = !dim && x.dim() > 1;
  const int64_t d = all ? 0 : wrap_dim(call.op, dim.value_or(0), x.dim());
  const Dims dims = wrap_dims(call.op, all || x.dim() == 0 ? IntSpan() : IntSpan(&d, 1), x.dim());
  const Tensor y = cast(product_values(x, dims, keepdim), x.dtype());
  if (autograd::needed(x))
    // The product of all others is that of those before times that of those after: exact where elements are zero.
    autograd::record("ProdBackward", y, {x}, [all, d, dims, keepdim, sizes = Dims(x.sizes()), x = autograd::save(x)](const Tensor& g) {
      const Tensor value = all ? reshape(x, Dims{-1}) : x.get();
      const Tensor each = restore(g, sizes, dims, keepdim);
      if (sizes.empty() || value.numel() == 0) return each;
      const Tensor before = exclusive_cumprod(value, d), after = reversed(exclusive_cumprod(reversed(value, d), d), d);
      return mul(each, reshape(mul(before, after), sizes));
    });
  return y;
}

namespace {

Tensor prod_all(const Tensor& x, std::optional<DType> dtype) { return prod(x, std::nullopt, false, dtype); }
Tensor prod_dim(const Tensor& x, int64_t dim, bool keepdim, std::optional<DType> dtype) { return prod(x, dim, keepdim, dtype); }
std::tuple<Tensor, Tensor> cummax(const Tensor& x, int64_t dim) { return running_extreme<true>("cummax", x, dim); }
std::tuple<Tensor, Tensor> cummin(const Tensor& x, int64_t dim) { return running_extreme<false>("cummin", x, dim); }

// n-th differences of neighbours along dim.
Tensor diff(const Tensor& x, int64_t n, int64_t dim, const Tensor& prepend, const Tensor& append) {
  const int64_t d = wrap_dim("diff", dim, x.dim());
  if (x.dim() == 0) fail("diff: expected a tensor with dimensions, got a 0-d tensor");
  if (n < 0) fail("diff: expected a non-negative order, got ", n);
  std::vector<Tensor> parts;
  if (prepend.defined()) parts.push_back(prepend);
  parts.push_back(x);
  if (append.defined()) parts.push_back(append);
  Tensor y = parts.size() > 1 ? cat(parts, d) : x;
  for (int64_t i = 0; i < n && y.size(d) > 0; ++i) {
    const Tensor later = narrow(y, d, 1, y.size(d) - 1), earlier = narrow(y, d, 0, y.size(d) - 1);
    y = y.dtype() == DType::Bool ? logical_xor(later, earlier) : sub(later, earlier);
  }
  return y.is(x) ? clone(x) : y;
}

constexpr int kBoth = kFunction | kMethod;

const Operator ops[] = {
    {&prod_all, "prod(Tensor input, *, ScalarType? dtype=None) -> Tensor", kBoth,
     "The product over all or one dimension; integers multiply in int64.\n"
     ">>> pydl.prod(pydl.tensor([[1, 2], [3, 4]]), dim=1)\ntensor([ 2, 12])"},
    {&prod_dim, "prod(Tensor input, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", kBoth | kOut, ""},
    {&cumsum, "cumsum(Tensor input, int dim, *, ScalarType? dtype=None) -> Tensor", kBoth | kInplace | kOut,
     "Running sums along dim.\n"
     ">>> pydl.cumsum(pydl.tensor([1, 2, 3, 4]), dim=0)\ntensor([ 1,  3,  6, 10])"},
    {&cumprod, "cumprod(Tensor input, int dim, *, ScalarType? dtype=None) -> Tensor", kBoth | kInplace | kOut,
     "Running products along dim.\n"
     ">>> pydl.cumprod(pydl.tensor([1, 2, 3, 4]), dim=0)\ntensor([ 1,  2,  6, 24])"},
    {&cummax, "cummax(Tensor input, int dim) -> (Tensor values, Tensor indices)", kBoth,
     "Running maxima along dim and where they are.\n"
     ">>> values, indices = pydl.cummax(pydl.tensor([1, 3, 2, 5]), dim=0)\n"
     ">>> values, indices\n(tensor([1, 3, 3, 5]), tensor([0, 1, 1, 3]))"},
    {&cummin, "cummin(Tensor input, int dim) -> (Tensor values, Tensor indices)", kBoth,
     "Running minima along dim and where they are.\n"
     ">>> values, indices = pydl.cummin(pydl.tensor([4, 6, 2, 3]), dim=0)\n"
     ">>> values, indices\n(tensor([4, 4, 2, 2]), tensor([0, 0, 2, 2]))"},
    {&logcumsumexp, "logcumsumexp(Tensor input, int dim) -> Tensor", kBoth | kOut,
     "Running logsumexp along dim.\n"
     ">>> pydl.logcumsumexp(pydl.tensor([0.0, 0.0, 0.0]), dim=0)\ntensor([0.0000, 0.6931, 1.0986])"},
    {&diff, "diff(Tensor input, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> Tensor",
     kBoth | kOut, "n-th differences of neighbours along dim.\n"
     ">>> pydl.diff(pydl.tensor([1, 4, 9, 16]))\ntensor([3, 5, 7])\n"
     ">>> pydl.diff(pydl.tensor([1, 4, 9, 16]), n=2)\ntensor([2, 2])"},
};

}  // namespace

}  // namespace pydl
