// Memory formats for operators that work on contiguous memory. A channels-last tensor with its dimensions in the order
// they lie in, (N, spatial..., C), is contiguous: compute on that, turn the result back, and the format is kept.
#pragma once
#include "tensor/tensor.h"

namespace pydl {

// The one rule for results: do the strides nest as in channels-last memory (gaps allowed), and in no other format's? Where
// C or all of the space is 1 wide they do not tell: no, for that may be a sequence. (Tensor::is_channels_last says yes.)
bool lies_channels_last(const Tensor& t);
// Does the shape leave the format open, so that contiguous memory is channels-last too?
bool fits_both_formats(const Tensor& t);

// The order in which the dimensions of `model` lie: (N, spatial..., C), or the logical one.
class MemoryOrder {
 public:
  explicit MemoryOrder(const Tensor& model) : channels_last_(lies_channels_last(model)), ndim_(model.dim()) {}
  bool channels_last() const { return channels_last_; }
  // A tensor of the model's rank with its dimensions in memory order, and back; both without history.
  Tensor to_memory(const Tensor& t) const;
  Tensor to_logical(const Tensor& t) const;
  Dims to_memory(IntSpan sizes) const;
  // Where dimension d of the model stands in memory order.
  int64_t dim(int64_t d) const { return !channels_last_ || d == 0 ? d : d == 1 ? ndim_ - 1 : d - 1; }

 private:
  bool channels_last_;
  int64_t ndim_;
};

}  // namespace pydl
