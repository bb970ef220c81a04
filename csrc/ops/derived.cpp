#include "ops/derived.h"

#include <atomic>
#include <mutex>

namespace pydl {
namespace {

std::mutex lists;  // guards Storage::derived and the lists that hang there
constexpr int kMostBuffers = 8;

// Drops what belongs to other versions, what has another under its key, and what is beyond the limit.
void tidy(Ref<DerivedBuffer>& head, uint32_t version, IntSpan key) {
  Ref<DerivedBuffer>* at = &head;
  for (int kept = 1; *at;) {
    if ((*at)->version != version || same((*at)->key, key) || kept == kMostBuffers) *at = Ref<DerivedBuffer>((*at)->next);
    else ++kept, at = &(*at)->next;
  }
}

Ref<DerivedBuffer> head_of(const Storage& storage) {
  return Ref<DerivedBuffer>(static_cast<DerivedBuffer*>(storage.derived.get()));
}

}  // namespace

void DerivedBuffer::destroy() { delete this; }

Ref<DerivedBuffer> derived_buffer(const Tensor& source, IntSpan key, int64_t elements, DType dtype, bool keep,
                                  void (*fill)(void* context, void* data), void* context, IntSpan also) {
  Storage& storage = *source.storage();
  const uint32_t version = source.version();
  keep &= !storage.shared;
  if (keep) {
    const std::lock_guard guard(lists);
    for (Ref<DerivedBuffer> b = head_of(storage); b; b = b->next)
      if (b->version == version && same(b->key, key) && same(b->also, also)) return b;
  }
  Ref<DerivedBuffer> made(new DerivedBuffer);
  made->key = Dims(key);
  made->also = Dims(also);
  made->version = version;
  made->values = Tensor::empty(Dims{elements}, dtype);
  fill(context, made->values.raw());
  if (keep) {
    const std::lock_guard guard(lists);
    made->next = head_of(storage);
    tidy(made->next, version, key);
    storage.derived = made;
  }
  return made;
}

int64_t identity(const Tensor& t) {
  static std::atomic<int64_t> next{1};
  if (!t.defined()) return 0;
  constexpr int64_t kForm = -1;  // no kernel's form
  Dims key{kForm, int64_t(t.dtype()), t.offset()};
  key.append(t.sizes().begin(), t.sizes().end());
  key.append(t.strides().begin(), t.strides().end());
  return *derived_buffer<int64_t>(t, key, 1, true, [](int64_t* id) { *id = next.fetch_add(1); })->values.data<int64_t>();
}

}  // namespace pydl
