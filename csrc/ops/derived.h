// Buffers computed from a tensor's values, such as packed weights, kept with its storage until the values change.
#pragma once
#include "tensor/tensor.h"

namespace pydl {

struct DerivedBuffer final : Derived {
  Dims key;
  uint32_t version = 0;
  size_t bytes = 0;
  void* data = nullptr;
  Ref<DerivedBuffer> next;  // of the same storage

  void destroy() override;
};

// The buffer of `source` under `key`; `fill(context, data)` computes it where it is not there already. Kept only on
// request, and never for storage that is visible outside, where a write would go unnoticed.
Ref<DerivedBuffer> derived_buffer(const Tensor& source, IntSpan key, size_t bytes, bool keep,
                                  void (*fill)(void* context, void* data), void* context);
template <class T, class F>
Ref<DerivedBuffer> derived_buffer(const Tensor& source, IntSpan key, int64_t elements, bool keep, F&& fill) {
  return derived_buffer(
      source, key, size_t(elements) * sizeof(T), keep,
      [](void* f, void* data) { (*static_cast<std::remove_reference_t<F>*>(f))(static_cast<T*>(data)); }, &fill);
}

}  // namespace pydl
