#include <pybind11/pybind11.h>
#include <unistd.h>

#include <new>

#include "bindings/python.h"

namespace pydl::python {

PyObject* shape_error = nullptr;
static PyObject* out_of_memory_error = nullptr;

// The message with its leading "name: " replaced, unless by the name of an entry of our own ("_fused_linear"): the one that
// was there is the operator's that it does the work of.
static std::string renamed(const char* message, const char* op) {
  if (!op) return message;
  const std::string_view text = message;
  const size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
  const bool named = end != 0 && end != text.npos && text.substr(end, 2) == ": ";
  if (named && op[0] == '_') return message;
  return std::string(op) + ": " + std::string(named ? text.substr(end + 2) : text);
}

void translate_exception(const char* op) noexcept {
  auto set = [op](PyObject* type, const std::exception& e) { PyErr_SetString(type, renamed(e.what(), op).c_str()); };
  try {
    throw;
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const ShapeError& e) {
    set(shape_error, e);
  } catch (const IndexError& e) {
    set(PyExc_IndexError, e);
  } catch (const TypeError& e) {
    set(PyExc_TypeError, e);
  } catch (const ValueError& e) {
    set(PyExc_ValueError, e);
  } catch (const NotImplementedError& e) {
    set(PyExc_NotImplementedError, e);
  } catch (const OverflowError& e) {
    set(PyExc_OverflowError, e);
  } catch (const OutOfMemoryError& e) {
    set(out_of_memory_error, e);
  } catch (const std::bad_alloc&) {
    const std::string text = std::string(op ? op : "pydl") + ": expected memory for what the call needs, got none";
    PyErr_SetString(out_of_memory_error, text.c_str());
  } catch (const py::builtin_exception& e) {
    e.set_error();
  } catch (const std::exception& e) {
    set(PyExc_RuntimeError, e);
  } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "pydl: unknown C++ exception");
  }
}

void sleep_until_exit() noexcept {
  for (;;) pause();
}

static PyObject* new_error(py::module_& m, const char* name, const char* doc, PyObject* a, PyObject* b) {
  const std::string qualified = std::string("pydl.") + name;
  PyObject* error =
      checked(PyErr_NewExceptionWithDoc(qualified.c_str(), doc, py::make_tuple(borrow(a), borrow(b)).ptr(), nullptr));
  m.attr(name) = borrow(error);
  return error;
}

void add_errors(py::module_& m) {
  shape_error = new_error(m, "ShapeError", "Shapes that do not fit together.", PyExc_RuntimeError, PyExc_ValueError);
  out_of_memory_error =
      new_error(m, "OutOfMemoryError", "A tensor that does not fit the memory.", PyExc_RuntimeError, PyExc_MemoryError);
  // pybind11's own functions translate through the same place.
  py::register_local_exception_translator([](std::exception_ptr p) {
    try {
      std::rethrow_exception(p);
    } catch (const Error&) { translate_exception(); }
  });
}

}  // namespace pydl::python
