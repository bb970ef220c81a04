// pydl.Tensor: the Python object of a tensor. A tensor has at most one, so that `p.grad is p.grad`.
//
// Who owns whom: the object holds a reference to the TensorImpl, and the impl points back without one. When the last
// Python reference goes while C++ still holds the impl (a parameter saved in a graph), an object that carries something
// of its own (a subclass, attributes, weak references) is kept: ownership flips, the impl owns the object, and flips
// back when Python asks for the tensor again. A plain object just goes; the next look at the tensor makes a new one.
#pragma once
#include "autograd/node.h"
#include "bindings/python.h"

namespace pydl::python {

struct TensorObject {
  PyObject_HEAD Tensor tensor;
  PyObject* dict;
  PyObject* weakrefs;
  bool owns;  // false after the flip: `tensor` is then not counted
};

extern PyTypeObject* tensor_type;

inline bool is_tensor(PyObject* o) { return Py_TYPE(o) == tensor_type || PyType_IsSubtype(Py_TYPE(o), tensor_type); }
inline const Tensor& unwrap(PyObject* o) { return reinterpret_cast<TensorObject*>(o)->tensor; }

// A new reference to the tensor's object; None for an undefined tensor.
PyObject* wrap(Tensor t);
// The same for what an operation has just made: a tensor made under inference_mode says so.
PyObject* wrap_result(Tensor t);
inline py::object wrapped(Tensor t) { return py::reinterpret_steal<py::object>(wrap(std::move(t))); }
// The object of a tensor that has none yet, as an instance of a subclass.
PyObject* wrap_as(PyTypeObject* type, Tensor t);

// Objects without Python references of their own stay out of the garbage collector; this one now has some.
void track(PyObject* tensor_object);

void add_tensor_type(py::module_& m);

// Tables that the other files of the bindings contribute to the type.
extern PyMethodDef conversion_methods[], interop_methods[], autograd_methods[], attribute_methods[];
extern PyGetSetDef attribute_properties[], autograd_properties[];
extern PyType_Slot number_slots[], conversion_slots[], container_slots[], buffer_slots[];
PyObject* tensor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs);

// Python objects that C++ keeps for a tensor, for the garbage collector: its hooks, and the ctx of the custom function
// that made it. Of those at its node only what nobody else holds: a cycle through a node that a second output, a later
// operation or a grad_fn object shares is not seen.
int visit_hooks(const Tensor& t, visitproc visit, void* arg);
void clear_hooks(const Tensor& t);
int visit_function(const autograd::Node& node, visitproc visit, void* arg);

}  // namespace pydl::python
