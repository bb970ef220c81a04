#include "ops/conv_pack.h"

#include "kernels/table.h"

namespace pydl {

ConvWeightLayout weight_layout(const Correlation& c, const std::vector<int64_t>& row_of) {
  // Summed channels whose weights follow each other are one long segment.
  const bool joined = c.segment_stride == c.kernel_taps;
  return {.channels = c.channels, .lane_stride = c.lane_stride, .segments = joined ? 1 : c.reduced,
          .segment_stride = c.segment_stride, .segment_length = joined ? c.reduced * c.kernel_taps : c.kernel_taps,
          .rows = c.rows(), .row_of = row_of.data()};
}

template <class T> int64_t packed_group(const Correlation& c) {
  return c.rows() * round_up(c.channels, kernels<T>().conv.vector);
}

template <class T> void pack_weight(const Correlation& c, const Dims3& kernel, const T* weight, T* packed) {
  for_weight_panels<T>(c, kernel, 1, [&](int64_t from, int64_t to, const ConvWeightLayout& layout) {
    kernels<T>().conv.pack_weight(packed + to, weight + from, layout);
  });
}

Dims packing_key(const Correlation& c, const Dims3& kernel, const ConvWeight& weight, int64_t form) {
  Dims key{form,       weight.values.offset(), int64_t(weight.values.dtype()), c.groups, c.reduced,
           c.channels, c.lane_stride};
  key.append(kernel.begin(), kernel.end());
  for (const Axis& a : c.axis) {
    key.push_back(-1);
    for (const Tap& t : a.taps) key.push_back(t.index);
  }
  return key;
}

template <class T>
Ref<DerivedBuffer> packed_weight(const Correlation& c, const Dims3& kernel, const ConvWeight& weight) {
  return derived_buffer<T>(weight.values, packing_key(c, kernel, weight, 0), packed_size<T>(c), weight.keep,
                           [&](T* packed) { pack_weight(c, kernel, weight.data<T>(), packed); });
}

template <class T>
void unpack_weight(const Correlation& c, const Dims3& kernel, const T* packed, int64_t parts, T* weight) {
  for_weight_panels<T>(c, kernel, parts, [&](int64_t to, int64_t from, const ConvWeightLayout& layout) {
    kernels<T>().conv.unpack_weight(weight + to, packed + from, parts, packed_size<T>(c), layout);
  });
}

#define INSTANTIATE(T)                                                                         \
  template int64_t packed_group<T>(const Correlation&);                                        \
  template void pack_weight<T>(const Correlation&, const Dims3&, const T*, T*);                \
  template Ref<DerivedBuffer> packed_weight<T>(const Correlation&, const Dims3&, const ConvWeight&); \
  template void unpack_weight<T>(const Correlation&, const Dims3&, const T*, int64_t, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace pydl
