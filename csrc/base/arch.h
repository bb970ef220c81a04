// What the processor can do and what the operating system lets it do, decided once.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace pydl {

// Instruction sets that kernels are compiled for, in ascending order. A machine that runs one runs those before it.
enum class Isa : uint8_t {
  Baseline,  // x86-64-v2 (SSE4.2), or the portable build elsewhere
  Avx2,      // x86-64-v3: AVX2, FMA, BMI, F16C
  Avx512     // x86-64-v4: AVX-512 F, DQ, BW, VL, CD
};
inline constexpr int kIsaCount = 3;
std::string_view name_of(Isa isa);  // "baseline", "avx2", "avx512": also the kernels' namespaces

// The best instruction set of this machine: cpuid, and the register state that the OS saves (xgetbv).
Isa detected_isa();
// detected_isa(), lowered by the environment variable PYDL_ISA. Throws ValueError when that names no instruction set
// or one that this machine lacks.
Isa active_isa();

// Data cache sizes in bytes, per core but for l3.
struct CacheSizes {
  int64_t l1, l2, l3;
};
const CacheSizes& cache_sizes();
// Moving this many bytes (read and written) leaves nothing useful in the caches: stores may bypass them.
inline bool exceeds_cache(int64_t bytes) { return bytes > cache_sizes().l3 / 4 * 3; }

// CPUs this process may use: the affinity mask, and the cgroup's quota rounded up.
int available_cpus();
// Bytes of memory this process may use: the machine's (swap included), or its cgroup's limit.
uint64_t available_memory();

// The processor's name as it gives it, for show_config().
std::string cpu_name();

}  // namespace pydl
