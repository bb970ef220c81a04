#include "kernels/sort.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/truth.h"

namespace pydl {
namespace {

// ---- keys ----------------------------------------------------------------------------------------------------------
template <class T>
inline constexpr bool kIsFloat = is_floating(dtype_of<T>);
template <class T>
using Key = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

// Unsigned, in the order of the values.
template <class T>
Key<T> key_of(T value) {
  if constexpr (kIsFloat<T>) {
    using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;
    constexpr Bits sign = Bits(1) << (8 * sizeof(T) - 1);
    constexpr Bits infinity = sizeof(T) == 8   ? Bits(0x7ff0000000000000)
                              : sizeof(T) == 4 ? Bits(0x7f800000)
                                               : Bits(std::is_same_v<T, float16> ? 0x7c00 : 0x7f80);
    const Bits bits = std::bit_cast<Bits>(value), magnitude = Bits(bits & ~sign);
    // Negative numbers flip all bits, others the sign: no branches, the signs of data are random.
    const Bits ordered = Bits(bits ^ Bits(Bits(0 - (bits >> (8 * sizeof(T) - 1))) | sign));
    const Bits number = magnitude == 0 ? sign : ordered;
    return magnitude > infinity ? Bits(~Bits(0)) : number;
  } else if constexpr (std::is_signed_v<T>) {
    using Bits = std::make_unsigned_t<T>;
    return Bits(Bits(value) ^ Bits(Bits(1) << (8 * sizeof(T) - 1)));
  } else {
    return Key<T>(value);
  }
}
template <class T>
bool is_nan(T value) {
  if constexpr (kIsFloat<T>)
    return key_of(value) == Key<T>(~Key<T>(0) >> (sizeof(T) < 4 ? 16 : 0));
  else
    return false;
}
template <class T>
bool differs(T a, T b) {
  if constexpr (is_half(dtype_of<T>))
    return float(a) != float(b);
  else
    return a != b;
}

// A key and its index, ordered by key, then index: equal keys stay in order whatever algorithm moves them.
struct Narrow {  // up to 32-bit keys, rows up to 2^32: both in one word
  uint64_t word;
  Narrow() = default;
  Narrow(uint64_t key, int64_t i) : word(key << 32 | uint64_t(i)) {}
  int64_t index() const { return int64_t(word & 0xffffffff); }
  uint64_t key() const { return word >> 32; }
  bool operator<(Narrow o) const { return word < o.word; }
};
struct Wide {
  uint64_t key_, index_;
  Wide() = default;
  Wide(uint64_t key, int64_t i) : key_(key), index_(uint64_t(i)) {}
  int64_t index() const { return int64_t(index_); }
  uint64_t key() const { return key_; }
  bool operator<(const Wide& o) const { return key_ < o.key_ || (key_ == o.key_ && index_ < o.index_); }
};

// Calls f(Item{}) with the smallest item type that a row allows.
template <class T, class F>
void with_item(int64_t n, F&& f) {
  if constexpr (sizeof(T) < 8) {
    if (n <= int64_t(UINT32_MAX)) return f(Narrow{});
  }
  f(Wide{});
}

// Keys complemented when `flip`: ascending items are then descending values.
template <class Item, class T>
void load(Item* items, const T* in, int64_t stride, int64_t n, bool flip) {
  const Key<T> mask = flip ? Key<T>(~Key<T>(0)) >> (sizeof(T) < 4 ? 32 - 8 * sizeof(T) : 0) : Key<T>(0);
  for (int64_t i = 0; i < n; ++i) items[i] = Item(key_of(value_at(in + i * stride)) ^ mask, i);
}

// Loads only what shares the leading digit of the element of rank k, and makes k the rank among those. Returns how
// many.
template <class Item, class T>
int64_t load_around_rank(Item* items, const T* in, int64_t stride, int64_t n, int64_t& k) {
  constexpr int kKeyBits = 8 * int(sizeof(T)), kDigitBits = std::min(kKeyBits, 11), kShift = kKeyBits - kDigitBits;
  if (n <= 512) {
    load(items, in, stride, n, false);
    return n;
  }
  int64_t counts[1 << kDigitBits] = {};
  for (int64_t i = 0; i < n; ++i) ++counts[key_of(value_at(in + i * stride)) >> kShift];
  Key<T> digit = 0;
  for (; k >= counts[digit]; ++digit) k -= counts[digit];
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    const Key<T> key = key_of(value_at(in + i * stride));
    items[count] = Item(key, i);
    count += key >> kShift == digit;
  }
  return count;
}

template <class Item>
void insertion_sort(Item* items, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    const Item moved = items[i];
    int64_t j = i;
    for (; j > 0 && moved < items[j - 1]; --j) items[j] = items[j - 1];
    items[j] = moved;
  }
}

// Sorts by the low `Bytes` bytes of the keys; the result is in `items` or in `other`, whichever is returned.
template <int Bytes, class Item>
Item* radix_sort(Item* items, Item* other, int64_t n) {
  int64_t counts[Bytes][256] = {};
  for (int64_t i = 0; i < n; ++i)
    for (int b = 0; b < Bytes; ++b) ++counts[b][items[i].key() >> 8 * b & 255];
  for (int b = 0; b < Bytes; ++b) {
    if (counts[b][items[0].key() >> 8 * b & 255] == n) continue;  // the same digit everywhere
    int64_t position[256];
    for (int64_t d = 0, sum = 0; d < 256; ++d) {
      position[d] = sum;
      sum += counts[b][d];
    }
    for (int64_t i = 0; i < n; ++i) other[position[items[i].key() >> 8 * b & 255]++] = items[i];
    std::swap(items, other);
  }
  return items;
}

// The same for up to 255 items, whose counts and positions fit in bytes: eight of them add up in one multiplication.
template <int Bytes, class Item>
Item* radix_sort_short(Item* items, Item* other, int64_t n) {
  static_assert(std::endian::native == std::endian::little);
  constexpr uint64_t ones = 0x0101010101010101;
  alignas(8) uint8_t counts[Bytes][256] = {};
  for (int64_t i = 0; i < n; ++i)
    for (int b = 0; b < Bytes; ++b) ++counts[b][items[i].key() >> 8 * b & 255];
  for (int b = 0; b < Bytes; ++b) {
    if (counts[b][items[0].key() >> 8 * b & 255] == n) continue;
    alignas(8) uint8_t position[256];
    uint64_t before = 0;
    for (int d = 0; d < 256; d += 8) {
      uint64_t eight;
      std::memcpy(&eight, counts[b] + d, 8);
      const uint64_t sums = eight * ones, exclusive = (sums << 8) + before * ones;
      std::memcpy(position + d, &exclusive, 8);
      before += sums >> 56;
    }
    for (int64_t i = 0; i < n; ++i) other[position[items[i].key() >> 8 * b & 255]++] = items[i];
    std::swap(items, other);
  }
  return items;
}

constexpr int64_t kInsertion = 32;  // rows up to here: a radix pass would mostly count empty digits
template <int Bytes, class Item>
Item* sort_items(Item* items, int64_t n) {
  if (n > 255) return radix_sort<Bytes>(items, items + n, n);
  if (n > kInsertion) return radix_sort_short<Bytes>(items, items + n, n);
  insertion_sort(items, n);
  return items;
}

template <class T, class Item>
void store(T* values, int64_t* indices, int64_t out_stride, const T* in, int64_t in_stride, const Item* items,
           int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t from = items[i].index();
    if (values) values[i * out_stride] = value_at(in + from * in_stride);
    if (indices) indices[i * out_stride] = from;
  }
}

// May any of a block be better than `bound`, larger or smaller? NaN may: its key tells.
constexpr int64_t kBlock = 16;
template <bool Larger, class T>
bool any_better(const T* in, T bound) {
  if constexpr (is_half(dtype_of<T>) || std::is_same_v<T, bool>) {
    return true;
  } else {
    typedef T Vector __attribute__((vector_size(16), aligned(alignof(T)), may_alias));
    const Vector* block = reinterpret_cast<const Vector*>(in);
    auto not_better = Larger ? block[0] <= bound : block[0] >= bound;
    for (int64_t v = 1; v < kBlock * int64_t(sizeof(T)) / 16; ++v)
      not_better &= Larger ? block[v] <= bound : block[v] >= bound;
    uint64_t halves[2];
    std::memcpy(halves, &not_better, 16);
    return (halves[0] & halves[1]) != ~uint64_t(0);
  }
}

// Appends what is better than the element `worst` from in[i] on to the items, block by block, most of which hold none,
// until less than a block is left or `capacity` is reached, at most a block beyond. Returns where it stopped.
template <class T, class Item>
int64_t collect_better(Item* items, int64_t& count, int64_t capacity, const T* in, int64_t i, int64_t n, Key<T> mask,
                       Item worst) {
  const T bound = value_at(in + worst.index());
  for (; count < capacity && i + kBlock <= n; i += kBlock) {
    if (!(mask ? any_better<true>(in + i, bound) : any_better<false>(in + i, bound))) continue;
    for (int64_t j = i; j < i + kBlock; ++j) {
      const Key<T> key = key_of(value_at(in + j)) ^ mask;
      items[count] = Item(key, j);
      count += key < worst.key();
    }
  }
  return i;
}

}  // namespace

template <class T>
size_t SortKernels<T>::workspace(int64_t n) {
  size_t size = 0;
  with_item<T>(n, [&](auto item) { size = 2 * size_t(std::max<int64_t>(n, 1)) * sizeof item; });
  return size;
}

template <class T>
void SortKernels<T>::sort(T* values, int64_t* indices, int64_t out_stride, const T* in, int64_t in_stride, int64_t n,
                          bool descending, void* workspace) {
  with_item<T>(n, [&]<class Item>(Item) {
    Item* items = static_cast<Item*>(workspace);
    load(items, in, in_stride, n, descending);
    items = sort_items<int(sizeof(T))>(items, n);
    store(values, indices, out_stride, in, in_stride, items, n);
  });
}

template <class T>
void SortKernels<T>::topk(T* values, int64_t* indices, int64_t out_stride, const T* in, int64_t in_stride, int64_t n,
                          int64_t k, bool largest, bool sorted, void* workspace) {
  if (k <= 0) return;
  with_item<T>(n, [&]<class Item>(Item) {
    Item* const items = static_cast<Item*>(workspace);
    const Key<T> mask = largest ? Key<T>(~Key<T>(0)) >> (sizeof(T) < 4 ? 32 - 8 * sizeof(T) : 0) : Key<T>(0);
    // Candidates collect in a buffer; when it is full the best k stay, and only better ones than the k-th enter. Keys
    // decide that: of equal ones the earlier stays.
    const int64_t capacity = std::min(n, std::max<int64_t>(4 * k, 32));
    int64_t count = 0, i = 0;
    for (; count < capacity; ++i, ++count) items[count] = Item(key_of(value_at(in + i * in_stride)) ^ mask, i);
    while (i < n) {
      std::nth_element(items, items + k - 1, items + count);
      const Item worst = items[k - 1];
      count = k;
      if (in_stride == 1) i = collect_better(items, count, capacity, in, i, n, mask, worst);
      for (; i < n && count < capacity; ++i) {
        const Key<T> key = key_of(value_at(in + i * in_stride)) ^ mask;
        items[count] = Item(key, i);
        count += key < worst.key();
      }
    }
    if (k < count) std::nth_element(items, items + k - 1, items + count);
    if (sorted) std::sort(items, items + k);
    store(values, indices, out_stride, in, in_stride, items, k);
  });
}

template <class T>
void SortKernels<T>::select(T* value, int64_t* index, const T* in, int64_t in_stride, int64_t n, int64_t k,
                            void* workspace) {
  with_item<T>(n, [&]<class Item>(Item) {
    Item* const items = static_cast<Item*>(workspace);
    n = load_around_rank(items, in, in_stride, n, k);
    std::nth_element(items, items + k, items + n);
    // Of equal values the first: they differ in the index alone.
    Item found = items[k];
    for (int64_t i = 0; i < k; ++i)
      if (items[i].key() == found.key() && items[i] < found) found = items[i];
    store(value, index, 1, in, in_stride, &found, 1);
  });
}

template <class T>
void SortKernels<T>::median(T* value, int64_t* index, const T* in, int64_t in_stride, int64_t n, bool skip_nan,
                            void* workspace) {
  int64_t numbers = n;
  if constexpr (kIsFloat<T>) {
    for (int64_t i = 0; i < n; ++i) {
      if (!is_nan(in[i * in_stride])) continue;
      if (!skip_nan) {
        if (value) *value = in[i * in_stride];
        if (index) *index = i;
        return;
      }
      --numbers;
    }
  }
  // NaNs sort last: the rank among the numbers is the rank in the row.
  select(value, index, in, in_stride, n, std::max<int64_t>(numbers - 1, 0) / 2, workspace);
}

template <class T>
void SortKernels<T>::mode(T* value, int64_t* index, const T* in, int64_t in_stride, int64_t n, void* workspace) {
  with_item<T>(n, [&]<class Item>(Item) {
    Item* items = static_cast<Item*>(workspace);
    load(items, in, in_stride, n, false);
    items = sort_items<int(sizeof(T))>(items, n);
    int64_t best = 0, last = 0;
    for (int64_t begin = 0, end; begin < n; begin = end) {
      for (end = begin + 1; end < n && items[end].key() == items[begin].key(); ++end) {}
      if (end - begin > best) best = end - begin, last = end - 1;
    }
    store(value, index, 1, in, in_stride, items + last, 1);
  });
}

template <class T>
int64_t SortKernels<T>::unique_runs(T* values, int64_t* inverse, int64_t* counts, const T* row, const int64_t* order,
                                    int64_t n) {
  int64_t runs = 0, begin = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (i == 0 || differs(value_at(row + i), value_at(row + i - 1))) {
      if (counts && runs) counts[runs - 1] = i - begin;
      if (values) values[runs] = value_at(row + i);
      begin = i;
      ++runs;
    }
    if (inverse) inverse[order ? order[i] : i] = runs - 1;
  }
  if (counts && runs) counts[runs - 1] = n - begin;
  return runs;
}

template <class T>
void SortKernels<T>::searchsorted(int64_t* out, const T* row, const int64_t* sorter, int64_t n, const T* values,
                                  int64_t count, bool right) {
  auto number = [](T x) {
    if constexpr (is_half(dtype_of<T>))
      return float(x);
    else
      return x;
  };
  for (int64_t i = 0; i < count; ++i) {
    const auto value = number(value_at(values + i));
    // Written as PyTorch compares: what is not >= (or >) the value, NaN included, lies before it.
    int64_t begin = 0, size = n;
    while (size > 0) {
      const int64_t half = size / 2, middle = begin + half;
      const auto at = number(value_at(row + (sorter ? sorter[middle] : middle)));
      const bool before = right ? !(at > value) : !(at >= value);
      begin = before ? middle + 1 : begin;
      size = before ? size - half - 1 : half;
    }
    out[i] = begin;
  }
}

template <class T>
void bincount(int64_t* out, const T* in, int64_t n) {
  for (int64_t i = 0; i < n; ++i) ++out[in[i]];
}
template <class T, class W>
void bincount_weighted(W* out, const T* in, const W* weights, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[in[i]] += weights[i];
}
template <class T>
void histogram(T* out, int64_t bins, T low, T high, const T* in, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if (!(in[i] >= low && in[i] <= high)) continue;
    const int64_t bin = int64_t((in[i] - low) * T(bins) / (high - low));
    ++out[std::min(bin, bins - 1)];
  }
}

#define FOR_INTEGERS(F) F(uint8_t) F(int8_t) F(int16_t) F(int32_t) F(int64_t)
#define INSTANTIATE(T) template struct SortKernels<T>;
FOR_INTEGERS(INSTANTIATE)
INSTANTIATE(bool)
INSTANTIATE(float16)
INSTANTIATE(bfloat16)
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE
#define INSTANTIATE(T)                                                                \
  template void bincount<T>(int64_t*, const T*, int64_t);                             \
  template void bincount_weighted<T, float>(float*, const T*, const float*, int64_t); \
  template void bincount_weighted<T, double>(double*, const T*, const double*, int64_t);
FOR_INTEGERS(INSTANTIATE)
#undef INSTANTIATE
#undef FOR_INTEGERS
template void histogram<float>(float*, int64_t, float, float, const float*, int64_t);
template void histogram<double>(double*, int64_t, double, double, const double*, int64_t);

}  // namespace pydl
