// How the steps of a recurrent layer are dealt out to threads, and its packed weights.
#pragma once
#include <algorithm>

#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/derived.h"
#include "ops/recurrent_layer.h"

namespace pydl {

// A thread's part of every step: some of the sequences and all units, or the reverse.
struct StepShare {
  int64_t first = 0, stride = 1, most = INT64_MAX;  // sequences first, first + stride, ...
  int part = 0, parts = 1;                          // of the units

  // Sequences of one length are dealt out as blocks, whose rows lie side by side; others, sorted by length, in turns.
  static StepShare of_sequences(const Timeline& time, const Team& team) {
    if (time.active.back() < time.sequences) return {team.index, team.size, INT64_MAX, 0, 1};
    const int64_t each = time.sequences / team.size, extra = time.sequences % team.size, i = team.index;
    return {i * each + std::min(i, extra), 1, each + (i < extra), 0, 1};
  }
  static StepShare of_units(const Team& team) { return {0, 1, INT64_MAX, team.index, team.size}; }

  int64_t count(int64_t active) const {
    return active > first ? std::min((active - first - 1) / stride + 1, most) : 0;
  }
  // Panels of a matrix with so many columns.
  template <class T> void choose(Panels<T>& w, int64_t gates) const {
    const int64_t width = kernels<T>().recurrent.vector * (gates == 1 ? kernels<T>().recurrent.lone_vectors : 1);
    const int64_t panels = (w.columns + width - 1) / width, each = panels / parts, extra = panels % parts;
    w.first = part * each + std::min<int64_t>(part, extra);
    w.last = w.first + each + (part < extra);
  }
};

// Sequences are independent: given some for each thread, none ever waits. Otherwise, or where the weights would stream
// through the cache once for each thread and few of its sequences, threads share the units and meet after every product.
// Neither changes a bit.
struct StepPlan {
  int threads = 1;
  bool by_units = false, is_region = false;

  template <class T> static StepPlan make(const Timeline& time, int64_t k, int64_t units, int64_t gates) {
    constexpr int64_t kCacheBytes = 1 << 19, kRepaid = 24, kStepNs = 5000;
    const int64_t flops_per_ns = sizeof(T) == 4 ? 90 : 45, weights = k * units * gates * int64_t(sizeof(T));
    const int64_t products = 2 * time.sequences * units * gates * k / flops_per_ns;
    const int64_t step_ns = std::max(products, weights / 32) + time.sequences * units * gates * int64_t(sizeof(T)) / 16;
    StepPlan plan;
    plan.is_region = step_ns * time.steps >= 2 * kParallelThresholdNs;
    if (in_parallel_region() || !plan.is_region) return plan;
    const int available = num_threads();
    const bool rows = time.sequences >= (weights <= kCacheBytes ? 2 : kRepaid) * available;
    if (!rows && step_ns >= kStepNs) {
      plan.by_units = true;
      plan.threads = int(std::min<int64_t>(available, step_ns / (kStepNs / 2)));
    } else {
      plan.threads = int(std::min<int64_t>(available, time.sequences));
    }
    return plan;
  }

  // f(share, team) on every thread.
  template <class F> void run(const Timeline& time, F f) const {
    const SerialRegion alone(is_region && threads == 1);
    parallel_team(threads, [&](const Team& team) {
      f(by_units ? StepShare::of_units(team) : StepShare::of_sequences(time, team), team);
    });
  }
  void wait(const Team& team) const {
    if (by_units) team.barrier();
  }
};

// B [k, gates * units] of a weight tensor in panels: B(p, j) = values[p * rs + j * cs]. Kept with the weights on request.
template <class T>
Ref<DerivedBuffer> packed_panels(const Tensor& values, int64_t rs, int64_t cs, int64_t k, int64_t gates,
                                 int64_t units, bool keep) {
  constexpr int64_t kKind = -7;  // tells these buffers from those of other operators
  const RecurrentKernels<T>& kernel = kernels<T>().recurrent;
  const int64_t padded = (units + kernel.vector - 1) / kernel.vector * kernel.vector;
  const int64_t width = kernel.vector * (gates == 1 ? kernel.lone_vectors : 1), panels = (units + width - 1) / width;
  const Dims key{kKind, values.offset(), int64_t(values.dtype()), rs, cs, k, gates, units};
  return derived_buffer<T>(values, key, std::max<int64_t>(padded * gates * k, 1), keep, [&](T* packed) {
    const int64_t grain = std::max<int64_t>(1, 4096 / std::max<int64_t>(k * gates * width, 1));
    parallel_for(panels, grain, [&](int64_t p, int64_t end) {
      for (; p < end; ++p) kernel.pack_panel(packed, values.data<T>(), rs, cs, k, gates, units, p);
    });
  });
}

template <class T> T* pointer_or_null(const Tensor& t) { return t.defined() ? t.data<T>() : nullptr; }

}  // namespace pydl
