// How indexing meets memory: Picks are the rows that x[indices] consists of, Lines the runs that gather and scatter
// along a dimension walk. Both say which thread may write what, so that writes to one element keep their order.
#pragma once
#include <vector>

#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/odometer.h"
#include "tensor/tensor.h"

namespace pydl {

inline constexpr int64_t kIndexGrain = 32 * 1024;  // elements worth a thread

// The accumulating kernels of every type that kernels compute in.
template <class T>
auto scatter_kernels() {
  if constexpr (std::is_floating_point_v<T>) return kernels<T>().scatter;
  else return IntScatter<T>();
}

// The first position of a contiguous int64 index outside [low, high), or -1.
int64_t find_out_of_range(const Tensor& index, int64_t low, int64_t high);

// Row r of the result, r = o * rows.numel() + i, holds row_size elements of x, row_stride apart, from
// outer_offset(o) + rows[i] * row_step on.
struct Picks {
  Dims outer_sizes, outer_strides;  // the dimensions before the indexed ones
  Tensor rows;                      // int64, contiguous, in [0, row_span)
  int64_t row_step = 1, row_span = 1;
  int64_t row_size = 1, row_stride = 1;
  Dims result_sizes;

  // `indices` has an int64 tensor or nothing for each leading dimension of x. Raises IndexError out of range.
  Picks(const Tensor& x, const std::vector<Tensor>& indices);
  int64_t outer_count() const { return element_count(outer_sizes); }
  int64_t outer_offset(int64_t o) const;
};

// out, contiguous, <- the rows of x.
void read_picks(const Tensor& out, const Tensor& x, const Picks& p);
// The rows of x <- values, contiguous and of x's dtype; of repeated rows the last one stays.
void write_picks(const Tensor& x, const Tensor& values, const Picks& p);
// The rows of x += values; repeated rows add up in order. No half precision.
void add_picks(const Tensor& x, const Tensor& values, const Picks& p);

// The elements x[..., index[position], ...] with the index along `dim`, as lines: element i of one lies at
// offset + index[position + i*stride]*along + i*step in x.
class Lines {
 public:
  // `sizes` are those of the index, contiguous. Of `owned` lines, those that may share an element of x run in order on
  // one thread.
  Lines(const Tensor& x, int64_t dim, IntSpan sizes, bool owned);

  int64_t along, step, stride;

  // line(offset, position, n) for all lines.
  template <class F>
  void run(const F& line) const {
    const int64_t width = whole_ ? 1 : length_, size = whole_ ? length_ : 1;
    const int64_t work = std::max<int64_t>(1, repeats_ * size);
    parallel_for(element_count(sizes_) * width, std::max<int64_t>(1, kIndexGrain / work), [&](int64_t at, int64_t end) {
      int64_t first = at % width, offset = first * step, position = first * stride;
      const auto move = [&](size_t d, int64_t by) {
        offset += by * x_strides_[d];
        position += by * strides_[d];
      };
      for (Odometer row(sizes_, at / width, move);; row.advance(move)) {
        const int64_t n = std::min(width - first, end - at);
        for (int64_t r = 0; r < repeats_; ++r) line(offset, position + r * repeat_stride_, n * size);
        if ((at += n) == end) return;
        offset -= first * step, position -= first * stride;
        first = 0;
      }
    });
  }

 private:
  int64_t length_;       // of a whole line
  bool whole_;           // a line meets elements more than once: threads take all of it
  Dims sizes_, x_strides_, strides_;                // the other dimensions
  int64_t repeats_ = 1, repeat_stride_ = 0;         // the indexed dimension, where lines run across it and are owned
};

}  // namespace pydl
