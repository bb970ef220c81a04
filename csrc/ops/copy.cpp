#include "ops/copy.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/iterate.h"
#include "ops/pointwise.h"
#include "ops/sparse.h"
#include "ops/view.h"
#include "tensor/memory_order.h"

namespace pydl {

void check_can_cast(const char* op, DType from, DType to) {
  if (!can_cast(from, to)) fail(op, ": expected an output dtype that can hold ", from, ", got ", to);
}

void resize_output(const char* op, const Tensor& out, IntSpan sizes) {
  if (same(out.sizes(), sizes)) return;
  if (out.impl()->base) fail<ShapeError>(op, ": expected out= of shape ", show(sizes), ", got a view of shape ", show(out.sizes()));
  TensorImpl& t = *out.impl();
  const Tensor fresh = Tensor::empty(sizes, t.dtype);
  if (t.storage->nbytes < fresh.nbytes()) {
    t.storage = fresh.storage();
    t.offset = 0;
  }
  t.sizes = fresh.impl()->sizes;
  t.strides = fresh.impl()->strides;
  t.refresh();
}

// Conversion happens in the iterator.
static PointwiseLoop identity_loop(DType t) { return cast_kernels().identity.of(item_size(t)); }

// Two tensors of one shape as a batch of matrices [rows, cols]: side by side in `into`, down the columns in `from`.
// Dimensions are taken in the order of into's memory, but for the one that is dense in `from`, and merged where they lie
// alike in both, so that the image formats are [N, C, pixels] and [N, pixels, C] for any number of spatial dimensions.
struct Transposition {
  Dims lead, into_lead, from_lead;  // sizes and strides of the batch
  int64_t batch = 1, rows = 0, cols = 0, into_stride = 0, from_stride = 0;

  static std::optional<Transposition> between(const Tensor& into, const Tensor& from) {
    if (into.dtype() != from.dtype() || into.dim() < 2 || !same(into.sizes(), from.sizes())) return std::nullopt;
    if (into.numel() < 64 || same(into.strides(), from.strides())) return std::nullopt;
    Dims order;
    for (int64_t d = 0; d < into.dim(); ++d)
      if (into.size(d) != 1) order.push_back(d);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return into.stride(a) > into.stride(b); });
    Transposition t;
    for (const int64_t d : order) {
      const bool merges = !t.lead.empty() && t.into_lead.back() == into.stride(d) * into.size(d) &&
                          t.from_lead.back() == from.stride(d) * into.size(d);
      if (!merges) t.lead.push_back(1), t.into_lead.push_back(0), t.from_lead.push_back(0);
      t.lead.back() *= into.size(d), t.into_lead.back() = into.stride(d), t.from_lead.back() = from.stride(d);
    }
    const size_t n = t.lead.size();
    const auto dense = std::find(t.from_lead.begin(), t.from_lead.end(), 1);  // the dimension that is dense in `from`
    if (n < 2 || t.into_lead[n - 1] != 1 || dense >= t.from_lead.end() - 1) return std::nullopt;
    const auto place = dense - t.from_lead.begin();
    for (Dims* v : {&t.lead, &t.into_lead, &t.from_lead}) std::rotate(v->begin() + place, v->begin() + place + 1, v->end() - 1);
    t.rows = t.lead[n - 2], t.cols = t.lead[n - 1];
    t.into_stride = t.into_lead[n - 2], t.from_stride = t.from_lead[n - 1];
    if (t.rows < 4 || t.cols < 4 || t.into_stride < t.cols || t.from_stride < t.rows) return std::nullopt;
    t.lead.resize(n - 2);
    for (const int64_t size : t.lead) t.batch *= size;
    return t;
  }
};

// Goes through the tiled kernel where the two are transposed to each other.
static bool copy_transposed(const Tensor& into, const Tensor& from) {
  const std::optional<Transposition> found = Transposition::between(into, from);
  if (!found) return false;
  const Transposition& t = *found;
  const int64_t item = into.item_size();
  char* const to = static_cast<char*>(into.raw());
  const char* const source = static_cast<const char*>(from.raw());
  // Strips of rows, so that one large matrix also splits.
  const bool stream = exceeds_cache(2 * int64_t(into.nbytes()));
  const int64_t strip = std::max<int64_t>(stream ? 128 : 16, (8192 / t.cols + 15) / 16 * 16);
  const int64_t strips = (t.rows + strip - 1) / strip;
  parallel_for(t.batch * strips, 1 + 16384 / (std::min(strip, t.rows) * t.cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t r = i % strips * strip;
      int64_t into_offset = r * t.into_stride, from_offset = r, b = i / strips;
      for (size_t d = t.lead.size(); d-- > 0; b /= t.lead[d]) {
        into_offset += b % t.lead[d] * t.into_lead[d];
        from_offset += b % t.lead[d] * t.from_lead[d];
      }
      visit_bits(item, [&](auto tag) {
        using T = typename decltype(tag)::type;
        // The kernel's rows are the source's: columns here.
        move_kernels<T>().transpose(reinterpret_cast<T*>(to + into_offset * item), t.into_stride,
                                    reinterpret_cast<const T*>(source + from_offset * item), t.from_stride, t.cols,
                                    std::min(strip, t.rows - r), stream);
      });
    }
  });
  return true;
}

std::optional<Tensor> transposed_into_order_of(const Tensor& model, const Tensor& x) {
  if (!model.is_dense() || !Transposition::between(model, x)) return std::nullopt;
  Tensor copy = Tensor::empty_strided(model.sizes(), model.strides(), x.dtype());
  copy_transposed(copy, x);
  return copy;
}

// Between two dtypes and the same dense strides: element by element as they lie in memory.
static void convert_dense(const Tensor& into, const Tensor& from) {
  const CastLoop convert = cast_loop(from.dtype(), into.dtype());
  const int64_t to_size = into.item_size(), from_size = from.item_size();
  char* const to = static_cast<char*>(into.raw());
  const char* const source = static_cast<const char*>(from.raw());
  parallel_for(into.numel(), kParallelThresholdNs * 64 / (to_size + from_size), [=](int64_t begin, int64_t end) {
    convert(to + begin * to_size, source + begin * from_size, end - begin);
  });
}

void copy_values(const Tensor& into, const Tensor& from) {
  if (into.numel() == 0 || into.is(from)) return;
  FlushDenormals flush;
  if (from.storage() != into.storage() && copy_transposed(into, from)) return;
  if (from.storage() == into.storage() && memory_overlaps(into, from)) {
    Tensor separate = Tensor::empty(from.sizes(), from.dtype());
    copy_values(separate, from);
    return copy_values(into, separate);
  }
  if (into.dtype() != from.dtype() && into.is_dense() && same(into.sizes(), from.sizes()) && same(into.strides(), from.strides()))
    return convert_dense(into, from);
  const DType through = into.dtype() == from.dtype() ? from.dtype() : compute_dtype(from.dtype());
  const Input in[] = {{Operand(from), through}};
  run_pointwise({"copy_", identity_loop(through), through, into.dtype(), 0.1 + 0.05 * double(into.item_size())}, in, Out::prepared(into));
}

Tensor copy_(const Tensor& into, const Tensor& from) {
  Call call("copy_");
  autograd::check_inplace(call.op, into);
  const Dims shape = broadcast_shapes(call.op, into.sizes(), from.sizes());
  if (!same(shape, into.sizes()))
    fail<ShapeError>("copy_: expected a source that broadcasts to ", show(into.sizes()), ", got ", show(from.sizes()));
  if (into.may_self_overlap())
    fail("copy_: expected a target whose elements do not share memory, got strides ", show(into.strides()));
  copy_values(into, from);
  into.bump_version();
  if (autograd::needed(into, from)) {
    const Tensor inputs[] = {into, from};
    autograd::record_inplace("CopyBackwards", into, inputs, [](const Tensor& g) { return Tensors{zeros_like(g), g}; });
  }
  return into;
}

namespace {

// Whether an integer type holds the number; as in PyTorch, negative ones go around once in unsigned types.
bool fits(const Scalar& value, DType t) {
  return visit_all(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_integral_v<T> || std::is_same_v<T, bool>) {
      return true;
    } else {
      constexpr int64_t most = std::numeric_limits<T>::max(), least = std::is_signed_v<T> ? std::numeric_limits<T>::min() : -most;
      if (!value.is_float()) return value.to_int() >= least && value.to_int() <= most;
      return value.to_double() >= double(least) && value.to_double() < double(most) + 1;
    }
  });
}

Tensor fill_with(const Tensor& into, const Tensor& value) {
  if (value.dim() > 0) fail("fill_: expected a number or a 0-d tensor, got ", value);
  return copy_(into, value);
}

}  // namespace

Tensor fill_(const Tensor& into, const Scalar& value) {
  Call call("fill_");
  autograd::check_inplace(call.op, into);
  if (!fits(value, into.dtype()))
    fail("fill_: expected a number that fits ", into.dtype(), ", got ", value.to_double());
  if (into.is_sparse() && value.equals(0)) {
    const Tensor &indices = into.sparse().indices, &values = into.sparse().values;
    replace_rows(into, {narrow(indices, 0, 0, 0), contiguous(narrow(values, 0, 0, 0)), true});
    return into;
  }
  const Input in[] = {{Operand(value), into.dtype()}};
  run_pointwise({call.op, identity_loop(into.dtype()), into.dtype(), into.dtype(), 0.1}, in, Out::prepared(into));
  into.bump_version();
  if (autograd::needed(into)) {
    const Tensor inputs[] = {into};
    autograd::record_inplace("FillBackward", into, inputs, [](const Tensor& g) { return zeros_like(g); });
  }
  return into;
}

Tensor zero_(const Tensor& into) { return fill_(into, Scalar(0)); }

Tensor empty_like(const Tensor& x, std::optional<DType> dtype, std::optional<MemoryFormat> format) {
  const DType t = dtype.value_or(x.dtype());
  const MemoryFormat f = format.value_or(MemoryFormat::Preserve);
  if (f == MemoryFormat::ChannelsLast) {
    if (x.dim() < 3 || x.dim() > 5) fail("empty_like: expected 3 to 5 dimensions for channels_last, got ", x);
    return Tensor::empty_strided(x.sizes(), channels_last_strides(x.sizes()), t);
  }
  if (f == MemoryFormat::Preserve && !x.is_contiguous() && !x.may_self_overlap())
    return Tensor::empty_strided(x.sizes(), x.is_dense() ? Dims(x.strides()) : dense_strides(x.sizes(), x.strides()), t);
  return Tensor::empty(x.sizes(), t);
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Call call("to");
  if (x.is_sparse()) return sparse_rows(x.sparse().indices, cast(x.sparse().values, dtype), x.sizes(), x.sparse().coalesced);
  Tensor y = empty_like(x, dtype);
  copy_values(y, x);
  if (is_floating(dtype) && autograd::needed(x))
    autograd::record("ToCopyBackward", y, {x}, [from = x.dtype()](const Tensor& g) { return cast(g, from); });
  return y;
}

Tensor clone(const Tensor& x, std::optional<MemoryFormat> format) {
  Call call("clone");
  if (x.is_sparse()) return sparse_rows(clone(x.sparse().indices), clone(x.sparse().values), x.sizes(), x.sparse().coalesced);
  Tensor y = empty_like(x, {}, format);
  copy_values(y, x);
  if (autograd::needed(x)) autograd::record("CloneBackward", y, {x}, [](const Tensor& g) { return g; });
  return y;
}

Tensor contiguous(const Tensor& x, std::optional<MemoryFormat> format) {
  const MemoryFormat f = format.value_or(MemoryFormat::Contiguous);
  if (f == MemoryFormat::Preserve) fail("contiguous: expected contiguous_format or channels_last, got preserve_format");
  return x.is_contiguous(f) ? x : clone(x, f);
}

Tensor in_format_of(const Tensor& model, const Tensor& x) {
  const bool turns = lies_channels_last(model) && x.dim() == model.dim() && !lies_channels_last(x);
  return turns ? contiguous(x, MemoryFormat::ChannelsLast) : x;
}

namespace {

Tensor copy_from(const Tensor& into, const Tensor& from, bool) { return copy_(into, from); }
Tensor copy_number(const Tensor& into, const Scalar& value, bool) { return fill_(into, value); }

const Operator ops[] = {
    {&copy_from, "copy_(Tensor input, Tensor src, bool non_blocking=False) -> Tensor", kMethod,
     "Copies src, broadcast and cast, into this tensor; done when it returns, whatever non_blocking says.\n"
     ">>> x = pydl.zeros(2, 2)\n"
     ">>> x.copy_(pydl.tensor([1, 2]))\ntensor([[1., 2.],\n        [1., 2.]])"},
    {&copy_number, "copy_(Tensor input, Scalar src, bool non_blocking=False) -> Tensor", kMethod, ""},
    {&fill_, "fill_(Tensor input, Scalar value) -> Tensor", kFunction | kMethod,
     "Fills this tensor with value.\n"
     ">>> pydl.fill_(pydl.zeros(3), 7)\ntensor([7., 7., 7.])"},
    {&fill_with, "fill_(Tensor input, Tensor value) -> Tensor", kFunction | kMethod, ""},
    {&zero_, "zero_(Tensor input) -> Tensor", kFunction | kMethod,
     "Fills this tensor with zeros.\n"
     ">>> pydl.zero_(pydl.ones(3))\ntensor([0., 0., 0.])"},
    {&clone, "clone(Tensor input, *, MemoryFormat? memory_format=None) -> Tensor", kFunction | kMethod,
     "A copy with memory of its own; gradients flow back to the input.\n"
     ">>> x = pydl.tensor([1, 2])\n"
     ">>> pydl.clone(x).add_(10), x\n(tensor([11, 12]), tensor([1, 2]))"},
    {&contiguous, "contiguous(Tensor input, MemoryFormat? memory_format=None) -> Tensor", kMethod,
     "The tensor in contiguous (or channels-last) memory: itself where it is already, else a copy.\n"
     ">>> x = pydl.zeros(2, 3).t()\n"
     ">>> x.stride(), x.contiguous().stride()\n((1, 3), (2, 1))"},
};

const bool connected = [] {
  autograd::Arithmetic& a = autograd::arithmetic;
  a.clone = [](const Tensor& x) { return clone(x); };
  a.copy_inplace = [](const Tensor& into, const Tensor& from) { copy_(into, from); };
  a.cast = &cast;
  a.add = [](const Tensor& x, const Tensor& y) { return add(x, y); };
  a.add_inplace = [](const Tensor& x, const Tensor& y) { add(x, y, Scalar(1), Out::inplace(x)); };
  a.ones_like = [](const Tensor& x) { Tensor t = empty_like(x); return fill_(t, Scalar(1)); };
  a.zeros = [](IntSpan sizes, DType t) { return fill_(Tensor::empty(sizes, t), Scalar(0)); };
  a.as_strided = [](const Tensor& x, IntSpan sizes, IntSpan strides, int64_t offset) { return as_strided(x, sizes, strides, offset + x.offset()); };
  return true;
}();

}  // namespace

}  // namespace pydl
