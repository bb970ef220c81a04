// Autograd's Python objects: graph nodes, hooks, gradient modes, custom functions.
#pragma once
#include "autograd/node.h"
#include "bindings/tensor_object.h"

namespace pydl::python {

// The one Python object of a node; None for null.
PyObject* wrap(const Ref<autograd::Node>& node);
autograd::Node* to_node(PyObject* o);  // null when it is none

// A Python callable as a hook. Dropping the callable (RemovableHandle.remove) leaves a hook that does nothing.
struct PythonHook final : autograd::Hook {
  py::object function;
  explicit PythonHook(py::object f) : function(std::move(f)) {}
  ~PythonHook() override;
  Tensor call(const Tensor& grad) override;
};
// A handle with remove() for a hook, or for anything else that `remove` undoes.
py::object removable(std::function<void()> remove);

// A sequence of tensors (or one); None entries become undefined where `optional`.
std::vector<Tensor> to_tensors(const py::object& o, const char* what, bool optional = false);

void add_autograd(py::module_& m);  // engine entries and the tensor's autograd attributes
void add_nodes(py::module_& m);
void add_grad_modes(py::module_& m);
void add_functions(py::module_& m);  // custom autograd.Function

}  // namespace pydl::python
