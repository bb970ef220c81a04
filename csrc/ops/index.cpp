#include "ops/index.h"

#include "autograd/node.h"
#include "kernels/index_int.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/index_layout.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tensor/memory_order.h"

namespace pydl {

// ---- masks ----------------------------------------------------------------------------------------------------------

namespace {

// A contiguous mask in chunks, which threads share.
class MaskChunks {
 public:
  explicit MaskChunks(const Tensor& mask) : mask_(mask.data<uint8_t>()), n_(mask.numel()) {
    starts_.resize(size_t((n_ + kChunk - 1) / kChunk) + 1);
    run([&](int64_t c, int64_t begin, int64_t size) { starts_[size_t(c) + 1] = count_true(mask_ + begin, size); });
    for (size_t c = 1; c < starts_.size(); ++c) starts_[c] += starts_[c - 1];
  }
  int64_t count() const { return starts_.back(); }

  // f(first mask element, size, true elements before it, true elements in it) for all chunks.
  template <class F>
  void each(const F& f) const {
    run([&](int64_t c, int64_t begin, int64_t size) {
      f(begin, size, starts_[size_t(c)], starts_[size_t(c) + 1] - starts_[size_t(c)]);
    });
  }

 private:
  static constexpr int64_t kChunk = 2 * kIndexGrain;
  template <class F>
  void run(const F& f) const {
    parallel_for((n_ + kChunk - 1) / kChunk, 1, [&](int64_t c, int64_t end) {
      for (; c < end; ++c) f(c, c * kChunk, std::min(kChunk, n_ - c * kChunk));
    });
  }

  const uint8_t* mask_;
  int64_t n_;
  std::vector<int64_t> starts_;
};

// The positions of true elements: one int64 each, or a row of `dims` coordinates.
Tensor positions(const Tensor& mask, bool coordinates) {
  const MaskChunks chunks(mask);
  const int64_t dims = coordinates ? mask.dim() : 1;
  const Tensor out = Tensor::empty(coordinates ? Dims{chunks.count(), dims} : Dims{chunks.count()}, DType::Int64);
  if (dims == 0) return out;
  chunks.each([&](int64_t begin, int64_t size, int64_t before, int64_t count) {
    // Flat positions stand at the end of the chunk's part until their coordinates fill it from the front.
    int64_t* const to = out.data<int64_t>() + before * dims;
    int64_t* const flat = to + count * (dims - 1);
    true_positions(flat, mask.data<uint8_t>() + begin, size, begin, count);
    if (dims > 1) unravel(to, flat, count, mask.sizes().data(), dims);
  });
  return out;
}

bool covers(const std::vector<Tensor>& indices, const Tensor& x) {
  return indices.size() == 1 && indices[0].defined() && indices[0].dtype() == DType::Bool && x.dim() > 0 &&
         same(indices[0].sizes(), x.sizes());
}

}  // namespace

Tensor nonzero(const Tensor& x) {
  Call call("nonzero");
  return positions(contiguous(x.dtype() == DType::Bool ? x.alias() : ne(x.alias(), Operand(0))), true);
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, const Operand& value) {
  if (mask.dtype() != DType::Bool) fail("masked_fill: expected a bool mask, got ", mask);
  if (value.is_tensor() && value.tensor().dim() > 0) fail("masked_fill: expected a number or a 0-d tensor, got ", value.tensor());
  const Tensor filled = where(mask, value, x);
  return filled.dtype() == x.dtype() ? filled : cast(filled, x.dtype());
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  Call call("masked_select");
  if (mask.dtype() != DType::Bool) fail("masked_select: expected a bool mask, got ", mask);
  const Dims shape = broadcast_shapes(call.op, x.sizes(), mask.sizes());
  const Tensor flags = contiguous(expand(mask, shape)), values = contiguous(expand(x.alias(), shape));
  const MaskChunks chunks(flags);
  const Tensor y = Tensor::empty(Dims{chunks.count()}, x.dtype());
  visit_bits(x.item_size(), [&]<class T>(type_tag<T>) {
    chunks.each([&](int64_t begin, int64_t size, int64_t before, int64_t) {
      move_kernels<T>().masked_select(y.data<T>() + before, values.data<T>() + begin, flags.data<uint8_t>() + begin, size);
    });
  });
  if (autograd::needed(x))
    autograd::record("MaskedSelectBackward", y, {x}, [flags = autograd::save(flags), shape, sizes = Dims(x.sizes())](const Tensor& g) {
      return sum_to(masked_scatter(autograd::arithmetic.zeros(shape, g.dtype()), flags, g), sizes);
    });
  return y;
}

Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source) {
  Call call("masked_scatter");
  if (mask.dtype() != DType::Bool) fail("masked_scatter: expected a bool mask, got ", mask);
  if (source.dtype() != x.dtype()) fail("masked_scatter: expected a source of dtype ", x.dtype(), ", got ", source);
  const Dims shape = broadcast_shapes(call.op, x.sizes(), mask.sizes());
  const Tensor flags = contiguous(expand(mask, shape)), values = contiguous(source.alias());
  const MaskChunks chunks(flags);
  if (chunks.count() > source.numel())
    fail("masked_scatter: expected a source of at least ", chunks.count(), " elements, got ", source);
  Tensor y = clone(expand(x.alias(), shape), MemoryFormat::Contiguous);
  visit_bits(x.item_size(), [&]<class T>(type_tag<T>) {
    chunks.each([&](int64_t begin, int64_t size, int64_t before, int64_t) {
      move_kernels<T>().masked_scatter(y.data<T>() + begin, flags.data<uint8_t>() + begin, values.data<T>() + before, size);
    });
  });
  y = in_format_of(x, y);
  if (autograd::needed(x, source))
    autograd::record("MaskedScatterBackward", y, {x, source},
                     [flags = autograd::save(flags), sizes = Dims(x.sizes()), from = Dims(source.sizes())](const Tensor& g) {
      const Tensor taken = masked_select(g, flags), spread = autograd::arithmetic.zeros(Dims{element_count(from)}, g.dtype());
      copy_(narrow(spread, 0, 0, taken.numel()), taken);
      return Tensors{sum_to(masked_fill(g, flags, Operand(0)), sizes), reshape(spread, from)};
    });
  return y;
}

// ---- x[indices] -----------------------------------------------------------------------------------------------------

namespace {

// What x[indices] addresses, in int64 indices alone: a mask becomes the positions where it is true. They are flat where
// its dimensions lie in memory as one, which x then shows them as.
struct Addressed {
  Tensor x;
  std::vector<Tensor> indices;

  Addressed(const Tensor& whole, const std::vector<Tensor>& given) : x(whole.alias()) {
    for (const Tensor& i : given) {
      if (!i.defined()) indices.push_back(i);
      else if (i.dtype() == DType::Bool) add_mask(i);
      else if (is_integral(i.dtype())) indices.push_back(contiguous(cast(i.alias(), DType::Int64)));
      else fail<IndexError>("index: expected integer or bool indices, got ", i);
    }
    if (int64_t(indices.size()) > x.dim())
      fail<IndexError>("index: expected at most ", x.dim(), " indices for shape ", show(x.sizes()), ", got ", indices.size());
  }

 private:
  void add_mask(const Tensor& mask) {
    const int64_t first = int64_t(indices.size()), dims = mask.dim();
    bool flat = dims > 0;
    for (int64_t d = 0; d < dims; ++d) {
      if (first + d >= x.dim() || x.size(first + d) != mask.size(d))
        fail<IndexError>("index: expected a mask that matches dimensions ", first, " and on of ", show(x.sizes()), ", got ", mask);
      if (d > 0) flat &= x.stride(first + d - 1) == x.stride(first + d) * x.size(first + d);
    }
    const Tensor at = positions(contiguous(mask.alias()), !flat);
    if (!flat) {
      for (int64_t d = 0; d < dims; ++d) indices.push_back(contiguous(select(at, 1, d)));
      return;
    }
    Dims sizes(x.sizes().begin(), x.sizes().begin() + first), strides(x.strides().begin(), x.strides().begin() + first);
    sizes.push_back(mask.numel());
    strides.push_back(x.stride(first + dims - 1));
    sizes.append(x.sizes().begin() + first + dims, x.sizes().end());
    strides.append(x.strides().begin() + first + dims, x.strides().end());
    x = x.alias(sizes, strides, x.offset());
    indices.push_back(at);
  }
};

Tensor read(const Tensor& x, const std::vector<Tensor>& indices) {
  const Addressed a(x, indices);
  const Picks p(a.x, a.indices);
  const Tensor y = Tensor::empty(p.result_sizes, x.dtype());
  if (y.numel() > 0) read_picks(y, a.x, p);
  return y;
}

// The dimension along which one vector, and nothing else, indexes: what it picks from images are images. Else -1.
int64_t picked_dim(const std::vector<Tensor>& indices) {
  int64_t dim = -1;
  for (size_t d = 0; d < indices.size(); ++d) {
    if (!indices[d].defined()) continue;
    if (dim >= 0 || indices[d].dim() != 1) return -1;
    dim = int64_t(d);
  }
  return dim;
}

}  // namespace

namespace {

// Kept for the backward pass, which raises if one was written in place since.
class SavedIndices {
 public:
  explicit SavedIndices(const std::vector<Tensor>& indices) : saved_(indices.begin(), indices.end()) {}
  operator std::vector<Tensor>() const { return {saved_.begin(), saved_.end()}; }

 private:
  std::vector<autograd::Saved> saved_;
};

}  // namespace

Tensor index(const Tensor& x, const std::vector<Tensor>& indices) {
  if (covers(indices, x)) return masked_select(x, indices[0]);
  Call call("index");
  const int64_t picked = picked_dim(indices);
  const MemoryOrder order(x);
  // Whole images are picked as they lie.
  Tensor y = picked == 0 ? order.to_logical(read(order.to_memory(x), indices)) : read(x, indices);
  if (picked > 0) y = in_format_of(x, y);
  if (autograd::needed(x))
    autograd::record("IndexBackward", y, {x}, [indices = SavedIndices(indices), sizes = Dims(x.sizes())](const Tensor& g) {
      return index_put_(autograd::arithmetic.zeros(sizes, g.dtype()), indices, g, true);
    });
  return y;
}

// One mask and nothing else: what masked_fill takes.
static bool is_mask(const std::vector<Tensor>& indices) {
  const auto given = [](const Tensor& t) { return t.defined(); };
  const auto first = std::find_if(indices.begin(), indices.end(), given);
  return std::count_if(indices.begin(), indices.end(), given) == 1 && first->dtype() == DType::Bool;
}

Tensor index_put_(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& value, bool accumulate) {
  Call call("index_put_");
  autograd::check_inplace(call.op, x);
  if (value.dtype() != x.dtype() && value.dim() > 0 && !(value.numel() == 1 && !accumulate && is_mask(indices)))
    fail("index_put_: expected a value of dtype ", x.dtype(), ", got ", value);
  if (x.may_self_overlap()) fail("index_put_: expected a target whose elements do not share memory, got strides ", show(x.strides()));
  const Tensor cast_value = cast(value.alias(), x.dtype());
  if (covers(indices, x) && value.numel() == 1 && value.dim() <= 1 && !accumulate) {
    where(indices[0], reshape(cast_value, {}), x.alias(), Out::prepared(x));
  } else {
    // Half precision adds up in float32 and is rounded once.
    const Tensor target = accumulate ? cast(x.alias(), compute_dtype(x.dtype())) : x;
    const Addressed a(target, indices);
    Picks p(a.x, a.indices);
    Tensor fitting = cast(cast_value, target.dtype());
    while (fitting.dim() > int64_t(p.result_sizes.size()) && fitting.size(0) == 1) fitting = select(fitting, 0, 0);
    if (!same(broadcast_shapes(call.op, p.result_sizes, fitting.sizes()), p.result_sizes))
      fail<ShapeError>("index_put_: expected a value that broadcasts to ", show(p.result_sizes), ", got ", value);
    Tensor dense = contiguous(expand(fitting, p.result_sizes));
    if (dense.storage() == x.storage()) dense = clone(dense);
    if (p.rows.storage() == x.storage()) p.rows = clone(p.rows);
    if (dense.numel() > 0) accumulate ? add_picks(a.x, dense, p) : write_picks(a.x, dense, p);
    if (target.dtype() != x.dtype()) copy_values(x, target);
  }
  x.bump_version();
  if (autograd::needed(x, value)) {
    const Tensor inputs[] = {x, value};
    autograd::record_inplace("IndexPutBackward", x, inputs, [saved = SavedIndices(indices), accumulate](const Tensor& g) {
      const std::vector<Tensor> indices = saved;
      Tensor kept = g;
      if (!accumulate) kept = index_put_(clone(g), indices, scalar_tensor(Scalar(0.0), g.dtype()), false);
      return Tensors{kept, index(g, indices)};
    });
  }
  return x;
}

// ---- one index tensor along a dimension -----------------------------------------------------------------------------

Tensor checked_index(const char* op, const Tensor& index, int64_t n, int64_t dim) {
  if (index.dtype() != DType::Int64 && index.dtype() != DType::Int32)
    fail(op, ": expected int64 or int32 indices, got ", index);
  const Tensor dense = contiguous(cast(index.alias(), DType::Int64));
  if (const int64_t bad = find_out_of_range(dense, 0, n); bad >= 0)
    fail<IndexError>(op, ": expected indices in [0, ", n - 1, "] for dimension ", dim, " of size ", n, ", got ",
                     dense.data<int64_t>()[bad]);
  return dense;
}

namespace {

// The indices of x[..., index, ...], with the vector `index` at dimension d.
std::vector<Tensor> picks_along(const char* op, const Tensor& x, int64_t d, const Tensor& index) {
  if (index.dim() > 1) fail<IndexError>(op, ": expected a vector of indices, got ", index);
  std::vector<Tensor> picks(size_t(d) + 1);
  picks[size_t(d)] = reshape(checked_index(op, index, x.dim() ? x.size(d) : 1, d), Dims{-1});
  return picks;
}

}  // namespace

Tensor from_the_front(const Tensor& index, int64_t n) {
  if (!is_integral(index.dtype()) || !*any(lt(index, Operand(0))).data<bool>()) return index;
  return where(lt(index, Operand(0)), add(index, Operand(n)), index);
}

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  const int64_t d = wrap_dim("index_select", dim, x.dim());
  const auto picks = picks_along("index_select", x, d, index);
  return x.dim() == 0 ? clone(x) : pydl::index(x, picks);
}

Tensor index_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, const Scalar& alpha) {
  const int64_t d = wrap_dim("index_add_", dim, x.dim());
  const auto picks = picks_along("index_add_", x, d, index);
  Dims expected(x.sizes());
  if (x.dim()) expected[size_t(d)] = picks.back().numel();
  if (!same(source.sizes(), expected)) fail<ShapeError>("index_add_: expected a source of shape ", show(expected), ", got ", source);
  const Tensor scaled = alpha.equals(1) ? source : mul(source, alpha);
  return x.dim() == 0 ? add(x, scaled, Scalar(1), Out::inplace(x)) : index_put_(x, picks, scaled, true);
}

Tensor index_copy_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  const int64_t d = wrap_dim("index_copy_", dim, x.dim());
  if (x.dim() == 0) return copy_(x, reshape(source, {}));
  const auto picks = picks_along("index_copy_", x, d, index);
  Dims expected(x.sizes());
  expected[size_t(d)] = picks.back().numel();
  if (!same(source.sizes(), expected)) fail<ShapeError>("index_copy_: expected a source of shape ", show(expected), ", got ", source);
  if (source.dtype() != x.dtype()) fail("index_copy_: expected a source of dtype ", x.dtype(), ", got ", source);
  return index_put_(x, picks, source, false);
}

namespace {

Tensor index_fill_(const Tensor& x, int64_t dim, const Tensor& index, const Operand& value) {
  const int64_t d = wrap_dim("index_fill_", dim, x.dim());
  if (value.is_tensor() && value.tensor().dim() > 0) fail("index_fill_: expected a number or a 0-d tensor, got ", value.tensor());
  const Tensor v = value.is_tensor() ? cast(value.tensor(), x.dtype()) : scalar_tensor(value.scalar(), x.dtype());
  if (x.dim() == 0) return copy_(x, v);
  return index_put_(x, picks_along("index_fill_", x, d, from_the_front(index, x.size(d))), v, false);
}
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, const Scalar& alpha) { return index_add_(clone(x), dim, index, source, alpha); }
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) { return index_copy_(clone(x), dim, index, source); }
Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& index, const Operand& value) { return index_fill_(clone(x), dim, index, value); }
Tensor index_put_list_(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& values, bool accumulate) {
  return index_put_(x, indices, values, accumulate);
}
Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& values, bool accumulate) {
  return index_put_(clone(x), indices, values, accumulate);
}

constexpr int kBoth = kFunction | kMethod;

const Operator ops[] = {
    {&index_select, "index_select(Tensor input, int dim, Tensor index) -> Tensor", kBoth | kOut,
     "The slices at the given indices along dim.\n"
     ">>> pydl.index_select(pydl.tensor([[1, 2, 3], [4, 5, 6]]), dim=1, index=pydl.tensor([2, 0]))\n"
     "tensor([[3, 1],\n        [6, 4]])"},
    {&index_add_, "index_add_(Tensor input, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
     kMethod,
     "Adds slices of source at the given indices along dim.\n"
     ">>> pydl.zeros(3).index_add_(0, pydl.tensor([2, 0, 2]), pydl.tensor([1.0, 2.0, 3.0]))\ntensor([2., 0., 4.])"},
    {&index_add, "index_add(Tensor input, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
     kBoth | kOut,
     "A copy with slices of source added at index along dim.\n"
     ">>> pydl.index_add(pydl.ones(3), 0, pydl.tensor([2, 0]), pydl.tensor([1.0, 2.0]), alpha=10)\n"
     "tensor([21.,  1., 11.])"},
    {&index_copy_, "index_copy_(Tensor input, int dim, Tensor index, Tensor source) -> Tensor", kMethod,
     "Writes slices of source at index along dim.\n"
     ">>> pydl.zeros(3).index_copy_(0, pydl.tensor([2, 0]), pydl.tensor([1.0, 2.0]))\ntensor([2., 0., 1.])"},
    {&index_copy, "index_copy(Tensor input, int dim, Tensor index, Tensor source) -> Tensor", kBoth | kOut,
     "A copy with slices of source written at index along dim.\n"
     ">>> pydl.index_copy(pydl.zeros(2, 2), 1, pydl.tensor([1]), pydl.tensor([[1.0], [2.0]]))\n"
     "tensor([[0., 1.],\n        [0., 2.]])"},
    {&index_fill_, "index_fill_(Tensor input, int dim, Tensor index, Operand value) -> Tensor", kMethod,
     "Fills the slices at index along dim.\n"
     ">>> pydl.zeros(3).index_fill_(0, pydl.tensor([2, 0]), 5)\ntensor([5., 0., 5.])"},
    {&index_fill, "index_fill(Tensor input, int dim, Tensor index, Operand value) -> Tensor", kBoth,
     "A copy with the slices at index along dim filled.\n"
     ">>> pydl.index_fill(pydl.zeros(2, 2), dim=1, index=pydl.tensor([1]), value=5)\n"
     "tensor([[0., 5.],\n        [0., 5.]])"},
    {&index_put_list_, "index_put_(Tensor input, Tensor[] indices, Tensor values, bool accumulate=False) -> Tensor",
     kBoth,
     "input[indices] = values, or += with accumulate.\n"
     ">>> i = [pydl.tensor([0, 1]), pydl.tensor([1, 0])]\n"
     ">>> pydl.index_put_(pydl.zeros(2, 2), i, pydl.tensor([5.0, 6.0]))\ntensor([[0., 5.],\n        [6., 0.]])"},
    {&index_put, "index_put(Tensor input, Tensor[] indices, Tensor values, bool accumulate=False) -> Tensor", kBoth,
     "A copy with values written at indices.\n"
     ">>> i = [pydl.tensor([1, 1, 0])]\n"
     ">>> pydl.index_put(pydl.zeros(3), i, pydl.tensor([1.0, 2.0, 3.0]), accumulate=True)\ntensor([3., 3., 0.])"},
    {&nonzero, "nonzero(Tensor input) -> Tensor", kBoth | kNoGrad | kSynchronizes, "The indices of the elements other than 0, one row each."},
    {&masked_fill, "masked_fill(Tensor input, Tensor mask, Operand value) -> Tensor", kBoth | kInplace,
     "value where mask is true, input elsewhere.\n"
     ">>> x = pydl.tensor([1, -2, 3])\n"
     ">>> pydl.masked_fill(x, x < 0, 0)\ntensor([1, 0, 3])"},
    {&masked_scatter, "masked_scatter(Tensor input, Tensor mask, Tensor source) -> Tensor", kBoth | kInplace,
     "A copy with the elements of source, in order, where mask is true.\n"
     ">>> mask = pydl.tensor([True, False, True])\n"
     ">>> pydl.masked_scatter(pydl.zeros(3), mask, pydl.tensor([1.0, 2.0]))\ntensor([1., 0., 2.])"},
    {&masked_select, "masked_select(Tensor input, Tensor mask) -> Tensor", kBoth | kOut | kSynchronizes,
     "The elements where mask is true, as a vector.\n"
     ">>> x = pydl.tensor([[1, -2], [-3, 4]])\n"
     ">>> pydl.masked_select(x, x > 0)\ntensor([1, 4])"},
};

}  // namespace

}  // namespace pydl
