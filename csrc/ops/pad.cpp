#include "ops/pad.h"

#include "autograd/flat.h"
#include "autograd/node.h"
#include "ops/call.h"
#include "ops/separable.h"

namespace pydl {

namespace {

enum class Border { Constant, Reflect, Replicate, Circular };

Border border_of(std::string_view mode) {
  if (mode == "constant") return Border::Constant;
  if (mode == "reflect") return Border::Reflect;
  if (mode == "replicate") return Border::Replicate;
  if (mode == "circular") return Border::Circular;
  fail<NotImplementedError>("pad: expected mode 'constant', 'reflect', 'replicate' or 'circular', got '", mode, "'");
}

constexpr int64_t kWidest = int64_t(1) << 60;

// Positions that negative paddings leave.
int64_t kept(int64_t n, int64_t before, int64_t after) { return n + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0); }

// Which of n positions each of the padded dimension shows. Circular padding goes around what cropping left, as in PyTorch.
Positions padded(Border border, int64_t n, int64_t before, int64_t after) {
  const int64_t around = kept(n, before, after), first = std::max<int64_t>(-before, 0);
  Positions positions(size_t(n + before + after));
  for (int64_t o = 0; o < int64_t(positions.size()); ++o) {
    int64_t i = o - before;
    if (border == Border::Circular) {
      i = i < first ? i + around : i >= first + around ? i - around : i;
    } else if (i < 0 || i >= n) {
      if (border == Border::Constant) i = -1;
      else if (border == Border::Reflect) i = i < 0 ? -i : 2 * (n - 1) - i;
      else i = i < 0 ? 0 : n - 1;
    }
    positions[size_t(o)] = i;
  }
  return positions;
}

void check(Border border, std::string_view mode, const Tensor& x, IntSpan pad, const std::optional<Scalar>& value) {
  if (pad.size() % 2) fail("pad: expected an even number of paddings, two for each dimension, got ", show(pad));
  const int64_t dims = int64_t(pad.size()) / 2;
  if (border == Border::Constant) {
    if (dims > x.dim()) fail("pad: expected paddings of at most ", x.dim(), " dimensions, got ", show(pad), " for ", x);
  } else {
    if (value && !value->equals(0)) fail("pad: expected no value with mode '", mode, "', got ", value->to_double());
    if (dims < 1 || dims > 3 || (x.dim() != dims + 1 && x.dim() != dims + 2))
      fail<NotImplementedError>("pad: expected 2, 4 or 6 paddings for the last 1, 2 or 3 dimensions of an input with one or two more, got ",
                                show(pad), " for ", x, " with mode '", mode, "'");
    for (int64_t d = x.dim() == dims + 2 ? 1 : 0; d < x.dim(); ++d)
      if (x.size(d) == 0) fail<ShapeError>("pad: expected positive sizes apart from the batch with mode '", mode, "', got ", x);
  }
  for (int64_t i = 0; i < dims; ++i) {
    const int64_t d = x.dim() - 1 - i, n = x.size(d), before = pad[size_t(2 * i)], after = pad[size_t(2 * i) + 1];
    const bool beyond = std::abs(before) > kWidest || std::abs(after) > kWidest;  // lest sums overflow
    if (beyond || kept(n, before, after) < 0 || n + before + after < (border == Border::Constant ? 0 : 1))
      fail<ShapeError>("pad: expected paddings that leave something of dimension ", d, " of size ", n, ", got ", before, " and ", after);
    const int64_t widest = std::max(before, after);
    if (border == Border::Reflect ? widest >= n : border == Border::Circular && widest > kept(n, before, after))
      fail<ShapeError>("pad: expected paddings ", border == Border::Reflect ? "below" : "of at most", " the size ", n, " of dimension ", d,
                       " with mode '", mode, "', got ", before, " and ", after, " for ", x);
  }
}

}  // namespace

Tensor pad(const Tensor& x, IntSpan pad, std::string_view mode, const std::optional<Scalar>& value) {
  Call call("pad");
  const Border border = border_of(mode);
  check(border, mode, x, pad, value);
  const auto dimension = [&](size_t i) { return size_t(x.dim()) - 1 - i / 2; };
  Dims sizes(x.sizes());
  for (size_t i = 0; i < pad.size(); i += 2) sizes[dimension(i)] += pad[i] + pad[i + 1];
  Tensor y = ImageLayout(x).empty(sizes, x.dtype());  // before positions are listed: there may be too many
  std::vector<Positions> positions(size_t(x.dim()));
  if (y.numel() > 0) {
    for (size_t i = 0; i < pad.size(); i += 2)
      if (pad[i] || pad[i + 1])
        positions[dimension(i)] = padded(border, x.size(int64_t(dimension(i))), pad[i], pad[i + 1]);
    read_at(y, x, positions, value.value_or(Scalar(0)));
  }
  if (autograd::needed(x)) {
    if (border == Border::Constant) {
      Dims inverse;
      for (int64_t p : pad) inverse.push_back(-p);
      autograd::record("ConstantPadNdBackward", y, {x}, [inverse](const Tensor& g) { return pydl::pad(g, inverse); });
    } else {
      autograd::record("PadBackward", y, {x}, [border, positions = std::move(positions), sizes = Dims(x.sizes())](const Tensor& g) {
        Tensor sum = g;
        for (size_t d = 0; d < positions.size(); ++d)
          if (!positions[d].empty())
            sum = weighted_sums(sum, int64_t(d), std::make_shared<const Taps>(Taps::of(positions[d], sizes[d]).transposed()));
        return border == Border::Circular ? sum : autograd::flat(sum);
      });
    }
  }
  return y;
}

namespace {

Tensor constant_pad_nd(const Tensor& x, IntSpan padding, const Scalar& value) { return pad(x, padding, "constant", value); }

const Operator ops[] = {
    {&pad, "pad(Tensor input, int[] pad, str mode='constant', Scalar? value=None) -> Tensor", kNN,
     "The input with `pad` positions added before and after the last dimension, then the one before it, and so on."},
    {&constant_pad_nd, "constant_pad_nd(Tensor input, int[] pad, Scalar value=0) -> Tensor", kFunction,
     "pad with a constant value.\n"
     ">>> pydl.constant_pad_nd(pydl.tensor([[1, 2]]), (1, 2), value=9)\ntensor([[9, 1, 2, 9, 9]])"},
};

}  // namespace

}  // namespace pydl
