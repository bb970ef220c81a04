// Moving values: copies, casts, clones, fills.
#pragma once
#include "ops/registry.h"

namespace pydl {

// Writes `from`, broadcast and cast, into `into`; recorded when either takes part in a graph.
Tensor copy_(const Tensor& into, const Tensor& from);
Tensor fill_(const Tensor& into, const Scalar& value);
Tensor zero_(const Tensor& into);

// The same values in another dtype; the tensor itself when nothing changes.
Tensor cast(const Tensor& x, DType dtype);
Tensor clone(const Tensor& x, std::optional<MemoryFormat> format = {});
Tensor contiguous(const Tensor& x, std::optional<MemoryFormat> format = {});
// x in the memory format of an image `model`: itself, or a channels-last copy.
Tensor in_format_of(const Tensor& model, const Tensor& x);
// Memory with the shape and, for Preserve, the strides order of x.
Tensor empty_like(const Tensor& x, std::optional<DType> dtype = {}, std::optional<MemoryFormat> format = {});

// Gives an out= tensor the wanted shape; memory is replaced when it is too small.
void resize_output(const char* op, const Tensor& out, IntSpan sizes);
// An out= or in-place target must be of a category at least that of the result.
void check_can_cast(const char* op, DType from, DType to);

// ---- without history: for forward code ------------------------------------------------------------------------------
// Raw copy with broadcasting and cast, no graph, no version.
void copy_values(const Tensor& into, const Tensor& from);
// x as it would lie beside `model`, a dense tensor of its shape and dtype: a copy where the two are transposed to each
// other in memory, so that walking both would jump through one of them.
std::optional<Tensor> transposed_into_order_of(const Tensor& model, const Tensor& x);

}  // namespace pydl
