#include "ops/index.h"

#include <cstring>

#include "autograd/node.h"
#include "base/parallel.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/iterate.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace pydl {

namespace {

// Offsets (in elements) of every position of a strided block, in logical order.
std::vector<int64_t> block_offsets(IntSpan sizes, IntSpan strides) {
  std::vector<int64_t> offsets{0};
  for (size_t d = 0; d < sizes.size(); ++d) {
    std::vector<int64_t> next;
    next.reserve(offsets.size() * size_t(sizes[d]));
    for (int64_t o : offsets)
      for (int64_t i = 0; i < sizes[d]; ++i) next.push_back(o + i * strides[d]);
    offsets = std::move(next);
  }
  return offsets;
}

// x[indices] as three nested loops: element (o, b, i) of the result lies at outer[o] + picked[b] + inner[i] in x.
struct Picks {
  std::vector<int64_t> outer, picked, inner;
  bool inner_contiguous = true;
  Dims result_sizes;   // with the broadcast index shape in its place
};

Tensor as_int64(const char* op, const Tensor& index) {
  if (!is_integral(index.dtype()) || index.dtype() == DType::Bool)
    fail<IndexError>(op, ": expected integer or bool indices, got ", index);
  return contiguous(cast(index.alias(), DType::Int64));
}

// Bool indices become the positions where they are true.
std::vector<Tensor> expand_masks(const Tensor& x, const std::vector<Tensor>& indices) {
  std::vector<Tensor> out;
  for (const Tensor& i : indices) {
    if (!i.defined() || i.dtype() != DType::Bool) {
      out.push_back(i);
      continue;
    }
    for (int64_t d = 0; d < i.dim(); ++d) {
      const int64_t at = int64_t(out.size()) + d;
      if (at >= x.dim() || x.size(at) != i.size(d))
        fail<IndexError>("index: expected a mask that matches dimensions ", out.size(), " and on of ", show(x.sizes()), ", got ", i);
    }
    const Tensor positions = nonzero(i);
    for (int64_t d = 0; d < i.dim(); ++d) out.push_back(contiguous(select(positions, 1, d)));
  }
  if (int64_t(out.size()) > x.dim())
    fail<IndexError>("index: expected at most ", x.dim(), " indices for shape ", show(x.sizes()), ", got ", out.size());
  return out;
}

Picks plan(const Tensor& x, const std::vector<Tensor>& indices) {
  Dims shape;
  int64_t first = -1, last = -1;
  for (size_t d = 0; d < indices.size(); ++d)
    if (indices[d].defined()) {
      shape = broadcast_shapes("index", shape, indices[d].sizes());
      if (first < 0) first = int64_t(d);
      last = int64_t(d);
    }
  bool adjacent = true;
  for (int64_t d = first; d <= last; ++d) adjacent &= d < 0 || indices[size_t(d)].defined();

  Picks p;
  p.picked.assign(size_t(element_count(shape)), 0);
  Dims outer_sizes, outer_strides, inner_sizes, inner_strides;
  for (int64_t d = 0; d < x.dim(); ++d) {
    const bool indexed = d < int64_t(indices.size()) && indices[size_t(d)].defined();
    if (!indexed) {
      const bool before = adjacent && d < first;
      (before ? outer_sizes : inner_sizes).push_back(x.size(d));
      (before ? outer_strides : inner_strides).push_back(x.stride(d));
      continue;
    }
    const Tensor index = contiguous(expand(as_int64("index", indices[size_t(d)]), shape));
    const int64_t n = x.size(d), stride = x.stride(d);
    const int64_t* at = index.data<int64_t>();
    for (size_t b = 0; b < p.picked.size(); ++b) {
      if (at[b] < -n || at[b] >= n)
        fail<IndexError>("index: expected indices in [", -n, ", ", n - 1, "] for dimension ", d, " of size ", n, ", got ", at[b]);
      p.picked[b] += (at[b] < 0 ? at[b] + n : at[b]) * stride;
    }
  }
  p.outer = block_offsets(outer_sizes, outer_strides);
  p.inner = block_offsets(inner_sizes, inner_strides);
  p.inner_contiguous = same(contiguous_strides(inner_sizes), inner_strides) || p.inner.size() <= 1;
  if (!p.inner_contiguous) {
    p.inner_contiguous = true;
    for (size_t i = 0; i < p.inner.size(); ++i) p.inner_contiguous &= p.inner[i] == int64_t(i);
  }
  p.result_sizes = outer_sizes;
  p.result_sizes.append(shape.begin(), shape.end());
  p.result_sizes.append(inner_sizes.begin(), inner_sizes.end());
  return p;
}

// f(position in the result's rows, offset in x) for each row of `inner` elements, in parallel.
template <class F> void for_each_row(const Picks& p, F&& f) {
  const int64_t rows = int64_t(p.outer.size() * p.picked.size()), picked = int64_t(p.picked.size());
  parallel_for(rows, std::max<int64_t>(1, 8192 / std::max<int64_t>(1, int64_t(p.inner.size()))), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) f(r, p.outer[size_t(r / picked)] + p.picked[size_t(r % picked)]);
  });
}

void read_picks(const Tensor& out, const Tensor& x, const Picks& p) {
  const int64_t n = int64_t(p.inner.size());
  visit_bits(x.item_size(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = out.data<T>();
    const T* from = x.data<T>();
    for_each_row(p, [&](int64_t row, int64_t at) {
      T* line = to + row * n;
      if (n == 1) line[0] = from[at];
      else if (p.inner_contiguous) std::memcpy(line, from + at, size_t(n) * sizeof(T));
      else for (int64_t i = 0; i < n; ++i) line[i] = from[at + p.inner[size_t(i)]];
    });
  });
}

// Repeated positions: the last write wins, so rows go in order; accumulation too.
void write_picks(const Tensor& x, const Tensor& values, const Picks& p, bool accumulate) {
  const int64_t n = int64_t(p.inner.size()), rows = int64_t(p.outer.size() * p.picked.size()), picked = int64_t(p.picked.size());
  auto each = [&](auto put) {
    // Threads own columns of a row: every position is written by one thread, in order.
    parallel_for(n, std::max<int64_t>(16, 65536 / std::max<int64_t>(rows, 1)), [&](int64_t begin, int64_t end) {
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = p.outer[size_t(r / picked)] + p.picked[size_t(r % picked)];
        for (int64_t i = begin; i < end; ++i) put(at + p.inner[size_t(i)], r * n + i);
      }
    });
  };
  if (!accumulate) {
    visit_bits(x.item_size(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      each([to = x.data<T>(), from = values.data<T>()](int64_t at, int64_t i) { to[at] = from[i]; });
    });
  } else {
    visit_all(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      each([to = x.data<T>(), from = values.data<T>()](int64_t at, int64_t i) {
        if constexpr (std::is_same_v<T, bool>) to[at] |= from[i];
        else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) to[at] = T(float(to[at]) + float(from[i]));
        else to[at] = T(to[at] + from[i]);
      });
    });
  }
}

}  // namespace

Tensor index(const Tensor& x, const std::vector<Tensor>& indices) {
  Call call("index");
  const std::vector<Tensor> picks = expand_masks(x, indices);
  const Picks p = plan(x, picks);
  const Tensor y = Tensor::empty(p.result_sizes, x.dtype());
  if (y.numel() > 0) read_picks(y, x, p);
  if (autograd::needed(x))
    autograd::record("IndexBackward", y, {x}, [picks, sizes = Dims(x.sizes())](const Tensor& g) {
      return index_put_(autograd::arithmetic.zeros(sizes, g.dtype()), picks, g, true);
    });
  return y;
}

Tensor index_put_(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& value, bool accumulate) {
  Call call("index_put_");
  autograd::check_inplace(call.op, x);
  const std::vector<Tensor> picks = expand_masks(x, indices);
  const Picks p = plan(x, picks);
  if (!same(broadcast_shapes(call.op, p.result_sizes, value.sizes()), p.result_sizes))
    fail<ShapeError>("index_put_: expected a value that broadcasts to ", show(p.result_sizes), ", got ", value);
  if (value.dtype() != x.dtype() && value.dim() > 0)
    fail<IndexError>("index_put_: expected a value of dtype ", x.dtype(), ", got ", value);
  if (x.may_self_overlap()) fail("index_put_: expected a target whose elements do not share memory, got strides ", show(x.strides()));
  const Tensor dense = contiguous(expand(cast(value.alias(), x.dtype()), p.result_sizes));
  if (dense.numel() > 0) write_picks(x, dense.storage() == x.storage() ? clone(dense) : dense, p, accumulate);
  x.bump_version();
  if (autograd::needed(x, value)) {
    const Tensor inputs[] = {x, value};
    autograd::record_inplace("IndexPutBackward", x, inputs, [picks, accumulate](const Tensor& g) {
      Tensor kept = g;
      if (!accumulate) kept = index_put_(clone(g), picks, scalar_tensor(Scalar(0.0), g.dtype()), false);
      return Tensors{kept, index(g, picks)};
    });
  }
  return x;
}

// ---- one index tensor along a dimension ------------------------------------------------------------------------------

namespace {

// An index vector checked against [0, n): negative indices are not wrapped here, as in PyTorch.
Tensor checked_index(const char* op, const Tensor& index, int64_t n, int64_t dim) {
  if (index.dtype() != DType::Int64 && index.dtype() != DType::Int32)
    fail(op, ": expected int64 or int32 indices, got ", index);
  const Tensor dense = contiguous(cast(index.alias(), DType::Int64));
  const int64_t* at = dense.data<int64_t>();
  for (int64_t i = 0; i < dense.numel(); ++i)
    if (at[i] < 0 || at[i] >= n)
      fail<IndexError>(op, ": expected indices in [0, ", n - 1, "] for dimension ", dim, " of size ", n, ", got ", at[i]);
  return dense;
}

// Walks gather and scatter: f(offset in `strided`, position in the contiguous index) for every element of index.
template <class F> void for_each_along(const Tensor& strided, int64_t dim, const Tensor& index, F&& f) {
  const int64_t* at = index.data<int64_t>();
  const Dims sizes(index.sizes());
  const int64_t nd = index.dim();
  if (nd == 0) return f(0, 0);
  const int64_t last = sizes.back(), rows = index.numel() / std::max<int64_t>(last, 1);
  const int64_t step = dim == nd - 1 ? 0 : strided.stride(-1), along = strided.stride(dim);
  for (int64_t r = 0; r < rows; ++r) {
    int64_t rest = r, base = 0;
    for (int64_t d = nd - 2; d >= 0; --d) {
      if (d != dim) base += rest % sizes[size_t(d)] * strided.stride(d);
      rest /= sizes[size_t(d)];
    }
    for (int64_t i = 0; i < last; ++i) f(base + i * step + at[r * last + i] * along, r * last + i);
  }
}

void check_index_shape(const char* op, const Tensor& x, int64_t dim, const Tensor& index) {
  if (std::max<int64_t>(index.dim(), 1) != std::max<int64_t>(x.dim(), 1))
    fail(op, ": expected an index with as many dimensions as the tensor, got ", index, " for ", x);
  for (int64_t d = 0; d < index.dim(); ++d)
    if (d != dim && index.size(d) > x.size(d))
      fail<ShapeError>(op, ": expected an index no larger than ", show(x.sizes()), " apart from dimension ", dim, ", got ", show(index.sizes()));
}

}  // namespace

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  Call call("gather");
  const int64_t d = wrap_dim(call.op, dim, x.dim());
  check_index_shape(call.op, x, d, index);
  const Tensor at = checked_index(call.op, index, x.dim() ? x.size(d) : 1, d);
  const Tensor y = Tensor::empty(index.sizes(), x.dtype());
  visit_bits(x.item_size(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each_along(x, d, at, [to = y.data<T>(), from = x.data<T>()](int64_t offset, int64_t i) { to[i] = from[offset]; });
  });
  if (autograd::needed(x))
    autograd::record("GatherBackward", y, {x}, [d, at, sizes = Dims(x.sizes())](const Tensor& g) {
      return scatter_add_(autograd::arithmetic.zeros(sizes, g.dtype()), d, at, g);
    });
  return y;
}

Tensor scatter_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  Call call("scatter_add_");
  autograd::check_inplace(call.op, x);
  const int64_t d = wrap_dim(call.op, dim, x.dim());
  check_index_shape(call.op, x, d, index);
  check_index_shape(call.op, src, src.dim() ? -1 : 0, index);
  if (src.dtype() != x.dtype()) fail(call.op, ": expected a source of dtype ", x.dtype(), ", got ", src);
  const Tensor at = checked_index(call.op, index, x.dim() ? x.size(d) : 1, d);
  Tensor values = src.alias();
  for (int64_t k = 0; k < index.dim(); ++k)
    if (values.size(k) != index.size(k)) values = narrow(values, k, 0, index.size(k));
  values = contiguous(values);
  visit_all(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each_along(x, d, at, [to = x.data<T>(), from = values.data<T>()](int64_t offset, int64_t i) {
      if constexpr (std::is_same_v<T, bool>) to[offset] |= from[i];
      else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) to[offset] = T(float(to[offset]) + float(from[i]));
      else to[offset] = T(to[offset] + from[i]);
    });
  });
  x.bump_version();
  if (autograd::needed(x, src)) {
    const Tensor inputs[] = {x, src};
    autograd::record_inplace("ScatterAddBackward", x, inputs, [d, at, sizes = Dims(src.sizes())](const Tensor& g) {
      Tensor picked = gather(g, d, at);
      if (!same(picked.sizes(), sizes)) {
        const Tensor full = autograd::arithmetic.zeros(sizes, g.dtype());
        Tensor window = full;
        for (int64_t k = 0; k < int64_t(sizes.size()); ++k) window = narrow(window, k, 0, picked.size(k));
        copy_(window, picked);
        picked = full;
      }
      return Tensors{g, picked};
    });
  }
  return x;
}

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  Call call("index_select");
  const int64_t d = wrap_dim(call.op, dim, x.dim());
  if (index.dim() > 1) fail<IndexError>("index_select: expected a vector of indices, got ", index);
  const Tensor at = checked_index(call.op, index, x.dim() ? x.size(d) : 1, d);
  if (x.dim() == 0) return clone(x);
  std::vector<Tensor> picks(size_t(d) + 1);
  picks[size_t(d)] = reshape(at, Dims{-1});
  return pydl::index(x, picks);
}

Tensor index_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, const Scalar& alpha) {
  Call call("index_add_");
  const int64_t d = wrap_dim(call.op, dim, x.dim());
  if (index.dim() > 1) fail<IndexError>("index_add_: expected a vector of indices, got ", index);
  const Tensor at = checked_index(call.op, index, x.dim() ? x.size(d) : 1, d);
  Dims expected(x.sizes());
  if (x.dim()) expected[size_t(d)] = at.numel();
  if (!same(source.sizes(), expected)) fail<ShapeError>("index_add_: expected a source of shape ", show(expected), ", got ", source);
  const Tensor scaled = alpha.equals(1) ? source : mul(source, alpha);
  if (x.dim() == 0) return add(x, scaled, Scalar(1), Out::inplace(x));
  std::vector<Tensor> picks(size_t(d) + 1);
  picks[size_t(d)] = reshape(at, Dims{-1});
  return index_put_(x, picks, scaled, true);
}

// ---- masks --------------------------------------------------------------------------------------------------------------

Tensor nonzero(const Tensor& x) {
  Call call("nonzero");
  const Tensor flags = contiguous(x.dtype() == DType::Bool ? x.alias() : ne(x.alias(), Operand(0)));
  const bool* f = flags.data<bool>();
  int64_t count = 0;
  for (int64_t i = 0; i < flags.numel(); ++i) count += f[i];
  const Tensor out = Tensor::empty(Dims{count, x.dim()}, DType::Int64);
  int64_t* p = out.data<int64_t>();
  const Dims sizes(x.sizes());
  for (int64_t i = 0; i < flags.numel(); ++i) {
    if (!f[i]) continue;
    int64_t rest = i;
    for (size_t d = sizes.size(); d-- > 0; rest /= sizes[d]) p[d] = rest % sizes[d];
    p += sizes.size();
  }
  return out;
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, const Operand& value) {
  if (mask.dtype() != DType::Bool) fail("masked_fill: expected a bool mask, got ", mask);
  if (value.is_tensor() && value.tensor().dim() > 0) fail("masked_fill: expected a number or a 0-d tensor, got ", value.tensor());
  const Tensor filled = where(mask, value, x);
  return filled.dtype() == x.dtype() ? filled : cast(filled, x.dtype());
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  if (mask.dtype() != DType::Bool) fail("masked_select: expected a bool mask, got ", mask);
  const Dims shape = broadcast_shapes("masked_select", x.sizes(), mask.sizes());
  return index(expand(x, shape), {expand(mask, shape)});
}

namespace {

constexpr int kBoth = kFunction | kMethod;

const Operator ops[] = {
    {&gather, "gather(Tensor input, int dim, Tensor index) -> Tensor", kBoth | kOut, "The elements at index along dim: out[i][j] = input[index[i][j]][j] for dim 0."},
    {&scatter_add_, "scatter_add_(Tensor input, int dim, Tensor index, Tensor src) -> Tensor", kMethod, "Adds src at index along dim; repeats add up in order."},
    {&index_select, "index_select(Tensor input, int dim, Tensor index) -> Tensor", kBoth | kOut, "The slices at the given indices along dim."},
    {&index_add_, "index_add_(Tensor input, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor", kMethod, "Adds slices of source at the given indices along dim."},
    {&nonzero, "nonzero(Tensor input) -> Tensor", kBoth | kNoGrad | kSynchronizes, "The indices of the elements other than 0, one row each."},
    {&masked_fill, "masked_fill(Tensor input, Tensor mask, Operand value) -> Tensor", kBoth | kInplace, "value where mask is true, input elsewhere."},
    {&masked_select, "masked_select(Tensor input, Tensor mask) -> Tensor", kBoth | kOut | kSynchronizes, "The elements where mask is true, as a vector."},
};

}  // namespace

}  // namespace pydl
