#include "ops/iterate.h"

#include <algorithm>
#include <numeric>

#include "autograd/node.h"
#include "base/arch.h"
#include "base/parallel.h"
#include "kernels/table.h"
#include "ops/call.h"
#include "ops/copy.h"
#include "ops/odometer.h"

namespace pydl {

namespace {

constexpr int kMaxInputs = 8;
constexpr int64_t kChunk = 512;  // elements buffered at a time: a few operands of it stay in L1
constexpr int64_t kShort = 64;   // rows shorter than this are joined where the operands allow it

// One operand as the iteration sees it: byte strides per dimension, and how its elements reach the loop.
struct Lane {
  char* data = nullptr;
  Dims strides;              // bytes, in iteration order
  enum class Repeats : uint8_t { Nothing, Row, Element } repeats = Repeats::Nothing;  // where rows are joined
  int64_t row_stride = 0;
  DType stored = DType::Float32, computed = DType::Float32;
  bool converts() const { return stored != computed; }
};

int64_t grain_for(double cost) { return std::max<int64_t>(64, int64_t(double(kParallelThresholdNs) / cost) / 64 * 64); }

void store_scalar(void* to, const Scalar& s, DType t) {
  visit_all(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T v = s.to<T>();
    std::memcpy(to, &v, sizeof(T));
  });
}

class Iteration {
 public:
  Iteration(PointwiseLoop loop, const Lane& out, std::span<const Lane> in, IntSpan shape, bool past_cache)
      : loop_(loop), out_(out), shape_(shape), past_cache_(past_cache) {
    for (const Lane& l : in) in_.push_back(l);
    order();
    coalesce();
    joined_ = join_rows();
    if (!joined_) lengthen();
    inner_ = shape_.back();
    for (size_t i = 0; i < in_.size(); ++i) step_[i] = in_[i].repeats != Lane::Repeats::Nothing || in_[i].strides.back() != 0;
    direct_ = !out_.converts() && out_.strides.back() == item_size(out_.stored);
    for (const Lane& l : in_)
      direct_ &= !l.converts() && (l.strides.back() == 0 || l.strides.back() == item_size(l.stored));
  }

  // Elements [begin, end) in iteration order.
  void run(int64_t begin, int64_t end) const {
    int64_t at = begin % inner_;
    Cursor cursor(*this);
    const auto move = [&](size_t d, int64_t by) { cursor.move(d, by); };
    for (Odometer row(IntSpan(shape_).first(shape_.size() - 1), begin / inner_, move);; row.advance(move)) {
      const int64_t n = std::min(inner_ - at, end - begin);
      if (joined_) joined(cursor, at, n);
      else if (direct_) direct(cursor, at, n);
      else buffered(cursor, at, n);
      begin += n;
      if (begin == end) return;
      at = 0;
    }
  }

 private:
  // Outermost first; ties by the inputs, so that a broadcast output dimension follows its data.
  void order() {
    Dims perm(shape_.size());
    std::iota(perm.begin(), perm.end(), 0);
    auto key = [&](int64_t d) {
      int64_t s = 0;
      for (const Lane& l : in_) s = std::max(s, l.strides[size_t(d)]);
      return std::pair(out_.strides[size_t(d)], s);
    };
    std::stable_sort(perm.begin(), perm.end(), [&](int64_t a, int64_t b) {
      if (shape_[size_t(a)] == 1 || shape_[size_t(b)] == 1) return false;
      return key(a) > key(b);
    });
    auto permute = [&](Dims& d) {
      Dims p;
      for (int64_t i : perm) p.push_back(d[size_t(i)]);
      d = p;
    };
    permute(out_.strides);
    for (Lane& l : in_) permute(l.strides);
    permute(shape_);
  }

  void coalesce() {
    Dims keep;  // dimensions that survive, from the innermost outwards
    for (size_t d = shape_.size(); d-- > 0;) {
      if (shape_[d] == 1) continue;
      if (!keep.empty()) {
        const size_t k = size_t(keep.back());
        auto merges = [&](const Lane& l) { return l.strides[d] == l.strides[k] * shape_[k]; };
        bool all = merges(out_);
        for (const Lane& l : in_) all &= merges(l);
        if (all) {
          shape_[k] *= shape_[d];
          continue;
        }
      }
      keep.push_back(int64_t(d));
    }
    std::reverse(keep.begin(), keep.end());
    auto select = [&](Dims& v, int64_t lone) {
      Dims s;
      for (int64_t d : keep) s.push_back(v[size_t(d)]);
      if (s.empty()) s.push_back(lone);
      v = s;
    };
    select(out_.strides, item_size(out_.stored));
    for (Lane& l : in_) select(l.strides, 0);
    select(shape_, 1);
  }

  // Makes one of the two innermost dimensions where rows are short and each operand lies dense across both, repeats one row,
  // or repeats one element along a row: what repeats is written out, a chunk at a time.
  bool join_rows() {
    const size_t last = shape_.size() - 1;
    if (last == 0 || shape_[last] >= kShort) return false;
    const auto repeats = [&](const Lane& l) -> std::optional<Lane::Repeats> {
      const int64_t inner = l.strides[last], outer = l.strides[last - 1], size = item_size(l.stored);
      if (l.converts()) return std::nullopt;
      if (inner == size && outer == size * shape_[last]) return Lane::Repeats::Nothing;
      if (inner == size && outer == 0) return Lane::Repeats::Row;
      if (inner == 0) return outer ? Lane::Repeats::Element : Lane::Repeats::Nothing;
      return std::nullopt;
    };
    if (repeats(out_) != Lane::Repeats::Nothing) return false;
    for (const Lane& l : in_)
      if (!repeats(l)) return false;
    const auto join = [&](Lane& l) {
      l.repeats = *repeats(l);
      l.row_stride = l.strides[last - 1];
      l.strides[last - 1] = l.strides[last];
      l.strides.pop_back();
    };
    join(out_);
    for (Lane& l : in_) join(l);
    row_ = shape_[last];
    shape_[last - 1] *= row_;
    shape_.pop_back();
    return true;
  }

  // A loop over very few elements costs more than walking the next dimension by its strides.
  void lengthen() {
    constexpr int64_t kFew = 4;
    const size_t last = shape_.size() - 1;
    if (last == 0 || shape_[last] > kFew || shape_[last - 1] < 4 * kFew) return;
    std::swap(shape_[last - 1], shape_[last]);
    std::swap(out_.strides[last - 1], out_.strides[last]);
    for (Lane& l : in_) std::swap(l.strides[last - 1], l.strides[last]);
  }

  // Where a row (all of the innermost dimension) begins in each operand.
  struct Cursor {
    const Iteration& of;
    char* out;
    const void* in[kMaxInputs];

    explicit Cursor(const Iteration& iteration) : of(iteration), out(of.out_.data) {
      for (size_t i = 0; i < of.in_.size(); ++i) in[i] = of.in_[i].data;
    }
    void move(size_t d, int64_t by) {
      out += by * of.out_.strides[d];
      for (size_t i = 0; i < of.in_.size(); ++i) in[i] = static_cast<const char*>(in[i]) + by * of.in_[i].strides[d];
    }
  };

  void direct(const Cursor& row, int64_t at, int64_t n) const {
    if (at == 0) return loop_(row.out, row.in, step_, n, past_cache_);
    const void* in[kMaxInputs];
    for (size_t i = 0; i < in_.size(); ++i) in[i] = static_cast<const char*>(row.in[i]) + at * in_[i].strides.back();
    loop_(row.out + at * out_.strides.back(), in, step_, n, past_cache_);
  }

  // Elements [at, at + n) of joined rows.
  void joined(const Cursor& rows, int64_t at, int64_t n) const {
    alignas(64) char buffers[kMaxInputs][(kChunk + 2 * kShort) * 8];
    const void* in[kMaxInputs];
    for (size_t i = 0; i < in_.size(); ++i) {
      if (in_[i].repeats != Lane::Repeats::Row) continue;
      const int64_t size = item_size(in_[i].stored);
      for (int64_t filled = 0; filled < std::min(kChunk, n) + row_; filled += row_)
        std::memcpy(buffers[i] + filled * size, rows.in[i], size_t(row_ * size));
    }
    const int64_t size = item_size(out_.stored);
    for (int64_t end = at + n; at < end; at += kChunk) {
      const int64_t m = std::min(kChunk, end - at), row = at / row_, phase = at % row_;
      for (size_t i = 0; i < in_.size(); ++i) {
        const Lane& l = in_[i];
        const int64_t item = item_size(l.stored);
        const char* const first = static_cast<const char*>(rows.in[i]);
        if (l.repeats == Lane::Repeats::Nothing) {
          in[i] = first + at * l.strides.back();
          continue;
        }
        in[i] = buffers[i] + phase * item;
        if (l.repeats == Lane::Repeats::Row) continue;
        for (int64_t r = 0; r * row_ < phase + m; ++r)
          fill(buffers[i] + r * row_ * item, first + (row + r) * l.row_stride, item, row_);
      }
      loop_(rows.out + at * size, in, step_, m, false);
    }
  }

  void buffered(const Cursor& row, int64_t at, int64_t n) const {
    alignas(64) char buffers[kMaxInputs + 1][kChunk * 8];
    alignas(64) char raw[kChunk * 8];
    const char* from[kMaxInputs];
    const void* in[kMaxInputs];
    for (size_t i = 0; i < in_.size(); ++i) from[i] = static_cast<const char*>(row.in[i]) + at * in_[i].strides.back();
    char* to = row.out + at * out_.strides.back();
    const int64_t out_stride = out_.strides.back(), out_size = item_size(out_.stored);
    for (int64_t done = 0; done < n; done += kChunk) {
      const int64_t m = std::min(kChunk, n - done);
      for (size_t i = 0; i < in_.size(); ++i) {
        const Lane& l = in_[i];
        const int64_t stride = l.strides.back(), size = item_size(l.stored);
        const char* p = from[i] + done * stride;
        const int64_t count = stride ? m : 1;
        if (stride && stride != size) {
          void* packed = l.converts() ? raw : buffers[i];
          gather_strided(packed, p, stride, size, count);
          p = static_cast<char*>(packed);
        }
        if (l.converts()) {
          cast_loop(l.stored, l.computed)(buffers[i], p, count);
          p = buffers[i];
        }
        in[i] = p;
      }
      char* target = to + done * out_stride;
      const bool scatters = out_stride != out_size;
      if (!scatters && !out_.converts()) {
        loop_(target, in, step_, m, false);
        continue;
      }
      char* result = buffers[kMaxInputs];
      loop_(result, in, step_, m, false);
      if (out_.converts()) {
        char* cast = scatters ? raw : target;
        cast_loop(out_.computed, out_.stored)(cast, result, m);
        result = cast;
      }
      if (scatters) scatter_strided(target, out_stride, result, out_size, m);
    }
  }

  PointwiseLoop loop_;
  Lane out_;
  SmallVector<Lane, 4> in_;
  Dims shape_;
  int64_t inner_ = 1;
  int64_t row_ = 0;  // the length of joined rows
  int64_t step_[kMaxInputs];
  bool direct_ = false, joined_ = false, past_cache_;
};

Lane lane(const Tensor& t, IntSpan shape, DType computed) {
  Lane l;
  l.data = static_cast<char*>(t.raw());
  l.stored = t.dtype();
  l.computed = computed;
  l.strides.resize(shape.size(), 0);
  const size_t lead = shape.size() - size_t(t.dim());
  for (size_t d = lead; d < shape.size(); ++d)
    if (t.sizes()[d - lead] != 1) l.strides[d] = t.strides()[d - lead] * t.item_size();
  return l;
}

// A fresh output takes the memory order of the first input of its shape: channels-last stays channels-last.
Tensor fresh_output(std::span<const Input> inputs, IntSpan shape, DType dtype) {
  for (const Input& i : inputs)
    if (i.operand.is_tensor() && same(i.operand.tensor().sizes(), shape)) {
      const Tensor& t = i.operand.tensor();
      if (!t.is_contiguous() && !t.may_self_overlap())
        return Tensor::empty_strided(shape, t.is_dense() ? Dims(t.strides()) : dense_strides(shape, t.strides()), dtype);
      break;
    }
  return Tensor::empty(shape, dtype);
}

// Whether a result that is none of the inputs goes to memory around the caches. Up to 5/4 of them, what stays of it until
// it is read pays for what does not.
bool leaves_cache(const Tensor& result, std::span<const Input> inputs) {
  const int64_t limit = cache_sizes().l3 / 4 * 5;
  if (result.numel() * 8 * int64_t(inputs.size() + 1) <= limit) return false;
  int64_t bytes = int64_t(result.nbytes());
  for (const Input& i : inputs) {
    if (!i.operand.is_tensor()) continue;
    if (i.operand.tensor().storage() == result.storage()) return false;
    bytes += int64_t(i.operand.tensor().nbytes());
  }
  return bytes > limit;
}

void check_overlap(const char* op, const Tensor& out, std::span<const Input> inputs) {
  for (const Input& i : inputs) {
    if (!i.operand.is_tensor()) continue;
    const Tensor& t = i.operand.tensor();
    if (t.is(out) || t.storage() != out.storage()) continue;
    const bool identical = t.raw() == out.raw() && t.dtype() == out.dtype() && same(t.sizes(), out.sizes()) && same(t.strides(), out.strides());
    if (!identical && memory_overlaps(t, out))
      fail(op, ": expected an output that shares no memory with the inputs, or is one of them, got ", out,
           " overlapping ", t, "; clone() one of them first");
  }
}

}  // namespace

void prepare_output(const char* op, const Out& out, IntSpan sizes, DType result) {
  check_writable(op, out.target);
  if (out.kind == Out::Kind::Inplace) {
    if (!same(out.target.sizes(), sizes))
      fail<ShapeError>(op, "_: expected operands that broadcast to ", show(out.target.sizes()), ", got ", show(sizes));
  } else {
    resize_output(op, out.target, sizes);
  }
  check_can_cast(op, result, out.target.dtype());
  if (out.target.may_self_overlap())
    fail(op, ": expected an output whose elements do not share memory, got ", out.target, " with strides ", show(out.target.strides()));
}

Tensor run_pointwise(const PointwiseCall& call, std::span<const Input> inputs, const Out& out) {
  alignas(8) char scalars[kMaxInputs][8];

  // The common case: contiguous operands of one shape, no conversion, a fresh result.
  const Tensor* first = nullptr;
  bool plain = out.fresh() && call.result == call.writes;
  for (const Input& i : inputs) {
    if (!i.operand.is_tensor()) continue;
    const Tensor& t = i.operand.tensor();
    if (!first) first = &t;
    plain = plain && t.is_contiguous() && t.dtype() == i.as && (first == &t || same(t.sizes(), first->sizes()));
  }
  if (plain && first) {
    const Tensor result = Tensor::empty(first->sizes(), call.result);
    const char* base[kMaxInputs];
    int64_t size[kMaxInputs];
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Operand& o = inputs[i].operand;
      if (o.is_tensor()) {
        base[i] = static_cast<const char*>(o.tensor().raw());
        size[i] = item_size(inputs[i].as);
      } else {
        store_scalar(scalars[i], o.scalar(), inputs[i].as);
        base[i] = scalars[i];
        size[i] = 0;
      }
    }
    char* to = static_cast<char*>(result.raw());
    const int64_t to_size = item_size(call.writes);
    const bool past_cache = leaves_cache(result, inputs);
    parallel_for(result.numel(), grain_for(call.cost), [&](int64_t begin, int64_t end) {
      const void* in[kMaxInputs];
      int64_t step[kMaxInputs];
      for (size_t i = 0; i < inputs.size(); ++i) {
        in[i] = base[i] + begin * size[i];
        step[i] = size[i] != 0;
      }
      call.loop(to + begin * to_size, in, step, end - begin, past_cache);
    });
    return result;
  }

  Dims shape;
  for (const Input& i : inputs)
    if (i.operand.is_tensor()) shape = broadcast_shapes(call.op, shape, i.operand.tensor().sizes());
  Tensor result;
  if (out.fresh()) {
    result = fresh_output(inputs, shape, call.result);
  } else if (out.kind == Out::Kind::Prepared) {
    result = out.target;
    shape = Dims(result.sizes());
  } else {
    prepare_output(call.op, out, shape, call.result);
    result = out.target;
    check_overlap(call.op, result, inputs);
    result.bump_version();
  }
  if (result.numel() == 0) return result;

  SmallVector<Lane, 4> lanes;
  SmallVector<Tensor, 2> copies;  // kept until the loops are done
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Operand& o = inputs[i].operand;
    if (o.is_tensor()) {
      std::optional<Tensor> beside;
      if (inputs.size() > 1) beside = transposed_into_order_of(result, o.tensor());
      if (beside) copies.push_back(*beside);
      lanes.push_back(lane(beside ? *beside : o.tensor(), shape, inputs[i].as));
    } else {
      store_scalar(scalars[i], o.scalar(), inputs[i].as);
      Lane l;
      l.data = scalars[i];
      l.strides.resize(shape.size(), 0);
      l.stored = l.computed = inputs[i].as;
      lanes.push_back(l);
    }
  }
  const Iteration iteration(call.loop, lane(result, shape, call.writes), lanes, shape, leaves_cache(result, inputs));
  parallel_for(result.numel(), grain_for(call.cost), [&](int64_t begin, int64_t end) { iteration.run(begin, end); });
  return result;
}

}  // namespace pydl
