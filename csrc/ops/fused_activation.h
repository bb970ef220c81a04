// Activations that products and convolutions apply in their epilogue, with the bits of the operator of that name.
#pragma once
#include <string_view>

#include "kernels/gemm.h"
#include "ops/pointwise.h"
#include "tensor/tensor.h"

namespace pydl {

struct FusedActivation {
  std::string_view name;
  Activation activation;  // in registers; None: by the functions
  void (*float32)(float* values, int64_t n);
  void (*float64)(double* values, int64_t n);
  const PointwiseRow* from_output = nullptr;  // whose gradient needs only the result; null: what was overwritten
};
// Null for "", no activation; raises for a name that has none.
const FusedActivation* fused_activation(const char* op, std::string_view name);

template <class T> void set_activation(Epilogue<T>& epilogue, const FusedActivation* f) {
  if (!f) return;
  epilogue.activation = f->activation;
  if constexpr (sizeof(T) == 4) epilogue.elementwise = f->float32;
  else epilogue.elementwise = f->float64;
}

}  // namespace pydl
