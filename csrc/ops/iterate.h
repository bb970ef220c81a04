// The iterator of pointwise operators, copies and casts. It broadcasts the operands, coalesces dimensions and orders
// them by the output's strides, splits the work over threads, and hands a loop contiguous (or single) operands of the
// dtypes it computes in, gathering and casting in L1-sized chunks where memory looks otherwise.
#pragma once
#include <span>

#include "kernels/pointwise.h"
#include "ops/registry.h"

namespace pydl {

// An operand and the dtype in which the loop reads it.
struct Input {
  Operand operand;
  DType as;
};

struct PointwiseCall {
  const char* op;
  PointwiseLoop loop;
  DType writes;      // what the loop writes
  DType result;      // dtype of a fresh result; writes are cast to the output's dtype
  double cost = 0.2; // nanoseconds an element on one core, for the split over threads
};

// Runs the loop over the broadcast operands. Returns the fresh result, or out.target, resized (out=) or checked
// (in-place, whose version is bumped).
Tensor run_pointwise(const PointwiseCall& call, std::span<const Input> inputs, const Out& out);

// Checks that `out` may be written with `sizes`: memory writable, no overlap of its own elements. An out= tensor of another
// shape is resized. Nothing is written.
void prepare_output(const char* op, const Out& out, IntSpan sizes, DType result);

}  // namespace pydl
