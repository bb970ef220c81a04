#include "base/arch.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <thread>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/check.h"

namespace pydl {
namespace {

#if defined(__x86_64__)
struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
  Registers r;
  if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) r = {};
  return r;
}

constexpr bool has(unsigned reg, std::initializer_list<int> bits) {
  for (int b : bits)
    if (!(reg >> b & 1)) return false;
  return true;
}

// XCR0: the register files that the OS saves on a context switch.
uint64_t saved_state() {
  unsigned low, high;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

Isa detect() {
  const Registers one = cpuid(1), seven = cpuid(7), extended = cpuid(0x80000001);
  if (!has(one.ecx, {0, 9, 13, 19, 20, 23}))  // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT
    fail<Error>("pydl: expected an x86-64-v2 processor (SSE4.2, POPCNT), got ", cpu_name());
  if (!has(one.ecx, {27})) return Isa::Baseline;  // no OSXSAVE: xgetbv does not exist
  const uint64_t state = saved_state();
  constexpr uint64_t kYmm = 0x06, kZmm = 0xe6;  // XMM, YMM; and opmask, both halves of ZMM
  // FMA, MOVBE, AVX, F16C; BMI1, AVX2, BMI2; LZCNT
  if ((state & kYmm) != kYmm || !has(one.ecx, {12, 22, 28, 29}) || !has(seven.ebx, {3, 5, 8}) ||
      !has(extended.ecx, {5}))
    return Isa::Baseline;
  if ((state & kZmm) != kZmm || !has(seven.ebx, {16, 17, 28, 30, 31})) return Isa::Avx2;  // F, DQ, CD, BW, VL
  return Isa::Avx512;
}
#else
Isa detect() { return Isa::Baseline; }
#endif

Isa choose() {
  const char* wanted = std::getenv("PYDL_ISA");
  if (!wanted || !*wanted) return detected_isa();
  std::string choices;
  for (int i = 0; i <= int(detected_isa()); ++i) {
    if (name_of(Isa(i)) == wanted) return Isa(i);
    (choices += i ? ", " : "") += name_of(Isa(i));
  }
  fail<ValueError>("PYDL_ISA: expected one of ", choices, " on this machine, got ", wanted);
}

// The kernel knows better than sysconf, which multiplies by cores it cannot see inside a virtual machine.
int64_t cache_size(int level, int64_t otherwise) {
  for (int i = 0; i < 8; ++i) {
    const std::string index = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i);
    int found = 0;
    int64_t kib = 0;
    std::string type;
    std::ifstream(index + "/level") >> found;
    std::ifstream(index + "/type") >> type;
    if (found == level && type != "Instruction" && std::ifstream(index + "/size") >> kib && kib > 0) return kib << 10;
  }
  return otherwise;
}

int affinity_cpus() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, int(std::thread::hardware_concurrency()));
}

// Calls visit(directory) for this process's cgroup and each of its ancestors: v2's, and v1's for one controller.
template <class F>
void for_each_cgroup(const std::string& controller, const F& visit) {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "id:controller,controller:/path"; v2 names none
    std::istringstream fields(line);
    std::string id, controllers, path, name, mount = "/sys/fs/cgroup";
    std::getline(fields, id, ':'), std::getline(fields, controllers, ':'), std::getline(fields, path);
    bool ours = controllers.empty();
    for (std::istringstream names(controllers); std::getline(names, name, ',');)
      if (name == controller) ours = true, mount += "/" + controller;
    if (!ours) continue;
    for (;; path.erase(path.rfind('/'))) {
      visit(mount + path);
      if (path.find('/') == std::string::npos) break;
    }
  }
}

double read_number(const std::string& file) {  // negative when absent or "max"
  double value = -1;
  std::ifstream(file) >> value;
  return value;
}

}  // namespace

int available_cpus() {
  static const int cpus = [] {
    double limit = affinity_cpus();
    for_each_cgroup("cpu", [&](const std::string& directory) {
      double quota = -1, period = 0;
      if (std::ifstream v2(directory + "/cpu.max"); !(v2 >> quota >> period))  // "max 100000" is no number
        quota = read_number(directory + "/cpu.cfs_quota_us"), period = read_number(directory + "/cpu.cfs_period_us");
      if (quota > 0 && period > 0) limit = std::min(limit, std::max(1.0, std::ceil(quota / period)));
    });
    return int(limit);
  }();
  return cpus;
}

uint64_t available_memory() {
  static const uint64_t bytes = [] {
    double limit = 0;
    std::ifstream info("/proc/meminfo");
    std::string name, unit;
    for (double kib; info >> name >> kib && std::getline(info, unit);)
      if (name == "MemTotal:" || name == "SwapTotal:") limit += kib * 1024;
    if (limit == 0) limit = double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGESIZE));
    for_each_cgroup("memory", [&](const std::string& directory) {
      for (const char* file : {"/memory.max", "/memory.limit_in_bytes"})
        if (const double max = read_number(directory + file); max > 0) limit = std::min(limit, max);
    });
    return uint64_t(limit);
  }();
  return bytes;
}

std::string_view name_of(Isa isa) {
  constexpr std::string_view names[kIsaCount] = {"baseline", "avx2", "avx512"};
  return names[int(isa)];
}

Isa detected_isa() {
  static const Isa isa = detect();
  return isa;
}

Isa active_isa() {
  static const Isa isa = choose();
  return isa;
}

const CacheSizes& cache_sizes() {
  static const CacheSizes sizes{cache_size(1, 32 << 10), cache_size(2, 512 << 10), cache_size(3, 8 << 20)};
  return sizes;
}

std::string cpu_name() {
#if defined(__x86_64__)
  char text[49] = {};
  for (unsigned i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002 + i);
    std::memcpy(text + 16 * i, &r, 16);
  }
  std::string name(text);
  while (!name.empty() && name.back() == ' ') name.pop_back();
  return name.substr(std::min(name.find_first_not_of(' '), name.size()));
#else
  return "unknown";
#endif
}

}  // namespace pydl
