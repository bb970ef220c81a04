#include "ops/reduce.h"

#include <cmath>
#include <limits>

#include "autograd/node.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/index.h"
#include "ops/pointwise.h"
#include "ops/reduce_layout.h"

namespace pydl {

Tensor restore(const Tensor& reduced, IntSpan sizes, IntSpan dims, bool keepdim) {
  Tensor r = reduced;
  if (!keepdim) {
    Dims shape;
    for (int64_t d = 0; d < int64_t(sizes.size()); ++d)
      shape.push_back(std::find(dims.begin(), dims.end(), d) != dims.end() ? 1 : sizes[size_t(d)]);
    r = reshape(r, shape);
  }
  return expand(r, sizes);
}

namespace {

// Reduces with a kernel family: K<T>::inner / outer / combine as in run_reduction, writing R.
template <class R, class T, class Inner, class Outer, class Combine>
Tensor reduce_with(const Tensor& x, IntSpan dims, bool keepdim, Inner inner, Outer outer, Combine combine) {
  const ReduceLayout l = reduce_layout(x, dims);
  const Tensor flat = Tensor::empty(Dims{element_count(l.kept_sizes)}, dtype_of<R>);
  if (flat.numel() > 0) run_reduction(l, flat.data<R>(), l.input.data<T>(), inner, outer, combine);
  return reduced_view(flat, l, x.dim(), dims, keepdim);
}

// A reduction whose partial results combine by a second function of the same kind (sum: sum, max: max ...).
#define REDUCE_FLOAT(name, combine_name)                                                                     \
  [&](auto tag) {                                                                                            \
    using T = typename decltype(tag)::type;                                                                  \
    const auto& k = kernels<T>().reduce;                                                                     \
    return reduce_with<T, T>(x, dims, keepdim, k.name##_inner, k.name##_outer, [&](T* o, const T* p, int64_t pieces, int64_t n) { \
      k.combine_name##_outer(o, p, 1, pieces, n, 0, n);                                                      \
    });                                                                                                      \
  }
#define REDUCE_INTEGER(R, name)                                                                              \
  [&](auto tag) -> Tensor {                                                                                  \
    using T = typename decltype(tag)::type;                                                                  \
    if constexpr (std::is_floating_point_v<T>) fail(#name ": unreachable");                                  \
    else return reduce_with<R, T>(x, dims, keepdim, IntReduce<T>::name##_inner, IntReduce<T>::name##_outer,  \
      [](R* o, const R* p, int64_t pieces, int64_t n) { IntReduce<R>::name##_outer(o, p, 1, pieces, n, 0, n); }); \
  }

// 16-bit floats reduce in float32 and round once.
Tensor widened(const Tensor& x) { return is_half(x.dtype()) ? cast(x.alias(), DType::Float32) : x.alias(); }

Tensor sum_values(const Tensor& input, IntSpan dims, bool keepdim) {
  const Tensor x = widened(input);
  if (is_floating(x.dtype())) return visit_float(x.dtype(), REDUCE_FLOAT(sum, sum));
  return visit_compute(x.dtype(), REDUCE_INTEGER(int64_t, sum));
}

// Elements reduced over each output.
int64_t count_over(const Tensor& x, IntSpan dims) {
  int64_t n = 1;
  for (int64_t d : dims) n *= x.size(d);
  return n;
}

void refuse_empty(const char* op, const Tensor& x, IntSpan dims) {
  for (int64_t d : dims)
    if (x.dim() > 0 && x.size(d) == 0)
      fail<IndexError>(op, ": expected a reduced dimension with elements, got size 0 in ", show(x.sizes()));
}

}  // namespace

Tensor sum(const Tensor& input, IntSpan dim, bool keepdim, std::optional<DType> dtype) {
  Call call("sum");
  if (input.is_sparse() && dim.empty() && !keepdim) return sum(input.sparse().values, {}, false, dtype);
  const Dims dims = wrap_dims("sum", dim, input.dim());
  const DType result = dtype.value_or(is_integral(input.dtype()) ? DType::Int64 : input.dtype());
  const Tensor x = dtype && *dtype != input.dtype() ? cast(input, result) : input;
  const Tensor y = cast(sum_values(x, dims, keepdim), result);
  if (autograd::needed(x))
    autograd::record("SumBackward", y, {x}, [sizes = Dims(x.sizes()), dims, keepdim](const Tensor& g) { return restore(g, sizes, dims, keepdim); });
  return y;
}

Tensor mean(const Tensor& input, IntSpan dim, bool keepdim, std::optional<DType> dtype) {
  Call call("mean");
  const DType result = dtype.value_or(input.dtype());
  if (!is_floating(result)) fail("mean: expected a floating point tensor or dtype, got ", result);
  const Dims dims = wrap_dims("mean", dim, input.dim());
  const Tensor x = cast(input, result);
  const double n = double(count_over(x, dims));
  Tensor y = sum_values(x, dims, keepdim);
  y = cast(div(y, Operand(n), Out::inplace(y)), result);
  if (autograd::needed(x))
    autograd::record("MeanBackward", y, {x}, [sizes = Dims(x.sizes()), dims, keepdim, n](const Tensor& g) {
      return restore(div(g, Operand(n)), sizes, dims, keepdim);
    });
  return y;
}

namespace {

template <bool kMax> Tensor extreme_values(const Tensor& input, IntSpan dims, bool keepdim) {
  const Tensor x = widened(input);
  if (is_floating(x.dtype())) {
    if constexpr (kMax) return cast(visit_float(x.dtype(), REDUCE_FLOAT(max, max)), input.dtype());
    else return cast(visit_float(x.dtype(), REDUCE_FLOAT(min, min)), input.dtype());
  }
  return visit_compute(x.dtype(), [&](auto tag) -> Tensor {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_floating_point_v<T>) fail("amax: unreachable");
    else if constexpr (kMax) return REDUCE_INTEGER(T, max)(tag);
    else return REDUCE_INTEGER(T, min)(tag);
  });
}

template <bool kMax> Tensor extreme(const char* op, const Tensor& x, IntSpan dim, bool keepdim) {
  Call call(op);
  const Dims dims = wrap_dims(op, dim, x.dim());
  if (dim.empty() && x.numel() == 0) fail(op, ": expected a tensor with elements, got ", x);
  refuse_empty(op, x, dims);
  const Tensor y = extreme_values<kMax>(x, dims, keepdim);
  if (autograd::needed(x))
    // Ties share the gradient evenly.
    autograd::record(kMax ? "AmaxBackward" : "AminBackward", y, {x},
                     [dims, keepdim, sizes = Dims(x.sizes()), x = autograd::save(x), y = autograd::Saved::output(y)](const Tensor& g) {
      const Tensor tied = cast(eq(x.get(), restore(y, sizes, dims, keepdim)), g.dtype());
      return mul(tied, restore(div(g, sum(tied, dims, keepdim)), sizes, dims, keepdim));
    });
  return y;
}

// The kernels of the first extreme: by rows, by columns, and of a piece beside what came before it.
template <bool kMax, class T> auto index_kernels() {
  struct Kernels {
    void (*inner)(T*, int64_t*, const T*, int64_t, int64_t, int64_t);
    void (*outer)(T*, int64_t*, const T*, int64_t, int64_t, int64_t, int64_t, int64_t);
    void (*combine)(T*, int64_t*, const T*, const int64_t*, int64_t, int64_t);
  };
  if constexpr (std::is_floating_point_v<T>) {
    const auto& k = kernels<T>().reduce;
    return kMax ? Kernels{k.max_index_inner, k.max_index_outer, k.max_index_combine} : Kernels{k.min_index_inner, k.min_index_outer, k.min_index_combine};
  } else {
    using K = IntReduce<T>;
    return kMax ? Kernels{K::max_index_inner, K::max_index_outer, K::max_index_combine} : Kernels{K::min_index_inner, K::min_index_outer, K::min_index_combine};
  }
}

// Value and index of the first extreme of n contiguous elements.
template <bool kMax, class T> void extreme_of_run(T* value, int64_t* index, const T* in, int64_t n) {
  const auto k = index_kernels<kMax, T>();
  if (n < 2 * kReducePiece) return k.inner(value, index, in, 1, n, n);
  const int64_t pieces = std::min<int64_t>(64, n / kReducePiece), length = (n + pieces - 1) / pieces;
  T values[64];
  int64_t indices[64];
  parallel_for(pieces, 1, [&](int64_t i, int64_t end) {
    for (; i < end; ++i) k.inner(values + i, indices + i, in + i * length, 1, std::min(n, (i + 1) * length) - i * length, n);
  });
  *value = values[0], *index = indices[0];
  for (int64_t i = 1; i < pieces; ++i) k.combine(value, index, values + i, indices + i, 1, i * length);
}

// Values and the indices of the first extremes along one dimension.
template <bool kMax> std::tuple<Tensor, Tensor> extreme_index(const Tensor& input, IntSpan dims, bool keepdim) {
  const Tensor x = widened(input);
  const ReduceLayout l = reduce_layout(x, dims);
  const int64_t outputs = element_count(l.kept_sizes);
  const Tensor values = Tensor::empty(Dims{outputs}, x.dtype()), indices = Tensor::empty(Dims{outputs}, DType::Int64);
  if (outputs > 0)
    visit_compute(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto k = index_kernels<kMax, T>();
      T* v = values.data<T>();
      int64_t* at = indices.data<int64_t>();
      const T* in = l.input.data<T>();
      const int64_t grain = std::max<int64_t>(1, kReducePiece / std::max<int64_t>(l.n, 1));
      if (l.inner && l.batch == 1) {
        extreme_of_run<kMax>(v, at, in, l.n);
      } else if (l.inner) {
        parallel_for(l.batch, grain, [&](int64_t b, int64_t e) { k.inner(v + b, at + b, in + b * l.batch_stride, e - b, l.n, l.batch_stride); });
      } else if (l.batch > 1) {
        parallel_for(l.batch, std::max<int64_t>(1, grain / l.cols), [&](int64_t b, int64_t e) {
          k.outer(v + b * l.cols, at + b * l.cols, in + b * l.batch_stride, e - b, l.n, l.cols, l.batch_stride, l.row_stride);
        });
      } else {
        parallel_chunks(l.cols, column_chunk(l.cols), [&](int64_t from, int64_t to) {
          k.outer(v + from, at + from, in + from, 1, l.n, to - from, l.batch_stride, l.row_stride);
        });
      }
    });
  return {cast(reduced_view(values, l, x.dim(), dims, keepdim), input.dtype()), reduced_view(indices, l, x.dim(), dims, keepdim)};
}

// The dimension to reduce, as a list; empty for a 0-d tensor.
Dims one_dim(const char* op, int64_t dim, const Tensor& x) {
  const int64_t d = wrap_dim(op, dim, x.dim());
  const Dims dims = x.dim() ? Dims{d} : Dims{};
  refuse_empty(op, x, dims);
  return dims;
}

template <bool kMax> Tensor arg_extreme(const char* op, const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  Call call(op);
  if (!dim) {
    if (x.numel() == 0) fail<IndexError>(op, ": expected a tensor with elements, got ", x);
    const Tensor run = x.is_contiguous() && !is_half(x.dtype()) ? x : contiguous(widened(x));
    const Tensor index = Tensor::empty(Dims(keepdim ? size_t(x.dim()) : 0, 1), DType::Int64);
    visit_compute(run.dtype(), [&]<class T>(type_tag<T>) {
      T value;
      extreme_of_run<kMax>(&value, index.data<int64_t>(), run.data<T>(), run.numel());
    });
    return index;
  }
  return std::get<1>(extreme_index<kMax>(x.alias(), one_dim(op, *dim, x), keepdim));
}

template <bool kMax> std::tuple<Tensor, Tensor> extreme_dim(const char* op, const Tensor& x, int64_t dim, bool keepdim) {
  Call call(op);
  const Dims dims = one_dim(op, dim, x);
  auto [values, indices] = extreme_index<kMax>(x.alias(), dims, keepdim);
  if (autograd::needed(x))
    autograd::record(kMax ? "MaxBackward" : "MinBackward", values, {x}, [d = dims.empty() ? 0 : dims[0], keepdim, indices = indices, sizes = Dims(x.sizes())](const Tensor& g) {
      return scatter_selected(g, indices, sizes, d, keepdim);
    });
  return {values, indices};
}

template <bool kAny> Tensor quantifier(const char* op, const Tensor& input, IntSpan dim, bool keepdim) {
  Call call(op);
  const Dims dims = wrap_dims(op, dim, input.dim());
  const Tensor x = input.dtype() == DType::Bool ? input.alias() : ne(input.alias(), Operand(0));
  const type_tag<bool> tag;
  Tensor y;
  if constexpr (kAny) y = REDUCE_INTEGER(bool, any)(tag);
  else y = REDUCE_INTEGER(bool, all)(tag);
  return input.dtype() == DType::UInt8 ? cast(y, DType::UInt8) : y;
}

}  // namespace

Tensor scatter_selected(const Tensor& g, const Tensor& indices, IntSpan sizes, int64_t dim, bool keepdim) {
  const Tensor full = autograd::arithmetic.zeros(sizes, g.dtype());
  if (sizes.empty()) return reshape(g, sizes);
  return scatter_add_(full, dim, keepdim ? indices : unsqueeze(indices, dim), keepdim ? g : unsqueeze(g, dim));
}

Tensor amax(const Tensor& x, IntSpan dims, bool keepdim) { return extreme<true>("amax", x, dims, keepdim); }
Tensor amin(const Tensor& x, IntSpan dims, bool keepdim) { return extreme<false>("amin", x, dims, keepdim); }
Tensor any(const Tensor& x, IntSpan dims, bool keepdim) { return quantifier<true>("any", x, dims, keepdim); }
Tensor all(const Tensor& x, IntSpan dims, bool keepdim) { return quantifier<false>("all", x, dims, keepdim); }
Tensor argmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) { return arg_extreme<true>("argmax", x, dim, keepdim); }
Tensor argmin(const Tensor& x, std::optional<int64_t> dim, bool keepdim) { return arg_extreme<false>("argmin", x, dim, keepdim); }
std::tuple<Tensor, Tensor> max(const Tensor& x, int64_t dim, bool keepdim) { return extreme_dim<true>("max", x, dim, keepdim); }
std::tuple<Tensor, Tensor> min(const Tensor& x, int64_t dim, bool keepdim) { return extreme_dim<false>("min", x, dim, keepdim); }

Tensor logsumexp(const Tensor& input, IntSpan dim, bool keepdim) {
  Call call("logsumexp");
  const Dims dims = wrap_dims("logsumexp", dim, input.dim());
  const Tensor source = is_floating(input.dtype()) ? input : cast(input, default_dtype());
  const Tensor x = widened(source);
  const Tensor y = cast(visit_float(x.dtype(), REDUCE_FLOAT(logsumexp, logsumexp)), source.dtype());
  if (autograd::needed(source))
    autograd::record("LogsumexpBackward", y, {source},
                     [dims, keepdim, sizes = Dims(source.sizes()), x = autograd::save(source), y = autograd::Saved::output(y)](const Tensor& g) {
      return mul(restore(g, sizes, dims, keepdim), exp(sub(x.get(), restore(y, sizes, dims, keepdim))));
    });
  return y;
}

// Records y, the sum of a function of each element, whose slope is slope(x).
template <class Slope>
static Tensor recorded_sum(const char* name, const Tensor& y, const Tensor& input, const Dims& dims, bool keepdim, Slope slope) {
  if (autograd::needed(input))
    autograd::record(name, y, {input}, [=, sizes = Dims(input.sizes()), x = autograd::save(input)](const Tensor& g) {
      return mul(slope(x.get()), restore(g, sizes, dims, keepdim));
    });
  return y;
}

Tensor sum_squares(const Tensor& input, IntSpan dim, bool keepdim) {
  const Dims dims = wrap_dims("sum_squares", dim, input.dim());
  const Tensor x = widened(input), y = cast(visit_float(x.dtype(), REDUCE_FLOAT(sum_squares, sum)), input.dtype());
  return recorded_sum("SumSquaresBackward", y, input, dims, keepdim, [](const Tensor& x) { return mul(x, Operand(2)); });
}

Tensor sum_abs(const Tensor& input, IntSpan dim, bool keepdim) {
  const Dims dims = wrap_dims("sum_abs", dim, input.dim());
  const Tensor x = widened(input), y = cast(visit_float(x.dtype(), REDUCE_FLOAT(sum_abs, sum)), input.dtype());
  return recorded_sum("SumAbsBackward", y, input, dims, keepdim, [](const Tensor& x) { return sign(x.alias()); });
}

// ---- variance -----------------------------------------------------------------------------------------------------------

namespace {

// (var, mean) without history; the mean comes free.
std::tuple<Tensor, Tensor> moments(const Tensor& x, IntSpan dims, double correction, bool keepdim) {
  const ReduceLayout l = reduce_layout(x, dims);
  const int64_t outputs = element_count(l.kept_sizes);
  const Tensor var = Tensor::empty(Dims{outputs}, x.dtype()), mean = Tensor::empty(Dims{outputs}, x.dtype());
  if (outputs > 0)
    visit_float(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto& k = kernels<T>().reduce;
      T *v = var.data<T>(), *m = mean.data<T>();
      const T* in = l.input.data<T>();
      const int64_t grain = std::max<int64_t>(1, kReducePiece / std::max<int64_t>(l.n, 1));
      const int64_t pieces = reduction_pieces(l);
      if (pieces > 1) {
        const Tensor parts = Tensor::empty(Dims{2 * pieces * outputs}, DType::Float64);
        double *pm = parts.data<double>(), *p2 = pm + pieces * outputs;
        const int64_t length = (l.n + pieces - 1) / pieces;
        parallel_for(pieces, 1, [&](int64_t b, int64_t e) {
          for (int64_t i = b; i < e; ++i) {
            const int64_t from = std::min(l.n, i * length), count = std::min(l.n, from + length) - from;
            if (l.inner) k.moments_inner(pm + i * outputs, p2 + i * outputs, in + from, l.batch, count, l.batch_stride);
            else k.moments_outer(pm + i * outputs, p2 + i * outputs, in + from * l.row_stride, l.batch, count, l.cols, l.batch_stride, l.row_stride);
          }
        });
        for (int64_t i = 1; i < pieces; ++i) {
          const int64_t from = std::min(l.n, i * length), count = std::min(l.n, from + length) - from;
          if (count > 0) k.moments_combine(pm, p2, pm + i * outputs, p2 + i * outputs, outputs, from, count);
        }
        k.moments_finish(v, m, pm, p2, outputs, l.n, correction);
      } else if (l.inner) {
        parallel_for(l.batch, grain, [&](int64_t b, int64_t e) { k.var_mean_inner(v + b, m + b, in + b * l.batch_stride, e - b, l.n, l.batch_stride, correction); });
      } else if (l.batch > 1) {
        parallel_for(l.batch, std::max<int64_t>(1, grain / l.cols), [&](int64_t b, int64_t e) {
          k.var_mean_outer(v + b * l.cols, m + b * l.cols, in + b * l.batch_stride, e - b, l.n, l.cols, l.batch_stride, l.row_stride, correction);
        });
      } else {
        parallel_chunks(l.cols, column_chunk(l.cols), [&](int64_t from, int64_t to) {
          k.var_mean_outer(v + from, m + from, in + from, 1, l.n, to - from, l.batch_stride, l.row_stride, correction);
        });
      }
    });
  return {reduced_view(var, l, x.dim(), dims, keepdim), reduced_view(mean, l, x.dim(), dims, keepdim)};
}

}  // namespace

std::tuple<Tensor, Tensor> var_mean(const Tensor& x, IntSpan dim, double correction, bool keepdim) {
  Call call("var");
  if (!is_floating(x.dtype())) fail("var: expected a floating point tensor, got ", x);
  const Dims dims = wrap_dims("var", dim, x.dim());
  auto [v, m] = moments(widened(x), dims, correction, keepdim);
  std::tuple<Tensor, Tensor> result{cast(v, x.dtype()), cast(m, x.dtype())};
  if (autograd::needed(x)) {
    const Tensor outputs[] = {std::get<0>(result), std::get<1>(result)};
    const Tensor inputs[] = {x};
    const double n = double(count_over(x, dims));
    autograd::record("VarMeanBackward", outputs, inputs, [=, sizes = Dims(x.sizes()), x = autograd::save(x)](const Tensors& g) {
      Tensor grad;
      if (g[0].defined()) {
        const Tensor value = x;
        const Tensor centered = sub(value, mean(value, dims, true));
        grad = mul(mul(centered, Operand(2 / std::max(0.0, n - correction))), restore(g[0], sizes, dims, keepdim));
      }
      if (g[1].defined()) {
        const Tensor from_mean = restore(div(g[1], Operand(n)), sizes, dims, keepdim);
        grad = grad.defined() ? add(grad, from_mean) : from_mean;
      }
      return Tensors{grad};
    });
  }
  return result;
}

Tensor var(const Tensor& x, IntSpan dims, double correction, bool keepdim) { return std::get<0>(var_mean(x, dims, correction, keepdim)); }

Tensor sum_to(const Tensor& x, IntSpan sizes) {
  if (same(x.sizes(), sizes)) return x;
  const int64_t lead = x.dim() - int64_t(sizes.size());
  Dims dims;
  for (int64_t d = 0; d < x.dim(); ++d)
    if (d < lead || (sizes[size_t(d - lead)] == 1 && x.size(d) != 1)) dims.push_back(d);
  return reshape(dims.empty() ? x : sum(x, dims, true), sizes);
}

// ---- registration -------------------------------------------------------------------------------------------------------

namespace {

Tensor sum_all(const Tensor& x, std::optional<DType> dtype) { return sum(x, {}, false, dtype); }
Tensor mean_all(const Tensor& x, std::optional<DType> dtype) { return mean(x, {}, false, dtype); }
Tensor max_all(const Tensor& x) { return extreme<true>("max", x, {}, false); }
Tensor min_all(const Tensor& x) { return extreme<false>("min", x, {}, false); }
Tensor max_pair(const Tensor& x, const Tensor& other) { return maximum(x, other); }
Tensor min_pair(const Tensor& x, const Tensor& other) { return minimum(x, other); }
std::tuple<Tensor, Tensor> aminmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  const Dims dims = dim ? Dims{*dim} : Dims{};
  return {amin(x, dims, keepdim), amax(x, dims, keepdim)};
}

IntSpan or_all(const std::optional<Dims>& d) { return d ? IntSpan(*d) : IntSpan(); }
double bessel(bool unbiased) { return unbiased ? 1 : 0; }
Tensor var_all(const Tensor& x, bool unbiased) { return var(x, {}, bessel(unbiased)); }
Tensor var_dims(const Tensor& x, const std::optional<Dims>& d, bool unbiased, bool keepdim) { return var(x, or_all(d), bessel(unbiased), keepdim); }
Tensor var_corrected(const Tensor& x, const std::optional<Dims>& d, double correction, bool keepdim) { return var(x, or_all(d), correction, keepdim); }
// The root of a variance; its gradient is 0 where all values are equal.
Tensor deviation(const Tensor& variance) {
  if (!autograd::needed(variance)) return sqrt(variance);
  const Tensor zero = eq(variance.alias(), Operand(0));
  return where(zero, Operand(0.0), sqrt(where(zero, Operand(1.0), variance)));
}
Tensor std_all(const Tensor& x, bool unbiased) { return deviation(var(x, {}, bessel(unbiased))); }
Tensor std_dims(const Tensor& x, const std::optional<Dims>& d, bool unbiased, bool keepdim) { return deviation(var_dims(x, d, unbiased, keepdim)); }
Tensor std_corrected(const Tensor& x, const std::optional<Dims>& d, double correction, bool keepdim) { return deviation(var_corrected(x, d, correction, keepdim)); }
std::tuple<Tensor, Tensor> var_mean_corrected(const Tensor& x, const std::optional<Dims>& d, double correction, bool keepdim) {
  return var_mean(x, or_all(d), correction, keepdim);
}
std::tuple<Tensor, Tensor> var_mean_all(const Tensor& x, bool unbiased) { return var_mean(x, {}, bessel(unbiased), false); }
std::tuple<Tensor, Tensor> var_mean_dims(const Tensor& x, const std::optional<Dims>& d, bool unbiased, bool keepdim) {
  return var_mean(x, or_all(d), bessel(unbiased), keepdim);
}
std::tuple<Tensor, Tensor> std_mean_all(const Tensor& x, bool unbiased) {
  auto [v, m] = var_mean_all(x, unbiased);
  return {deviation(v), m};
}
std::tuple<Tensor, Tensor> std_mean_dims(const Tensor& x, const std::optional<Dims>& d, bool unbiased, bool keepdim) {
  auto [v, m] = var_mean_dims(x, d, unbiased, keepdim);
  return {deviation(v), m};
}
std::tuple<Tensor, Tensor> std_mean_corrected(const Tensor& x, const std::optional<Dims>& d, double correction, bool keepdim) {
  auto [v, m] = var_mean(x, or_all(d), correction, keepdim);
  return {deviation(v), m};
}
Tensor sum_dims(const Tensor& x, const std::optional<Dims>& d, bool keepdim, std::optional<DType> t) { return sum(x, or_all(d), keepdim, t); }
Tensor mean_dims(const Tensor& x, const std::optional<Dims>& d, bool keepdim, std::optional<DType> t) { return mean(x, or_all(d), keepdim, t); }
Tensor nansum(const Tensor& input, const std::optional<Dims>& d, bool keepdim, std::optional<DType> dtype) {
  Call call("nansum");
  if (!is_floating(input.dtype())) return sum(input, or_all(d), keepdim, dtype);
  const DType result = dtype.value_or(input.dtype());
  if (!is_floating(result)) return sum(where(isnan(input), Operand(0), input), or_all(d), keepdim, dtype);
  const Dims dims = wrap_dims("nansum", or_all(d), input.dim());
  const Tensor source = cast(input, result), x = widened(source);
  const Tensor y = cast(visit_float(x.dtype(), REDUCE_FLOAT(nansum, sum)), result);
  if (autograd::needed(source))
    autograd::record("NansumBackward", y, {source}, [sizes = Dims(source.sizes()), dims, keepdim, x = autograd::save(source)](const Tensor& g) {
      return where(isnan(x.get().alias()), Operand(0.0), restore(g, sizes, dims, keepdim));
    });
  return y;
}
Tensor nanmean(const Tensor& x, const std::optional<Dims>& d, bool keepdim, std::optional<DType> t) {
  const Tensor valid = logical_not(isnan(x));
  return div(nansum(x, d, keepdim, t), sum(valid, or_all(d), keepdim));
}
Tensor count_nonzero(const Tensor& x, const std::optional<Dims>& d) { return sum(ne(x, Operand(0)), or_all(d)); }
Tensor any_all(const Tensor& x) { return any(x); }
Tensor all_all(const Tensor& x) { return all(x); }
// Over no dimension at all (an empty list, unlike None) every element stands for itself.
Tensor any_dims(const Tensor& x, const std::optional<Dims>& d, bool keepdim) {
  if (!d || !d->empty()) return any(x, or_all(d), keepdim);
  const Tensor y = ne(x, Operand(0));
  return x.dtype() == DType::UInt8 ? cast(y, DType::UInt8) : y;
}
Tensor all_dims(const Tensor& x, const std::optional<Dims>& d, bool keepdim) {
  return d && d->empty() ? any_dims(x, d, keepdim) : all(x, or_all(d), keepdim);
}

constexpr int kBoth = kFunction | kMethod;

const Operator ops[] = {
    {&sum_all, "sum(Tensor input, *, ScalarType? dtype=None) -> Tensor", kBoth,
     "The sum over all or the given dimensions; integers sum in int64.\n"
     ">>> pydl.sum(pydl.tensor([[1, 2], [3, 4]]), dim=0)\ntensor([4, 6])"},
    {&sum_dims, "sum(Tensor input, int[]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", kBoth | kOut, ""},
    {&nansum, "nansum(Tensor input, int[]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
     kBoth | kOut, "The sum, NaN counted as 0.\n"
     ">>> pydl.nansum(pydl.tensor([1.0, float('nan'), 3.0]))\ntensor(4.)"},
    {&mean_all, "mean(Tensor input, *, ScalarType? dtype=None) -> Tensor", kBoth,
     "The mean over all or the given dimensions.\n"
     ">>> pydl.mean(pydl.tensor([[1.0, 2.0], [3.0, 6.0]]), dim=1)\ntensor([1.5000, 4.5000])"},
    {&mean_dims, "mean(Tensor input, int[]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", kBoth | kOut, ""},
    {&nanmean, "nanmean(Tensor input, int[]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
     kBoth | kOut, "The mean of what is not NaN.\n"
     ">>> pydl.nanmean(pydl.tensor([1.0, float('nan'), 3.0]))\ntensor(2.)"},
    {&max_all, "max(Tensor input) -> Tensor", kBoth | kOut,
     "The largest element; with dim, (values, indices) along it; with a tensor, maximum. NaN wins.\n"
     ">>> pydl.max(pydl.tensor([3, 7, 5]))\ntensor(7)\n"
     ">>> pydl.max(pydl.tensor([[1, 4], [6, 2]]), dim=1).indices\ntensor([1, 0])"},
    {&max, "max(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", kBoth, ""},
    {&max_pair, "max(Tensor input, Tensor other) -> Tensor", kBoth | kOut, ""},
    {&min_all, "min(Tensor input) -> Tensor", kBoth | kOut,
     "The smallest element; with dim, (values, indices) along it; with a tensor, minimum. NaN wins.\n"
     ">>> pydl.min(pydl.tensor([3, 7, 5]))\ntensor(3)\n"
     ">>> pydl.min(pydl.tensor([[1, 4], [6, 2]]), dim=1).indices\ntensor([0, 1])"},
    {&min, "min(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", kBoth, ""},
    {&min_pair, "min(Tensor input, Tensor other) -> Tensor", kBoth | kOut, ""},
    {&amax, "amax(Tensor input, int[]? dim=[], bool keepdim=False) -> Tensor", kBoth | kOut,
     "The largest elements; ties share the gradient.\n"
     ">>> pydl.amax(pydl.tensor([[1, 4], [6, 2]]), dim=1)\ntensor([4, 6])"},
    {&amin, "amin(Tensor input, int[]? dim=[], bool keepdim=False) -> Tensor", kBoth | kOut,
     "The smallest elements; ties share the gradient.\n"
     ">>> pydl.amin(pydl.tensor([[1, 4], [6, 2]]), dim=1)\ntensor([1, 2])"},
    {&aminmax, "aminmax(Tensor input, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)", kBoth,
     "amin and amax.\n"
     ">>> low, high = pydl.aminmax(pydl.tensor([3, 7, 5]))\n"
     ">>> low, high\n(tensor(3), tensor(7))"},
    {&argmax, "argmax(Tensor input, int? dim=None, bool keepdim=False) -> Tensor", kBoth | kNoGrad | kOut,
     "The index of the first largest element.\n"
     ">>> pydl.argmax(pydl.tensor([[1, 4], [6, 2]]), dim=1)\ntensor([1, 0])"},
    {&argmin, "argmin(Tensor input, int? dim=None, bool keepdim=False) -> Tensor", kBoth | kNoGrad | kOut,
     "The index of the first smallest element.\n"
     ">>> pydl.argmin(pydl.tensor([[1, 4], [6, 2]]), dim=1)\ntensor([0, 1])"},
    {&any_all, "any(Tensor input) -> Tensor", kBoth | kNoGrad | kOut,
     "True where any element is other than 0.\n"
     ">>> pydl.any(pydl.tensor([[0, 1], [0, 0]]), dim=1)\ntensor([ True, False])"},
    {&any_dims, "any(Tensor input, int[]? dim, bool keepdim=False) -> Tensor", kBoth | kNoGrad | kOut, ""},
    {&all_all, "all(Tensor input) -> Tensor", kBoth | kNoGrad | kOut,
     "True where no element is 0.\n"
     ">>> pydl.all(pydl.tensor([[1, 1], [0, 1]]), dim=1)\ntensor([ True, False])"},
    {&all_dims, "all(Tensor input, int[]? dim, bool keepdim=False) -> Tensor", kBoth | kNoGrad | kOut, ""},
    {&count_nonzero, "count_nonzero(Tensor input, int[]? dim=None) -> Tensor", kBoth | kNoGrad,
     "How many elements are other than 0.\n"
     ">>> pydl.count_nonzero(pydl.tensor([[0, 1], [2, 3]]), dim=1)\ntensor([1, 2])"},
    {&logsumexp, "logsumexp(Tensor input, int[] dim, bool keepdim=False) -> Tensor", kBoth | kOut,
     "log(sum(exp(input))), without overflow.\n"
     ">>> pydl.logsumexp(pydl.tensor([[0.0, 0.0], [100.0, 0.0]]), dim=1)\ntensor([  0.6931, 100.0000])"},
    {&var_all, "var(Tensor input, bool unbiased) -> Tensor", kBoth | kOut,
     "The variance, with Bessel's correction unless told otherwise.\n"
     ">>> pydl.var(pydl.tensor([1.0, 2.0, 3.0]))\ntensor(1.)\n"
     ">>> pydl.var(pydl.tensor([1.0, 2.0, 3.0]), correction=0)\ntensor(0.6667)"},
    {&var_dims, "var(Tensor input, int[]? dim, bool unbiased, bool keepdim=False) -> Tensor", kBoth | kOut, ""},
    {&var_corrected, "var(Tensor input, int[]? dim=None, *, float correction=1, bool keepdim=False) -> Tensor", kBoth | kOut, ""},
    {&std_all, "std(Tensor input, bool unbiased) -> Tensor", kBoth | kOut,
     "The standard deviation, with Bessel's correction unless told otherwise.\n"
     ">>> pydl.std(pydl.tensor([1.0, 2.0, 3.0]))\ntensor(1.)\n"
     ">>> pydl.std(pydl.tensor([1.0, 2.0, 3.0]), correction=0)\ntensor(0.8165)"},
    {&std_dims, "std(Tensor input, int[]? dim, bool unbiased, bool keepdim=False) -> Tensor", kBoth | kOut, ""},
    {&std_corrected, "std(Tensor input, int[]? dim=None, *, float correction=1, bool keepdim=False) -> Tensor", kBoth | kOut, ""},
    {&var_mean_all, "var_mean(Tensor input, bool unbiased) -> (Tensor, Tensor)", kFunction,
     "Variance and mean in one pass.\n"
     ">>> pydl.var_mean(pydl.tensor([[1.0, 2.0, 3.0], [0.0, 5.0, 10.0]]), dim=1)\n"
     "(tensor([ 1., 25.]), tensor([2., 5.]))"},
    {&var_mean_dims, "var_mean(Tensor input, int[]? dim, bool unbiased, bool keepdim=False) -> (Tensor, Tensor)", kFunction, ""},
    {&var_mean_corrected, "var_mean(Tensor input, int[]? dim=None, *, float correction=1, bool keepdim=False) -> (Tensor, Tensor)", kFunction, ""},
    {&std_mean_all, "std_mean(Tensor input, bool unbiased) -> (Tensor, Tensor)", kFunction,
     "Standard deviation and mean in one pass.\n"
     ">>> pydl.std_mean(pydl.tensor([[1.0, 2.0, 3.0], [0.0, 5.0, 10.0]]), dim=1)\n"
     "(tensor([1., 5.]), tensor([2., 5.]))"},
    {&std_mean_dims, "std_mean(Tensor input, int[]? dim, bool unbiased, bool keepdim=False) -> (Tensor, Tensor)", kFunction, ""},
    {&std_mean_corrected, "std_mean(Tensor input, int[]? dim=None, *, float correction=1, bool keepdim=False) -> (Tensor, Tensor)", kFunction, ""},
    {&sum_to, "sum_to_size(Tensor input, int[] size) -> Tensor", kMethod,
     "The sum over what broadcasting to this shape stretched.\n"
     ">>> pydl.tensor([[1, 2], [3, 4]]).sum_to_size(2, 1)\ntensor([[3],\n        [7]])"},
};

const bool connected = [] {
  autograd::arithmetic.sum_to = &sum_to;
  autograd::arithmetic.any_nan = [](const Tensor& x) { return *any(isnan(x.is_sparse() ? x.sparse().values : x.alias())).data<bool>(); };
  return true;
}();

}  // namespace

}  // namespace pydl
