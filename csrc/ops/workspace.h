// Memory that an operator needs while it runs.
#pragma once
#include <cstdint>

#include "base/allocator.h"

namespace pydl {

// Uninitialised, 64-byte aligned.
template <class T> class Workspace {
 public:
  explicit Workspace(int64_t elements)
      : bytes_(size_t(elements) * sizeof(T)), data_(elements ? static_cast<T*>(allocate(bytes_)) : nullptr) {}
  ~Workspace() { if (data_) deallocate(data_, bytes_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  T* data() const { return data_; }

 private:
  size_t bytes_;
  T* data_;
};

}  // namespace pydl
