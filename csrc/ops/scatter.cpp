// Reading and writing at one index per element: gather, scatter in its reductions, take and put.
#include <limits>

#include "autograd/node.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/index.h"
#include "ops/index_layout.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace pydl {

namespace {

// The part of t that `sizes` cover, apart from dimension `except`.
Tensor window(const Tensor& t, IntSpan sizes, int64_t except = -1) {
  Tensor w = t;
  for (int64_t d = 0; d < int64_t(sizes.size()); ++d)
    if (d != except && w.size(d) != sizes[size_t(d)]) w = narrow(w, d, 0, sizes[size_t(d)]);
  return w;
}

// The gradient of a window, as that of the whole.
Tensor pad_to(const Tensor& g, IntSpan sizes) {
  if (same(g.sizes(), sizes)) return g;
  const Tensor whole = autograd::arithmetic.zeros(sizes, g.dtype());
  copy_(window(whole, g.sizes()), g);
  return whole;
}

// 0-d tensors count as vectors of one element.
Tensor at_least_1d(const Tensor& t) { return t.dim() ? t.alias() : t.alias(Dims{1}, Dims{1}, t.offset()); }

// An index that is the same all along the other dimensions, as an expanded vector is: that vector. Else nothing.
Tensor as_vector(const Tensor& index, int64_t dim) {
  if (index.dim() < 2 || index.numel() <= index.size(dim)) return {};
  Tensor vector = index;
  for (int64_t k = index.dim() - 1; k >= 0; --k) {
    if (k == dim) continue;
    if (index.size(k) > 1 && index.stride(k) != 0) return {};
    vector = select(vector, k, 0);
  }
  return vector;
}

// What gather or scatter works on, checked. An empty index is not looked at.
struct Along {
  Tensor x;
  int64_t dim;
  Tensor rows;   // the index where it is as_vector; nothing is checked of its values
  Tensor index;  // else: contiguous
  Tensor src;    // the part of the source that is used

  Along(const char* op, const Tensor& given, int64_t d, const Tensor& positions, const Tensor& source = {})
      : x(at_least_1d(given)), dim(wrap_dim(op, d, given.dim())) {
    const Tensor at = at_least_1d(positions);
    if (source.defined() && source.dtype() != x.dtype()) fail(op, ": expected a source of dtype ", x.dtype(), ", got ", source);
    if (at.numel() == 0) return;
    if (at.dim() != x.dim()) fail(op, ": expected an index with as many dimensions as the tensor, got ", positions, " for ", given);
    for (int64_t k = 0; k < x.dim(); ++k)
      if (k != dim && at.size(k) > x.size(k))
        fail<ShapeError>(op, ": expected an index no larger than ", show(given.sizes()), " apart from dimension ", dim, ", got ", show(positions.sizes()));
    if (source.defined()) {
      if (x.may_self_overlap()) fail(op, ": expected a target whose elements do not share memory, got strides ", show(x.strides()));
      src = at_least_1d(source);
      if (src.dim() != at.dim()) fail(op, ": expected a source with as many dimensions as the index, got ", source, " for ", positions);
      for (int64_t k = 0; k < x.dim(); ++k)
        if (at.size(k) > src.size(k))
          fail<ShapeError>(op, ": expected an index no larger than the source ", show(source.sizes()), ", got ", show(positions.sizes()));
      src = window(src, at.sizes());
    }
    rows = as_vector(at, dim);
    if (rows.defined()) return;
    index = checked_index(op, at, x.size(dim), dim);
    // What is read must not change while x is written.
    if (src.defined() && src.storage() == x.storage()) src = clone(src);
    if (src.defined() && index.storage() == x.storage()) index = clone(index);
  }

  // Runs the kernel, scatter of move.inc or one of scatter.inc, over `into`, x or a copy of it, from `values`.
  template <class T, class Kernel>
  void write(const Tensor& into, const Tensor& values, Kernel kernel) const {
    const Lines lines(into, dim, index.sizes(), true);
    lines.run([&, to = into.data<T>(), from = values.data<T>(), at = index.data<int64_t>()](int64_t offset, int64_t position, int64_t n) {
      kernel(to + offset, lines.along, lines.step, from + position, lines.stride, at + position, lines.stride, n);
    });
  }
};

}  // namespace

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  Call call("gather");
  const Along a(call.op, x, dim, index);
  if (a.rows.defined()) return index_select(window(x, index.sizes(), a.dim), a.dim, a.rows);
  Tensor y = Tensor::empty(index.sizes(), x.dtype());
  if (y.numel() > 0) {
    const Lines lines(a.x, a.dim, a.index.sizes(), false);
    visit_bits(x.item_size(), [&]<class T>(type_tag<T>) {
      lines.run([&, to = y.data<T>(), from = a.x.data<T>(), at = a.index.data<int64_t>(),
                 kernel = move_kernels<T>().gather](int64_t offset, int64_t position, int64_t n) {
        kernel(to + position, lines.stride, from + offset, lines.along, lines.step, at + position, lines.stride, n);
      });
    });
  }
  y = in_format_of(x, y);
  if (autograd::needed(x))
    autograd::record("GatherBackward", y, {x}, [dim, index = autograd::save(index), sizes = Dims(x.sizes())](const Tensor& g) {
      return scatter_add_(autograd::arithmetic.zeros(sizes, g.dtype()), dim, index, g);
    });
  return y;
}

Tensor scatter_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  Call call("scatter_");
  autograd::check_inplace(call.op, x);
  const Along a(call.op, x, dim, index, src);
  if (index.numel() == 0) return x;
  if (a.rows.defined()) {
    index_copy_(window(x, index.sizes(), a.dim), a.dim, a.rows, window(src, index.sizes()));
    return x;
  }
  const Tensor values = contiguous(a.src);
  visit_bits(x.item_size(), [&]<class T>(type_tag<T>) { a.write<T>(a.x, values, move_kernels<T>().scatter); });
  x.bump_version();
  if (autograd::needed(x, src)) {
    const Tensor inputs[] = {x, src};
    autograd::record_inplace("ScatterBackward", x, inputs, [dim, at = autograd::save(index), sizes = Dims(src.sizes())](const Tensor& g) {
      const Tensor index = at, zero = expand(scalar_tensor(Scalar(0.0), g.dtype()), index.sizes());
      return Tensors{scatter_(clone(g), dim, index, zero), pad_to(gather(g, dim, index), sizes)};
    });
  }
  return x;
}

namespace {

enum class Reduce { Sum, Product, Max, Min };

// x at the index <- op(itself, src), source by source in order; half precision in float32, rounded once.
void reduce_along(const Along& a, Reduce reduce) {
  const Tensor wide = cast(a.x, compute_dtype(a.x.dtype())), values = contiguous(cast(a.src.alias(), wide.dtype()));
  visit_compute(wide.dtype(), [&]<class T>(type_tag<T>) {
    const auto k = scatter_kernels<T>();
    switch (reduce) {
      case Reduce::Sum: return a.write<T>(wide, values, k.add);
      case Reduce::Product: return a.write<T>(wide, values, k.multiply);
      case Reduce::Max: return a.write<T>(wide, values, k.max);
      case Reduce::Min: return a.write<T>(wide, values, k.min);
    }
  });
  if (!wide.is(a.x)) copy_values(a.x, wide);
}

}  // namespace

Tensor scatter_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  Call call("scatter_add_");
  autograd::check_inplace(call.op, x);
  const Along a(call.op, x, dim, index, src);
  if (index.numel() == 0) return x;
  if (a.rows.defined()) {
    index_add_(window(x, index.sizes(), a.dim), a.dim, a.rows, window(src, index.sizes()));
    return x;
  }
  reduce_along(a, Reduce::Sum);
  x.bump_version();
  if (autograd::needed(x, src)) {
    const Tensor inputs[] = {x, src};
    autograd::record_inplace("ScatterAddBackward", x, inputs, [dim, index = autograd::save(index), sizes = Dims(src.sizes())](const Tensor& g) {
      return Tensors{g, pad_to(gather(g, dim, index), sizes)};
    });
  }
  return x;
}

namespace {

Tensor scatter_value_(const Tensor& x, int64_t dim, const Tensor& index, const Scalar& value) {
  return scatter_(x, dim, index, expand(scalar_tensor(value, x.dtype()), index.sizes()));
}
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) { return scatter_(clone(x), dim, index, src); }
Tensor scatter_value(const Tensor& x, int64_t dim, const Tensor& index, const Scalar& value) { return scatter_value_(clone(x), dim, index, value); }
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) { return scatter_add_(clone(x), dim, index, src); }

// The value that a reduction starts from where x itself takes no part.
Scalar identity(Reduce reduce, DType t) {
  if (reduce == Reduce::Product) return Scalar(1);
  const bool lowest = reduce == Reduce::Max;
  return visit_compute(compute_dtype(t), [&]<class T>(type_tag<T>) {
    using Limits = std::numeric_limits<T>;
    if constexpr (std::is_floating_point_v<T>) return Scalar(lowest ? -double(Limits::infinity()) : double(Limits::infinity()));
    else return Scalar(int64_t(lowest ? Limits::lowest() : Limits::max()));
  });
}

// Sum and mean are composites of scatter_add; extremes and products have a backward of their own.
Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, std::string_view reduce, bool include_self) {
  Call call("scatter_reduce");
  const bool mean = reduce == "mean", product = reduce == "prod";
  if (!mean && !product && reduce != "sum" && reduce != "amax" && reduce != "amin")
    fail(call.op, ": expected reduce 'sum', 'prod', 'mean', 'amax' or 'amin', got '", reduce, "'");
  const Reduce kind = product ? Reduce::Product : reduce == "amax" ? Reduce::Max : reduce == "amin" ? Reduce::Min : Reduce::Sum;
  const Along checked(call.op, x, dim, index, src);
  if (index.numel() == 0) return clone(x);
  const Tensor untouched =
      include_self ? Tensor() : in_format_of(x, scatter_value_(ones(x.sizes(), DType::Bool), dim, index, Scalar(false)));
  if (kind == Reduce::Sum) {
    Tensor y = scatter_add_(include_self ? clone(x) : where(untouched, x, Operand(0)), dim, index, src);
    if (!mean) return y;
    const Tensor start = include_self ? ones(x.sizes(), DType::Int64) : zeros(x.sizes(), DType::Int64);
    const Tensor count = clamp_min(scatter_add_(start, dim, index, ones(index.sizes(), DType::Int64)), Operand(1));
    return is_floating(x.dtype()) ? div(y, cast(count, x.dtype())) : floor_divide(y, cast(count, x.dtype()));
  }
  Tensor y = include_self ? clone(x.alias(), MemoryFormat::Contiguous)
                          : contiguous(where(untouched, x.alias(), Operand(scalar_tensor(identity(kind, x.dtype()), x.dtype()))));
  reduce_along(Along(call.op, y, dim, contiguous(index), src), kind);
  y = in_format_of(x, y);
  if (autograd::needed(x, src)) {
    autograd::record("ScatterReduceBackward", y, {x, src},
                     [=, x = autograd::save(x), src = autograd::save(src), at = autograd::save(index),
                      y = autograd::Saved::output(y)](const Tensor& g) {
      const Tensor index = at, in = x, source = window(src.get(), index.sizes()), out = y;
      const Tensor self_part = include_self ? ones(in.sizes(), in.dtype()) : cast(untouched, in.dtype());
      Tensor dx, dsrc;
      if (product) {
        // Of each product without the factor in question: where that is 0, it is taken as 1 instead of divided by.
        const auto without = [](const Tensor& t, const Tensor& zeros) { return masked_fill(t, zeros, Operand(1)); };
        const Tensor zero = eq(in, Operand(0)), others = scatter_reduce(without(in, zero), dim, index, source, "prod", include_self);
        dx = mul(self_part, div(mul(g, others), without(in, zero)));
        const Tensor source_zero = eq(source, Operand(0));
        const Tensor zeros_met = gather(scatter_add_(zeros(in.sizes(), g.dtype()), dim, index, cast(source_zero, g.dtype())), dim, index);
        const Tensor only_zero = logical_and(source_zero, eq(zeros_met, Operand(1)));
        const Tensor rest = scatter_reduce(in, dim, index, without(source, only_zero), "prod", include_self);
        dsrc = where(only_zero, gather(mul(g, rest), dim, index), div(gather(mul(g, out), dim, index), without(source, source_zero)));
      } else {
        // Ties share the gradient evenly.
        const Tensor self_hit = mul(self_part, cast(eq(in, out), g.dtype()));
        const Tensor hit = cast(eq(source, gather(out, dim, index)), g.dtype());
        const Tensor shares = add(self_hit, scatter_add_(zeros(in.sizes(), g.dtype()), dim, index, hit));
        const Tensor part = div(g, clamp_min(shares, Operand(1)));
        dx = mul(part, self_hit);
        dsrc = mul(gather(part, dim, index), hit);
      }
      return Tensors{dx, pad_to(dsrc, src.get().sizes())};
    });
  }
  return y;
}

Tensor scatter_with(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, std::string_view reduce) {
  if (reduce == "add") return scatter_reduce(x, dim, index, src, "sum", true);
  if (reduce == "multiply") return scatter_reduce(x, dim, index, src, "prod", true);
  fail("scatter: expected reduce 'add' or 'multiply', got '", reduce, "'");
}
Tensor scatter_value_with(const Tensor& x, int64_t dim, const Tensor& index, const Scalar& value, std::string_view reduce) {
  return scatter_with(x, dim, index, expand(scalar_tensor(value, x.dtype()), index.sizes()), reduce);
}

// ---- take and put --------------------------------------------------------------------------------------------

Tensor flat_index(const char* op, const Tensor& index) {
  if (index.dtype() != DType::Int64) fail(op, ": expected int64 indices, got ", index);
  return index;
}

Tensor take(const Tensor& x, const Tensor& index) { return pydl::index(reshape(x, Dims{-1}), {flat_index("take", index)}); }
Tensor put_(const Tensor& x, const Tensor& index, const Tensor& source, bool accumulate) {
  autograd::check_inplace("put_", x);
  const Tensor at = flat_index("put_", index);
  if (source.numel() != at.numel()) fail<ShapeError>("put_: expected a source of ", at.numel(), " elements, got ", source);
  const Tensor flat = reshape(x, Dims{-1}), values = reshape(source, Dims{-1});
  if (flat.storage() == x.storage()) {
    index_put_(flat, {reshape(at, Dims{-1})}, values, accumulate);
    return x;
  }
  return copy_(x, reshape(index_put_(flat, {reshape(at, Dims{-1})}, values, accumulate), x.sizes()));
}
Tensor put(const Tensor& x, const Tensor& index, const Tensor& source, bool accumulate) { return put_(clone(x), index, source, accumulate); }

Tensor take_along_dim(const Tensor& x, const Tensor& indices, std::optional<int64_t> dim) {
  if (!dim) return take(x, reshape(indices, Dims{-1}));
  const int64_t d = wrap_dim("take_along_dim", *dim, x.dim());
  if (indices.dim() != x.dim()) fail("take_along_dim: expected indices with ", x.dim(), " dimensions, got ", indices);
  Dims data(x.sizes()), at(indices.sizes());
  for (size_t k = 0; k < data.size(); ++k) {
    if (int64_t(k) == d) continue;
    const Dims common = broadcast_shapes("take_along_dim", Dims{data[k]}, Dims{at[k]});
    data[k] = at[k] = common[0];
  }
  return gather(expand(x, data), d, expand(from_the_front(indices, x.size(d)), at));
}

Tensor argwhere(const Tensor& x) { return nonzero(x); }
std::vector<Tensor> where_true(const Tensor& condition) {
  const Tensor positions = nonzero(condition.dim() ? condition : reshape(condition, Dims{1}));
  std::vector<Tensor> columns;
  for (int64_t d = 0; d < positions.size(1); ++d) columns.push_back(contiguous(select(positions, 1, d)));
  return columns;
}

constexpr int kBoth = kFunction | kMethod;

const Operator ops[] = {
    {&gather, "gather(Tensor input, int dim, Tensor index) -> Tensor", kBoth | kOut,
     "The elements at index along dim: out[i][j] = input[index[i][j]][j] for dim 0.\n"
     ">>> pydl.gather(pydl.tensor([[1, 2], [3, 4]]), dim=1, index=pydl.tensor([[0], [1]]))\n"
     "tensor([[1],\n        [4]])"},
    {&scatter, "scatter(Tensor input, int dim, Tensor index, Tensor src) -> Tensor", kBoth | kOut,
     "A copy with src written at index along dim.\n"
     ">>> pydl.scatter(pydl.zeros(3), 0, pydl.tensor([2, 0]), pydl.tensor([1.0, 2.0]))\ntensor([2., 0., 1.])\n"
     ">>> pydl.scatter(pydl.ones(3), 0, pydl.tensor([2, 0]), 5, reduce='add')\ntensor([6., 1., 6.])"},
    {&scatter_value, "scatter(Tensor input, int dim, Tensor index, Scalar value) -> Tensor", kBoth | kOut, ""},
    {&scatter_with, "scatter(Tensor input, int dim, Tensor index, Tensor src, *, str reduce) -> Tensor", kBoth | kInplace | kNoGrad | kOut, ""},
    {&scatter_value_with, "scatter(Tensor input, int dim, Tensor index, Scalar value, *, str reduce) -> Tensor", kBoth | kInplace | kNoGrad | kOut, ""},
    {&scatter_, "scatter_(Tensor input, int dim, Tensor index, Tensor src) -> Tensor", kMethod,
     "Writes src at index along dim.\n"
     ">>> pydl.zeros(2, 3).scatter_(1, pydl.tensor([[2], [0]]), 1)\ntensor([[0., 0., 1.],\n        [1., 0., 0.]])"},
    {&scatter_value_, "scatter_(Tensor input, int dim, Tensor index, Scalar value) -> Tensor", kMethod, ""},
    {&scatter_add_, "scatter_add_(Tensor input, int dim, Tensor index, Tensor src) -> Tensor", kMethod,
     "Adds src at index along dim; repeats add up in order.\n"
     ">>> pydl.zeros(3).scatter_add_(0, pydl.tensor([2, 0, 2]), pydl.tensor([1.0, 2.0, 3.0]))\ntensor([2., 0., 4.])"},
    {&scatter_add, "scatter_add(Tensor input, int dim, Tensor index, Tensor src) -> Tensor", kBoth | kOut,
     "A copy with src added at index along dim.\n"
     ">>> pydl.scatter_add(pydl.ones(3), 0, pydl.tensor([2, 0, 2]), pydl.tensor([1.0, 2.0, 3.0]))\n"
     "tensor([3., 1., 5.])"},
    {&scatter_reduce,
     "scatter_reduce(Tensor input, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True) -> Tensor",
     kBoth | kInplace | kOut,
     "A copy with src reduced into it at index along dim: 'sum', 'prod', 'mean', 'amax' or 'amin'.\n"
     ">>> i = pydl.tensor([2, 0, 2])\n"
     ">>> pydl.scatter_reduce(pydl.zeros(3), 0, i, pydl.tensor([1.0, 2.0, 3.0]), reduce='amax')\ntensor([2., 0., 3.])"},
    {&take, "take(Tensor input, Tensor index) -> Tensor", kBoth | kOut,
     "The elements at flat indices.\n"
     ">>> pydl.take(pydl.tensor([[1, 2], [3, 4]]), pydl.tensor([3, 0]))\ntensor([4, 1])"},
    {&take_along_dim, "take_along_dim(Tensor input, Tensor indices, int? dim=None) -> Tensor", kBoth | kOut,
     "gather with broadcasting; flat without dim.\n"
     ">>> x = pydl.tensor([[3, 1, 2], [6, 5, 4]])\n"
     ">>> pydl.take_along_dim(x, pydl.argsort(x, dim=1), dim=1)\ntensor([[1, 2, 3],\n        [4, 5, 6]])"},
    {&put_, "put_(Tensor input, Tensor index, Tensor source, bool accumulate=False) -> Tensor", kMethod,
     "Writes source at flat indices.\n"
     ">>> pydl.zeros(2, 2).put_(pydl.tensor([3, 0]), pydl.tensor([1.0, 2.0]))\ntensor([[2., 0.],\n        [0., 1.]])"},
    {&put, "put(Tensor input, Tensor index, Tensor source, bool accumulate=False) -> Tensor", kBoth,
     "A copy with source written at flat indices.\n"
     ">>> pydl.put(pydl.zeros(2, 2), pydl.tensor([3, 3]), pydl.tensor([1.0, 2.0]), accumulate=True)\n"
     "tensor([[0., 0.],\n        [0., 3.]])"},
    {&argwhere, "argwhere(Tensor input) -> Tensor", kBoth | kNoGrad | kSynchronizes,
     "The indices of the elements other than 0, one row each.\n"
     ">>> pydl.argwhere(pydl.tensor([[0, 5], [6, 0]]))\ntensor([[0, 1],\n        [1, 0]])"},
    {&where_true, "where(Tensor condition) -> Tensor[]", kFunction | kNoGrad | kSynchronizes,
     "\n>>> pydl.where(pydl.tensor([[0, 5], [6, 0]]))\n(tensor([0, 1]), tensor([1, 0]))"},
};

}  // namespace

}  // namespace pydl
