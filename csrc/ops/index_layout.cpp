#include "ops/index_layout.h"

#include <atomic>

#include "kernels/index_int.h"
#include "ops/copy.h"
#include "ops/view.h"

namespace pydl {

int64_t find_out_of_range(const Tensor& index, int64_t low, int64_t high) {
  const int64_t* const at = index.data<int64_t>();
  std::atomic<bool> found = false;
  parallel_for(index.numel(), kIndexGrain, [&](int64_t begin, int64_t end) {
    if (index_out_of_range(at + begin, end - begin, low, high) >= 0) found = true;
  });
  return found ? index_out_of_range(at, index.numel(), low, high) : -1;
}

namespace {

// An index tensor as offsets: out[i] += stride * (index[i], counted from the end where it is negative).
void add_offsets(const Tensor& out, const Tensor& index, int64_t size, int64_t stride) {
  int64_t* const o = out.data<int64_t>();
  const int64_t* const at = index.data<int64_t>();
  parallel_for(out.numel(), kIndexGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) o[i] += stride * (at[i] + (at[i] >> 63 & size));
  });
}

// Every row of x splits into `size` rows, `stride` apart.
Tensor split_rows(const Tensor& rows, int64_t size, int64_t stride) {
  const Tensor out = Tensor::empty(Dims{rows.numel() * size}, DType::Int64);
  const int64_t* const from = rows.data<int64_t>();
  int64_t* to = out.data<int64_t>();
  for (int64_t r = 0; r < rows.numel(); ++r)
    for (int64_t i = 0; i < size; ++i) *to++ = from[r] + i * stride;
  return out;
}

}  // namespace

Picks::Picks(const Tensor& x, const std::vector<Tensor>& indices) {
  Dims shape, indexed;
  for (int64_t d = 0; d < int64_t(indices.size()); ++d) {
    if (!indices[size_t(d)].defined()) continue;
    shape = broadcast_shapes("index", shape, indices[size_t(d)].sizes());
    indexed.push_back(d);
  }
  const bool adjacent = !indexed.empty() && indexed.back() - indexed.front() + 1 == int64_t(indexed.size());

  Dims inner_sizes, inner_strides;
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (std::find(indexed.begin(), indexed.end(), d) != indexed.end()) continue;
    const bool before = adjacent && d < indexed.front();
    (before ? outer_sizes : inner_sizes).push_back(x.size(d));
    (before ? outer_strides : inner_strides).push_back(x.stride(d));
  }
  result_sizes = outer_sizes;
  result_sizes.append(shape.begin(), shape.end());
  result_sizes.append(inner_sizes.begin(), inner_sizes.end());

  // The innermost dimensions that lie in memory as one are a row.
  size_t upper = inner_sizes.size();
  for (; upper > 0; --upper) {
    const int64_t size = inner_sizes[upper - 1], stride = inner_strides[upper - 1];
    if (size == 1) continue;
    if (row_size == 1) row_stride = stride;
    else if (stride != row_stride * row_size) break;
    row_size *= size;
  }

  std::vector<Tensor> dense;
  bool negative = false;
  for (const int64_t d : indexed) {
    const int64_t n = x.size(d);
    dense.push_back(contiguous(expand(indices[size_t(d)].alias(), shape)));
    if (find_out_of_range(dense.back(), 0, n) < 0) continue;
    negative = true;
    if (const int64_t bad = find_out_of_range(dense.back(), -n, n); bad >= 0)
      fail<IndexError>("index: expected indices in [", -n, ", ", n - 1, "] for dimension ", d, " of size ", n, ", got ",
                       dense.back().data<int64_t>()[bad]);
  }
  if (indexed.size() == 1 && upper == 0 && !negative) {  // the index itself says the rows
    rows = dense[0];
    row_step = x.stride(indexed[0]);
    row_span = x.size(indexed[0]);
    return;
  }
  rows = Tensor::empty(Dims{element_count(shape)}, DType::Int64);
  fill_(rows, Scalar(int64_t(0)));
  for (size_t i = 0; i < dense.size(); ++i) {
    const int64_t d = indexed[i];
    add_offsets(rows, dense[i], x.size(d), x.stride(d));
    row_span += std::max<int64_t>(x.size(d) - 1, 0) * x.stride(d);
  }
  for (size_t d = 0; d < upper; ++d) {
    rows = split_rows(rows, inner_sizes[d], inner_strides[d]);
    row_span += std::max<int64_t>(inner_sizes[d] - 1, 0) * inner_strides[d];
  }
}

int64_t Picks::outer_offset(int64_t o) const {
  int64_t offset = 0;
  for (size_t d = outer_sizes.size(); d-- > 0; o /= outer_sizes[d]) offset += o % outer_sizes[d] * outer_strides[d];
  return offset;
}

void read_picks(const Tensor& out, const Tensor& x, const Picks& p) {
  const int64_t rows = p.rows.numel(), size = p.row_size;
  const int64_t* const index = p.rows.data<int64_t>();
  const bool stream = exceeds_cache(2 * int64_t(out.nbytes()));
  visit_bits(x.item_size(), [&]<class T>(type_tag<T>) {
    const MoveKernels<T>& move = move_kernels<T>();
    parallel_for(p.outer_count() * rows, 1 + kIndexGrain / (size + 1), [&](int64_t row, int64_t end) {
      while (row < end) {
        const int64_t first = row % rows, n = std::min(rows - first, end - row);
        const T* const from = x.data<T>() + p.outer_offset(row / rows);
        T* const to = out.data<T>() + row * size;
        if (p.row_stride == 1) {
          move.gather_rows(to, size, from, p.row_step, index + first, n, size, stream);
        } else {
          for (int64_t i = 0; i < n; ++i)
            move.copy_strided(to + i * size, 1, from + index[first + i] * p.row_step, p.row_stride, size);
        }
        row += n;
      }
    });
  });
}

namespace {

// Writes rows in order, by the kernels `rows` (contiguous ones) and `line`. Threads own outer positions; or columns of
// the rows, where they are long; or else rows of x.
template <class T, class Rows, class Line>
void write_rows(const Tensor& x, const Tensor& values, const Picks& p, Rows rows, Line line) {
  constexpr int64_t kLongRow = 32, kColumns = 16;
  const int64_t n = p.rows.numel(), size = p.row_size, outer = p.outer_count(), work = std::max<int64_t>(1, n * size);
  const int64_t* const index = p.rows.data<int64_t>();
  auto write = [&](int64_t o, int64_t column, int64_t columns, int64_t first, int64_t last) {
    T* const to = x.data<T>() + p.outer_offset(o);
    const T* const from = values.data<T>() + o * n * size;
    if (size == 1) {
      line(to, p.row_step, 0, from, 1, index, 1, n);
    } else if (p.row_stride == 1) {
      rows(to + column, p.row_step, from + column, size, index, n, columns, first, last);
    } else {
      for (int64_t i = 0; i < n; ++i) line(to, p.row_step, p.row_stride, from + i * size, 1, index + i, 0, size);
    }
  };
  if (outer > 1) {
    parallel_for(outer, 1 + kIndexGrain / work, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) write(o, 0, size, 0, p.row_span);
    });
  } else if (size == 1 || p.row_stride != 1 || work <= kIndexGrain) {
    write(0, 0, size, 0, p.row_span);
  } else if (size >= kLongRow) {
    const int64_t units = (size + kColumns - 1) / kColumns;
    parallel_for(units, 1 + kIndexGrain / (n * kColumns), [&](int64_t begin, int64_t end) {
      write(0, begin * kColumns, std::min(end * kColumns, size) - begin * kColumns, 0, p.row_span);
    });
  } else {
    const int64_t shares = work / kIndexGrain;
    parallel_for(p.row_span, (p.row_span + shares - 1) / shares,
                 [&](int64_t first, int64_t last) { write(0, 0, size, first, last); });
  }
}

}  // namespace

void write_picks(const Tensor& x, const Tensor& values, const Picks& p) {
  visit_bits(x.item_size(), [&]<class T>(type_tag<T>) {
    write_rows<T>(x, values, p, move_kernels<T>().scatter_rows, move_kernels<T>().scatter);
  });
}

void add_picks(const Tensor& x, const Tensor& values, const Picks& p) {
  visit_compute(x.dtype(), [&]<class T>(type_tag<T>) {
    const auto k = scatter_kernels<T>();
    auto rows = [&](T* out, int64_t out_stride, const T* in, int64_t in_stride, const int64_t* index, int64_t n,
                    int64_t cols, int64_t first, int64_t last) {
      k.add_rows(out, out_stride, in, in_stride, index, n, cols, first, last, T(1));
    };
    write_rows<T>(x, values, p, rows, k.add);
  });
}

Lines::Lines(const Tensor& x, int64_t dim, IntSpan sizes, bool owned) : along(x.stride(dim)) {
  constexpr int64_t kShort = 4;
  // Lines run along the last dimension, or along the longest where that one is short.
  size_t line = sizes.size() - 1;
  if (sizes[line] < kShort) line = size_t(std::max_element(sizes.begin(), sizes.end()) - sizes.begin());
  const Dims strides = contiguous_strides(sizes);
  const bool across = int64_t(line) != dim;
  step = across ? x.stride(int64_t(line)) : 0;
  stride = strides[line];
  length_ = sizes[line];
  whole_ = owned && !across;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (d == line) continue;
    if (int64_t(d) == dim && owned) {
      repeats_ = sizes[d];
      repeat_stride_ = strides[d];
      continue;
    }
    const int64_t x_stride = int64_t(d) == dim ? 0 : x.stride(int64_t(d));
    if (!sizes_.empty() && x_strides_.back() == x_stride * sizes[d] && strides_.back() == strides[d] * sizes[d]) {
      sizes_.back() *= sizes[d];
      x_strides_.back() = x_stride;
      strides_.back() = strides[d];
      continue;
    }
    sizes_.push_back(sizes[d]);
    x_strides_.push_back(x_stride);
    strides_.push_back(strides[d]);
  }
}

}  // namespace pydl
