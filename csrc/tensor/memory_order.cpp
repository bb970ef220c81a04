#include "tensor/memory_order.h"

#include <algorithm>

namespace pydl {

static bool is_image(const Tensor& t) { return t.dim() >= 3 && t.dim() <= 5; }

bool fits_both_formats(const Tensor& t) {
  return is_image(t) && (t.size(1) == 1 || std::all_of(t.sizes().begin() + 2, t.sizes().end(), [](int64_t n) { return n == 1; }));
}

bool lies_channels_last(const Tensor& t) {
  if (!is_image(t) || t.is_contiguous() || fits_both_formats(t)) return false;
  int64_t below = 0;  // the stride of the last wide dimension so far, from the innermost outwards
  auto nests = [&](int64_t d) {
    if (t.size(d) == 1) return true;
    return t.stride(d) > std::exchange(below, t.stride(d));
  };
  if (!nests(1)) return false;
  for (int64_t d = t.dim() - 1; d >= 2; --d)
    if (!nests(d)) return false;
  return nests(0);
}

Dims MemoryOrder::to_memory(IntSpan sizes) const {
  Dims d(sizes);
  if (channels_last_) std::rotate(d.begin() + 1, d.begin() + 2, d.end());
  return d;
}

Tensor MemoryOrder::to_memory(const Tensor& t) const {
  return channels_last_ ? t.alias(to_memory(t.sizes()), to_memory(t.strides()), t.offset()) : t;
}

Tensor MemoryOrder::to_logical(const Tensor& t) const {
  if (!channels_last_) return t;
  Dims sizes(t.sizes()), strides(t.strides());
  for (Dims* d : {&sizes, &strides}) std::rotate(d->begin() + 1, d->end() - 1, d->end());
  return t.alias(sizes, strides, t.offset());
}

}  // namespace pydl
