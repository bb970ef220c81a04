// The small value types that appear in signatures: pydl.dtype, device, memory_format, Size and Generator.
#pragma once
#include <optional>

#include "bindings/python.h"
#include "tensor/tensor.h"

namespace pydl {
struct Generator;
}

namespace pydl::python {

extern PyTypeObject *dtype_type, *device_type, *memory_format_type, *size_type, *generator_type;

// New references.
PyObject* wrap(DType t);
PyObject* wrap(Device d);
PyObject* wrap(MemoryFormat f);
PyObject* wrap_size(IntSpan sizes);

// A pydl.dtype, or Python's float, int or bool. False when `o` is neither; raises for the reserved complex ones.
bool to_dtype(PyObject* o, DType& out);
std::optional<DType> dtype_or_none(PyObject* o, const char* what);
bool to_memory_format(PyObject* o, MemoryFormat& out);
bool to_generator(PyObject* o, Generator*& out);
// None, "cpu" or a pydl.device. False when `o` is no device at all; raises for one that this build lacks.
bool to_device(PyObject* o, Device& out);

void add_types(py::module_& m);
void add_random(py::module_& m);

}  // namespace pydl::python
