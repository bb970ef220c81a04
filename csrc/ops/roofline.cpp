#include "ops/roofline.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/allocator.h"
#include "base/check.h"
#include "base/parallel.h"
#include "kernels/table.h"

namespace pydl {
namespace {

constexpr double kSampleSeconds = 2e-3;
constexpr int kSamples = 15;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Span {
  double all;      // from the first thread's start to the last one's end
  double longest;  // the slowest thread's own time
};

// Runs work(thread, repeats) on all threads at once.
template <class Work> Span time_team(int threads, int64_t repeats, Work&& work) {
  std::vector<double> begin(size_t(threads), 0.0), end(size_t(threads), 0.0);
  parallel_team(threads, [&](const Team& team) {
    team.barrier();
    begin[size_t(team.index)] = now();
    work(team.index, repeats);
    end[size_t(team.index)] = now();
  });
  Span span{*std::max_element(end.begin(), end.end()) - *std::min_element(begin.begin(), begin.end()), 0};
  for (int i = 0; i < threads; ++i) span.longest = std::max(span.longest, end[size_t(i)] - begin[size_t(i)]);
  return span;
}

// Highest rate over several samples, each long enough for the clock: `amount` is the work of one repeat of all threads.
// The length is found from the threads' own times, since a thread that waits for a busy core says nothing about the work.
template <class Work> double best_rate(int threads, double amount, Work&& work) {
  auto own_time = [&](int64_t repeats) {
    double seconds = time_team(threads, repeats, work).longest;
    for (int i = 0; i < 2; ++i) seconds = std::min(seconds, time_team(threads, repeats, work).longest);
    return std::max(seconds, 1e-9);
  };
  int64_t repeats = 1;
  for (double seconds = own_time(repeats); seconds < kSampleSeconds; seconds = own_time(repeats))
    repeats = std::max(repeats + 1, int64_t(double(repeats) * std::min(10.0, 1.2 * kSampleSeconds / seconds)));
  double seconds = time_team(threads, repeats, work).all;
  for (int i = 1; i < kSamples; ++i) seconds = std::min(seconds, time_team(threads, repeats, work).all);
  return amount * double(repeats) / seconds;
}

struct Buffer {
  float* data;
  size_t bytes;
  explicit Buffer(int64_t n) : bytes(size_t(n) * sizeof(float)) {
    data = static_cast<float*>(allocate(bytes));
    std::fill_n(data, n, 1.0f);
  }
  ~Buffer() { deallocate(data, bytes); }
  Buffer(const Buffer&) = delete;
};

template <class T> double fma_peak(int threads) {
  const auto& k = kernels<T>().roofline;
  constexpr int64_t kRounds = 1000;
  std::vector<T> sink(size_t(threads) * 64);  // a cache line or more for each thread
  return best_rate(threads, double(threads) * double(kRounds * k.flops_per_round()), [&](int thread, int64_t repeats) {
    sink[size_t(thread) * 64] = k.fma_chains(kRounds * repeats);
  });
}

}  // namespace

double measure_fma_peak(DType dtype) {
  if (dtype != DType::Float32 && dtype != DType::Float64)
    fail<TypeError>("measure_fma_peak: expected float32 or float64, got ", name_of(dtype));
  return dtype == DType::Float32 ? fma_peak<float>(num_threads()) : fma_peak<double>(num_threads());
}

double measure_bandwidth(int64_t bytes, Stream stream) {
  if (bytes < 4096) fail<ValueError>("measure_bandwidth: expected at least 4096 bytes, got ", bytes);
  const int threads = num_threads();
  const int buffers = stream == Stream::Read ? 1 : stream == Stream::Copy ? 2 : 3;
  const int64_t piece = int64_t(sizeof(float)) * threads * buffers * kStreamBlock;
  const int64_t n = std::max<int64_t>(1, bytes / piece) * kStreamBlock;  // elements of a buffer for each thread
  Buffer a(n * threads), b(stream == Stream::Add ? n * threads : 0), out(stream == Stream::Read ? 0 : n * threads);
  std::vector<float> sink(size_t(threads) * 64);
  const auto& k = kernels<float>().roofline;

  auto rate = [&](auto&& pass) {
    return best_rate(threads, double(sizeof(float)) * double(n) * threads * buffers, [&](int thread, int64_t repeats) {
      for (int64_t r = 0; r < repeats; ++r) pass(thread, n * thread);
    });
  };
  switch (stream) {
    case Stream::Read:
      return rate([&](int thread, int64_t at) { sink[size_t(thread) * 64] += k.read(a.data + at, n); });
    case Stream::Copy:
      return std::max(rate([&](int, int64_t at) { k.copy(out.data + at, a.data + at, n); }),
                      rate([&](int, int64_t at) { k.copy_past_cache(out.data + at, a.data + at, n); }));
    default:
      return std::max(rate([&](int, int64_t at) { k.add(out.data + at, a.data + at, b.data + at, n); }),
                      rate([&](int, int64_t at) { k.add_past_cache(out.data + at, a.data + at, b.data + at, n); }));
  }
}

}  // namespace pydl
