// The two limits of the machine that benchmarks are held against, measured with all threads of pydl.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace pydl {

// Floating point operations per second of multiply-add chains in registers: Float32 or Float64.
double measure_fma_peak(DType dtype);

// What a loop does per element: read one, read one and write one, read two and write one.
enum class Stream : uint8_t { Read, Copy, Add };

// Bytes per second, reads and writes both counted, of the best such loop over `bytes` of memory in all (at least 4 KiB),
// kept in whatever cache level it fits. Each thread has its own part of the memory.
double measure_bandwidth(int64_t bytes, Stream stream);

}  // namespace pydl
