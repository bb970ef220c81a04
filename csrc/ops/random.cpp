// Random tensors. Every element is a function of the generator's (seed, position) and its own place, so a fill gives
// the same values for any number of threads and on every ISA.
#include "ops/random.h"

#include <cmath>

#include "autograd/node.h"
#include "base/parallel.h"
#include "base/random.h"
#include "kernels/random.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/creation.h"
#include "ops/index.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace pydl {

namespace {

constexpr int64_t kGrain = 16384;

Generator& source(GeneratorArg g) { return g ? *g : default_generator(); }

// Fills x (any strides and floating dtype) with fill(stream, T* out, first, n); T is float or double.
template <class F> Tensor fill_floating(const char* op, const Tensor& x, GeneratorArg g, F&& fill) {
  autograd::check_inplace(op, x);
  if (!is_floating(x.dtype())) fail(op, ": expected a floating point tensor, got ", x);
  if (x.may_self_overlap()) fail(op, ": expected a tensor whose elements do not share memory, got strides ", show(x.strides()));
  const DType t = compute_dtype(x.dtype());
  const bool direct = x.is_contiguous() && x.dtype() == t;
  const Tensor target = direct ? x : Tensor::empty(x.sizes(), t);
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const PhiloxStream stream = source(g).reserve(x.numel(), kWords<T>);
    parallel_for(x.numel(), kGrain, [&](int64_t b, int64_t e) { fill(stream, target.data<T>() + b, b, e - b); });
  });
  if (!direct) copy_values(x, target);
  x.bump_version();
  if (autograd::needed(x)) {
    const Tensor inputs[] = {x};
    autograd::record_inplace("RandomFillBackward", x, inputs, [](const Tensor& grad) { return zeros_like(grad); });
  }
  return x;
}

Tensor uniform_(const Tensor& x, double from, double to, GeneratorArg g) {
  Call call("uniform_");
  if (!(from <= to)) fail("uniform_: expected from <= to, got ", from, " and ", to);
  // A 16-bit float keeps as many bits of u as it has, rounded down: 1 is never reached.
  const double steps = x.dtype() == DType::BFloat16 ? 256 : x.dtype() == DType::Float16 ? 2048 : 0;
  return fill_floating(call.op, x, g, [=](PhiloxStream s, auto* out, int64_t first, int64_t n) {
    using T = std::remove_pointer_t<decltype(out)>;
    if (steps == 0) return fill_uniform<T>(s, out, first, n, T(from), T(to));
    fill_uniform<T>(s, out, first, n, T(0), T(1));
    for (int64_t i = 0; i < n; ++i) out[i] = T(from + (to - from) * (std::floor(double(out[i]) * steps) / steps));
  });
}

Tensor normal_(const Tensor& x, double mean, double std, GeneratorArg g) {
  Call call("normal_");
  if (!(std >= 0)) fail("normal_: expected a non-negative std, got ", std);
  return fill_floating(call.op, x, g, [=](PhiloxStream s, auto* out, int64_t first, int64_t n) {
    using T = std::remove_pointer_t<decltype(out)>;
    fill_normal<T>(s, out, first, n, T(mean), T(std));
  });
}

Tensor exponential_(const Tensor& x, double lambd, GeneratorArg g) {
  Call call("exponential_");
  if (!(lambd > 0)) fail("exponential_: expected lambd > 0, got ", lambd);
  return fill_floating(call.op, x, g, [=](PhiloxStream s, auto* out, int64_t first, int64_t n) {
    using T = std::remove_pointer_t<decltype(out)>;
    fill_exponential<T>(s, out, first, n, T(lambd));
  });
}

Tensor bernoulli_(const Tensor& x, double p, GeneratorArg g) {
  Call call("bernoulli_");
  autograd::check_inplace(call.op, x);
  if (!(p >= 0 && p <= 1)) fail("bernoulli_: expected p in [0, 1], got ", p);
  const Tensor draws = Tensor::empty(x.sizes(), DType::Bool);
  const PhiloxStream stream = source(g).reserve(x.numel(), 1);
  parallel_for(x.numel(), kGrain, [&](int64_t b, int64_t e) { fill_bernoulli<bool>(stream, draws.data<bool>() + b, b, e - b, p); });
  return copy_(x, draws);
}

// Each element 1 with its own probability.
Tensor bernoulli(const Tensor& p, GeneratorArg g) {
  Call call("bernoulli");
  if (!is_floating(p.dtype())) fail("bernoulli: expected floating point probabilities, got ", p);
  if (*any(logical_or(lt(p, Operand(0)), logical_not(le(p, Operand(1))))).data<bool>())
    fail("bernoulli: expected probabilities in [0, 1], got others");
  const Tensor u = uniform_(empty_like(p), 0, 1, g);
  return cast(lt(u, p), p.dtype());
}
Tensor bernoulli_p(const Tensor& x, double p, GeneratorArg g) { return bernoulli_(empty_like(x), p, g); }
Tensor bernoulli_tensor_(const Tensor& x, const Tensor& p, GeneratorArg g) {
  autograd::check_inplace("bernoulli_", x);
  return copy_(x, bernoulli(expand(p, x.sizes()), g));
}

// Integers in [low, low + range).
Tensor integers(IntSpan size, int64_t low, uint64_t range, GeneratorArg g) {
  const Tensor wide = Tensor::empty(size, DType::Int64);
  const PhiloxStream stream = source(g).reserve(wide.numel(), 2);
  parallel_for(wide.numel(), kGrain, [&](int64_t b, int64_t e) { fill_integers(stream, wide.data<int64_t>() + b, b, e - b, low, range); });
  return wide;
}

// Both ends of [low, high) must be numbers of the dtype.
void check_range(const char* op, int64_t low, int64_t high, DType t) {
  if (low >= high) fail(op, ": expected low < high, got ", low, " and ", high);
  const auto [least, most] = [&]() -> std::pair<double, double> {
    switch (t) {
      case DType::Bool: return {0, 1};
      case DType::UInt8: return {0, 255};
      case DType::Int8: return {-128, 127};
      case DType::Int16: return {-32768, 32767};
      case DType::Int32: return {-0x1p31, 0x1p31 - 1};
      case DType::Float16: return {-65504, 65504};
      default: return {-0x1p63, 0x1p63};
    }
  }();
  if (double(low) < least || double(high - 1) > most)
    fail(op, ": expected integers of ", t, ", from ", int64_t(least), " to ", int64_t(most), ", got a range from ", low, " to ", high - 1);
}

Tensor randint(int64_t low, int64_t high, IntSpan size, GeneratorArg g, std::optional<DType> dtype, const Out& out) {
  Call call("randint");
  check_range(call.op, low, high, out.fresh() ? dtype.value_or(DType::Int64) : out.target.dtype());
  const uint64_t range = uint64_t(high) - uint64_t(low);
  if (out.fresh()) return cast(integers(size, low, range, g), dtype.value_or(DType::Int64));
  return copy_(to_fill(call.op, size, dtype, DType::Int64, out), integers(size, low, range, g));
}
Tensor randint_high(int64_t high, IntSpan size, GeneratorArg g, std::optional<DType> dtype, const Out& out) {
  return randint(0, high, size, g, dtype, out);
}
Tensor randint_like(const Tensor& x, int64_t low, int64_t high, std::optional<DType> dtype) {
  return in_format_of(x, randint(low, high, x.sizes(), nullptr, dtype.value_or(x.dtype()), {}));
}
Tensor randint_like_high(const Tensor& x, int64_t high, std::optional<DType> dtype) { return randint_like(x, 0, high, dtype); }

// Integers in [from, to); without bounds all that the dtype represents exactly.
Tensor random_(const Tensor& x, std::optional<int64_t> from, std::optional<int64_t> to, GeneratorArg g) {
  Call call("random_");
  autograd::check_inplace(call.op, x);
  auto limit = [&]() -> uint64_t {
    switch (x.dtype()) {
      case DType::Bool: return 2;
      case DType::UInt8: return 256;
      case DType::Int8: return 128;
      case DType::Int16: return 1 << 15;
      case DType::Int32: return uint64_t(1) << 31;
      case DType::Int64: return uint64_t(1) << 63;
      case DType::Float16: return 2049;
      case DType::BFloat16: return 257;
      case DType::Float32: return (1 << 24) + 1;
      default: return (uint64_t(1) << 53) + 1;
    }
  };
  // random_(n) means [0, n).
  const int64_t low = to ? from.value_or(0) : 0;
  const uint64_t high = to ? uint64_t(*to) : from ? uint64_t(*from) : limit();
  if (from || to) check_range(call.op, low, int64_t(high), x.dtype());
  return copy_(x, integers(x.sizes(), low, high - uint64_t(low), g));
}

Tensor rand_sized(IntSpan size, GeneratorArg g, std::optional<DType> dtype, const Out& out) {
  return uniform_(to_fill("rand", size, dtype, default_dtype(), out), 0, 1, g);
}
Tensor randn_sized(IntSpan size, GeneratorArg g, std::optional<DType> dtype, const Out& out) {
  return normal_(to_fill("randn", size, dtype, default_dtype(), out), 0, 1, g);
}
Tensor rand_like(const Tensor& x, std::optional<DType> dtype) { return uniform_(empty_like(x, dtype), 0, 1, nullptr); }
Tensor randn_like(const Tensor& x, std::optional<DType> dtype) { return normal_(empty_like(x, dtype), 0, 1, nullptr); }

Tensor randperm(int64_t n, GeneratorArg g, std::optional<DType> dtype, const Out& out) {
  Call call("randperm");
  if (n < 0) fail("randperm: expected a non-negative n, got ", n);
  const Tensor p = Tensor::empty(Dims{n}, DType::Int64);
  fill_permutation(source(g).reserve(n, 2), p.data<int64_t>(), n);
  if (out.fresh()) return cast(p, dtype.value_or(DType::Int64));
  return copy_(to_fill(call.op, Dims{n}, dtype, DType::Int64, out), p);
}

void check_stds(const Tensor& std) {
  if (*any(logical_not(ge(std, Operand(0)))).data<bool>()) fail("normal: expected non-negative stds, got one that is not");
}
// The result has the dtype of the mean.
Tensor normal_tensors(const Tensor& mean, const Tensor& std, GeneratorArg g) {
  const Dims shape = broadcast_shapes("normal", mean.sizes(), std.sizes());
  check_stds(std);
  return cast(add(mean, mul(std, normal_(Tensor::empty(shape, mean.dtype()), 0, 1, g))), mean.dtype());
}
Tensor normal_mean(const Tensor& mean, double std, GeneratorArg g) { return add(normal_(empty_like(mean), 0, std, g), mean); }
Tensor normal_std(double mean, const Tensor& std, GeneratorArg g) {
  check_stds(std);
  return add(mul(normal_(empty_like(std), 0, 1, g), std), Operand(mean));
}
Tensor normal_sized(double mean, double std, IntSpan size, GeneratorArg g, std::optional<DType> dtype, const Out& out) {
  return normal_(to_fill("normal", size, dtype, default_dtype(), out), mean, std, g);
}

// Draws columns with probability proportional to each row's weights (1-d or 2-d). Without replacement by the
// exponential races of Efraimidis and Spirakis 2006: the largest u^(1/w), here the smallest e/w.
Tensor multinomial(const Tensor& weights, int64_t num_samples, bool replacement, GeneratorArg g) {
  Call call("multinomial");
  if (!is_floating(weights.dtype()) || weights.dim() < 1 || weights.dim() > 2) fail("multinomial: expected a floating point vector or matrix, got ", weights);
  const Tensor w = contiguous(cast(weights.alias(), DType::Float64));
  const int64_t rows = w.dim() == 2 ? w.size(0) : 1, n = w.size(-1);
  if (num_samples <= 0) fail("multinomial: expected a positive number of samples, got ", num_samples);
  if (!replacement && num_samples > n) fail("multinomial: expected at most ", n, " samples without replacement, got ", num_samples);
  Dims shape(weights.sizes());
  shape.back() = num_samples;
  const Tensor out = Tensor::empty(shape, DType::Int64);
  const int64_t draws = replacement ? num_samples : n;
  const Tensor u = uniform_(Tensor::empty(Dims{rows, draws}, DType::Float64), 0, 1, g);
  std::vector<double> key(static_cast<size_t>(n));
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (int64_t r = 0; r < rows; ++r) {
    const double *p = w.data<double>() + r * n, *v = u.data<double>() + r * draws;
    int64_t* to = out.data<int64_t>() + r * num_samples;
    double total = 0;
    int64_t positive = 0;
    for (int64_t i = 0; i < n; ++i) {
      if (!(p[i] >= 0) || std::isinf(p[i])) fail("multinomial: expected finite non-negative weights, got ", p[i]);
      key[size_t(i)] = total += p[i];
      positive += p[i] > 0;
    }
    if (positive == 0 || (!replacement && positive < num_samples))
      fail("multinomial: expected at least ", replacement ? 1 : num_samples, " positive weights, got ", positive);
    if (replacement) {
      for (int64_t i = 0; i < num_samples; ++i) {
        const int64_t k = std::upper_bound(key.begin(), key.end(), v[i] * total) - key.begin();
        to[i] = std::min(k, n - 1);
        while (p[to[i]] == 0) --to[i];
      }
    } else {
      for (int64_t i = 0; i < n; ++i) {
        order[size_t(i)] = i;
        key[size_t(i)] = p[i] > 0 ? -std::log1p(-v[i]) / p[i] : HUGE_VAL;
      }
      std::partial_sort(order.begin(), order.begin() + num_samples, order.end(), [&](int64_t a, int64_t b) { return key[size_t(a)] < key[size_t(b)]; });
      std::copy_n(order.begin(), num_samples, to);
    }
  }
  return out;
}

// x times 1 / (1 - p) where its draw says so, elsewhere times 0. Its backward, and that one's, draw again instead of
// keeping a mask, which costs less than to read one.
Tensor dropped(const Tensor& x, double p, PhiloxStream stream) {
  const DType t = compute_dtype(x.dtype());
  const KeepDraws draws{stream, bernoulli_threshold(1 - p)};
  const double scale = 1 / (1 - p);
  const bool direct = x.is_contiguous() && x.dtype() == t;
  const Tensor y = Tensor::empty(x.sizes(), t);  // otherwise the factors
  visit_float(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    parallel_for(x.numel(), kGrain, [&](int64_t b, int64_t e) {
      if (direct)
        random_kernels<T>().keep_product(y.data<T>() + b, x.data<T>() + b, draws, T(scale), b, e - b);
      else
        random_kernels<T>().keep(y.data<T>() + b, draws, T(scale), b, e - b);
    });
  });
  if (!direct) return mul(x, cast(y, x.dtype()));
  if (autograd::needed(x))
    autograd::record("DropoutBackward", y, {x}, [=](const Tensor& g) { return dropped(contiguous(g), p, stream); });
  return y;
}

}  // namespace

Tensor dropout(const Tensor& x, double p, bool train) {
  Call call("dropout");
  if (!(p >= 0 && p <= 1)) fail("dropout: expected p in [0, 1], got ", p);
  if (!is_floating(x.dtype())) fail("dropout: expected a floating point tensor, got ", x);
  if (!train || p == 0) return x;
  if (p == 1) return mul(x, Operand(0));
  return dropped(x, p, default_generator().reserve(x.numel(), 1));
}

namespace {

Tensor dropout_(const Tensor& x, double p, bool train) {
  if (!train || p == 0) return x;
  return mul(x, dropout(ones(x.sizes(), x.dtype()), p, true), Out::inplace(x));
}


const Operator ops[] = {
    {&rand_sized, "rand(int[] size, *, Generator? generator=None, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction | kOut,
     "Uniform numbers in [0, 1).\n"
     ">>> x = pydl.rand(2, 3)\n"
     ">>> x.shape, bool(((0 <= x) & (x < 1)).all())\n(pydl.Size([2, 3]), True)"},
    {&randn_sized, "randn(int[] size, *, Generator? generator=None, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction | kOut,
     "Standard normal numbers.\n"
     ">>> pydl.randn(2, 3).shape\npydl.Size([2, 3])"},
    {&randint_high, "randint(int high, int[] size, *, Generator? generator=None, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction | kOut,
     "Integers in [low, high); low is 0 unless given.\n"
     ">>> x = pydl.randint(5, 10, (100,))\n"
     ">>> x.dtype, bool(((5 <= x) & (x < 10)).all())\n(pydl.int64, True)"},
    {&randint, "randint(int low, int high, int[] size, *, Generator? generator=None, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor", kFunction | kOut, ""},
    {&randperm, "randperm(int n, *, Generator? generator=None, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction | kOut,
     "A random permutation of 0 .. n-1.\n"
     ">>> pydl.randperm(5).sort().values\ntensor([0, 1, 2, 3, 4])"},
    {&rand_like, "rand_like(Tensor input, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction | kNoGrad,
     "rand with the shape and dtype of input.\n"
     ">>> x = pydl.rand_like(pydl.zeros(2, 3, dtype=pydl.float64))\n"
     ">>> x.shape, x.dtype\n(pydl.Size([2, 3]), pydl.float64)"},
    {&randn_like, "randn_like(Tensor input, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction | kNoGrad,
     "randn with the shape and dtype of input.\n"
     ">>> x = pydl.randn_like(pydl.zeros(2, 3, dtype=pydl.float64))\n"
     ">>> x.shape, x.dtype\n(pydl.Size([2, 3]), pydl.float64)"},
    {&randint_like_high, "randint_like(Tensor input, int high, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
     kFunction | kNoGrad,
     "randint with the shape and dtype of input.\n"
     ">>> x = pydl.randint_like(pydl.zeros(2, 3), 5, 10)\n"
     ">>> x.shape, x.dtype, bool(((5 <= x) & (x < 10)).all())\n(pydl.Size([2, 3]), pydl.float32, True)"},
    {&randint_like, "randint_like(Tensor input, int low, int high, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor", kFunction | kNoGrad, ""},
    {&normal_tensors, "normal(Tensor mean, Tensor std, *, Generator? generator=None) -> Tensor",
     kFunction | kOut | kNoGrad,
     "Normal numbers of the given means and standard deviations.\n"
     ">>> pydl.normal(pydl.tensor([0.0, 100.0]), pydl.tensor([1.0, 5.0])).shape\npydl.Size([2])\n"
     ">>> pydl.normal(0.0, 1.0, (2, 3)).shape\npydl.Size([2, 3])"},
    {&normal_mean, "normal(Tensor mean, float std=1.0, *, Generator? generator=None) -> Tensor", kFunction | kOut | kNoGrad, ""},
    {&normal_std, "normal(float mean, Tensor std, *, Generator? generator=None) -> Tensor", kFunction | kOut | kNoGrad, ""},
    {&normal_sized, "normal(float mean, float std, int[] size, *, Generator? generator=None, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor", kFunction | kOut, ""},
    {&bernoulli, "bernoulli(Tensor input, *, Generator? generator=None) -> Tensor",
     kFunction | kMethod | kOut | kNoGrad,
     "1 with the probability that each element gives, or with probability p, else 0.\n"
     ">>> pydl.bernoulli(pydl.tensor([0.0, 1.0, 1.0]))\ntensor([0., 1., 1.])"},
    {&bernoulli_p, "bernoulli(Tensor input, float p, *, Generator? generator=None) -> Tensor", kFunction | kMethod | kNoGrad, ""},
    {&multinomial, "multinomial(Tensor input, int num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor", kFunction | kMethod | kOut | kNoGrad,
     "Indices drawn with probabilities proportional to each row's weights.\n"
     ">>> pydl.multinomial(pydl.tensor([[0.0, 1.0], [1.0, 0.0]]), 3, replacement=True)\ntensor([[1, 1, 1],\n"
     "        [0, 0, 0]])"},
    {&uniform_, "uniform_(Tensor input, float from=0.0, float to=1.0, *, Generator? generator=None) -> Tensor", kMethod,
     "Fills this tensor with uniform numbers in [from, to).\n"
     ">>> x = pydl.empty(100).uniform_(-1, 1)\n"
     ">>> bool(((-1 <= x) & (x < 1)).all())\nTrue"},
    {&normal_, "normal_(Tensor input, float mean=0.0, float std=1.0, *, Generator? generator=None) -> Tensor", kMethod,
     "Fills this tensor with normal numbers.\n"
     ">>> pydl.empty(2, 3).normal_(mean=5.0, std=0.1).shape\npydl.Size([2, 3])"},
    {&exponential_, "exponential_(Tensor input, float lambd=1.0, *, Generator? generator=None) -> Tensor", kMethod,
     "Fills this tensor with exponential numbers of rate lambd.\n"
     ">>> x = pydl.empty(100).exponential_(lambd=2.0)\n"
     ">>> bool((x >= 0).all())\nTrue"},
    {&bernoulli_, "bernoulli_(Tensor input, float p=0.5, *, Generator? generator=None) -> Tensor", kMethod,
     "Fills this tensor with 1 (probability p) and 0.\n"
     ">>> pydl.empty(1000).bernoulli_(p=0.5).unique()\ntensor([0., 1.])"},
    {&bernoulli_tensor_, "bernoulli_(Tensor input, Tensor p, *, Generator? generator=None) -> Tensor", kMethod, ""},
    {&random_, "random_(Tensor input, int? from=None, int? to=None, *, Generator? generator=None) -> Tensor", kMethod,
     "Fills this tensor with integers in [from, to).\n"
     ">>> x = pydl.zeros(100).random_(5, 10)\n"
     ">>> bool(((5 <= x) & (x < 10)).all())\nTrue"},
    {&dropout, "dropout(Tensor input, float p=0.5, bool train=True) -> Tensor", kFunction | kNN,
     "Zeroes elements with probability p and scales the rest by 1 / (1 - p) (Srivastava et al. 2014).\n"
     ">>> pydl.dropout(pydl.ones(1000), p=0.5, train=True).unique()\ntensor([0., 2.])"},
    {&dropout_, "dropout_(Tensor input, float p=0.5, bool train=True) -> Tensor", kFunction | kNN,
     "dropout in place.\n"
     ">>> x = pydl.ones(1000)\n"
     ">>> pydl.dropout_(x, p=0.5, train=True) is x, x.unique()\n(True, tensor([0., 2.]))"},
};

}  // namespace

}  // namespace pydl
