// Making tensors.
#pragma once
#include "ops/registry.h"

namespace pydl {

Tensor full(IntSpan size, const Scalar& value, std::optional<DType> dtype = {});
Tensor zeros(IntSpan size, DType dtype);
Tensor ones(IntSpan size, DType dtype);
// What a result of that size is written to: fresh memory, or out= in its own dtype.
Tensor to_fill(const char* op, IntSpan size, std::optional<DType> dtype, DType otherwise, const Out& out);
// [start, end) in steps; int64 when all three are integers.
Tensor arange(const Scalar& start, const Scalar& end, const Scalar& step = Scalar(1), std::optional<DType> dtype = {});
// A 0-d tensor of the number's own dtype (default dtype for floats).
Tensor scalar_tensor(const Scalar& value, std::optional<DType> dtype = {});

}  // namespace pydl
