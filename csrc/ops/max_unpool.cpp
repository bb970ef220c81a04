// max_unpool: values back at the positions that a max pool took them from, zeros elsewhere.
#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/index_int.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/index.h"
#include "ops/view.h"

namespace pydl {

namespace {

constexpr int64_t kChannels = 64;  // a thread takes at least these, so that no two write one line

template <int N>
Tensor max_unpool_nd(const Tensor& input, const Tensor& indices, IntSpan output_size) {
  Call call(N == 2 ? "max_unpool2d" : "max_unpool3d");
  if (input.dim() != N + 1 && input.dim() != N + 2)
    fail<ShapeError>(call.op, ": expected an input of ", N + 1, " or ", N + 2, " dimensions, got ", input);
  if (!same(input.sizes(), indices.sizes()))
    fail<ShapeError>(call.op, ": expected indices of shape ", show(input.sizes()), ", got ", indices);
  if (indices.dtype() != DType::Int64) fail(call.op, ": expected int64 indices, got ", indices);
  if (output_size.size() != N) fail(call.op, ": expected output_size of ", N, " numbers, got ", show(output_size));
  const bool batched = input.dim() == N + 2;
  const Tensor x = contiguous(batched ? input.alias() : unsqueeze(input.alias(), 0), MemoryFormat::ChannelsLast);
  const Tensor at = contiguous(batched ? indices.alias() : unsqueeze(indices, 0), MemoryFormat::ChannelsLast);
  const int64_t images = x.size(0), channels = x.size(1), pixels = x.numel() / std::max<int64_t>(1, images * channels);
  const int64_t into = element_count(output_size);
  if (const int64_t wrong = index_out_of_range(at.data<int64_t>(), at.numel(), 0, into); wrong >= 0)
    fail(call.op, ": expected indices below ", into, ", the size of the output ", show(output_size), ", got ",
         at.data<int64_t>()[wrong]);

  Dims sizes{images, channels};
  sizes.append(output_size.begin(), output_size.end());
  const Tensor y = Tensor::empty_strided(sizes, channels_last_strides(sizes), x.dtype());
  zero_(y);
  visit_bits(x.item_size(), [&](auto tag) {
    using Bits = typename decltype(tag)::type;
    const int64_t blocks = (channels + kChannels - 1) / kChannels;
    parallel_for(images * blocks, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, pixels * kChannels)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     const int64_t first = i % blocks * kChannels, last = std::min(channels, first + kChannels),
                                   image = i / blocks;
                     const Bits* from = x.data<Bits>() + image * pixels * channels;
                     const int64_t* position = at.data<int64_t>() + image * pixels * channels;
                     Bits* to = y.data<Bits>() + image * into * channels;
                     for (int64_t p = 0; p < pixels; ++p)
                       for (int64_t c = first; c < last; ++c)
                         to[position[p * channels + c] * channels + c] = from[p * channels + c];
                   }
                 });
  });
  const Tensor result = batched ? y : y.alias(y.sizes().subspan(1), y.strides().subspan(1), 0);
  if (autograd::needed(input))
    autograd::record(N == 2 ? "MaxUnpool2dBackward" : "MaxUnpool3dBackward", result, {input},
                     [indices = autograd::save(indices)](const Tensor& g) {
                       const Tensor position = indices;
                       return reshape(gather(flatten(g, -N), -1, flatten(position, -N)), position.sizes());
                     });
  return result;
}

const Operator ops[] = {
    {&max_unpool_nd<2>, "max_unpool2d(Tensor input, Tensor indices, int[] output_size) -> Tensor", kNN,
     "Zeros of output_size with the input's values at indices; of equal indices the last counts."},
    {&max_unpool_nd<3>, "max_unpool3d(Tensor input, Tensor indices, int[] output_size) -> Tensor", kNN,
     "Zeros of output_size with the input's values at indices; of equal indices the last counts."},
};

}  // namespace

}  // namespace pydl
