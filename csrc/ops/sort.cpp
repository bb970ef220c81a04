#include "ops/sort.h"

#include <algorithm>
#include <cmath>

#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/sort.h"
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

// Runs `line(x offset, out offset, workspace)` for every line of x along dim; outputs are contiguous with `out_n`
// elements along dim. Each thread has a workspace of its own.
template <class Line> void each_line(const Tensor& x, int64_t dim, int64_t out_n, size_t workspace, Line line) {
  int64_t outer = 1, inner = 1;
  Dims outer_sizes, inner_sizes;
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (d < dim) outer *= x.size(d);
    if (d > dim) inner *= x.size(d);
  }
  const int64_t n = x.dim() ? x.size(dim) : 1;
  parallel_for(outer * inner, std::max<int64_t>(1, 2048 / std::max<int64_t>(n, 1)), [&](int64_t begin, int64_t end) {
    const Tensor scratch = Tensor::empty(Dims{int64_t(workspace)}, DType::UInt8);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i / inner, c = i % inner;
      int64_t rest = c, at = 0;
      for (int64_t d = x.dim() - 1; d > dim; --d, rest /= x.size(d + 1)) at += rest % x.size(d) * x.stride(d);
      rest = o;
      for (int64_t d = dim - 1; d >= 0; --d) {
        at += rest % x.size(d) * x.stride(d);
        rest /= x.size(d);
      }
      line(at, o * out_n * inner + c, scratch.raw());
    }
  });
}

int64_t inner_of(const Tensor& x, int64_t dim) {
  int64_t inner = 1;
  for (int64_t d = dim + 1; d < x.dim(); ++d) inner *= x.size(d);
  return inner;
}

// The gradient of values picked by `indices` (shaped like the output) along dim.
void record_picked(const char* name, const Tensor& values, const Tensor& indices, const Tensor& x, int64_t dim) {
  if (!autograd::needed(x)) return;
  autograd::record(name, values, {x}, [dim, indices, sizes = Dims(x.sizes())](const Tensor& g) {
    return sizes.empty() ? g : scatter_add_(zeros(sizes, g.dtype()), dim, indices, g);
  });
}

constexpr int64_t kLongLine = 48, kFew = 4096, kCached = 1 << 17;  // elements

// (values, indices) with `k` results along dim; run(kernel tag, x line, values line, indices line, stride, n, workspace).
template <class Run> std::tuple<Tensor, Tensor> pick(const Tensor& input, int64_t input_dim, int64_t k, Run run) {
  const MemoryOrder order(input);
  const Tensor whole = order.to_memory(input);
  const int64_t last = whole.dim() - 1;
  // Long lines across the memory would touch a cache line with every element: a transposed copy has them along it.
  // The results must be copied back, which pays where they are few or the caches hold them.
  const int64_t place = order.dim(input_dim);
  const bool across = whole.dim() > 1 && place != last && whole.size(place) >= kLongLine && whole.numel() >= kFew &&
                      (whole.numel() <= kCached || 4 * k <= whole.size(place));
  Dims there, back;
  for (int64_t d = 0; across && d < last; ++d) there.push_back(d < place ? d : d + 1);
  if (across) there.push_back(place);
  const Tensor x = across ? contiguous(permute(whole, there)) : whole;
  const int64_t dim = across ? last : place;
  Dims sizes(x.sizes());
  if (x.dim()) sizes[size_t(dim)] = k;
  const Tensor values = Tensor::empty(sizes, x.dtype()), indices = Tensor::empty(sizes, DType::Int64);
  const int64_t n = x.dim() ? x.size(dim) : 1, stride = inner_of(x, dim), in_stride = x.dim() ? x.stride(dim) : 1;
  if (values.numel() > 0)
    visit_all(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      each_line(x, dim, k, SortKernels<T>::workspace(n), [&](int64_t from, int64_t to, void* workspace) {
        run(tag, x.data<T>() + from, values.data<T>() + to, indices.data<int64_t>() + to, stride, in_stride, n, workspace);
      });
    });
  if (!across) return {order.to_logical(values), order.to_logical(indices)};
  for (int64_t d = 0; d <= last; ++d) back.push_back(d < place ? d : d == place ? last : d - 1);
  return {order.to_logical(contiguous(permute(values, back))), order.to_logical(contiguous(permute(indices, back)))};
}

std::tuple<Tensor, Tensor> squeeze_picked(std::tuple<Tensor, Tensor> picked, int64_t dim, bool keepdim) {
  if (keepdim || std::get<0>(picked).dim() == 0) return picked;
  return {squeeze(std::get<0>(picked), Dims{dim}), squeeze(std::get<1>(picked), Dims{dim})};
}

}  // namespace

std::tuple<Tensor, Tensor> sort(const Tensor& x, int64_t dim, bool descending) {
  Call call("sort");
  const int64_t d = wrap_dim(call.op, dim, x.dim());
  auto [values, indices] = pick(x, d, x.dim() ? x.size(d) : 1, [&](auto tag, auto* in, auto* v, int64_t* i, int64_t stride, int64_t in_stride, int64_t n, void* w) {
    SortKernels<typename decltype(tag)::type>::sort(v, i, stride, in, in_stride, n, descending, w);
  });
  record_picked("SortBackward", values, indices, x, d);
  return {values, indices};
}

std::tuple<Tensor, Tensor> topk(const Tensor& x, int64_t k, int64_t dim, bool largest, bool sorted) {
  Call call("topk");
  const int64_t d = wrap_dim(call.op, dim, x.dim()), n = x.dim() ? x.size(d) : 1;
  if (k < 0 || k > n) fail("topk: expected k in [0, ", n, "], got ", k);
  if (x.dim() == 0) k = 1;  // the only result that a 0-d tensor has
  auto [values, indices] = pick(x, d, k, [&](auto tag, auto* in, auto* v, int64_t* i, int64_t stride, int64_t in_stride, int64_t n, void* w) {
    SortKernels<typename decltype(tag)::type>::topk(v, i, stride, in, in_stride, n, k, largest, sorted, w);
  });
  record_picked("TopkBackward", values, indices, x, d);
  return {values, indices};
}

std::tuple<Tensor, Tensor> kthvalue(const Tensor& x, int64_t k, int64_t dim, bool keepdim) {
  Call call("kthvalue");
  const int64_t d = wrap_dim(call.op, dim, x.dim()), n = x.dim() ? x.size(d) : 1;
  if (n == 0) fail<IndexError>(call.op, ": expected a dimension with elements, got size 0 in ", show(x.sizes()));
  if (k < 1 || k > n) fail("kthvalue: expected k in [1, ", n, "], got ", k);
  auto [values, indices] = pick(x, d, 1, [&](auto tag, auto* in, auto* v, int64_t* i, int64_t, int64_t in_stride, int64_t n, void* w) {
    SortKernels<typename decltype(tag)::type>::select(v, i, in, in_stride, n, k - 1, w);
  });
  record_picked("KthvalueBackward", values, indices, x, d);
  return squeeze_picked({values, indices}, d, keepdim);
}

namespace {

std::tuple<Tensor, Tensor> median_dim_with(const char* op, const Tensor& x, int64_t dim, bool keepdim, bool skip_nan) {
  Call call(op);
  const int64_t d = wrap_dim(op, dim, x.dim());
  if (x.dim() && x.size(d) == 0) fail<IndexError>(op, ": expected a reduced dimension with elements, got size 0 in ", show(x.sizes()));
  auto [values, indices] = pick(x, d, 1, [&](auto tag, auto* in, auto* v, int64_t* i, int64_t, int64_t in_stride, int64_t n, void* w) {
    SortKernels<typename decltype(tag)::type>::median(v, i, in, in_stride, n, skip_nan, w);
  });
  record_picked("MedianBackward", values, indices, x, d);
  return squeeze_picked({values, indices}, d, keepdim);
}
std::tuple<Tensor, Tensor> median_dim(const Tensor& x, int64_t dim, bool keepdim) { return median_dim_with("median", x, dim, keepdim, false); }
std::tuple<Tensor, Tensor> nanmedian_dim(const Tensor& x, int64_t dim, bool keepdim) { return median_dim_with("nanmedian", x, dim, keepdim, true); }
// The median of all elements, its gradient shared evenly by the elements that equal it.
Tensor share_ties(const Tensor& y, const Tensor& x) {
  if (autograd::needed(x))
    autograd::record("MedianBackward", y, {x}, [x = autograd::save(x), y = autograd::Saved::output(y)](const Tensor& g) {
      const Tensor median = y, value = x;
      const Tensor tied = cast(logical_or(eq(value.alias(), median.alias()), logical_and(isnan(value.alias()), isnan(median.alias()))), g.dtype());
      return mul(tied, div(g, sum(tied)));
    });
  return y;
}
Tensor median_all(const Tensor& x) {
  if (x.numel() == 0) return full({}, Scalar(std::nan("")), x.dtype());
  return share_ties(std::get<0>(median_dim(reshape(x.alias(), Dims{-1}), 0, false)), x);
}
Tensor nanmedian_all(const Tensor& x) {
  if (x.numel() == 0) return full({}, Scalar(std::nan("")), x.dtype());
  return share_ties(std::get<0>(nanmedian_dim(reshape(x.alias(), Dims{-1}), 0, false)), x);
}

std::tuple<Tensor, Tensor> mode(const Tensor& x, int64_t dim, bool keepdim) {
  Call call("mode");
  const int64_t d = wrap_dim(call.op, dim, x.dim());
  if (x.dim() && x.size(d) == 0) fail<IndexError>("mode: expected a reduced dimension with elements, got size 0 in ", show(x.sizes()));
  auto [values, indices] = pick(x, d, 1, [&](auto tag, auto* in, auto* v, int64_t* i, int64_t, int64_t in_stride, int64_t n, void* w) {
    SortKernels<typename decltype(tag)::type>::mode(v, i, in, in_stride, n, w);
  });
  record_picked("ModeBackward", values, indices, x, d);
  return squeeze_picked({values, indices}, d, keepdim);
}

std::tuple<Tensor, Tensor> sort_stable(const Tensor& x, std::optional<bool>, int64_t dim, bool descending) { return sort(x, dim, descending); }
Tensor argsort(const Tensor& x, int64_t dim, bool descending) { return std::get<1>(sort(x.alias(), dim, descending)); }
Tensor argsort_stable(const Tensor& x, bool, int64_t dim, bool descending) { return argsort(x, dim, descending); }
std::tuple<Tensor, Tensor> msort_pair(const Tensor& x) { return sort(x, 0, false); }
Tensor msort(const Tensor& x) { return std::get<0>(msort_pair(x)); }

// ---- quantiles -----------------------------------------------------------------------------------------------------------

// Sorted values at fractional ranks q * (n - 1) along the last dimension. With NaN a row's answer is NaN, unless `skip_nan`
// ranks among the others.
Tensor quantile_sorted(const char* op, const Tensor& x, const Tensor& q, std::optional<int64_t> dim, bool keepdim, std::string_view interpolation, bool skip_nan) {
  if (!is_floating(x.dtype()) || is_half(x.dtype())) fail(op, ": expected a float32 or float64 tensor, got ", x);
  if (q.dim() > 1) fail(op, ": expected q as a number or a vector, got ", q);
  if (q.dtype() != x.dtype()) fail(op, ": expected q of dtype ", x.dtype(), ", got ", q);
  if (*any(logical_not(logical_and(ge(q.alias(), Operand(0)), le(q.alias(), Operand(1))))).data<bool>()) fail(op, ": expected q in [0, 1], got others");
  if (x.numel() == 0) fail(op, ": expected a tensor with elements, got ", x);
  const Tensor in = dim ? x : reshape(x, Dims{-1});
  const int64_t d = wrap_dim(op, dim.value_or(0), in.dim());
  const Tensor lines = in.dim() ? transpose(in, d, in.dim() - 1) : reshape(in, Dims{1});
  const Tensor sorted = std::get<0>(sort(lines, -1, false));
  const int64_t n = sorted.size(-1);
  // rank: (..., number of q's)
  const Tensor nan = isnan(sorted.alias());
  const Tensor count = skip_nan ? sub(Operand(n), sum(nan, Dims{-1}, true)) : full(Dims{1}, Scalar(n));
  const Tensor rank = clamp_min(mul(reshape(q, Dims{-1}), sub(cast(count, x.dtype()), Operand(1))), Operand(0.0));
  Dims shape(sorted.sizes());
  shape.back() = q.numel();
  const Tensor ranks = expand(interpolation == "nearest" ? round(rank) : rank, shape);
  const Tensor low = floor(ranks), high = ceil(ranks);
  auto at = [&](const Tensor& r) { return gather(sorted, sorted.dim() - 1, cast(r.alias(), DType::Int64)); };
  Tensor y;
  if (interpolation == "linear") {
    const Tensor a = at(low), b = at(high);
    y = add(a, mul(sub(ranks, low), sub(b, a)));
    y = where(eq(low.alias(), high.alias()), a, y);
  } else if (interpolation == "lower" || interpolation == "nearest") {
    y = at(low);
  } else if (interpolation == "higher") {
    y = at(high);
  } else if (interpolation == "midpoint") {
    y = div(add(at(low), at(high)), Operand(2));
  } else {
    fail(op, ": expected interpolation 'linear', 'lower', 'higher', 'midpoint' or 'nearest', got '", interpolation, "'");
  }
  const Tensor spoiled = skip_nan ? all(nan, Dims{-1}, true) : any(nan, Dims{-1}, true);
  y = where(spoiled, Operand(std::nan("")), y);
  // (..., q) with the reduced dimension's place restored, q in front.
  const int64_t last = y.dim() - 1;
  Dims front{last};
  for (int64_t k = 0; k < last; ++k) front.push_back(k);
  y = unsqueeze(permute(y, front), -1);
  if (in.dim()) y = transpose(y, d + 1, y.dim() - 1);
  if (!keepdim) y = squeeze(y, Dims{(in.dim() ? d : 0) + 1});
  else if (!dim) {
    Dims ones_shape{q.numel()};
    ones_shape.resize(size_t(x.dim()) + 1, 1);
    y = reshape(y, ones_shape);
  }
  return q.dim() == 0 ? squeeze(y, Dims{0}) : y;
}

Tensor quantile(const Tensor& x, const Tensor& q, std::optional<int64_t> dim, bool keepdim, std::string_view interpolation) {
  return quantile_sorted("quantile", x, q, dim, keepdim, interpolation, false);
}
Tensor quantile_number(const Tensor& x, double q, std::optional<int64_t> dim, bool keepdim, std::string_view interpolation) {
  return quantile(x, scalar_tensor(Scalar(q), x.dtype()), dim, keepdim, interpolation);
}
Tensor nanquantile(const Tensor& x, const Tensor& q, std::optional<int64_t> dim, bool keepdim, std::string_view interpolation) {
  return quantile_sorted("nanquantile", x, q, dim, keepdim, interpolation, true);
}
Tensor nanquantile_number(const Tensor& x, double q, std::optional<int64_t> dim, bool keepdim, std::string_view interpolation) {
  return nanquantile(x, scalar_tensor(Scalar(q), x.dtype()), dim, keepdim, interpolation);
}

// ---- unique --------------------------------------------------------------------------------------------------------------

std::tuple<Tensor, Tensor, Tensor> runs(const Tensor& row, const Tensor& order) {
  const int64_t n = row.numel();
  const Tensor values = Tensor::empty(Dims{n}, row.dtype()), inverse = Tensor::empty(Dims{n}, DType::Int64), counts = Tensor::empty(Dims{n}, DType::Int64);
  const int64_t found = n == 0 ? 0 : visit_all(row.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return SortKernels<T>::unique_runs(values.data<T>(), inverse.data<int64_t>(), counts.data<int64_t>(), row.data<T>(),
                                       order.defined() ? order.data<int64_t>() : nullptr, n);
  });
  return {clone(narrow(values, 0, 0, found)), inverse, clone(narrow(counts, 0, 0, found))};
}

// Distinct values (sorted), or distinct slices along dim; (values, inverse, counts).
std::tuple<Tensor, Tensor, Tensor> unique_all(const Tensor& x) {
  Call call("unique");
  const Tensor flat = contiguous(reshape(x.alias(), Dims{-1}));
  auto [sorted, order] = sort(flat);
  auto [values, inverse, counts] = runs(sorted, order);
  return {values, reshape(inverse, x.sizes()), counts};
}
std::tuple<Tensor, Tensor, Tensor> unique_consecutive_all(const Tensor& x) {
  Call call("unique_consecutive");
  auto [values, inverse, counts] = runs(contiguous(reshape(x.alias(), Dims{-1})), Tensor());
  return {values, reshape(inverse, x.sizes()), counts};
}

// Slices along dim numbered by their order among the distinct ones: (distinct slices, inverse, counts).
std::tuple<Tensor, Tensor, Tensor> unique_slices(const Tensor& x, int64_t dim, bool consecutive) {
  Call call("unique");
  const int64_t d = wrap_dim(call.op, dim, x.dim()), n = x.size(d);
  const Tensor rows = contiguous(reshape(transpose(x.alias(), 0, d), Dims{n, n ? -1 : 0}));
  const int64_t width = rows.numel() / std::max<int64_t>(n, 1);
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) order[size_t(i)] = i;
  return visit_compute(compute_dtype(x.dtype()), [&](auto tag) -> std::tuple<Tensor, Tensor, Tensor> {
    using T = typename decltype(tag)::type;
    const Tensor wide = cast(rows, dtype_of<T>);
    const T* p = wide.data<T>();
    if (!consecutive)
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return std::lexicographical_compare(p + a * width, p + (a + 1) * width, p + b * width, p + (b + 1) * width);
      });
    std::vector<int64_t> firsts, lengths;
    const Tensor inverse = Tensor::empty(Dims{n}, DType::Int64);
    for (size_t i = 0; i < order.size(); ++i) {
      if (i == 0 || !std::equal(p + order[i] * width, p + (order[i] + 1) * width, p + order[i - 1] * width)) {
        firsts.push_back(order[i]);
        lengths.push_back(0);
      }
      ++lengths.back();
      inverse.data<int64_t>()[order[i]] = int64_t(firsts.size()) - 1;
    }
    auto vector_of = [](const std::vector<int64_t>& v) {
      const Tensor t = Tensor::empty(Dims{int64_t(v.size())}, DType::Int64);
      std::copy(v.begin(), v.end(), t.data<int64_t>());
      return t;
    };
    return {index_select(x.alias(), d, vector_of(firsts)), inverse, vector_of(lengths)};
  });
}
std::tuple<Tensor, Tensor, Tensor> unique_dim(const Tensor& x, int64_t dim) { return unique_slices(x, dim, false); }
std::tuple<Tensor, Tensor, Tensor> unique_consecutive_dim(const Tensor& x, int64_t dim) { return unique_slices(x, dim, true); }

// ---- searching and counting -----------------------------------------------------------------------------------------------

Tensor searchsorted(const Tensor& sequence, const Operand& values, bool out_int32, bool right, std::string_view side, const Tensor& sorter) {
  Call call("searchsorted");
  if (!side.empty() && side != "left" && side != "right") fail("searchsorted: expected side 'left' or 'right', got '", side, "'");
  if (side == "left" && right) fail("searchsorted: expected right=False with side='left', got right=True");
  const bool behind = side.empty() ? right : side == "right";
  const DType t = result_type({sequence, values});
  const Tensor s = contiguous(cast(sequence.alias(), t));
  const Tensor v = contiguous(values.is_tensor() ? cast(values.tensor().alias(), t) : scalar_tensor(values.scalar(), t));
  const bool shared = s.dim() == 1;
  if (s.dim() == 0 || (!shared && (s.dim() != v.dim() || !same(s.sizes().first(s.sizes().size() - 1), v.sizes().first(v.sizes().size() - 1)))))
    fail<ShapeError>("searchsorted: expected a sorted vector, or as many sorted rows as values have, got ", sequence, " and ", v);
  if (sorter.defined() && (!same(sorter.sizes(), s.sizes()) || sorter.dtype() != DType::Int64))
    fail<ShapeError>("searchsorted: expected an int64 sorter of shape ", show(s.sizes()), ", got ", sorter);
  const Tensor order = sorter.defined() ? contiguous(sorter) : Tensor();
  const int64_t n = s.size(-1), rows = shared ? 1 : s.numel() / std::max<int64_t>(n, 1), count = rows ? v.numel() / rows : 0;
  const Tensor out = Tensor::empty(v.sizes(), DType::Int64);
  visit_all(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t r = 0; r < rows; ++r)
      parallel_for(count, 1024, [&](int64_t b, int64_t e) {
        SortKernels<T>::searchsorted(out.data<int64_t>() + r * count + b, s.data<T>() + r * n, order.defined() ? order.data<int64_t>() + r * n : nullptr, n,
                                     v.data<T>() + r * count + b, e - b, behind);
      });
  });
  return cast(out, out_int32 ? DType::Int32 : DType::Int64);
}
Tensor bucketize(const Operand& values, const Tensor& boundaries, bool out_int32, bool right) {
  if (boundaries.dim() != 1) fail("bucketize: expected a vector of boundaries, got ", boundaries);
  const Tensor buckets = searchsorted(boundaries, values, out_int32, right, "", Tensor());
  return values.is_tensor() ? in_format_of(values.tensor(), buckets) : buckets;
}

Tensor bincount(const Tensor& x, const Tensor& weights, int64_t minlength) {
  Call call("bincount");
  if (!is_integral(x.dtype()) || x.dtype() == DType::Bool || x.dim() != 1) fail("bincount: expected a vector of integers, got ", x);
  if (minlength < 0) fail("bincount: expected a non-negative minlength, got ", minlength);
  if (weights.defined() && !same(weights.sizes(), x.sizes())) fail<ShapeError>("bincount: expected weights of shape ", show(x.sizes()), ", got ", weights);
  const Tensor v = contiguous(cast(x.alias(), DType::Int64));
  int64_t most = minlength - 1;
  for (int64_t i = 0; i < v.numel(); ++i) {
    if (v.data<int64_t>()[i] < 0) fail("bincount: expected non-negative integers, got ", v.data<int64_t>()[i]);
    most = std::max(most, v.data<int64_t>()[i]);
  }
  if (!weights.defined()) {
    const Tensor out = zeros(Dims{most + 1}, DType::Int64);
    pydl::bincount<int64_t>(out.data<int64_t>(), v.data<int64_t>(), v.numel());
    return out;
  }
  const DType t = weights.dtype() == DType::Float32 ? DType::Float32 : DType::Float64;
  const Tensor w = contiguous(cast(weights.alias(), t)), out = zeros(Dims{most + 1}, t);
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    bincount_weighted<int64_t, T>(out.data<T>(), v.data<int64_t>(), w.data<T>(), v.numel());
  });
  return out;
}

Tensor histc(const Tensor& x, int64_t bins, const Scalar& low, const Scalar& high) {
  Call call("histc");
  if (!is_floating(x.dtype())) fail("histc: expected a floating point tensor, got ", x);
  if (bins <= 0) fail("histc: expected a positive number of bins, got ", bins);
  double from = low.to_double(), to = high.to_double();
  if (from > to) fail("histc: expected min <= max, got ", from, " and ", to);
  const DType t = compute_dtype(x.dtype());
  const Tensor v = contiguous(cast(x.alias(), t)), out = zeros(Dims{bins}, t);
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (from == to && v.numel() > 0) {
      from = double(*amin(v).template data<T>());
      to = double(*amax(v).template data<T>());
    }
    if (!std::isfinite(from) || !std::isfinite(to)) fail("histc: expected a finite range, got [", from, ", ", to, "]");
    if (from == to) {
      from -= 1;
      to += 1;
    }
    pydl::histogram<T>(out.data<T>(), bins, T(from), T(to), v.data<T>(), v.numel());
  });
  return cast(out, x.dtype());
}

constexpr int kBoth = kFunction | kMethod;


const Operator ops[] = {
    {&sort, "sort(Tensor input, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)", kBoth,
     "Values in order along dim, stably, and where they were. NaN sorts last.\n"
     ">>> values, indices = pydl.sort(pydl.tensor([3, 1, 2]), descending=True)\n"
     ">>> values, indices\n(tensor([3, 2, 1]), tensor([0, 2, 1]))"},
    {&sort_stable, "sort(Tensor input, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)", kBoth, ""},
    {&argsort_stable, "argsort(Tensor input, *, bool stable, int dim=-1, bool descending=False) -> Tensor", kBoth | kOut | kNoGrad, ""},
    {&argsort, "argsort(Tensor input, int dim=-1, bool descending=False) -> Tensor", kBoth | kNoGrad,
     "The indices that sort along dim; always stable.\n"
     ">>> pydl.argsort(pydl.tensor([30, 10, 20]))\ntensor([1, 2, 0])"},
    {&msort, "msort(Tensor input) -> Tensor", kBoth | kOut,
     "Sorted along the first dimension.\n"
     ">>> pydl.msort(pydl.tensor([[3, 1], [2, 4]]))\ntensor([[2, 1],\n        [3, 4]])"},
    {&topk,
     "topk(Tensor input, int k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices)",
     kBoth, "The k largest or smallest along dim.\n"
     ">>> values, indices = pydl.topk(pydl.tensor([1, 5, 3, 4]), k=2)\n"
     ">>> values, indices\n(tensor([5, 4]), tensor([1, 3]))"},
    {&kthvalue, "kthvalue(Tensor input, int k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
     kBoth, "The k-th smallest along dim, counted from 1.\n"
     ">>> values, indices = pydl.kthvalue(pydl.tensor([30, 10, 20]), k=2)\n"
     ">>> values, indices\n(tensor(20), tensor(2))"},
    {&median_all, "median(Tensor input) -> Tensor", kBoth,
     "The lower median of all elements, or (values, indices) along dim.\n"
     ">>> pydl.median(pydl.tensor([4, 1, 3, 2]))\ntensor(2)\n"
     ">>> pydl.median(pydl.tensor([[1, 9, 5], [6, 2, 4]]), dim=1).values\ntensor([5, 4])"},
    {&median_dim, "median(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", kBoth, ""},
    {&nanmedian_all, "nanmedian(Tensor input) -> Tensor", kBoth,
     "median, NaN left out.\n"
     ">>> pydl.nanmedian(pydl.tensor([1.0, float('nan'), 3.0]))\ntensor(1.)"},
    {&nanmedian_dim, "nanmedian(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", kBoth, ""},
    {&mode, "mode(Tensor input, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)", kBoth,
     "The most frequent value along dim, the smallest of equally frequent ones.\n"
     ">>> pydl.mode(pydl.tensor([2, 7, 7, 1])).values\ntensor(7)"},
    {&quantile,
     "quantile(Tensor input, Tensor q, int? dim=None, bool keepdim=False, *, str interpolation='linear') -> Tensor",
     kBoth | kOut, "The q-th quantiles of each row along dim.\n"
     ">>> pydl.quantile(pydl.tensor([1.0, 2.0, 3.0, 4.0]), 0.5)\ntensor(2.5000)"},
    {&quantile_number, "quantile(Tensor input, float q, int? dim=None, bool keepdim=False, *, str interpolation='linear') -> Tensor", kBoth | kOut, ""},
    {&nanquantile,
     "nanquantile(Tensor input, Tensor q, int? dim=None, bool keepdim=False, *, str interpolation='linear') -> Tensor",
     kBoth | kOut, "quantile, NaN left out.\n"
     ">>> pydl.nanquantile(pydl.tensor([1.0, float('nan'), 3.0]), 0.5)\ntensor(2.)"},
    {&nanquantile_number, "nanquantile(Tensor input, float q, int? dim=None, bool keepdim=False, *, str interpolation='linear') -> Tensor", kBoth | kOut, ""},
    {&unique_all, "_unique(Tensor input) -> (Tensor, Tensor, Tensor)", kFunction | kNoGrad | kSynchronizes, "Distinct values in order, inverse indices, counts."},
    {&unique_dim, "_unique_dim(Tensor input, int dim) -> (Tensor, Tensor, Tensor)", kFunction | kNoGrad | kSynchronizes, "Distinct slices in order, inverse indices, counts."},
    {&unique_consecutive_all, "_unique_consecutive(Tensor input) -> (Tensor, Tensor, Tensor)", kFunction | kNoGrad | kSynchronizes, "Runs of equal values, inverse indices, counts."},
    {&unique_consecutive_dim, "_unique_consecutive_dim(Tensor input, int dim) -> (Tensor, Tensor, Tensor)", kFunction | kNoGrad | kSynchronizes, "Runs of equal slices, inverse indices, counts."},
    {&searchsorted, "searchsorted(Tensor sorted_sequence, Operand input, *, bool out_int32=False, "
     "bool right=False, str? side=None, Tensor? sorter=None) -> Tensor", kFunction | kNoGrad | kOut,
     "Where values would go into sorted rows: before their equals, or behind them (right).\n"
     ">>> pydl.searchsorted(pydl.tensor([1, 3, 5]), pydl.tensor([0, 3, 9]))\ntensor([0, 1, 3])\n"
     ">>> pydl.searchsorted(pydl.tensor([1, 3, 5]), pydl.tensor([0, 3, 9]), right=True)\ntensor([0, 2, 3])"},
    {&bucketize, "bucketize(Operand input, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor",
     kFunction | kNoGrad | kOut, "The bucket between boundaries that each value falls into.\n"
     ">>> pydl.bucketize(pydl.tensor([2, 3, 9]), pydl.tensor([1, 3, 5]))\ntensor([1, 1, 3])"},
    {&bincount, "bincount(Tensor input, Tensor? weights=None, int minlength=0) -> Tensor",
     kBoth | kNoGrad | kSynchronizes, "How often each integer occurs, or the sum of its weights.\n"
     ">>> pydl.bincount(pydl.tensor([0, 2, 2, 1, 2]))\ntensor([1, 1, 3])"},
    {&histc, "histc(Tensor input, int bins=100, Scalar min=0, Scalar max=0) -> Tensor", kBoth | kNoGrad | kOut,
     "Counts in equal bins over [min, max], or over the range of the data when both are 0.\n"
     ">>> pydl.histc(pydl.tensor([1.0, 2.0, 1.0, 5.0]), bins=3, min=0, max=6)\ntensor([2., 1., 1.])"},
};

}  // namespace

}  // namespace pydl
