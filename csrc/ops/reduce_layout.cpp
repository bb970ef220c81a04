#include "ops/reduce_layout.h"

#include "autograd/node.h"

namespace pydl {

namespace {

struct Group {
  int64_t size, stride;
  bool reduced;
};

}  // namespace

ReduceLayout reduce_layout(const Tensor& x, IntSpan dims) {
  ReduceLayout l;
  uint64_t reduced = 0;
  for (int64_t d : dims) reduced |= uint64_t(1) << d;
  auto is_reduced = [&](int64_t d) { return reduced >> d & 1; };

  // Memory order, outermost first; broadcast dimensions (stride 0) keep their logical place at the outside.
  Dims order;
  for (int64_t d = 0; d < x.dim(); ++d) order.push_back(d);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const int64_t sa = x.size(a) == 1 ? INT64_MAX : x.stride(a), sb = x.size(b) == 1 ? INT64_MAX : x.stride(b);
    return sa > sb;
  });

  // The output is dense over the kept dimensions in memory order.
  int64_t step = 1;
  Dims strides_by_dim(size_t(x.dim()), 0);
  for (size_t i = order.size(); i-- > 0;)
    if (!is_reduced(order[i])) {
      strides_by_dim[size_t(order[i])] = step;
      step *= std::max<int64_t>(1, x.size(order[i]));
    }
  for (int64_t d = 0; d < x.dim(); ++d)
    if (!is_reduced(d)) {
      l.kept_sizes.push_back(x.size(d));
      l.kept_strides.push_back(strides_by_dim[size_t(d)]);
    }

  SmallVector<Group, 6> groups;
  for (int64_t d : order) {
    if (x.size(d) == 1) continue;
    const Group g{x.size(d), x.stride(d), bool(is_reduced(d))};
    if (!groups.empty() && groups.back().reduced == g.reduced && groups.back().stride == g.size * g.stride) {
      groups.back().size *= g.size;
      groups.back().stride = g.stride;
    } else {
      groups.push_back(g);
    }
  }

  l.input = x;
  const size_t k = groups.size();
  const bool unit = k == 0 || groups.back().stride == 1;
  auto pattern = [&](std::initializer_list<bool> p) {
    return k == p.size() && std::equal(p.begin(), p.end(), groups.begin(), [](bool r, const Group& g) { return r == g.reduced; });
  };
  if (k == 0) {
    l.batch_stride = 1;
  } else if (unit && pattern({true})) {
    l.n = groups[0].size;
    l.batch_stride = l.n;
  } else if (unit && pattern({false, true})) {
    l.batch = groups[0].size, l.batch_stride = groups[0].stride, l.n = groups[1].size;
  } else if (unit && pattern({true, false})) {
    l.inner = false;
    l.n = groups[0].size, l.row_stride = groups[0].stride, l.cols = groups[1].size;
  } else if (unit && pattern({false, true, false})) {
    l.inner = false;
    l.batch = groups[0].size, l.batch_stride = groups[0].stride;
    l.n = groups[1].size, l.row_stride = groups[1].stride, l.cols = groups[2].size;
  } else if (unit && pattern({false})) {  // nothing to reduce but sizes of 1
    l.inner = false;
    l.row_stride = l.cols = groups[0].size;
  } else {
    // Kept dimensions first, in memory order, then the reduced ones: one copy.
    Dims perm;
    for (int64_t d : order)
      if (!is_reduced(d)) perm.push_back(d);
    for (int64_t d : order)
      if (is_reduced(d)) perm.push_back(d);
    autograd::GradGuard off(false);
    l.input = clone(permute(x, perm), MemoryFormat::Contiguous);
    l.batch = element_count(l.kept_sizes);
    l.n = l.batch ? x.numel() / l.batch : 0;
    l.batch_stride = l.n;
  }
  return l;
}

Tensor reduced_view(const Tensor& flat, const ReduceLayout& l, int64_t ndim, IntSpan dims, bool keepdim) {
  if (!keepdim) return flat.alias(l.kept_sizes, l.kept_strides, 0);
  Dims sizes, strides;
  size_t kept = 0;
  for (int64_t d = 0; d < ndim; ++d) {
    const bool reduced = std::find(dims.begin(), dims.end(), d) != dims.end();
    sizes.push_back(reduced ? 1 : l.kept_sizes[kept]);
    strides.push_back(reduced ? 1 : l.kept_strides[kept]);
    kept += !reduced;
  }
  return flat.alias(sizes, strides, 0);
}

}  // namespace pydl
