#include "ops/shape.h"

#include "autograd/node.h"
#include "base/arch.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/index.h"
#include "ops/pointwise.h"
#include "ops/promote.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tensor/memory_order.h"

namespace pydl {

namespace {

// An empty 1-d tensor is skipped by cat whatever the others look like, as in PyTorch.
bool is_legacy_empty(const Tensor& t) { return t.dim() == 1 && t.numel() == 0; }

// What one contiguous input of a cat contributes to each row of the output.
struct Block {
  const void* data;
  int64_t at, size;
};

// Every row of y, of `width` elements, <- its blocks, one behind the other. Threads share the elements of y; whole rows
// go in chunks that stay in cache from the first block to the last.
template <class T>
void join_blocks(const Tensor& y, const std::vector<Block>& blocks, int64_t width) {
  constexpr int64_t kChunk = 64 * 1024 / int64_t(sizeof(T));
  const bool stream = exceeds_cache(2 * int64_t(y.nbytes()));
  auto copy = [&, move = move_kernels<T>().copy_rows](const Block& b, int64_t row, int64_t rows, int64_t first, int64_t last) {
    move(y.data<T>() + row * width + b.at + first, width, static_cast<const T*>(b.data) + row * b.size + first, b.size, rows,
         last - first, stream);
  };
  parallel_for(y.numel(), kChunk / 2, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t row = begin / width, column = begin % width, whole = (end - begin) / width;
      if (column == 0 && whole > 0) {
        const int64_t rows = std::clamp<int64_t>(kChunk / width, 1, whole);
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
    if (part.is_contiguous() && part.dtype() == joined.dtype()) blocks.push_back({part.raw(), at * inner, n * inner});
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

// y <- x, both contiguous of `sizes`, with every other dimension reversed: the last if `last_turns`, else the one
// before it.
template <class T>
void turn_blocks(const Tensor& y, const Tensor& x, Dims sizes, bool last_turns) {
  while (sizes.size() < 2) sizes.insert(sizes.begin(), 1);
  const MoveKernels<T>& move = move_kernels<T>();
  const size_t rank = sizes.size();
  const int64_t n = sizes[rank - 1], run = sizes[rank - 2];
  parallel_for(y.numel() / n, 1 + 32 * 1024 / n, [&](int64_t row, int64_t end) {
    while (row < end) {
      // Rows of one run lie one behind the other in y, and one way or the other in x.
      const int64_t first = row % run, rows = std::min(run - first, end - row);
      int64_t source = last_turns ? first : run - 1 - first, stride = run, rest = row / run;
      bool turns = last_turns;
      for (size_t d = rank - 2; d-- > 0; turns = !turns) {
        const int64_t c = rest % sizes[d];
        source += (turns ? sizes[d] - 1 - c : c) * stride;
        stride *= sizes[d];
        rest /= sizes[d];
      }
      T* const to = y.data<T>() + row * n;
      const T* const from = x.data<T>() + source * n;
      if (last_turns) {
        for (int64_t i = 0; i < rows; ++i) move.reverse(to + i * n, from + i * n, n);
      } else {
        move.copy_rows(to, n, from, -n, rows, n, false);
      }
      row += rows;
    }
  });
}

}  // namespace

Tensor flip(const Tensor& x, IntSpan dims) {
  Call call("flip");
  const Dims which = dims.empty() ? Dims{} : wrap_dims(call.op, dims, x.dim());
  const MemoryOrder order(x);
  const Tensor from = contiguous(order.to_memory(x.alias())), to = Tensor::empty(from.sizes(), x.dtype());
  if (to.numel() > 0) {
    // Neighbours of one direction are one dimension, so that directions take turns.
    Dims sizes;
    bool last_turns = false;
    for (int64_t d = 0; d < x.dim(); ++d) {
      if (from.size(d) == 1) continue;
      const bool turns = std::any_of(which.begin(), which.end(), [&](int64_t w) { return order.dim(w) == d; });
      if (!sizes.empty() && turns == last_turns) sizes.back() *= from.size(d);
      else sizes.push_back(from.size(d));
      last_turns = turns;
    }
    visit_bits(x.item_size(), [&]<class T>(type_tag<T>) { turn_blocks<T>(to, from, sizes, last_turns); });
  }
  const Tensor y = order.to_logical(to);
  if (autograd::needed(x))
    autograd::record("FlipBackward", y, {x}, [which](const Tensor& g) { return flip(g, which); });
  return y;
}

Tensor repeat(const Tensor& x, IntSpan repeats) {
  Call call("repeat");
  if (int64_t(repeats.size()) < x.dim()) fail("repeat: expected at least ", x.dim(), " repeats, got ", show(repeats));
  const size_t lead = repeats.size() - size_t(x.dim());
  // Each dimension n becomes (repeats, n): an expanded view, copied once.
  Dims split, spread, merged;
  for (size_t d = 0; d < repeats.size(); ++d) {
    if (repeats[d] < 0) fail("repeat: expected non-negative repeats, got ", show(repeats));
    const int64_t n = d < lead ? 1 : x.sizes()[d - lead];
    int64_t size;
    if (__builtin_mul_overflow(repeats[d], n, &size))
      fail<ShapeError>("repeat: expected a dimension of fewer than 2^63 elements, got ", repeats[d], " times ", n);
    split.push_back(1);
    split.push_back(n);
    spread.push_back(repeats[d]);
    spread.push_back(n);
    merged.push_back(size);
  }
  const Tensor y = reshape(expand(reshape(x, split), spread), merged);
  return y.storage() == x.storage() ? clone(y) : in_format_of(x, y);
}

Tensor movedim(const Tensor& x, IntSpan source, IntSpan destination) {
  if (source.size() != destination.size()) fail("movedim: expected as many destinations as sources, got ", show(source), " and ", show(destination));
  if (source.empty()) return x;
  const Dims from = wrap_dims("movedim", source, x.dim()), to = wrap_dims("movedim", destination, x.dim());
  Dims order(size_t(x.dim()), -1), rest;
  for (size_t i = 0; i < from.size(); ++i) order[size_t(to[i])] = from[i];
  int64_t next = 0;
  for (int64_t& o : order) {
    if (o >= 0) continue;
    while (std::find(from.begin(), from.end(), next) != from.end()) ++next;
    o = next++;
  }
  return permute(x, order);
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

Tensor fliplr(const Tensor& x) {
  if (x.dim() < 2) fail("fliplr: expected at least 2 dimensions, got ", x);
  return flip(x, Dims{1});
}
Tensor flipud(const Tensor& x) {
  if (x.dim() < 1) fail("flipud: expected at least 1 dimension, got ", x);
  return flip(x, Dims{0});
}
Tensor rot90(const Tensor& x, int64_t k, IntSpan dims) {
  if (dims.size() != 2 || x.dim() < 2) fail("rot90: expected two dimensions of a tensor that has them, got ", show(dims), " for ", x);
  wrap_dims("rot90", dims, x.dim());
  switch (((k % 4) + 4) % 4) {
    case 1: return transpose(flip(x, Dims{dims[1]}), dims[0], dims[1]);
    case 2: return flip(x, dims);
    case 3: return transpose(flip(x, Dims{dims[0]}), dims[0], dims[1]);
    default: return clone(x);
  }
}

Tensor roll(const Tensor& x, IntSpan shifts, IntSpan dims) {
  Call call("roll");
  if (dims.empty()) {
    if (shifts.size() != 1) fail("roll: expected one shift without dims, got ", show(shifts));
    return in_format_of(x, reshape(roll(reshape(x, Dims{-1}), shifts, Dims{0}), x.sizes()));
  }
  if (shifts.size() != dims.size()) fail("roll: expected as many shifts as dims, got ", show(shifts), " and ", show(dims));
  const MemoryOrder order(x);
  const Tensor start = order.to_memory(x.alias());
  Tensor turned = start;
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t d = order.dim(wrap_dim(call.op, dims[i], x.dim())), n = start.size(d);
    const int64_t s = n ? ((shifts[i] % n) + n) % n : 0;
    if (s) turned = cat({narrow(turned, d, n - s, s), narrow(turned, d, 0, n - s)}, d);
  }
  const Tensor y = order.to_logical(turned.is(start) ? clone(start) : turned);
  if (autograd::needed(x))
    autograd::record("RollBackward", y, {x}, [shifts = Dims(shifts), dims = Dims(dims)](const Tensor& g) {
      Dims back(shifts);
      for (int64_t& s : back) s = -s;
      return roll(g, back, dims);
    });
  return y;
}

Tensor tile(const Tensor& x, IntSpan dims) {
  Dims full(dims);
  while (int64_t(full.size()) < x.dim()) full.insert(full.begin(), 1);
  return repeat(x, full);
}

// What output_size promises is checked; PyTorch saves a synchronization by it.
void check_repeated(const Tensor& y, int64_t d, std::optional<int64_t> output_size) {
  if (output_size && *output_size != y.size(d))
    fail("repeat_interleave: expected output_size of ", y.size(d), ", the number of repeats, got ", *output_size);
}

Tensor repeat_interleave(const Tensor& x, int64_t repeats, std::optional<int64_t> dim, std::optional<int64_t> output_size) {
  const Tensor in = dim ? x : reshape(x, Dims{-1});
  const int64_t d = wrap_dim("repeat_interleave", dim.value_or(0), in.dim());
  if (repeats < 0) fail("repeat_interleave: expected non-negative repeats, got ", repeats);
  Dims spread(in.sizes());
  spread.insert(spread.begin() + d + 1, repeats);
  Dims merged(in.sizes());
  merged[size_t(d)] *= repeats;
  const Tensor y = reshape(expand(unsqueeze(in, d + 1), spread), merged);
  check_repeated(y, d, output_size);
  return y;
}
Tensor repeat_interleave_each(const Tensor& x, const Tensor& repeats, std::optional<int64_t> dim,
                              std::optional<int64_t> output_size) {
  const Tensor in = dim ? x : reshape(x, Dims{-1});
  const int64_t d = wrap_dim("repeat_interleave", dim.value_or(0), in.dim());
  const Tensor counts = contiguous(cast(repeats.alias(), DType::Int64));
  if (counts.dim() > 1 || (counts.numel() != in.size(d) && counts.numel() != 1))
    fail("repeat_interleave: expected one repeat for each of ", in.size(d), " indices, got ", repeats);
  std::vector<int64_t> picks;
  for (int64_t i = 0; i < in.size(d); ++i) {
    const int64_t n = counts.data<int64_t>()[counts.numel() == 1 ? 0 : i];
    if (n < 0) fail("repeat_interleave: expected non-negative repeats, got ", n);
    picks.insert(picks.end(), size_t(n), i);
  }
  const Tensor index = Tensor::empty(Dims{int64_t(picks.size())}, DType::Int64);
  std::copy(picks.begin(), picks.end(), index.data<int64_t>());
  const Tensor y = index_select(in, d, index);
  check_repeated(y, d, output_size);
  return y;
}

Tensor movedim_one(const Tensor& x, int64_t source, int64_t destination) { return movedim(x, Dims{source}, Dims{destination}); }
Tensor ravel(const Tensor& x) { return reshape(x, Dims{-1}); }
Tensor unflatten(const Tensor& x, int64_t dim, IntSpan sizes) {
  const int64_t d = wrap_dim("unflatten", dim, x.dim());
  if (x.dim() == 0) fail<IndexError>("unflatten: expected a tensor with dimensions, got a 0-d tensor");
  if (sizes.empty()) fail("unflatten: expected at least one size, got none");
  const Dims inner = infer_shape("unflatten", sizes, x.size(d));
  Dims shape(x.sizes().begin(), x.sizes().begin() + d);
  shape.append(inner.begin(), inner.end());
  shape.append(x.sizes().begin() + d + 1, x.sizes().end());
  return view(x, shape);
}
Tensor broadcast_to(const Tensor& x, IntSpan size) { return expand(x, size); }
std::vector<Tensor> broadcast_tensors(const std::vector<Tensor>& tensors) {
  Dims shape;
  for (const Tensor& t : tensors) shape = broadcast_shapes("broadcast_tensors", shape, t.sizes());
  std::vector<Tensor> out;
  for (const Tensor& t : tensors) out.push_back(expand(t, shape));
  return out;
}
std::vector<Tensor> meshgrid(const std::vector<Tensor>& tensors, std::string_view indexing) {
  const bool xy = indexing == "xy";
  if (!xy && indexing != "ij" && !indexing.empty()) fail("meshgrid: expected indexing 'ij' or 'xy', got '", indexing, "'");
  Dims shape;
  for (const Tensor& t : tensors) {
    if (t.dim() > 1) fail("meshgrid: expected vectors or 0-d tensors, got ", t);
    shape.push_back(t.numel());
  }
  std::vector<Tensor> grids;
  for (size_t i = 0; i < tensors.size(); ++i) {
    Dims lone(tensors.size(), 1);
    lone[i] = shape[i];
    const Tensor grid = expand(reshape(tensors[i], lone), shape);
    grids.push_back(xy && tensors.size() >= 2 ? transpose(grid, 0, 1) : grid);
  }
  return grids;
}
Tensor expand_as(const Tensor& x, const Tensor& other) { return expand(x, other.sizes()); }
Tensor view_as(const Tensor& x, const Tensor& other) { return view(x, other.sizes()); }
Tensor reshape_as(const Tensor& x, const Tensor& other) { return reshape(x, other.sizes()); }

// The part of the last two dimensions on one side of a diagonal.
template <bool kLower> Tensor triangle(const Tensor& x, int64_t diagonal) {
  if (x.dim() < 2) fail(kLower ? "tril" : "triu", ": expected at least 2 dimensions, got ", x);
  const Tensor rows = unsqueeze(arange(Scalar(int64_t(0)), Scalar(x.size(-2))), 1), cols = arange(Scalar(int64_t(0)), Scalar(x.size(-1)));
  const Tensor distance = sub(cols, rows);
  return where(kLower ? le(distance, Operand(Scalar(diagonal))) : ge(distance, Operand(Scalar(diagonal))), x, Operand(Scalar(false)));
}

Tensor diag_embed(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  const int64_t a = wrap_dim("diag_embed", dim1, x.dim() + 1), b = wrap_dim("diag_embed", dim2, x.dim() + 1);
  if (a == b) fail("diag_embed: expected two different dimensions, got ", dim1, " and ", dim2);
  const int64_t n = x.size(-1) + std::abs(offset);
  Dims shape(x.sizes().begin(), x.sizes().end() - 1);
  shape.insert(shape.begin() + std::min(a, b), n);
  shape.insert(shape.begin() + std::max(a, b), n);
  const Tensor out = zeros(shape, x.dtype());
  copy_(diagonal(out, offset, a, b), x);
  return out;
}
Tensor diag(const Tensor& x, int64_t offset) {
  if (x.dim() == 1) return diag_embed(x, offset, 0, 1);
  if (x.dim() == 2) return clone(diagonal(x, offset));
  fail("diag: expected a vector or a matrix, got ", x);
}
Tensor diagflat(const Tensor& x, int64_t offset) { return diag_embed(reshape(x, Dims{-1}), offset, 0, 1); }
Tensor trace(const Tensor& x) {
  if (x.dim() != 2) fail("trace: expected a matrix, got ", x);
  return sum(diagonal(x));
}

// Copies of x with one of its views overwritten.
Tensor select_scatter(const Tensor& x, const Tensor& src, int64_t dim, int64_t index) {
  const Tensor y = clone(x, MemoryFormat::Preserve);
  const Tensor window = select(y, dim, index);
  if (!same(window.sizes(), src.sizes())) fail<ShapeError>("select_scatter: expected a source of shape ", show(window.sizes()), ", got ", src);
  copy_(window, src);
  return y;
}
Tensor slice_scatter(const Tensor& x, const Tensor& src, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end, int64_t step) {
  const Tensor y = clone(x, MemoryFormat::Preserve);
  const Tensor window = slice(y, dim, start, end, step);
  if (!same(window.sizes(), src.sizes())) fail<ShapeError>("slice_scatter: expected a source of shape ", show(window.sizes()), ", got ", src);
  copy_(window, src);
  return y;
}
Tensor diagonal_scatter(const Tensor& x, const Tensor& src, int64_t offset, int64_t dim1, int64_t dim2) {
  const Tensor y = clone(x, MemoryFormat::Preserve);
  const Tensor window = diagonal(y, offset, dim1, dim2);
  if (!same(window.sizes(), src.sizes())) fail<ShapeError>("diagonal_scatter: expected a source of shape ", show(window.sizes()), ", got ", src);
  copy_(window, src);
  return y;
}
// Tall matrices repeat the diagonal after an empty row when wrap.
Tensor fill_diagonal_(const Tensor& x, const Scalar& value, bool wrap) {
  if (x.dim() < 2) fail("fill_diagonal_: expected at least 2 dimensions, got ", x);
  int64_t step = 0, length = x.size(0);
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (x.dim() > 2 && x.size(d) != x.size(0)) fail("fill_diagonal_: expected equal sizes in more than 2 dimensions, got ", show(x.sizes()));
    step += x.stride(d);
    length = std::min(length, x.size(d));
  }
  fill_(as_strided(x, Dims{length}, Dims{step}), value);
  if (wrap && x.dim() == 2)
    for (int64_t top = x.size(1) + 1; top < x.size(0); top += x.size(1) + 1) {
      const Tensor rest = slice(x, 0, top, std::nullopt);
      fill_(diagonal(rest), value);
    }
  return x;
}
Tensor adjoint(const Tensor& x) {
  if (x.dim() < 2) fail("adjoint: expected at least 2 dimensions, got ", x);
  return transpose(x, -2, -1);
}

constexpr int kBoth = kFunction | kMethod;

const Operator ops[] = {
    {&select_scatter, "select_scatter(Tensor input, Tensor src, int dim, int index) -> Tensor", kBoth, "A copy with src as one index along dim."},
    {&slice_scatter, "slice_scatter(Tensor input, Tensor src, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor", kBoth | kOut, "A copy with src as a slice along dim."},
    {&diagonal_scatter, "diagonal_scatter(Tensor input, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor", kBoth, "A copy with src on the diagonal."},
    {&fill_diagonal_, "fill_diagonal_(Tensor input, Scalar fill_value, bool wrap=False) -> Tensor", kMethod, "Fills the main diagonal."},
    {&adjoint, "adjoint(Tensor input) -> Tensor", kBoth, "The last two dimensions swapped (real numbers are their own conjugates)."},
    {&cat_into, "cat(Tensor[] tensors, int dim=0) -> Tensor", kFunction | kOut, "The tensors joined along dim."},
    {&cat_into, "concat(Tensor[] tensors, int dim=0) -> Tensor", kFunction | kOut, "Alias of cat."},
    {&cat_into, "concatenate(Tensor[] tensors, int dim=0) -> Tensor", kFunction | kOut, "Alias of cat."},
    {&stack, "stack(Tensor[] tensors, int dim=0) -> Tensor", kFunction | kOut, "Tensors of one shape joined along a new dimension."},
    {&hstack, "hstack(Tensor[] tensors) -> Tensor", kFunction | kOut, "The tensors joined along columns."},
    {&vstack, "vstack(Tensor[] tensors) -> Tensor", kFunction | kOut, "The tensors joined along rows."},
    {&vstack, "row_stack(Tensor[] tensors) -> Tensor", kFunction | kOut, "Alias of vstack."},
    {&dstack, "dstack(Tensor[] tensors) -> Tensor", kFunction | kOut, "The tensors joined along the third dimension."},
    {&column_stack, "column_stack(Tensor[] tensors) -> Tensor", kFunction | kOut, "Vectors as columns of a matrix."},
    {&split, "split(Tensor input, int split_size_or_sections, int dim=0) -> Tensor[]", kBoth, "Views of split_size indices each (the last may be shorter), or of the given sizes."},
    {&split_sizes, "split(Tensor input, int[] split_size_or_sections, int dim=0) -> Tensor[]", kBoth, ""},
    {&split_sizes, "split_with_sizes(Tensor input, int[] split_sizes, int dim=0) -> Tensor[]", kBoth, "Views of the given sizes."},
    {&chunk, "chunk(Tensor input, int chunks, int dim=0) -> Tensor[]", kBoth, "At most `chunks` views of equal size, the last perhaps shorter."},
    {&tensor_split, "tensor_split(Tensor input, int indices_or_sections, int dim=0) -> Tensor[]", kBoth, "Parts as even as possible, or the parts between indices."},
    {&tensor_split_at, "tensor_split(Tensor input, int[] indices_or_sections, int dim=0) -> Tensor[]", kBoth, ""},
    {&hsplit, "hsplit(Tensor input, int sections) -> Tensor[]", kBoth, "tensor_split along columns."},
    {&hsplit_at, "hsplit(Tensor input, int[] indices) -> Tensor[]", kBoth, ""},
    {&vsplit, "vsplit(Tensor input, int sections) -> Tensor[]", kBoth, "tensor_split along rows."},
    {&vsplit_at, "vsplit(Tensor input, int[] indices) -> Tensor[]", kBoth, ""},
    {&dsplit, "dsplit(Tensor input, int sections) -> Tensor[]", kBoth, "tensor_split along the third dimension."},
    {&dsplit_at, "dsplit(Tensor input, int[] indices) -> Tensor[]", kBoth, ""},
    {&unbind, "unbind(Tensor input, int dim=0) -> Tensor[]", kBoth, "A view for each index along dim."},
    {&flip, "flip(Tensor input, int[] dims) -> Tensor", kBoth, "A copy with the given dimensions reversed."},
    {&fliplr, "fliplr(Tensor input) -> Tensor", kBoth, "A copy with columns reversed."},
    {&flipud, "flipud(Tensor input) -> Tensor", kBoth, "A copy with rows reversed."},
    {&rot90, "rot90(Tensor input, int k=1, int[] dims=[0, 1]) -> Tensor", kBoth, "A copy turned k quarters in the plane of two dimensions."},
    {&roll, "roll(Tensor input, int[] shifts, int[]? dims=[]) -> Tensor", kBoth, "A copy shifted along dims, what leaves at the end coming in at the start."},
    {&repeat, "repeat(Tensor input, int[] repeats) -> Tensor", kMethod, "The tensor repeated along each dimension."},
    {&tile, "tile(Tensor input, int[] dims) -> Tensor", kBoth, "The tensor repeated along each dimension; missing dims repeat once."},
    {&repeat_interleave, "repeat_interleave(Tensor input, int repeats, int? dim=None, *, int? output_size=None) -> Tensor", kBoth, "Each index along dim repeated in place."},
    {&repeat_interleave_each, "repeat_interleave(Tensor input, Tensor repeats, int? dim=None, *, int? output_size=None) -> Tensor", kBoth, ""},
    {&movedim_one, "movedim(Tensor input, int source, int destination) -> Tensor", kBoth, "A view with dimensions moved; the others keep their order."},
    {&movedim, "movedim(Tensor input, int[] source, int[] destination) -> Tensor", kBoth, ""},
    {&movedim_one, "moveaxis(Tensor input, int source, int destination) -> Tensor", kBoth, "Alias of movedim."},
    {&movedim, "moveaxis(Tensor input, int[] source, int[] destination) -> Tensor", kBoth, ""},
    {&ravel, "ravel(Tensor input) -> Tensor", kBoth, "The elements as a vector."},
    {&unflatten, "unflatten(Tensor input, int dim, int[] sizes) -> Tensor", kBoth, "One dimension viewed as several."},
    {&broadcast_to, "broadcast_to(Tensor input, int[] size) -> Tensor", kBoth, "expand(size)."},
    {&broadcast_tensors, "broadcast_tensors(Tensor[] tensors) -> Tensor[]", kFunction, "Views of one common shape."},
    {&meshgrid, "meshgrid(Tensor[] tensors, *, str? indexing=None) -> Tensor[]", kFunction, "Coordinate grids of vectors, rows first ('ij') or columns first ('xy')."},
    {&expand_as, "expand_as(Tensor input, Tensor other) -> Tensor", kMethod, "expand to the shape of other."},
    {&view_as, "view_as(Tensor input, Tensor other) -> Tensor", kMethod, "view with the shape of other."},
    {&reshape_as, "reshape_as(Tensor input, Tensor other) -> Tensor", kMethod, "reshape to the shape of other."},
    {&atleast<1>, "atleast_1d(Tensor input) -> Tensor", kFunction, "The tensor with at least one dimension."},
    {&atleast<2>, "atleast_2d(Tensor input) -> Tensor", kFunction, "The tensor with at least two dimensions."},
    {&atleast<3>, "atleast_3d(Tensor input) -> Tensor", kFunction, "The tensor with at least three dimensions."},
    {&triangle<true>, "tril(Tensor input, int diagonal=0) -> Tensor", kBoth | kInplace | kOut, "The lower triangle, zeros above the diagonal."},
    {&triangle<false>, "triu(Tensor input, int diagonal=0) -> Tensor", kBoth | kInplace | kOut, "The upper triangle, zeros below the diagonal."},
    {&diag, "diag(Tensor input, int diagonal=0) -> Tensor", kBoth | kOut, "A matrix with the vector on a diagonal, or the diagonal of a matrix."},
    {&diag_embed, "diag_embed(Tensor input, int offset=0, int dim1=-2, int dim2=-1) -> Tensor", kBoth, "Matrices with the last dimension on a diagonal."},
    {&diagflat, "diagflat(Tensor input, int offset=0) -> Tensor", kBoth, "A matrix with all elements on a diagonal."},
    {&trace, "trace(Tensor input) -> Tensor", kBoth, "The sum of a matrix's diagonal."},
};

}  // namespace

}  // namespace pydl
