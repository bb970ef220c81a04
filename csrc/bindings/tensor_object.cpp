#include "bindings/tensor_object.h"

#include <pybind11/pybind11.h>
#include <structmember.h>

#include <vector>

#include "autograd/grad_mode.h"

namespace pydl::python {

PyTypeObject* tensor_type = nullptr;

namespace {

TensorObject* as_object(PyObject* o) { return reinterpret_cast<TensorObject*>(o); }
PyObject* as_python(TensorObject* o) { return reinterpret_cast<PyObject*>(o); }

// Dead objects of the exact type, kept with their reference to the type. Guarded by the GIL.
constexpr int kFreeListSize = 256;
TensorObject* free_list[kFreeListSize];
int free_count = 0;

TensorObject* allocate_exact() {
  TensorObject* o;
  if (free_count) {
    o = free_list[--free_count];
    _Py_NewReference(as_python(o));
  } else {
    o = PyObject_GC_New(TensorObject, tensor_type);
    if (!o) throw py::error_already_set();
  }
  o->dict = o->weakrefs = nullptr;
  return o;
}

PyObject* adopt(TensorObject* o, Tensor&& t) {
  TensorImpl* impl = t.impl();
  new (&o->tensor) Tensor(std::move(t));
  o->owns = true;
  impl->python_object.store(o, std::memory_order_release);
  return as_python(o);
}

bool carries_state(TensorObject* o) {
  return o->weakrefs || Py_TYPE(as_python(o)) != tensor_type || (o->dict && PyDict_GET_SIZE(o->dict));
}

// Called with no Python reference left: true when C++ still needs the object, whose owner is now the impl.
bool flip_to_impl(TensorObject* o) {
  TensorImpl* impl = o->tensor.impl();
  if (!impl || !o->owns || impl->references.load(std::memory_order_acquire) == 1 || !carries_state(o)) return false;
  Py_SET_REFCNT(as_python(o), 1);
  o->owns = false;
  Ref<TensorImpl>::adopt(impl);  // drops the object's count; `tensor` keeps the pointer
  return true;
}

void forget_tensor(TensorObject* o) {
  if (TensorImpl* impl = o->tensor.impl()) {
    impl->python_object.store(nullptr, std::memory_order_release);
    if (!o->owns) new (&o->tensor) Tensor();
  }
  o->tensor.~Tensor();
}

// The impl's last reference went while it owned its object. True when Python got hold of the object meanwhile
// (through a weak reference): then the object owns the impl again.
bool release_object(TensorImpl* impl) {
  if (!Py_IsInitialized()) return false;
  return with_gil([impl] {
    auto* o = static_cast<TensorObject*>(impl->python_object.load(std::memory_order_acquire));
    const bool taken = Py_REFCNT(as_python(o)) > 1;
    if (taken) {
      impl->references.store(1, std::memory_order_release);
      o->owns = true;
    } else {
      impl->python_object.store(nullptr, std::memory_order_release);
      new (&o->tensor) Tensor();
    }
    Py_DECREF(as_python(o));
    return taken;
  });
}

void tensor_dealloc(PyObject* self) {
  TensorObject* o = as_object(self);
  if (flip_to_impl(o)) return;
  PyTypeObject* type = Py_TYPE(self);
  if (type != tensor_type && type->tp_finalize) {
    if (PyObject_CallFinalizerFromDealloc(self) < 0) return;  // a __del__ that kept it
  }
  if (PyObject_GC_IsTracked(self)) PyObject_GC_UnTrack(self);
  if (o->weakrefs) PyObject_ClearWeakRefs(self);
  if (type != tensor_type) type->tp_clear(self);  // slots of the subclass
  Py_CLEAR(o->dict);
  forget_tensor(o);
  if (type == tensor_type && free_count < kFreeListSize) {
    free_list[free_count++] = o;
    return;
  }
  type->tp_free(self);
  Py_DECREF(type);
}

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {
  TensorObject* o = as_object(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(o->dict);
  // What hangs onto the impl is reachable from here alone only while nobody else holds the impl.
  if (o->tensor.defined() && o->owns && o->tensor.ref().use_count() == 1) return visit_hooks(o->tensor, visit, arg);
  return 0;
}

int tensor_clear(PyObject* self) {
  TensorObject* o = as_object(self);
  Py_CLEAR(o->dict);
  if (o->tensor.defined() && o->owns && o->tensor.ref().use_count() == 1) clear_hooks(o->tensor);
  return 0;
}

int tensor_setattro(PyObject* self, PyObject* name, PyObject* value) {
  const int status = PyObject_GenericSetAttr(self, name, value);
  if (as_object(self)->dict) track(self);
  return status;
}

PyObject* get_dict(PyObject* self, void*) {
  PyObject* dict = PyObject_GenericGetDict(self, nullptr);
  if (dict) track(self);
  return dict;
}

// By identity, since == is elementwise.
Py_hash_t tensor_hash(PyObject* self) { return Py_hash_t(reinterpret_cast<uintptr_t>(self) >> 4); }

PyObject* tensor_repr(PyObject* self) {
  return guarded([&] {
    return py::object(py::module_::import("pydl._tensor_str").attr("to_string")(borrow(self))).release().ptr();
  });
}

PyMemberDef offsets[] = {{"__dictoffset__", T_PYSSIZET, offsetof(TensorObject, dict), READONLY, nullptr},
                         {"__weaklistoffset__", T_PYSSIZET, offsetof(TensorObject, weakrefs), READONLY, nullptr},
                         {}};
PyGetSetDef own_properties[] = {{"__dict__", get_dict, PyObject_GenericSetDict, nullptr, nullptr}, {}};

bool is_last(const PyMethodDef& m) { return !m.ml_name; }
bool is_last(const PyGetSetDef& p) { return !p.name; }
bool is_last(const PyType_Slot& s) { return !s.slot; }
template <class Row>
void append(std::vector<Row>& all, const Row* table) {
  for (; !is_last(*table); ++table) all.push_back(*table);
}

}  // namespace

void track(PyObject* self) {
  if (!PyObject_GC_IsTracked(self)) PyObject_GC_Track(self);
}

PyObject* wrap(Tensor t) {
  if (!t.defined()) Py_RETURN_NONE;
  TensorImpl* impl = t.impl();
  if (auto* o = static_cast<TensorObject*>(impl->python_object.load(std::memory_order_acquire))) {
    if (o->owns) {
      Py_INCREF(as_python(o));
    } else {  // flip back: the object takes our count, we take the impl's reference to the object
      new (&o->tensor) Tensor(std::move(t));
      o->owns = true;
    }
    return as_python(o);
  }
  return adopt(allocate_exact(), std::move(t));
}

PyObject* wrap_result(Tensor t) {
  if (autograd::mode.inference && t.defined()) {
    TensorImpl& impl = *t.impl();
    impl.inference |= !impl.base && !impl.autograd && !impl.python_object.load(std::memory_order_relaxed);
  }
  return wrap(std::move(t));
}

PyObject* wrap_as(PyTypeObject* type, Tensor t) {
  if (type == tensor_type) return wrap(std::move(t));
  // The interpreter gives every class statement its own deallocator, which could not keep an object alive. The bases get
  // ours too: an object may become one of theirs only where the deallocators agree.
  for (PyTypeObject* t = type; t != tensor_type; t = t->tp_base) t->tp_dealloc = tensor_dealloc;
  PyObject* self = checked(type->tp_alloc(type, 0));
  return adopt(as_object(self), std::move(t));
}

void add_tensor_type(py::module_& m) {
  static std::vector<PyMethodDef> methods;
  static std::vector<PyGetSetDef> properties;
  std::vector<PyType_Slot> slots;
  for (const PyMethodDef* table : {conversion_methods, interop_methods, autograd_methods, attribute_methods})
    append(methods, table);
  for (const PyGetSetDef* table : {own_properties, attribute_properties, autograd_properties})
    append(properties, table);
  for (const PyType_Slot* table : {number_slots, conversion_slots, container_slots, buffer_slots}) append(slots, table);
  methods.push_back({});
  properties.push_back({});
  static const char doc[] = "A strided array of one dtype, with optional gradient history.";
  for (PyType_Slot s : std::initializer_list<PyType_Slot>{{Py_tp_new, as_slot(tensor_new)},
                                                          {Py_tp_dealloc, as_slot(tensor_dealloc)},
                                                          {Py_tp_traverse, as_slot(tensor_traverse)},
                                                          {Py_tp_clear, as_slot(tensor_clear)},
                                                          {Py_tp_setattro, as_slot(tensor_setattro)},
                                                          {Py_tp_hash, as_slot(tensor_hash)},
                                                          {Py_tp_repr, as_slot(tensor_repr)},
                                                          {Py_tp_members, offsets},
                                                          {Py_tp_methods, methods.data()},
                                                          {Py_tp_getset, properties.data()},
                                                          {Py_tp_doc, const_cast<char*>(doc)}})
    slots.push_back(s);
  slots.push_back({});
  PyType_Spec spec{"pydl.Tensor", sizeof(TensorObject), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots.data()};
  tensor_type = make_type(spec);
  release_python_object = release_object;
  m.attr("Tensor") = borrow(reinterpret_cast<PyObject*>(tensor_type));
}

}  // namespace pydl::python
