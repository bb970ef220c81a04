#include "ops/derived.h"

#include <mutex>

#include "base/allocator.h"

namespace pydl {
namespace {

std::mutex lists;  // guards Storage::derived and the lists that hang there
constexpr int kMostBuffers = 8;

// Drops what belongs to other versions, and what is beyond the limit.
void tidy(Ref<DerivedBuffer>& head, uint32_t version) {
  Ref<DerivedBuffer>* at = &head;
  for (int kept = 0; *at;) {
    if ((*at)->version != version || kept == kMostBuffers) *at = Ref<DerivedBuffer>((*at)->next);
    else ++kept, at = &(*at)->next;
  }
}

Ref<DerivedBuffer> head_of(const Storage& storage) {
  return Ref<DerivedBuffer>(static_cast<DerivedBuffer*>(storage.derived.get()));
}

}  // namespace

void DerivedBuffer::destroy() {
  deallocate(data, bytes);
  delete this;
}

Ref<DerivedBuffer> derived_buffer(const Tensor& source, IntSpan key, size_t bytes, bool keep,
                                  void (*fill)(void* context, void* data), void* context) {
  Storage& storage = *source.storage();
  const uint32_t version = source.version();
  keep &= !storage.shared;
  if (keep) {
    const std::lock_guard guard(lists);
    for (Ref<DerivedBuffer> b = head_of(storage); b; b = b->next)
      if (b->version == version && same(b->key, key)) return b;
  }
  Ref<DerivedBuffer> made(new DerivedBuffer);
  made->key = Dims(key);
  made->version = version;
  made->data = allocate(bytes);
  made->bytes = bytes;
  fill(context, made->data);
  if (keep) {
    const std::lock_guard guard(lists);
    made->next = head_of(storage);
    tidy(made->next, version);
    storage.derived = made;
  }
  return made;
}

}  // namespace pydl
