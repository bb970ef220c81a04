#include <new>

#include "bindings/python.h"

namespace pydl::python {

PyObject* shape_error = nullptr;
static PyObject* out_of_memory_error = nullptr;

void translate_exception() noexcept {
  try {
    throw;
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const ShapeError& e) {
    PyErr_SetString(shape_error, e.what());
  } catch (const IndexError& e) {
    PyErr_SetString(PyExc_IndexError, e.what());
  } catch (const TypeError& e) {
    PyErr_SetString(PyExc_TypeError, e.what());
  } catch (const ValueError& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const NotImplementedError& e) {
    PyErr_SetString(PyExc_NotImplementedError, e.what());
  } catch (const OutOfMemoryError& e) {
    PyErr_SetString(out_of_memory_error, e.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const py::builtin_exception& e) {
    e.set_error();
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "pydl: unknown C++ exception");
  }
}

static PyObject* new_error(py::module_& m, const char* name, const char* doc, PyObject* a, PyObject* b) {
  const std::string qualified = std::string("pydl.") + name;
  PyObject* error = checked(PyErr_NewExceptionWithDoc(qualified.c_str(), doc, py::make_tuple(borrow(a), borrow(b)).ptr(), nullptr));
  m.attr(name) = borrow(error);
  return error;
}

void add_errors(py::module_& m) {
  shape_error = new_error(m, "ShapeError", "Shapes that do not fit together.", PyExc_RuntimeError, PyExc_ValueError);
  out_of_memory_error = new_error(m, "OutOfMemoryError", "A tensor that does not fit the memory.", PyExc_RuntimeError,
                                  PyExc_MemoryError);
  // pybind11's own functions translate through the same place.
  py::register_local_exception_translator([](std::exception_ptr p) {
    try {
      std::rethrow_exception(p);
    } catch (const Error&) {
      translate_exception();
    }
  });
}

}  // namespace pydl::python
