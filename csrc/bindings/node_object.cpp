// grad_fn objects: pydl.autograd.graph.Node.
#include "bindings/graph.h"

#include <pybind11/pybind11.h>

namespace pydl::python {

namespace {

struct NodeObject {
  PyObject_HEAD Ref<autograd::Node> node;
};
PyTypeObject* node_type;

autograd::Node& node_of(PyObject* o) { return *reinterpret_cast<NodeObject*>(o)->node; }

void dealloc(PyObject* self) {
  auto* o = reinterpret_cast<NodeObject*>(self);
  PyTypeObject* type = Py_TYPE(self);
  node_of(self).python_object.store(nullptr);
  o->node.~Ref();
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* name(PyObject* self, PyObject*) { return PyUnicode_FromString(node_of(self).title().c_str()); }
PyObject* repr(PyObject* self) {
  return PyUnicode_FromFormat("<%s object at %p>", node_of(self).title().c_str(), self);
}

PyObject* next_functions(PyObject* self, void*) {
  return guarded([&] {
    const autograd::Node& node = node_of(self);
    py::tuple all(node.edges.size());
    for (size_t i = 0; i < node.edges.size(); ++i)
      all[i] = py::make_tuple(take(wrap(node.edges[i].node)), py::int_(node.edges[i].input));
    return all.release().ptr();
  });
}

PyObject* variable(PyObject* self, void*) {
  auto* leaf = dynamic_cast<autograd::AccumulateGrad*>(&node_of(self));
  if (leaf) return guarded([&] { return wrap(leaf->variable); });
  return PyErr_Format(PyExc_AttributeError, "variable: expected an AccumulateGrad node, got %s",
                      node_of(self).title().c_str());
}

py::tuple as_tuple(const Tensors& tensors) {
  py::tuple tuple(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) tuple[i] = wrapped(tensors[i]);
  return tuple;
}

// Hooks of a node: fn(grad_outputs) before it runs, fn(grad_inputs, grad_outputs) after; a result replaces the
// gradients.
struct PythonNodeHook final : autograd::NodeHook {
  py::object function;
  bool before;
  PythonNodeHook(py::object f, bool pre_hook) : function(std::move(f)), before(pre_hook) {}
  ~PythonNodeHook() override {
    if (!Py_IsInitialized()) {
      function.release();
      return;
    }
    with_gil([&] { function = py::object(); });
  }
  void pre(Tensors& grads) override {
    if (!before || !function) return;
    with_gil([&] { replace(grads, call_back(function, py::make_tuple(as_tuple(grads)))); });
  }
  void post(Tensors& computed, const Tensors& given) override {
    if (before || !function) return;
    with_gil([&] { replace(computed, call_back(function, py::make_tuple(as_tuple(computed), as_tuple(given)))); });
  }
  static void replace(Tensors& grads, const py::object& result) {
    if (result.is_none()) return;
    const auto tensors = to_tensors(result, "hook", true);
    if (tensors.size() != grads.size())
      fail("hook: expected ", grads.size(), " gradients or None, got ", tensors.size());
    std::copy(tensors.begin(), tensors.end(), grads.begin());
  }
};

PyObject* add_hook(PyObject* self, PyObject* function, bool before) {
  return guarded([&] {
    auto hook = std::make_shared<PythonNodeHook>(borrow(function), before);
    auto& hooks = node_of(self).more().node_hooks;
    std::erase_if(hooks, [](auto& h) {
      auto* p = dynamic_cast<PythonNodeHook*>(h.get());
      return p && !p->function;
    });
    hooks.push_back(hook);
    return removable([hook] { hook->function = py::object(); }).release().ptr();
  });
}
PyObject* register_hook(PyObject* self, PyObject* function) { return add_hook(self, function, false); }
PyObject* register_prehook(PyObject* self, PyObject* function) { return add_hook(self, function, true); }

PyMethodDef methods[] = {
    {"name", name, METH_NOARGS, "The name of the recorded operation."},
    {"register_hook", register_hook, METH_O, "Calls hook(grad_inputs, grad_outputs) after the node has run."},
    {"register_prehook", register_prehook, METH_O, "Calls hook(grad_outputs) before the node runs."},
    {}};
PyGetSetDef properties[] = {{"next_functions", next_functions, nullptr,
                             "The nodes that made the inputs, each with its output's number.", nullptr},
                            {"variable", variable, nullptr, "The leaf of an AccumulateGrad node.", nullptr},
                            {}};

}  // namespace

PyObject* wrap(const Ref<autograd::Node>& node) {
  if (!node) Py_RETURN_NONE;
  if (auto* o = static_cast<PyObject*>(node->python_object.load())) return Py_NewRef(o);
  PyObject* o = checked(node_type->tp_alloc(node_type, 0));
  new (&reinterpret_cast<NodeObject*>(o)->node) Ref<autograd::Node>(node);
  node->python_object.store(o);
  return o;
}

autograd::Node* to_node(PyObject* o) { return Py_TYPE(o) == node_type ? &node_of(o) : nullptr; }

void add_nodes(py::module_& m) {
  PyType_Slot slots[] = {{Py_tp_dealloc, as_slot(dealloc)},
                         {Py_tp_repr, as_slot(repr)},
                         {Py_tp_methods, methods},
                         {Py_tp_getset, properties},
                         {}};
  PyType_Spec spec{"pydl.autograd.graph.Node", sizeof(NodeObject), 0,
                   unsigned(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION), slots};
  node_type = make_type(spec);
  m.attr("Node") = borrow(reinterpret_cast<PyObject*>(node_type));
}

}  // namespace pydl::python
