#include "ops/shape.h"

#include <algorithm>
#include <cstring>

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
#include "ops/view.h"
#include "tensor/memory_order.h"

namespace pydl {

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
  Call call("repeat_interleave");
  const Tensor in = dim && x.dim() ? x : reshape(x, Dims{-1});
  const int64_t d = wrap_dim(call.op, dim.value_or(0), in.dim());
  if (repeats < 0) fail("repeat_interleave: expected non-negative repeats, got ", repeats);
  // From here to the kernel, dimensions stand in memory order.
  const MemoryOrder order(in);
  const Tensor from = contiguous(order.to_memory(in.alias()));
  const int64_t axis = order.dim(d);
  Dims merged(from.sizes()), spread(in.sizes());
  if (__builtin_mul_overflow(in.size(d), repeats, &merged[size_t(axis)]))
    fail<ShapeError>(call.op, ": expected a dimension of fewer than 2^63 elements, got ", repeats, " times ", in.size(d));
  spread.insert(spread.begin() + d + 1, repeats);
  const Tensor joined = Tensor::empty(merged, x.dtype());
  check_repeated(joined, axis, output_size);
  if (joined.numel() > 0)
    visit_bits(x.item_size(), [&]<class T>(type_tag<T>) {
      const int64_t cols = element_count(from.sizes().subspan(size_t(axis) + 1)), rows = from.numel() / cols;
      parallel_for(rows, 1 + 16384 / (repeats * cols), [&](int64_t begin, int64_t end) {
        move_kernels<T>().repeat_rows(joined.data<T>() + begin * repeats * cols, from.data<T>() + begin * cols, end - begin, repeats, cols);
      });
    });
  const Tensor y = order.to_logical(joined);
  if (autograd::needed(in))
    autograd::record("RepeatInterleaveBackward", y, {in}, [=](const Tensor& g) { return sum(reshape(g, spread), Dims{d + 1}); });
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

// The part of the last two dimensions on one side of a diagonal: the beginning or the end of each row, zeros elsewhere.
template <bool kLower> Tensor triangle(const Tensor& x, int64_t diagonal) {
  Call call(kLower ? "tril" : "triu");
  if (x.dim() < 2) fail(call.op, ": expected at least 2 dimensions, got ", x);
  const int64_t rows = x.size(-2), cols = x.size(-1), item = x.item_size();
  const int64_t first = std::clamp(diagonal, -rows, cols) + kLower;  // where the parts of row 0 meet
  const Tensor from = contiguous(x.alias()), part = Tensor::empty(x.sizes(), x.dtype());
  auto* const source = static_cast<const uint8_t*>(from.raw());
  auto* const to = static_cast<uint8_t*>(part.raw());
  const auto copy_rows = move_kernels<uint8_t>().copy_rows;
  if (x.numel() > 0)
    parallel_for(x.numel() / cols, 1 + 16384 / cols, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t row = r * cols * item, edge = std::clamp<int64_t>(first + r % rows, 0, cols) * item, width = cols * item;
        const int64_t kept = kLower ? 0 : edge, cleared = kLower ? edge : 0, length = kLower ? edge : width - edge;
        copy_rows(to + row + kept, 0, source + row + kept, 0, 1, length, false);
        std::memset(to + row + cleared, 0, size_t(width - length));
      }
    });
  const Tensor y = in_format_of(x, part);
  if (autograd::needed(x))
    autograd::record(kLower ? "TrilBackward" : "TriuBackward", y, {x}, [=](const Tensor& g) { return triangle<kLower>(g, diagonal); });
  return y;
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
    {&select_scatter, "select_scatter(Tensor input, Tensor src, int dim, int index) -> Tensor", kBoth,
     "A copy with src as one index along dim.\n"
     ">>> pydl.select_scatter(pydl.zeros(2, 2), pydl.tensor([1.0, 2.0]), dim=0, index=1)\n"
     "tensor([[0., 0.],\n        [1., 2.]])"},
    {&slice_scatter,
     "slice_scatter(Tensor input, Tensor src, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor",
     kBoth | kOut, "A copy with src as a slice along dim.\n"
     ">>> pydl.slice_scatter(pydl.zeros(4), pydl.tensor([1.0, 2.0]), start=1, end=3)\ntensor([0., 1., 2., 0.])"},
    {&diagonal_scatter, "diagonal_scatter(Tensor input, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor",
     kBoth, "A copy with src on the diagonal.\n"
     ">>> pydl.diagonal_scatter(pydl.zeros(2, 2), pydl.tensor([1.0, 2.0]))\ntensor([[1., 0.],\n        [0., 2.]])"},
    {&fill_diagonal_, "fill_diagonal_(Tensor input, Scalar fill_value, bool wrap=False) -> Tensor", kMethod,
     "Fills the main diagonal.\n"
     ">>> pydl.zeros(2, 2).fill_diagonal_(5)\ntensor([[5., 0.],\n        [0., 5.]])"},
    {&adjoint, "adjoint(Tensor input) -> Tensor", kBoth,
     "The last two dimensions swapped (real numbers are their own conjugates).\n"
     ">>> pydl.adjoint(pydl.tensor([[1, 2], [3, 4]]))\ntensor([[1, 3],\n        [2, 4]])"},
    {&flip, "flip(Tensor input, int[] dims) -> Tensor", kBoth,
     "A copy with the given dimensions reversed.\n"
     ">>> pydl.flip(pydl.tensor([[1, 2], [3, 4]]), dims=[0, 1])\ntensor([[4, 3],\n        [2, 1]])"},
    {&fliplr, "fliplr(Tensor input) -> Tensor", kBoth,
     "A copy with columns reversed.\n"
     ">>> pydl.fliplr(pydl.tensor([[1, 2], [3, 4]]))\ntensor([[2, 1],\n        [4, 3]])"},
    {&flipud, "flipud(Tensor input) -> Tensor", kBoth,
     "A copy with rows reversed.\n"
     ">>> pydl.flipud(pydl.tensor([[1, 2], [3, 4]]))\ntensor([[3, 4],\n        [1, 2]])"},
    {&rot90, "rot90(Tensor input, int k=1, int[] dims=[0, 1]) -> Tensor", kBoth,
     "A copy turned k quarters in the plane of two dimensions.\n"
     ">>> pydl.rot90(pydl.tensor([[1, 2], [3, 4]]))\ntensor([[2, 4],\n        [1, 3]])"},
    {&roll, "roll(Tensor input, int[] shifts, int[]? dims=[]) -> Tensor", kBoth,
     "A copy shifted along dims, what leaves at the end coming in at the start.\n"
     ">>> pydl.roll(pydl.tensor([1, 2, 3, 4]), 1)\ntensor([4, 1, 2, 3])"},
    {&repeat, "repeat(Tensor input, int[] repeats) -> Tensor", kMethod,
     "The tensor repeated along each dimension.\n"
     ">>> pydl.tensor([1, 2]).repeat(2, 2)\ntensor([[1, 2, 1, 2],\n        [1, 2, 1, 2]])"},
    {&tile, "tile(Tensor input, int[] dims) -> Tensor", kBoth,
     "The tensor repeated along each dimension; missing dims repeat once.\n"
     ">>> pydl.tile(pydl.tensor([[1, 2], [3, 4]]), [2])\ntensor([[1, 2, 1, 2],\n        [3, 4, 3, 4]])"},
    {&repeat_interleave,
     "repeat_interleave(Tensor input, int repeats, int? dim=None, *, int? output_size=None) -> Tensor", kBoth,
     "Each index along dim repeated in place.\n"
     ">>> pydl.repeat_interleave(pydl.tensor([1, 2]), 2)\ntensor([1, 1, 2, 2])\n"
     ">>> pydl.repeat_interleave(pydl.tensor([1, 2]), pydl.tensor([1, 3]))\ntensor([1, 2, 2, 2])"},
    {&repeat_interleave_each, "repeat_interleave(Tensor input, Tensor repeats, int? dim=None, *, int? output_size=None) -> Tensor", kBoth, ""},
    {&movedim_one, "movedim(Tensor input, int source, int destination) -> Tensor", kBoth,
     "A view with dimensions moved; the others keep their order.\n"
     ">>> pydl.movedim(pydl.zeros(2, 3, 4), 0, -1).shape\npydl.Size([3, 4, 2])"},
    {&movedim, "movedim(Tensor input, int[] source, int[] destination) -> Tensor", kBoth, ""},
    {&movedim_one, "moveaxis(Tensor input, int source, int destination) -> Tensor", kBoth,
     "Alias of movedim.\n"
     ">>> pydl.moveaxis(pydl.zeros(2, 3, 4), 0, -1).shape\npydl.Size([3, 4, 2])"},
    {&movedim, "moveaxis(Tensor input, int[] source, int[] destination) -> Tensor", kBoth, ""},
    {&ravel, "ravel(Tensor input) -> Tensor", kBoth,
     "The elements as a vector.\n"
     ">>> pydl.ravel(pydl.tensor([[1, 2], [3, 4]]))\ntensor([1, 2, 3, 4])"},
    {&unflatten, "unflatten(Tensor input, int dim, int[] sizes) -> Tensor", kBoth,
     "One dimension viewed as several.\n"
     ">>> pydl.unflatten(pydl.zeros(6, 5), 0, [2, 3]).shape\npydl.Size([2, 3, 5])"},
    {&broadcast_to, "broadcast_to(Tensor input, int[] size) -> Tensor", kBoth,
     "expand(size).\n"
     ">>> pydl.broadcast_to(pydl.tensor([1, 2]), [2, 2])\ntensor([[1, 2],\n        [1, 2]])"},
    {&broadcast_tensors, "broadcast_tensors(Tensor[] tensors) -> Tensor[]", kFunction,
     "Views of one common shape.\n"
     ">>> a, b = pydl.broadcast_tensors(pydl.zeros(3, 1), pydl.zeros(2))\n"
     ">>> a.shape, b.shape\n(pydl.Size([3, 2]), pydl.Size([3, 2]))"},
    {&meshgrid, "meshgrid(Tensor[] tensors, *, str? indexing=None) -> Tensor[]", kFunction,
     "Coordinate grids of vectors, rows first ('ij') or columns first ('xy').\n"
     ">>> [g.tolist() for g in pydl.meshgrid(pydl.tensor([1, 2]), pydl.tensor([3, 4]), indexing='ij')]\n"
     "[[[1, 1], [2, 2]], [[3, 4], [3, 4]]]"},
    {&expand_as, "expand_as(Tensor input, Tensor other) -> Tensor", kMethod,
     "expand to the shape of other.\n"
     ">>> pydl.tensor([1, 2]).expand_as(pydl.zeros(2, 2))\ntensor([[1, 2],\n        [1, 2]])"},
    {&view_as, "view_as(Tensor input, Tensor other) -> Tensor", kMethod,
     "view with the shape of other.\n"
     ">>> pydl.tensor([1, 2, 3, 4]).view_as(pydl.zeros(2, 2))\ntensor([[1, 2],\n        [3, 4]])"},
    {&reshape_as, "reshape_as(Tensor input, Tensor other) -> Tensor", kMethod,
     "reshape to the shape of other.\n"
     ">>> pydl.tensor([1, 2, 3, 4]).reshape_as(pydl.zeros(2, 2))\ntensor([[1, 2],\n        [3, 4]])"},
    {&triangle<true>, "tril(Tensor input, int diagonal=0) -> Tensor", kBoth | kInplace | kOut,
     "The lower triangle, zeros above the diagonal.\n"
     ">>> pydl.tril(pydl.ones(3, 3))\ntensor([[1., 0., 0.],\n        [1., 1., 0.],\n        [1., 1., 1.]])"},
    {&triangle<false>, "triu(Tensor input, int diagonal=0) -> Tensor", kBoth | kInplace | kOut,
     "The upper triangle, zeros below the diagonal.\n"
     ">>> pydl.triu(pydl.ones(3, 3), diagonal=1)\n"
     "tensor([[0., 1., 1.],\n        [0., 0., 1.],\n        [0., 0., 0.]])"},
    {&diag, "diag(Tensor input, int diagonal=0) -> Tensor", kBoth | kOut,
     "A matrix with the vector on a diagonal, or the diagonal of a matrix.\n"
     ">>> pydl.diag(pydl.tensor([1, 2]))\ntensor([[1, 0],\n        [0, 2]])\n"
     ">>> pydl.diag(pydl.tensor([[1, 2], [3, 4]]))\ntensor([1, 4])"},
    {&diag_embed, "diag_embed(Tensor input, int offset=0, int dim1=-2, int dim2=-1) -> Tensor", kBoth,
     "Matrices with the last dimension on a diagonal.\n"
     ">>> pydl.diag_embed(pydl.tensor([1, 2]), offset=1)\ntensor([[0, 1, 0],\n        [0, 0, 2],\n        [0, 0, 0]])"},
    {&diagflat, "diagflat(Tensor input, int offset=0) -> Tensor", kBoth,
     "A matrix with all elements on a diagonal.\n"
     ">>> pydl.diagflat(pydl.tensor([[1, 2]]))\ntensor([[1, 0],\n        [0, 2]])"},
    {&trace, "trace(Tensor input) -> Tensor", kBoth,
     "The sum of a matrix's diagonal.\n"
     ">>> pydl.trace(pydl.tensor([[1, 2], [3, 4]]))\ntensor(5)"},
};

}  // namespace

}  // namespace pydl
