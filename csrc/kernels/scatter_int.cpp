#include "kernels/scatter.h"
#include "kernels/scatter_loops.h"

namespace pydl {

template <class T>
void IntScatter<T>::add_rows(T* out, int64_t out_stride, const T* in, int64_t in_stride, const int64_t* index,
                             int64_t n, int64_t cols, int64_t first, int64_t last, T alpha) {
  for (int64_t i = 0; i < n; ++i) {
    if (index[i] < first || index[i] >= last) continue;
    T* const o = out + index[i] * out_stride;
    const T* const a = in + i * in_stride;
    for (int64_t j = 0; j < cols; ++j) o[j] = Add::combine(value_at(o + j), Multiply::combine(alpha, value_at(a + j)));
  }
}

#define DEFINE(name, Op)                                                       \
  template <class T>                                                           \
  void IntScatter<T>::name(PYDL_LINE) {                                        \
    combine_line<Op>(out, along, step, in, in_stride, index, index_stride, n); \
  }
DEFINE(add, Add)
DEFINE(multiply, Multiply)
DEFINE(max, Larger)
DEFINE(min, Smaller)
#undef DEFINE

template struct IntScatter<bool>;
template struct IntScatter<uint8_t>;
template struct IntScatter<int8_t>;
template struct IntScatter<int16_t>;
template struct IntScatter<int32_t>;
template struct IntScatter<int64_t>;

}  // namespace pydl
