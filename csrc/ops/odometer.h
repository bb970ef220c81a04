// The position in a loop over several dimensions, kept by additions: a division for each of them would cost more than a
// short row of work.
#pragma once
#include "tensor/dims.h"

namespace pydl {

// The last dimension turns fastest. move(d, by) is called whenever index d, of `sizes`, changes by that much.
class Odometer {
 public:
  template <class Move> Odometer(IntSpan sizes, int64_t position, Move&& move) : sizes_(sizes), index_(sizes.size(), 0) {
    for (size_t d = sizes.size(); d-- > 0; position /= sizes[d]) move(d, index_[d] = position % sizes[d]);
  }
  template <class Move> void advance(Move&& move) {
    for (size_t d = sizes_.size(); d-- > 0;) {
      if (++index_[d] < sizes_[d]) return move(d, int64_t(1));
      move(d, 1 - index_[d]);
      index_[d] = 0;
    }
  }

 private:
  IntSpan sizes_;
  Dims index_;
};

}  // namespace pydl
