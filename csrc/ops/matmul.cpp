#include "ops/matmul.h"

#include "autograd/node.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/fused_activation.h"
#include "ops/gemm.h"
#include "ops/iterate.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace pydl {

namespace {

using autograd::wanted;

void check_same_dtype(const char* op, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype()) fail(op, ": expected operands of one dtype, got ", a, " and ", b);
}

// Integer products: the definition, one row of the result at a time in the order that reads B along its rows.
template <class T>
void integer_product(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_rs, int64_t a_cs, const T* b, int64_t b_rs, int64_t b_cs, T* c) {
  std::fill_n(c, m * n, T(0));
  for (int64_t i = 0; i < m; ++i)
    for (int64_t p = 0; p < k; ++p) {
      const T x = a[i * a_rs + p * a_cs];
      for (int64_t j = 0; j < n; ++j) {
        if constexpr (std::is_same_v<T, bool>) c[i * n + j] |= x & b[p * b_rs + j * b_cs];
        else c[i * n + j] = T(c[i * n + j] + x * b[p * b_rs + j * b_cs]);
      }
    }
}

// c[i] = a[i] @ b[i] for a batch of matrices (3-d tensors, any strides; c contiguous; batch stride 0 repeats).
void multiply(const Tensor& c, const Tensor& a, const Tensor& b) {
  const int64_t batch = c.size(0), m = c.size(1), n = c.size(2), k = a.size(2);
  if (c.numel() == 0) return;
  if (is_half(c.dtype())) {
    const Tensor wide = Tensor::empty(c.sizes(), DType::Float32);
    multiply(wide, cast(a, DType::Float32), cast(b, DType::Float32));
    return copy_values(c, wide);
  }
  visit_compute(c.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_floating_point_v<T>) {
      gemm_batched<T>(batch, m, n, k, T(1), a.data<T>(), a.stride(0), a.stride(1), a.stride(2), b.data<T>(), b.stride(0), b.stride(1),
                      b.stride(2), T(0), c.data<T>(), c.stride(0), c.stride(1), c.stride(2));
    } else {
      for (int64_t i = 0; i < batch; ++i)
        integer_product<T>(m, n, k, a.data<T>() + i * a.stride(0), a.stride(1), a.stride(2), b.data<T>() + i * b.stride(0), b.stride(1),
                           b.stride(2), c.data<T>() + i * m * n);
    }
  });
}

Tensor lift(const Tensor& x) {  // a matrix as a batch of one, without history
  return x.alias(Dims{1, x.size(0), x.size(1)}, Dims{0, x.stride(0), x.stride(1)}, x.offset());
}

// The target of a product: fresh memory, or out= checked and resized.
Tensor product_output(const char* op, const Out& out, IntSpan sizes, DType t, const Tensor& a, const Tensor& b) {
  if (out.fresh()) return Tensor::empty(sizes, t);
  if (autograd::needed(a, b, out.target)) fail(op, ": expected tensors that require no gradient with out=, got one that does");
  if (out.target.dtype() != t) fail(op, ": expected out= of dtype ", t, ", got ", out.target.dtype());
  prepare_output(op, out, sizes, t);
  return out.target;
}

// Computes into `target` directly when its memory is plain, else through a temporary.
void finish(const Out& out, const Tensor& target, const Tensor& a, const Tensor& b, void (*run)(const Tensor&, const Tensor&, const Tensor&)) {
  const bool direct = target.is_contiguous() && (out.fresh() || (!memory_overlaps(target, a) && !memory_overlaps(target, b)));
  if (direct) {
    run(target, a, b);
  } else {
    const Tensor result = Tensor::empty(target.sizes(), target.dtype());
    run(result, a, b);
    copy_values(target, result);
  }
  if (!out.fresh()) target.bump_version();
}

}  // namespace

Tensor mm(const Tensor& a, const Tensor& b, const Out& out) {
  Call call("mm");
  if (a.dim() != 2 || b.dim() != 2) fail<ShapeError>("mm: expected two matrices, got ", a, " and ", b);
  if (a.size(1) != b.size(0)) fail<ShapeError>("mm: expected inner sizes that match, got ", show(a.sizes()), " and ", show(b.sizes()));
  check_same_dtype("mm", a, b);
  const Tensor c = product_output("mm", out, Dims{a.size(0), b.size(1)}, a.dtype(), a, b);
  finish(out, c, a, b, [](const Tensor& c, const Tensor& a, const Tensor& b) { multiply(lift(c), lift(a), lift(b)); });
  if (out.fresh() && autograd::needed(a, b)) {
    const bool wants_a = autograd::requires_grad(a), wants_b = autograd::requires_grad(b);
    autograd::record("MmBackward", c, {a, b}, [=, a = autograd::save(wants_b ? a : Tensor()), b = autograd::save(wants_a ? b : Tensor())](const Tensor& g) {
      return Tensors{wants_a && wanted(0) ? mm(g, t(b)) : Tensor(), wants_b && wanted(1) ? mm(t(a), g) : Tensor()};
    });
  }
  return c;
}

Tensor bmm(const Tensor& a, const Tensor& b, const Out& out) {
  Call call("bmm");
  if (a.dim() != 3 || b.dim() != 3) fail<ShapeError>("bmm: expected two batches of matrices, got ", a, " and ", b);
  if (a.size(0) != b.size(0) || a.size(2) != b.size(1))
    fail<ShapeError>("bmm: expected equal batches and inner sizes that match, got ", show(a.sizes()), " and ", show(b.sizes()));
  check_same_dtype("bmm", a, b);
  const Tensor c = product_output("bmm", out, Dims{a.size(0), a.size(1), b.size(2)}, a.dtype(), a, b);
  finish(out, c, a, b, [](const Tensor& c, const Tensor& a, const Tensor& b) { multiply(c, a, b); });
  if (out.fresh() && autograd::needed(a, b)) {
    const bool wants_a = autograd::requires_grad(a), wants_b = autograd::requires_grad(b);
    autograd::record("BmmBackward", c, {a, b}, [=, a = autograd::save(wants_b ? a : Tensor()), b = autograd::save(wants_a ? b : Tensor())](const Tensor& g) {
      return Tensors{wants_a && wanted(0) ? bmm(g, transpose(b, 1, 2)) : Tensor(), wants_b && wanted(1) ? bmm(transpose(a, 1, 2), g) : Tensor()};
    });
  }
  return c;
}

Tensor dot(const Tensor& a, const Tensor& b) {
  if (a.dim() != 1 || b.dim() != 1 || a.numel() != b.numel()) fail<ShapeError>("dot: expected two vectors of one length, got ", a, " and ", b);
  check_same_dtype("dot", a, b);
  return reshape(mm(unsqueeze(a, 0), unsqueeze(b, 1)), {});
}

Tensor matmul(const Tensor& a, const Tensor& b, const Out& out) {
  if (a.dim() == 0 || b.dim() == 0) fail<ShapeError>("matmul: expected operands with at least one dimension, got ", a, " and ", b);
  if (a.dim() == 2 && b.dim() == 2) return mm(a, b, out);
  const Tensor x = a.dim() == 1 ? unsqueeze(a, 0) : a, y = b.dim() == 1 ? unsqueeze(b, 1) : b;
  if (x.size(-1) != y.size(-2))
    fail<ShapeError>("matmul: expected inner sizes that match, got ", show(a.sizes()), " and ", show(b.sizes()));
  check_same_dtype("matmul", a, b);
  const int64_t m = x.size(-2), n = y.size(-1), k = x.size(-1);
  const Dims x_batch(x.sizes().begin(), x.sizes().end() - 2), y_batch(y.sizes().begin(), y.sizes().end() - 2);
  const Dims batch = broadcast_shapes("matmul", x_batch, y_batch);
  Dims shape(batch);
  if (a.dim() > 1) shape.push_back(m);
  if (b.dim() > 1) shape.push_back(n);
  Tensor c;
  if (y.dim() == 2) {
    // One right-hand side for the whole batch: the rows of all matrices form one product.
    c = mm(reshape(x, Dims{element_count(batch) * m, k}), y);
  } else {
    const int64_t count = element_count(batch);
    auto spread = [&](const Tensor& t, int64_t rows, int64_t cols) {
      Dims full(batch);
      full.push_back(rows);
      full.push_back(cols);
      return reshape(same(t.sizes(), full) ? t : expand(t, full), Dims{count, rows, cols});
    };
    c = bmm(spread(x, m, k), spread(y, k, n));
  }
  c = reshape(c, shape);
  if (out.fresh()) return c;
  if (autograd::needed(c)) fail("matmul: expected tensors that require no gradient with out=, got one that does");
  if (out.target.dtype() != c.dtype()) fail("matmul: expected out= of dtype ", c.dtype(), ", got ", out.target.dtype());
  resize_output("matmul", out.target, shape);
  return copy_(out.target, c);
}

// ---- linear -----------------------------------------------------------------------------------------------------------

namespace {

// activation(x @ weight.T + bias). Only an activation whose gradient needs no more than its result is recorded.
Tensor linear_with(const Tensor& x, const Tensor& weight, const Tensor& bias, const FusedActivation* activation) {
  if (x.dim() == 0 || weight.dim() < 1 || weight.dim() > 2)
    fail<ShapeError>("linear: expected input (..., in_features) and weight (out_features, in_features), got ", x, " and ", weight);
  if (x.size(-1) != weight.size(-1))
    fail<ShapeError>("linear: expected an input whose last size is in_features = ", weight.size(-1), ", got ", x);
  check_same_dtype("linear", x, weight);
  if (weight.dim() == 1) {
    const Tensor y = matmul(x, weight);
    return bias.defined() ? add(y, bias) : y;
  }
  const int64_t out_features = weight.size(0), in_features = weight.size(1);
  if (bias.defined()) {
    check_same_dtype("linear", x, bias);
    if (bias.dim() != 1 || bias.numel() != out_features)
      fail<ShapeError>("linear: expected a bias of shape [", out_features, "], got ", bias);
  }
  if (!is_floating(x.dtype()) || is_half(x.dtype())) {
    const Tensor y = matmul(x, t(weight));
    return bias.defined() ? add(y, bias) : y;
  }
  Dims shape(x.sizes());
  shape.back() = out_features;
  const Tensor y = Tensor::empty(shape, x.dtype());
  // Rows of x in any layout that a matrix can have; only odd strides are copied.
  const int64_t rows = element_count(Dims(x.sizes().begin(), x.sizes().end() - 1));
  Tensor flat = x.dim() == 2 ? x : Tensor();
  if (!flat.defined()) {
    autograd::GradGuard off(false);
    flat = reshape(x, Dims{rows, in_features});
  }
  visit_float(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    Epilogue<T> epilogue;
    Tensor dense_bias;
    if (bias.defined()) {
      dense_bias = bias.is_contiguous() ? bias : clone(bias.alias());
      epilogue.row_bias = dense_bias.template data<T>();
    }
    set_activation(epilogue, activation);
    gemm<T>(rows, out_features, in_features, T(1), flat.data<T>(), flat.stride(0), flat.stride(1), weight.data<T>(), weight.stride(1),
            weight.stride(0), T(0), y.data<T>(), out_features, 1, epilogue);
  });
  if (autograd::needed(x, weight, bias)) {
    const bool wants_x = autograd::requires_grad(x), wants_w = autograd::requires_grad(weight);
    const bool wants_b = bias.defined() && autograd::requires_grad(bias);
    autograd::record("LinearBackward", y, {x, weight, bias},
                     [=, x = autograd::save(wants_w ? x : Tensor()), w = autograd::save(wants_x ? weight : Tensor()),
                      y = activation ? autograd::Saved::output(y) : autograd::Saved()](const Tensor& dy) {
      const Tensor g = activation ? unary_gradient(*activation->from_output, dy, y) : dy;
      const Tensor g2 = g.dim() == 2 ? g : reshape(g, Dims{rows, out_features});
      Tensors grads{Tensor(), Tensor(), Tensor()};
      if (wants_x && wanted(0)) {
        grads[0] = mm(g2, w);
        if (g.dim() != 2) {
          Dims shape(g.sizes());
          shape.back() = in_features;
          grads[0] = reshape(grads[0], shape);
        }
      }
      if (wants_w && wanted(1)) grads[1] = mm(t(g2), g.dim() == 2 ? x.get() : reshape(x, Dims{rows, in_features}));
      if (wants_b) grads[2] = sum(g2, Dims{0});
      return grads;
    });
  }
  return y;
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Call call("linear");
  return linear_with(x, weight, bias, nullptr);
}

namespace {

// What Sequential makes of a linear layer and an activation.
Tensor fused_linear(const Tensor& x, const Tensor& weight, const Tensor& bias, std::string_view name) {
  Call call("linear");
  const FusedActivation* const activation = fused_activation("linear", name);
  if (activation && !activation->from_output && autograd::needed(x, weight, bias))
    fail("linear: expected tensors that record nothing for the activation ", name, ", got one that requires a gradient");
  if (weight.dim() != 2 || (x.dtype() != DType::Float32 && x.dtype() != DType::Float64))
    fail("linear: expected an input of float32 or float64 and a matrix as weight, got ", x, " and ", weight);
  return linear_with(x, weight, bias, activation);
}

Tensor mv(const Tensor& a, const Tensor& x) {
  if (a.dim() != 2 || x.dim() != 1) fail<ShapeError>("mv: expected a matrix and a vector, got ", a, " and ", x);
  return matmul(a, x);
}
Tensor outer(const Tensor& a, const Tensor& b) {
  if (a.dim() != 1 || b.dim() != 1) fail<ShapeError>("outer: expected two vectors, got ", a, " and ", b);
  return mul(unsqueeze(a, 1), unsqueeze(b, 0));
}
Tensor scaled_sum(const char* op, const Tensor& c, const Tensor& product, const Scalar& beta, const Scalar& alpha) {
  if (!same(broadcast_shapes(op, c.sizes(), product.sizes()), product.sizes()))
    fail<ShapeError>(op, ": expected an input that broadcasts to ", show(product.sizes()), ", got ", c);
  // beta = 0 ignores c, NaN included.
  const Tensor scaled = alpha.equals(1) ? product : mul(product, alpha);
  if (beta.equals(0)) {
    return autograd::needed(c) ? add(scaled, where(full({}, Scalar(false)), c, Operand(0))) : scaled;
  }
  return beta.equals(1) ? add(c, scaled) : add(mul(c, beta), scaled);
}
Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) { return scaled_sum("addmm", c, mm(a, b), beta, alpha); }
Tensor addmv(const Tensor& c, const Tensor& a, const Tensor& x, const Scalar& beta, const Scalar& alpha) { return scaled_sum("addmv", c, mv(a, x), beta, alpha); }
Tensor addr(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) { return scaled_sum("addr", c, outer(a, b), beta, alpha); }
Tensor baddbmm(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) { return scaled_sum("baddbmm", c, bmm(a, b), beta, alpha); }
Tensor addbmm(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
  return scaled_sum("addbmm", c, sum(bmm(a, b), Dims{0}, false, a.dtype()), beta, alpha);
}
Tensor inner(const Tensor& a, const Tensor& b) {
  if (a.dim() == 0 || b.dim() == 0) return mul(a, b);
  if (a.size(-1) != b.size(-1)) fail<ShapeError>("inner: expected equal last sizes, got ", show(a.sizes()), " and ", show(b.sizes()));
  Dims shape(a.sizes().begin(), a.sizes().end() - 1);
  shape.append(b.sizes().begin(), b.sizes().end() - 1);
  const auto rows = [k = a.size(-1)](const Tensor& x) {
    return reshape(x, Dims{element_count(x.sizes().subspan(0, size_t(x.dim() - 1))), k});
  };
  return reshape(mm(rows(a), t(rows(b))), shape);
}
Tensor matmul_plain(const Tensor& a, const Tensor& b, const Out& out) { return matmul(a, b, out); }

constexpr int kFull = kFunction | kMethod | kOut;

const Operator ops[] = {
    {&matmul_plain, "matmul(Tensor input, Tensor other) -> Tensor", kFull,
     "The matrix product; vectors are rows on the left and columns on the right, leading dimensions broadcast.\n"
     ">>> pydl.matmul(pydl.tensor([[1, 2], [3, 4]]), pydl.tensor([1, 1]))\ntensor([3, 7])"},
    {&mm, "mm(Tensor input, Tensor mat2) -> Tensor", kFull,
     "The product of an (n x k) and a (k x m) matrix.\n"
     ">>> pydl.mm(pydl.tensor([[1, 2], [3, 4]]), pydl.tensor([[0, 1], [1, 0]]))\ntensor([[2, 1],\n        [4, 3]])"},
    {&bmm, "bmm(Tensor input, Tensor mat2) -> Tensor", kFull,
     "Products of a batch of (n x k) with a batch of (k x m) matrices.\n"
     ">>> pydl.bmm(pydl.ones(5, 2, 3), pydl.ones(5, 3, 4)).shape\npydl.Size([5, 2, 4])"},
    {&mv, "mv(Tensor input, Tensor vec) -> Tensor", kFull,
     "The product of a matrix and a vector.\n"
     ">>> pydl.mv(pydl.tensor([[1, 2], [3, 4]]), pydl.tensor([1, 10]))\ntensor([21, 43])"},
    {&dot, "dot(Tensor input, Tensor tensor) -> Tensor", kFull,
     "The dot product of two vectors.\n"
     ">>> pydl.dot(pydl.tensor([1, 2, 3]), pydl.tensor([4, 5, 6]))\ntensor(32)"},
    {&dot, "vdot(Tensor input, Tensor other) -> Tensor", kFull,
     "The dot product of two real vectors.\n"
     ">>> pydl.vdot(pydl.tensor([1, 2, 3]), pydl.tensor([4, 5, 6]))\ntensor(32)"},
    {&inner, "inner(Tensor input, Tensor other) -> Tensor", kFull,
     "Dot products over the last dimensions.\n"
     ">>> pydl.inner(pydl.tensor([[1, 2], [3, 4]]), pydl.tensor([[1, 0], [1, 1]]))\ntensor([[1, 3],\n        [3, 7]])"},
    {&outer, "outer(Tensor input, Tensor vec2) -> Tensor", kFull,
     "All products of the elements of two vectors.\n"
     ">>> pydl.outer(pydl.tensor([1, 2]), pydl.tensor([3, 4, 5]))\ntensor([[ 3,  4,  5],\n        [ 6,  8, 10]])"},
    {&outer, "ger(Tensor input, Tensor vec2) -> Tensor", kFull,
     "Alias of outer.\n"
     ">>> pydl.ger(pydl.tensor([1, 2]), pydl.tensor([3, 4, 5]))\ntensor([[ 3,  4,  5],\n        [ 6,  8, 10]])"},
    {&addmm, "addmm(Tensor input, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
     kFull | kInplace, "beta * input + alpha * (mat1 @ mat2).\n"
     ">>> pydl.addmm(pydl.ones(2, 2), pydl.eye(2), pydl.eye(2), alpha=10)\ntensor([[11.,  1.],\n        [ 1., 11.]])"},
    {&addmv, "addmv(Tensor input, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
     kFull | kInplace, "beta * input + alpha * (mat @ vec).\n"
     ">>> pydl.addmv(pydl.tensor([1, 1]), pydl.tensor([[1, 2], [3, 4]]), pydl.tensor([1, 10]))\ntensor([22, 44])"},
    {&addr, "addr(Tensor input, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
     kFull | kInplace, "beta * input + alpha * outer(vec1, vec2).\n"
     ">>> pydl.addr(pydl.ones(2, 2), pydl.tensor([1.0, 2.0]), pydl.tensor([3.0, 4.0]))\n"
     "tensor([[4., 5.],\n        [7., 9.]])"},
    {&baddbmm, "baddbmm(Tensor input, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
     kFull | kInplace, "beta * input + alpha * bmm(batch1, batch2).\n"
     ">>> pydl.baddbmm(pydl.ones(1, 2, 2), pydl.ones(1, 2, 3), pydl.ones(1, 3, 2))\n"
     "tensor([[[4., 4.],\n         [4., 4.]]])"},
    {&addbmm, "addbmm(Tensor input, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
     kFull | kInplace, "beta * input + alpha * the sum of bmm(batch1, batch2).\n"
     ">>> pydl.addbmm(pydl.ones(2, 2), pydl.ones(5, 2, 3), pydl.ones(5, 3, 2))\n"
     "tensor([[16., 16.],\n        [16., 16.]])"},
    {&linear, "linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", kNN,
     "input @ weight.T + bias: input (..., in_features), weight (out_features, in_features), bias (out_features).\n"
     ">>> pydl.nn.functional.linear(pydl.tensor([1.0, 2.0]), pydl.tensor([[3.0, 4.0]]), pydl.tensor([100.0]))\n"
     "tensor([111.])"},
    {&fused_linear, "_fused_linear(Tensor input, Tensor weight, Tensor? bias, str activation) -> Tensor", kNN,
     "activation(linear(...)); recorded for 'relu', 'sigmoid' and 'tanh'."},
};

}  // namespace

}  // namespace pydl
