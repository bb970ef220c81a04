// The two limits of the machine that benchmarks are held against, as loops that do nothing else, on all threads of pydl.
#pragma once
#include <cstdint>
#include <memory>

#include "base/dtype.h"

namespace pydl {

class RooflineLoop {
 public:
  virtual ~RooflineLoop() = default;
  // Flops or bytes, reads and writes both counted, of one pass of all threads.
  virtual double amount() const = 0;
  // Seconds from the first thread's start to the last one's end.
  virtual double run(int64_t passes) = 0;
};

// Multiply-add chains in registers: Float32 or Float64.
std::unique_ptr<RooflineLoop> fma_loop(DType dtype);

// What a stream does per element: read one, read one and write one, read two and write one.
enum class Stream : uint8_t { Read, Copy, Add };

// Walks `bytes` of memory in all (at least 4 KiB), kept in whatever cache level it fits; each thread has its own part.
// `past_cache` writes around the caches.
std::unique_ptr<RooflineLoop> stream_loop(int64_t bytes, Stream stream, bool past_cache);

}  // namespace pydl
