// The Python callables of the operators: functions in pydl (and pydl.linalg, pydl._core.nn), methods of Tensor.
#pragma once
#include "bindings/python.h"

namespace pydl::python {

// Makes a callable of every registered operator and puts it where its variants say.
void add_operators(py::module_& m);

}  // namespace pydl::python
