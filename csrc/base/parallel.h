// Threads. parallel.cpp holds the only `#pragma omp` of the project; everything else asks here.
//
// Results never depend on the thread count: callers cut the work into a grid of chunks chosen from shape and dtype
// alone, each chunk writes its own part, and partial sums are combined in ascending chunk order by one thread.
#pragma once
#include <cstdint>
#include <type_traits>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace pydl {

// Threads used by parallel regions: set_num_threads, else OMP_NUM_THREADS, else the CPUs this process may use
// (affinity mask and cgroup quota).
int num_threads();
void set_num_threads(int n);

// True inside a parallel region (nested regions run serially) and in a forked child.
bool in_parallel_region();

// Keeps the calling thread's kernels on it alone, so that a thread that prepares data beside a computation does not start a
// team of its own. What would have been a region still lets go of the GIL. Returns what held before.
bool set_serial_thread(bool on);

// What would have been a region, done by one thread: the region hooks are called around it.
class SerialRegion {
 public:
  explicit SerialRegion(bool on);
  ~SerialRegion();
  SerialRegion(const SerialRegion&) = delete;
  SerialRegion& operator=(const SerialRegion&) = delete;

 private:
  void* state_ = nullptr;
};

// Work worth waking the other threads for, in nanoseconds of one core's time.
inline constexpr int64_t kParallelThresholdNs = 6000;

using RangeFn = void (*)(void* context, int64_t begin, int64_t end);
// Calls fn(context, begin, end) on disjoint sub-ranges that cover [0, n), concurrently when n > grain and more than one
// thread is set. Exceptions thrown by fn are rethrown here. Sub-ranges are equal, one a thread, n / grain of them at most
// and with cuts at multiples of 64 where the grain is that long; unless `dynamic`, where threads take a grain at a time.
void parallel_ranges(int64_t n, int64_t grain, RangeFn fn, void* context, bool dynamic = false);

// f(begin, end) over [0, n), an equal piece a thread. n <= grain runs inline without any overhead.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& f) {
  if (n <= 0) return;
  if (n <= grain) {
    f(int64_t(0), n);
    return;
  }
  parallel_ranges(
      n, grain, [](void* c, int64_t b, int64_t e) { (*static_cast<std::remove_reference_t<F>*>(c))(b, e); }, &f);
}

// f(begin, end) over the fixed grid of chunks of `grain` indices, whatever the thread count: for work whose bits depend on
// where it is cut.
template <class F> void parallel_chunks(int64_t n, int64_t grain, F&& f) {
  parallel_for((n + grain - 1) / grain, 1, [&](int64_t chunk, int64_t end) {
    for (; chunk < end; ++chunk) f(chunk * grain, (chunk + 1) * grain < n ? (chunk + 1) * grain : n);
  });
}

// A team of `threads` workers, each calling f(thread, threads), with barrier() available inside: for algorithms with
// phases (GEMM's packing). `threads` is at most num_threads(); serial contexts get a team of one.
struct Team {
  int index, size;
  void* region;  // the shared barrier; null in a team of one
  // Waits for the whole team. When a member has thrown, the others leave here too (by an exception run_team catches).
  void barrier() const;
};
using TeamFn = void (*)(void* context, const Team&);
void run_team(int threads, TeamFn fn, void* context);
template <class F>
void parallel_team(int threads, F&& f) {
  run_team(
      threads, [](void* c, const Team& t) { (*static_cast<std::remove_reference_t<F>*>(c))(t); }, &f);
}

// Flushes denormals (results and operands) to zero while it lives, then restores the caller's floating-point state.
// Regions hold one on every thread; operators hold one around kernels that they call serially.
class FlushDenormals {
 public:
#if defined(__SSE2__)
  FlushDenormals() : saved_(_mm_getcsr()) {
    if ((saved_ & kBits) != kBits) _mm_setcsr(saved_ | kBits);
  }
  ~FlushDenormals() {
    if ((saved_ & kBits) != kBits) _mm_setcsr(saved_);
  }

 private:
  static constexpr unsigned kBits = 0x8040;  // FTZ and DAZ
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(saved_ | (uint64_t(1) << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
  uint64_t saved_;
#else
  FlushDenormals() {}
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

// Called around every region, whether it forks or not; the bindings release and retake the GIL there.
struct RegionHooks {
  void* (*enter)();
  void (*leave)(void*);
};
void set_region_hooks(RegionHooks hooks);

}  // namespace pydl
