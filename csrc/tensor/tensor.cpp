#include "tensor/tensor.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/allocator.h"

namespace pydl {

// ---- Storage ------------------------------------------------------------------------------------------------------

Storage::Storage() = default;
Storage::~Storage() = default;

static constexpr size_t kJoined = 16 << 10, kHeader = (sizeof(Storage) + kAlignment - 1) / kAlignment * kAlignment;

Ref<Storage> Storage::allocate(size_t nbytes) {
  const bool join = nbytes <= kJoined && !memory_is_guarded();
  const size_t size = join ? kHeader + nbytes : sizeof(Storage);
  void* const block = pydl::allocate(size);
  Ref<Storage> s(new (block) Storage);
  s->block_ = size;
  s->nbytes = nbytes;
  if (nbytes) s->data = join ? static_cast<char*>(block) + kHeader : pydl::allocate(nbytes);
  return s;
}

bool Storage::joined() const { return data == reinterpret_cast<const char*>(this) + kHeader && block_ > kHeader; }

Ref<Storage> Storage::import(void* data, size_t nbytes, void (*release)(void*), void* context) {
  Ref<Storage> s(new (pydl::allocate(sizeof(Storage))) Storage);
  s->block_ = sizeof(Storage);
  s->data = data;
  s->nbytes = nbytes;
  s->release = release;
  s->context = context;
  s->shared = true;
  return s;
}

void Storage::grow(size_t bytes) {
  void* const fresh = pydl::allocate(bytes);
  if (nbytes) std::memcpy(fresh, data, nbytes);
  if (data && !joined()) deallocate(data, nbytes);
  data = fresh;
  nbytes = bytes;
}

void Storage::destroy() {
  if (release) release(context);
  else if (data && !joined()) deallocate(data, nbytes);
  const size_t block = block_;
  this->~Storage();
  deallocate(this, block);
}

// ---- TensorImpl ---------------------------------------------------------------------------------------------------

void* TensorImpl::operator new(size_t n) { return allocate(n); }
void TensorImpl::operator delete(void* p) { deallocate(p, sizeof(TensorImpl)); }
bool (*release_python_object)(TensorImpl*) = nullptr;

void TensorImpl::destroy() {
  if (python_object.load(std::memory_order_relaxed) && release_python_object(this)) return;
  delete this;
}

void TensorImpl::refresh() {
  numel = 1;
  contiguous = true;
  int64_t expected = 1;
  for (size_t d = sizes.size(); d-- > 0;) {
    contiguous &= sizes[d] == 1 || strides[d] == expected;
    expected *= sizes[d];
  }
  numel = expected;
  contiguous |= numel == 0;
}

// ---- Tensor -------------------------------------------------------------------------------------------------------

static size_t bytes_for(int64_t elements, DType dtype) {
  size_t bytes;
  if (__builtin_mul_overflow(size_t(elements), size_t(item_size(dtype)), &bytes))
    fail<OutOfMemoryError>("empty: expected a size that fits memory, got ", elements, " elements of ", dtype);
  return bytes;
}

Tensor Tensor::empty(IntSpan sizes, DType dtype, Device device) {
  if (int64_t(sizes.size()) > kMaxDims)
    fail<ShapeError>("empty: expected at most ", kMaxDims, " dimensions, got ", sizes.size());
  Ref<TensorImpl> t(new TensorImpl);
  t->sizes.append(sizes.begin(), sizes.end());
  t->numel = element_count(sizes);
  t->strides = contiguous_strides(sizes);
  t->dtype = dtype;
  t->device = device;
  t->storage = Storage::allocate(bytes_for(t->numel, dtype));
  return Tensor(std::move(t));
}

Tensor Tensor::empty_strided(IntSpan sizes, IntSpan strides, DType dtype, Device device) {
  int64_t extent = element_count(sizes) ? 1 : 0;
  if (extent)
    for (size_t d = 0; d < sizes.size(); ++d) {
      int64_t reach;
      if (strides[d] < 0) fail<ValueError>("empty_strided: expected non-negative strides, got ", show(strides));
      if (__builtin_mul_overflow(sizes[d] - 1, strides[d], &reach) || __builtin_add_overflow(extent, reach, &extent))
        fail<ShapeError>("empty_strided: expected fewer than 2^63 elements, got ", show(sizes), " with strides ", show(strides));
    }
  Ref<TensorImpl> t(new TensorImpl);
  t->sizes = Dims(sizes);
  t->strides = Dims(strides);
  t->dtype = dtype;
  t->device = device;
  t->storage = Storage::allocate(bytes_for(extent, dtype));
  t->refresh();
  return Tensor(std::move(t));
}

Tensor Tensor::over(Ref<Storage> storage, IntSpan sizes, IntSpan strides, int64_t offset, DType dtype) {
  Ref<TensorImpl> t(new TensorImpl);
  t->storage = std::move(storage);
  t->sizes = Dims(sizes);
  t->strides = Dims(strides);
  t->offset = offset;
  t->dtype = dtype;
  t->refresh();
  return Tensor(std::move(t));
}

Tensor Tensor::alias(IntSpan sizes, IntSpan strides, int64_t offset) const {
  if (is_sparse() && !same(sizes, this->sizes())) check_dense();  // rows know no other shape
  Tensor t = over(storage(), sizes, strides, offset, dtype());
  t.impl()->device = device();
  t.impl()->inference = impl_->inference;
  return t;
}

constinit thread_local const char* running_operator = nullptr;

void Tensor::check_dense() const {
  if (is_sparse())
    fail<NotImplementedError>(running_operator ? running_operator : "data", ": expected dense tensors, got a row-sparse ", *this,
                              "; use to_dense()");
}

bool Tensor::is_contiguous(MemoryFormat f) const {
  return f == MemoryFormat::ChannelsLast ? is_channels_last() : is_contiguous();
}

bool Tensor::is_channels_last() const {
  if (dim() < 3 || dim() > 5) return false;
  int64_t expected = 1;
  auto matches = [&](int64_t d) {
    const bool ok = size(d) == 1 || stride(d) == expected;
    expected *= size(d);
    return ok;
  };
  if (!matches(1)) return false;
  for (int64_t d = dim() - 1; d >= 2; --d)
    if (!matches(d)) return false;
  return matches(0);
}

// Dimensions of extent > 1, innermost (smallest stride) first.
static Dims by_stride(const Tensor& t) {
  Dims order;
  for (int64_t d = 0; d < t.dim(); ++d)
    if (t.size(d) != 1) order.push_back(d);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return t.stride(a) < t.stride(b); });
  return order;
}

bool Tensor::is_dense() const {
  if (is_contiguous()) return true;
  int64_t expected = 1;
  for (int64_t d : by_stride(*this)) {
    if (stride(d) != expected) return false;
    expected *= size(d);
  }
  return true;
}

bool Tensor::may_self_overlap() const {
  if (is_contiguous() || numel() < 2) return false;
  int64_t reach = 0;  // of the dimensions so far
  for (int64_t d : by_stride(*this)) {
    if (stride(d) <= reach) return true;
    reach += (size(d) - 1) * stride(d);
  }
  return false;
}

void check_writable(const char* op, const Tensor& t) {
  if (!t.storage()->read_only) return;
  if (t.storage()->view_copy)
    fail(op, ": expected memory that may be written, got the copy that view made of a channels-last tensor, which a write "
             "would not reach; use reshape() instead of view(), or clone() before the write");
  fail(op, ": expected memory that may be written, got a read-only tensor");
}

// The bytes from the first element to the end of the last, steps by multiples of `period` left out.
static int64_t span_within(const Tensor& t, int64_t period) {
  int64_t span = t.item_size();
  for (int64_t d = 0; d < t.dim(); ++d)
    if (const int64_t step = t.stride(d) * t.item_size(); step % period) span += (t.size(d) - 1) * step;
  return span;
}

// Do the two lie in different parts of each period, as columns of one matrix do?
static bool interleaved(const Tensor& a, const Tensor& b) {
  const int64_t apart = static_cast<const char*>(b.raw()) - static_cast<const char*>(a.raw());
  auto apart_within = [&](int64_t period) {
    const int64_t from = (apart % period + period) % period;  // where b begins if a begins at 0
    return span_within(a, period) <= from && from + span_within(b, period) <= period;
  };
  int64_t common = 0;
  for (const Tensor* t : {&a, &b})
    for (int64_t d = 0; d < t->dim(); ++d) {
      const int64_t step = t->stride(d) * t->item_size();
      if (t->size(d) == 1 || step == 0) continue;
      if (apart_within(step)) return true;
      common = std::gcd(common, step);
    }
  return common && apart_within(common);
}

bool memory_overlaps(const Tensor& a, const Tensor& b) {
  if (a.numel() == 0 || b.numel() == 0) return false;
  auto bytes = [](const Tensor& t) {
    int64_t last = 0;
    for (int64_t d = 0; d < t.dim(); ++d) last += (t.size(d) - 1) * t.stride(d);
    const char* p = static_cast<const char*>(t.raw());
    return std::pair(p, p + (last + 1) * t.item_size());
  };
  const auto [a0, a1] = bytes(a);
  const auto [b0, b1] = bytes(b);
  return a0 < b1 && b0 < a1 && !interleaved(a, b);
}

std::ostream& operator<<(std::ostream& out, Device d) {
  return d.type == DeviceType::Cpu ? out << "cpu" : out << "cuda:" << int(d.index);
}

std::ostream& operator<<(std::ostream& out, const Tensor& t) {
  return t.defined() ? out << t.dtype() << ' ' << show(t.sizes()) : out << "None";
}

}  // namespace pydl
