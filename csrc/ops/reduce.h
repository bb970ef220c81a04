// Reductions over any set of dimensions.
#pragma once
#include "ops/registry.h"

namespace pydl {

// No dims means all of them.
Tensor sum(const Tensor& x, IntSpan dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
// The sums of x^2 and of |x|, floating point, in one pass.
Tensor sum_squares(const Tensor& x, IntSpan dims = {}, bool keepdim = false);
Tensor sum_abs(const Tensor& x, IntSpan dims = {}, bool keepdim = false);
Tensor mean(const Tensor& x, IntSpan dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
Tensor amax(const Tensor& x, IntSpan dims = {}, bool keepdim = false);
Tensor amin(const Tensor& x, IntSpan dims = {}, bool keepdim = false);
Tensor any(const Tensor& x, IntSpan dims = {}, bool keepdim = false);
Tensor all(const Tensor& x, IntSpan dims = {}, bool keepdim = false);
Tensor argmax(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false);
Tensor argmin(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false);
std::tuple<Tensor, Tensor> max(const Tensor& x, int64_t dim, bool keepdim = false);
std::tuple<Tensor, Tensor> min(const Tensor& x, int64_t dim, bool keepdim = false);
Tensor prod(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false, std::optional<DType> dtype = {});
Tensor var(const Tensor& x, IntSpan dims, double correction = 1, bool keepdim = false);
Tensor logsumexp(const Tensor& x, IntSpan dims, bool keepdim = false);
Tensor cumsum(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});

std::tuple<Tensor, Tensor> var_mean(const Tensor& x, IntSpan dims, double correction = 1, bool keepdim = false);

// The gradient of an operation that picked one element along dim: g at the picked indices, zeros elsewhere.
Tensor scatter_selected(const Tensor& g, const Tensor& indices, IntSpan sizes, int64_t dim, bool keepdim);

// x shaped like a reduction of `sizes` over `dims` with or without keepdim, broadcast back to `sizes`.
Tensor restore(const Tensor& reduced, IntSpan sizes, IntSpan dims, bool keepdim);

}  // namespace pydl
