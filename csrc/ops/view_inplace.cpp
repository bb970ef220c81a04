// transpose_ and its kin: a tensor takes the sizes and strides of a view of itself, and that view's place in the graph.
#include "autograd/node.h"
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

const Operator ops[] = {
    {&t_, "t_(Tensor input) -> Tensor", kMethod, "t, of this tensor itself."},
    {&transpose_, "transpose_(Tensor input, int dim0, int dim1) -> Tensor", kMethod,
     "transpose, of this tensor itself."},
    {&transpose_, "swapaxes_(Tensor input, int axis0, int axis1) -> Tensor", kMethod, "Alias of transpose_."},
    {&transpose_, "swapdims_(Tensor input, int dim0, int dim1) -> Tensor", kMethod, "Alias of transpose_."},
    {&as_strided_, "as_strided_(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor", kFunction | kMethod,
     "as_strided, of this tensor itself."},
    {&unsqueeze_, "unsqueeze_(Tensor input, int dim) -> Tensor", kMethod, "unsqueeze, of this tensor itself."},
    {&squeeze_, "squeeze_(Tensor input) -> Tensor", kMethod, "squeeze, of this tensor itself."},
    {&squeeze_dims_, "squeeze_(Tensor input, int[] dim) -> Tensor", kMethod, ""},
};

}  // namespace

}  // namespace pydl
