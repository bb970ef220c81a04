// Reading bool tensors. An element is a byte, and every byte but 0 is true: memory that another library filled, or that
// nothing has filled yet, holds more than 0 and 1. Through C++'s bool such a byte would be undefined behaviour.
#pragma once
#include <cstdint>
#include <type_traits>

namespace pydl {

// The element at p. Always inlined, for kernels are compiled for several instruction sets.
template <class T>
[[gnu::always_inline]] inline T value_at(const T* p) {
  if constexpr (std::is_same_v<T, bool>)
    return *reinterpret_cast<const uint8_t*>(p) != 0;
  else
    return *p;
}

// Eight elements: 1 in each byte that is true.
[[gnu::always_inline]] inline uint64_t truths(uint64_t word) {
  constexpr uint64_t low = 0x7f7f7f7f7f7f7f7f;
  return (((word & low) + low) | word) >> 7 & 0x0101010101010101;
}

}  // namespace pydl
