// Shapes and strides: 64-bit extents, counted in elements.
#pragma once
#include <cstdint>
#include <ostream>
#include <span>

#include "base/small_vector.h"

namespace pydl {

using Dims = SmallVector<int64_t, 6>;
using IntSpan = std::span<const int64_t>;

inline constexpr int64_t kMaxDims = 64;

inline bool same(IntSpan a, IntSpan b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

// Shapes print as Python lists: [2, 3].
struct Shown { IntSpan dims; };
inline Shown show(IntSpan dims) { return {dims}; }
inline std::ostream& operator<<(std::ostream& out, Shown s) {
  out << '[';
  for (size_t i = 0; i < s.dims.size(); ++i) out << (i ? ", " : "") << s.dims[i];
  return out << ']';
}

// The product of the extents; raises ShapeError for a negative extent or a product beyond 2^63.
int64_t element_count(IntSpan sizes);
Dims contiguous_strides(IntSpan sizes);
// Strides of channels-last memory for a logical (N, C, spatial...) shape of 3 to 5 dimensions.
Dims channels_last_strides(IntSpan sizes);
// Strides of dense memory whose dimensions nest in the order of the given strides (equal ones in logical order).
Dims dense_strides(IntSpan sizes, IntSpan order);
// The shape both broadcast to; raises ShapeError naming `op` and both shapes.
Dims broadcast_shapes(const char* op, IntSpan a, IntSpan b);
// A dimension in [-ndim, ndim) made non-negative (0-d tensors take -1 and 0); raises IndexError.
int64_t wrap_dim(const char* op, int64_t dim, int64_t ndim);
// Each dimension wrapped and marked; raises on repeats. No dims means all of them.
Dims wrap_dims(const char* op, IntSpan dims, int64_t ndim);

}  // namespace pydl
