// What a tensor says about itself (shape, strides, dtype ...), its conversions with to() and its kin, copying and
// pickling.
#include <cstring>
#include <pybind11/pybind11.h>

#include "autograd/node.h"
#include "bindings/interop.h"
#include "bindings/parse.h"
#include "bindings/types.h"
#include "ops/copy.h"
#include "ops/promote.h"
#include "ops/view.h"

namespace pydl::python {

namespace {

PyObject* integer(int64_t i) { return PyLong_FromLongLong(i); }

// ---- properties -----------------------------------------------------------------------------------------------------

// A getter from a lambda over the tensor.
template <class F>
constexpr getter property(F) {
  return [](PyObject* self, void*) -> PyObject* { return guarded([&]() -> PyObject* { return F()(unwrap(self)); }); };
}

Tensor matrix_transpose(const Tensor& x) {
  if (x.dim() < 2) fail("mT: expected at least 2 dimensions, got ", x);
  return transpose(x, -2, -1);
}
Tensor reversed(const Tensor& x) {
  Dims order;
  for (int64_t d = x.dim(); d-- > 0;) order.push_back(d);
  return permute(x, order);
}

// ---- methods --------------------------------------------------------------------------------------------------------

// size() and stride(): all, or that of one dimension.
template <class All>
PyObject* extents(const char* name, PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* keywords,
                  IntSpan values, All&& all) {
  PyObject* dim =
      n == 1 ? args[0]
      : n == 0 && keywords && PyTuple_GET_SIZE(keywords) == 1 && text_of(PyTuple_GET_ITEM(keywords, 0)) == "dim"
          ? args[0]
          : nullptr;
  if (!dim && (n > 0 || (keywords && PyTuple_GET_SIZE(keywords))))
    fail<TypeError>(name, ": expected ", name, "(int dim=None), got other arguments");
  if (!dim || dim == Py_None) return all();
  int64_t d;
  if (!to_int(dim, d)) fail<TypeError>(name, ": expected an integer as dim, got ", Py_TYPE(dim)->tp_name);
  const int64_t ndim = unwrap(self).dim();
  if (ndim == 0) fail<IndexError>(name, ": expected a tensor with dimensions, got a 0-d tensor and dim ", d);
  return integer(values[size_t(wrap_dim(name, d, ndim))]);
}
PyObject* size(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* keywords) {
  return guarded([&] {
    return extents("size", self, args, n, keywords, unwrap(self).sizes(),
                   [&] { return wrap_size(unwrap(self).sizes()); });
  });
}
PyObject* stride(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* keywords) {
  return guarded([&] {
    const IntSpan strides = unwrap(self).strides();
    return extents("stride", self, args, n, keywords, strides, [&] {
      PyObject* tuple = checked(PyTuple_New(Py_ssize_t(strides.size())));
      for (size_t i = 0; i < strides.size(); ++i) PyTuple_SET_ITEM(tuple, Py_ssize_t(i), checked(integer(strides[i])));
      return tuple;
    });
  });
}

// A method without arguments from a lambda over the tensor.
template <class F>
constexpr PyCFunction query(F) {
  return
      [](PyObject* self, PyObject*) -> PyObject* { return guarded([&]() -> PyObject* { return F()(unwrap(self)); }); };
}

PyObject* is_contiguous(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static const char* names[] = {"memory_format", nullptr};
    PyObject* format = nullptr;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:is_contiguous", const_cast<char**>(names), &format))
      throw py::error_already_set();
    MemoryFormat f = MemoryFormat::Contiguous;
    if (format && !to_memory_format(format, f))
      fail<TypeError>("is_contiguous: expected a pydl.memory_format, got ", Py_TYPE(format)->tp_name);
    return PyBool_FromLong(unwrap(self).is_contiguous(f));
  });
}

// ---- conversions ----------------------------------------------------------------------------------------------------

template <DType t>
PyObject* to_fixed(PyObject* self, PyObject*) {
  return guarded([&] { return wrap(cast(unwrap(self), t)); });
}

// to(dtype), to(device, dtype) and to(other): what the target is follows from its type.
struct Target {
  std::optional<DType> dtype;
  std::optional<MemoryFormat> format;
  bool copy = false;
};

void read_target(PyObject* o, Target& target) {
  DType t;
  Device device;
  if (is_tensor(o))
    target.dtype = unwrap(o).dtype();
  else if (to_dtype(o, t))
    target.dtype = t;
  else if (!to_device(o, device))
    fail<TypeError>("to: expected a dtype, a device or a tensor, got ", Py_TYPE(o)->tp_name);
}

PyObject* to(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    Target target;
    const Py_ssize_t n = PyTuple_GET_SIZE(args);
    Py_ssize_t at = 0;
    for (bool flags = false; at < n && !flags;) {  // target, then dtype after a device
      flags = PyBool_Check(PyTuple_GET_ITEM(args, at));
      if (at == 2) break;
      if (!flags) read_target(PyTuple_GET_ITEM(args, at++), target);
    }
    PyObject* flags[2] = {Py_False, Py_False};  // non_blocking, copy
    if (n - at > 2)
      fail<TypeError>("to: expected at most to(device, dtype, non_blocking, copy), got ", n, " arguments");
    for (int i = 0; at < n; ++i, ++at) flags[i] = PyTuple_GET_ITEM(args, at);
    PyObject *name, *value;
    for (Py_ssize_t p = 0; kwargs && PyDict_Next(kwargs, &p, &name, &value);) {
      const std::string_view key = text_of(name);
      if (key == "dtype" || key == "device" || key == "other") {
        if (value != Py_None) read_target(value, target);
      } else if (key == "non_blocking") {
        flags[0] = value;
      } else if (key == "copy") {
        flags[1] = value;
      } else if (key == "memory_format") {
        MemoryFormat f;
        if (value == Py_None) continue;
        if (!to_memory_format(value, f))
          fail<TypeError>("to: expected a pydl.memory_format, got ", Py_TYPE(value)->tp_name);
        target.format = f;
      } else {
        fail<TypeError>("to: expected dtype, device, other, non_blocking, copy or memory_format, got '", key, "'");
      }
    }
    const int copy = PyObject_IsTrue(flags[1]);
    checked(copy);
    const Tensor& x = unwrap(self);
    Tensor y = target.dtype ? cast(x, *target.dtype) : x;
    if (target.format && *target.format != MemoryFormat::Preserve && !y.is_contiguous(*target.format))
      y = clone(y, target.format);
    if (copy && y.is(x)) y = clone(x, target.format);
    return wrap(std::move(y));
  });
}

constexpr std::string_view kTypeNames[] = {"BoolTensor", "ByteTensor", "CharTensor",     "ShortTensor", "IntTensor",
                                           "LongTensor", "HalfTensor", "BFloat16Tensor", "FloatTensor", "DoubleTensor"};

// A dtype, pydl.FloatTensor, or its name.
DType named_dtype(PyObject* o) {
  if (PyType_Check(o) && PyObject_HasAttrString(o, "dtype")) return *dtype_or_none(py::object(borrow(o).attr("dtype")).ptr(), "type");
  if (!PyUnicode_Check(o)) return *dtype_or_none(o, "type");
  const std::string_view given = text_of(o);
  for (size_t i = 0; i < std::size(kTypeNames); ++i)
    if (given.substr(given.rfind('.') + 1) == kTypeNames[i]) return DType(i);
  fail<ValueError>("type: expected a dtype or a name like 'pydl.FloatTensor', got '", given, "'");
}

PyObject* type(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static const char* names[] = {"dtype", "non_blocking", nullptr};
    PyObject *dtype = Py_None, *non_blocking = Py_False;  // a copy is done when it returns
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:type", const_cast<char**>(names), &dtype, &non_blocking))
      throw py::error_already_set();
    if (dtype != Py_None) return wrap(cast(unwrap(self), named_dtype(dtype)));
    return PyUnicode_FromFormat("pydl.%s", kTypeNames[int(unwrap(self).dtype())].data());
  });
}
PyObject* type_as(PyObject* self, PyObject* other) {
  return guarded([&] {
    if (!is_tensor(other)) fail<TypeError>("type_as: expected a Tensor, got ", Py_TYPE(other)->tp_name);
    return wrap(cast(unwrap(self), unwrap(other).dtype()));
  });
}

// ---- subclasses, copies, pickles ------------------------------------------------------------------------------------

PyObject* instance_dict(PyObject* self) { return reinterpret_cast<TensorObject*>(self)->dict; }
void set_instance_dict(PyObject* self, PyObject* dict) {
  if (dict && dict != Py_None && PyDict_GET_SIZE(dict)) checked(PyObject_GenericSetDict(self, dict, nullptr));
  if (instance_dict(self)) track(self);
}

PyTypeObject* check_subclass(PyObject* cls) {
  if (!PyType_Check(cls) || !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(cls), tensor_type))
    fail<TypeError>("_make_subclass: expected a subclass of Tensor, got ", Py_TYPE(cls)->tp_name);
  return reinterpret_cast<PyTypeObject*>(cls);
}

PyObject* make_subclass(PyObject*, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static const char* names[] = {"cls", "data", "require_grad", nullptr};
    PyObject *cls, *data;
    int require_grad = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|p:_make_subclass", const_cast<char**>(names), &cls, &data,
                                     &require_grad))
      throw py::error_already_set();
    PyTypeObject* wanted = check_subclass(cls);
    if (!is_tensor(data)) fail<TypeError>("_make_subclass: expected a Tensor as data, got ", Py_TYPE(data)->tp_name);
    const Tensor t = detach(unwrap(data));
    if (require_grad) autograd::set_requires_grad(t, true);
    return wrap_as(wanted, t);
  });
}
PyObject* as_subclass(PyObject* self, PyObject* cls) {
  return guarded([&] { return wrap_as(check_subclass(cls), view(unwrap(self), unwrap(self).sizes())); });
}

PyObject* shallow_copy(PyObject* self, PyObject*) {
  return guarded([&] {
    const Tensor t = detach(unwrap(self));
    if (autograd::requires_grad(unwrap(self))) autograd::set_requires_grad(t, true);
    py::object copy = take(wrap_as(Py_TYPE(self), t));
    if (PyObject* dict = instance_dict(self)) set_instance_dict(copy.ptr(), take(PyDict_Copy(dict)).ptr());
    return copy.release().ptr();
  });
}

PyObject* deep_copy(PyObject* self, PyObject* memo) {
  return guarded([&] {
    const Tensor& x = unwrap(self);
    const py::object key = take(PyLong_FromVoidPtr(self)), seen = borrow(memo);
    if (seen.contains(key)) return py::object(seen[key]).release().ptr();
    if (!autograd::is_leaf(x))
      fail("deepcopy: expected a leaf of the graph (use detach() for others), got ", x, " made by ",
           autograd::grad_fn(x)->name);
    const bool wants_grad = autograd::requires_grad(x);
    autograd::GradGuard off(false);
    const Tensor t = clone(x, MemoryFormat::Preserve);
    if (wants_grad) autograd::set_requires_grad(t, true);
    py::object copy = take(wrap_as(Py_TYPE(self), t));
    seen[key] = copy;
    if (const auto* h = autograd::history(x); h && h->grad.defined())
      autograd::ensure_history(t).grad = clone(h->grad, MemoryFormat::Preserve);
    if (PyObject* dict = instance_dict(self))
      set_instance_dict(copy.ptr(), py::object(py::module_::import("copy").attr("deepcopy")(borrow(dict), seen)).ptr());
    return copy.release().ptr();
  });
}

// Pickles as bytes in memory order with their strides; a tensor with gaps becomes contiguous.
PyObject* reduce_ex(PyObject* self, PyObject*) {
  return guarded([&] {
    const Tensor& x = unwrap(self);
    const Tensor dense = x.is_dense() ? x : contiguous(x);
    const py::object rebuild = py::module_::import("pydl._core").attr("_rebuild_tensor");
    const py::object bytes =
        take(PyBytes_FromStringAndSize(static_cast<const char*>(dense.raw()), Py_ssize_t(dense.nbytes())));
    const py::object sizes = take(wrap_size(dense.sizes())), strides = take(wrap_size(dense.strides())),
                     dtype = take(wrap(x.dtype()));
    PyObject* dict = instance_dict(self);
    return Py_BuildValue("O(OOOOOOO)", rebuild.ptr(), reinterpret_cast<PyObject*>(Py_TYPE(self)), bytes.ptr(),
                         dtype.ptr(), py::tuple(sizes).ptr(), py::tuple(strides).ptr(),
                         autograd::requires_grad(x) ? Py_True : Py_False, dict ? dict : Py_None);
  });
}

py::object rebuild_tensor(const py::object& cls, const py::bytes& bytes, const py::object& dtype,
                          const py::object& sizes, const py::object& strides, bool requires_grad,
                          const py::object& dict) {
  Dims size, stride;
  if (!to_int_list(sizes.ptr(), size) || !to_int_list(strides.ptr(), stride) || size.size() != stride.size())
    fail<ValueError>("_rebuild_tensor: expected matching sizes and strides");
  const Tensor t = Tensor::empty_strided(size, stride, *dtype_or_none(dtype.ptr(), "_rebuild_tensor"));
  const std::string_view data(bytes);
  if (data.size() != t.nbytes() || !t.is_dense())
    fail<ValueError>("_rebuild_tensor: expected ", t.nbytes(), " bytes, got ", data.size());
  if (!data.empty()) std::memcpy(t.raw(), data.data(), data.size());
  if (requires_grad) autograd::set_requires_grad(t, true);
  py::object result = take(wrap_as(check_subclass(cls.ptr()), t));
  set_instance_dict(result.ptr(), dict.ptr());
  return result;
}

PyObject* format(PyObject* self, PyObject* spec) {
  return guarded([&] {
    if (unwrap(self).dim() == 0 && Py_TYPE(self) == tensor_type)
      return PyObject_Format(take(wrap(item(unwrap(self)))).ptr(), spec);
    if (text_of(spec).empty()) return PyObject_Str(self);
    fail<TypeError>("format: expected a 0-d tensor with a format specification, got ", unwrap(self));
  });
}

}  // namespace

void add_attributes(py::module_& m) { m.def("_rebuild_tensor", &rebuild_tensor); }

// Tensor(2, 3), Tensor(sizes), Tensor(data) of the default dtype: PyTorch's legacy constructor.
PyObject* tensor_new(PyTypeObject* cls, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    if (cls == tensor_type && kwargs && PyDict_GET_SIZE(kwargs))
      fail<TypeError>("Tensor: expected sizes or data, got keyword arguments; use pydl.tensor()");
    const Py_ssize_t n = PyTuple_GET_SIZE(args);
    PyObject* first = n ? PyTuple_GET_ITEM(args, 0) : nullptr;
    Dims sizes;
    if (first && is_tensor(first)) return wrap_as(cls, detach(unwrap(first)));
    if (first && Py_TYPE(first) == size_type)
      to_int_list(first, sizes);
    else if (!first)
      sizes = {0};
    else if (PyFloat_Check(first))
      fail<TypeError>("Tensor: expected integer sizes or a sequence of data, got a float; use pydl.tensor()");
    else if (!PyIndex_Check(first) || PySequence_Check(first))
      return wrap_as(cls, tensor_from(first, default_dtype()));
    else if (!to_int_list(args, sizes))
      fail<TypeError>("Tensor: expected integer sizes or data, got other arguments");
    return wrap_as(cls, Tensor::empty(sizes, default_dtype()));
  });
}

PyGetSetDef attribute_properties[] = {
    {"shape", property([](const Tensor& t) { return wrap_size(t.sizes()); }), nullptr, "The sizes of the dimensions.",
     nullptr},
    {"dtype", property([](const Tensor& t) { return wrap(t.dtype()); }), nullptr, "The type of the elements.", nullptr},
    {"device", property([](const Tensor& t) { return wrap(t.device()); }), nullptr, "Where the memory is.", nullptr},
    {"ndim", property([](const Tensor& t) { return integer(t.dim()); }), nullptr, "The number of dimensions.", nullptr},
    {"itemsize", property([](const Tensor& t) { return integer(t.item_size()); }), nullptr, "Bytes of one element.",
     nullptr},
    {"nbytes", property([](const Tensor& t) { return integer(int64_t(t.nbytes())); }), nullptr,
     "Bytes of all elements.", nullptr},
    {"T", property([](const Tensor& t) { return wrap(reversed(t)); }), nullptr, "All dimensions in reverse order.",
     nullptr},
    {"mT", property([](const Tensor& t) { return wrap(matrix_transpose(t)); }), nullptr,
     "The last two dimensions swapped.", nullptr},
    {"H", property([](const Tensor& t) { return wrap(matrix_transpose(t)); }), nullptr,
     "The conjugate transpose of a matrix.", nullptr},
    {"mH", property([](const Tensor& t) { return wrap(matrix_transpose(t)); }), nullptr,
     "The conjugate transpose of the last two dimensions.", nullptr},
    {"real", property([](const Tensor& t) { return wrap(view(t, t.sizes())); }), nullptr,
     "The real part: a view of the tensor.", nullptr},
    {"is_cuda", property([](const Tensor&) { return PyBool_FromLong(0); }), nullptr, nullptr, nullptr},
    {"is_cpu", property([](const Tensor&) { return PyBool_FromLong(1); }), nullptr, nullptr, nullptr},
    {},
};

PyMethodDef attribute_methods[] = {
    {"size", as_method(size), METH_FASTCALL | METH_KEYWORDS, "The sizes, or that of one dimension."},
    {"stride", as_method(stride), METH_FASTCALL | METH_KEYWORDS, "The strides in elements, or that of one dimension."},
    {"dim", query([](const Tensor& t) { return integer(t.dim()); }), METH_NOARGS, "The number of dimensions."},
    {"ndimension", query([](const Tensor& t) { return integer(t.dim()); }), METH_NOARGS, "Alias of dim."},
    {"numel", query([](const Tensor& t) { return integer(t.numel()); }), METH_NOARGS, "The number of elements."},
    {"nelement", query([](const Tensor& t) { return integer(t.numel()); }), METH_NOARGS, "Alias of numel."},
    {"element_size", query([](const Tensor& t) { return integer(t.item_size()); }), METH_NOARGS,
     "Bytes of one element."},
    {"storage_offset", query([](const Tensor& t) { return integer(t.offset()); }), METH_NOARGS,
     "The first element's place in the storage."},
    {"data_ptr", query([](const Tensor& t) { return PyLong_FromVoidPtr(t.raw()); }), METH_NOARGS,
     "The address of the first element."},
    {"get_device", query([](const Tensor&) { return integer(-1); }), METH_NOARGS, "-1: the CPU."},
    {"is_floating_point", query([](const Tensor& t) { return PyBool_FromLong(is_floating(t.dtype())); }), METH_NOARGS,
     nullptr},
    {"is_complex", query([](const Tensor&) { return PyBool_FromLong(0); }), METH_NOARGS, nullptr},
    {"is_signed", query([](const Tensor& t) { return PyBool_FromLong(t.dtype() > DType::UInt8); }), METH_NOARGS,
     nullptr},
    {"is_inference", query([](const Tensor& t) { return PyBool_FromLong(t.impl()->inference); }), METH_NOARGS,
     "Made under inference_mode."},
    {"_is_view", query([](const Tensor& t) { return PyBool_FromLong(t.impl()->base ? 1 : 0); }), METH_NOARGS, nullptr},
    {"is_contiguous", as_method(is_contiguous), METH_VARARGS | METH_KEYWORDS, "Is the memory in the given format?"},
    {"to", as_method(to), METH_VARARGS | METH_KEYWORDS,
     "This tensor in another dtype or memory format: itself where nothing changes."},
    {"type", as_method(type), METH_VARARGS | METH_KEYWORDS,
     "The name of the type; or, given a dtype, the tensor in it."},
    {"type_as", type_as, METH_O, "This tensor in the dtype of another."},
    {"cpu", query([](const Tensor& t) { return wrap(t); }), METH_NOARGS, "This tensor: all are on the CPU."},
    {"float", to_fixed<DType::Float32>, METH_NOARGS, "to(float32)."},
    {"double", to_fixed<DType::Float64>, METH_NOARGS, "to(float64)."},
    {"half", to_fixed<DType::Float16>, METH_NOARGS, "to(float16)."},
    {"bfloat16", to_fixed<DType::BFloat16>, METH_NOARGS, "to(bfloat16)."},
    {"int", to_fixed<DType::Int32>, METH_NOARGS, "to(int32)."},
    {"long", to_fixed<DType::Int64>, METH_NOARGS, "to(int64)."},
    {"short", to_fixed<DType::Int16>, METH_NOARGS, "to(int16)."},
    {"char", to_fixed<DType::Int8>, METH_NOARGS, "to(int8)."},
    {"byte", to_fixed<DType::UInt8>, METH_NOARGS, "to(uint8)."},
    {"bool", to_fixed<DType::Bool>, METH_NOARGS, "to(bool)."},
    {"_make_subclass", as_method(make_subclass), METH_VARARGS | METH_KEYWORDS | METH_STATIC, nullptr},
    {"as_subclass", as_subclass, METH_O, "A view of this tensor as an instance of a subclass."},
    {"__copy__", shallow_copy, METH_NOARGS, nullptr},
    {"__deepcopy__", deep_copy, METH_O, nullptr},
    {"__reduce_ex__", reduce_ex, METH_O, nullptr},
    {"__format__", format, METH_O, nullptr},
    {},
};

}  // namespace pydl::python
