// Values in and out: pydl.tensor and its kin, item(), tolist(), and Python's number protocol.
#include <cmath>
#include <limits>
#include <pybind11/pybind11.h>

#include "autograd/node.h"
#include "base/truth.h"
#include "bindings/interop.h"
#include "bindings/parse.h"
#include "bindings/types.h"
#include "ops/copy.h"
#include "ops/promote.h"

namespace pydl::python {

// ---- out ------------------------------------------------------------------------------------------------------------

namespace {

template <class T>
Scalar as_scalar(T v) {
  if constexpr (std::is_same_v<T, bool>)
    return Scalar(v);
  else if constexpr (std::is_integral_v<T>)
    return Scalar(int64_t(v));
  else if constexpr (sizeof(T) == 2)
    return Scalar(double(float(v)));
  else
    return Scalar(double(v));
}

// Nested lists of a tensor's values from dimension d on.
template <class T>
PyObject* to_list(const T* data, const Tensor& t, int64_t d) {
  if (d == t.dim()) return wrap(as_scalar(value_at(data)));
  py::object list = take(PyList_New(Py_ssize_t(t.size(d))));
  for (int64_t i = 0; i < t.size(d); ++i)
    PyList_SET_ITEM(list.ptr(), Py_ssize_t(i), checked(to_list(data + i * t.stride(d), t, d + 1)));
  return list.release().ptr();
}

}  // namespace

PyObject* wrap(const Scalar& s) {
  if (s.is_float()) return PyFloat_FromDouble(s.to_double());
  return s.is_bool() ? PyBool_FromLong(s.to_bool()) : PyLong_FromLongLong(s.to_int());
}

Scalar item(const Tensor& t) {
  if (t.numel() != 1) fail("item: expected a tensor with one element, got ", t);
  return visit_all(t.dtype(), [&](auto tag) { return as_scalar(value_at(t.data<typename decltype(tag)::type>())); });
}

// ---- in -------------------------------------------------------------------------------------------------------------

namespace {

// NumPy's scalar types by name.
std::optional<DType> numpy_scalar_dtype(PyObject* o) {
  const std::string_view name = Py_TYPE(o)->tp_name;
  if (!name.starts_with("numpy.")) return std::nullopt;
  for (int i = 0; i < kDTypeCount; ++i)
    if (name.substr(6) == name_of(DType(i))) return DType(i);
  return std::nullopt;
}

bool is_sequence(PyObject* o) {
  if (PyList_Check(o) || PyTuple_Check(o)) return true;
  if (is_tensor(o)) return false;  // among numbers, a tensor is one of them
  Scalar s;
  if (PyUnicode_Check(o) || PyBytes_Check(o) || to_scalar(o, s) || !PySequence_Check(o)) return false;
  if (PySequence_Size(o) >= 0) return true;
  PyErr_Clear();  // an array without dimensions
  return false;
}

Scalar leaf(PyObject* o) {
  Scalar s;
  if (to_scalar(o, s)) return s;
  Tensor holder;
  if (const Tensor* t = to_operand_tensor(o, holder)) {
    if (t->numel() != 1)
      fail<ValueError>("tensor: expected tensors of one element among the numbers, got ", *t, "; stack() joins larger ones");
    return item(*t);
  }
  fail<TypeError>("tensor: expected numbers, sequences or arrays, got ", Py_TYPE(o)->tp_name);
}

DType leaf_dtype(PyObject* o) {
  if (PyFloat_CheckExact(o)) return default_dtype();
  if (PyBool_Check(o)) return DType::Bool;
  if (PyLong_Check(o)) return DType::Int64;
  if (auto t = numpy_scalar_dtype(o)) return *t;  // np.float64, though a Python float, keeps its width
  if (PyFloat_Check(o)) return default_dtype();
  Tensor holder;
  if (const Tensor* t = to_operand_tensor(o, holder)) return t->dtype();
  fail<TypeError>("tensor: expected numbers, sequences or arrays, got ", Py_TYPE(o)->tp_name);
}

// Nested sequences of one shape.
class Nested {
 public:
  explicit Nested(PyObject* data) {
    py::object at = borrow(data);
    while (is_sequence(at.ptr())) {
      if (int64_t(shape_.size()) == kMaxDims)
        fail<ValueError>("tensor: expected at most ", kMaxDims, " nested levels, got more");
      const Py_ssize_t n = PySequence_Size(at.ptr());
      shape_.push_back(n);
      if (n == 0) break;
      at = take(PySequence_GetItem(at.ptr(), 0));
    }
    walk(data, 0, [&](PyObject* o) { promote_with(o); });
  }
  const Dims& shape() const { return shape_; }
  DType dtype() const { return any_ ? dtype_ : default_dtype(); }

  template <class T>
  void fill(PyObject* data, T* out) {
    int64_t n = 0;
    const int64_t room = element_count(shape_);
    walk(data, 0, [&](PyObject* o) {
      if (n == room) fail<ValueError>("tensor: expected sequences that keep their length");
      out[n++] = narrow<T>(leaf(o));
    });
  }

 private:
  void promote_with(PyObject* o) {
    const DType t = leaf_dtype(o);
    dtype_ = any_ ? promote(dtype_, t) : t;
    any_ = true;
  }

  template <class F>
  void walk(PyObject* o, size_t d, F&& f) {
    if (d == shape_.size()) {
      if (is_sequence(o))
        fail<ValueError>("tensor: expected a number at dim ", d, ", got a sequence of length ", PySequence_Size(o));
      f(o);
      return;
    }
    if (!is_sequence(o))
      fail<TypeError>("tensor: expected a sequence of length ", shape_[d], " at dim ", d, ", got ",
                      Py_TYPE(o)->tp_name);
    py::object items = take(PySequence_Fast(o, "tensor: expected a sequence"));
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(items.ptr());
    if (n != shape_[d])
      fail<ValueError>("tensor: expected sequence of length ", shape_[d], " at dim ", d, " (got ", n, ")");
    for (Py_ssize_t i = 0; i < n && i < PySequence_Fast_GET_SIZE(items.ptr()); ++i)
      walk(PySequence_Fast_GET_ITEM(items.ptr(), i), d + 1, f);
  }

  // A number that the dtype can hold; fractions are cut off.
  template <class T>
  static T narrow(const Scalar& s) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      constexpr double kLimit = 9223372036854775808.0;
      if (s.is_float() && !(s.to_double() >= -kLimit && s.to_double() < kLimit))
        fail<ValueError>("tensor: expected numbers that fit ", dtype_of<T>, ", got ", s.to_double());
      // As in PyTorch, negative numbers go around once in unsigned types.
      constexpr int64_t most = std::numeric_limits<T>::max(), least = std::is_signed_v<T> ? std::numeric_limits<T>::min() : -most;
      if (s.to_int() < least || s.to_int() > most)
        fail("tensor: expected numbers that fit ", dtype_of<T>, ", got ", s.to_int());
    }
    return s.to<T>();
  }

  Dims shape_;
  DType dtype_ = DType::Bool;
  bool any_ = false;
};

}  // namespace

Tensor tensor_from(PyObject* data, std::optional<DType> dtype, bool share) {
  if (is_tensor(data) || is_numpy_array(data)) {
    Tensor holder;
    const Tensor& source = *to_operand_tensor(data, holder);
    if (dtype && *dtype != source.dtype()) return cast(source, *dtype);
    return share ? source : clone(source, MemoryFormat::Preserve);
  }
  if (!is_sequence(data) && !is_number(data) && py::hasattr(data, "__array__")) {
    py::object array = py::module_::import("numpy").attr("asarray")(borrow(data));
    return tensor_from(array.ptr(), dtype, share);
  }
  if (!is_sequence(data) && PyObject_CheckBuffer(data)) {
    const Tensor t = from_buffer(data);
    return dtype && *dtype != t.dtype() ? cast(t, *dtype) : share ? t : clone(t);
  }
  Nested nested(data);
  const Tensor t = Tensor::empty(nested.shape(), dtype.value_or(nested.dtype()));
  visit_all(t.dtype(), [&](auto tag) { nested.fill(data, t.data<typename decltype(tag)::type>()); });
  return t;
}

// ---- the number protocol --------------------------------------------------------------------------------------------

namespace {

int to_bool(PyObject* self) {
  return guarded([&]() -> int {
    const Tensor& t = unwrap(self);
    if (t.numel() == 1) return item(t).to_bool();
    fail("bool: expected a tensor with one element, got ", t, " (the Boolean value of a Tensor with ",
         t.numel() ? "more than one value" : "no values", " is ambiguous)");
  });
}
// float(t) and int(t) raise a ValueError, as Python's own do, where t.item() raises a RuntimeError.
Scalar only_number(const char* op, const Tensor& t) {
  if (t.numel() != 1) fail<ValueError>(op, ": expected a tensor with one element, got ", t);
  return item(t);
}
PyObject* to_float(PyObject* self) {
  return guarded([&] { return PyFloat_FromDouble(only_number("float", unwrap(self)).to_double()); });
}
PyObject* to_integer(PyObject* self) {
  return guarded([&] {
    const Scalar s = only_number("int", unwrap(self));
    return s.is_float() ? PyLong_FromDouble(s.to_double()) : PyLong_FromLongLong(s.to_int());
  });
}
PyObject* to_index(PyObject* self) {
  return guarded([&] {
    const Tensor& t = unwrap(self);
    if (!is_integral(t.dtype()) || t.numel() != 1)
      fail<TypeError>("index: expected an integer tensor of a single element, got ", t);
    return PyLong_FromLongLong(item(t).to_int());
  });
}

PyObject* method_item(PyObject* self, PyObject*) {
  return guarded([&] { return wrap(item(unwrap(self))); });
}
PyObject* method_tolist(PyObject* self, PyObject*) {
  return guarded([&] {
    const Tensor& t = unwrap(self);
    return visit_all(t.dtype(), [&](auto tag) { return to_list(t.data<typename decltype(tag)::type>(), t, 0); });
  });
}
PyObject* method_complex(PyObject* self, PyObject*) {
  return guarded([&] { return PyComplex_FromDoubles(only_number("complex", unwrap(self)).to_double(), 0); });
}

}  // namespace

PyType_Slot conversion_slots[] = {{Py_nb_bool, as_slot(to_bool)},
                                  {Py_nb_float, as_slot(to_float)},
                                  {Py_nb_int, as_slot(to_integer)},
                                  {Py_nb_index, as_slot(to_index)},
                                  {}};

PyMethodDef conversion_methods[] = {
    {"item", method_item, METH_NOARGS, "The value of a one-element tensor as a Python number."},
    {"tolist", method_tolist, METH_NOARGS, "The values as (nested lists of) Python numbers."},
    {"__complex__", method_complex, METH_NOARGS, nullptr},
    {},
};

// ---- pydl.tensor ----------------------------------------------------------------------------------------------------

static py::object finished(const Tensor& t, bool requires_grad) {
  py::object result = take(wrap_result(t));
  if (requires_grad) autograd::set_requires_grad(t, true);
  return result;
}

void check_device(const py::object& device) {
  Device d;
  if (!to_device(device.ptr(), d))
    fail<TypeError>("device: expected a name like 'cpu', got ", Py_TYPE(device.ptr())->tp_name);
}

void add_conversions(py::module_& m) {
  const py::none none;
  m.def(
      "tensor",
      [](const py::object& data, const py::object& dtype, const py::object& device, bool requires_grad) {
        check_device(device);
        autograd::GradGuard off(false);
        return finished(tensor_from(data.ptr(), dtype_or_none(dtype.ptr(), "tensor")), requires_grad);
      },
      py::arg("data"), py::kw_only(), py::arg("dtype") = none, py::arg("device") = none,
      py::arg("requires_grad") = false, "A fresh tensor with the values of numbers, nested sequences or an array.");
  m.def(
      "as_tensor",
      [](const py::object& data, const py::object& dtype, const py::object& device) {
        check_device(device);
        return wrapped(tensor_from(data.ptr(), dtype_or_none(dtype.ptr(), "as_tensor"), true));
      },
      py::arg("data"), py::arg("dtype") = none, py::arg("device") = none,
      "A tensor of the data, sharing its memory where dtype and device allow.");
  m.def(
      "asarray",
      [](const py::object& obj, const py::object& dtype, const py::object& device, const py::object& copy,
         bool requires_grad) {
        check_device(device);
        const auto wanted = dtype_or_none(dtype.ptr(), "asarray");
        Tensor t = !is_tensor(obj.ptr()) && !is_numpy_array(obj.ptr()) && py::hasattr(obj, "__dlpack__")
                       ? from_dlpack(obj.ptr())
                       : Tensor();
        const py::object source = t.defined() ? wrapped(t) : obj;
        if (copy.ptr() == Py_False) {
          const bool shared = is_tensor(source.ptr()) || PyObject_CheckBuffer(source.ptr());
          t = shared ? tensor_from(source.ptr(), std::nullopt, true) : Tensor();
          if (!shared || (wanted && *wanted != t.dtype()))
            fail<ValueError>("asarray: expected data that can be shared with copy=False, got data that must be copied");
        } else {
          t = tensor_from(source.ptr(), wanted, copy.ptr() != Py_True);
        }
        return finished(t, requires_grad);
      },
      py::arg("obj"), py::kw_only(), py::arg("dtype") = none, py::arg("device") = none, py::arg("copy") = none,
      py::arg("requires_grad") = false,
      "A tensor of an array-like object; copy=True always copies, copy=False never does.");
}

}  // namespace pydl::python
