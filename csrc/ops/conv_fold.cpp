#include "ops/conv_fold.h"

#include <bit>
#include <cmath>

#include "ops/copy.h"
#include "ops/derived.h"
#include "ops/iterate.h"

namespace pydl {
namespace {

// Filters, then a bias for each: w * scale and (b - mean) * scale + shift, rounded once.
template <class T>
void fold_into(T* out, const Tensor& weight, const Tensor& bias, const RunningNorm& norm) {
  const int64_t filters = weight.size(0), each = weight.numel() / filters;
  const auto value = [](const Tensor& t, int64_t i, double absent) {
    return t.defined() ? double(t.data<T>()[i * t.stride(0)]) : absent;
  };
  const T* w = weight.data<T>();
  T* const folded_bias = out + filters * each;
  for (int64_t f = 0; f < filters; ++f) {
    const double scale = value(norm.weight, f, 1) / std::sqrt(value(norm.var, f, 1) + norm.eps);
    for (int64_t i = 0; i < each; ++i) *out++ = T(double(*w++) * scale);
    folded_bias[f] = T((value(bias, f, 0) - value(norm.mean, f, 0)) * scale + value(norm.bias, f, 0));
  }
}

}  // namespace

FoldedConv fold(const Tensor& weight, const Tensor& bias, const RunningNorm& norm) {
  constexpr int64_t kForm = -2;  // among the derived buffers of a weight
  const Tensor dense = contiguous(weight.alias(), MemoryFormat::Contiguous);
  Dims also{int64_t(std::bit_cast<uint64_t>(norm.eps))};
  bool keep = !weight.storage()->shared;
  for (const Tensor* t : {&bias, &norm.mean, &norm.var, &norm.weight, &norm.bias}) {
    keep &= !t->defined() || !(*t).storage()->shared;
    also.push_back(keep ? identity(*t) : 0);
  }
  const int64_t filters = weight.size(0), values = weight.numel();
  Dims key{kForm, int64_t(weight.dtype()), dense.offset()};
  key.append(dense.sizes().begin(), dense.sizes().end());
  Ref<DerivedBuffer> kept;
  visit_float(weight.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kept = derived_buffer<T>(
        dense, key, values + filters, keep, [&](T* out) { fold_into(out, dense, bias, norm); }, also);
  });
  const Tensor& both = kept->values;
  return {both.alias(dense.sizes(), dense.strides(), 0), both.alias(Dims{filters}, Dims{1}, values), keep};
}

}  // namespace pydl
