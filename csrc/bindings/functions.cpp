// Custom operations in Python: autograd.Function, whose forward and backward are the user's static methods.
#include <algorithm>
#include <pybind11/pybind11.h>

#include "bindings/graph.h"
#include "bindings/interop.h"
#include "ops/view.h"

namespace pydl::python {

namespace {

struct PythonNode;

// What the user sees as ctx. The node owns it; it points back while the node lives.
struct Context {
  PythonNode* node = nullptr;
  std::vector<bool> needs_input_grad;
  py::object to_save = py::none();
  std::vector<Tensor> dirty, non_differentiable;
  bool materialize = true;

  py::tuple saved_tensors() const;
};

struct PythonNode final : autograd::Node {
  py::object function, context;  // the Function subclass and its ctx
  std::string label;
  std::vector<autograd::Saved> saved;
  std::vector<bool> takes_tensor;  // of each argument of forward
  std::vector<bool> gives_tensor;  // of each output
  bool released = false;

  PythonNode(py::object f, py::object c) : function(std::move(f)), context(std::move(c)) {
    label = std::string(py::str(function.attr("__name__"))) + "Backward";
    ctx().node = this;
  }
  ~PythonNode() override {
    if (!Py_IsInitialized()) {
      function.release();
      context.release();
      return;
    }
    with_gil([&] {
      ctx().node = nullptr;
      function = context = py::object();
    });
  }
  Context& ctx() const { return context.cast<Context&>(); }

  void release() override {
    saved.clear();
    released = true;
  }
  std::string title() const override { return label; }
  Tensors apply(const Tensors& grads) override {
    return with_gil([&] { return call_backward(grads); });
  }

 private:
  Tensors call_backward(const Tensors& grads);
  void check_gradient(const Tensor& gradient, const autograd::Edge& edge, size_t argument) const;
};

py::tuple Context::saved_tensors() const {
  if (!node) {
    if (to_save.is_none()) return py::tuple();
    return to_save;  // no graph was recorded, or it is being recorded
  }
  if (node->released) autograd::fail_released(node->name);
  py::tuple tensors(node->saved.size());
  for (size_t i = 0; i < node->saved.size(); ++i) tensors[i] = wrapped(node->saved[i].get());
  return tensors;
}

Tensors PythonNode::call_backward(const Tensors& grads) {
  autograd::CurrentNode current(this);
  const Context& c = ctx();
  py::tuple args(outputs.size() + 1);
  args[0] = context;
  for (size_t i = 0; i < outputs.size(); ++i) {
    Tensor g = i < grads.size() ? grads[i] : Tensor();
    if (!g.defined() && c.materialize && gives_tensor[i])
      g = autograd::arithmetic.zeros(outputs[i].sizes, outputs[i].dtype);
    args[i + 1] = wrapped(std::move(g));
  }
  const py::object result = call_back(function.attr("backward"), args);
  const py::tuple given = PyTuple_Check(result.ptr()) ? py::tuple(result) : py::make_tuple(result);
  for (size_t i = edges.size(); i < given.size(); ++i)
    if (!given[i].is_none()) fail(name, ": expected ", edges.size(), " gradients from backward, got ", given.size());
  if (given.size() < edges.size())
    fail(name, ": expected ", edges.size(), " gradients from backward, got ", given.size());
  Tensors gradients(edges.size(), Tensor());
  for (size_t i = 0; i < edges.size(); ++i) {
    const py::object g = given[i];
    if (g.is_none()) continue;
    if (!takes_tensor[i])
      fail(name, ": expected None as the gradient of argument ", i, ", which is no tensor, got ", Py_TYPE(g.ptr())->tp_name);
    if (!is_tensor(g.ptr()))
      fail(name, ": expected Tensors or None as gradients, got ", Py_TYPE(g.ptr())->tp_name);
    if (!edges[i].node) continue;
    gradients[i] = unwrap(g.ptr());
    check_gradient(gradients[i], edges[i], i);
  }
  return gradients;
}

// Only what the engine can sum to the argument's shape: it trusts operators, and would reshape others of that count.
void PythonNode::check_gradient(const Tensor& gradient, const autograd::Edge& edge, size_t argument) const {
  if (edge.node->outputs.size() <= edge.input) return;
  const IntSpan got = gradient.sizes(), wanted = edge.node->outputs[edge.input].sizes;
  const bool fits = got.size() >= wanted.size() &&
                    std::equal(wanted.begin(), wanted.end(), got.end() - ptrdiff_t(wanted.size()),
                               [](int64_t w, int64_t n) { return w == 1 || w == n; });
  if (!fits)
    fail<ShapeError>(name, ": expected a gradient of shape ", show(wanted), " for argument ", argument, ", got ", gradient);
}

bool contains(std::span<const Tensor> tensors, const Tensor& t) {
  return std::any_of(tensors.begin(), tensors.end(), [&](const Tensor& o) { return o.is(t); });
}

// One call of Function.apply.
class Application {
 public:
  Application(const py::object& function, const py::args& args)
      : function_(function), args_(args), context_(py::cast(Context())) {
    for (const auto& a : args) inputs_.push_back(is_tensor(a.ptr()) ? unwrap(a.ptr()) : Tensor());
    recorded_ = autograd::needed(std::span<const Tensor>(inputs_));
    for (const Tensor& t : inputs_) ctx().needs_input_grad.push_back(t.defined() && autograd::requires_grad(t));
  }

  py::object run() {
    const py::object result = forward();
    const bool several = PyTuple_Check(result.ptr());
    const py::tuple outputs = several ? py::tuple(result) : py::make_tuple(result);
    for (const Tensor& t : ctx().dirty)
      if (!contains(inputs_, t)) fail(title(), ": expected inputs in mark_dirty, got another tensor");
    py::tuple finished = recorded_ ? record(outputs) : outputs;
    return several ? py::object(finished) : py::object(finished[0]);
  }

 private:
  Context& ctx() { return context_.cast<Context&>(); }
  std::string title() const { return std::string(py::str(function_.attr("__name__"))); }

  py::object forward() {
    autograd::GradGuard off(false);
    if (!function_.attr("_has_setup_context")().cast<bool>()) return function_.attr("forward")(context_, *args_);
    const py::object output = function_.attr("forward")(*args_);
    function_.attr("setup_context")(context_, args_, output);
    return output;
  }

  py::tuple record(const py::tuple& outputs) {
    for (const Tensor& t : ctx().dirty) autograd::check_inplace(title().c_str(), t);
    auto* raw = new PythonNode(function_, context_);
    Ref<autograd::Node> node(raw);
    autograd::connect(*node, raw->label.c_str(), inputs_);
    for (const Tensor& t : inputs_) raw->takes_tensor.push_back(t.defined());
    py::tuple finished(outputs.size());
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const py::object o = outputs[i];
      raw->gives_tensor.push_back(is_tensor(o.ptr()));
      if (!is_tensor(o.ptr())) {
        finished[i] = o;
        tensors.emplace_back();
        node->outputs.resize(i + 1);
        continue;
      }
      const Tensor t = attach(unwrap(o.ptr()), node, uint32_t(i), outputs.size());
      tensors.push_back(t);
      finished[i] = wrapped(t);
      track(finished[i].ptr());  // ctx may hold it: a cycle
    }
    save(*raw, tensors, outputs);
    return finished;
  }

  // The output as part of the graph. An input that comes back unchanged must not get this node as its history.
  Tensor attach(const Tensor& output, const Ref<autograd::Node>& node, uint32_t i, size_t count) {
    if (node->outputs.size() <= i) node->outputs.resize(i + 1);
    node->outputs[i] = {Dims(output.sizes()), output.dtype()};
    if (contains(ctx().dirty, output)) {
      output.bump_version();
      if (!output.impl()->base)
        autograd::set_history(output, node, i);
      else if (count == 1)
        node->outputs.clear(), autograd::rebase(output, node);
      else
        fail(title(), ": expected one output when a view is marked dirty, got ", count);
      return output;
    }
    if (contains(ctx().non_differentiable, output) || !is_floating(output.dtype())) return output;
    const Tensor t = contains(inputs_, output) || autograd::requires_grad(output) ? output.alias() : output;
    autograd::set_history(t, node, i);
    return t;
  }

  void save(PythonNode& node, const std::vector<Tensor>& finished, const py::tuple& outputs) {
    if (ctx().to_save.is_none()) return;
    for (const auto& item : py::tuple(ctx().to_save)) {
      if (item.is_none()) {
        node.saved.emplace_back();
        continue;
      }
      if (!is_tensor(item.ptr()))
        fail<TypeError>("save_for_backward: expected Tensors or None, got ", Py_TYPE(item.ptr())->tp_name);
      const Tensor& t = unwrap(item.ptr());
      size_t i = 0;
      while (i < outputs.size() && py::object(outputs[i]).ptr() != item.ptr()) ++i;
      node.saved.push_back(i < outputs.size() ? autograd::Saved::output(finished[i], uint32_t(i)) : autograd::Saved(t));
    }
    ctx().to_save = py::none();
  }

  py::object function_;
  py::args args_;
  py::object context_;
  std::vector<Tensor> inputs_;
  bool recorded_;
};

}  // namespace

int visit_function(const autograd::Node& node, visitproc visit, void* arg) {
  if (const auto* n = dynamic_cast<const PythonNode*>(&node)) {
    Py_VISIT(n->function.ptr());
    Py_VISIT(n->context.ptr());
  }
  return 0;
}

void add_functions(py::module_& m) {
  auto marks = [](std::vector<Tensor> Context::*list) {
    return [list](Context& c, const py::args& tensors) { c.*list = to_tensors(tensors, "mark", false); };
  };
  py::class_<Context>(m, "FunctionCtx", py::dynamic_attr(), py::module_local(), "What forward keeps for backward.")
      .def(
          "save_for_backward", [](Context& c, const py::args& tensors) { c.to_save = py::tuple(tensors); },
          "Keeps tensors for backward, which notices when they were written in place since.")
      .def_property_readonly("saved_tensors", &Context::saved_tensors, "The tensors kept by save_for_backward.")
      .def_property_readonly(
          "needs_input_grad",
          [](const Context& c) {
            py::tuple flags(c.needs_input_grad.size());
            for (size_t i = 0; i < c.needs_input_grad.size(); ++i) flags[i] = bool(c.needs_input_grad[i]);
            return flags;
          },
          "Which arguments of forward want a gradient.")
      .def("mark_dirty", marks(&Context::dirty), "Inputs that forward wrote in place.")
      .def("mark_non_differentiable", marks(&Context::non_differentiable), "Outputs that have no gradient.")
      .def(
          "set_materialize_grads", [](Context& c, bool value) { c.materialize = value; },
          "Do missing gradients arrive as zeros (the default) or None?");
  m.def("_apply_function",
        [](const py::object& function, const py::args& args) { return Application(function, args).run(); });
}

}  // namespace pydl::python
