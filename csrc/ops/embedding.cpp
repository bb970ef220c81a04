// Rows of a table by number: embedding, and embedding_bag, which adds up (averages, takes the maximum of) several.
// Their gradient for the table is dense, or row-sparse on request. Sorted row numbers give every row of the dense one
// to one thread, which adds in the order of the indices; a row that no index names is only zeroed.
#include "autograd/node.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/index.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/sparse.h"
#include "ops/view.h"
#include "ops/workspace.h"

namespace pydl {

namespace {

constexpr int64_t kGrain = 16 * 1024;  // elements worth a thread

struct TableGradient {
  Dims sizes;  // of the table
  int64_t padding;
  bool by_frequency, sparse;
};

void check_table(const char* op, const Tensor& weight, const TableGradient& how) {
  if (weight.dim() != 2)
    fail<ShapeError>(op, ": expected a table (num_embeddings, embedding_dim) as weight, got ", weight);
  if (how.sparse && how.by_frequency)
    fail<ValueError>(op, ": expected scale_grad_by_freq=False with sparse=True, got both");
}

// int64 row numbers, checked. With `keep` they are the backward pass's own: whoever fills the indices anew, as loops do
// with a batch's buffer, would else change what it reads.
Tensor row_numbers(const char* op, const Tensor& indices, const Tensor& weight, bool keep) {
  const Tensor rows = checked_index(op, indices, weight.size(0), 0);
  return keep && rows.storage() == indices.storage() ? clone(rows) : rows;
}

// The gradient of the table, dense: row r gets scale[k] * g[source[k]] for every k with index[k] == r, in ascending k.
// Undefined `source` is 0, 1, 2 ...; undefined `scale` ones.
Tensor dense_gradient(const Tensor& g, const Tensor& index, const Tensor& source, const Tensor& scale,
                      const TableGradient& how) {
  const DType t = compute_dtype(g.dtype());
  const Tensor from = contiguous(cast(g, t)), dw = zeros(how.sizes, t);
  const Segments same(index);
  const int64_t cols = how.sizes[1], n = index.numel();
  visit_float(t, [&]<class T>(type_tag<T>) {
    // Where the rows come from and their factors, in the order of the segments.
    const Workspace<int64_t> rows(source.defined() ? n : 0);
    const Workspace<T> factors(scale.defined() ? n : 0);
    const int64_t* const order = same.order.data<int64_t>();
    for (int64_t k = 0; k < n; ++k) {
      if (source.defined()) rows.data()[k] = source.data<int64_t>()[order[k]];
      if (scale.defined()) factors.data()[k] = scale.data<T>()[order[k]];
    }
    same.each(cols, [&](int64_t i, const int64_t* at, int64_t count) {
      const int64_t row = same.values.data<int64_t>()[i], first = at - order;
      if (row == how.padding) return;
      T* const out = dw.data<T>() + row * cols;
      kernels<T>().embedding.bag_sum(out, from.data<T>(), source.defined() ? rows.data() + first : at,
                                     scale.defined() ? factors.data() + first : nullptr, T(1), count, cols);
      if (how.by_frequency)
        for (int64_t j = 0; j < cols; ++j) out[j] *= T(1) / T(count);
    });
  });
  return cast(dw, g.dtype());
}

// How often each of the row numbers occurs among them.
Tensor frequencies(const Tensor& index, DType t) {
  const Segments same(index);
  const Tensor counts = Tensor::empty(index.sizes(), DType::Int64);
  same.each(1, [&](int64_t, const int64_t* at, int64_t n) {
    for (int64_t k = 0; k < n; ++k) counts.data<int64_t>()[at[k]] = n;
  });
  return cast(counts, t);
}

// The gradient of the table for `values`, one row an index, in differentiable operations.
Tensor composite_gradient(const Tensor& values, const Tensor& index, const TableGradient& how) {
  Tensor v = values;
  if (how.by_frequency) v = div(v, unsqueeze(frequencies(index, values.dtype()), 1));
  if (how.padding >= 0) v = masked_fill(v, unsqueeze(eq(index, Operand(how.padding)), 1), Operand(0));
  return index_put_(zeros(how.sizes, values.dtype()), {index}, v, true);
}

Tensor sparse_gradient(const Tensor& values, const Tensor& index, const TableGradient& how) {
  if (how.padding < 0) return sparse_rows(index, values, how.sizes, false);
  const Tensor kept = reshape(nonzero(ne(index, Operand(how.padding))), Dims{-1});
  if (kept.numel() == index.numel()) return sparse_rows(index, values, how.sizes, false);
  return sparse_rows(pydl::index(index, {kept}), pydl::index(values, {kept}), how.sizes, false);
}

}  // namespace

Tensor embedding(const Tensor& weight, const Tensor& indices, int64_t padding_idx, bool scale_grad_by_freq,
                 bool sparse) {
  Call call("embedding");
  const TableGradient how{Dims(weight.sizes()), padding_idx, scale_grad_by_freq, sparse};
  check_table(call.op, weight, how);
  const Tensor rows = row_numbers(call.op, indices, weight, autograd::needed(weight));
  const Tensor y = index(weight.alias(), {rows});
  if (autograd::needed(weight))
    autograd::record("EmbeddingBackward", y, {weight}, [how, at = reshape(rows, Dims{-1})](const Tensor& g) {
      const Tensor values = reshape(g, Dims{at.numel(), how.sizes[1]});
      if (autograd::grad_enabled()) return composite_gradient(values, at, how);
      return how.sparse ? sparse_gradient(contiguous(values), at, how) : dense_gradient(values, at, {}, {}, how);
    });
  return y;
}

// ---- bags -----------------------------------------------------------------------------------------------------------

namespace {

enum class Mode { Sum, Mean, Max };

Mode parse_mode(std::string_view mode) {
  if (mode == "sum") return Mode::Sum;
  if (mode == "mean") return Mode::Mean;
  if (mode == "max") return Mode::Max;
  fail<ValueError>("embedding_bag: expected mode 'sum', 'mean' or 'max', got '", mode, "'");
}

// The bags without their padding: bag b holds index[begin[b]] .. index[begin[b + 1] - 1].
struct Bags {
  Tensor index, bag_of;  // int64 [n]
  Tensor kept;           // the places of what is left, where padding was left out
  std::vector<int64_t> begin;
  int64_t count() const { return int64_t(begin.size()) - 1; }
  int64_t size(int64_t b) const { return begin[size_t(b) + 1] - begin[size_t(b)]; }

  Bags(const Tensor& rows, const Tensor& offsets, bool include_last, int64_t padding) : index(rows) {
    const char* const op = "embedding_bag";
    if (offsets.dim() != 1 || (offsets.dtype() != DType::Int64 && offsets.dtype() != DType::Int32))
      fail<ShapeError>(op, ": expected int64 or int32 offsets (bags), got ", offsets);
    const Tensor starts = contiguous(cast(offsets, DType::Int64));
    const int64_t *const at = starts.data<int64_t>(), given = starts.numel(), n = rows.numel();
    if (include_last && given == 0) fail(op, ": expected at least one offset with include_last_offset=True, got none");
    if (given && at[0] != 0) fail(op, ": expected offsets that begin with 0, got ", at[0]);
    for (int64_t b = 0; b < given; ++b)
      if (at[b] > n || (b && at[b] < at[b - 1]))
        fail(op, ": expected ascending offsets in [0, ", n, "], got ", at[b], " as number ", b);
    if (include_last && at[given - 1] != n) fail(op, ": expected ", n, " as the last offset, got ", at[given - 1]);
    const int64_t bags = given - include_last;
    if (bags == 0 && n) fail(op, ": expected offsets for ", n, " indices, got none");
    bag_of = Tensor::empty(Dims{n}, DType::Int64);
    kept = padding < 0 ? Tensor() : Tensor::empty(Dims{n}, DType::Int64);
    int64_t left = 0;
    begin.push_back(0);
    for (int64_t b = 0; b < bags; ++b) {
      for (int64_t k = at[b], end = b + 1 < given ? at[b + 1] : n; k < end; ++k) {
        if (padding >= 0 && rows.data<int64_t>()[k] == padding) continue;
        if (kept.defined()) kept.data<int64_t>()[left] = k;
        bag_of.data<int64_t>()[left++] = b;
      }
      begin.push_back(left);
    }
    if (!kept.defined()) return;
    kept = contiguous(narrow(kept, 0, 0, left));
    bag_of = contiguous(narrow(bag_of, 0, 0, left));
    index = pydl::index(rows, {kept});
  }

  // 1 / size of the bag of every index.
  Tensor shares(DType t) const {
    const Tensor sizes = Tensor::empty(index.sizes(), DType::Int64);
    for (int64_t k = 0; k < index.numel(); ++k) sizes.data<int64_t>()[k] = size(bag_of.data<int64_t>()[k]);
    return div(Operand(1.0), cast(sizes, t));
  }

  template <class F>
  void each(int64_t cols, F&& f) const {
    const int64_t work = std::max<int64_t>(1, index.numel() * cols / std::max<int64_t>(count(), 1));
    parallel_for(count(), std::max<int64_t>(1, kGrain / work), [&](int64_t b, int64_t e) {
      for (; b < e; ++b) f(b, begin[size_t(b)], size(b));
    });
  }
};

// The largest of every column; `winner` [bags, cols] is the row it stands in, -1 in an empty bag.
Tensor bag_maxima(const Tensor& weight, const Bags& bags, const TableGradient& how) {
  const DType t = compute_dtype(weight.dtype());
  const Tensor table = contiguous(cast(weight.alias(), t));
  const Tensor y = Tensor::empty(Dims{bags.count(), table.size(1)}, t), winner = Tensor::empty(y.sizes(), DType::Int64);
  visit_float(t, [&]<class T>(type_tag<T>) {
    const int64_t cols = table.size(1);
    bags.each(cols, [&](int64_t b, int64_t first, int64_t n) {
      kernels<T>().embedding.bag_max(y.data<T>() + b * cols, winner.data<int64_t>() + b * cols, table.data<T>(),
                                     bags.index.data<int64_t>() + first, n, cols);
    });
  });
  const Tensor result = cast(y, weight.dtype());
  if (autograd::needed(weight))
    autograd::record("EmbeddingBagBackward", result, {weight}, [how, winner](const Tensor& g) {
      const Tensor none = lt(winner, Operand(0));
      return scatter_add_(zeros(how.sizes, g.dtype()), 0, masked_fill(winner, none, Operand(0)),
                          masked_fill(g, none, Operand(0)));
    });
  return result;
}

// The gradient of the factors: dots of the table's rows with the gradients of their bags.
Tensor factor_gradient(const Tensor& g, const Tensor& weight, const Bags& bags) {
  const DType t = compute_dtype(g.dtype());
  const Tensor from = contiguous(cast(g, t)), table = contiguous(cast(weight.alias(), t));
  const Tensor dots = Tensor::empty(bags.index.sizes(), t);
  visit_float(t, [&]<class T>(type_tag<T>) {
    const int64_t cols = table.size(1);
    bags.each(cols, [&](int64_t b, int64_t first, int64_t n) {
      kernels<T>().embedding.bag_dot(dots.data<T>() + first, table.data<T>(), bags.index.data<int64_t>() + first,
                                     from.data<T>() + b * cols, n, cols);
    });
  });
  return cast(dots, g.dtype());
}

// Sums with a factor an index (of `given`, whose kept places they are; of a mean, constants; or undefined).
Tensor bag_sums(const Tensor& weight, const Tensor& given, const Bags& bags, Mode mode, const TableGradient& how) {
  const DType t = compute_dtype(weight.dtype());
  const Tensor table = contiguous(cast(weight.alias(), t));
  auto factors = [=](const Tensor& from) {
    return !from.defined() || !bags.kept.defined() ? from : index(from, {bags.kept});
  };
  const Tensor scale = given.defined() ? contiguous(cast(factors(given.alias()), t)) : Tensor();
  const Tensor y = Tensor::empty(Dims{bags.count(), table.size(1)}, t);
  visit_float(t, [&]<class T>(type_tag<T>) {
    const int64_t cols = table.size(1);
    bags.each(cols, [&](int64_t b, int64_t first, int64_t n) {
      T* const out = y.data<T>() + b * cols;
      kernels<T>().embedding.bag_sum(out, table.data<T>(), bags.index.data<int64_t>() + first,
                                     scale.defined() ? scale.data<T>() + first : nullptr,
                                     T(mode == Mode::Mean && n > 1 ? n : 1), n, cols);
    });
  });
  const Tensor result = cast(y, weight.dtype());
  if (autograd::needed(weight, given)) {
    const bool wants_weight = autograd::requires_grad(weight),
               wants_given = given.defined() && autograd::requires_grad(given);
    autograd::record("EmbeddingBagBackward", result, {weight, given},
                     [=, table_saved = autograd::save(wants_given ? weight : Tensor()),
                      given_saved = autograd::save(given)](const Tensor& g) {
                       const Tensor table = table_saved, from = given_saved;
                       const Tensor scale = mode == Mode::Mean ? bags.shares(g.dtype()) : factors(from);
                       auto values = [&] {
                         const Tensor rows = index(g, {bags.bag_of});
                         return scale.defined() ? mul(rows, unsqueeze(scale, 1)) : rows;
                       };
                       Tensor dweight, dgiven;
                       if (wants_weight) {
                         if (autograd::grad_enabled())
                           dweight = composite_gradient(values(), bags.index, how);
                         else if (how.sparse)
                           dweight = sparse_gradient(values(), bags.index, how);
                         else
                           dweight = dense_gradient(
                               g, bags.index, bags.bag_of,
                               scale.defined() ? contiguous(cast(scale, compute_dtype(g.dtype()))) : scale, how);
                       }
                       if (wants_given) {
                         const bool recorded = autograd::grad_enabled();
                         dgiven = recorded ? sum(mul(index(table, {bags.index}), index(g, {bags.bag_of})), Dims{1})
                                           : factor_gradient(g, table, bags);
                         if (bags.kept.defined())
                           dgiven = index_put_(zeros(from.sizes(), dgiven.dtype()), {bags.kept}, dgiven, false);
                       }
                       return Tensors{dweight, dgiven};
                     });
  }
  return result;
}

Tensor embedding_bag(const Tensor& weight, const Tensor& indices, const Tensor& offsets, bool scale_grad_by_freq,
                     std::string_view mode, bool sparse, const Tensor& per_sample_weights, bool include_last_offset,
                     int64_t padding_idx) {
  Call call("embedding_bag");
  const TableGradient how{Dims(weight.sizes()), padding_idx, scale_grad_by_freq, sparse};
  check_table(call.op, weight, how);
  if (!is_floating(weight.dtype())) fail<TypeError>(call.op, ": expected a floating point weight, got ", weight);
  const Mode m = parse_mode(mode);
  if (indices.dim() != 1) fail<ShapeError>(call.op, ": expected indices (n), got ", indices);
  if (per_sample_weights.defined()) {
    if (m != Mode::Sum)
      fail<NotImplementedError>(call.op, ": expected mode 'sum' with per_sample_weights, got '", mode, "'");
    if (!same(per_sample_weights.sizes(), indices.sizes()))
      fail<ShapeError>(call.op, ": expected per_sample_weights of shape ", show(indices.sizes()), ", got ",
                       per_sample_weights);
    if (per_sample_weights.dtype() != weight.dtype())
      fail<TypeError>(call.op, ": expected per_sample_weights of dtype ", weight.dtype(), ", got ", per_sample_weights);
  }
  if (m == Mode::Max && (sparse || scale_grad_by_freq))
    fail<ValueError>(call.op, ": expected sparse=False and scale_grad_by_freq=False with mode 'max'");
  const bool keep = autograd::needed(weight, per_sample_weights);
  const Bags bags(row_numbers(call.op, indices, weight, keep), offsets, include_last_offset, padding_idx);
  return m == Mode::Max ? bag_maxima(weight, bags, how) : bag_sums(weight, per_sample_weights, bags, m, how);
}

const Operator ops[] = {
    {&embedding,
     "embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) "
     "-> Tensor",
     kFunction,
     "The rows of weight (num_embeddings, embedding_dim) at indices (*): (*, embedding_dim).\n"
     ">>> pydl.embedding(pydl.tensor([[1.0, 2.0], [3.0, 4.0]]), pydl.tensor([1, 0, 1]))\n"
     "tensor([[3., 4.],\n        [1., 2.],\n        [3., 4.]])"},
    {&embedding_bag,
     "embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False, str mode='mean', "
     "bool sparse=False, "
     "Tensor? per_sample_weights=None, bool include_last_offset=False, int padding_idx=-1) -> Tensor",
     kNN, "The sum, mean or maximum of the rows of weight that each bag of indices names: (bags, embedding_dim)."},
};

}  // namespace

}  // namespace pydl
