#include "bindings/types.h"

#include <pybind11/pybind11.h>
#include <structmember.h>

#include "base/random.h"
#include "ops/promote.h"

namespace pydl::python {

PyTypeObject *dtype_type, *device_type, *memory_format_type, *size_type, *generator_type;

namespace {

// A named constant: dtypes and memory formats, of which there is one object each.
template <class T>
struct Constant {
  PyObject_HEAD T value;
};
using DTypeObject = Constant<DType>;
using MemoryFormatObject = Constant<MemoryFormat>;
using DeviceObject = Constant<Device>;

PyObject* dtypes[kDTypeCount + 2];
PyObject* memory_formats[3];
PyObject* cpu;

template <class T>
T value_of(PyObject* o) {
  return reinterpret_cast<Constant<T>*>(o)->value;
}
template <class T>
PyObject* new_constant(PyTypeObject* type, T value) {
  PyObject* o = checked(type->tp_alloc(type, 0));
  reinterpret_cast<Constant<T>*>(o)->value = value;
  return o;
}
void constant_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// ---- dtype ----------------------------------------------------------------------------------------------------------

PyObject* dtype_name(PyObject* self, bool qualified) {
  return PyUnicode_FromString(((qualified ? "pydl." : "") + std::string(name_of(value_of<DType>(self)))).c_str());
}
PyObject* dtype_repr(PyObject* self) { return dtype_name(self, true); }
// The module's attribute of this name is the object: that is how copy and pickle find it.
PyObject* dtype_reduce(PyObject* self, PyObject*) { return dtype_name(self, false); }

bool is_complex(DType t) { return t >= DType::Complex64; }
PyObject* dtype_itemsize(PyObject* self, void*) { return PyLong_FromLongLong(item_size(value_of<DType>(self))); }
PyObject* dtype_is_floating(PyObject* self, void*) { return PyBool_FromLong(is_floating(value_of<DType>(self))); }
PyObject* dtype_is_complex(PyObject* self, void*) { return PyBool_FromLong(is_complex(value_of<DType>(self))); }
PyObject* dtype_is_signed(PyObject* self, void*) { return PyBool_FromLong(value_of<DType>(self) > DType::UInt8); }

PyMethodDef dtype_methods[] = {{"__reduce__", dtype_reduce, METH_NOARGS, nullptr}, {}};
PyGetSetDef dtype_properties[] = {{"itemsize", dtype_itemsize, nullptr, "Bytes of one element.", nullptr},
                                  {"is_floating_point", dtype_is_floating, nullptr, nullptr, nullptr},
                                  {"is_complex", dtype_is_complex, nullptr, nullptr, nullptr},
                                  {"is_signed", dtype_is_signed, nullptr, nullptr, nullptr},
                                  {}};

// ---- memory formats -------------------------------------------------------------------------------------------------

const char* const kFormatNames[] = {"contiguous_format", "channels_last", "preserve_format"};
PyObject* format_repr(PyObject* self) {
  return PyUnicode_FromFormat("pydl.%s", kFormatNames[int(value_of<MemoryFormat>(self))]);
}
PyObject* format_reduce(PyObject* self, PyObject*) {
  return PyUnicode_FromString(kFormatNames[int(value_of<MemoryFormat>(self))]);
}
PyMethodDef format_methods[] = {{"__reduce__", format_reduce, METH_NOARGS, nullptr}, {}};

// ---- device ---------------------------------------------------------------------------------------------------------

const char* device_kind(PyObject* self) { return value_of<Device>(self).type == DeviceType::Cpu ? "cpu" : "cuda"; }
PyObject* device_repr(PyObject* self) { return PyUnicode_FromFormat("device(type='%s')", device_kind(self)); }
PyObject* device_str(PyObject* self) { return PyUnicode_FromString(device_kind(self)); }
PyObject* device_get_type(PyObject* self, void*) { return device_str(self); }
PyObject* device_get_index(PyObject*, void*) { Py_RETURN_NONE; }
PyObject* device_reduce(PyObject* self, PyObject*) {
  return Py_BuildValue("O(s)", reinterpret_cast<PyObject*>(Py_TYPE(self)), device_kind(self));
}
PyObject* device_compare(PyObject* a, PyObject* b, int op) {
  if (Py_TYPE(b) != device_type || (op != Py_EQ && op != Py_NE)) Py_RETURN_NOTIMPLEMENTED;
  return PyBool_FromLong((value_of<Device>(a) == value_of<Device>(b)) == (op == Py_EQ));
}
Py_hash_t device_hash(PyObject* self) { return Py_hash_t(value_of<Device>(self).type) + 1; }

PyObject* device_new(PyTypeObject*, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static const char* names[] = {"type", "index", nullptr};
    PyObject *type, *index = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:device", const_cast<char**>(names), &type, &index))
      throw py::error_already_set();
    Device d;
    if (!to_device(type, d)) fail<TypeError>("device: expected a name like 'cpu', got ", Py_TYPE(type)->tp_name);
    return wrap(d);
  });
}

PyMethodDef device_methods[] = {{"__reduce__", device_reduce, METH_NOARGS, nullptr}, {}};
PyGetSetDef device_properties[] = {
    {"type", device_get_type, nullptr, nullptr, nullptr}, {"index", device_get_index, nullptr, nullptr, nullptr}, {}};

// ---- Size -----------------------------------------------------------------------------------------------------------

PyObject* to_size(PyObject* tuple) {
  if (!tuple || !PyTuple_CheckExact(tuple)) return tuple;
  const Py_ssize_t n = PyTuple_GET_SIZE(tuple);
  PyObject* size = size_type->tp_alloc(size_type, n);
  if (size)
    for (Py_ssize_t i = 0; i < n; ++i) PyTuple_SET_ITEM(size, i, Py_NewRef(PyTuple_GET_ITEM(tuple, i)));
  Py_DECREF(tuple);
  return size;
}

PyObject* size_repr(PyObject* self) {
  return guarded([&] {
    std::string text = "pydl.Size([";
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i)
      text += (i ? ", " : "") + std::string(text_of(take(PyObject_Repr(PyTuple_GET_ITEM(self, i))).ptr()));
    return PyUnicode_FromString((text + "])").c_str());
  });
}
PyObject* size_numel(PyObject* self, PyObject*) {
  return guarded([&] {
    Dims dims;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i)
      dims.push_back(PyLong_AsLongLong(PyTuple_GET_ITEM(self, i)));
    if (PyErr_Occurred()) throw py::error_already_set();
    return PyLong_FromLongLong(element_count(dims));
  });
}
// Slices and sums of sizes are sizes.
PyObject* size_subscript(PyObject* self, PyObject* key) {
  return to_size(PyTuple_Type.tp_as_mapping->mp_subscript(self, key));
}
PyObject* size_concat(PyObject* self, PyObject* other) {
  return to_size(PyTuple_Type.tp_as_sequence->sq_concat(self, other));
}
PyObject* size_repeat(PyObject* self, Py_ssize_t n) { return to_size(PyTuple_Type.tp_as_sequence->sq_repeat(self, n)); }
PyObject* size_reduce(PyObject* self, PyObject*) {
  PyObject* plain = PyTuple_GetSlice(self, 0, PyTuple_GET_SIZE(self));
  return plain ? Py_BuildValue("O(N)", reinterpret_cast<PyObject*>(size_type), plain) : nullptr;
}
PyMethodDef size_methods[] = {{"numel", size_numel, METH_NOARGS, "The number of elements of a tensor of this size."},
                              {"__reduce__", size_reduce, METH_NOARGS, nullptr},
                              {}};

template <int N>
PyTypeObject* make_type(const char* name, int basicsize, PyType_Slot (&slots)[N], unsigned long flags = 0,
                        PyObject* base = nullptr) {
  PyType_Spec spec{name, basicsize, 0, unsigned(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | flags), slots};
  return python::make_type(spec, base ? py::make_tuple(borrow(base)).ptr() : nullptr);
}

}  // namespace

// ---- conversions ----------------------------------------------------------------------------------------------------

PyObject* wrap(DType t) { return Py_NewRef(dtypes[int(t)]); }
PyObject* wrap(Device) { return Py_NewRef(cpu); }
PyObject* wrap(MemoryFormat f) { return Py_NewRef(memory_formats[int(f)]); }

PyObject* wrap_size(IntSpan sizes) {
  PyObject* size = checked(size_type->tp_alloc(size_type, Py_ssize_t(sizes.size())));
  for (size_t i = 0; i < sizes.size(); ++i)
    PyTuple_SET_ITEM(size, Py_ssize_t(i), checked(PyLong_FromLongLong(sizes[i])));
  return size;
}

bool to_dtype(PyObject* o, DType& out) {
  if (Py_TYPE(o) == dtype_type) {
    out = value_of<DType>(o);
    if (is_complex(out))
      fail<NotImplementedError>("dtype: expected a real dtype, got ", out, ": complex tensors do not exist yet");
    return true;
  }
  if (o == reinterpret_cast<PyObject*>(&PyFloat_Type)) return out = DType::Float64, true;
  if (o == reinterpret_cast<PyObject*>(&PyLong_Type)) return out = DType::Int64, true;
  if (o == reinterpret_cast<PyObject*>(&PyBool_Type)) return out = DType::Bool, true;
  return false;
}

std::optional<DType> dtype_or_none(PyObject* o, const char* what) {
  if (!o || o == Py_None) return std::nullopt;
  DType t;
  if (!to_dtype(o, t)) fail<TypeError>(what, ": expected a pydl.dtype, got ", Py_TYPE(o)->tp_name);
  return t;
}

bool to_memory_format(PyObject* o, MemoryFormat& out) {
  if (Py_TYPE(o) != memory_format_type) return false;
  out = value_of<MemoryFormat>(o);
  return true;
}

bool to_device(PyObject* o, Device& out) {
  out = Device{};
  if (o == Py_None || Py_TYPE(o) == device_type) return true;
  if (!PyUnicode_Check(o)) return false;
  const std::string_view name = text_of(o);
  if (name == "cpu" || name == "cpu:0") return true;
  const std::string_view kind = name.substr(0, name.find(':'));
  if (kind == "cuda" || kind == "mps" || kind == "xpu" || kind == "meta")
    fail("device: expected 'cpu', the only device of this build, got '", name, "'");
  fail("device: expected a name like 'cpu', got '", name, "'");
}

void add_types(py::module_& m) {
  PyType_Slot dtype_slots[] = {{Py_tp_repr, as_slot(dtype_repr)},
                               {Py_tp_methods, dtype_methods},
                               {Py_tp_getset, dtype_properties},
                               {Py_tp_dealloc, as_slot(constant_dealloc)},
                               {}};
  dtype_type = make_type("pydl.dtype", sizeof(DTypeObject), dtype_slots, Py_TPFLAGS_DISALLOW_INSTANTIATION);
  for (int i = 0; i < kDTypeCount + 2; ++i) {
    dtypes[i] = new_constant(dtype_type, DType(i));
    m.attr(std::string(name_of(DType(i))).c_str()) = borrow(dtypes[i]);
  }
  const std::pair<const char*, DType> aliases[] = {{"float", DType::Float32}, {"double", DType::Float64},
                                                   {"half", DType::Float16},  {"long", DType::Int64},
                                                   {"int", DType::Int32},     {"short", DType::Int16}};
  for (auto [name, t] : aliases) m.attr(name) = borrow(dtypes[int(t)]);

  PyType_Slot format_slots[] = {{Py_tp_repr, as_slot(format_repr)},
                                {Py_tp_methods, format_methods},
                                {Py_tp_dealloc, as_slot(constant_dealloc)},
                                {}};
  memory_format_type =
      make_type("pydl.memory_format", sizeof(MemoryFormatObject), format_slots, Py_TPFLAGS_DISALLOW_INSTANTIATION);
  for (int i = 0; i < 3; ++i) {
    memory_formats[i] = new_constant(memory_format_type, MemoryFormat(i));
    m.attr(kFormatNames[i]) = borrow(memory_formats[i]);
  }

  PyType_Slot device_slots[] = {{Py_tp_new, as_slot(device_new)},
                                {Py_tp_repr, as_slot(device_repr)},
                                {Py_tp_str, as_slot(device_str)},
                                {Py_tp_richcompare, as_slot(device_compare)},
                                {Py_tp_hash, as_slot(device_hash)},
                                {Py_tp_methods, device_methods},
                                {Py_tp_getset, device_properties},
                                {Py_tp_dealloc, as_slot(constant_dealloc)},
                                {}};
  device_type = make_type("pydl.device", sizeof(DeviceObject), device_slots);
  cpu = new_constant(device_type, Device{});

  PyType_Slot size_slots[] = {{Py_tp_repr, as_slot(size_repr)},           {Py_tp_methods, size_methods},
                              {Py_mp_subscript, as_slot(size_subscript)}, {Py_sq_concat, as_slot(size_concat)},
                              {Py_sq_repeat, as_slot(size_repeat)},       {}};
  size_type = make_type("pydl.Size", 0, size_slots, 0, reinterpret_cast<PyObject*>(&PyTuple_Type));

  for (auto [name, type] : {std::pair{"dtype", dtype_type},
                            {"device", device_type},
                            {"memory_format", memory_format_type},
                            {"Size", size_type}})
    m.attr(name) = borrow(reinterpret_cast<PyObject*>(type));
}

}  // namespace pydl::python
