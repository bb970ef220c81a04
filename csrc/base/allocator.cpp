#include "base/allocator.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "base/arch.h"
#include "base/check.h"

namespace pydl {
namespace {

constexpr size_t kHugePage = size_t(2) << 20;  // blocks from here on are mapped directly
constexpr size_t kSmallBlock = 32 << 10;       // blocks up to here live in per-thread lists
constexpr size_t kThreadCacheLimit = 2 << 20;  // bytes that one thread's lists may hold
constexpr int kWider = 8;                      // classes above its own that serve a large request: up to twice its size
constexpr int64_t kFlushDelta = 64 << 10;      // a thread reports its live bytes in steps of this
constexpr size_t kMaxBytes = SIZE_MAX / 2;

// Class c holds blocks of class_size(c) bytes: 64, 128 ... 512, then eight steps per doubling.
constexpr int size_class(size_t bytes) {
  const size_t units = (std::max<size_t>(bytes, 1) + 63) / 64;  // of 64 bytes
  if (units <= 8) return int(units) - 1;
  const int shift = std::bit_width(units - 1) - 4;  // (units - 1) >> shift is 8 to 15
  return 8 * shift + int((units - 1) >> shift);
}
constexpr size_t class_size(int c) {
  if (c < 8) return size_t(c + 1) * 64;
  const int shift = c / 8 - 1;
  return size_t(c % 8 + 9) << shift << 6;
}
constexpr int kClasses = size_class(kMaxBytes) + 1;
constexpr int kSmallClasses = size_class(kSmallBlock) + 1;
static_assert(class_size(size_class(512)) == 512 && class_size(size_class(513)) == 576);
static_assert(class_size(size_class(kSmallBlock)) == kSmallBlock && class_size(size_class(kSmallBlock + 1)) == 36864);

// A free block holds its own links.
struct FreeBlock {
  FreeBlock* next;  // in its class, last freed first
  FreeBlock* previous;
  FreeBlock *newer, *older;  // among all blocks of the shared cache
  int size_class;
};
static_assert(sizeof(FreeBlock) <= class_size(0));

void* request(size_t bytes) {
  if (bytes < kHugePage) return std::aligned_alloc(kAlignment, bytes);
  // Map a huge page more than needed and give back both ends, so that the block starts on a huge page.
  const size_t mapped = bytes + kHugePage;
  if (mapped < bytes) return nullptr;
  void* map = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(map);
  char* const block = begin + (-reinterpret_cast<uintptr_t>(begin) & (kHugePage - 1));
  if (block > begin) munmap(begin, size_t(block - begin));
  if (const size_t tail = size_t(begin + mapped - (block + bytes))) munmap(block + bytes, tail);
#if defined(MADV_HUGEPAGE)
  madvise(block, bytes, MADV_HUGEPAGE);
#endif
  return block;
}

void release(void* block, size_t bytes) {
  if (bytes < kHugePage)
    std::free(block);
  else
    munmap(block, bytes);
}

// Guard pages, for finding memory errors (PYDL_GUARD=end or begin): no cache; every block has pages of its own, ends or
// begins exactly where a page that nothing may touch stands, and starts out as NaNs. Freed pages stay untouchable until
// 4096 more were freed. A block that ends at a page is aligned only as far as its size is. PYDL_GUARD=malloc leaves the
// guarding to AddressSanitizer or valgrind: no cache, and every block is one of malloc's, unwritten and of the exact size.
enum class Guard { Off, End, Begin, Malloc };

Guard guard() {
  static const Guard chosen = [] {
    const char* const text = std::getenv("PYDL_GUARD");
    if (!text || !*text) return Guard::Off;
    if (text == std::string_view("end")) return Guard::End;
    if (text == std::string_view("begin")) return Guard::Begin;
    if (text == std::string_view("malloc")) return Guard::Malloc;
    fail<ValueError>("PYDL_GUARD: expected end, begin or malloc, got ", text);
  }();
  return chosen;
}

size_t page_size() {
  static const size_t size = size_t(sysconf(_SC_PAGESIZE));
  return size;
}
size_t whole_pages(size_t bytes) { return (bytes + page_size() - 1) / page_size() * page_size(); }

void* request_guarded(size_t bytes) {
  if (guard() == Guard::Malloc) {
    void* block = nullptr;
    return posix_memalign(&block, kAlignment, bytes) ? nullptr : block;
  }
  constexpr size_t kFilled = 64 << 20;  // larger blocks keep the system's zeros: touching every page costs its memory
  const size_t usable = whole_pages(bytes), page = page_size();
  void* map = mmap(nullptr, usable + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) return nullptr;
  char* const first = static_cast<char*>(map) + page;
  if (usable && mprotect(first, usable, PROT_READ | PROT_WRITE)) {
    munmap(map, usable + 2 * page);
    return nullptr;
  }
  if (usable <= kFilled) std::memset(first, 0xff, usable);
  return guard() == Guard::End ? first + usable - bytes : first;
}

// Under the shared cache's mutex.
void release_guarded(void* block, size_t bytes) {
  if (guard() == Guard::Malloc) {
    std::free(block);
    return;
  }
  struct Pages {
    void* map;
    size_t size;
  };
  constexpr size_t kKept = 4096;
  static Pages kept[kKept] = {};
  static size_t oldest = 0;
  const size_t usable = whole_pages(bytes), page = page_size();
  char* const first = static_cast<char*>(block) - (guard() == Guard::End ? usable - bytes : 0);
  if (usable) mmap(first, usable, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  Pages& slot = kept[oldest++ % kKept];
  if (slot.map) munmap(slot.map, slot.size);
  slot = {first - page, usable + 2 * page};
}

struct ThreadCache;

// The cache that all threads share. Never destroyed: blocks are freed during interpreter shutdown too.
struct SharedCache {
  std::mutex mutex;
  FreeBlock* bins[kClasses] = {};
  FreeBlock *newest = nullptr, *oldest = nullptr;
  ThreadCache* threads = nullptr;
  std::unordered_map<const void*, int> lent;  // the class of live blocks that is not the one of the size asked for
  size_t cached = 0;
  size_t limit = size_t(std::min<uint64_t>(available_memory() / 4, uint64_t(4) << 30));
  std::atomic<int64_t> live{0}, peak{0}, os_requests{0};

  void add_live(int64_t bytes) {
    const int64_t now = live.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    for (int64_t p = peak.load(std::memory_order_relaxed);
         now > p && !peak.compare_exchange_weak(p, now, std::memory_order_relaxed);) {}
  }

  // The mutex is held in the following.
  void push(void* block, int c) {
    auto* b = new (block) FreeBlock{bins[c], nullptr, nullptr, newest, c};
    if (b->next) b->next->previous = b;
    if (newest)
      newest->newer = b;
    else
      oldest = b;
    bins[c] = newest = b;
    cached += class_size(c);
  }
  void remove(FreeBlock* b) {
    (b->previous ? b->previous->next : bins[b->size_class]) = b->next;
    if (b->next) b->next->previous = b->previous;
    (b->newer ? b->newer->older : newest) = b->older;
    (b->older ? b->older->newer : oldest) = b->newer;
    cached -= class_size(b->size_class);
  }
  void* pop(int c) {
    FreeBlock* const b = bins[c];
    if (b) remove(b);
    return b;
  }
  // A block of class c; of a wider one where sizes vary, as those of batches of sentences do: each of them would
  // otherwise get blocks of its own.
  void* take(int& c) {
    if (void* const b = pop(c)) return b;
    if (c < kSmallClasses) return nullptr;
    for (int wider = c + 1; wider <= c + kWider && wider < kClasses; ++wider)
      if (void* const b = pop(wider)) {
        lent.emplace(b, c = wider);
        return b;
      }
    return nullptr;
  }
  // The class of a block that was asked for as one of class c, which comes back.
  int returned(const void* block, int c) {
    if (lent.empty()) return c;
    const auto found = lent.find(block);
    if (found == lent.end()) return c;
    c = found->second;
    lent.erase(found);
    return c;
  }
  void shrink_to(size_t bytes) {
    while (cached > bytes) {
      FreeBlock* const b = oldest;
      const size_t size = class_size(b->size_class);
      remove(b);
      release(b, size);
    }
  }
};

SharedCache& shared() {
  static SharedCache* const cache = [] {
    auto* c = new SharedCache;
    static SharedCache* forked = c;
    pthread_atfork([] { forked->mutex.lock(); }, [] { forked->mutex.unlock(); }, [] { forked->mutex.unlock(); });
    return c;
  }();
  return *cache;
}

// One thread's small free blocks. The counters are atomics only for memory_stats: their thread alone writes them.
struct ThreadCache {
  FreeBlock* lists[kSmallClasses] = {};
  std::atomic<int64_t> cached{0}, delta{0};  // delta: live bytes not yet reported to the shared count
  ThreadCache *next = nullptr, *previous = nullptr;

  ThreadCache() {
    SharedCache& s = shared();
    std::lock_guard lock(s.mutex);
    next = s.threads;
    if (next) next->previous = this;
    s.threads = this;
  }
  ~ThreadCache() {
    SharedCache& s = shared();
    std::lock_guard lock(s.mutex);
    (previous ? previous->next : s.threads) = next;
    if (next) next->previous = previous;
    s.add_live(delta.load(std::memory_order_relaxed));
    spill(s);
  }

  void count(std::atomic<int64_t>& counter, int64_t bytes) {
    counter.store(counter.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  }
  void count_live(int64_t bytes) {
    const int64_t d = delta.load(std::memory_order_relaxed) + bytes;
    delta.store(d, std::memory_order_relaxed);
    if (d > kFlushDelta || d < -kFlushDelta) {
      delta.store(0, std::memory_order_relaxed);
      shared().add_live(d);
    }
  }

  // Hands all blocks to the shared cache, whose mutex is held.
  void spill(SharedCache& s) {
    for (int c = 0; c < kSmallClasses; ++c) {
      while (FreeBlock* const b = lists[c]) {
        lists[c] = b->next;
        s.push(b, c);
      }
    }
    cached.store(0, std::memory_order_relaxed);
    s.shrink_to(s.limit);
  }
};

// The thread's cache, made at first use and gone (null, for good) once the thread's destructors have begun. It stands on
// the heap: thread-local storage without a call to find it comes out of the few hundred bytes that the loader spares.
constinit thread_local ThreadCache* thread_cache __attribute__((tls_model("initial-exec"))) = nullptr;
constinit thread_local bool thread_ended = false;

struct ThreadCacheOwner {
  std::unique_ptr<ThreadCache> cache = std::make_unique<ThreadCache>();
  ~ThreadCacheOwner() {
    thread_cache = nullptr;
    thread_ended = true;
  }
};

__attribute__((noinline)) ThreadCache* make_thread_cache() {
  if (thread_ended || guard() != Guard::Off) return nullptr;
  static thread_local ThreadCacheOwner owner;
  return thread_cache = owner.cache.get();
}
ThreadCache* this_thread() { return thread_cache ? thread_cache : make_thread_cache(); }

[[noreturn]] void out_of_memory(size_t bytes) {
  fail<OutOfMemoryError>("allocate: expected memory for ", bytes, " bytes, got none from the operating system (",
                         shared().live.load(), " bytes in use, ", available_memory(), " available to this process)");
}

// From the shared cache, else from the operating system; once more after emptying the cache. c becomes the block's class.
__attribute__((noinline)) void* allocate_shared(int& c, size_t bytes) {
  SharedCache& s = shared();
  const bool guarded = guard() != Guard::Off;
  if (!guarded) {
    std::lock_guard lock(s.mutex);
    if (void* const block = s.take(c)) return block;
  }
  const size_t size = class_size(c);
  // Overcommitted memory fails at the first touch, by a signal: refuse here what cannot be there.
  const uint64_t live = uint64_t(std::max<int64_t>(s.live.load(std::memory_order_relaxed), 0));
  if (size >= kHugePage && live + bytes > available_memory()) out_of_memory(bytes);
  s.os_requests.fetch_add(1, std::memory_order_relaxed);
  if (guarded) {
    if (void* const block = request_guarded(bytes)) return block;
    out_of_memory(bytes);
  }
  if (void* const block = request(size)) return block;
  empty_cache();
  if (void* const block = request(size)) return block;
  out_of_memory(bytes);
}

}  // namespace

bool memory_is_guarded() { return guard() != Guard::Off; }

size_t block_size(size_t bytes) { return class_size(size_class(bytes)); }

void* allocate(size_t bytes) {
  if (bytes > kMaxBytes) out_of_memory(bytes);
  int c = size_class(bytes);
  if (c < kSmallClasses) {
    if (ThreadCache* const t = this_thread()) {
      const size_t size = class_size(c);
      void* block = t->lists[c];
      if (block) {
        t->lists[c] = t->lists[c]->next;
        t->count(t->cached, -int64_t(size));
      } else {
        block = allocate_shared(c, bytes);
      }
      t->count_live(int64_t(size));
      return block;
    }
  }
  void* const block = allocate_shared(c, bytes);
  shared().add_live(int64_t(class_size(c)));
  return block;
}

void deallocate(void* block, size_t bytes) noexcept {
  if (!block) return;
  int c = size_class(bytes);
  if (c < kSmallClasses) {
    if (ThreadCache* const t = this_thread()) {
      const size_t size = class_size(c);
      t->lists[c] = new (block) FreeBlock{t->lists[c], nullptr, nullptr, nullptr, c};
      t->count(t->cached, int64_t(size));
      t->count_live(-int64_t(size));
      if (t->cached.load(std::memory_order_relaxed) > int64_t(kThreadCacheLimit)) {
        SharedCache& s = shared();
        std::lock_guard lock(s.mutex);
        t->spill(s);
      }
      return;
    }
  }
  SharedCache& s = shared();
  std::unique_lock lock(s.mutex);
  c = s.returned(block, c);
  const size_t size = class_size(c);
  s.add_live(-int64_t(size));
  if (guard() != Guard::Off) {
    release_guarded(block, bytes);
    return;
  }
  if (size > s.limit) {
    lock.unlock();
    release(block, size);
    return;
  }
  s.shrink_to(s.limit - size);
  s.push(block, c);
}

void empty_cache() {
  SharedCache& s = shared();
  ThreadCache* const t = this_thread();
  std::lock_guard lock(s.mutex);
  if (t) t->spill(s);
  s.shrink_to(0);
}

void set_cache_limit(size_t bytes) {
  SharedCache& s = shared();
  std::lock_guard lock(s.mutex);
  s.limit = bytes;
  s.shrink_to(bytes);
}

MemoryStats memory_stats() {
  SharedCache& s = shared();
  std::lock_guard lock(s.mutex);
  MemoryStats stats{s.live, int64_t(s.cached), 0, s.os_requests, int64_t(s.limit)};
  for (const ThreadCache* t = s.threads; t; t = t->next) {
    stats.allocated += t->delta.load(std::memory_order_relaxed);
    stats.cached += t->cached.load(std::memory_order_relaxed);
  }
  stats.peak = std::max(s.peak.load(), stats.allocated);
  return stats;
}

void reset_peak_memory() {
  SharedCache& s = shared();
  s.peak.store(s.live.load());
}

}  // namespace pydl
