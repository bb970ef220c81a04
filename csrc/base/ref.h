// Intrusive reference counting. Counts are atomic: tensors and graph nodes may be dropped by any thread.
#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

namespace pydl {

struct RefCounted {
  mutable std::atomic<uint32_t> references{0};
};

// Ref<T> owns one reference. T derives from RefCounted and has `void destroy()`, called when the last one goes.
template <class T> class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T* p) : p_(p) { retain(); }
  Ref(const Ref& o) : p_(o.p_) { retain(); }
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  template <class U> requires std::is_convertible_v<U*, T*> Ref(const Ref<U>& o) : p_(o.get()) { retain(); }
  template <class U> requires std::is_convertible_v<U*, T*> Ref(Ref<U>&& o) noexcept : p_(o.leak()) {}
  ~Ref() { release(); }
  Ref& operator=(Ref o) noexcept { std::swap(p_, o.p_); return *this; }

  // Takes over a reference that the caller already holds / gives it up without releasing.
  static Ref adopt(T* p) { Ref r; r.p_ = p; return r; }
  T* leak() { return std::exchange(p_, nullptr); }

  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  bool operator==(const Ref& o) const = default;
  uint32_t use_count() const { return p_ ? p_->references.load(std::memory_order_relaxed) : 0; }

 private:
  void retain() { if (p_) p_->references.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (p_ && p_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) p_->destroy();
  }
  T* p_ = nullptr;
};

// A reference to an object that may be on its way out: empty when its count has reached zero already.
template <class T> Ref<T> lock(T* p) {
  if (!p) return {};
  uint32_t n = p->references.load(std::memory_order_relaxed);
  while (n != 0)
    if (p->references.compare_exchange_weak(n, n + 1, std::memory_order_acq_rel)) return Ref<T>::adopt(p);
  return {};
}

}  // namespace pydl
