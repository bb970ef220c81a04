// Products over named or numbered dimensions, all resting on batched matrix products: einsum, tensordot, kron and kin.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "autograd/node.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/join.h"
#include "ops/matmul.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/shape.h"
#include "ops/view.h"

namespace pydl {

namespace {

// ---- einsum: subscripts are small integers; 0..51 letters, 52.. the ellipsis dimensions -----------------------------------

using Subscripts = SmallVector<int, 8>;
constexpr int kLetters = 52;

int subscript(char c) {
  if (c >= 'a' && c <= 'z') return c - 'a';
  if (c >= 'A' && c <= 'Z') return 26 + c - 'A';
  fail("einsum: expected letters, '...', ',' and '->' in the equation, got '", c, "'");
}

// One operand's subscripts; "..." stands for dimensions right-aligned among all ellipses of up to `ellipsis` dimensions.
Subscripts parse_term(std::string_view term, int64_t dims, int64_t ellipsis) {
  Subscripts out;
  const size_t dots = term.find("...");
  const int64_t named = int64_t(term.size()) - (dots == term.npos ? 0 : 3);
  for (size_t i = 0; i < term.size(); ++i) {
    if (i == dots) {
      const int64_t here = dims < 0 ? ellipsis : dims - named;
      for (int64_t k = ellipsis - here; k < ellipsis; ++k) out.push_back(kLetters + int(k));
      i += 2;
    } else {
      out.push_back(subscript(term[i]));
    }
  }
  return out;
}

bool has(const Subscripts& s, int c) { return std::find(s.begin(), s.end(), c) != s.end(); }
int64_t position(const Subscripts& s, int c) { return std::find(s.begin(), s.end(), c) - s.begin(); }

struct Term {
  Tensor tensor;
  Subscripts labels;
};

// A repeated subscript within one operand takes the diagonal.
void take_diagonals(Term& t) {
  for (size_t i = 0; i < t.labels.size(); ++i)
    for (size_t j = i + 1; j < t.labels.size();) {
      if (t.labels[i] != t.labels[j]) {
        ++j;
        continue;
      }
      if (t.tensor.size(int64_t(i)) != t.tensor.size(int64_t(j)))
        fail<ShapeError>("einsum: expected equal sizes for a repeated subscript, got ", show(t.tensor.sizes()));
      t.tensor = movedim(diagonal(t.tensor, 0, int64_t(i), int64_t(j)), Dims{-1}, Dims{int64_t(i)});
      t.labels.erase(t.labels.begin() + j);
    }
}

void sum_out(Term& t, const Subscripts& keep) {
  Dims dims;
  Subscripts left;
  for (size_t i = 0; i < t.labels.size(); ++i) {
    if (has(keep, t.labels[i])) left.push_back(t.labels[i]);
    else dims.push_back(int64_t(i));
  }
  if (!dims.empty()) t.tensor = sum(t.tensor, dims);
  t.labels = left;
}

// Dimensions in the given label order; labels the term lacks get size 1.
Tensor arranged(const Term& t, const Subscripts& order) {
  Dims perm;
  for (int c : order)
    if (has(t.labels, c)) perm.push_back(position(t.labels, c));
  Tensor x = permute(t.tensor, perm);
  for (size_t i = 0; i < order.size(); ++i)
    if (!has(t.labels, order[i])) x = unsqueeze(x, int64_t(i));
  return x;
}

// Contracts two terms to the labels in `keep` by one batched product.
Term contract(Term a, Term b, const Subscripts& keep, const std::array<int64_t, 128>& extent) {
  Subscripts a_keep(keep), b_keep(keep);
  for (int c : b.labels) a_keep.push_back(c);
  for (int c : a.labels) b_keep.push_back(c);
  sum_out(a, a_keep);
  sum_out(b, b_keep);
  Subscripts batch, rows, cols, summed;
  for (int c : a.labels) (has(b.labels, c) ? has(keep, c) ? batch : summed : rows).push_back(c);
  for (int c : b.labels)
    if (!has(a.labels, c)) cols.push_back(c);
  auto join = [](std::initializer_list<const Subscripts*> parts) {
    Subscripts s;
    for (const Subscripts* p : parts) s.append(p->begin(), p->end());
    return s;
  };
  // A size-1 dimension broadcasts against the other operand's.
  auto spread = [&](const Term& t, const Subscripts& order) {
    Tensor x = arranged(t, order);
    Dims sizes;
    for (int c : order) sizes.push_back(extent[size_t(c)]);
    return expand(x, sizes);
  };
  auto count = [&](const Subscripts& s) {
    int64_t n = 1;
    for (int c : s) n *= extent[size_t(c)];
    return n;
  };
  Term out;
  out.labels = join({&batch, &rows, &cols});
  Dims shape;
  for (int c : out.labels) shape.push_back(extent[size_t(c)]);
  if (summed.empty()) {
    const Subscripts all = out.labels;
    out.tensor = expand(mul(arranged(a, all), arranged(b, all)), shape);
    return out;
  }
  const Tensor x = reshape(spread(a, join({&batch, &rows, &summed})), Dims{count(batch), count(rows), count(summed)});
  const Tensor y = reshape(spread(b, join({&batch, &summed, &cols})), Dims{count(batch), count(summed), count(cols)});
  out.tensor = reshape(bmm(x, y), shape);
  return out;
}

Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands) {
  Call call("einsum");
  std::string compact;
  for (char c : equation)
    if (c != ' ') compact += c;
  const size_t arrow = compact.find("->");
  std::vector<std::string> inputs(1);
  for (char c : compact.substr(0, arrow)) {
    if (c == ',') inputs.emplace_back();
    else inputs.back() += c;
  }
  if (inputs.size() != operands.size()) fail("einsum: expected ", inputs.size(), " operands for '", compact, "', got ", operands.size());

  int64_t ellipsis = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool dots = inputs[i].find("...") != std::string::npos;
    const int64_t named = int64_t(inputs[i].size()) - (dots ? 3 : 0), dims = operands[i].dim();
    if (dots ? dims < named : dims != named)
      fail<ShapeError>("einsum: expected an operand with ", dots ? "at least " : "", named, " dimensions for '", inputs[i], "', got ", operands[i]);
    if (dots) ellipsis = std::max(ellipsis, dims - named);
  }

  std::array<int64_t, 128> extent;
  extent.fill(1);
  std::array<int, 128> uses{};
  std::vector<Term> terms;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Term t{operands[i], parse_term(inputs[i], operands[i].dim(), ellipsis)};
    take_diagonals(t);
    for (size_t d = 0; d < t.labels.size(); ++d) {
      int64_t& n = extent[size_t(t.labels[d])];
      const int64_t size = t.tensor.size(int64_t(d));
      if (n != size && n != 1 && size != 1) fail<ShapeError>("einsum: expected one size for each subscript, got ", n, " and ", size, " in '", compact, "'");
      if (n == 1) n = size;
    }
    for (int c : t.labels) ++uses[size_t(c)];
    terms.push_back(t);
  }

  Subscripts output;
  if (arrow != std::string::npos) {
    output = parse_term(std::string_view(compact).substr(arrow + 2), -1, ellipsis);
    for (size_t i = 0; i < output.size(); ++i) {
      if (!uses[size_t(output[i])]) fail("einsum: expected output subscripts that some operand has, got '", compact, "'");
      for (size_t j = 0; j < i; ++j)
        if (output[i] == output[j]) fail("einsum: expected each output subscript once, got '", compact, "'");
    }
  } else {
    // Implicit output: the ellipsis, then letters used once, in alphabetical order with capitals first.
    for (int64_t k = 0; k < ellipsis; ++k) output.push_back(kLetters + int(k));
    std::array<int, 128> letters{};
    for (const std::string& s : inputs)
      for (char c : s)
        if (c != '.') ++letters[size_t(subscript(c))];
    for (int c = 26; c < kLetters; ++c) if (letters[size_t(c)] == 1) output.push_back(c);
    for (int c = 0; c < 26; ++c) if (letters[size_t(c)] == 1) output.push_back(c);
  }

  Term result = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    Subscripts keep(output);
    for (size_t j = i + 1; j < terms.size(); ++j)
      for (int c : terms[j].labels) keep.push_back(c);
    result = contract(result, terms[i], keep, extent);
  }
  sum_out(result, output);
  const Tensor y = arranged(result, output);
  return y.is(operands[0]) ? y.alias() : y;
}

// ---- tensordot, kron and kin -------------------------------------------------------------------------------------------------

Tensor tensordot_dims(const Tensor& a, const Tensor& b, IntSpan dims_a, IntSpan dims_b) {
  Call call("tensordot");
  if (dims_a.size() != dims_b.size()) fail("tensordot: expected as many dimensions of both, got ", show(dims_a), " and ", show(dims_b));
  Dims from_a, from_b, free_a, free_b;
  for (size_t i = 0; i < dims_a.size(); ++i) {
    from_a.push_back(wrap_dim(call.op, dims_a[i], a.dim()));
    from_b.push_back(wrap_dim(call.op, dims_b[i], b.dim()));
    if (a.size(from_a.back()) != b.size(from_b.back()))
      fail<ShapeError>("tensordot: expected contracted sizes that match, got ", show(a.sizes()), " and ", show(b.sizes()));
  }
  Dims shape, order_a, order_b(from_b);
  int64_t rows = 1, cols = 1, k = 1;
  for (int64_t d = 0; d < a.dim(); ++d)
    if (std::find(from_a.begin(), from_a.end(), d) == from_a.end()) {
      order_a.push_back(d);
      shape.push_back(a.size(d));
      rows *= a.size(d);
    }
  for (int64_t d : from_a) {
    order_a.push_back(d);
    k *= a.size(d);
  }
  for (int64_t d = 0; d < b.dim(); ++d)
    if (std::find(from_b.begin(), from_b.end(), d) == from_b.end()) {
      order_b.push_back(d);
      shape.push_back(b.size(d));
      cols *= b.size(d);
    }
  return reshape(mm(reshape(permute(a, order_a), Dims{rows, k}), reshape(permute(b, order_b), Dims{k, cols})), shape);
}
Tensor tensordot(const Tensor& a, const Tensor& b, int64_t dims) {
  if (dims < 0 || dims > std::min(a.dim(), b.dim())) fail("tensordot: expected dims in [0, ", std::min(a.dim(), b.dim()), "], got ", dims);
  Dims last, first;
  for (int64_t i = 0; i < dims; ++i) {
    last.push_back(a.dim() - dims + i);
    first.push_back(i);
  }
  return tensordot_dims(a, b, last, first);
}

Tensor kron(const Tensor& a, const Tensor& b) {
  const int64_t n = std::max(a.dim(), b.dim());
  Dims ia, ib, out;
  for (int64_t d = 0; d < n; ++d) {
    const int64_t da = d - (n - a.dim()), db = d - (n - b.dim());
    const int64_t sa = da < 0 ? 1 : a.size(da), sb = db < 0 ? 1 : b.size(db);
    ia.push_back(sa);
    ia.push_back(1);
    ib.push_back(1);
    ib.push_back(sb);
    out.push_back(sa * sb);
  }
  return reshape(mul(reshape(a, ia), reshape(b, ib)), out);
}

Tensor cross_dim(const Tensor& a, const Tensor& b, int64_t dim) {
  Dims shape = broadcast_shapes("cross", a.sizes(), b.sizes());
  const Tensor x = expand(a, shape), y = expand(b, shape);
  const int64_t d = wrap_dim("cross", dim, x.dim());
  if (x.size(d) != 3) fail<ShapeError>("cross: expected size 3 along dimension ", d, ", got ", show(shape));
  auto at = [d](const Tensor& t, int64_t i) { return select(t, d, i); };
  return in_format_of(x, stack({sub(mul(at(x, 1), at(y, 2)), mul(at(x, 2), at(y, 1))),
                                sub(mul(at(x, 2), at(y, 0)), mul(at(x, 0), at(y, 2))),
                                sub(mul(at(x, 0), at(y, 1)), mul(at(x, 1), at(y, 0)))}, d));
}
Tensor cross(const Tensor& a, const Tensor& b, std::optional<int64_t> dim) {
  if (dim) return cross_dim(a, b, *dim);
  for (int64_t d = 0; d < a.dim(); ++d)
    if (a.size(d) == 3) return cross_dim(a, b, d);
  fail<ShapeError>("cross: expected a dimension of size 3, got ", show(a.sizes()));
}

Tensor matrix_power(const Tensor& x, int64_t n) {
  if (x.dim() < 2 || x.size(-1) != x.size(-2)) fail<ShapeError>("matrix_power: expected square matrices, got ", x);
  if (n < 0) fail("matrix_power: expected a non-negative power (linalg.matrix_power takes negative ones), got ", n);
  if (n == 0) {
    const Tensor position = arange(Scalar(int64_t(0)), Scalar(x.size(-1)));
    return copy_(clone(x), cast(eq(unsqueeze(position, 1), position), x.dtype()));
  }
  Tensor result, square = x;
  for (; n; n >>= 1) {
    if (n & 1) result = result.defined() ? matmul(result, square) : square;
    if (n > 1) square = matmul(square, square);
  }
  return result;
}

Tensor chain_matmul(const std::vector<Tensor>& matrices) {
  if (matrices.empty()) fail("chain_matmul: expected at least one matrix, got none");
  Tensor y = matrices[0];
  for (size_t i = 1; i < matrices.size(); ++i) y = mm(y, matrices[i]);
  return y;
}

// Pairwise p-norm distances of the rows of a (..., P, M) and b (..., R, M).
Tensor cdist(const Tensor& a, const Tensor& b, double p) {
  if (a.dim() < 2 || b.dim() < 2 || a.size(-1) != b.size(-1)) fail<ShapeError>("cdist: expected (..., P, M) and (..., R, M), got ", a, " and ", b);
  if (!(p >= 0)) fail("cdist: expected a non-negative p, got ", p);
  const Tensor difference = abs(sub(unsqueeze(a, -2), unsqueeze(b, -3)));
  if (p == 0) return cast(sum(ne(difference, Operand(0)), Dims{-1}), a.dtype());
  if (p == 1) return sum(difference, Dims{-1});
  if (p == 2) {
    // The gradient at distance 0 is 0, not NaN.
    const Tensor squares = sum(square(difference), Dims{-1});
    const Tensor zero = eq(squares.alias(), Operand(0));
    return where(zero, Operand(0.0), sqrt(where(zero, Operand(1.0), squares)));
  }
  if (p == HUGE_VAL) return amax(difference, Dims{-1});
  const Tensor powers = sum(pow(difference, Operand(p)), Dims{-1});
  return pow(powers, Operand(1 / p));
}

Tensor block_diag(const std::vector<Tensor>& tensors) {
  int64_t rows = 0, cols = 0;
  std::vector<Tensor> blocks;
  DType t = tensors.empty() ? DType::Float32 : tensors[0].dtype();
  for (const Tensor& x : tensors) {
    if (x.dim() > 2) fail("block_diag: expected at most 2 dimensions, got ", x);
    blocks.push_back(x.dim() == 2 ? x : reshape(x, Dims{1, x.numel()}));
    rows += blocks.back().size(0);
    cols += blocks.back().size(1);
    t = promote(t, x.dtype());
  }
  const Tensor out = zeros(Dims{rows, cols}, t);
  int64_t r = 0, c = 0;
  for (const Tensor& x : blocks) {
    copy_(narrow(narrow(out, 0, r, x.size(0)), 1, c, x.size(1)), x);
    r += x.size(0);
    c += x.size(1);
  }
  return out;
}

Tensor vander(const Tensor& x, std::optional<int64_t> n, bool increasing) {
  if (x.dim() != 1) fail("vander: expected a vector, got ", x);
  const int64_t columns = n.value_or(x.numel());
  const Tensor powers = increasing ? arange(Scalar(int64_t(0)), Scalar(columns)) : arange(Scalar(columns - 1), Scalar(int64_t(-1)), Scalar(int64_t(-1)));
  return pow(unsqueeze(x, 1), powers);
}

// Covariance of variables in rows, observations in columns.
Tensor cov(const Tensor& x, int64_t correction, const Tensor& fweights, const Tensor& aweights) {
  if (x.dim() > 2) fail("cov: expected at most 2 dimensions, got ", x);
  Tensor in = x.dim() == 2 ? x : reshape(x, Dims{1, x.numel()});
  if (!is_floating(in.dtype())) in = cast(in, default_dtype());
  Tensor w;
  for (const Tensor* weights : {&fweights, &aweights})
    if (weights->defined()) {
      const Tensor v = cast(*weights, in.dtype());
      w = w.defined() ? mul(w, v) : v;
    }
  const double n = double(in.size(1));
  Tensor y, norm;
  if (w.defined()) {
    const Tensor total = sum(w);
    const Tensor centered = sub(in, div(sum(mul(in, w), Dims{1}, true), total));
    const Tensor lost = aweights.defined() ? div(sum(mul(w, cast(aweights, in.dtype()))), total) : ones({}, in.dtype());
    norm = clamp_min(sub(total, mul(lost, Operand(double(correction)))), Operand(0.0));
    y = mm(mul(centered, w), t(centered));
    y = div(y, norm);
  } else {
    const Tensor centered = sub(in, mean(in, Dims{1}, true));
    y = div(mm(centered, t(centered)), Operand(std::max(0.0, n - double(correction))));
  }
  return x.dim() == 2 ? y : reshape(y, {});
}
Tensor corrcoef(const Tensor& x) {
  const Tensor c = cov(x, 1, Tensor(), Tensor());
  if (c.dim() == 0) return div(c, c);
  const Tensor d = sqrt(diagonal(c));
  return clamp_min(clamp_max(div(div(c, unsqueeze(d, 1)), d), Operand(1.0)), Operand(-1.0));
}

// The integral of y by the trapezoidal rule.
Tensor trapezoid(const Tensor& y, double dx, int64_t dim) {
  const int64_t d = wrap_dim("trapezoid", dim, y.dim()), n = y.size(d);
  if (n == 0) return sum(y, Dims{d});
  return mul(sum(add(narrow(y, d, 1, n - 1), narrow(y, d, 0, n - 1)), Dims{d}), Operand(dx / 2));
}
Tensor trapezoid_at(const Tensor& y, const Tensor& x, int64_t dim) {
  const int64_t d = wrap_dim("trapezoid", dim, y.dim()), n = y.size(d);
  Tensor at = x;
  if (x.dim() == 1) {
    Dims shape(size_t(y.dim()), 1);
    shape[size_t(d)] = n;
    at = reshape(x, shape);
  }
  const int64_t k = wrap_dim("trapezoid", d - y.dim(), at.dim());
  const Tensor steps = sub(narrow(at, k, 1, n - 1), narrow(at, k, 0, n - 1));
  return div(sum(mul(steps, add(narrow(y, d, 1, n - 1), narrow(y, d, 0, n - 1))), Dims{d}), Operand(2));
}

Tensor cartesian_prod(const std::vector<Tensor>& tensors) {
  if (tensors.size() == 1) return tensors[0];
  Dims shape;
  for (const Tensor& t : tensors) {
    if (t.dim() != 1) fail("cartesian_prod: expected vectors, got ", t);
    shape.push_back(t.numel());
  }
  std::vector<Tensor> columns;
  for (size_t i = 0; i < tensors.size(); ++i) {
    Dims lone(tensors.size(), 1);
    lone[i] = shape[i];
    columns.push_back(reshape(expand(reshape(tensors[i], lone), shape), Dims{-1}));
  }
  return stack(columns, 1);
}

constexpr int kBoth = kFunction | kMethod;

const Operator ops[] = {
    {&einsum, "einsum(str equation, Tensor[] operands) -> Tensor", kFunction,
     "Sums of products over the subscripts that the output lacks (Einstein's convention).\n"
     ">>> pydl.einsum('ij,jk->ik', pydl.tensor([[1, 2], [3, 4]]), pydl.tensor([[0, 1], [1, 0]]))\n"
     "tensor([[2, 1],\n        [4, 3]])"},
    {&tensordot, "tensordot(Tensor a, Tensor b, int dims) -> Tensor", kFunction,
     "Contraction over the last dims of a and the first of b.\n"
     ">>> pydl.tensordot(pydl.ones(2, 3, 4), pydl.ones(3, 4, 5), dims=2).shape\npydl.Size([2, 5])"},
    {&tensordot_dims, "tensordot(Tensor a, Tensor b, int[] dims_a, int[] dims_b) -> Tensor", kFunction, ""},
    {&kron, "kron(Tensor input, Tensor other) -> Tensor", kBoth | kOut,
     "The Kronecker product.\n"
     ">>> pydl.kron(pydl.tensor([1, 10]), pydl.tensor([1, 2, 3]))\ntensor([ 1,  2,  3, 10, 20, 30])"},
    {&cross, "cross(Tensor input, Tensor other, int? dim=None) -> Tensor", kBoth | kOut,
     "The cross product along dim, or the first dimension of size 3.\n"
     ">>> pydl.cross(pydl.tensor([1, 0, 0]), pydl.tensor([0, 1, 0]))\ntensor([0, 0, 1])"},
    {&cross_dim, "linalg.cross(Tensor input, Tensor other, *, int dim=-1) -> Tensor", kFunction,
     "The cross product along dim.\n"
     ">>> pydl.linalg.cross(pydl.tensor([1, 0, 0]), pydl.tensor([0, 1, 0]))\ntensor([0, 0, 1])"},
    {&matrix_power, "matrix_power(Tensor input, int n) -> Tensor", kBoth | kOut,
     "A square matrix to a non-negative power.\n"
     ">>> pydl.matrix_power(pydl.tensor([[1, 1], [0, 1]]), 5)\ntensor([[1, 5],\n        [0, 1]])"},
    {&chain_matmul, "chain_matmul(Tensor[] matrices) -> Tensor", kFunction,
     "The product of several matrices, left to right.\n"
     ">>> pydl.chain_matmul(pydl.ones(2, 3), pydl.ones(3, 4), pydl.ones(4, 5)).shape\npydl.Size([2, 5])"},
    {&cdist, "cdist(Tensor x1, Tensor x2, float p=2.0) -> Tensor", kFunction,
     "Pairwise p-norm distances of rows.\n"
     ">>> pydl.cdist(pydl.tensor([[0.0, 0.0]]), pydl.tensor([[3.0, 4.0], [6.0, 8.0]]))\ntensor([[ 5., 10.]])"},
    {&block_diag, "block_diag(Tensor[] tensors) -> Tensor", kFunction,
     "Matrices along the diagonal of one.\n"
     ">>> pydl.block_diag(pydl.tensor([[1, 2]]), pydl.tensor([[3], [4]]))\n"
     "tensor([[1, 2, 0],\n        [0, 0, 3],\n        [0, 0, 4]])"},
    {&vander, "vander(Tensor x, int? N=None, bool increasing=False) -> Tensor", kFunction,
     "Powers of a vector as columns.\n"
     ">>> pydl.vander(pydl.tensor([1, 2, 3]))\ntensor([[1, 1, 1],\n        [4, 2, 1],\n        [9, 3, 1]])"},
    {&cov, "cov(Tensor input, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) -> Tensor", kBoth,
     "The covariance matrix of variables in rows.\n"
     ">>> pydl.cov(pydl.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))\ntensor([[ 1., -1.],\n        [-1.,  1.]])"},
    {&corrcoef, "corrcoef(Tensor input) -> Tensor", kBoth,
     "The correlation matrix of variables in rows.\n"
     ">>> pydl.corrcoef(pydl.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))\ntensor([[ 1., -1.],\n        [-1.,  1.]])"},
    {&trapezoid_at, "trapezoid(Tensor y, Tensor x, *, int dim=-1) -> Tensor", kFunction,
     "The integral along dim by the trapezoidal rule.\n"
     ">>> pydl.trapezoid(pydl.tensor([1.0, 2.0, 3.0]))\ntensor(4.)\n"
     ">>> pydl.trapezoid(pydl.tensor([1.0, 2.0, 3.0]), pydl.tensor([0.0, 1.0, 3.0]))\ntensor(6.5000)"},
    {&trapezoid, "trapezoid(Tensor y, *, float dx=1.0, int dim=-1) -> Tensor", kFunction, ""},
    {&cartesian_prod, "cartesian_prod(Tensor[] tensors) -> Tensor", kFunction,
     "All combinations of one element from each vector, as rows.\n"
     ">>> pydl.cartesian_prod(pydl.tensor([1, 2]), pydl.tensor([3, 4]))\n"
     "tensor([[1, 3],\n        [1, 4],\n        [2, 3],\n        [2, 4]])"},
};

}  // namespace

}  // namespace pydl
