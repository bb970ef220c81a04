// What every file of the bindings starts from: CPython, pybind11, and the border between C++ exceptions and Python's.
#pragma once
#include <cxxabi.h>
#include <pybind11/pytypes.h>  // files that need more of pybind11 include it: it takes seconds to compile

#include <type_traits>

#include "base/check.h"

namespace pybind11 {
class module_;
}

namespace pydl::python {

namespace py = pybind11;

// In a catch block: sets the Python error that the exception in flight stands for. A message from inside a composite
// ("sub: expected ...") is made to name the operator that was called, when that is given.
void translate_exception(const char* op = nullptr) noexcept;

// Once the interpreter goes down, CPython before 3.14 ends a thread that asks for the GIL by unwinding its stack (an
// abi::__forced_unwind). To catch that and go on, or to meet a noexcept function on the way, aborts the process: a thread
// that is ended inside this module sleeps until the process exits instead.
[[noreturn]] void sleep_until_exit() noexcept;

// Runs f at an entry from Python. An exception becomes a Python error and the entry's error value, null or -1.
template <class F>
auto guarded(F&& f, const char* op = nullptr) noexcept {
  using R = decltype(f());
  try {
    return f();
  } catch (abi::__forced_unwind&) { sleep_until_exit(); } catch (...) {
    translate_exception(op);
  }
  if constexpr (std::is_pointer_v<R>)
    return R(nullptr);
  else
    return R(-1);
}

// Runs f holding the GIL, on a thread of the engine that may not hold it.
template <class F>
auto with_gil(F&& f) {
  struct Gil {
    PyGILState_STATE state;
    Gil() {
      try {
        state = PyGILState_Ensure();
      } catch (abi::__forced_unwind&) { sleep_until_exit(); }
    }
    ~Gil() { PyGILState_Release(state); }
  };
  const Gil gil;
  return f();
}

// Turns the error value of a C API call into the exception that carries the Python error.
inline PyObject* checked(PyObject* o) {
  if (!o) throw py::error_already_set();
  return o;
}
inline void checked(int status) {
  if (status < 0) throw py::error_already_set();
}
inline py::object take(PyObject* new_reference) { return py::reinterpret_steal<py::object>(checked(new_reference)); }
inline py::object borrow(PyObject* o) { return py::reinterpret_borrow<py::object>(o); }

// function(*args), called by the engine. A thread that is ended inside sleeps before its references are dropped: without
// the GIL it could not drop them.
inline py::object call_back(const py::object& function, const py::object& args) {
  PyObject* result;
  try {
    result = PyObject_Call(function.ptr(), args.ptr(), nullptr);
  } catch (abi::__forced_unwind&) { sleep_until_exit(); }
  return take(result);
}

inline std::string_view text_of(PyObject* unicode) {
  Py_ssize_t n;
  const char* s = PyUnicode_AsUTF8AndSize(unicode, &n);
  if (!s) throw py::error_already_set();
  return {s, size_t(n)};
}

// Method table entries come in several signatures; PyMethodDef stores one.
template <class F>
PyCFunction as_method(F* f) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}
template <class F>
void* as_slot(F* f) {
  return reinterpret_cast<void*>(f);
}

// A heap type made from a spec; the reference is kept for the life of the process.
inline PyTypeObject* make_type(PyType_Spec& spec, PyObject* bases = nullptr) {
  return reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpecWithBases(&spec, bases)));
}

// pydl.ShapeError and pydl.OutOfMemoryError, made by add_errors.
extern PyObject* shape_error;
void add_errors(py::module_& m);

}  // namespace pydl::python
