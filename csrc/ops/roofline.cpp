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

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Runs work(thread) on all threads at once.
template <class Work> double time_team(int threads, Work&& work) {
  std::vector<double> begin(size_t(threads), 0.0), end(size_t(threads), 0.0);
  parallel_team(threads, [&](const Team& team) {
    team.barrier();
    begin[size_t(team.index)] = now();
    work(team.index);
    end[size_t(team.index)] = now();
  });
  return *std::max_element(end.begin(), end.end()) - *std::min_element(begin.begin(), begin.end());
}

// What keeps the loops' results alive: a cache line or more for each thread.
template <class T> std::vector<T> sinks(int threads) { return std::vector<T>(size_t(threads) * 64); }

template <class T> class FmaLoop : public RooflineLoop {
 public:
  double amount() const override { return double(threads_) * double(kRounds * kernels<T>().roofline.flops_per_round()); }
  double run(int64_t passes) override {
    return time_team(threads_, [&](int thread) {
      sink_[size_t(thread) * 64] = kernels<T>().roofline.fma_chains(kRounds * passes);
    });
  }

 private:
  static constexpr int64_t kRounds = 1000;
  int threads_ = num_threads();
  std::vector<T> sink_ = sinks<T>(threads_);
};

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

class StreamLoop : public RooflineLoop {
 public:
  StreamLoop(int64_t bytes, Stream stream, bool past_cache)
      : stream_(stream), past_cache_(past_cache), threads_(num_threads()),
        buffers_(stream == Stream::Read ? 1 : stream == Stream::Copy ? 2 : 3),
        n_(std::max<int64_t>(1, bytes / (int64_t(sizeof(float)) * threads_ * buffers_ * kStreamBlock)) * kStreamBlock),
        a_(n_ * threads_), b_(stream == Stream::Add ? n_ * threads_ : 0), out_(stream == Stream::Read ? 0 : n_ * threads_) {}

  double amount() const override { return double(sizeof(float)) * double(n_) * threads_ * buffers_; }
  double run(int64_t passes) override {
    return time_team(threads_, [&](int thread) {
      for (int64_t p = 0; p < passes; ++p) pass(thread, n_ * thread);
    });
  }

 private:
  void pass(int thread, int64_t at) {
    const auto& k = kernels<float>().roofline;
    switch (stream_) {
      case Stream::Read:
        sink_[size_t(thread) * 64] += k.read(a_.data + at, n_);
        break;
      case Stream::Copy:
        (past_cache_ ? k.copy_past_cache : k.copy)(out_.data + at, a_.data + at, n_);
        break;
      case Stream::Add:
        (past_cache_ ? k.add_past_cache : k.add)(out_.data + at, a_.data + at, b_.data + at, n_);
        break;
    }
  }

  const Stream stream_;
  const bool past_cache_;
  const int threads_, buffers_;
  const int64_t n_;  // elements of a buffer for each thread
  Buffer a_, b_, out_;
  std::vector<float> sink_ = sinks<float>(threads_);
};

}  // namespace

std::unique_ptr<RooflineLoop> fma_loop(DType dtype) {
  if (dtype == DType::Float32) return std::make_unique<FmaLoop<float>>();
  if (dtype == DType::Float64) return std::make_unique<FmaLoop<double>>();
  fail<TypeError>("fma_loop: expected float32 or float64, got ", name_of(dtype));
}

std::unique_ptr<RooflineLoop> stream_loop(int64_t bytes, Stream stream, bool past_cache) {
  if (bytes < 4096) fail<ValueError>("stream_loop: expected at least 4096 bytes, got ", bytes);
  return std::make_unique<StreamLoop>(bytes, stream, past_cache);
}

}  // namespace pydl
