#include "ops/promote.h"

#include <algorithm>
#include <atomic>

namespace pydl {

static std::atomic<DType> default_dtype_{DType::Float32};
DType default_dtype() { return default_dtype_.load(std::memory_order_relaxed); }
void set_default_dtype(DType t) {
  if (!is_floating(t)) fail<TypeError>("set_default_dtype: expected a floating point dtype, got ", t);
  default_dtype_ = t;
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (a > b) std::swap(a, b);
  if (is_floating(b)) return a == DType::Float16 && b == DType::BFloat16 ? DType::Float32 : b;
  if (a == DType::UInt8 && b == DType::Int8) return DType::Int16;
  return b;
}

static int category(DType t) { return t == DType::Bool ? 0 : is_integral(t) ? 1 : 2; }

bool can_cast(DType from, DType to) { return category(from) <= category(to); }

void Promotion::add(const Tensor& t) {
  std::optional<DType>& slot = t.dim() > 0 ? dimensioned_ : zero_dim_;
  slot = slot ? promote(*slot, t.dtype()) : t.dtype();
}

void Promotion::add(const Scalar& s) {
  const DType t = s.is_float() ? default_dtype() : s.kind();
  number_ = number_ ? promote(*number_, t) : t;
}

DType Promotion::result() const {
  std::optional<DType> best = dimensioned_;
  for (const auto& lower : {zero_dim_, number_}) {
    if (!lower) continue;
    if (!best) best = lower;
    else if (category(*lower) > category(*best)) best = promote(*best, *lower);
  }
  return best.value_or(default_dtype());
}

}  // namespace pydl
