#include "bindings/callable.h"

#include <pybind11/pybind11.h>
#include <structmember.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "autograd/node.h"
#include "bindings/interop.h"
#include "bindings/parse.h"
#include "bindings/types.h"
#include "ops/copy.h"

namespace pydl::python {

namespace {

enum class Form : uint8_t { Function, Method, InplaceFunction, InplaceMethod };
bool is_method(Form f) { return f == Form::Method || f == Form::InplaceMethod; }
bool is_inplace(Form f) { return f == Form::InplaceFunction || f == Form::InplaceMethod; }

// All operators of one name, in the order in which they were registered.
struct Overloads {
  std::string name;    // as Python spells it: "exp_", "linalg.inv"
  std::string module;  // where it is found again
  Form form;
  std::vector<Signature> signatures;
  std::vector<PyTypeObject*> return_types;  // one per signature; null for plain results
};

struct Callable {
  PyObject_HEAD vectorcallfunc vectorcall;
  const Overloads* overloads;
};
// Two types, because a method binds to its instance and a function kept in a class must not.
PyTypeObject *function_type, *method_type;

const Overloads& overloads_of(PyObject* self) { return *reinterpret_cast<Callable*>(self)->overloads; }
std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

// ---- results --------------------------------------------------------------------------------------------------------

PyObject* wrap_tensors(const std::vector<Tensor>& tensors, PyTypeObject* named) {
  const auto n = Py_ssize_t(tensors.size());
  py::object result = take(named ? PyStructSequence_New(named) : PyTuple_New(n));
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* item = wrap_result(tensors[size_t(i)]);
    if (named)
      PyStructSequence_SetItem(result.ptr(), i, item);
    else
      PyTuple_SET_ITEM(result.ptr(), i, item);
  }
  return result.release().ptr();
}

PyObject* wrap_result(Result&& result, PyTypeObject* named) {
  struct Visitor {
    PyTypeObject* named;
    PyObject* operator()(std::monostate) { return Py_NewRef(Py_None); }
    PyObject* operator()(Tensor& t) { return python::wrap_result(std::move(t)); }
    PyObject* operator()(std::vector<Tensor>& t) { return wrap_tensors(t, named); }
    PyObject* operator()(Scalar& s) { return wrap(s); }
    PyObject* operator()(bool& b) { return PyBool_FromLong(b); }
    PyObject* operator()(Dims& d) { return wrap_size(d); }
    PyObject* operator()(DType& t) { return wrap(t); }
  };
  return std::visit(Visitor{named}, result);
}

// out=(values, indices): every result is checked before the first is written.
void deliver(const char* name, const std::vector<Tensor>& results, PyObject* outs) {
  const Py_ssize_t n = PyTuple_Check(outs) ? PyTuple_GET_SIZE(outs) : 0;
  if (n != Py_ssize_t(results.size()))
    fail<TypeError>(name, ": expected a tuple of ", results.size(), " tensors as out, got ", n);
  for (Py_ssize_t i = 0; i < n; ++i) {
    if (!is_tensor(PyTuple_GET_ITEM(outs, i)))
      fail<TypeError>(name, ": expected tensors as out, got ", Py_TYPE(PyTuple_GET_ITEM(outs, i))->tp_name);
    const Tensor& out = unwrap(PyTuple_GET_ITEM(outs, i));
    if (autograd::grad_enabled() && (autograd::requires_grad(out) || autograd::requires_grad(results[size_t(i)])))
      fail(name, ": expected tensors that require no gradient with out=, got one that does (use no_grad)");
    check_can_cast(name, results[size_t(i)].dtype(), out.dtype());
  }
  for (Py_ssize_t i = 0; i < n; ++i) {
    const Tensor& out = unwrap(PyTuple_GET_ITEM(outs, i));
    resize_output(name, out, results[size_t(i)].sizes());
    copy_(out, results[size_t(i)]);
  }
}

PyObject* run(const Overloads& overloads, const Signature& signature, PyTypeObject* named, Bound& bound) {
  const Operator& op = signature.op();
  if (is_inplace(overloads.form)) {
    const auto* self = std::get_if<Tensor>(&bound.data()[signature.self()].value);
    if (!self) fail<TypeError>(overloads.name, ": expected a tensor to write into, got a number");
    return wrap_result(op.call(bound.data(), Out::inplace(*self)), named);
  }
  if (bound.out && is_tensor(bound.out)) {
    op.call(bound.data(), Out::given(unwrap(bound.out)));
    return Py_NewRef(bound.out);
  }
  Result result = op.call(bound.data());
  if (bound.out) {
    auto* results = std::get_if<std::vector<Tensor>>(&result);
    if (!results) fail<TypeError>(overloads.name, ": expected a tensor as out, got ", Py_TYPE(bound.out)->tp_name);
    deliver(overloads.name.c_str(), *results, bound.out);
    for (size_t i = 0; i < results->size(); ++i) (*results)[i] = unwrap(PyTuple_GET_ITEM(bound.out, Py_ssize_t(i)));
  }
  if (bound.requires_grad) autograd::set_requires_grad(std::get<Tensor>(result), true);
  return wrap_result(std::move(result), named);
}

// The common call: one tensor or a few, and nothing else. Null when this is not one.
PyObject* call_on_tensors(const Overloads& overloads, const Given& given) {
  constexpr int kMost = 4;
  const Operator& op = overloads.signatures[0].op();
  if (!overloads.signatures[0].of_tensors() || given.keywords || given.count != op.tensors || op.tensors > kMost ||
      is_inplace(overloads.form))
    return nullptr;
  const Tensor* inputs[kMost];
  for (int i = 0; i < op.tensors; ++i) {
    if (!is_tensor(given.args[i])) return nullptr;
    inputs[i] = &unwrap(given.args[i]);
  }
  return python::wrap_result(op.invoke_on_tensors(op.function, inputs));
}

PyObject* call(PyObject* callable, PyObject* const* args, size_t nargs, PyObject* keywords) {
  return guarded(
      [&] {
        const Overloads& overloads = overloads_of(callable);
        const Given given{args, PyVectorcall_NARGS(nargs), keywords, is_method(overloads.form)};
        if (PyObject* const result = call_on_tensors(overloads, given)) return result;
        if (given.method && (given.count == 0 || !is_tensor(args[0])))
          fail<TypeError>(overloads.name, ": expected a Tensor as self, got ",
                          given.count ? Py_TYPE(args[0])->tp_name : "nothing");
        for (size_t i = 0; i < overloads.signatures.size(); ++i) {
          const Signature& signature = overloads.signatures[i];
          Bound bound(signature.boxed());
          if (signature.bind(given, bound)) return run(overloads, signature, overloads.return_types[i], bound);
        }
        fail_no_overload(overloads.name, overloads.signatures, given);
      },
      overloads_of(callable).name.c_str());
}

// ---- attributes of the callables ------------------------------------------------------------------------------------

PyObject* get_name(PyObject* self, void*) { return PyUnicode_FromString(last_part(overloads_of(self).name).c_str()); }
PyObject* get_qualname(PyObject* self, void*) {
  const Overloads& o = overloads_of(self);
  return PyUnicode_FromString(((is_method(o.form) ? "Tensor." : "") + last_part(o.name)).c_str());
}
PyObject* get_module(PyObject* self, void*) { return PyUnicode_FromString(overloads_of(self).module.c_str()); }
// The schemas, what they do, and examples: the lines of a doc that begin with a prompt, and what follows them.
PyObject* get_doc(PyObject* self, void*) {
  std::string schemas, descriptions, examples;
  for (const Signature& s : overloads_of(self).signatures) {
    const std::string_view doc = s.op().doc, description = doc.substr(0, doc.find("\n>>> "));
    schemas += s.op().schema.text + "\n";
    if (!description.empty()) descriptions.append("\n").append(description);
    if (description.size() < doc.size()) examples.append(doc.substr(description.size()));
  }
  if (!examples.empty()) examples.insert(0, "\n\n>>> import pydl");
  return PyUnicode_FromString((schemas + descriptions + examples).c_str());
}
PyObject* callable_repr(PyObject* self) {
  const Overloads& o = overloads_of(self);
  return PyUnicode_FromFormat(is_method(o.form) ? "<method 'Tensor.%s'>" : "<function pydl.%s>", o.name.c_str());
}
// Found again by name: functions sit in configurations and deep-copied modules.
PyObject* callable_reduce(PyObject* self, PyObject*) {
  if (!is_method(overloads_of(self).form)) return get_qualname(self, nullptr);
  return guarded([&] {
    py::object getattr = py::module_::import("builtins").attr("getattr");
    return Py_BuildValue("O(Os)", getattr.ptr(), reinterpret_cast<PyObject*>(tensor_type),
                         overloads_of(self).name.c_str());
  });
}
PyObject* method_get(PyObject* self, PyObject* instance, PyObject*) {
  return instance ? PyMethod_New(self, instance) : Py_NewRef(self);
}
void callable_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {{"__reduce__", callable_reduce, METH_NOARGS, nullptr}, {}};
PyGetSetDef properties[] = {{"__name__", get_name, nullptr, nullptr, nullptr},
                            {"__qualname__", get_qualname, nullptr, nullptr, nullptr},
                            {"__module__", get_module, nullptr, nullptr, nullptr},
                            {"__doc__", get_doc, nullptr, nullptr, nullptr},
                            {}};
PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(Callable, vectorcall), READONLY, nullptr}, {}};

PyTypeObject* make_callable_type(const char* name, unsigned long flags, bool binds) {
  PyType_Slot slots[] = {{Py_tp_call, as_slot(PyVectorcall_Call)},
                         {Py_tp_repr, as_slot(callable_repr)},
                         {Py_tp_dealloc, as_slot(callable_dealloc)},
                         {Py_tp_methods, methods},
                         {Py_tp_getset, properties},
                         {Py_tp_members, members},
                         {binds ? Py_tp_descr_get : 0, as_slot(method_get)},
                         {}};
  PyType_Spec spec{name, sizeof(Callable), 0,
                   unsigned(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE |
                            Py_TPFLAGS_DISALLOW_INSTANTIATION | flags),
                   slots};
  return make_type(spec);
}

// ---- installation ---------------------------------------------------------------------------------------------------

class Installer {
 public:
  explicit Installer(py::module_& m) : module_(m), return_types_(m.def_submodule("return_types")) {}

  void add(const Operator& op) {
    const std::string& name = op.schema.name;
    if (op.variants & kFunction) add(op, name, Form::Function, "");
    if (op.variants & kMethod) add(op, name, Form::Method, "");
    if (op.variants & kNN) add(op, name, Form::Function, "nn");
    if (op.variants & kInplace) {
      if (op.variants & kFunction) add(op, name + "_", Form::InplaceFunction, "");
      if (op.variants & kMethod) add(op, name + "_", Form::InplaceMethod, "");
      if (op.variants & kNN) add(op, name + "_", Form::InplaceFunction, "nn");
    }
  }

  void install() {
    for (auto& [key, overloads] : all_) {
      const auto& [space, name, method] = key;
      PyTypeObject* type = method ? method_type : function_type;
      py::object callable = take(type->tp_alloc(type, 0));
      auto* c = reinterpret_cast<Callable*>(callable.ptr());
      c->vectorcall = call;
      c->overloads = overloads;
      if (method)
        checked(PyObject_SetAttrString(reinterpret_cast<PyObject*>(tensor_type), name.c_str(), callable.ptr()));
      else
        target(space, name).attr(last_part(name).c_str()) = callable;
    }
  }

 private:
  using Key = std::tuple<std::string, std::string, bool>;

  void add(const Operator& op, const std::string& name, Form form, const char* space) {
    Overloads*& overloads = all_[Key(space, name, is_method(form))];
    if (!overloads) {
      const size_t dot = name.rfind('.');
      const std::string module = dot != name.npos ? "pydl." + name.substr(0, dot)
                                 : *space         ? std::string("pydl._core.") + space
                                                  : "pydl";
      overloads = new Overloads{name, module, form, {}, {}};  // for the life of the process
    }
    overloads->signatures.emplace_back(op);
    overloads->return_types.push_back(return_type(op));
  }

  static PyObject* repr_named(PyObject* self) {
    return guarded([&] {
      std::string text = std::string(Py_TYPE(self)->tp_name) + "(";
      const py::tuple names = borrow(reinterpret_cast<PyObject*>(Py_TYPE(self))).attr("__match_args__");
      for (size_t i = 0; i < names.size(); ++i)
        text += (i ? ",\n" : "\n") + std::string(py::str(names[i])) + "=" +
                std::string(py::repr(borrow(PyTuple_GET_ITEM(self, Py_ssize_t(i)))));
      return PyUnicode_FromString((text + ")").c_str());
    });
  }

  // A named tuple (values, indices) for operators whose schema names its results.
  PyTypeObject* return_type(const Operator& op) {
    const auto& names = op.schema.returns;
    if (names.size() < 2 || names[0].empty()) return nullptr;
    std::string key = last_part(op.schema.name);
    for (const auto& n : names) key += "," + n;
    PyTypeObject*& type = named_[key];
    if (type) return type;
    std::vector<PyStructSequence_Field> fields;
    for (const auto& n : names) fields.push_back({n.c_str(), nullptr});
    fields.push_back({nullptr, nullptr});
    static std::deque<std::string> kept;  // the type points at its name
    const std::string& qualified = kept.emplace_back("pydl.return_types." + last_part(op.schema.name));
    PyStructSequence_Desc description{qualified.c_str(), nullptr, fields.data(), int(names.size())};
    type = PyStructSequence_NewType(&description);
    checked(reinterpret_cast<PyObject*>(type));
    type->tp_repr = repr_named;
    return_types_.attr(last_part(op.schema.name).c_str()) = borrow(reinterpret_cast<PyObject*>(type));
    return type;
  }

  py::module_ target(const std::string& space, const std::string& name) {
    const size_t dot = name.rfind('.');
    const std::string wanted = dot == name.npos ? space : name.substr(0, dot);
    if (wanted.empty()) return module_;
    if (!py::hasattr(module_, wanted.c_str())) module_.def_submodule(wanted.c_str());
    return py::reinterpret_borrow<py::module_>(module_.attr(wanted.c_str()));
  }

  py::module_ module_, return_types_;
  std::map<Key, Overloads*> all_;
  std::map<std::string, PyTypeObject*> named_;
};

}  // namespace

void add_operators(py::module_& m) {
  if (!registration_errors().empty()) throw py::import_error(registration_errors());
  function_type = make_callable_type("pydl.function", 0, false);
  method_type = make_callable_type("pydl.method", Py_TPFLAGS_METHOD_DESCRIPTOR, true);
  Installer installer(m);
  for (const Operator* op : operators()) installer.add(*op);
  installer.install();
}

}  // namespace pydl::python
