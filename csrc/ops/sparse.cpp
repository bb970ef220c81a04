#include "ops/sparse.h"

#include "autograd/node.h"
#include "kernels/sort.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/pointwise.h"
#include "ops/promote.h"
#include "ops/view.h"
#include "ops/workspace.h"

namespace pydl {

Tensor sparse_rows(const Tensor& indices, const Tensor& values, IntSpan sizes, bool coalesced) {
  const Tensor t = Tensor::over(Storage::allocate(0), sizes, contiguous_strides(sizes), 0, values.dtype());
  t.storage()->sparse.reset(new SparseRows{contiguous(indices), contiguous(values), coalesced});
  return t;
}

void replace_rows(const Tensor& x, SparseRows rows) {
  *x.storage()->sparse = std::move(rows);
  x.bump_version();
}

Segments::Segments(const Tensor& index) {
  const int64_t n = index.numel();
  const Tensor sorted = Tensor::empty(Dims{n}, DType::Int64);
  order = Tensor::empty(Dims{n}, DType::Int64);
  const Workspace<std::byte> workspace(int64_t(SortKernels<int64_t>::workspace(n)));
  SortKernels<int64_t>::sort(sorted.data<int64_t>(), order.data<int64_t>(), 1, index.data<int64_t>(), 1, n, false,
                             workspace.data());
  const int64_t* const at = sorted.data<int64_t>();
  for (int64_t i = 0; i < n; ++i)
    if (i == 0 || at[i] != at[i - 1]) start.push_back(i);
  values = Tensor::empty(Dims{int64_t(start.size())}, DType::Int64);
  for (size_t i = 0; i < start.size(); ++i) values.data<int64_t>()[i] = at[start[i]];
  start.push_back(n);
}

Tensor coalesce(const Tensor& x) {
  Call call("coalesce");
  if (!x.is_sparse()) fail("coalesce: expected a row-sparse tensor, got a dense ", x);
  const SparseRows& rows = x.sparse();
  if (rows.coalesced) return x;
  const Segments same(rows.indices);
  const Tensor from = cast(rows.values, compute_dtype(x.dtype()));
  Dims sizes(from.sizes());
  sizes[0] = same.count();
  const Tensor sums = Tensor::empty(sizes, from.dtype());
  const int64_t cols = sums.numel() / std::max<int64_t>(same.count(), 1);
  visit_float(from.dtype(), [&]<class T>(type_tag<T>) {
    same.each(cols, [&](int64_t i, const int64_t* at, int64_t n) {
      kernels<T>().embedding.bag_sum(sums.data<T>() + i * cols, from.data<T>(), at, nullptr, T(1), n, cols);
    });
  });
  return sparse_rows(same.values, cast(sums, x.dtype()), x.sizes(), true);
}

namespace {

// dense += factor * sparse, row by row.
void add_rows(const Tensor& dense, const Tensor& sparse, const Scalar& factor) {
  const SparseRows& rows = sparse.sparse();
  const Tensor values = cast(rows.values, dense.dtype());
  index_put_(dense, {rows.indices}, factor.equals(1) ? values : mul(values, Operand(factor)), true);
}

}  // namespace

Tensor to_dense(const Tensor& x) {
  if (!x.is_sparse()) return x;
  Call call("to_dense");
  const Tensor y = zeros(x.sizes(), x.dtype());
  add_rows(y, x, Scalar(1));
  return y;
}

// ---- arithmetic -----------------------------------------------------------------------------------------------------

namespace {

[[noreturn]] void refuse(const PointwiseRow& row, std::span<const Operand> in) {
  for (const Operand& o : in)
    if (o.is_tensor()) o.tensor().check_dense();
  fail(row.name, ": expected dense tensors");
}

SparseRows joined(const char* op, const Tensor& a, const Tensor& b, const Scalar& factor) {
  if (!same(a.sizes(), b.sizes()))
    fail<ShapeError>(op, ": expected row-sparse tensors of one shape, got ", a, " and ", b);
  if (a.dtype() != b.dtype()) fail<TypeError>(op, ": expected row-sparse tensors of one dtype, got ", a, " and ", b);
  const SparseRows &x = a.sparse(), &y = b.sparse();
  const Tensor scaled = factor.equals(1) ? y.values : mul(y.values, Operand(factor));
  const Tensor all = sparse_rows(cat({x.indices, y.indices}, 0), cat({x.values, scaled}, 0), a.sizes(), false);
  if (!x.coalesced || !y.coalesced) return std::move(*all.storage()->sparse);
  return std::move(*coalesce(all).storage()->sparse);
}

// a + factor * b.
Tensor sum(const PointwiseRow& row, const Operand& a, const Operand& b, const Scalar& factor, const Out& out) {
  if (!a.is_tensor() || !b.is_tensor()) refuse(row, {{a, b}});
  const Tensor &x = a.tensor(), &y = b.tensor();
  const bool in_place = out.kind == Out::Kind::Inplace;
  if (x.is_sparse() && y.is_sparse()) {
    SparseRows rows = joined(row.name, x, y, factor);
    if (!in_place) return sparse_rows(rows.indices, rows.values, x.sizes(), rows.coalesced);
    replace_rows(x, std::move(rows));
    return x;
  }
  if (!same(x.sizes(), y.sizes()))
    fail<ShapeError>(row.name, ": expected tensors of one shape, got ", x, " and a row-sparse ", y);
  if (x.is_sparse()) {
    if (in_place) refuse(row, {{a, b}});
    return add(to_dense(x), mul(y, Operand(factor)));
  }
  if (!is_floating(x.dtype())) fail<TypeError>(row.name, ": expected a floating point tensor, got ", x);
  const Tensor target = in_place ? x : clone(cast(x, promote(x.dtype(), y.dtype())));
  add_rows(target, y, factor);
  return target;
}

bool is_number(const Operand& o) { return !o.is_tensor() || (o.tensor().dim() == 0 && !o.tensor().is_sparse()); }

bool keeps_zeros(std::string_view op, std::span<const Operand> in) {
  if (op == "pow") return !in[1].is_tensor() && in[1].scalar().to_double() > 0;
  for (const char* name : {"abs", "neg", "sign", "sqrt", "square"})
    if (op == name) return true;
  return false;
}

Scalar negative(const Scalar& s) { return s.is_float() ? Scalar(-s.to_double()) : Scalar(-s.to_int()); }

}  // namespace

Tensor sparse_pointwise(const PointwiseRow& row, std::span<const Operand> in, std::span<const Scalar> params,
                        const Out& out) {
  const std::string_view op = row.name;
  for (const Operand& o : in)
    if (o.is_tensor() && autograd::needed(o.tensor()))
      fail(row.name,
           ": expected tensors that require no gradient where one is row-sparse (use no_grad), got one that does");
  if (out.kind == Out::Kind::Given) refuse(row, in);
  if (op == "add" || op == "sub") return sum(row, in[0], in[1], Scalar(op == "add" ? 1 : -1), out);
  if (op == "add_scaled") return sum(row, in[0], in[1], params[0], out);
  if (op == "sub_scaled") return sum(row, in[0], in[1], negative(params[0]), out);
  auto with_values = [&](const Tensor& x, const Tensor& values, bool coalesced) {
    const SparseRows& rows = x.sparse();
    if (out.fresh()) return sparse_rows(rows.indices, values, x.sizes(), coalesced);
    replace_rows(x, {rows.indices, cast(values, x.dtype()), coalesced});
    return x;
  };
  const bool first = in[0].is_tensor() && in[0].tensor().is_sparse();
  if ((op == "mul" && in.size() == 2 && (is_number(in[0]) || is_number(in[1]))) ||
      (op == "div" && first && is_number(in[1]))) {
    const Tensor& x = first ? in[0].tensor() : in[1].tensor();
    const SparseRows& rows = x.sparse();
    if (!first && !out.fresh()) refuse(row, in);
    const Operand& factor = first ? in[1] : in[0];
    return with_values(x, op == "mul" ? mul(rows.values, factor) : div(rows.values, factor), rows.coalesced);
  }
  if (!first || !keeps_zeros(op, in)) refuse(row, in);
  const Tensor once = coalesce(in[0].tensor());
  const Tensor& values = once.sparse().values;
  const Tensor result = in.size() == 1 ? pointwise(row, {values}, {}, {}) : pointwise(row, {values, in[1]}, {}, {});
  if (out.fresh()) return sparse_rows(once.sparse().indices, result, once.sizes(), true);
  replace_rows(in[0].tensor(), {once.sparse().indices, result, true});
  return in[0].tensor();
}

// ---- operators ------------------------------------------------------------------------------------------------------

namespace {

const SparseRows& rows_of(const char* op, const Tensor& x) {
  if (!x.is_sparse()) fail(op, ": expected a row-sparse tensor, got a dense ", x);
  return x.sparse();
}
const SparseRows& coalesced_rows_of(const char* op, const Tensor& x) {
  const SparseRows& rows = rows_of(op, x);
  if (!rows.coalesced)
    fail(op, ": expected a coalesced tensor, got ", x, " with rows that may repeat; call coalesce() first");
  return rows;
}

Tensor make(const Tensor& indices, const Tensor& values, IntSpan size, bool coalesced) {
  const char* const op = "sparse_coo_tensor";
  if (!is_floating(values.dtype())) fail<TypeError>(op, ": expected floating point values, got ", values);
  if (indices.dim() != 2) fail<ShapeError>(op, ": expected indices [1, n], got ", indices);
  if (indices.size(0) != 1)
    fail<NotImplementedError>(op, ": expected one sparse dimension (rows), indices [1, n], got ", indices);
  if (values.dim() < 1 || values.size(0) != indices.size(1))
    fail<ShapeError>(op, ": expected one row of values an index, got indices ", indices, " and values ", values);
  if (size.empty() || !same(size.subspan(1), values.sizes().subspan(1)))
    fail<ShapeError>(op, ": expected a size (rows, *", show(values.sizes().subspan(1)), "), got ", show(size));
  const Tensor at = clone(reshape(checked_index(op, indices, size[0], 0), Dims{-1}));
  const int64_t* const i = at.data<int64_t>();
  if (coalesced && std::adjacent_find(i, i + at.numel(), std::greater_equal<>()) != i + at.numel())
    fail<ValueError>(op, ": expected ascending indices that differ with is_coalesced=True");
  return sparse_rows(at, values.alias(), size, coalesced);
}

bool is_sparse(const Tensor& x) { return x.is_sparse(); }
bool is_coalesced(const Tensor& x) { return rows_of("is_coalesced", x).coalesced; }
int64_t nnz(const Tensor& x) { return rows_of("_nnz", x).indices.numel(); }
int64_t sparse_dim(const Tensor& x) { return x.is_sparse(); }
int64_t dense_dim(const Tensor& x) { return x.dim() - x.is_sparse(); }
Tensor as_matrix(const Tensor& indices) {
  return indices.alias(Dims{1, indices.numel()}, Dims{indices.numel(), 1}, indices.offset());
}
Tensor raw_indices(const Tensor& x) { return as_matrix(rows_of("_indices", x).indices); }
Tensor raw_values(const Tensor& x) { return rows_of("_values", x).values.alias(); }
Tensor indices(const Tensor& x) { return as_matrix(coalesced_rows_of("indices", x).indices); }
Tensor values(const Tensor& x) { return coalesced_rows_of("values", x).values.alias(); }
Tensor to_dense_op(const Tensor& x, std::optional<DType> dtype) { return cast(to_dense(x), dtype.value_or(x.dtype())); }

constexpr int kQuery = kMethod | kNoGrad;

const Operator ops[] = {
    {&make, "_sparse_rows(Tensor indices, Tensor values, int[] size, bool coalesced) -> Tensor", kFunction | kNoGrad,
     "A row-sparse tensor."},
    {&is_sparse, "_is_sparse(Tensor input) -> bool", kFunction | kNoGrad, "Is the tensor row-sparse?"},
    {&coalesce, "coalesce(Tensor input) -> Tensor", kQuery,
     "A row-sparse tensor with ascending rows, each once; repeated ones are added up.\n"
     ">>> x = pydl.sparse_coo_tensor([[2, 0, 2]], [1.0, 2.0, 3.0], (4,)).coalesce()\n"
     ">>> x.indices(), x.values()\n(tensor([[0, 2]]), tensor([2., 4.]))"},
    {&is_coalesced, "is_coalesced(Tensor input) -> bool", kQuery,
     "Do the rows of a row-sparse tensor ascend, each once?\n"
     ">>> x = pydl.sparse_coo_tensor([[2, 0, 2]], [1.0, 2.0, 3.0], (4,))\n"
     ">>> x.is_coalesced(), x.coalesce().is_coalesced()\n(False, True)"},
    {&nnz, "_nnz(Tensor input) -> int", kQuery, "The number of rows that a row-sparse tensor holds."},
    {&sparse_dim, "sparse_dim(Tensor input) -> int", kQuery,
     "The number of sparse dimensions: 1 of a row-sparse tensor, else 0.\n"
     ">>> pydl.sparse_coo_tensor([[2, 0]], [[1.0, 2.0], [3.0, 4.0]], (4, 2)).sparse_dim()\n1"},
    {&dense_dim, "dense_dim(Tensor input) -> int", kQuery,
     "The number of dense dimensions.\n"
     ">>> pydl.sparse_coo_tensor([[2, 0]], [[1.0, 2.0], [3.0, 4.0]], (4, 2)).dense_dim()\n1"},
    {&raw_indices, "_indices(Tensor input) -> Tensor", kQuery,
     "The row numbers (1, n) of a row-sparse tensor, as they are."},
    {&raw_values, "_values(Tensor input) -> Tensor", kQuery, "The rows (n, ...) of a row-sparse tensor, as they are."},
    {&indices, "indices(Tensor input) -> Tensor", kQuery,
     "The row numbers (1, n) of a coalesced tensor.\n"
     ">>> pydl.sparse_coo_tensor([[2, 0]], [1.0, 2.0], (4,)).coalesce().indices()\ntensor([[0, 2]])"},
    {&values, "values(Tensor input) -> Tensor", kQuery,
     "The rows (n, ...) of a coalesced tensor.\n"
     ">>> pydl.sparse_coo_tensor([[2, 0]], [1.0, 2.0], (4,)).coalesce().values()\ntensor([2., 1.])"},
    {&to_dense_op, "to_dense(Tensor input, ScalarType? dtype=None) -> Tensor", kMethod,
     "A dense tensor with the values of a row-sparse one; a dense one itself.\n"
     ">>> pydl.sparse_coo_tensor([[2, 0]], [1.0, 2.0], (4,)).to_dense()\ntensor([2., 0., 1., 0.])"},
};

}  // namespace

}  // namespace pydl
