// A vector whose first N elements need no allocation.
#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace pydl {

template <class T, int N> class SmallVector {
 public:
  using value_type = T;
  SmallVector() = default;
  explicit SmallVector(size_t n, const T& value = T()) { resize(n, value); }
  SmallVector(std::initializer_list<T> items) { append(items.begin(), items.end()); }
  SmallVector(std::span<const T> items) { append(items.begin(), items.end()); }
  template <class It> SmallVector(It first, It last) { append(first, last); }
  SmallVector(const SmallVector& o) { append(o.begin(), o.end()); }
  SmallVector(SmallVector&& o) noexcept { take(o); }
  ~SmallVector() { reset(); }
  SmallVector& operator=(const SmallVector& o) {
    if (this != &o) { clear(); append(o.begin(), o.end()); }
    return *this;
  }
  SmallVector& operator=(SmallVector&& o) noexcept {
    if (this != &o) { reset(); take(o); }
    return *this;
  }

  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }
  T& front() { return data_[0]; }
  const T& front() const { return data_[0]; }

  template <class... A> T& emplace_back(A&&... a) {
    if (size_ == capacity_) grow(size_ + 1);
    if constexpr (std::is_aggregate_v<T>) return *new (data_ + size_++) T{std::forward<A>(a)...};
    else return *new (data_ + size_++) T(std::forward<A>(a)...);
  }
  void push_back(const T& v) { T copy = v; emplace_back(std::move(copy)); }
  void push_back(T&& v) { emplace_back(std::move(v)); }
  void pop_back() { data_[--size_].~T(); }
  void clear() { while (size_) pop_back(); }
  void reserve(size_t n) { if (n > capacity_) grow(n); }
  void resize(size_t n, const T& value = T()) {
    reserve(n);
    while (size_ < n) new (data_ + size_++) T(value);
    while (size_ > n) pop_back();
  }
  void insert(T* at, const T& v) {
    const size_t i = size_t(at - data_);
    push_back(v);
    std::rotate(data_ + i, data_ + size_ - 1, data_ + size_);
  }
  void erase(T* at) {
    std::move(at + 1, end(), at);
    pop_back();
  }
  template <class It> void append(It first, It last) {
    if constexpr (std::is_trivially_copyable_v<T> && std::random_access_iterator<It>) {
      reserve(size_ + size_t(last - first));
      T* to = data_ + size_;
      for (; first != last; ++first) *to++ = *first;
      size_ = uint32_t(to - data_);
    } else {
      for (; first != last; ++first) emplace_back(*first);
    }
  }

  operator std::span<const T>() const { return {data_, size_}; }
  friend bool operator==(const SmallVector& a, const SmallVector& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

 private:
  T* inline_data() { return reinterpret_cast<T*>(inline_); }
  bool is_inline() const { return data_ == reinterpret_cast<const T*>(inline_); }
  void grow(size_t n) {
    const size_t capacity = std::max(n, size_t(capacity_) * 2);
    T* fresh = std::allocator<T>().allocate(capacity);
    std::uninitialized_move(begin(), end(), fresh);
    std::destroy(begin(), end());
    if (!is_inline()) std::allocator<T>().deallocate(data_, capacity_);
    data_ = fresh;
    capacity_ = uint32_t(capacity);
  }
  void reset() {
    clear();
    if (!is_inline()) std::allocator<T>().deallocate(data_, capacity_);
    data_ = inline_data();
    capacity_ = N;
  }
  void take(SmallVector& o) {
    if (o.is_inline()) {
      append(std::make_move_iterator(o.begin()), std::make_move_iterator(o.end()));
      o.clear();
    } else {
      data_ = std::exchange(o.data_, o.inline_data());
      size_ = std::exchange(o.size_, 0);
      capacity_ = std::exchange(o.capacity_, N);
    }
  }

  T* data_ = inline_data();
  uint32_t size_ = 0, capacity_ = N;
  alignas(T) unsigned char inline_[sizeof(T) * N];
};

}  // namespace pydl
