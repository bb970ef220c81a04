// OpenMP regions. Every region starts the full team: libgomp destroys and recreates its workers when the team size
// changes, so threads that have nothing to do just return.
#include "base/parallel.h"

#if defined(_OPENMP)
#include <omp.h>
#else  // a Clang without its own OpenMP: the pragma below becomes the call into libgomp that GCC makes of it
extern "C" void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
extern "C" int omp_get_thread_num();
extern "C" int omp_get_num_threads();
#endif
#include <pthread.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>

#include "base/arch.h"
#include "base/check.h"

namespace pydl {
namespace {

constexpr int kMaxThreads = 4096;

std::atomic<int> requested_threads{0};  // 0: not decided yet
std::atomic<bool> forked_child{false};
RegionHooks region_hooks{};
thread_local bool inside_region = false;
thread_local bool serial_thread = false;

int default_threads() {
  int n = available_cpus();
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const int wanted = std::atoi(text);  // of a list "4,2" the first counts
    if (wanted > 0) n = std::min(n, wanted);
  }
  return n;
}

// A worker's share of a region: in-region flag and denormal mode, both restored at its end.
struct RegionScope {
  FlushDenormals flush;
  bool outer = inside_region;
  RegionScope() { inside_region = true; }
  ~RegionScope() { inside_region = outer; }
};

using Clock = std::chrono::steady_clock;

// Lets a caller work alone for a while when other programs hold the processors. A region ends when its last thread does,
// and a worker that has lost its processor takes milliseconds to get it back: a training step of a hundred regions then
// waits a hundred times. Whoever has waited longer than it worked does without the team for a multiple of that wait,
// twice as long each time in a row.
class Crowding {
 public:
  bool alone() const { return backoff_ > 1 && Clock::now() < until_; }
  void record(Clock::duration worked, Clock::duration waited) {
    if (waited < kNoticed || waited < worked) {
      backoff_ = 1;
      return;
    }
    backoff_ = std::min(2 * backoff_, 32);
    until_ = Clock::now() + backoff_ * waited;
  }

 private:
  static constexpr Clock::duration kNoticed = std::chrono::milliseconds(2);
  int backoff_ = 1;
  Clock::time_point until_;
};
thread_local Crowding crowding;

// What the threads of one region share: the first exception, and a barrier that a failure opens for good.
struct Region {
  std::exception_ptr error;
  std::atomic<bool> failed{false};
  std::atomic<int> arrived{0};
  std::atomic<uint32_t> phase{0};
  Clock::duration waited{0};  // of the caller, at barriers that came late

  void capture() {
    if (!failed.exchange(true)) error = std::current_exception();
  }
};

struct TeamAborted {};

// Keeps a team's workers off the processor that their caller runs on. Some schedulers wake a thread where the waking one
// runs, and the two then share that processor until a balancing tick several milliseconds later: regions that follow
// a pause took 8 ms instead of 0.2 on a two-core virtual machine. A worker changes its affinity only when the caller
// has moved, and then to all of the caller's processors but that one.
#if defined(__linux__)
class Placement {
 public:
  // The caller's, up to date. Empty (no restriction) when threads outnumber processors.
  static const Placement& of_caller(int threads) {
    thread_local Placement placement;
    const int cpu = sched_getcpu();
    if (cpu != placement.cpu_ || threads != placement.threads_) placement.refresh(cpu, threads);
    return placement;
  }
  void apply_to_worker() const {
    thread_local int avoided = -1;
    if (avoided == cpu_ || !usable_) return;
    sched_setaffinity(0, sizeof others_, &others_);
    avoided = cpu_;
  }

 private:
  void refresh(int cpu, int threads) {
    cpu_ = cpu, threads_ = threads;
    usable_ = cpu >= 0 && cpu < CPU_SETSIZE && sched_getaffinity(0, sizeof others_, &others_) == 0 &&
              CPU_COUNT(&others_) >= threads && CPU_ISSET(cpu, &others_);
    if (usable_) CPU_CLR(cpu, &others_);
  }

  int cpu_ = -1, threads_ = 0;
  bool usable_ = false;
  cpu_set_t others_;
};
#else
struct Placement {
  static Placement of_caller(int) { return {}; }
  void apply_to_worker() const {}
};
#endif

// Runs body(thread, threads) on the whole team, between the hooks, and rethrows what it threw.
template <class Body>
void fork_region(int threads, Region& region, const Body& body) {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { forked_child.store(true); });
  (void)registered;
  void* const hook_state = region_hooks.enter ? region_hooks.enter() : nullptr;
  const Placement& placement = Placement::of_caller(threads);
  const Clock::time_point begin = Clock::now();
  Clock::time_point done = begin;  // when the caller was
  auto member = [&] {
    RegionScope scope;
    const int thread = omp_get_thread_num();
    if (thread != 0) placement.apply_to_worker();
    try {
      body(thread, omp_get_num_threads());
    } catch (const TeamAborted&) {
    } catch (...) { region.capture(); }
    if (thread == 0) done = Clock::now();
  };
#if defined(_OPENMP)
#pragma omp parallel num_threads(threads)
  member();
#else
  GOMP_parallel([](void* m) { (*static_cast<decltype(member)*>(m))(); }, &member, unsigned(threads), 0);
#endif
  crowding.record(done - begin - region.waited, Clock::now() - done + region.waited);
  if (region_hooks.leave) region_hooks.leave(hook_state);
  if (region.error) std::rethrow_exception(region.error);
}

// Threads for the next region. More than there are processors were asked for on purpose.
int region_threads() {
  static const int cpus = available_cpus();
  const int threads = num_threads();
  return in_parallel_region() || (threads <= cpus && crowding.alone()) ? 1 : threads;
}

void spin_pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

}  // namespace

int num_threads() {
  int n = requested_threads.load(std::memory_order_relaxed);
  if (n == 0) {
    n = default_threads();
    requested_threads.store(n, std::memory_order_relaxed);
  }
  return n;
}

void set_num_threads(int n) {
  if (n < 1 || n > kMaxThreads) fail<ValueError>("set_num_threads: expected 1 to ", kMaxThreads, ", got ", n);
  requested_threads.store(n, std::memory_order_relaxed);
}

bool set_serial_thread(bool on) { return std::exchange(serial_thread, on); }

bool in_parallel_region() { return inside_region || serial_thread || forked_child.load(std::memory_order_relaxed); }

void set_region_hooks(RegionHooks hooks) { region_hooks = hooks; }

SerialRegion::SerialRegion(bool on) {
  if (on && !inside_region && region_hooks.enter) state_ = region_hooks.enter();
}
SerialRegion::~SerialRegion() {
  if (state_) region_hooks.leave(state_);
}

void parallel_ranges(int64_t n, int64_t grain, RangeFn fn, void* context, bool dynamic) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  const int64_t grains = (n - 1) / grain + 1;
  const int threads = grains > 1 ? region_threads() : 1;
  if (threads == 1) {
    const SerialRegion region(grains > 1);
    FlushDenormals flush;
    fn(context, 0, n);
    return;
  }
  Region region;
  if (dynamic) {
    std::atomic<int64_t> next{0};
    fork_region(threads, region, [&](int, int) {
      while (!region.failed.load(std::memory_order_relaxed)) {
        const int64_t g = next.fetch_add(1, std::memory_order_relaxed);
        if (g >= grains) break;
        fn(context, g * grain, std::min(n, (g + 1) * grain));
      }
    });
  } else {
    fork_region(threads, region, [&](int thread, int size) {
      const int64_t pieces = std::min<int64_t>(size, grains), unit = grain >= 64 ? 64 : 1, units = (n - 1) / unit + 1;
      const int64_t each = units / pieces, extra = units % pieces;
      const int64_t first = thread * each + std::min<int64_t>(thread, extra), last = first + each + (thread < extra);
      if (thread < pieces && first < last) fn(context, first * unit, std::min(n, last * unit));
    });
  }
}

void Team::barrier() const {
  if (!region) return;
  Region& shared = *static_cast<Region*>(region);
  const uint32_t phase = shared.phase.load(std::memory_order_relaxed);
  if (shared.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
    shared.arrived.store(0, std::memory_order_relaxed);
    shared.phase.store(phase + 1, std::memory_order_release);
  }
  static const int cpus = available_cpus();
  Clock::time_point late;
  int spins = size <= cpus ? 20000 : 100;
  while (shared.phase.load(std::memory_order_acquire) == phase) {
    if (shared.failed.load(std::memory_order_relaxed)) throw TeamAborted{};
    if (--spins > 0) {
      spin_pause();
    } else {
      if (spins == 0) late = Clock::now();
      std::this_thread::yield();
    }
  }
  if (index == 0 && spins <= 0) shared.waited += Clock::now() - late;
}

void run_team(int threads, TeamFn fn, void* context) {
  threads = std::min(threads, region_threads());
  if (threads <= 1) {
    FlushDenormals flush;
    fn(context, Team{0, 1, nullptr});
    return;
  }
  Region region;
  fork_region(num_threads(), region, [&](int thread, int started) {
    const int size = std::min(threads, started);
    if (thread < size) fn(context, Team{thread, size, size > 1 ? &region : nullptr});
  });
}

}  // namespace pydl
