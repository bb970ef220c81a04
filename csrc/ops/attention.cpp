// Scaled dot-product attention, fused: the scores are computed a tile at a time, forward and again backward.
#include <array>
#include <cmath>

#include "autograd/node.h"
#include "base/parallel.h"
#include "base/random.h"
#include "kernels/random.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/join.h"
#include "ops/matmul.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"
#include "ops/workspace.h"

namespace pydl {

namespace {

const char* const kName = "scaled_dot_product_attention";

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Queries (batch, heads, queries, size); keys and values with `heads / group` heads. What backward must know again.
struct Attention {
  int64_t batch, heads, group, queries, keys, size, value_size;
  double scale;
  bool causal;
  double drop = 0;        // the probability
  PhiloxStream stream{};  // of its draws, one for each weight

  double kept_scale() const { return drop == 1 ? 0 : 1 / (1 - drop); }
  int64_t weights() const { return batch * heads * queries * keys; }
  // Nanoseconds of one core for a pass over the scores of `rows` queries of a head, `products` of each score's two.
  double estimate_ns(int64_t rows, int products, int64_t item_size) const {
    const double scores = double(rows) * double(keys) * (causal ? 0.6 : 1);
    return scores * double(products * (size + value_size) + 20) * double(item_size) / 400;
  }
};

// x in the dtype that kernels compute in, elements of a row side by side; no history.
Tensor rows_of(const Tensor& x, DType t) {
  const Tensor y = cast(x.alias(), t);
  return y.size(-1) <= 1 || y.stride(-1) == 1 ? y : contiguous(y);
}

// Memory for something shaped (batch, heads, n, size): heads inside the sequence where `model` has them there.
Tensor empty_like_heads(const Tensor& model, int64_t size, DType t) {
  const Dims sizes{model.size(0), model.size(1), model.size(2), size};
  if (model.stride(1) >= model.stride(2)) return Tensor::empty(sizes, t);
  return Tensor::empty_strided(sizes, Dims{sizes[1] * sizes[2] * size, size, sizes[1] * size, 1}, t);
}

// The mask as the kernels read it: (batch, heads, queries, keys), keys side by side.
Tensor mask_rows(const Attention& a, const Tensor& mask, DType t) {
  if (!mask.defined()) return mask;
  Tensor m = mask.dtype() == DType::Bool ? mask.alias() : cast(mask.alias(), t);
  Dims row(m.sizes());
  if (m.dim() == 0)
    row.push_back(a.keys);
  else
    row.back() = a.keys;
  m = expand(m, row);
  if (a.keys > 1 && m.stride(-1) != 1) m = contiguous(m);
  return expand(m, Dims{a.batch, a.heads, a.queries, a.keys});
}

template <class T>
T* at(const Tensor& x, int64_t b, int64_t h) {
  return x.data<T>() + b * x.stride(0) + h * x.stride(1);
}

// Everything that one call's kernels read.
struct Operands {
  Tensor q, k, v, mask;
  Operands(const Attention& a, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& attn_mask,
           DType t)
      : q(rows_of(query, t)), k(rows_of(key, t)), v(rows_of(value, t)), mask(mask_rows(a, attn_mask, t)) {}
};

template <class T>
void keep_weights(const void* context, T* out, int64_t first, int64_t n) {
  const Attention& a = *static_cast<const Attention*>(context);
  random_kernels<T>().keep(out, {a.stream, bernoulli_threshold(1 - a.drop)}, T(1), first, n);
}

template <class T>
AttentionHead<T> head_of(const Attention& a, const Operands& x, int64_t b, int64_t h) {
  const int64_t kv = h / a.group;
  AttentionHead<T> head{a.queries,
                        a.keys,
                        a.size,
                        a.value_size,
                        at<T>(x.q, b, h),
                        at<T>(x.k, b, kv),
                        at<T>(x.v, b, kv),
                        x.q.stride(2),
                        x.k.stride(2),
                        x.v.stride(2),
                        T(a.scale),
                        a.causal,
                        nullptr,
                        nullptr,
                        0,
                        0,
                        {}};
  if (x.mask.defined() && x.mask.dtype() == DType::Bool)
    head.allowed = at<uint8_t>(x.mask, b, h), head.allowed_rs = x.mask.stride(2);
  else if (x.mask.defined())
    head.bias = at<T>(x.mask, b, h), head.bias_rs = x.mask.stride(2);
  if (a.drop > 0) head.dropout = {&keep_weights<T>, &a, (b * a.heads + h) * a.queries * a.keys, T(a.kept_scale())};
  return head;
}

// f(begin, end) over items of `ns` each, taken from a common queue `grain` at a time.
template <class F>
void share_out(int64_t items, int64_t grain, double ns, F&& f) {
  if (double(items) * ns < 2 * kParallelThresholdNs) return f(int64_t(0), items);
  parallel_ranges(
      items, grain, [](void* c, int64_t b, int64_t e) { (*static_cast<std::remove_reference_t<F>*>(c))(b, e); }, &f,
      true);
}

// ---- forward -------------------------------------------------------------------------------------------------------
// An item is a block of queries of a head. A thread packs the keys of a head once for the items it takes together, and
// only those that its queries see.
template <class T>
void run_forward(const Attention& a, const Operands& x, const Tensor& out, T* lse) {
  const AttentionKernels<T>& kernel = kernels<T>().attention;
  const AttentionBlocking& size = kernel.blocking;
  const bool packed = a.queries > size.few;
  const int64_t rows = size.queries, blocks = ceil_div(a.queries, rows), heads = a.batch * a.heads;
  const int64_t keys_size = packed ? size.packed_keys(a.keys, a.size) : 0;
  const int64_t values_size = packed ? size.packed_values(a.keys, a.value_size) : 0;
  const double ns = a.estimate_ns(std::min(a.queries, rows), 2, sizeof(T));
  int64_t grain = heads >= 2 * num_threads() ? blocks : 1;
  grain *= std::max<int64_t>(1, int64_t(kParallelThresholdNs / (ns * double(grain) + 1)));
  share_out(heads * blocks, grain, ns, [&](int64_t begin, int64_t end) {
    const Workspace<T> workspace(keys_size + values_size + size.forward_scratch(a.size, a.value_size));
    T *const keys = workspace.data(), *const values = keys + keys_size;
    int64_t current = -1, ready = 0;
    for (int64_t item = begin; item < end; ++item) {
      const int64_t index = item / blocks, from = item % blocks * rows, to = std::min(a.queries, from + rows);
      const AttentionHead<T> head = head_of<T>(a, x, index / a.heads, index % a.heads);
      if (index / a.group != current) current = index / a.group, ready = 0;
      const int64_t seen = std::min(a.keys, ceil_div(head.visible(to), size.keys) * size.keys);
      if (packed && seen > ready) kernel.pack(keys, values, head, ready, seen), ready = seen;
      kernel.forward(at<T>(out, index / a.heads, index % a.heads), out.stride(2),
                     lse ? lse + 2 * index * a.queries : nullptr, head, packed ? keys : nullptr, values, from, to,
                     values + values_size);
    }
  });
}

// ---- backward ------------------------------------------------------------------------------------------------------
// Few heads are cut into ranges of keys, each with its own part of dq; by shape alone, so that bits do not depend on
// threads.
int64_t key_range(const Attention& a, const AttentionBlocking& size) {
  constexpr int64_t kUnits = 16, kShortest = 512;
  const int64_t heads = std::max<int64_t>(1, a.batch * a.heads / a.group);
  const int64_t ranges = std::clamp<int64_t>(a.keys / kShortest, 1, std::max<int64_t>(1, kUnits / heads));
  return ceil_div(ceil_div(a.keys, ranges), size.keys) * size.keys;
}

template <class T>
void run_backward(const Attention& a, const Operands& x, const Tensor& grad, const Tensor& out, const T* lse,
                  const Tensor& dq, const Tensor& dk, const Tensor& dv) {
  const AttentionKernels<T>& kernel = kernels<T>().attention;
  const int64_t range = key_range(a, kernel.blocking), ranges = ceil_div(a.keys, range), shared = a.heads / a.group;
  const Workspace<T> parts(ranges > 1 ? ranges * dq.numel() : 0);
  const Tensor sums = ranges > 1 ? Tensor::empty(dq.sizes(), dq.dtype()) : dq;  // dense, as the parts are
  const double ns = a.estimate_ns(a.queries * a.group, 5, sizeof(T)) / double(ranges);
  const int64_t grain = std::max<int64_t>(1, int64_t(kParallelThresholdNs / (ns + 1)));
  share_out(a.batch * shared * ranges, grain, ns, [&](int64_t begin, int64_t end) {
    const Workspace<T> scratch(
        kernel.blocking.backward_scratch(a.queries, std::min(range, a.keys), a.size, a.value_size));
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t part = unit % ranges, b = unit / ranges / shared, kv = unit / ranges % shared;
      const int64_t from = part * range, to = std::min(a.keys, from + range);
      for (int64_t g = 0; g < a.group; ++g) {
        const int64_t h = kv * a.group + g;
        T* const dq_rows =
            ranges > 1 ? parts.data() + part * dq.numel() + (at<T>(sums, b, h) - sums.data<T>()) : at<T>(dq, b, h);
        kernel.backward(head_of<T>(a, x, b, h),
                        {at<T>(grad, b, h), at<T>(out, b, h), grad.stride(2), out.stride(2),
                         lse + 2 * (b * a.heads + h) * a.queries, dq_rows, at<T>(dk, b, kv), at<T>(dv, b, kv),
                         sums.stride(2), dk.stride(2), dv.stride(2), g == 0, g == a.group - 1},
                        from, to, scratch.data());
      }
    }
  });
  if (ranges > 1) {
    constexpr int64_t kChunk = 4096;
    parallel_for(ceil_div(dq.numel(), kChunk), 8, [&](int64_t b, int64_t e) {
      const int64_t first = b * kChunk, n = std::min(dq.numel(), e * kChunk) - first;
      kernels<T>().reduce.sum_outer(sums.data<T>() + first, parts.data() + first, 1, ranges, n, 0, dq.numel());
    });
    copy_values(dq, sums);
  }
}

// Into dq, dk and dv, whose rows have their elements side by side.
void fused_gradients(const Attention& a, const Operands& x, const Tensor& output, const Tensor& lse, const Tensor& g,
                     const Tensor& dq, const Tensor& dk, const Tensor& dv) {
  const DType t = lse.dtype();
  const Tensor grad = rows_of(g, t), out = rows_of(output, t);
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    run_backward<T>(a, x, grad, out, lse.data<T>(), dq, dk, dv);
  });
}

Tensors fused_gradients(const Attention& a, const Tensor& query, const Tensor& key, const Tensor& value,
                        const Tensor& mask, const Tensor& output, const Tensor& lse, const Tensor& g) {
  const DType t = lse.dtype();
  const Tensor dq = empty_like_heads(query, a.size, t), dk = empty_like_heads(key, a.size, t),
               dv = empty_like_heads(value, a.value_size, t);
  fused_gradients(a, Operands(a, query, key, value, mask, t), output, lse, g, dq, dk, dv);
  return {cast(dq, query.dtype()), cast(dk, key.dtype()), cast(dv, value.dtype()), Tensor()};
}

// One tensor (3, batch, heads, n, size) of all three, laid out like the packed queries, keys and values.
Tensor packed_gradient(const Attention& a, const Tensor& packed, const Tensor& mask, const Tensor& output,
                       const Tensor& lse, const Tensor& g) {
  const DType t = lse.dtype();
  const autograd::GradGuard off(false);
  const Tensor x = rows_of(packed, t), like = empty_like(x);
  const Tensor d = like.stride(-1) == 1 ? like : Tensor::empty(x.sizes(), t);
  fused_gradients(a, Operands(a, select(x, 0, 0), select(x, 0, 1), select(x, 0, 2), mask, t), output, lse, g,
                  select(d, 0, 0), select(d, 0, 1), select(d, 0, 2));
  return cast(d, packed.dtype());
}

// Keys or values, once for every query head; and the sum over the query heads of one.
Tensor for_query_heads(const Tensor& x, int64_t group) {
  if (group == 1) return x;
  const Dims sizes{x.size(0), x.size(1), group, x.size(2), x.size(3)};
  return reshape(expand(unsqueeze(x, 2), sizes), Dims{x.size(0), x.size(1) * group, x.size(2), x.size(3)});
}
Tensor over_query_heads(const Tensor& x, int64_t group) {
  if (group == 1) return x;
  return sum(reshape(x, Dims{x.size(0), x.size(1) / group, group, x.size(2), x.size(3)}), Dims{2});
}

// The same in plain operations, which record: for second derivatives, and where the mask itself wants a gradient.
Tensors composite_gradients(const Attention& a, const Tensor& query, const Tensor& key, const Tensor& value,
                            const Tensor& mask, const Tensor& grad) {
  const DType t = compute_dtype(query.dtype());
  const Tensor q = cast(query, t), k = for_query_heads(cast(key, t), a.group),
               v = for_query_heads(cast(value, t), a.group);
  const Tensor g = cast(grad, t);
  Tensor s = mul(matmul(q, transpose(k, -2, -1)), Operand(a.scale));
  const double lowest = -std::numeric_limits<double>::infinity();
  if (mask.defined()) s = mask.dtype() == DType::Bool ? where(mask, s, Operand(lowest)) : add(s, cast(mask, t));
  if (a.causal) {
    const Tensor i = unsqueeze(arange(Scalar(int64_t(0)), Scalar(a.queries)), 1),
                 j = arange(Scalar(int64_t(0)), Scalar(a.keys));
    s = where(le(j, i), s, Operand(lowest));
  }
  const Tensor blind = eq(amax(s, Dims{-1}, true), Operand(lowest));
  const Tensor w = where(blind, Operand(0.0), softmax(where(blind, Operand(0.0), s), -1));
  Tensor kept;
  if (a.drop > 0) {
    kept = Tensor::empty(w.sizes(), t);
    visit_float(t, [&](auto tag) {
      using T = typename decltype(tag)::type;
      keep_weights<T>(&a, kept.data<T>(), 0, kept.numel());
    });
    kept = mul(kept, Operand(a.kept_scale()));
  }
  Tensor dw = matmul(g, transpose(v, -2, -1));
  if (kept.defined()) dw = mul(dw, kept);
  const Tensor ds = mul(w, sub(dw, sum(mul(dw, w), Dims{-1}, true)));
  const Tensor dv = matmul(transpose(kept.defined() ? mul(w, kept) : w, -2, -1), g);
  const Tensor dq = mul(matmul(ds, k), Operand(a.scale)), dk = mul(matmul(transpose(ds, -2, -1), q), Operand(a.scale));
  const bool wants_mask = mask.defined() && mask.dtype() != DType::Bool;
  return {cast(dq, query.dtype()), cast(over_query_heads(dk, a.group), key.dtype()),
          cast(over_query_heads(dv, a.group), value.dtype()),
          wants_mask ? cast(sum_to(ds, mask.sizes()), mask.dtype()) : Tensor()};
}

// The output, which has no history yet, and for one that will have it the log-sum-exp of its scores.
struct Attended {
  Tensor result, lse;
};
Attended fused_forward(Attention& a, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                       bool records) {
  const DType t = compute_dtype(query.dtype());
  if (a.drop > 0) a.stream = default_generator().reserve(a.weights(), 1);
  const Tensor out = empty_like_heads(query, a.value_size, t);
  const Tensor lse = records ? Tensor::empty(Dims{a.batch, a.heads, a.queries, 2}, t) : Tensor();
  if (out.numel() > 0) {
    const Operands x(a, query, key, value, mask, t);
    visit_float(t, [&](auto tag) {
      using T = typename decltype(tag)::type;
      run_forward<T>(a, x, out, records ? lse.data<T>() : nullptr);
    });
  }
  return {cast(out, query.dtype()), lse};
}

// Attention of 4-dimensional operands that have been checked.
Tensor attend(Attention a, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask) {
  const bool records = autograd::needed(query, key, value, mask);
  const auto [result, lse] = fused_forward(a, query, key, value, mask, records);
  if (!records) return result;
  const bool wants_mask = mask.defined() && autograd::requires_grad(mask);
  autograd::record(
      "ScaledDotProductAttentionBackward", result, {query, key, value, mask},
      [=, lse = lse, query = autograd::save(query), key = autograd::save(key), value = autograd::save(value),
       mask = mask.defined() ? autograd::save(mask) : autograd::Saved(), has_mask = mask.defined(),
       result = autograd::Saved::output(result)](const Tensor& g) {
        const Tensor q = query, k = key, v = value, m = has_mask ? mask.get() : Tensor();
        if (a.weights() == 0 || a.value_size == 0)
          return Tensors{zeros_like(q), zeros_like(k), zeros_like(v), wants_mask ? zeros_like(m) : Tensor()};
        if (autograd::grad_enabled() || wants_mask) return composite_gradients(a, q, k, v, m, g);
        return fused_gradients(a, q, k, v, m, result, lse, g);
      });
  return result;
}

// The same of queries, keys and values (3, batch, heads, n, size), which a projection has made together: their gradient
// is one tensor, written in place.
Tensor attend_packed(Attention a, const Tensor& packed, const Tensor& mask) {
  const bool records = autograd::needed(packed, mask);
  const auto parts = [](const Tensor& x) { return std::array{select(x, 0, 0), select(x, 0, 1), select(x, 0, 2)}; };
  const auto [q, k, v] = parts(packed.alias());
  const auto [result, lse] = fused_forward(a, q, k, v, mask, records);
  if (!records) return result;
  const bool wants_mask = mask.defined() && autograd::requires_grad(mask);
  autograd::record("ScaledDotProductAttentionBackward", result, {packed, mask},
                   [=, lse = lse, packed = autograd::save(packed), has_mask = mask.defined(),
                    mask = mask.defined() ? autograd::save(mask) : autograd::Saved(),
                    result = autograd::Saved::output(result)](const Tensor& g) {
                     const Tensor x = packed, m = has_mask ? mask.get() : Tensor();
                     if (a.weights() == 0 || a.size == 0)
                       return Tensors{zeros_like(x), wants_mask ? zeros_like(m) : Tensor()};
                     if (!autograd::grad_enabled() && !wants_mask)
                       return Tensors{packed_gradient(a, x, m, result, lse, g), Tensor()};
                     const auto [q, k, v] = parts(x);
                     const Tensors grads = composite_gradients(a, q, k, v, m, g);
                     return Tensors{stack({grads[0], grads[1], grads[2]}, 0), grads[3]};
                   });
  return result;
}

// ---- arguments -----------------------------------------------------------------------------------------------------
void check(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double p, bool causal) {
  for (const Tensor* x : {&q, &k, &v})
    if (x->dim() < 2)
      fail<ShapeError>(kName, ": expected query, key and value of at least 2 dimensions, got ", q, ", ", k, " and ", v);
  if (!is_floating(q.dtype()) || k.dtype() != q.dtype() || v.dtype() != q.dtype())
    fail(kName, ": expected query, key and value of one floating point dtype, got ", q, ", ", k, " and ", v);
  if (k.size(-1) != q.size(-1))
    fail<ShapeError>(kName, ": expected keys as long as the queries, ", q.size(-1), ", got ", k);
  if (v.size(-2) != k.size(-2))
    fail<ShapeError>(kName, ": expected a value for each of ", k.size(-2), " keys, got ", v);
  if (mask.defined() && causal) fail(kName, ": expected attn_mask or is_causal, got both");
  if (mask.defined() && mask.dtype() != DType::Bool && mask.dtype() != q.dtype() && mask.dtype() != DType::Float32)
    fail(kName, ": expected attn_mask of bool, float32 or the query's ", q.dtype(), ", got ", mask);
  if (!(p >= 0 && p <= 1)) fail(kName, ": expected dropout_p between 0 and 1, got ", p);
}

// x with these leading dimensions.
Tensor with_lead(const Tensor& x, IntSpan lead) {
  Dims sizes(lead);
  sizes.push_back(x.size(-2));
  sizes.push_back(x.size(-1));
  return same(sizes, x.sizes()) ? x : expand(x, sizes);
}
// (..., heads, n, m) as (batch, heads, n, m).
Tensor four_dimensions(const Tensor& x) {
  if (x.dim() == 4) return x;
  if (x.dim() < 4) return four_dimensions(unsqueeze(x, 0));
  return flatten(x, 0, x.dim() - 4);
}

// The mask, checked against scores (lead, queries, keys), in at most four dimensions.
Tensor fitting_mask(const Tensor& mask, const Dims& lead, const Attention& a) {
  if (!mask.defined()) return mask;
  Dims scores = lead;
  scores.push_back(a.queries);
  scores.push_back(a.keys);
  bool fits = mask.dim() <= int64_t(scores.size());
  for (int64_t d = 1; fits && d <= mask.dim(); ++d)
    fits = mask.size(-d) == 1 || mask.size(-d) == scores[scores.size() - size_t(d)];
  if (!fits) fail<ShapeError>(kName, ": expected attn_mask that broadcasts to ", show(scores), ", got ", mask);
  return lead.size() > 2 && mask.dim() > 3 ? four_dimensions(expand(mask, scores)) : mask;
}

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                                    double dropout_p, bool is_causal, std::optional<double> scale, bool enable_gqa) {
  Call call(kName);
  check(query, key, value, mask, dropout_p, is_causal);
  const auto lead_of = [](const Tensor& x) { return Dims(x.sizes().subspan(0, size_t(x.dim() - 2))); };
  Dims lead = lead_of(query), kv_lead = broadcast_shapes(kName, lead_of(key), lead_of(value));
  int64_t group = 1;
  if (enable_gqa && !lead.empty() && !kv_lead.empty() && kv_lead.back() != lead.back()) {
    if (kv_lead.back() == 0 || lead.back() % kv_lead.back() != 0)
      fail<ShapeError>(kName, ": expected a number of heads that divides the query's ", lead.back(), ", got ", key,
                       " and ", value);
    group = lead.back() / kv_lead.back();
    kv_lead.back() = lead.back();
  }
  lead = broadcast_shapes(kName, lead, kv_lead);
  kv_lead = lead;
  if (group > 1) kv_lead.back() /= group;
  const Tensor q = four_dimensions(with_lead(query, lead)), k = four_dimensions(with_lead(key, kv_lead)),
               v = four_dimensions(with_lead(value, kv_lead));
  const Attention a{.batch = q.size(0),
                    .heads = q.size(1),
                    .group = group,
                    .queries = q.size(2),
                    .keys = k.size(2),
                    .size = q.size(3),
                    .value_size = v.size(3),
                    .scale = scale.value_or(q.size(3) ? 1 / std::sqrt(double(q.size(3))) : 1),
                    .causal = is_causal,
                    .drop = dropout_p};
  const Tensor out = attend(a, q, k, v, fitting_mask(mask, lead, a));
  if (query.dim() == 4 && lead.size() == 2) return out;
  Dims sizes = lead;
  sizes.push_back(a.queries);
  sizes.push_back(a.value_size);
  return reshape(out, sizes);
}

Tensor packed_attention(const Tensor& packed, const Tensor& mask, double dropout_p, bool is_causal) {
  Call call(kName);
  if (packed.dim() != 5 || packed.size(0) != 3)
    fail<ShapeError>("packed_attention: expected queries, keys and values (3, batch, heads, n, size), got ", packed);
  const Tensor part = select(packed.alias(), 0, 0);
  check(part, part, part, mask, dropout_p, is_causal);
  const Attention a{.batch = part.size(0),
                    .heads = part.size(1),
                    .group = 1,
                    .queries = part.size(2),
                    .keys = part.size(2),
                    .size = part.size(3),
                    .value_size = part.size(3),
                    .scale = part.size(3) ? 1 / std::sqrt(double(part.size(3))) : 1,
                    .causal = is_causal,
                    .drop = dropout_p};
  return attend_packed(a, packed, fitting_mask(mask, Dims{a.batch, a.heads}, a));
}

const Operator ops[] = {
    {&packed_attention,
     "packed_attention(Tensor packed, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False) -> Tensor",
     kNN, "scaled_dot_product_attention of queries, keys and values that are one tensor (3, batch, heads, n, size)."},
    {&scaled_dot_product_attention,
     "scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float "
     "dropout_p=0.0, "
     "bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor",
     kNN,
     "softmax(scale * query @ key^T + mask) @ value, by tiles of scores (Dao et al. 2022): memory grows with the "
     "length, not its square.\n"
     ">>> q, k, v = pydl.zeros(1, 2, 4), pydl.zeros(1, 2, 4), pydl.tensor([[[1.0], [3.0]]])\n"
     ">>> pydl.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)\ntensor([[[1.],\n         [2.]]])"},
};

}  // namespace

}  // namespace pydl
