#include "ops/join.h"

#include "autograd/node.h"
#include "base/arch.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/promote.h"
#include "ops/view.h"
#include "tensor/memory_order.h"

namespace pydl {

namespace {

// An empty 1-d tensor is skipped by cat whatever the others look like, as in PyTorch.
bool is_legacy_empty(const Tensor& t) { return t.dim() == 1 && t.numel() == 0; }

// What one input of a cat contributes to each row of the output: `size` elements from `pitch` apart.
struct Block {
  const void* data;
  int64_t at, size, pitch;
};

// The distance between the parts of t that lie behind each other from dimension `axis` on, where that is one number.
std::optional<int64_t> row_pitch(const Tensor& t, int64_t axis) {
  int64_t run = 1;
  for (int64_t d = t.dim() - 1; d >= axis; run *= t.size(d--))
    if (t.size(d) != 1 && t.stride(d) != run) return std::nullopt;
  int64_t pitch = run, rows = 1;
  for (int64_t d = axis - 1; d >= 0; --d) {
    if (t.size(d) == 1) continue;
    if (rows == 1) pitch = t.stride(d);
    else if (t.stride(d) != pitch * rows) return std::nullopt;
    rows *= t.size(d);
  }
  return pitch;
}

// Every row of y, of `width` elements, <- its blocks, one behind the other. Threads share the elements of y; whole rows
// go in chunks that stay in the first cache from the first block to the last.
template <class T>
void join_blocks(const Tensor& y, const std::vector<Block>& blocks, int64_t width) {
  constexpr int64_t kGrain = 32 * 1024 / int64_t(sizeof(T));
  const bool stream = exceeds_cache(2 * int64_t(y.nbytes()));
  const int64_t chunk = (stream ? 64 : 16) * 1024 / int64_t(sizeof(T));
  auto copy = [&, move = move_kernels<T>().copy_rows](const Block& b, int64_t row, int64_t rows, int64_t first, int64_t last) {
    move(y.data<T>() + row * width + b.at + first, width, static_cast<const T*>(b.data) + row * b.pitch + first, b.pitch, rows,
         last - first, stream);
  };
  parallel_for(y.numel(), kGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t row = begin / width, column = begin % width, whole = (end - begin) / width;
      if (column == 0 && whole > 0) {
        const int64_t rows = std::clamp<int64_t>(chunk / width, 1, whole);
        for (const Block& b : blocks) copy(b, row, rows, 0, b.size);
        begin += rows * width;
        continue;
      }
      const int64_t stop = std::min(width, column + end - begin);
      auto b = std::upper_bound(blocks.begin(), blocks.end(), column, [](int64_t c, const Block& o) { return c < o.at + o.size; });
      for (; b != blocks.end() && b->at < stop; ++b)
        copy(*b, row, 1, std::max<int64_t>(column - b->at, 0), std::min(stop - b->at, b->size));
      begin += stop - column;
    }
  });
}

// The memory format of a join is that of the first image that tells one.
MemoryOrder order_of(const std::vector<Tensor>& tensors, const Tensor& model) {
  const auto tells = [](const Tensor& t) { return !is_legacy_empty(t) && !fits_both_formats(t); };
  const auto first = std::find_if(tensors.begin(), tensors.end(), tells);
  return MemoryOrder(first == tensors.end() ? model : *first);
}

}  // namespace

Tensor cat(const std::vector<Tensor>& tensors, int64_t dim) {
  Call call("cat");
  if (tensors.empty()) fail<ValueError>("cat: expected at least one tensor, got none");
  Promotion promotion;
  const Tensor* model = nullptr;
  for (const Tensor& t : tensors) {
    if (t.dim() == 0) fail("cat: expected tensors with at least one dimension, got a 0-d tensor");
    promotion.add(t);
    if (!model && !is_legacy_empty(t)) model = &t;
  }
  if (!model) return Tensor::empty(Dims{0}, promotion.result());
  const int64_t d = wrap_dim(call.op, dim, model->dim());
  Dims sizes(model->sizes());
  sizes[size_t(d)] = 0;
  for (const Tensor& t : tensors) {
    if (is_legacy_empty(t)) continue;
    bool fits = t.dim() == model->dim();
    for (int64_t k = 0; fits && k < t.dim(); ++k) fits = k == d || t.size(k) == model->size(k);
    if (!fits) fail<ShapeError>("cat: expected shapes that match apart from dimension ", d, ", got ", show(model->sizes()), " and ", show(t.sizes()));
    sizes[size_t(d)] += t.size(d);
  }
  // From here to the kernels, dimensions stand in memory order.
  const MemoryOrder order = order_of(tensors, *model);
  const Tensor joined = Tensor::empty(order.to_memory(sizes), promotion.result());
  const int64_t axis = order.dim(d), inner = joined.stride(axis);
  std::vector<Block> blocks;
  int64_t at = 0;
  for (const Tensor& t : tensors) {
    if (is_legacy_empty(t) || t.numel() == 0) continue;
    const Tensor part = order.to_memory(t);
    const int64_t n = part.size(axis);
    const std::optional<int64_t> pitch = part.dtype() == joined.dtype() ? row_pitch(part, axis) : std::nullopt;
    if (pitch) blocks.push_back({part.raw(), at * inner, n * inner, *pitch});
    else copy_values(joined.alias(part.sizes(), joined.strides(), at * inner), part);
    at += n;
  }
  if (!blocks.empty())
    visit_bits(joined.item_size(), [&]<class T>(type_tag<T>) { join_blocks<T>(joined, blocks, joined.size(axis) * inner); });
  const Tensor y = order.to_logical(joined);
  if (autograd::needed(std::span<const Tensor>(tensors))) {
    Dims extents;
    for (const Tensor& t : tensors) extents.push_back(is_legacy_empty(t) ? -1 : t.size(d));
    autograd::record("CatBackward", std::span(&y, 1), std::span<const Tensor>(tensors), [d, extents](const Tensor& g) {
      Tensors grads;
      int64_t at = 0;
      for (int64_t n : extents) {
        grads.push_back(n < 0 ? Tensor() : narrow(g, d, at, n));
        at += std::max<int64_t>(n, 0);
      }
      return grads;
    });
  }
  return y;
}

Tensor stack(const std::vector<Tensor>& tensors, int64_t dim) {
  if (tensors.empty()) fail("stack: expected at least one tensor, got none");
  const int64_t d = wrap_dim("stack", dim, tensors[0].dim() + 1);
  std::vector<Tensor> lifted;
  for (const Tensor& t : tensors) {
    if (!same(t.sizes(), tensors[0].sizes())) fail<ShapeError>("stack: expected tensors of one shape, got ", show(tensors[0].sizes()), " and ", show(t.sizes()));
    lifted.push_back(unsqueeze(t, d));
  }
  return cat(lifted, d);
}

// A list must fit memory before its first tensor is made.
static void check_parts(const char* op, int64_t parts) {
  if (uint64_t(parts) > available_memory() / sizeof(TensorImpl))
    fail<OutOfMemoryError>(op, ": expected a number of parts that fits memory, got ", parts);
}

std::vector<Tensor> split_sizes(const Tensor& x, IntSpan sizes, int64_t dim) {
  const int64_t d = wrap_dim("split", dim, x.dim());
  int64_t total = 0;
  for (int64_t n : sizes) total += n;
  if (x.dim() == 0 || total != x.size(d)) fail<ShapeError>("split: expected sizes that add up to ", x.dim() ? x.size(d) : 0, " along dimension ", d, ", got ", show(sizes));
  std::vector<Tensor> parts;
  int64_t at = 0;
  for (int64_t n : sizes) {
    parts.push_back(narrow(x, d, at, n));
    parts.back().impl()->sibling = true;
    at += n;
  }
  return parts;
}

std::vector<Tensor> unbind(const Tensor& x, int64_t dim) {
  const int64_t d = wrap_dim("unbind", dim, x.dim());
  if (x.dim() == 0) fail<IndexError>("unbind: expected a tensor with dimensions, got a 0-d tensor");
  check_parts("unbind", x.size(d));
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < x.size(d); ++i) {
    parts.push_back(select(x, d, i));
    parts.back().impl()->sibling = true;
  }
  return parts;
}

namespace {

std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim) {
  const int64_t d = wrap_dim("split", dim, x.dim());
  if (x.dim() == 0) fail("split: expected a tensor with dimensions, got a 0-d tensor");
  const int64_t n = x.size(d);
  if (size < 0 || (size == 0 && n > 0)) fail("split: expected a positive split size, got ", size);
  check_parts("split", size ? n / size : 0);
  Dims sizes;
  for (int64_t at = 0; at < n || sizes.empty(); at += size) sizes.push_back(std::min(size, n - at));
  return split_sizes(x, sizes, d);
}

std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim) {
  const int64_t d = wrap_dim("chunk", dim, x.dim());
  if (chunks <= 0) fail("chunk: expected a positive number of chunks, got ", chunks);
  if (x.dim() == 0) fail("chunk: expected a tensor with dimensions, got a 0-d tensor");
  const int64_t n = x.size(d);
  if (n == 0) check_parts("chunk", chunks);
  if (n == 0) return split_sizes(x, Dims(size_t(chunks), 0), d);
  return split(x, (n + chunks - 1) / chunks, d);
}

// cat's own out= form: a dtype that cannot hold the result is a TypeError, as in PyTorch.
Tensor cat_into(const std::vector<Tensor>& tensors, int64_t dim, const Out& out) {
  const Tensor y = cat(tensors, dim);
  if (out.fresh()) return y;
  if (!can_cast(y.dtype(), out.target.dtype())) fail<TypeError>("cat: expected out= of a dtype that can hold ", y.dtype(), ", got ", out.target.dtype());
  if (autograd::needed(y)) fail("cat: expected tensors that require no gradient with out=, got one that does");
  resize_output("cat", out.target, y.sizes());
  return copy_(out.target, y);
}

// n parts as even as possible (the first ones larger), or parts between the given indices.
std::vector<Tensor> tensor_split(const Tensor& x, int64_t sections, int64_t dim) {
  const int64_t d = wrap_dim("tensor_split", dim, x.dim());
  if (sections <= 0) fail("tensor_split: expected a positive number of sections, got ", sections);
  check_parts("tensor_split", sections);
  Dims sizes;
  for (int64_t i = 0; i < sections; ++i) sizes.push_back(x.size(d) / sections + (i < x.size(d) % sections));
  return split_sizes(x, sizes, d);
}
std::vector<Tensor> tensor_split_at(const Tensor& x, IntSpan indices, int64_t dim) {
  const int64_t d = wrap_dim("tensor_split", dim, x.dim());
  std::vector<Tensor> parts;
  int64_t from = 0;
  for (int64_t i : indices) {
    parts.push_back(slice(x, d, from, i));
    from = i;
  }
  parts.push_back(slice(x, d, from, std::nullopt));
  return parts;
}
// The dimension that hsplit, vsplit and dsplit cut, of tensors that have it.
int64_t split_dim(const char* op, const Tensor& x) {
  const int64_t least = op[0] == 'h' ? 1 : op[0] == 'v' ? 2 : 3;
  if (x.dim() < least) fail(op, ": expected a tensor of at least ", least, " dimensions, got ", x);
  return op[0] == 'h' ? x.dim() > 1 : least == 2 ? 0 : 2;
}
std::vector<Tensor> split_evenly(const char* op, const Tensor& x, int64_t sections) {
  const int64_t d = split_dim(op, x);
  if (sections < 1 || x.size(d) % sections)
    fail(op, ": expected a number of sections that divides dimension ", d, " of size ", x.size(d), ", got ", sections);
  return tensor_split(x, sections, d);
}
std::vector<Tensor> hsplit(const Tensor& x, int64_t sections) { return split_evenly("hsplit", x, sections); }
std::vector<Tensor> vsplit(const Tensor& x, int64_t sections) { return split_evenly("vsplit", x, sections); }
std::vector<Tensor> dsplit(const Tensor& x, int64_t sections) { return split_evenly("dsplit", x, sections); }
std::vector<Tensor> hsplit_at(const Tensor& x, IntSpan indices) { return tensor_split_at(x, indices, split_dim("hsplit", x)); }
std::vector<Tensor> vsplit_at(const Tensor& x, IntSpan indices) { return tensor_split_at(x, indices, split_dim("vsplit", x)); }
std::vector<Tensor> dsplit_at(const Tensor& x, IntSpan indices) { return tensor_split_at(x, indices, split_dim("dsplit", x)); }

Tensor at_least(const Tensor& x, int64_t dims) {
  if (x.dim() >= dims) return x;
  if (x.dim() == 0) return reshape(x, Dims(size_t(dims), 1));
  if (x.dim() == 1 && dims == 2) return unsqueeze(x, 0);
  if (x.dim() == 1) return unsqueeze(unsqueeze(x, 0), 2);
  return unsqueeze(x, 2);
}
template <int kDims> Tensor atleast(const Tensor& x) { return at_least(x, kDims); }
std::vector<Tensor> lift_all(const std::vector<Tensor>& tensors, int64_t dims) {
  std::vector<Tensor> lifted;
  for (const Tensor& t : tensors) lifted.push_back(at_least(t, dims));
  return lifted;
}
Tensor hstack(const std::vector<Tensor>& tensors) {
  if (tensors.empty()) fail("hstack: expected at least one tensor, got none");
  return cat(lift_all(tensors, 1), tensors[0].dim() <= 1 ? 0 : 1);
}
Tensor vstack(const std::vector<Tensor>& tensors) { return cat(lift_all(tensors, 2), 0); }
Tensor dstack(const std::vector<Tensor>& tensors) { return cat(lift_all(tensors, 3), 2); }
Tensor column_stack(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> columns;
  for (const Tensor& t : tensors) columns.push_back(t.dim() <= 1 ? reshape(t, Dims{t.numel(), 1}) : t);
  return cat(columns, 1);
}

constexpr int kBoth = kFunction | kMethod;

const Operator ops[] = {
    {&cat_into, "cat(Tensor[] tensors, int dim=0) -> Tensor", kFunction | kOut,
     "The tensors joined along dim.\n"
     ">>> pydl.cat([pydl.tensor([[1, 2]]), pydl.tensor([[3, 4]])], dim=1)\ntensor([[1, 2, 3, 4]])"},
    {&cat_into, "concat(Tensor[] tensors, int dim=0) -> Tensor", kFunction | kOut,
     "Alias of cat.\n"
     ">>> pydl.concat([pydl.tensor([1, 2]), pydl.tensor([3])])\ntensor([1, 2, 3])"},
    {&cat_into, "concatenate(Tensor[] tensors, int dim=0) -> Tensor", kFunction | kOut,
     "Alias of cat.\n"
     ">>> pydl.concatenate([pydl.tensor([1, 2]), pydl.tensor([3])])\ntensor([1, 2, 3])"},
    {&stack, "stack(Tensor[] tensors, int dim=0) -> Tensor", kFunction | kOut,
     "Tensors of one shape joined along a new dimension.\n"
     ">>> pydl.stack([pydl.tensor([1, 2]), pydl.tensor([3, 4])], dim=1)\ntensor([[1, 3],\n        [2, 4]])"},
    {&hstack, "hstack(Tensor[] tensors) -> Tensor", kFunction | kOut,
     "The tensors joined along columns.\n"
     ">>> pydl.hstack([pydl.tensor([[1], [2]]), pydl.tensor([[3], [4]])])\ntensor([[1, 3],\n        [2, 4]])"},
    {&vstack, "vstack(Tensor[] tensors) -> Tensor", kFunction | kOut,
     "The tensors joined along rows.\n"
     ">>> pydl.vstack([pydl.tensor([1, 2]), pydl.tensor([3, 4])])\ntensor([[1, 2],\n        [3, 4]])"},
    {&vstack, "row_stack(Tensor[] tensors) -> Tensor", kFunction | kOut,
     "Alias of vstack.\n"
     ">>> pydl.row_stack([pydl.tensor([1, 2]), pydl.tensor([3, 4])])\ntensor([[1, 2],\n        [3, 4]])"},
    {&dstack, "dstack(Tensor[] tensors) -> Tensor", kFunction | kOut,
     "The tensors joined along the third dimension.\n"
     ">>> pydl.dstack([pydl.tensor([1, 2]), pydl.tensor([3, 4])])\ntensor([[[1, 3],\n         [2, 4]]])"},
    {&column_stack, "column_stack(Tensor[] tensors) -> Tensor", kFunction | kOut,
     "Vectors as columns of a matrix.\n"
     ">>> pydl.column_stack([pydl.tensor([1, 2]), pydl.tensor([3, 4])])\ntensor([[1, 3],\n        [2, 4]])"},
    {&split, "split(Tensor input, int split_size_or_sections, int dim=0) -> Tensor[]", kBoth,
     "Views of split_size indices each (the last may be shorter), or of the given sizes.\n"
     ">>> pydl.split(pydl.arange(5), 2)\n(tensor([0, 1]), tensor([2, 3]), tensor([4]))\n"
     ">>> pydl.split(pydl.arange(5), [1, 4])\n(tensor([0]), tensor([1, 2, 3, 4]))"},
    {&split_sizes, "split(Tensor input, int[] split_size_or_sections, int dim=0) -> Tensor[]", kBoth, ""},
    {&split_sizes, "split_with_sizes(Tensor input, int[] split_sizes, int dim=0) -> Tensor[]", kBoth,
     "Views of the given sizes.\n"
     ">>> pydl.split_with_sizes(pydl.arange(5), [1, 4])\n(tensor([0]), tensor([1, 2, 3, 4]))"},
    {&chunk, "chunk(Tensor input, int chunks, int dim=0) -> Tensor[]", kBoth,
     "At most `chunks` views of equal size, the last perhaps shorter.\n"
     ">>> pydl.chunk(pydl.arange(5), 2)\n(tensor([0, 1, 2]), tensor([3, 4]))"},
    {&tensor_split, "tensor_split(Tensor input, int indices_or_sections, int dim=0) -> Tensor[]", kBoth,
     "Parts as even as possible, or the parts between indices.\n"
     ">>> pydl.tensor_split(pydl.arange(5), 2)\n(tensor([0, 1, 2]), tensor([3, 4]))\n"
     ">>> pydl.tensor_split(pydl.arange(5), [1, 3])\n(tensor([0]), tensor([1, 2]), tensor([3, 4]))"},
    {&tensor_split_at, "tensor_split(Tensor input, int[] indices_or_sections, int dim=0) -> Tensor[]", kBoth, ""},
    {&hsplit, "hsplit(Tensor input, int sections) -> Tensor[]", kBoth,
     "tensor_split along columns.\n"
     ">>> pydl.hsplit(pydl.tensor([[1, 2, 3, 4]]), 2)\n(tensor([[1, 2]]), tensor([[3, 4]]))"},
    {&hsplit_at, "hsplit(Tensor input, int[] indices) -> Tensor[]", kBoth, ""},
    {&vsplit, "vsplit(Tensor input, int sections) -> Tensor[]", kBoth,
     "tensor_split along rows.\n"
     ">>> pydl.vsplit(pydl.tensor([[1, 2], [3, 4]]), 2)\n(tensor([[1, 2]]), tensor([[3, 4]]))"},
    {&vsplit_at, "vsplit(Tensor input, int[] indices) -> Tensor[]", kBoth, ""},
    {&dsplit, "dsplit(Tensor input, int sections) -> Tensor[]", kBoth,
     "tensor_split along the third dimension.\n"
     ">>> pydl.dsplit(pydl.tensor([[[1, 2]]]), 2)\n(tensor([[[1]]]), tensor([[[2]]]))"},
    {&dsplit_at, "dsplit(Tensor input, int[] indices) -> Tensor[]", kBoth, ""},
    {&unbind, "unbind(Tensor input, int dim=0) -> Tensor[]", kBoth,
     "A view for each index along dim.\n"
     ">>> pydl.unbind(pydl.tensor([[1, 2], [3, 4]]), dim=1)\n(tensor([1, 3]), tensor([2, 4]))"},
    {&atleast<1>, "atleast_1d(Tensor input) -> Tensor", kFunction,
     "The tensor with at least one dimension.\n"
     ">>> pydl.atleast_1d(pydl.tensor(5))\ntensor([5])"},
    {&atleast<2>, "atleast_2d(Tensor input) -> Tensor", kFunction,
     "The tensor with at least two dimensions.\n"
     ">>> pydl.atleast_2d(pydl.tensor([1, 2]))\ntensor([[1, 2]])"},
    {&atleast<3>, "atleast_3d(Tensor input) -> Tensor", kFunction,
     "The tensor with at least three dimensions.\n"
     ">>> pydl.atleast_3d(pydl.tensor([1, 2])).shape\npydl.Size([1, 2, 1])"},
};

}  // namespace

}  // namespace pydl
