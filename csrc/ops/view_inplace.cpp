// transpose_ and its kin: a tensor takes the sizes and strides of a view of itself, and that view's place in the graph.

#include "autograd/node.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/view.h"

namespace pydl {

namespace {

Tensor become(const char* op, const Tensor& self, const Tensor& view) {
  autograd::check_inplace(op, self);
  TensorImpl& impl = *self.impl();
  impl.sizes = view.impl()->sizes;
  impl.strides = view.impl()->strides;
  impl.offset = view.offset();
  impl.refresh();
  self.bump_version();
  if (const autograd::History* made = autograd::history(view); made && made->grad_fn) {
    autograd::History& h = autograd::ensure_history(self);
    h.grad_fn = made->grad_fn;
    h.output = made->output;
  }
  return self;
}

Tensor t_(const Tensor& x) { return become("t_", x, t(x)); }
Tensor transpose_(const Tensor& x, int64_t a, int64_t b) { return become("transpose_", x, transpose(x, a, b)); }
Tensor unsqueeze_(const Tensor& x, int64_t dim) { return become("unsqueeze_", x, unsqueeze(x, dim)); }
Tensor squeeze_(const Tensor& x) { return become("squeeze_", x, squeeze(x)); }
Tensor as_strided_(const Tensor& x, IntSpan size, IntSpan stride, std::optional<int64_t> offset) {
  return become("as_strided_", x, as_strided(x, size, stride, offset));
}
Tensor squeeze_dims_(const Tensor& x, IntSpan dims) { return become("squeeze_", x, squeeze(x, dims)); }

// Memory that others may look at keeps its place.
void grow(const char* op, Storage& storage, size_t bytes) {
  if (storage.release || storage.shared)
    fail(op, ": expected at most ", storage.nbytes, " bytes for memory that is shared with others, got ", bytes);
  storage.grow(bytes);
}

// Another shape over the same memory, which grows where it must; new elements are uninitialised.
Tensor resize_as(const char* op, const Tensor& x, IntSpan size, std::optional<MemoryFormat> format) {
  Call call(op);
  x.check_dense();
  check_writable(op, x);
  if (autograd::requires_grad(x)) fail(op, ": expected a tensor that requires no gradient, got one that does");
  if (same(x.sizes(), size) && !format) return x;
  const int64_t needed = (x.offset() + element_count(size)) * x.item_size();
  if (element_count(size) && size_t(needed) > x.storage()->nbytes) grow(op, *x.storage(), size_t(needed));
  TensorImpl& impl = *x.impl();
  impl.sizes = Dims(size);
  impl.strides = format == MemoryFormat::ChannelsLast ? channels_last_strides(size) : contiguous_strides(size);
  impl.refresh();
  x.bump_version();
  return x;
}
Tensor resize_(const Tensor& x, IntSpan size, std::optional<MemoryFormat> format) { return resize_as("resize_", x, size, format); }
Tensor resize_as_(const Tensor& x, const Tensor& model, std::optional<MemoryFormat> format) {
  return resize_as("resize_as_", x, model.sizes(), format);
}

// The memory, shape and strides of `source`.
Tensor set_(const Tensor& x, const Tensor& source) {
  autograd::check_inplace("set_", x);
  if (x.dtype() != source.dtype()) fail("set_: expected a source of dtype ", x.dtype(), ", got ", source);
  source.check_dense();
  TensorImpl& impl = *x.impl();
  impl.storage = source.storage();
  impl.sizes = Dims(source.sizes());
  impl.strides = Dims(source.strides());
  impl.offset = source.offset();
  impl.base = {};
  impl.refresh();
  x.bump_version();
  return x;
}
Tensor set_empty_(const Tensor& x) { return set_(x, Tensor::empty(Dims{0}, x.dtype())); }
bool is_set_to(const Tensor& x, const Tensor& tensor) {
  return x.storage() == tensor.storage() && x.offset() == tensor.offset() && same(x.sizes(), tensor.sizes()) && same(x.strides(), tensor.strides());
}

const Operator ops[] = {
    {&resize_, "resize_(Tensor input, int[] size, *, MemoryFormat? memory_format=None) -> Tensor", kMethod,
     "Another shape over this tensor's memory, which grows where it must; new elements are uninitialised.\n"
     ">>> pydl.arange(6).resize_(2, 2)\ntensor([[0, 1],\n        [2, 3]])"},
    {&resize_as_, "resize_as_(Tensor input, Tensor the_template, *, MemoryFormat? memory_format=None) -> Tensor",
     kFunction | kMethod,
     "resize_ to the shape of another tensor.\n"
     ">>> pydl.resize_as_(pydl.arange(6), pydl.zeros(2, 2))\ntensor([[0, 1],\n        [2, 3]])"},
    {&set_, "set_(Tensor input, Tensor source) -> Tensor", kMethod,
     "The memory, shape and strides of source become this tensor's; without one it is empty.\n"
     ">>> pydl.tensor([1, 2]).set_(pydl.tensor([[3, 4]]))\ntensor([[3, 4]])\n"
     ">>> pydl.tensor([1, 2]).set_()\ntensor([], dtype=pydl.int64)"},
    {&set_empty_, "set_(Tensor input) -> Tensor", kMethod, ""},
    {&is_set_to, "is_set_to(Tensor input, Tensor tensor) -> bool", kMethod,
     "Do the two look at the same memory in the same way?\n"
     ">>> x = pydl.arange(4)\n"
     ">>> x.is_set_to(x.detach()), x.is_set_to(x[:2])\n(True, False)"},
    {&t_, "t_(Tensor input) -> Tensor", kMethod,
     "t, of this tensor itself.\n"
     ">>> pydl.tensor([[1, 2], [3, 4]]).t_()\ntensor([[1, 3],\n        [2, 4]])"},
    {&transpose_, "transpose_(Tensor input, int dim0, int dim1) -> Tensor", kMethod,
     "transpose, of this tensor itself.\n"
     ">>> pydl.tensor([[1, 2], [3, 4]]).transpose_(0, 1)\ntensor([[1, 3],\n        [2, 4]])"},
    {&transpose_, "swapaxes_(Tensor input, int axis0, int axis1) -> Tensor", kMethod,
     "Alias of transpose_.\n"
     ">>> pydl.zeros(2, 3, 5).swapaxes_(0, 2).shape\npydl.Size([5, 3, 2])"},
    {&transpose_, "swapdims_(Tensor input, int dim0, int dim1) -> Tensor", kMethod,
     "Alias of transpose_.\n"
     ">>> pydl.zeros(2, 3, 5).swapdims_(0, 2).shape\npydl.Size([5, 3, 2])"},
    {&as_strided_, "as_strided_(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor",
     kFunction | kMethod,
     "as_strided, of this tensor itself.\n"
     ">>> pydl.as_strided_(pydl.arange(4), size=(3, 2), stride=(1, 1))\n"
     "tensor([[0, 1],\n        [1, 2],\n        [2, 3]])"},
    {&unsqueeze_, "unsqueeze_(Tensor input, int dim) -> Tensor", kMethod,
     "unsqueeze, of this tensor itself.\n"
     ">>> pydl.tensor([1, 2]).unsqueeze_(1)\ntensor([[1],\n        [2]])"},
    {&squeeze_, "squeeze_(Tensor input) -> Tensor", kMethod,
     "squeeze, of this tensor itself.\n"
     ">>> pydl.zeros(1, 2, 1).squeeze_().shape\npydl.Size([2])\n"
     ">>> pydl.zeros(1, 2, 1).squeeze_(0).shape\npydl.Size([2, 1])"},
    {&squeeze_dims_, "squeeze_(Tensor input, int[] dim) -> Tensor", kMethod, ""},
};

}  // namespace

}  // namespace pydl
