#include "ops/pointwise.h"

#include <cstddef>

#include "autograd/flat.h"
#include "autograd/node.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/iterate.h"
#include "ops/promote.h"
#include "ops/sparse.h"

namespace pydl {

// ---- the table as data ----------------------------------------------------------------------------------------------

// The gradient columns, on differentiable tensors.
namespace {

using autograd::flat;

#define GRADIENT(name, ...)                                                                                           \
  Tensor name##_gradient([[maybe_unused]] int which, [[maybe_unused]] const Tensor& g, [[maybe_unused]] const Tensor& a, \
                         [[maybe_unused]] const Tensor& b, [[maybe_unused]] const Tensor& c,                          \
                         [[maybe_unused]] const Tensor& y, const double* params) {                                    \
    [[maybe_unused]] const Tensor& x = a;                                                                             \
    [[maybe_unused]] const double p = params[0], q = params[1], r = params[2];                                        \
    __VA_ARGS__                                                                                                       \
  }
#define UNARY(name, domain, params, forward, saved, gradient) GRADIENT(name, return gradient;)
#define BINARY(name, domain, params, forward, ra, ga, rb, gb) GRADIENT(name, if (which == 0) return ga; return gb;)
#define TERNARY(name, domain, params, forward, ra, ga, rb, gb, rc, gc) \
  GRADIENT(name, if (which == 0) return ga; if (which == 1) return gb; return gc;)
#include "kernels/pointwise.inc"
#undef GRADIENT

constexpr auto F = PointwiseDomain::F;
constexpr auto N = PointwiseDomain::N;
constexpr auto I = PointwiseDomain::I;
constexpr auto kArithmetic = PointwiseRow::Kind::Arithmetic;
constexpr auto kTest = PointwiseRow::Kind::Test;

}  // namespace

namespace rows {

#define SLOT(name) uint16_t(offsetof(PointwiseKernels<float>, name) / sizeof(PointwiseLoop))
#define READS(what) PointwiseRow::Reads(PointwiseReads::what)
#define DIFFERENTIABLE(name, arity, params, domain, backward, ...) \
  const PointwiseRow name{#name, arity, params, domain, SLOT(name), backward, kArithmetic, true, {__VA_ARGS__}, name##_gradient};
#define NOT_DIFFERENTIABLE(name, arity, params, domain, kind) \
  const PointwiseRow name{#name, arity, params, domain, SLOT(name), 0, kind, false, {0, 0, 0}, nullptr};
#define UNARY(name, domain, params, forward, saved, gradient) \
  DIFFERENTIABLE(name, 1, params, domain, SLOT(name##_backward), READS(saved), 0, 0)
#define BINARY(name, domain, params, forward, ra, ga, rb, gb) DIFFERENTIABLE(name, 2, params, domain, 0, READS(ra), READS(rb), 0)
#define TERNARY(name, domain, params, forward, ra, ga, rb, gb, rc, gc) \
  DIFFERENTIABLE(name, 3, params, domain, 0, READS(ra), READS(rb), READS(rc))
#define UNARY_NOGRAD(name, domain, params, forward) NOT_DIFFERENTIABLE(name, 1, params, domain, kArithmetic)
#define BINARY_NOGRAD(name, domain, params, forward) NOT_DIFFERENTIABLE(name, 2, params, domain, kArithmetic)
#define TEST(name, domain, condition) NOT_DIFFERENTIABLE(name, 1, 0, domain, kTest)
#define COMPARE(name, domain, condition) NOT_DIFFERENTIABLE(name, 2, 0, domain, kTest)
#include "kernels/pointwise.inc"
#undef DIFFERENTIABLE
#undef NOT_DIFFERENTIABLE

}  // namespace rows

static PointwiseLoop loop_at(uint16_t slot, DType t) {
  return visit_compute(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_floating_point_v<T>) return reinterpret_cast<const PointwiseLoop*>(&kernels<T>().pointwise)[slot];
    else return reinterpret_cast<const PointwiseLoop*>(&integer_pointwise<T>())[slot];
  });
}

// ---- applying a row -------------------------------------------------------------------------------------------------

namespace {

// Transcendental rows (domain F) are worth a second thread much earlier than arithmetic ones.
double cost_of(const PointwiseRow& row) { return row.domain == PointwiseDomain::F && row.arity == 1 ? 0.8 : 0.25; }

// A number that a gradient reads becomes a 0-d tensor, whose dtype promotes like the number it was.
Tensor as_tensor(const Operand& o, DType dtype) {
  if (o.is_tensor()) return o.tensor();
  const Tensor t = Tensor::empty({}, dtype);
  visit_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    *t.data<T>() = o.scalar().to<T>();
  });
  return t;
}

// Backward of a unary row, fused: one loop over the gradient and what was saved.
Tensor fused_backward(const PointwiseRow& row, const Tensor& g, const Tensor& saved, const double* params) {
  const FlushDenormals flush;
  const DType compute = compute_dtype(g.dtype());
  SmallVector<Input, 5> in;
  in.push_back({g, compute});
  if (row.reads[0]) in.push_back({saved, compute});
  for (int i = 0; i < row.params; ++i) in.push_back({Operand(params[i]), compute});
  return run_pointwise({row.name, loop_at(row.backward, compute), compute, g.dtype(), cost_of(row)}, in, {});
}

struct Backward {
  const PointwiseRow* row;
  autograd::Saved a, b, c, y;
  double params[3];
  bool wanted[3];
  bool reads_output = false;

  Tensors operator()(const Tensor& g) const {
    if (row->backward && !autograd::grad_enabled())
      return {fused_backward(*row, g, row->reads[0] == PointwiseReads::Y ? y.get() : a.get(), params)};
    Tensors grads;
    const Tensor ta = a.get(), tb = b.get(), tc = c.get(), ty = y.get();
    for (int i = 0; i < row->arity; ++i)
      grads.push_back(wanted[i] ? row->gradient(i, g, ta, tb, tc, ty, params) : Tensor());
    return grads;
  }
};

bool wants_grad(const Operand& o) {
  return o.is_tensor() && o.tensor().impl()->autograd && autograd::requires_grad(o.tensor());
}

// What the gradients will read. The tensor that an in-place operation is about to overwrite is saved as a copy.
Backward save_inputs(const PointwiseRow& row, std::span<const Operand> in, std::span<const Scalar> params, DType compute, const Out& out) {
  Backward backward{&row, {}, {}, {}, {}, {0, 0, 0}, {false, false, false}};
  PointwiseRow::Reads reads = 0;
  for (int i = 0; i < row.arity; ++i) {
    backward.wanted[i] = wants_grad(in[size_t(i)]);
    if (backward.wanted[i]) reads |= row.reads[i];
  }
  auto save = [&](const Operand& o) {
    const bool overwritten = out.kind == Out::Kind::Inplace && o.is_tensor() && o.tensor().is(out.target);
    return autograd::save(overwritten ? clone(o.tensor()) : as_tensor(o, compute));
  };
  if (reads & PointwiseReads::A) backward.a = save(in[0]);
  if (reads & PointwiseReads::B) backward.b = save(in[1]);
  if (reads & PointwiseReads::C) backward.c = save(in[2]);
  for (size_t i = 0; i < params.size(); ++i) backward.params[i] = params[i].to_double();
  backward.reads_output = reads & PointwiseReads::Y;
  return backward;
}

void record(const PointwiseRow& row, Backward&& backward, const Tensor& y, std::span<const Operand> in, bool inplace) {
  Tensors inputs;
  for (const Operand& o : in) inputs.push_back(o.is_tensor() ? o.tensor() : Tensor());
  if (backward.reads_output) backward.y = autograd::Saved::output(y);
  if (inplace) autograd::record_inplace(row.name, y, inputs, std::move(backward));
  else autograd::record(row.name, std::span(&y, 1), inputs, std::move(backward));
}

void check_out(const char* op, const Out& out, std::span<const Operand> in) {
  if (out.kind == Out::Kind::Inplace) autograd::check_inplace(op, out.target);
  if (out.kind != Out::Kind::Given || !autograd::grad_enabled()) return;
  bool any = autograd::requires_grad(out.target);
  for (const Operand& o : in) any |= wants_grad(o);
  if (any) fail(op, ": expected tensors that require no gradient with out=, got one that does (use no_grad)");
}

}  // namespace

Tensor unary_gradient(const PointwiseRow& row, const Tensor& g, const Tensor& saved) {
  if (!autograd::grad_enabled()) return fused_backward(row, g, saved, nullptr);
  const bool output = row.reads[0] == PointwiseReads::Y;
  return row.gradient(0, g, output ? Tensor() : saved, Tensor(), Tensor(), output ? saved : Tensor(), nullptr);
}

DType float_result(const Promotion& p) {
  const DType t = p.result();
  return is_floating(t) ? t : default_dtype();
}

Tensor pointwise(const PointwiseRow& row, std::initializer_list<Operand> tensors, std::initializer_list<Scalar> params, const Out& out) {
  Call call(row.name);
  const std::span<const Operand> in(tensors.begin(), tensors.size());
  const std::span<const Scalar> extra(params.begin(), params.size());
  Promotion promotion;
  for (const Operand& o : in) {
    if (o.is_tensor() && o.tensor().is_sparse()) return sparse_pointwise(row, in, extra, out);
    promotion.add(o);
  }
  if (row.domain == PointwiseDomain::N && row.arity == 1)
    for (const Scalar& s : extra) promotion.add(s);
  const DType result = row.domain == PointwiseDomain::F ? float_result(promotion) : promotion.result();
  if (row.domain == PointwiseDomain::I && is_floating(result))
    fail(row.name, ": expected integer or bool tensors, got ", result);
  if (!out.fresh()) check_out(row.name, out, in);

  const DType compute = compute_dtype(result);
  const bool test = row.kind == PointwiseRow::Kind::Test;
  SmallVector<Input, 5> inputs;
  for (const Operand& o : in) inputs.emplace_back(o, compute);
  for (const Scalar& s : extra) inputs.emplace_back(Operand(s), compute);

  bool recorded = false;
  if (row.differentiable && autograd::grad_enabled() && out.kind != Out::Kind::Given)
    for (const Operand& o : in) recorded |= wants_grad(o);
  const DType writes = test ? DType::Bool : compute;
  const PointwiseCall loop{row.name, loop_at(row.forward, compute), writes, test ? DType::Bool : result, cost_of(row)};
  if (!recorded) return run_pointwise(loop, inputs, out);

  Backward backward = save_inputs(row, in, extra, compute, out);
  const Tensor y = run_pointwise(loop, inputs, out);
  record(row, std::move(backward), y, in, out.kind == Out::Kind::Inplace);
  return y;
}

}  // namespace pydl
