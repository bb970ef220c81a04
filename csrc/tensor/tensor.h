// Storage and Tensor: typed, strided views of reference-counted memory. Nothing here knows an operator.
#pragma once
#include <atomic>
#include <memory>
#include <optional>

#include "base/check.h"
#include "base/dtype.h"
#include "base/ref.h"
#include "tensor/dims.h"
#include "tensor/scalar.h"

namespace pydl {

enum class DeviceType : uint8_t { Cpu, Cuda };
struct Device {
  DeviceType type = DeviceType::Cpu;
  int8_t index = 0;
  bool operator==(const Device&) const = default;
};

enum class MemoryFormat : uint8_t { Contiguous, ChannelsLast, Preserve };

// Something that operators computed from a storage's values and keep with it.
struct Derived : RefCounted {
  virtual void destroy() = 0;

 protected:
  ~Derived() = default;
};

struct SparseRows;

// A block of memory shared by all views of it. The version counts in-place writes.
struct Storage : RefCounted {
  void* data = nullptr;
  size_t nbytes = 0;
  std::atomic<uint32_t> version{0};
  bool read_only = false;  // imported from a read-only buffer, or what view copied
  bool view_copy = false;  // the latter: a write would miss the tensor that was viewed
  bool shared = false;     // visible outside (NumPy, buffer, DLPack): writes there do not bump the version
  void (*release)(void* context) = nullptr;  // for imported memory; null: from our allocator
  void* context = nullptr;
  Ref<Derived> derived;    // read and written in ops/derived.cpp only
  std::unique_ptr<SparseRows> sparse;  // of a row-sparse tensor, which has no other memory

  Storage();
  ~Storage();

  static Ref<Storage> allocate(size_t nbytes);
  static Ref<Storage> import(void* data, size_t nbytes, void (*release)(void*), void* context);
  void grow(size_t bytes);  // of our allocator and not shared; moves the contents, new bytes are uninitialised
  void destroy();

 private:
  size_t block_ = 0;  // bytes of the block that begins with this storage; small contents stand behind it
  bool joined() const;
};

// What other layers hang onto a tensor: autograd's history lives in a subclass of this.
struct TensorExtension {
  virtual ~TensorExtension() = default;
};

class Tensor;

struct TensorImpl : RefCounted {
  Ref<Storage> storage;
  Dims sizes, strides;
  int64_t offset = 0;  // in elements
  int64_t numel = 0;
  DType dtype = DType::Float32;
  Device device;
  bool contiguous = true;
  bool sibling = false;                         // one of several views that one call made: no in-place writes in a graph
  bool inference = false;                       // made under inference_mode: never enters a graph
  Ref<TensorImpl> base;                         // the tensor this is a differentiable view of
  std::unique_ptr<TensorExtension> autograd;    // null until the tensor enters a graph
  std::atomic<void*> python_object{nullptr};    // the one Python object of this tensor; see release_python_object

  void destroy();
  void refresh();  // numel and contiguous after sizes or strides changed
  static void* operator new(size_t);
  static void operator delete(void*);
};

// Installed by the bindings. A Python object normally owns its tensor; one that outlives its Python references is owned
// by the tensor instead, and this releases it. True: Python took the object back, and with it the tensor.
extern bool (*release_python_object)(TensorImpl*);

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}

  // Memory of its own, uninitialised. Strides default to contiguous.
  static Tensor empty(IntSpan sizes, DType dtype, Device device = {});
  static Tensor empty_strided(IntSpan sizes, IntSpan strides, DType dtype, Device device = {});
  // Another look at storage; no history, no base.
  static Tensor over(Ref<Storage> storage, IntSpan sizes, IntSpan strides, int64_t offset, DType dtype);
  Tensor alias() const { return alias(sizes(), strides(), offset()); }
  Tensor alias(IntSpan sizes, IntSpan strides, int64_t offset) const;

  bool defined() const { return bool(impl_); }
  TensorImpl* impl() const { return impl_.get(); }
  const Ref<TensorImpl>& ref() const { return impl_; }
  bool is(const Tensor& o) const { return impl_.get() == o.impl_.get(); }

  IntSpan sizes() const { return impl_->sizes; }
  IntSpan strides() const { return impl_->strides; }
  int64_t dim() const { return int64_t(impl_->sizes.size()); }
  // Negative dimensions count from the end.
  int64_t size(int64_t d) const { return impl_->sizes[size_t(d < 0 ? d + dim() : d)]; }
  int64_t stride(int64_t d) const { return impl_->strides[size_t(d < 0 ? d + dim() : d)]; }
  int64_t offset() const { return impl_->offset; }
  int64_t numel() const { return impl_->numel; }
  DType dtype() const { return impl_->dtype; }
  Device device() const { return impl_->device; }
  int64_t item_size() const { return pydl::item_size(impl_->dtype); }
  size_t nbytes() const { return size_t(numel() * item_size()); }

  const Ref<Storage>& storage() const { return impl_->storage; }
  // Raises for a row-sparse tensor: whoever asks for memory was made for dense tensors.
  void* raw() const {
    if (!impl_->storage->data) check_dense();
    return static_cast<char*>(impl_->storage->data) + impl_->offset * item_size();
  }
  template <class T> T* data() const { return static_cast<T*>(raw()); }

  bool is_contiguous() const { return impl_->contiguous; }
  bool is_contiguous(MemoryFormat f) const;
  // Dense channels-last memory of a 3- to 5-d tensor; a tensor that is both formats counts as channels-last.
  bool is_channels_last() const;
  // Every element has memory of its own and there are no gaps (any order of dimensions).
  bool is_dense() const;
  // Two elements may share memory (stride 0 or crossing strides).
  bool may_self_overlap() const;

  bool is_sparse() const { return impl_->storage->sparse != nullptr; }
  const SparseRows& sparse() const { return *impl_->storage->sparse; }
  void check_dense() const;

  uint32_t version() const { return impl_->storage->version.load(std::memory_order_relaxed); }
  void bump_version() const { impl_->storage->version.fetch_add(1, std::memory_order_relaxed); }

 private:
  Ref<TensorImpl> impl_;
};

using Tensors = SmallVector<Tensor, 3>;

// The contents of a row-sparse tensor: row indices[i] of dimension 0 is values[i], repeated rows add up, and all others
// are zero. Gradients of embeddings have this form. PyTorch's sparse_coo layout with one sparse dimension.
struct SparseRows {
  Tensor indices;  // int64 [n], in range
  Tensor values;   // contiguous [n, sizes[1:]...]
  bool coalesced;  // indices ascend, none repeats
};

// The operator that runs on this thread, for messages; null outside. Set by the Call of ops/call.h.
extern constinit thread_local const char* running_operator __attribute__((tls_model("initial-exec")));

// Raises where the memory may not be written: a read-only import, or the copy that `view` made.
void check_writable(const char* op, const Tensor& t);
// Could writing one of these change the other?
bool memory_overlaps(const Tensor& a, const Tensor& b);

std::ostream& operator<<(std::ostream& out, Device d);
inline std::ostream& operator<<(std::ostream& out, DType t) { return out << name_of(t); }
// "float32 [2, 3]", for error messages.
std::ostream& operator<<(std::ostream& out, const Tensor& t);

}  // namespace pydl
