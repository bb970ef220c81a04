#include "ops/creation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/node.h"
#include "base/parallel.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/pointwise.h"
#include "ops/view.h"

namespace pydl {

Tensor to_fill(const char* op, IntSpan size, std::optional<DType> dtype, DType otherwise, const Out& out) {
  if (out.fresh()) return Tensor::empty(size, dtype.value_or(otherwise));
  if (dtype && *dtype != out.target.dtype()) fail(op, ": expected out= of dtype ", *dtype, ", got ", out.target);
  if (autograd::needed(out.target)) fail(op, ": expected out= that requires no gradient, got one that does (use no_grad)");
  check_writable(op, out.target);
  resize_output(op, out.target, size);
  return out.target;
}

Tensor full(IntSpan size, const Scalar& value, std::optional<DType> dtype) {
  Call call("full");
  const DType own = value.is_float() ? default_dtype() : value.kind();
  return fill_(Tensor::empty(size, dtype.value_or(own)), value);
}

Tensor zeros(IntSpan size, DType dtype) { return full(size, Scalar(0), dtype); }
Tensor ones(IntSpan size, DType dtype) { return full(size, Scalar(1), dtype); }
Tensor scalar_tensor(const Scalar& value, std::optional<DType> dtype) { return full({}, value, dtype); }

// out[i] = f(i), converted as numbers are.
template <class T, class F> static void write_each(T* out, int64_t n, F&& f) {
  using From = decltype(f(int64_t(0)));
  parallel_for(n, 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if constexpr (std::is_floating_point_v<T> || (sizeof(T) > 1 && std::is_integral_v<T> && std::is_integral_v<From>)) out[i] = T(f(i));
      else out[i] = Scalar(f(i)).template to<T>();
    }
  });
}

Tensor arange(const Scalar& start, const Scalar& end, const Scalar& step, std::optional<DType> dtype) {
  Call call("arange");
  const bool floating = start.is_float() || end.is_float() || step.is_float();
  const DType t = dtype.value_or(floating ? default_dtype() : DType::Int64);
  if (step.equals(0)) fail("arange: expected a step other than 0, got 0");
  const double from = start.to_double(), to = end.to_double(), by = step.to_double();
  if (!std::isfinite(from) || !std::isfinite(to)) fail("arange: expected finite bounds, got ", from, " and ", to);
  if ((by > 0 && from > to) || (by < 0 && from < to))
    fail("arange: expected bounds in the direction of the step, got ", from, ", ", to, " and ", by);
  const int64_t n = floating ? int64_t(std::ceil((to - from) / by))
                             : (end.to_int() - start.to_int() + step.to_int() - (step.to_int() > 0 ? 1 : -1)) / step.to_int();
  const Tensor out = Tensor::empty(Dims{n}, t);
  visit_all(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* p = out.data<T>();
    if constexpr (std::is_same_v<T, bool>) fail("arange: expected a numeric dtype, got bool");
    else if (!floating) write_each(p, n, [first = start.to_int(), each = step.to_int()](int64_t i) { return first + i * each; });
    else write_each(p, n, [=](int64_t i) { return from + double(i) * by; });
  });
  return out;
}

namespace {

// The i-th of n evenly spaced values, exact at both ends.
struct Spaced {
  double start, end;
  int64_t n;
  double step = n > 1 ? (end - start) / double(n - 1) : 0, last = n > 1 ? end : start;
  double operator()(int64_t i) const { return i < n / 2 ? start + step * double(i) : last - step * double(n - 1 - i); }
};

template <class F> Tensor tabulate(int64_t n, DType t, F&& f) {
  const Tensor out = Tensor::empty(Dims{n}, t);
  visit_all(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    write_each(out.data<T>(), n, f);
  });
  return out;
}

// Computed in the dtype of out=.
Tensor spaced_into(const char* op, int64_t n, std::optional<DType> dtype, const Out& out, auto&& f) {
  if (n < 0) fail(op, ": expected a non-negative number of steps, got ", n);
  if (out.fresh()) return tabulate(n, dtype.value_or(default_dtype()), f);
  const Tensor to = to_fill(op, Dims{n}, dtype, default_dtype(), out);
  return copy_(to, tabulate(n, to.dtype(), f));
}
Tensor linspace(const Scalar& start, const Scalar& end, int64_t steps, std::optional<DType> dtype, const Out& out) {
  return spaced_into("linspace", steps, dtype, out, Spaced{start.to_double(), end.to_double(), steps});
}
Tensor logspace(const Scalar& start, const Scalar& end, int64_t steps, double base, std::optional<DType> dtype, const Out& out) {
  const Spaced exponent{start.to_double(), end.to_double(), steps};
  return spaced_into("logspace", steps, dtype, out, [&](int64_t i) { return std::pow(base, exponent(i)); });
}

Tensor arange_end(const Scalar& end, std::optional<DType> dtype) { return arange(Scalar(0), end, Scalar(1), dtype); }

Tensor empty_sized(IntSpan size, std::optional<DType> dtype, std::optional<MemoryFormat> format) {
  if (format == MemoryFormat::ChannelsLast) return Tensor::empty_strided(size, channels_last_strides(size), dtype.value_or(default_dtype()));
  return Tensor::empty(size, dtype.value_or(default_dtype()));
}
Tensor empty_strided(IntSpan size, IntSpan stride, std::optional<DType> dtype) {
  if (size.size() != stride.size()) fail<ShapeError>("empty_strided: expected as many strides as sizes, got ", show(size), " and ", show(stride));
  return Tensor::empty_strided(size, stride, dtype.value_or(default_dtype()));
}
Tensor zeros_sized(IntSpan size, std::optional<DType> dtype, const Out& out) {
  return fill_(to_fill("zeros", size, dtype, default_dtype(), out), Scalar(0));
}
Tensor ones_sized(IntSpan size, std::optional<DType> dtype, const Out& out) {
  return fill_(to_fill("ones", size, dtype, default_dtype(), out), Scalar(1));
}
Tensor full_sized(IntSpan size, const Scalar& value, std::optional<DType> dtype, const Out& out) {
  return out.fresh() ? full(size, value, dtype) : fill_(to_fill("full", size, dtype, default_dtype(), out), value);
}

Tensor zeros_like_as(const Tensor& x, std::optional<DType> dtype, std::optional<MemoryFormat> f) { return fill_(empty_like(x, dtype, f), Scalar(0)); }
Tensor ones_like_as(const Tensor& x, std::optional<DType> dtype, std::optional<MemoryFormat> f) { return fill_(empty_like(x, dtype, f), Scalar(1)); }
Tensor full_like(const Tensor& x, const Scalar& v, std::optional<DType> dtype, std::optional<MemoryFormat> f) { return fill_(empty_like(x, dtype, f), v); }
Tensor empty_like_as(const Tensor& x, std::optional<DType> dtype, std::optional<MemoryFormat> f) { return empty_like(x, dtype, f); }

Tensor new_zeros(const Tensor& x, IntSpan size, std::optional<DType> dtype) { return zeros(size, dtype.value_or(x.dtype())); }
Tensor new_ones(const Tensor& x, IntSpan size, std::optional<DType> dtype) { return ones(size, dtype.value_or(x.dtype())); }
Tensor new_empty(const Tensor& x, IntSpan size, std::optional<DType> dtype) { return Tensor::empty(size, dtype.value_or(x.dtype())); }
Tensor new_full(const Tensor& x, IntSpan size, const Scalar& v, std::optional<DType> dtype) { return full(size, v, dtype.value_or(x.dtype())); }

Tensor eye(int64_t n, std::optional<int64_t> m, std::optional<DType> dtype) {
  if (n < 0 || m.value_or(0) < 0) fail("eye: expected non-negative sizes, got ", n, " and ", m.value_or(n));
  const Tensor out = zeros(Dims{n, m.value_or(n)}, dtype.value_or(default_dtype()));
  fill_(diagonal(out), Scalar(1));
  return out;
}
Tensor eye_square(int64_t n, std::optional<DType> dtype) { return eye(n, std::nullopt, dtype); }

// Positions (row, column) of one triangle of a row x col matrix.
Tensor triangle_indices(int64_t row, int64_t col, int64_t offset, bool upper) {
  const char* const op = upper ? "triu_indices" : "tril_indices";
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();  // lest the number of positions overflows
  if (row < 0 || col < 0 || row > kMost || col > kMost)
    fail(op, ": expected row and col from 0 to ", kMost, ", got ", row, " and ", col);
  offset = std::clamp(offset, -row - col, row + col);
  const auto from = [&](int64_t i) { return upper ? std::clamp<int64_t>(i + offset, 0, col) : 0; };
  const auto to = [&](int64_t i) { return upper ? col : std::clamp<int64_t>(i + offset + 1, 0, col); };
  int64_t count = 0;
  for (int64_t i = 0; i < row; ++i) count += to(i) - from(i);
  const Tensor out = Tensor::empty(Dims{2, count}, DType::Int64);
  int64_t *r = out.data<int64_t>(), *c = r + count;
  for (int64_t i = 0; i < row; ++i)
    for (int64_t j = from(i); j < to(i); ++j) *r++ = i, *c++ = j;
  return out;
}
Tensor tril_indices(int64_t row, int64_t col, int64_t offset) { return triangle_indices(row, col, offset, false); }
Tensor triu_indices(int64_t row, int64_t col, int64_t offset) { return triangle_indices(row, col, offset, true); }

Tensor scalar_of_default_dtype(const Scalar& value, std::optional<DType> dtype) {
  return scalar_tensor(value, dtype.value_or(default_dtype()));
}

const Operator ops[] = {
    {&zeros_sized, "zeros(int[] size, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction | kOut,
     "Zeros.\n"
     ">>> pydl.zeros(2, 3)\ntensor([[0., 0., 0.],\n        [0., 0., 0.]])"},
    {&ones_sized, "ones(int[] size, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction | kOut,
     "Ones.\n"
     ">>> pydl.ones(3, dtype=pydl.int64)\ntensor([1, 1, 1])"},
    {&empty_sized, "empty(int[] size, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False, MemoryFormat? memory_format=None) -> Tensor",
     kFunction,
     "Uninitialised memory.\n"
     ">>> pydl.empty(2, 3).shape\npydl.Size([2, 3])"},
    {&empty_strided, "empty_strided(int[] size, int[] stride, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction,
     "Uninitialised memory with the given strides.\n"
     ">>> x = pydl.empty_strided((2, 3), (1, 2))\n"
     ">>> x.shape, x.stride()\n(pydl.Size([2, 3]), (1, 2))"},
    {&full_sized, "full(int[] size, Scalar fill_value, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor", kFunction | kOut,
     "A tensor filled with fill_value, of its dtype unless told otherwise.\n"
     ">>> pydl.full((2, 2), 7)\ntensor([[7, 7],\n        [7, 7]])"},
    {&scalar_of_default_dtype, "scalar_tensor(Scalar s, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction,
     "A 0-d tensor, of the default dtype unless told otherwise.\n"
     ">>> pydl.scalar_tensor(3)\ntensor(3.)"},
    {&arange_end, "arange(Scalar end, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor", kFunction | kOut,
     "Numbers from start (0) up to, not including, end in steps of step (1).\n"
     ">>> pydl.arange(5)\ntensor([0, 1, 2, 3, 4])\n"
     ">>> pydl.arange(1, 10, 3)\ntensor([1, 4, 7])"},
    {&arange, "arange(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor", kFunction | kOut, ""},
    {&linspace, "linspace(Scalar start, Scalar end, int steps, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction | kOut,
     "`steps` evenly spaced numbers, both ends included.\n"
     ">>> pydl.linspace(0, 1, 5)\ntensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])"},
    {&logspace, "logspace(Scalar start, Scalar end, int steps, float base=10.0, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction | kOut,
     "base to the power of evenly spaced numbers.\n"
     ">>> pydl.logspace(-1, 1, 3)\ntensor([ 0.1000,  1.0000, 10.0000])"},
    {&eye_square, "eye(int n, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor", kFunction | kOut,
     "Ones on the diagonal of an n x m (n x n) matrix.\n"
     ">>> pydl.eye(2)\ntensor([[1., 0.],\n        [0., 1.]])\n"
     ">>> pydl.eye(2, 3)\ntensor([[1., 0., 0.],\n        [0., 1., 0.]])"},
    {&eye, "eye(int n, int? m, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor", kFunction | kOut, ""},
    {&zeros_like_as, "zeros_like(Tensor input, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False, MemoryFormat? memory_format=None) -> Tensor",
     kFunction | kNoGrad,
     "Zeros with the shape and dtype of input.\n"
     ">>> pydl.zeros_like(pydl.tensor([[1, 2], [3, 4]]))\ntensor([[0, 0],\n        [0, 0]])"},
    {&ones_like_as, "ones_like(Tensor input, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False, MemoryFormat? memory_format=None) -> Tensor",
     kFunction | kNoGrad,
     "Ones with the shape and dtype of input.\n"
     ">>> pydl.ones_like(pydl.tensor([[1, 2], [3, 4]]))\ntensor([[1, 1],\n        [1, 1]])"},
    {&empty_like_as, "empty_like(Tensor input, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False, MemoryFormat? memory_format=None) -> Tensor",
     kFunction | kNoGrad,
     "Uninitialised memory with the shape and dtype of input.\n"
     ">>> x = pydl.empty_like(pydl.tensor([[1, 2], [3, 4]]))\n"
     ">>> x.shape, x.dtype\n(pydl.Size([2, 2]), pydl.int64)"},
    {&full_like, "full_like(Tensor input, Scalar fill_value, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False, MemoryFormat? memory_format=None) -> Tensor",
     kFunction | kNoGrad,
     "fill_value in the shape and dtype of input.\n"
     ">>> pydl.full_like(pydl.tensor([[1, 2], [3, 4]]), 7)\ntensor([[7, 7],\n        [7, 7]])"},
    {&new_zeros, "new_zeros(Tensor input, int[] size, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kMethod | kNoGrad,
     "Zeros of this dtype.\n"
     ">>> x = pydl.tensor([1, 2])\n"
     ">>> x.new_zeros(3)\ntensor([0, 0, 0])"},
    {&new_ones, "new_ones(Tensor input, int[] size, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kMethod | kNoGrad,
     "Ones of this dtype.\n"
     ">>> x = pydl.tensor([1, 2])\n"
     ">>> x.new_ones(3)\ntensor([1, 1, 1])"},
    {&new_empty, "new_empty(Tensor input, int[] size, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kMethod | kNoGrad,
     "Uninitialised memory of this dtype.\n"
     ">>> x = pydl.tensor([1, 2])\n"
     ">>> x.new_empty(3).dtype\npydl.int64"},
    {&new_full, "new_full(Tensor input, int[] size, Scalar fill_value, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kMethod | kNoGrad,
     "fill_value in this dtype.\n"
     ">>> x = pydl.tensor([1, 2])\n"
     ">>> x.new_full((3,), 7)\ntensor([7, 7, 7])"},
    {&tril_indices, "tril_indices(int row, int col, int offset=0) -> Tensor", kFunction,
     "Row and column indices of the lower triangle.\n"
     ">>> pydl.tril_indices(3, 3, offset=-1)\ntensor([[1, 2, 2],\n        [0, 0, 1]])"},
    {&triu_indices, "triu_indices(int row, int col, int offset=0) -> Tensor", kFunction,
     "Row and column indices of the upper triangle.\n"
     ">>> pydl.triu_indices(3, 3, offset=1)\ntensor([[0, 0, 1],\n        [1, 2, 2]])"},
};

}  // namespace

}  // namespace pydl
