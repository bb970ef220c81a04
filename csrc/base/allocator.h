// Memory of tensors and workspaces: 64-byte aligned blocks, kept in a cache by size class so that a training loop in
// steady state asks the operating system for nothing.
//
// Sizes round up to eight classes per doubling. Small blocks live in per-thread lists (no lock, a few nanoseconds);
// larger ones in a shared cache under a lock, least recently freed out first once the cap is reached, and may serve
// requests of half their size and more. Blocks of 2 MiB and more are mapped directly and ask for huge pages. Any thread
// may free what another allocated.
#pragma once
#include <cstddef>
#include <cstdint>

namespace pydl {

inline constexpr size_t kAlignment = 64;

// Uninitialised memory; throws OutOfMemoryError. A size of zero gives a valid block too.
void* allocate(size_t bytes);
// `bytes` is the size that was asked for.
void deallocate(void* block, size_t bytes) noexcept;

// Whether PYDL_GUARD watches every block: what must not be overrun then wants a block of its own.
bool memory_is_guarded();

// The size that allocate(bytes) rounds up to.
size_t block_size(size_t bytes);

// Returns cached blocks to the operating system: the shared cache's and this thread's.
void empty_cache();
// Most bytes the shared cache may hold; by default a quarter of the memory, at most 4 GiB.
void set_cache_limit(size_t bytes);

struct MemoryStats {
  int64_t allocated;    // bytes in live blocks
  int64_t cached;       // bytes in free blocks kept for reuse
  int64_t peak;         // highest `allocated`, to within 64 KiB a thread
  int64_t os_requests;  // blocks obtained from the operating system so far
  int64_t limit;        // the cache's cap
};
MemoryStats memory_stats();
void reset_peak_memory();

}  // namespace pydl
