#include "ops/fused_activation.h"

#include "base/check.h"
#include "kernels/table.h"

namespace pydl {
namespace {

template <class T, PointwiseLoop PointwiseKernels<T>::*Loop> void apply(T* values, int64_t n) {
  const void* const in[] = {values};
  const int64_t step[] = {1};
  (kernels<T>().pointwise.*Loop)(values, in, step, n, false);
}
template <class T> void relu6(T* values, int64_t n) {
  const T low = 0, high = 6;
  const void* const in[] = {values, &low, &high};
  const int64_t step[] = {1, 0, 0};
  kernels<T>().pointwise.hardtanh(values, in, step, n, false);
}

#define ROW(name, ...)                                                                                                 \
  {#name, Activation::None, apply<float, &PointwiseKernels<float>::name>, apply<double, &PointwiseKernels<double>::name>, \
   __VA_ARGS__}
constexpr FusedActivation kActivations[] = {
    {"relu", Activation::Relu, nullptr, nullptr, &rows::relu},
    {"relu6", Activation::None, relu6<float>, relu6<double>},
    ROW(gelu), ROW(gelu_tanh), ROW(hardsigmoid), ROW(hardswish), ROW(mish), ROW(sigmoid, &rows::sigmoid), ROW(silu),
    ROW(tanh, &rows::tanh),
};
#undef ROW

}  // namespace

const FusedActivation* fused_activation(const char* op, std::string_view name) {
  if (name.empty()) return nullptr;
  for (const FusedActivation& f : kActivations)
    if (f.name == name) return &f;
  fail(op, ": expected an activation of the epilogue, got '", name, "'");
}

}  // namespace pydl
