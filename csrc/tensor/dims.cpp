#include "tensor/dims.h"

#include "base/check.h"

namespace pydl {

int64_t element_count(IntSpan sizes) {
  int64_t n = 1;
  bool zero = false;
  for (int64_t s : sizes) {
    if (s < 0) fail<ShapeError>("expected non-negative sizes, got ", show(sizes));
    zero |= s == 0;
  }
  if (zero) return 0;
  for (int64_t s : sizes)
    if (__builtin_mul_overflow(n, s, &n)) fail<ShapeError>("expected fewer than 2^63 elements, got ", show(sizes));
  return n;
}

Dims contiguous_strides(IntSpan sizes) {
  Dims strides(sizes.size(), 1);
  for (int64_t d = int64_t(sizes.size()) - 2; d >= 0; --d)
    strides[size_t(d)] = strides[size_t(d) + 1] * std::max<int64_t>(sizes[size_t(d) + 1], 1);
  return strides;
}

Dims channels_last_strides(IntSpan sizes) {
  const size_t n = sizes.size();
  Dims strides(n, 1);
  int64_t step = std::max<int64_t>(sizes[1], 1);
  for (size_t d = n - 1; d >= 2; --d) {
    strides[d] = step;
    step *= std::max<int64_t>(sizes[d], 1);
  }
  strides[0] = step;
  return strides;
}

Dims dense_strides(IntSpan sizes, IntSpan order) {
  Dims dims, strides(sizes.size(), 1);
  for (size_t d = 0; d < sizes.size(); ++d) dims.push_back(int64_t(d));
  std::stable_sort(dims.begin(), dims.end(), [&](int64_t a, int64_t b) {
    return sizes[size_t(a)] != 1 && sizes[size_t(b)] != 1 && order[size_t(a)] > order[size_t(b)];
  });
  int64_t step = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[size_t(dims[i])] = step;
    step *= std::max<int64_t>(1, sizes[size_t(dims[i])]);
  }
  return strides;
}

Dims broadcast_shapes(const char* op, IntSpan a, IntSpan b) {
  const IntSpan &longer = a.size() >= b.size() ? a : b, &shorter = a.size() >= b.size() ? b : a;
  Dims out(longer);
  const size_t lead = longer.size() - shorter.size();
  for (size_t d = 0; d < shorter.size(); ++d) {
    const int64_t x = longer[lead + d], y = shorter[d];
    if (x != y && x != 1 && y != 1)
      fail<ShapeError>(op, ": expected shapes that broadcast, got ", show(a), " and ", show(b), " (dimension ", lead + d,
                       ": ", a.size() >= b.size() ? x : y, " and ", a.size() >= b.size() ? y : x, ")");
    out[lead + d] = x == 1 ? y : x;
  }
  return out;
}

int64_t wrap_dim(const char* op, int64_t dim, int64_t ndim) {
  const int64_t n = std::max<int64_t>(ndim, 1);
  if (dim < -n || dim >= n)
    fail<IndexError>(op, ": expected a dimension in [", -n, ", ", n - 1, "], got ", dim);
  return dim < 0 ? dim + n : dim;
}

Dims wrap_dims(const char* op, IntSpan dims, int64_t ndim) {
  Dims out;
  if (dims.empty()) {
    for (int64_t d = 0; d < ndim; ++d) out.push_back(d);
    return out;
  }
  uint64_t seen = 0;
  for (int64_t d : dims) {
    const int64_t w = wrap_dim(op, d, ndim);
    if (seen >> w & 1) fail<ShapeError>(op, ": expected each dimension once, got ", show(dims));
    seen |= uint64_t(1) << w;
    if (ndim > 0) out.push_back(w);
  }
  return out;
}

}  // namespace pydl
