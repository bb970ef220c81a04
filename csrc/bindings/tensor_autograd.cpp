// A tensor's autograd attributes, its hooks, and the entries to the engine.
#include <pybind11/pybind11.h>

#include "bindings/graph.h"
#include "bindings/interop.h"
#include "bindings/parse.h"
#include "ops/view.h"

namespace pydl::python {

// ---- hooks ----------------------------------------------------------------------------------------------------------

PythonHook::~PythonHook() {
  if (!Py_IsInitialized()) {
    function.release();
    return;
  }
  with_gil([&] { function = py::object(); });
}

Tensor PythonHook::call(const Tensor& grad) {
  return with_gil([&]() -> Tensor {
    if (!function) return {};
    const py::object result = call_back(function, py::make_tuple(wrapped(grad)));
    if (result.is_none()) return {};
    if (!is_tensor(result.ptr()))
      fail<TypeError>("hook: expected a Tensor or None as its result, got ", Py_TYPE(result.ptr())->tp_name);
    return unwrap(result.ptr());
  });
}

namespace {

using Hooks = std::vector<std::shared_ptr<autograd::Hook>>;

bool is_removed(const std::shared_ptr<autograd::Hook>& h) {
  auto* p = dynamic_cast<PythonHook*>(h.get());
  return p && !p->function;
}

py::object add_hook(Hooks& hooks, const std::shared_ptr<PythonHook>& hook) {
  std::erase_if(hooks, is_removed);
  hooks.push_back(hook);
  return removable([hook] { hook->function = py::object(); });
}

PyObject* register_hook(PyObject* self, PyObject* function) {
  return guarded([&] {
    const Tensor& t = unwrap(self);
    if (!autograd::requires_grad(t))
      fail("register_hook: expected a tensor that requires a gradient, got ", t, ", which does not");
    auto hook = std::make_shared<PythonHook>(borrow(function));
    const Ref<autograd::Node> node = autograd::grad_fn(t);
    if (!node) {  // a leaf keeps its hooks; a living accumulator has copied them
      const autograd::Edge edge = autograd::gradient_edge(t);
      edge.node->more().tensor_hooks.emplace_back(0, hook);
      track(self);
      return add_hook(autograd::ensure_history(t).hooks, hook).release().ptr();
    }
    auto& hooks = node->more().tensor_hooks;
    std::erase_if(hooks, [](auto& h) { return is_removed(h.second); });
    track(self);
    hooks.emplace_back(autograd::history(t)->output, hook);
    return removable([hook] { hook->function = py::object(); }).release().ptr();
  });
}

PyObject* register_post_accumulate_grad_hook(PyObject* self, PyObject* function) {
  return guarded([&] {
    const Tensor& t = unwrap(self);
    if (!autograd::requires_grad(t) || !autograd::is_leaf(t))
      fail("register_post_accumulate_grad_hook: expected a leaf tensor that requires a gradient, got ", t);
    track(self);
    return add_hook(autograd::ensure_history(t).post_accumulate, std::make_shared<PythonHook>(borrow(function)))
        .release()
        .ptr();
  });
}

PyObject* retain_grad(PyObject* self, PyObject*) {
  return guarded([&] {
    const Tensor& t = unwrap(self);
    if (!autograd::requires_grad(t))
      fail("retain_grad: expected a tensor that requires a gradient, got ", t, ", which does not");
    autograd::retain_grad(t);
    return Py_NewRef(Py_None);
  });
}

// ---- attributes -----------------------------------------------------------------------------------------------------

template <class F>
constexpr getter property(F) {
  return [](PyObject* self, void*) -> PyObject* { return guarded([&]() -> PyObject* { return F()(unwrap(self)); }); };
}

int set_requires_grad(PyObject* self, PyObject* value, void*) {
  return guarded([&] {
    if (!value || !PyBool_Check(value))
      fail<TypeError>("requires_grad: expected a bool, got ", value ? Py_TYPE(value)->tp_name : "a deletion");
    autograd::set_requires_grad(unwrap(self), value == Py_True);
    return 0;
  });
}

PyObject* requires_grad_(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static const char* names[] = {"requires_grad", nullptr};
    int on = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p:requires_grad_", const_cast<char**>(names), &on))
      throw py::error_already_set();
    autograd::set_requires_grad(unwrap(self), on != 0);
    return Py_NewRef(self);
  });
}

PyObject* get_grad(PyObject* self, void*) {
  return guarded([&] {
    const Tensor& t = unwrap(self);
    const autograd::History* h = autograd::history(t);
    if (h && h->grad.defined()) return wrap(h->grad);
    if (h && h->grad_fn && !h->retained)
      checked(PyErr_WarnEx(
          PyExc_UserWarning,
          "grad: only leaves keep their gradient, and this tensor is none; call retain_grad() on it before backward",
          1));
    return Py_NewRef(Py_None);
  });
}

int set_grad(PyObject* self, PyObject* value, void*) {
  return guarded([&] {
    const Tensor& t = unwrap(self);
    if (!value || value == Py_None) {
      if (autograd::history(t)) autograd::history(t)->grad = Tensor();
      return 0;
    }
    if (!is_tensor(value)) fail<TypeError>("grad: expected a Tensor or None, got ", Py_TYPE(value)->tp_name);
    const Tensor& grad = unwrap(value);
    if (grad.is(t)) fail("grad: expected another tensor than the one that it is the gradient of");
    if (grad.dtype() != t.dtype()) fail("grad: expected a gradient of dtype ", t.dtype(), ", got ", grad);
    if (!same(grad.sizes(), t.sizes()))
      fail<ShapeError>("grad: expected a gradient of shape ", show(t.sizes()), ", got ", grad);
    autograd::ensure_history(t).grad = grad;
    return 0;
  });
}

// x.data = y: x shows y's memory from now on. The version stays shared with every view of that memory, so that a
// graph which saved it still notices writes.
int set_data(PyObject* self, PyObject* value, void*) {
  return guarded([&] {
    if (!value || !is_tensor(value))
      fail<TypeError>("data: expected a Tensor, got ", value ? Py_TYPE(value)->tp_name : "a deletion");
    const Tensor &t = unwrap(self), from = unwrap(value);
    if (autograd::requires_grad(t) && !is_floating(from.dtype()))
      fail("data: expected a floating point tensor for one that requires grad, got ", from);
    TensorImpl& impl = *t.impl();
    impl.storage = from.storage();
    impl.sizes = from.impl()->sizes;
    impl.strides = from.impl()->strides;
    impl.offset = from.offset();
    impl.dtype = from.dtype();
    impl.device = from.device();
    impl.refresh();
    if (autograd::History* h = autograd::history(t))
      if (Ref<autograd::AccumulateGrad> node = lock(h->accumulator.load()))
        node->outputs[0] = {Dims(t.sizes()), t.dtype()};
    return 0;
  });
}

PyObject* detach_(PyObject* self, PyObject*) {
  return guarded([&] {
    const Tensor& t = unwrap(self);
    // A base that nothing else shows, such as a cell's state before its steps were dropped, makes no view of a result.
    Ref<TensorImpl>& base = t.impl()->base;
    if (base.use_count() > 1) fail("detach_: expected a tensor that is no view, got a view; use detach()");
    base = {};
    if (autograd::History* h = autograd::history(t)) {
      h->grad_fn = {};
      h->requires_grad = false;
    }
    return Py_NewRef(self);
  });
}

// ---- the engine -----------------------------------------------------------------------------------------------------

void backward(const py::object& tensors, const py::object& gradients, bool retain_graph, bool create_graph,
              const py::object& inputs) {
  const auto roots = to_tensors(tensors, "backward");
  const auto seeds = gradients.is_none() ? std::vector<Tensor>() : to_tensors(gradients, "backward", true);
  const auto leaves = inputs.is_none() ? std::vector<Tensor>() : to_tensors(inputs, "backward");
  if (!inputs.is_none() && leaves.empty()) fail("backward: expected inputs to be None or not empty, got an empty list");
  if (!seeds.empty() && seeds.size() != roots.size())
    fail("backward: expected ", roots.size(), " gradients, got ", seeds.size());
  autograd::backward(roots, seeds, {retain_graph, create_graph}, leaves);
}

PyObject* method_backward(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static const char* names[] = {"gradient", "retain_graph", "create_graph", "inputs", nullptr};
    PyObject *gradient = Py_None, *retain = Py_None, *inputs = Py_None;
    int create = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOpO:backward", const_cast<char**>(names), &gradient, &retain,
                                     &create, &inputs))
      throw py::error_already_set();
    const int keep = retain == Py_None ? create : PyObject_IsTrue(retain);
    checked(keep);
    if (gradient == Py_None && inputs == Py_None) {
      autograd::backward(std::span(&unwrap(self), 1), {}, {keep != 0, create != 0});
    } else {
      const py::object seeds = gradient == Py_None ? borrow(gradient) : py::make_tuple(borrow(gradient));
      backward(py::make_tuple(borrow(self)), seeds, keep != 0, create != 0, borrow(inputs));
    }
    return Py_NewRef(Py_None);
  });
}

py::tuple gradients(const py::object& outputs, const py::object& inputs, const py::object& grad_outputs,
                    bool retain_graph, bool create_graph, bool allow_unused) {
  const auto roots = to_tensors(outputs, "grad"), leaves = to_tensors(inputs, "grad");
  const auto seeds = grad_outputs.is_none() ? std::vector<Tensor>() : to_tensors(grad_outputs, "grad", true);
  if (!seeds.empty() && seeds.size() != roots.size())
    fail("grad: expected ", roots.size(), " grad_outputs, got ", seeds.size());
  const Tensors results = autograd::gradients(roots, seeds, leaves, {retain_graph, create_graph}, allow_unused);
  py::tuple tuple(results.size());
  for (size_t i = 0; i < results.size(); ++i) tuple[i] = wrapped(results[i]);
  return tuple;
}

struct Handle {
  std::function<void()> remove;
};

// The Python lines that lead to the operation being recorded.
std::string python_stack() {
  return with_gil([] {
    const py::list lines = py::module_::import("traceback").attr("format_stack")();
    std::string text;
    for (const auto& line : lines) text += std::string(py::str(line));
    return text;
  });
}

}  // namespace

py::object removable(std::function<void()> remove) { return py::cast(Handle{std::move(remove)}); }

std::vector<Tensor> to_tensors(const py::object& o, const char* what, bool optional) {
  if (is_tensor(o.ptr())) return {unwrap(o.ptr())};
  std::vector<Tensor> tensors;
  const py::object items = take(PySequence_Fast(o.ptr(), "expected a Tensor or a sequence of Tensors"));
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.ptr()); ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(items.ptr(), i);
    if (is_tensor(item))
      tensors.push_back(unwrap(item));
    else if (optional && item == Py_None)
      tensors.emplace_back();
    else
      fail<TypeError>(what, ": expected Tensors, got ", Py_TYPE(item)->tp_name, " at position ", i);
  }
  return tensors;
}

// The node that this tensor alone holds, or nothing.
static autograd::Node* own_node(const autograd::History& h) { return h.grad_fn.use_count() == 1 ? h.grad_fn.get() : nullptr; }

int visit_hooks(const Tensor& t, visitproc visit, void* arg) {
  const autograd::History* h = autograd::history(t);
  if (!h) return 0;
  auto visit_hook = [&](const std::shared_ptr<autograd::Hook>& hook) {
    if (auto* p = dynamic_cast<PythonHook*>(hook.get()); p && hook.use_count() == 1) Py_VISIT(p->function.ptr());
    return 0;
  };
  for (const Hooks* hooks : {&h->hooks, &h->post_accumulate})
    for (const auto& hook : *hooks)
      if (const int status = visit_hook(hook)) return status;
  const autograd::Node* node = own_node(*h);
  if (!node) return 0;
  if (node->extras)
    for (const auto& [output, hook] : node->extras->tensor_hooks)
      if (const int status = visit_hook(hook)) return status;
  return visit_function(*node, visit, arg);
}

void clear_hooks(const Tensor& t) {
  autograd::History* h = autograd::history(t);
  if (!h) return;
  // Hooks are destroyed after the history has let go of them. A ctx clears itself.
  for (Hooks* hooks : {&h->hooks, &h->post_accumulate}) const Hooks dropped = std::exchange(*hooks, {});
  if (autograd::Node* node = own_node(*h); node && node->extras) const auto dropped = std::exchange(node->extras->tensor_hooks, {});
}

PyGetSetDef autograd_properties[] = {
    {"requires_grad", property([](const Tensor& t) { return PyBool_FromLong(autograd::requires_grad(t)); }),
     set_requires_grad, "Is a gradient wanted for this tensor?", nullptr},
    {"grad", get_grad, set_grad, "The gradient accumulated so far, or None.", nullptr},
    {"grad_fn", property([](const Tensor& t) { return wrap(autograd::grad_fn(t)); }), nullptr,
     "The node that made this tensor; None for leaves.", nullptr},
    {"is_leaf", property([](const Tensor& t) { return PyBool_FromLong(autograd::is_leaf(t)); }), nullptr,
     "No recorded operation made this tensor.", nullptr},
    {"retains_grad", property([](const Tensor& t) {
       return PyBool_FromLong(autograd::history(t) && autograd::history(t)->retained);
     }),
     nullptr, "retain_grad() was called.", nullptr},
    {"output_nr", property([](const Tensor& t) {
       return PyLong_FromLong(autograd::history(t) ? long(autograd::history(t)->output) : 0);
     }),
     nullptr, "Which output of grad_fn this is.", nullptr},
    {"data", property([](const Tensor& t) { return wrap(detach(t)); }), set_data, "The same memory outside the graph.",
     nullptr},
    {"_version", property([](const Tensor& t) { return PyLong_FromUnsignedLong(t.version()); }), nullptr,
     "In-place writes to the memory so far.", nullptr},
    {"_base", property([](const Tensor& t) { return wrap(Tensor(t.impl()->base)); }), nullptr,
     "The tensor this is a view of, or None.", nullptr},
    {},
};

PyMethodDef autograd_methods[] = {
    {"requires_grad_", as_method(requires_grad_), METH_VARARGS | METH_KEYWORDS,
     "Sets requires_grad and returns the tensor."},
    {"backward", as_method(method_backward), METH_VARARGS | METH_KEYWORDS,
     "Adds the gradients of this tensor to the leaves' grad."},
    {"retain_grad", retain_grad, METH_NOARGS, "Keeps the gradient of a tensor that is no leaf."},
    {"register_hook", register_hook, METH_O,
     "Calls hook(grad) when the gradient has been computed; a result replaces it."},
    {"register_post_accumulate_grad_hook", register_post_accumulate_grad_hook, METH_O,
     "Calls hook(tensor) after the leaf's grad was updated."},
    {"detach_", detach_, METH_NOARGS, "Takes this tensor out of the graph."},
    {},
};

void add_autograd(py::module_& m) {
  py::class_<Handle>(m, "RemovableHandle", py::module_local())
      .def(
          "remove",
          [](Handle& h) {
            if (h.remove) std::exchange(h.remove, nullptr)();
          },
          "Takes the hook away.")
      .def("__enter__", [](const py::object& self) { return self; })
      .def("__exit__", [](Handle& h, const py::args&) {
        if (h.remove) std::exchange(h.remove, nullptr)();
      });
  m.def("_backward", &backward);
  m.def("_gradients", &gradients);
  autograd::forward_trace = python_stack;
}

}  // namespace pydl::python
