// Memory shared with others: NumPy, the buffer protocol, DLPack; and values exchanged with Python objects.
#pragma once
#include <optional>

#include "bindings/tensor_object.h"

namespace pydl::python {

// A tensor over the memory of an object that exports a buffer (a NumPy array). Raises for dtypes and layouts that a
// tensor cannot have.
Tensor from_buffer(PyObject* exporter);
// A tensor over the memory of an object with __dlpack__ or a DLPack capsule.
Tensor from_dlpack(PyObject* source);

// The value of a one-element tensor.
Scalar item(const Tensor& t);
PyObject* wrap(const Scalar& s);

// A fresh tensor with the values of numbers, nested sequences, arrays or tensors; `share` keeps an array's own memory
// where that is possible.
Tensor tensor_from(PyObject* data, std::optional<DType> dtype, bool share = false);

// Raises unless the object names the CPU.
void check_device(const py::object& device);

void add_conversions(py::module_& m);
void add_interop(py::module_& m);

}  // namespace pydl::python
