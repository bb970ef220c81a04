// x[...] and x[...] = v: integers, slices, None, Ellipsis, bools, and index arrays, mixed as in PyTorch. The basic
// parts become views first; what is left indexes those with tensors.
#include "base/truth.h"
#include "bindings/interop.h"
#include "bindings/parse.h"
#include "ops/copy.h"
#include "ops/index.h"
#include "ops/view.h"

namespace pydl::python {

namespace {

// A subscript, taken apart from left to right.
class Subscript {
 public:
  Subscript(const Tensor& x, PyObject* key) : view_(x) {
    if (PyTuple_Check(key)) {
      apply(&PyTuple_GET_ITEM(key, 0), PyTuple_GET_SIZE(key));
    } else if (stands_for_tuple(key)) {
      checked(PyErr_WarnEx(PyExc_UserWarning,
                           "index: expected a tuple of several indices, got another sequence of them, which is taken "
                           "as a tuple; use x[tuple(indices)]",
                           1));
      indices_kept_ = take(PySequence_Tuple(key));
      apply(&PyTuple_GET_ITEM(indices_kept_.ptr(), 0), PyTuple_GET_SIZE(indices_kept_.ptr()));
    } else {
      apply(&key, 1);
    }
  }
  const Tensor& view() const { return view_; }
  const std::vector<Tensor>& indices() const { return indices_; }
  bool advanced() const { return advanced_; }

 private:
  // A short sequence that holds more than numbers is several indices: NumPy's old rule, which PyTorch 2.13 keeps.
  static bool stands_for_tuple(PyObject* key) {
    if (is_tensor(key) || is_numpy_array(key) || PyUnicode_Check(key) || !PySequence_Check(key)) return false;
    const Py_ssize_t n = PySequence_Size(key);
    if (n < 0) PyErr_Clear();
    for (Py_ssize_t i = 0; n < 32 && i < n; ++i) {
      PyObject* item = PySequence_GetItem(key, i);
      if (!item) return PyErr_Clear(), false;
      const py::object kept = take(item);
      if (is_tensor(item) || PySequence_Check(item) || PySlice_Check(item) || item == Py_Ellipsis || item == Py_None)
        return true;
    }
    return false;
  }

  void apply(PyObject* const* keys, Py_ssize_t n) {
    const int64_t wanted = count_dims(keys, n);
    if (wanted > view_.dim()) fail<IndexError>("index: expected at most ", view_.dim(), " indices, got ", wanted);
    const int64_t skipped = view_.dim() - wanted;
    bool ellipsis = false;
    for (Py_ssize_t i = 0; i < n; ++i) {
      if (keys[i] != Py_Ellipsis) {
        apply_one(keys[i], converted_[size_t(i)]);
      } else {
        for (int64_t d = 0; d < skipped && !ellipsis; ++d) keep_dim();
        ellipsis = true;
      }
    }
  }

  // Dimensions of x that the keys consume; index arrays are converted here, once.
  int64_t count_dims(PyObject* const* keys, Py_ssize_t n) {
    int64_t dims = 0;
    converted_.resize(size_t(n));
    for (Py_ssize_t i = 0; i < n; ++i) {
      PyObject* k = keys[i];
      if (k == Py_None || k == Py_Ellipsis || PyBool_Check(k)) continue;
      if (!PySlice_Check(k) && !PyLong_Check(k)) {
        Tensor& t = converted_[size_t(i)] = as_index(k);
        if (t.dtype() == DType::Bool) {
          dims += t.dim();
          continue;
        }
      }
      ++dims;
    }
    return dims;
  }

  static Tensor as_index(PyObject* k) {
    if (is_tensor(k)) return check_index(unwrap(k));
    if (is_numpy_array(k)) return check_index(from_buffer(k));
    Scalar s;
    if (to_scalar(k, s) && !s.is_float()) return tensor_from(k, std::nullopt);
    if (PyIndex_Check(k)) return tensor_from(take(PyNumber_Index(k)).ptr(), DType::Int64);
    if (!PySequence_Check(k) || PyUnicode_Check(k) || PyBytes_Check(k))
      fail<IndexError>(
          "index: expected integers, slices (`:`), Ellipsis, None, bools or tensors of integers or bools, got ",
          Py_TYPE(k)->tp_name);
    const bool empty = PySequence_Size(k) == 0;
    return check_index(tensor_from(k, empty ? std::optional(DType::Int64) : std::nullopt));
  }

  static Tensor check_index(const Tensor& t) {
    if (!is_integral(t.dtype())) fail<IndexError>("index: expected a tensor of integers or bools, got ", t);
    if (t.dtype() == DType::UInt8) return cast(t, DType::Bool);  // a mask, as in PyTorch
    return t.dtype() == DType::Bool || t.dtype() == DType::Int64 ? t : cast(t, DType::Int64);
  }

  void apply_one(PyObject* k, const Tensor& converted) {
    if (k == Py_None) {
      view_ = unsqueeze(view_, dim_);
      keep_dim();
    } else if (PyBool_Check(k)) {
      add_flag(k == Py_True);
    } else if (PyLong_Check(k)) {
      take_one(k);
    } else if (PySlice_Check(k)) {
      take_slice(k);
    } else if (converted.dim() == 0 && converted.dtype() == DType::Bool) {
      add_flag(value_at(converted.data<bool>()));
    } else if (converted.dim() == 0) {
      view_ = select(view_, dim_, *converted.data<int64_t>());
    } else {
      add_index(converted, converted.dtype() == DType::Bool ? converted.dim() : 1);
    }
  }

  void keep_dim() {
    indices_.emplace_back();
    ++dim_;
  }
  void add_index(const Tensor& t, int64_t consumed) {
    indices_.push_back(t);
    dim_ += consumed;
    advanced_ = true;
  }
  // True and False index a new dimension of size 1: they keep all of it or nothing.
  void add_flag(bool flag) {
    view_ = unsqueeze(view_, dim_);
    const Tensor t = Tensor::empty(Dims{flag ? 1 : 0}, DType::Int64);
    if (flag) *t.data<int64_t>() = 0;
    add_index(t, 1);
  }

  void take_one(PyObject* k) {
    int64_t i;
    to_int(k, i);
    view_ = select(view_, dim_, i);
  }
  void take_slice(PyObject* k) {
    Py_ssize_t start, stop, step;
    checked(PySlice_Unpack(k, &start, &stop, &step));
    if (step <= 0) fail<ValueError>("slice: expected a step greater than zero, got ", step);
    auto* s = reinterpret_cast<PySliceObject*>(k);
    if (s->start != Py_None || s->stop != Py_None || step != 1) {
      PySlice_AdjustIndices(view_.size(dim_), &start, &stop, step);
      view_ = slice(view_, dim_, start, std::max(start, stop), step);
    }
    keep_dim();
  }

  Tensor view_;
  py::object indices_kept_;        // the tuple made of another sequence
  std::vector<Tensor> indices_;    // one per dimension so far, undefined for a kept one
  std::vector<Tensor> converted_;  // index arrays, by position in the subscript
  int64_t dim_ = 0;                // of the view so far
  bool advanced_ = false;
};

PyObject* get_int(const Tensor& x, int64_t i) {
  if (x.dim() == 0)
    fail<IndexError>("index: expected a tensor with dimensions, got a 0-d tensor; use item() for its value");
  return wrap(select(x, 0, i));
}

PyObject* get_item(PyObject* self, PyObject* key) {
  return guarded(
      [&] {
        const Tensor& x = unwrap(self);
        if (PyLong_CheckExact(key)) {
          int64_t i;
          to_int(key, i);
          return get_int(x, i);
        }
        const Subscript s(x, key);
        if (s.advanced()) return wrap(index(s.view(), s.indices()));
        // Even x[:] and x[...] are new tensors.
        return wrap(s.view().is(x) ? x.dim() ? slice(x, 0, 0, x.size(0), 1) : view(x, {}) : s.view());
      },
      "index");
}

// A value assigned through an index: leading dimensions of size 1 do not count.
Tensor without_leading_ones(Tensor value, int64_t dims) {
  while (value.dim() > dims && value.size(0) == 1) value = select(value, 0, 0);
  return value;
}

int set_item(PyObject* self, PyObject* key, PyObject* value) {
  return guarded(
      [&] {
        if (!value) fail<TypeError>("index: expected a value to assign, got a deletion; tensors keep their elements");
        const Subscript s(unwrap(self), key);
        Scalar number;
        const bool is_scalar = to_scalar(value, number);
        if (!s.advanced() && is_scalar) {
          fill_(s.view(), number);
          return 0;
        }
        Tensor holder, source;
        if (const Tensor* t = to_operand_tensor(value, holder))
          source = *t;
        else
          source = tensor_from(value, s.view().dtype());
        if (s.advanced())
          index_put_(s.view(), s.indices(), source, false);
        else
          copy_(s.view(), without_leading_ones(source, s.view().dim()));
        return 0;
      },
      "index");
}

Py_ssize_t length(PyObject* self) {
  const Tensor& x = unwrap(self);
  if (x.dim()) return Py_ssize_t(x.size(0));
  PyErr_SetString(PyExc_TypeError, "len: expected a tensor with dimensions, got a 0-d tensor");
  return -1;
}

PyObject* sequence_item(PyObject* self, Py_ssize_t i) {
  return guarded([&] { return get_int(unwrap(self), i); });
}

int contains(PyObject* self, PyObject* value) {
  return guarded([&] {
    Scalar s;
    Tensor holder;
    const Tensor* t = nullptr;
    if (!to_scalar(value, s) && !(t = to_operand_tensor(value, holder)))
      fail<TypeError>("in: expected a Tensor or a number, got ", Py_TYPE(value)->tp_name);
    py::object equal = take(PyObject_RichCompare(self, value, Py_EQ));
    const Tensor mask = contiguous(unwrap(equal.ptr()));
    for (int64_t i = 0; i < mask.numel(); ++i)
      if (mask.data<bool>()[i]) return 1;
    return 0;
  });
}

PyObject* iterate(PyObject* self) {
  return guarded([&] {
    const Tensor& x = unwrap(self);
    if (x.dim() == 0) fail<TypeError>("iter: expected a tensor with dimensions, got a 0-d tensor");
    py::object rows = take(PyTuple_New(Py_ssize_t(x.size(0))));
    for (int64_t i = 0; i < x.size(0); ++i) PyTuple_SET_ITEM(rows.ptr(), Py_ssize_t(i), wrap(select(x, 0, i)));
    return PyObject_GetIter(rows.ptr());
  });
}

}  // namespace

PyType_Slot container_slots[] = {
    {Py_mp_subscript, as_slot(get_item)}, {Py_mp_ass_subscript, as_slot(set_item)},
    {Py_mp_length, as_slot(length)},      {Py_sq_length, as_slot(length)},
    {Py_sq_item, as_slot(sequence_item)}, {Py_sq_contains, as_slot(contains)},
    {Py_tp_iter, as_slot(iterate)},       {},
};

}  // namespace pydl::python
