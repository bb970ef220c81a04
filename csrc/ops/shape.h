// Repeating and rearranging tensors.
#pragma once
#include "ops/registry.h"

namespace pydl {

Tensor flip(const Tensor& x, IntSpan dims);
Tensor repeat(const Tensor& x, IntSpan repeats);
Tensor movedim(const Tensor& x, IntSpan source, IntSpan destination);

}  // namespace pydl
