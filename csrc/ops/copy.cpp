#include "ops/copy.h"

#include <cstring>

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

// Identity loops, one per element size; conversion happens in the iterator.
template <class T> static void identity(void* out, const void* const* in, const int64_t* step, int64_t n) {
  if (step[0]) std::memcpy(out, in[0], size_t(n) * sizeof(T));
  else std::fill_n(static_cast<T*>(out), n, *static_cast<const T*>(in[0]));
}
static PointwiseLoop identity_loop(DType t) {
  switch (item_size(t)) {
    case 1: return identity<uint8_t>;
    case 2: return identity<uint16_t>;
    case 4: return identity<uint32_t>;
    default: return identity<uint64_t>;
  }
}

// A transposed copy between two 2-d blocks (possibly batched) goes through the tiled kernel.
static bool copy_transposed(const Tensor& into, const Tensor& from) {
  if (into.dtype() != from.dtype() || into.dim() < 2 || !same(into.sizes(), from.sizes()) || !into.is_contiguous()) return false;
  const int64_t d = into.dim(), rows = into.size(-2), cols = into.size(-1);
  if (from.stride(d - 2) != 1 || from.stride(d - 1) < rows || rows < 4 || cols < 4) return false;
  const int64_t item = into.item_size(), batch = into.numel() / (rows * cols);
  const Dims lead(into.sizes().begin(), into.sizes().end() - 2);
  auto source_offset = [&](int64_t b) {
    int64_t offset = 0;
    for (size_t i = lead.size(); i-- > 0; b /= lead[i]) offset += b % lead[i] * from.strides()[i];
    return offset * item;
  };
  char* to = static_cast<char*>(into.raw());
  const char* src = static_cast<const char*>(from.raw());
  // Strips of rows, so that one large matrix also splits.
  const bool stream = exceeds_cache(2 * int64_t(into.nbytes()));
  const int64_t strip = std::max<int64_t>(stream ? 128 : 16, (8192 / std::max<int64_t>(cols, 1) + 15) / 16 * 16);
  const int64_t strips = (rows + strip - 1) / strip;
  parallel_for(batch * strips, 1 + 16384 / (strip * cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / strips, r = i % strips * strip;
      const char* block = src + source_offset(b) + r * item;
      char* target = to + (b * rows + r) * cols * item;
      visit_bits(item, [&](auto tag) {
        using T = typename decltype(tag)::type;
        // The kernel's rows are the source's: columns here.
        move_kernels<T>().transpose(reinterpret_cast<T*>(target), cols, reinterpret_cast<const T*>(block), from.stride(d - 1), cols,
                                    std::min(strip, rows - r), stream);
      });
    }
  });
  return true;
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

Tensor fill_(const Tensor& into, const Scalar& value) {
  Call call("fill_");
  autograd::check_inplace(call.op, into);
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

const Operator ops[] = {
    {&copy_, "copy_(Tensor input, Tensor src) -> Tensor", kMethod, "Copies src, broadcast and cast, into this tensor."},
    {&fill_, "fill_(Tensor input, Scalar value) -> Tensor", kFunction | kMethod, "Fills this tensor with value."},
    {&zero_, "zero_(Tensor input) -> Tensor", kFunction | kMethod, "Fills this tensor with zeros."},
    {&clone, "clone(Tensor input, *, MemoryFormat? memory_format=None) -> Tensor", kFunction | kMethod,
     "A copy with memory of its own; gradients flow back to the input."},
    {&contiguous, "contiguous(Tensor input, MemoryFormat? memory_format=None) -> Tensor", kMethod,
     "The tensor in contiguous (or channels-last) memory: itself where it is already, else a copy."},
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
