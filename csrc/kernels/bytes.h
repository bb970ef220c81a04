// Copies of contiguous bytes, through the caches or past them. `out` and `in` do not overlap.
#pragma once
#include "simd/vec.h"

PYDL_ISA_BEGIN
namespace {

template <int Bytes>
struct Chunk {
  unsigned char b[Bytes];
};
template <int Bytes>
PYDL_INLINE void copy_chunk(char* out, const char* in) {
  typedef char raw __attribute__((vector_size(Bytes), aligned(1), may_alias));
  *reinterpret_cast<raw*>(out) = *reinterpret_cast<const raw*>(in);
}
// Between Bytes and 2*Bytes bytes, by two moves that may overlap.
template <int Bytes>
PYDL_INLINE void copy_ends(char* out, const char* in, int64_t bytes) {
  Chunk<Bytes> head, tail;
  std::memcpy(&head, in, Bytes);
  std::memcpy(&tail, in + bytes - Bytes, Bytes);
  std::memcpy(out, &head, Bytes);
  std::memcpy(out + bytes - Bytes, &tail, Bytes);
}
// Not memcpy: from 2 KiB on, glibc's uses `rep movsb`, which Zen 4 runs at a tenth of the speed where the addresses lie
// badly to each other (sourceware.org bug 30994).
PYDL_INLINE void copy_bytes(char* out, const char* in, int64_t bytes) {
  constexpr int V = kVectorBytes;
  if (bytes >= V) {
    int64_t i = 0;
    if (bytes >= 16 * V && !is_aligned(out)) {  // stores that cross lines would take twice the time
      copy_chunk<V>(out, in);
      i = -reinterpret_cast<uintptr_t>(out) & (V - 1);
    }
    for (; i + 4 * V <= bytes; i += 4 * V)
      for (int k = 0; k < 4; ++k) copy_chunk<V>(out + i + k * V, in + i + k * V);
    for (; i + V <= bytes; i += V) copy_chunk<V>(out + i, in + i);
    if (i < bytes) copy_chunk<V>(out + bytes - V, in + bytes - V);
  } else if (V > 32 && bytes >= 32) {
    copy_ends<32>(out, in, bytes);
  } else if (V > 16 && bytes >= 16) {
    copy_ends<16>(out, in, bytes);
  } else if (bytes >= 8) {
    copy_ends<8>(out, in, bytes);
  } else if (bytes >= 4) {
    copy_ends<4>(out, in, bytes);
  } else if (bytes >= 2) {
    copy_ends<2>(out, in, bytes);
  } else if (bytes == 1) {
    *out = *in;
  }
}
// A store that goes to memory without fetching the line first; `out` is aligned to its size.
template <int Bytes>
PYDL_INLINE void stream_chunk(char* out, const char* in) {
#if defined(__AVX512F__)
  if constexpr (Bytes == 64) return _mm512_stream_si512(reinterpret_cast<__m512i*>(out), _mm512_loadu_si512(in));
#endif
#if defined(__AVX2__)
  if constexpr (Bytes == 32)
    return _mm256_stream_si256(reinterpret_cast<__m256i*>(out),
                               _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in)));
#endif
#if defined(__SSE2__)
  if constexpr (Bytes == 16)
    return _mm_stream_si128(reinterpret_cast<__m128i*>(out), _mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
#endif
  copy_chunk<Bytes>(out, in);
}

void stream_bytes(char* out, const char* in, int64_t bytes) {
  constexpr int V = kVectorBytes;
  if (bytes < 4 * V) return copy_bytes(out, in, bytes);
  const int64_t head = -reinterpret_cast<uintptr_t>(out) & (V - 1);
  if (head) copy_chunk<V>(out, in);
  int64_t i = head;
  for (; i + V <= bytes; i += V) stream_chunk<V>(out + i, in + i);
  if (i < bytes) copy_chunk<V>(out + bytes - V, in + bytes - V);
}

}  // namespace
PYDL_ISA_END
