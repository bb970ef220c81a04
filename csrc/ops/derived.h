// Values computed from a tensor's, such as packed weights, kept with its storage until the values change.
#pragma once
#include "tensor/tensor.h"

namespace pydl {

struct DerivedBuffer final : Derived {
  Dims key, also;
  uint32_t version = 0;
  Tensor values;            // contiguous; may have derived buffers of its own
  Ref<DerivedBuffer> next;  // of the same storage

  void destroy() override;
};

// The buffer of `source` under `key`; `fill(context, data)` computes it where it is not there already. Kept only on
// request, and never for storage that is visible outside, where a write would go unnoticed. What else the values depend
// on is told by `also`: a buffer with other numbers there is replaced.
Ref<DerivedBuffer> derived_buffer(const Tensor& source, IntSpan key, int64_t elements, DType dtype, bool keep,
                                  void (*fill)(void* context, void* data), void* context, IntSpan also = Dims());
template <class T, class F>
Ref<DerivedBuffer> derived_buffer(const Tensor& source, IntSpan key, int64_t elements, bool keep, F&& fill,
                                  IntSpan also = Dims()) {
  return derived_buffer(
      source, key, elements, dtype_of<T>, keep,
      [](void* f, void* data) { (*static_cast<std::remove_reference_t<F>*>(f))(static_cast<T*>(data)); }, &fill, also);
}

// A number for a tensor's values as they are now, which no other values ever get; 0 for an undefined tensor. Each call
// gives another one where writes would go unnoticed.
int64_t identity(const Tensor& t);

}  // namespace pydl
