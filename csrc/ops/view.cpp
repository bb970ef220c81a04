#include "ops/view.h"

#include "autograd/node.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/index.h"
#include "ops/pointwise.h"

namespace pydl {

namespace {

// A view of x with its place in the graph; `backward` maps the view's gradient to x's.
template <class F> Tensor make_view(const char* name, const Tensor& x, IntSpan sizes, IntSpan strides, int64_t offset, F&& backward) {
  if (int64_t(sizes.size()) > kMaxDims)
    fail<ShapeError>("view: expected at most ", kMaxDims, " dimensions, got ", sizes.size());
  Tensor v = x.alias(sizes, strides, offset);
  autograd::set_base(v, x);
  if (autograd::needed(x)) autograd::record(name, v, {x}, std::forward<F>(backward));
  return v;
}

// Gradient of a view that shows part of x: zeros elsewhere. `window` takes the same view of a tensor shaped like x.
template <class F> Tensor embed(const Tensor& g, IntSpan sizes, F&& window) {
  Tensor full = autograd::arithmetic.zeros(sizes, g.dtype());
  copy_(window(full), g);
  return full;
}

// The flat positions that a strided view shows, as an int64 tensor of its shape.
Tensor strided_positions(IntSpan sizes, IntSpan strides, int64_t offset) {
  const Tensor out = Tensor::empty(sizes, DType::Int64);
  int64_t* p = out.data<int64_t>();
  for (int64_t i = 0; i < out.numel(); ++i) {
    int64_t rest = i, at = offset;
    for (size_t d = sizes.size(); d-- > 0; rest /= sizes[d]) at += rest % sizes[d] * strides[d];
    p[i] = at;
  }
  return out;
}

}  // namespace

Dims infer_shape(const char* op, IntSpan shape, int64_t numel) {
  Dims out(shape);
  int64_t known = std::find(shape.begin(), shape.end(), 0) == shape.end(), unknown = -1;
  for (size_t d = 0; d < out.size(); ++d) {
    if (out[d] == -1) {
      if (unknown >= 0) fail<ShapeError>(op, ": expected at most one -1 in the shape, got ", show(shape));
      unknown = int64_t(d);
    } else if (out[d] < 0) {
      fail<ShapeError>(op, ": expected non-negative sizes or one -1, got ", show(shape));
    } else if (known && __builtin_mul_overflow(known, out[d], &known)) {
      fail<ShapeError>(op, ": expected a shape of ", numel, " elements, got ", show(shape));
    }
  }
  if (unknown >= 0 && known > 0 && numel % known == 0) {
    out[size_t(unknown)] = numel / known;
    return out;
  }
  if (unknown >= 0 && known == 0) fail<ShapeError>(op, ": expected sizes that determine the -1, got ", show(shape), " for ", numel, " elements");
  if (unknown >= 0 || known != numel) fail<ShapeError>(op, ": expected a shape of ", numel, " elements, got ", show(shape));
  return out;
}

std::optional<Dims> view_strides(const Tensor& x, IntSpan shape) {
  if (x.is_contiguous() || x.numel() == 0) return contiguous_strides(shape);
  Dims strides(shape.size(), 1);
  // Walk runs of x's dimensions that lie in one piece and hand each to as many of the new dimensions as it fills.
  int64_t s = int64_t(shape.size()) - 1;
  int64_t base = x.dim() ? x.stride(-1) : 1, run = 1, filled = 1;
  for (int64_t d = x.dim() - 1; d >= 0; --d) {
    run *= x.size(d);
    const bool last = d == 0 || (x.size(d - 1) != 1 && x.stride(d - 1) != run * base);
    if (!last) continue;
    while (s >= 0 && (filled < run || shape[size_t(s)] == 1)) {
      strides[size_t(s)] = filled * base;
      filled *= shape[size_t(s)];
      --s;
    }
    if (filled != run) return std::nullopt;
    if (d > 0) {
      base = x.stride(d - 1);
      run = filled = 1;
    }
  }
  return s < 0 ? std::optional(strides) : std::nullopt;
}

Tensor as_strided(const Tensor& x, IntSpan size, IntSpan stride, std::optional<int64_t> storage_offset) {
  Call call("as_strided");
  if (size.size() != stride.size())
    fail<ShapeError>("as_strided: expected as many strides as sizes, got ", show(size), " and ", show(stride));
  const int64_t offset = storage_offset.value_or(x.offset()), elements = int64_t(x.storage()->nbytes) / x.item_size();
  bool inside = offset >= 0;
  int64_t last = offset;
  for (size_t d = 0; d < size.size(); ++d) {
    if (stride[d] < 0) fail("as_strided: expected non-negative strides, got ", show(stride));
    int64_t step;
    inside &= !__builtin_mul_overflow(size[d] - 1, stride[d], &step) && !__builtin_add_overflow(last, step, &last);
  }
  if (offset < 0 || (element_count(size) && (!inside || last >= elements)))
    fail("as_strided: expected a view inside a storage of ", x.storage()->nbytes, " bytes, got sizes ", show(size), ", strides ",
         show(stride), ", offset ", offset);
  const Dims from(x.sizes()), from_strides(x.strides()), to(size), to_strides(stride);
  return make_view("AsStridedBackward", x, size, stride, offset, [=, origin = x.offset()](const Tensor& g) {
    // Elements shown twice add up, so the gradient is gathered by flat position.
    int64_t extent = 1;
    for (size_t d = 0; d < from.size(); ++d) extent += (from[d] - 1) * from_strides[d];
    int64_t reach = offset - origin + 1;
    for (size_t d = 0; d < to.size(); ++d) reach += (to[d] - 1) * to_strides[d];
    Tensor flat = autograd::arithmetic.zeros(Dims{std::max(extent, reach)}, g.dtype());
    const Tensor positions = strided_positions(to, to_strides, offset - origin);
    index_add_(flat, 0, reshape(positions, Dims{-1}), reshape(g, Dims{-1}));
    return as_strided(flat, from, from_strides, 0);
  });
}

Tensor view(const Tensor& x, IntSpan shape) {
  Call call("view");
  const Dims wanted = infer_shape("view", shape, x.numel());
  const auto strides = view_strides(x, wanted);
  if (!strides) {
    // Dense channels-last memory, whose contiguous twin could be viewed: a copy, as docs/differences.md tells. Code
    // that wrote into the view would expect to find that in x, so nobody may write.
    if (x.is_channels_last()) {
      const Tensor copy = clone(x, MemoryFormat::Contiguous);
      copy.storage()->read_only = copy.storage()->view_copy = true;
      return view(copy, wanted);
    }
    fail<ShapeError>("view: expected a shape compatible with strides ", show(x.strides()), " of shape ", show(x.sizes()), ", got ", show(wanted),
         "; use reshape()");
  }
  return make_view("ViewBackward", x, wanted, *strides, x.offset(), [from = Dims(x.sizes())](const Tensor& g) { return reshape(g, from); });
}

namespace {

// The same bytes as another dtype, outside any graph. The last dimension counts the elements that its bytes make.
Tensor view_bits(const Tensor& x, std::optional<DType> as) {
  Call call("view");
  x.check_dense();
  const DType dtype = *as;
  if (dtype == x.dtype()) return view(x, x.sizes());
  Dims sizes(x.sizes()), strides(x.strides());
  int64_t offset = x.offset();
  const int64_t from = x.item_size(), to = item_size(dtype), ratio = std::max(from, to) / std::min(from, to);
  if (ratio > 1) {
    if (x.dim() == 0) fail("view: expected a tensor with dimensions to go from ", from, " bytes an element to ", to, ", got a 0-d tensor");
    if (x.stride(-1) != 1) fail("view: expected a last dimension of stride 1 for another element size, got strides ", show(x.strides()));
    sizes.back() = from > to ? sizes.back() * ratio : sizes.back() / ratio;
    offset = from > to ? offset * ratio : offset / ratio;
    bool whole = from > to || (x.size(-1) % ratio == 0 && x.offset() % ratio == 0);
    for (size_t d = 0; d + 1 < strides.size(); ++d) {
      whole &= from > to || strides[d] % ratio == 0;
      strides[d] = from > to ? strides[d] * ratio : strides[d] / ratio;
    }
    if (!whole)
      fail("view: expected a last size, strides and a storage offset divisible by ", ratio, " for ", dtype, ", got ", x, " with strides ",
           show(x.strides()), " and offset ", x.offset());
  }
  const Tensor v = Tensor::over(x.storage(), sizes, strides, offset, dtype);
  v.impl()->inference = x.impl()->inference;
  return v;
}

}  // namespace

Tensor reshape(const Tensor& x, IntSpan shape) {
  const Dims wanted = infer_shape("reshape", shape, x.numel());
  if (view_strides(x, wanted)) return view(x, wanted);
  return view(clone(x, MemoryFormat::Contiguous), wanted);
}

Tensor permute(const Tensor& x, IntSpan dims) {
  Call call("permute");
  if (int64_t(dims.size()) != x.dim()) fail<ShapeError>("permute: expected ", x.dim(), " dimensions, got ", show(dims));
  Dims order, sizes, strides, inverse(dims.size(), 0);
  if (!dims.empty()) order = wrap_dims("permute", dims, x.dim());
  for (size_t i = 0; i < order.size(); ++i) {
    sizes.push_back(x.size(order[i]));
    strides.push_back(x.stride(order[i]));
    inverse[size_t(order[i])] = int64_t(i);
  }
  return make_view("PermuteBackward", x, sizes, strides, x.offset(), [inverse](const Tensor& g) { return permute(g, inverse); });
}

Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1) {
  Call call("transpose");
  const int64_t a = wrap_dim("transpose", dim0, x.dim()), b = wrap_dim("transpose", dim1, x.dim());
  Dims sizes(x.sizes()), strides(x.strides());
  if (x.dim() > 0) {
    std::swap(sizes[size_t(a)], sizes[size_t(b)]);
    std::swap(strides[size_t(a)], strides[size_t(b)]);
  }
  return make_view("TransposeBackward", x, sizes, strides, x.offset(), [a, b](const Tensor& g) { return transpose(g, a, b); });
}

Tensor t(const Tensor& x) {
  if (x.dim() > 2) fail("t: expected at most 2 dimensions, got ", x);
  return x.dim() < 2 ? transpose(x, 0, 0) : transpose(x, 0, 1);
}

Tensor expand(const Tensor& x, IntSpan size, bool) {
  Call call("expand");
  if (int64_t(size.size()) < x.dim())
    fail<ShapeError>("expand: expected at least ", x.dim(), " sizes, got ", show(size), " for a tensor of shape ", show(x.sizes()));
  const size_t lead = size.size() - size_t(x.dim());
  Dims sizes(size), strides(size.size(), 0);
  for (size_t d = 0; d < size.size(); ++d) {
    const int64_t have = d < lead ? 1 : x.sizes()[d - lead];
    if (sizes[d] == -1) {
      if (d < lead) fail("expand: expected a size for each new leading dimension, got ", show(size));
      sizes[d] = have;
    }
    if (sizes[d] < 0 || (have != 1 && sizes[d] != have))
      fail<ShapeError>("expand: expected sizes that ", show(x.sizes()), " broadcasts to, got ", show(size));
    strides[d] = d < lead || (have == 1 && sizes[d] != 1) ? 0 : x.strides()[d - lead];
  }
  element_count(sizes);  // raises for more than int64 counts
  return make_view("ExpandBackward", x, sizes, strides, x.offset(), [from = Dims(x.sizes())](const Tensor& g) { return sum_to(g, from); });
}

static Tensor squeeze_where(const Tensor& x, uint64_t drop) {
  Call call("squeeze");
  Dims sizes, strides;
  for (int64_t d = 0; d < x.dim(); ++d)
    if (x.size(d) != 1 || !(drop >> d & 1)) {
      sizes.push_back(x.size(d));
      strides.push_back(x.stride(d));
    }
  return make_view("SqueezeBackward", x, sizes, strides, x.offset(), [from = Dims(x.sizes())](const Tensor& g) { return reshape(g, from); });
}

Tensor squeeze(const Tensor& x) { return squeeze_where(x, ~uint64_t(0)); }

Tensor squeeze(const Tensor& x, IntSpan dims) {
  uint64_t drop = 0;
  if (!dims.empty())
    for (int64_t d : wrap_dims("squeeze", dims, x.dim())) drop |= uint64_t(1) << d;
  return squeeze_where(x, drop);
}

Tensor unsqueeze(const Tensor& x, int64_t dim) {
  Call call("unsqueeze");
  const int64_t d = wrap_dim("unsqueeze", dim, x.dim() + 1);
  Dims sizes(x.sizes()), strides(x.strides());
  const int64_t stride = d < x.dim() ? x.size(d) * x.stride(d) : 1;
  sizes.insert(sizes.begin() + d, 1);
  strides.insert(strides.begin() + d, stride);
  return make_view("UnsqueezeBackward", x, sizes, strides, x.offset(), [d](const Tensor& g) { return squeeze(g, Dims{d}); });
}

Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  Call call("select");
  if (x.dim() == 0) fail<IndexError>("select: expected a tensor with dimensions, got a 0-d tensor");
  const int64_t d = wrap_dim("select", dim, x.dim()), n = x.size(d);
  if (index < -n || index >= n)
    fail<IndexError>("select: expected an index in [", -n, ", ", n - 1, "] for dimension ", d, " of size ", n, ", got ", index);
  const int64_t i = index < 0 ? index + n : index;
  Dims sizes(x.sizes()), strides(x.strides());
  sizes.erase(sizes.begin() + d);
  strides.erase(strides.begin() + d);
  return make_view("SelectBackward", x, sizes, strides, x.offset() + i * x.stride(d), [d, i, from = Dims(x.sizes())](const Tensor& g) {
    return embed(g, from, [&](const Tensor& f) { return select(f, d, i); });
  });
}

Tensor slice(const Tensor& x, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end, int64_t step) {
  Call call("slice");
  if (x.dim() == 0) fail<IndexError>("slice: expected a tensor with dimensions, got a 0-d tensor");
  if (step <= 0) fail<ValueError>("slice: expected a positive step, got ", step);
  const int64_t d = wrap_dim("slice", dim, x.dim()), n = x.size(d);
  auto clip = [n](int64_t i) { return std::clamp(i < 0 ? i + n : i, int64_t(0), n); };
  const int64_t from = clip(start.value_or(0)), to = std::max(from, clip(end.value_or(n)));
  Dims sizes(x.sizes()), strides(x.strides());
  sizes[size_t(d)] = to > from ? (to - from - 1) / step + 1 : 0;
  if (sizes[size_t(d)] > 1 || step <= n) strides[size_t(d)] *= step;  // else there is no next element
  return make_view("SliceBackward", x, sizes, strides, x.offset() + from * x.stride(d), [=, whole = Dims(x.sizes())](const Tensor& g) {
    return embed(g, whole, [&](const Tensor& f) { return slice(f, d, from, to, step); });
  });
}

Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  if (x.dim() == 0) fail("narrow: expected a tensor with dimensions, got a 0-d tensor");
  const int64_t d = wrap_dim("narrow", dim, x.dim()), n = x.size(d);
  if (start < -n || start > n) fail<IndexError>("narrow: expected a start in [", -n, ", ", n, "], got ", start);
  const int64_t from = start < 0 ? start + n : start;
  if (length < 0 || length > n - from)
    fail("narrow: expected start + length at most ", n, ", got ", from, " + ", length);
  return slice(x, d, from, from + length);
}

Tensor diagonal(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  Call call("diagonal");
  const int64_t a = wrap_dim("diagonal", dim1, x.dim()), b = wrap_dim("diagonal", dim2, x.dim());
  if (a == b) fail("diagonal: expected two different dimensions, got ", dim1, " and ", dim2);
  const int64_t length = std::max<int64_t>(0, offset >= 0 ? std::min(x.size(a), x.size(b) - offset) : std::min(x.size(a) + offset, x.size(b)));
  const int64_t start = x.offset() + (length == 0 ? 0 : offset >= 0 ? offset * x.stride(b) : -offset * x.stride(a));
  Dims sizes, strides;
  for (int64_t d = 0; d < x.dim(); ++d)
    if (d != a && d != b) {
      sizes.push_back(x.size(d));
      strides.push_back(x.stride(d));
    }
  sizes.push_back(length);
  strides.push_back(x.stride(a) + x.stride(b));
  return make_view("DiagonalBackward", x, sizes, strides, start, [=, from = Dims(x.sizes())](const Tensor& g) {
    return embed(g, from, [&](const Tensor& f) { return diagonal(f, offset, a, b); });
  });
}

Tensor unfold(const Tensor& x, int64_t dimension, int64_t size, int64_t step) {
  Call call("unfold");
  const int64_t d = wrap_dim("unfold", dimension, x.dim()), n = x.dim() ? x.size(d) : 1;
  if (size < 0 || size > n) fail("unfold: expected a size in [0, ", n, "], got ", size);
  if (step <= 0) fail("unfold: expected a positive step, got ", step);
  Dims sizes(x.sizes()), strides(x.strides());
  const int64_t stride = x.dim() ? x.stride(d) : 1;
  if (x.dim()) {
    sizes[size_t(d)] = (n - size) / step + 1;
    strides[size_t(d)] = stride * step;
  }
  sizes.push_back(size);
  strides.push_back(stride);
  return make_view("UnfoldBackward", x, sizes, strides, x.offset(), [=, from = Dims(x.sizes())](const Tensor& g) {
    // Window positions along d overlap: add window column j to the elements it came from, one column at a time.
    Tensor full = autograd::arithmetic.zeros(from, g.dtype());
    for (int64_t j = 0; j < size; ++j) {
      const Tensor column = select(g, -1, j);
      if (from.empty()) return reshape(column, from);
      Tensor target = slice(full, d, j, j + (column.size(d) - 1) * step + 1, step);
      add(target, column, Scalar(1), Out::inplace(target));
    }
    return full;
  });
}

Tensor flatten(const Tensor& x, int64_t start_dim, int64_t end_dim) {
  const int64_t a = wrap_dim("flatten", start_dim, x.dim()), b = wrap_dim("flatten", end_dim, x.dim());
  if (a > b) fail("flatten: expected start_dim <= end_dim, got ", start_dim, " and ", end_dim);
  if (x.dim() == 0) return reshape(x, Dims{1});
  if (a == b) return x;
  Dims shape(x.sizes().begin(), x.sizes().begin() + a);
  int64_t run = 1;
  for (int64_t d = a; d <= b; ++d) run *= x.size(d);
  shape.push_back(run);
  for (int64_t d = b + 1; d < x.dim(); ++d) shape.push_back(x.size(d));
  return reshape(x, shape);
}

Tensor detach(const Tensor& x) { return x.alias(); }

namespace {

Tensor squeeze_one(const Tensor& x, int64_t dim) { return squeeze(x, Dims{dim}); }
Tensor numpy_t(const Tensor& x) {
  Dims reversed;
  for (int64_t d = x.dim() - 1; d >= 0; --d) reversed.push_back(d);
  return permute(x, reversed);
}

const Operator ops[] = {
    {&as_strided, "as_strided(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor",
     kFunction | kMethod,
     "A view with the given size, stride and storage offset, in elements.\n"
     ">>> pydl.as_strided(pydl.arange(4), size=(3, 2), stride=(1, 1))\n"
     "tensor([[0, 1],\n        [1, 2],\n        [2, 3]])"},
    {&view, "view(Tensor input, int[] size) -> Tensor", kMethod,
     "The same memory in another shape; one size may be -1. Or the same bytes as another dtype.\n"
     ">>> pydl.arange(6).view(2, -1)\ntensor([[0, 1, 2],\n        [3, 4, 5]])\n"
     ">>> pydl.tensor([1.0]).view(pydl.int32)\ntensor([1065353216], dtype=pydl.int32)"},
    {&view_bits, "view(Tensor input, ScalarType dtype) -> Tensor", kMethod, ""},
    {&reshape, "reshape(Tensor input, int[] shape) -> Tensor", kFunction | kMethod,
     "The values in another shape: a view where strides allow it, else a copy.\n"
     ">>> pydl.reshape(pydl.arange(6), (2, -1))\ntensor([[0, 1, 2],\n        [3, 4, 5]])"},
    {&permute, "permute(Tensor input, int[] dims) -> Tensor", kFunction | kMethod,
     "A view with the dimensions in the given order.\n"
     ">>> pydl.permute(pydl.zeros(2, 3, 5), (2, 0, 1)).shape\npydl.Size([5, 2, 3])"},
    {&transpose, "transpose(Tensor input, int dim0, int dim1) -> Tensor", kFunction | kMethod,
     "A view with two dimensions swapped.\n"
     ">>> pydl.transpose(pydl.tensor([[1, 2, 3], [4, 5, 6]]), 0, 1)\n"
     "tensor([[1, 4],\n        [2, 5],\n        [3, 6]])"},
    {&transpose, "swapaxes(Tensor input, int axis0, int axis1) -> Tensor", kFunction | kMethod,
     "Alias of transpose.\n"
     ">>> pydl.swapaxes(pydl.zeros(2, 3, 5), 0, 2).shape\npydl.Size([5, 3, 2])"},
    {&transpose, "swapdims(Tensor input, int dim0, int dim1) -> Tensor", kFunction | kMethod,
     "Alias of transpose.\n"
     ">>> pydl.swapdims(pydl.zeros(2, 3, 5), 0, 2).shape\npydl.Size([5, 3, 2])"},
    {&t, "t(Tensor input) -> Tensor", kFunction | kMethod,
     "The transpose of a matrix; vectors as they are.\n"
     ">>> pydl.t(pydl.tensor([[1, 2, 3], [4, 5, 6]]))\ntensor([[1, 4],\n        [2, 5],\n        [3, 6]])"},
    {&numpy_t, "numpy_T(Tensor input) -> Tensor", kMethod,
     "All dimensions in reverse order: the T attribute.\n"
     ">>> pydl.zeros(2, 3, 5).numpy_T().shape\npydl.Size([5, 3, 2])"},
    {&expand, "expand(Tensor input, int[] size, *, bool implicit=False) -> Tensor", kMethod,
     "A view that repeats dimensions of size 1 without copying; -1 keeps a size.\n"
     ">>> pydl.tensor([[1], [2]]).expand(-1, 3)\ntensor([[1, 1, 1],\n        [2, 2, 2]])"},
    {static_cast<Tensor (*)(const Tensor&)>(&squeeze), "squeeze(Tensor input) -> Tensor", kFunction | kMethod,
     "A view without the dimensions of size 1, or without those named.\n"
     ">>> pydl.squeeze(pydl.zeros(1, 2, 1)).shape\npydl.Size([2])\n"
     ">>> pydl.squeeze(pydl.zeros(1, 2, 1), dim=0).shape\npydl.Size([2, 1])"},
    {&squeeze_one, "squeeze(Tensor input, int dim) -> Tensor", kFunction | kMethod, ""},
    {static_cast<Tensor (*)(const Tensor&, IntSpan)>(&squeeze), "squeeze(Tensor input, int[] dim) -> Tensor", kFunction | kMethod, ""},
    {&unsqueeze, "unsqueeze(Tensor input, int dim) -> Tensor", kFunction | kMethod,
     "A view with a dimension of size 1 inserted at dim.\n"
     ">>> pydl.unsqueeze(pydl.tensor([1, 2]), dim=1)\ntensor([[1],\n        [2]])"},
    {static_cast<Tensor (*)(const Tensor&, int64_t, int64_t)>(&select),
     "select(Tensor input, int dim, int index) -> Tensor", kFunction | kMethod,
     "A view of one index along dim.\n"
     ">>> pydl.select(pydl.tensor([[1, 2], [3, 4]]), dim=1, index=0)\ntensor([1, 3])"},
    {&narrow, "narrow(Tensor input, int dim, int start, int length) -> Tensor", kFunction | kMethod,
     "A view of length indices along dim from start.\n"
     ">>> pydl.narrow(pydl.arange(6), dim=0, start=2, length=3)\ntensor([2, 3, 4])"},
    {&diagonal, "diagonal(Tensor input, int offset=0, int dim1=0, int dim2=1) -> Tensor", kFunction | kMethod,
     "A view of the diagonal over dim1 and dim2, as the last dimension.\n"
     ">>> pydl.diagonal(pydl.tensor([[1, 2], [3, 4]]))\ntensor([1, 4])\n"
     ">>> pydl.diagonal(pydl.tensor([[1, 2], [3, 4]]), offset=1)\ntensor([2])"},
    {&unfold, "unfold(Tensor input, int dimension, int size, int step) -> Tensor", kMethod,
     "A view of all windows of `size` along dimension, `step` apart, as a new last dimension.\n"
     ">>> pydl.arange(5).unfold(0, size=3, step=2)\ntensor([[0, 1, 2],\n        [2, 3, 4]])"},
    {&flatten, "flatten(Tensor input, int start_dim=0, int end_dim=-1) -> Tensor", kFunction | kMethod,
     "The dimensions from start_dim to end_dim as one.\n"
     ">>> pydl.flatten(pydl.zeros(2, 3, 5), start_dim=1).shape\npydl.Size([2, 15])"},
    {&detach, "detach(Tensor input) -> Tensor", kFunction | kMethod | kNoGrad,
     "The same memory outside the graph.\n"
     ">>> x = pydl.tensor([1.0, 2.0], requires_grad=True)\n"
     ">>> pydl.detach(x)\ntensor([1., 2.])"},
};

}  // namespace

}  // namespace pydl
