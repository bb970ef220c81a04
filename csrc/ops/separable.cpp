#include "ops/separable.h"

#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"

namespace pydl {

namespace {

constexpr int64_t kGrain = 16 * 1024;  // elements worth a thread

// A stretch of a row: `count` positions from `at` on read the input from `from` on, `step` apart; from -1: the fill.
struct Stretch {
  int64_t at, count, from, step;
};

std::vector<Stretch> stretches(const Positions& positions) {
  std::vector<Stretch> found;
  for (int64_t o = 0; o < int64_t(positions.size()); ++o) {
    const int64_t p = positions[size_t(o)];
    if (!found.empty()) {
      Stretch& s = found.back();
      const int64_t step = s.count == 1 ? p - s.from : s.step;
      const bool fills = s.from < 0 && p < 0, follows = s.from >= 0 && p >= 0 && step >= -1 && step <= 1 && p == s.from + s.count * step;
      if (fills || follows) {
        ++s.count;
        s.step = fills ? 0 : step;
        continue;
      }
    }
    found.push_back({o, 1, p, 1});
  }
  return found;
}

// For each of n positions along a dimension: how many, from it on, read one position of the input after the other.
std::vector<int64_t> neighbours(const Positions& positions, int64_t n) {
  std::vector<int64_t> ahead(size_t(n), 1);
  for (int64_t o = n - 2; o >= 0; --o) {
    const bool follows = positions.empty() || (positions[size_t(o)] >= 0 && positions[size_t(o) + 1] == positions[size_t(o)] + 1);
    if (follows) ahead[size_t(o)] = ahead[size_t(o) + 1] + 1;
  }
  return ahead;
}

// Both tensors dense in one order of dimensions: sizes and positions are given in that order.
template <class T>
void read_dense(T* out, const T* in, const Dims& out_sizes, const Dims& in_sizes, const std::vector<const Positions*>& positions, T fill) {
  // Rows run along the last dimension that moves; what lies inside it moves in one piece of `run` elements.
  int64_t row = int64_t(out_sizes.size()) - 1, run = 1;
  while (row > 0 && positions[size_t(row)]->empty()) run *= out_sizes[size_t(row--)];
  const Positions& along = *positions[size_t(row)];
  const int64_t n = out_sizes[size_t(row)], in_row = in_sizes[size_t(row)] * run;
  const std::vector<Stretch> parts = along.empty() ? std::vector<Stretch>{{0, n, 0, 1}} : stretches(along);
  // Many short stretches are a gather.
  bool gathers = !along.empty() && int64_t(parts.size()) * 4 > n;
  for (int64_t p : along) gathers &= p >= 0;

  const MoveKernels<T>& move = move_kernels<T>();
  const int64_t width = n * run;  // of a row, in elements
  int64_t rows = 1;
  for (int64_t d = 0; d < row; ++d) rows *= out_sizes[size_t(d)];
  const std::vector<int64_t> ahead = row > 0 ? neighbours(*positions[size_t(row) - 1], out_sizes[size_t(row) - 1]) : std::vector<int64_t>{1};
  parallel_for(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)), [&](int64_t r, int64_t end) {
    for (int64_t count; r < end; r += count) {
      // Rows that follow each other in both tensors go through each stretch together.
      count = std::min(ahead[size_t(r % int64_t(ahead.size()))], end - r);
      T* const to = out + r * width;
      int64_t source = 0, stride = 1, rest = r;
      for (int64_t d = row - 1; d >= 0 && source >= 0; --d) {
        const int64_t o = rest % out_sizes[size_t(d)], p = positions[size_t(d)]->empty() ? o : (*positions[size_t(d)])[size_t(o)];
        source = p < 0 ? -1 : source + p * stride;
        stride *= in_sizes[size_t(d)];
        rest /= out_sizes[size_t(d)];
      }
      if (source < 0) {
        move.fill(to, fill, count * width);
        continue;
      }
      const T* const from = in + source * in_row;
      if (gathers) {
        for (int64_t i = 0; i < count; ++i) move.gather_rows(to + i * width, run, from + i * in_row, run, along.data(), n, run, false);
        continue;
      }
      for (const Stretch& s : parts) {
        T* const part = to + s.at * run;
        if (s.from < 0) {
          if (s.count * run < count) {
            for (int64_t j = 0; j < s.count * run; ++j) move.copy_strided(part + j, width, &fill, 0, count);
          } else {
            for (int64_t i = 0; i < count; ++i) move.fill(part + i * width, fill, s.count * run);
          }
        } else if (s.step == 1) {
          move.copy_rows(part, width, from + s.from * run, in_row, count, s.count * run, false);
        } else {
          for (int64_t j = 0; j < s.count; ++j)
            move.copy_rows(part + j * run, width, from + (s.from + j * s.step) * run, in_row, count, run, false);
        }
      }
    }
  });
}

}  // namespace

void read_at(const Tensor& y, const Tensor& x, std::span<const Positions> positions, const Scalar& fill) {
  if (x.dim() == 0) return copy_values(y, x);
  const ImageLayout layout(x);
  const Tensor from = layout.dense(x);
  Dims out_sizes, in_sizes;
  std::vector<const Positions*> moved;
  for (int64_t d : layout.dims) {
    out_sizes.push_back(y.size(d));
    in_sizes.push_back(x.size(d));
    moved.push_back(&positions[size_t(d)]);
  }
  visit_bits(x.item_size(), [&]<class T>(type_tag<T>) {
    T bits{};
    visit_all(x.dtype(), [&](auto tag) {
      using Value = typename decltype(tag)::type;
      if constexpr (sizeof(Value) == sizeof(T)) bits = std::bit_cast<T>(fill.to<Value>());
    });
    read_dense(y.data<T>(), from.data<T>(), out_sizes, in_sizes, moved, bits);
  });
}

ImageLayout::ImageLayout(int64_t ndim, bool channels_last) : channels_last(channels_last) {
  for (int64_t d = 0; d < ndim; ++d)
    if (d != 1 || !channels_last) dims.push_back(d);
  if (channels_last) dims.push_back(1);
}
Tensor ImageLayout::dense(const Tensor& x) const {
  return contiguous(x.alias(), channels_last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous);
}
Tensor ImageLayout::empty(IntSpan sizes, DType t) const {
  return channels_last ? Tensor::empty_strided(sizes, channels_last_strides(sizes), t) : Tensor::empty(sizes, t);
}

Taps Taps::transposed() const {
  Taps t;
  t.inputs = outputs();
  std::vector<int64_t> next(size_t(inputs) + 1);
  for (int64_t s : sources) ++next[size_t(s) + 1];
  for (size_t i = 1; i < next.size(); ++i) next[i] += next[i - 1];
  t.starts = next;
  t.sources.resize(sources.size());
  t.weights.resize(sources.size());
  for (int64_t o = 0; o < outputs(); ++o)
    for (int64_t k = starts[size_t(o)]; k < starts[size_t(o) + 1]; ++k) {
      const size_t at = size_t(next[size_t(sources[size_t(k)])]++);
      t.sources[at] = o;
      t.weights[at] = weights[size_t(k)];
    }
  return t;
}

Taps Taps::of(const Positions& positions, int64_t inputs) {
  Taps t;
  t.inputs = inputs;
  for (int64_t p : positions) {
    if (p >= 0) t.add(p, 1);
    t.end_output();
  }
  return t;
}

Tensor weighted_sums(const Tensor& x, int64_t dim, const std::shared_ptr<const Taps>& taps) {
  Call call("weighted_sums");
  const DType t = compute_dtype(x.dtype());
  const ImageLayout layout(x);
  Dims sizes(x.sizes());
  sizes[size_t(dim)] = taps->outputs();
  const Tensor y = layout.empty(sizes, t), from = layout.dense(cast(x.alias(), t));
  if (y.numel() > 0)
    visit_float(t, [&]<class T>(type_tag<T>) {
      int64_t outer = 1, inner = 1;
      bool before = true;
      for (int64_t d : layout.dims) {
        if (d == dim) before = false;
        else (before ? outer : inner) *= x.size(d);
      }
      const std::vector<T> weights(taps->weights.begin(), taps->weights.end());
      const int64_t outputs = taps->outputs(), inputs = taps->inputs;
      const int64_t* const starts = taps->starts.data();
      const int64_t* const sources = taps->sources.data();
      const TapsKernels<T>& k = kernels<T>().taps;
      if (inner == 1) {
        parallel_for(outer, std::max<int64_t>(8, kGrain / outputs), [&](int64_t r, int64_t end) {
          k.sum_columns(y.data<T>() + r * outputs, outputs, from.data<T>() + r * inputs, inputs, starts, sources, weights.data(), end - r);
        });
      } else {
        parallel_for(outer * outputs, std::max<int64_t>(1, kGrain / inner), [&](int64_t r, int64_t end) {
          while (r < end) {
            const int64_t i = r / outputs, o = r % outputs, stop = std::min(outputs, o + end - r);
            k.sum_rows(y.data<T>() + i * outputs * inner, inner, from.data<T>() + i * inputs * inner, inner, starts, sources, weights.data(),
                       o, stop, inner);
            r += stop - o;
          }
        });
      }
    });
  const Tensor result = cast(y, x.dtype());
  if (autograd::needed(x))
    autograd::record("WeightedSumsBackward", result, {x}, [dim, taps](const Tensor& g) {
      return weighted_sums(g, dim, std::make_shared<const Taps>(taps->transposed()));
    });
  return result;
}

}  // namespace pydl
