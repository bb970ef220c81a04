// no_grad, enable_grad, set_grad_enabled and inference_mode: context managers and decorators over the thread's mode.
#include "bindings/graph.h"

#include <pybind11/pybind11.h>

namespace pydl::python {

namespace {

enum class Kind : uint8_t { NoGrad, EnableGrad, SetGradEnabled, InferenceMode };

struct ModeObject {
  PyObject_HEAD Kind kind;
  bool on;  // of set_grad_enabled and inference_mode
  autograd::Mode before;
};
PyTypeObject* mode_types[4];
const char* const kNames[] = {"no_grad", "enable_grad", "set_grad_enabled", "inference_mode"};

ModeObject& as_mode(PyObject* o) { return *reinterpret_cast<ModeObject*>(o); }

void apply(const ModeObject& m) {
  switch (m.kind) {
    case Kind::NoGrad:
      autograd::mode.grad = false;
      break;
    case Kind::EnableGrad:
      autograd::mode.grad = true;
      break;
    case Kind::SetGradEnabled:
      autograd::mode.grad = m.on;
      break;
    case Kind::InferenceMode:
      autograd::mode.inference = m.on;
      autograd::mode.grad = !m.on && m.before.grad;
      break;
  }
}

PyObject* decorate(PyObject* context, PyObject* function) {
  return py::object(py::module_::import("pydl.autograd.grad_mode").attr("_decorate")(borrow(context), borrow(function)))
      .release()
      .ptr();
}

PyObject* new_mode(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    Kind kind{};
    for (int i = 0; i < 4; ++i)
      if (PyType_IsSubtype(type, mode_types[i])) kind = Kind(i);
    static const char* names[] = {"mode", nullptr};
    PyObject* mode = nullptr;
    const char* formats[] = {"|O:no_grad", "|O:enable_grad", "O:set_grad_enabled", "|O:inference_mode"};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, formats[int(kind)], const_cast<char**>(names), &mode))
      throw py::error_already_set();
    const bool takes_mode = kind == Kind::SetGradEnabled || kind == Kind::InferenceMode;
    const bool function =
        mode && kind != Kind::SetGradEnabled && PyCallable_Check(mode);  // @no_grad without parentheses
    if (mode && !function && !(takes_mode && PyBool_Check(mode)))
      fail<TypeError>(kNames[int(kind)], ": expected ", takes_mode ? "a bool" : "no argument", ", got ",
                      Py_TYPE(mode)->tp_name);
    py::object self = take(type->tp_alloc(type, 0));
    ModeObject& m = as_mode(self.ptr());
    m.kind = kind;
    m.on = !mode || function || mode == Py_True;
    m.before = autograd::mode;
    if (function) return decorate(self.ptr(), mode);
    if (kind == Kind::SetGradEnabled) apply(m);  // works as a plain call too
    return self.release().ptr();
  });
}

PyObject* enter(PyObject* self, PyObject*) {
  ModeObject& m = as_mode(self);
  if (m.kind != Kind::SetGradEnabled) m.before = autograd::mode;  // that one remembers from its construction on
  apply(m);
  Py_RETURN_NONE;
}

PyObject* leave(PyObject* self, PyObject* const*, Py_ssize_t) {
  const autograd::Mode& before = as_mode(self).before;
  autograd::mode.grad = before.grad;
  autograd::mode.inference = before.inference;
  Py_RETURN_NONE;
}

// A decorated function runs under a context of its own, so that it may call itself.
PyObject* clone(PyObject* self, PyObject*) {
  ModeObject& m = as_mode(self);
  PyObject* copy = Py_TYPE(self)->tp_alloc(Py_TYPE(self), 0);
  if (!copy) return nullptr;
  as_mode(copy).kind = m.kind;
  as_mode(copy).on = m.on;
  as_mode(copy).before = autograd::mode;
  return copy;
}

PyObject* call(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static const char* names[] = {"func", nullptr};
    PyObject* function;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", const_cast<char**>(names), &function))
      throw py::error_already_set();
    if (as_mode(self).kind == Kind::SetGradEnabled) leave(self, nullptr, 0);  // a decorator sets nothing by itself
    return decorate(self, function);
  });
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {{"__enter__", enter, METH_NOARGS, nullptr},
                         {"__exit__", as_method(leave), METH_FASTCALL, nullptr},
                         {"clone", clone, METH_NOARGS, "Another context of the same kind."},
                         {}};
const char* const kDocs[] = {"Operations inside record no history.", "Operations inside record history.",
                             "Switches recording on or off: at once, and for a block until its end.",
                             "no_grad, and tensors made inside never enter a graph."};

}  // namespace

void add_grad_modes(py::module_& m) {
  for (int i = 0; i < 4; ++i) {
    PyType_Slot slots[] = {{Py_tp_new, as_slot(new_mode)},           {Py_tp_call, as_slot(call)},
                           {Py_tp_dealloc, as_slot(dealloc)},        {Py_tp_methods, methods},
                           {Py_tp_doc, const_cast<char*>(kDocs[i])}, {}};
    const std::string name = std::string("pydl.") + kNames[i];
    PyType_Spec spec{name.c_str(), sizeof(ModeObject), 0, unsigned(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE), slots};
    mode_types[i] = make_type(spec);
    m.attr(kNames[i]) = borrow(reinterpret_cast<PyObject*>(mode_types[i]));
  }
  m.def(
      "is_grad_enabled", [] { return autograd::mode.grad; }, "Is history being recorded?");
  m.def(
      "is_inference_mode_enabled", [] { return autograd::mode.inference; }, "Inside inference_mode?");
  m.def(
      "is_anomaly_enabled", [] { return autograd::mode.anomaly; }, "Is anomaly detection on?");
  m.def("_set_anomaly", [](bool on, bool check_nan) {
    const auto before = std::pair(autograd::mode.anomaly, autograd::mode.anomaly_check_nan);
    autograd::mode.anomaly = on;
    autograd::mode.anomaly_check_nan = check_nan;
    return before;
  });
}

}  // namespace pydl::python
