#include "bindings/parse.h"

#include <cstring>

#include "autograd/node.h"
#include "bindings/interop.h"
#include "bindings/types.h"

namespace pydl::python {

// ---- single values --------------------------------------------------------------------------------------------------

static bool is_numpy(PyObject* o) { return std::strncmp(Py_TYPE(o)->tp_name, "numpy.", 6) == 0; }
bool is_numpy_array(PyObject* o) { return std::strcmp(Py_TYPE(o)->tp_name, "numpy.ndarray") == 0; }

static int64_t int_value(PyObject* o) {
  int overflow;
  const long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (overflow) fail<OverflowError>("expected an integer of 64 bits, got a larger one");
  if (v == -1 && PyErr_Occurred()) throw py::error_already_set();
  return v;
}

static bool to_scalar_slow(PyObject* o, Scalar& out) {
  if (PyFloat_Check(o)) return out = Scalar(PyFloat_AS_DOUBLE(o)), true;
  if (PyLong_Check(o)) return out = Scalar(int_value(o)), true;
  if (!is_numpy(o) || is_numpy_array(o) || !Py_TYPE(o)->tp_as_number) return false;
  const char* name = Py_TYPE(o)->tp_name + 6;
  if (std::strncmp(name, "bool", 4) == 0) {
    const int v = PyObject_IsTrue(o);
    checked(v);
    return out = Scalar(v != 0), true;
  }
  if (std::strncmp(name, "int", 3) == 0 || std::strncmp(name, "uint", 4) == 0)
    return out = Scalar(int_value(take(PyNumber_Index(o)).ptr())), true;
  if (std::strncmp(name, "float", 5) == 0) return out = Scalar(PyFloat_AsDouble(take(PyNumber_Float(o)).ptr())), true;
  return false;
}

bool to_scalar(PyObject* o, Scalar& out) {
  if (PyFloat_CheckExact(o)) return out = Scalar(PyFloat_AS_DOUBLE(o)), true;
  if (PyLong_CheckExact(o)) return out = Scalar(int_value(o)), true;
  if (PyBool_Check(o)) return out = Scalar(o == Py_True), true;
  if (Py_TYPE(o) == tensor_type) return false;
  return to_scalar_slow(o, out);
}

// A one-element tensor in the place of a number; its gradient would be lost, so it may not need one.
static bool tensor_to_scalar(PyObject* o, Scalar& out) {
  if (!is_tensor(o)) return false;
  const Tensor& t = unwrap(o);
  if (t.dim() != 0 || autograd::requires_grad(t)) return false;
  out = item(t);
  return true;
}

bool to_int(PyObject* o, int64_t& out) {
  if (PyLong_Check(o)) {
    if (PyBool_Check(o)) return false;
    out = int_value(o);
    return true;
  }
  Scalar s;
  if ((is_numpy(o) && to_scalar(o, s) && s.kind() == DType::Int64) ||
      (tensor_to_scalar(o, s) && s.kind() == DType::Int64)) {
    out = s.to_int();
    return true;
  }
  return false;
}

bool to_int_list(PyObject* o, Dims& out) {
  const bool list = PyList_Check(o);
  if (!list && !PyTuple_Check(o)) return false;
  out.clear();
  // The length is read anew: an __index__ may change a list.
  for (Py_ssize_t i = 0; i < Py_SIZE(o); ++i) {
    int64_t v;
    if (!to_int(list ? PyList_GET_ITEM(o, i) : PyTuple_GET_ITEM(o, i), v)) return false;
    out.push_back(v);
  }
  return true;
}

const Tensor* to_operand_tensor(PyObject* o, Tensor& holder) {
  if (is_tensor(o)) return &unwrap(o);
  if (!is_numpy_array(o)) return nullptr;
  holder = from_buffer(o);
  return &holder;
}

// ---- signatures -----------------------------------------------------------------------------------------------------

Signature::Signature(const Operator& op) : op_(&op) {
  for (const Parameter& p : op.schema.parameters) {
    const bool visible = p.type != ArgType::Device && p.name != "requires_grad";
    slots_.push_back({&p, checked(PyUnicode_InternFromString(p.name.c_str())), visible ? boxed_++ : -1});
    if (!p.keyword_only) ++positional_;
    if (p.name == "input") self_ = int(slots_.size()) - 1;
  }
  // Several named results (values, indices) always have an out= form: the bindings copy them there.
  takes_out_ = op.variants & kOut || (op.schema.returns.size() > 1 && !op.schema.returns[0].empty());
  if (boxed_ > kMaxParameters) fail(op.schema.name, ": expected at most ", kMaxParameters, " parameters");
  if (!slots_.empty()) method_order_.push_back(self_);
  for (int i = 0; i < positional_; ++i)
    if (i != self_) method_order_.push_back(i);
  of_tensors_ = op.invoke_on_tensors && !(op.variants & kNoGrad) && op.tensors == positional_ &&
                op.tensors == int(slots_.size()) && self_ == 0;
  auto is_int_list = [&](int i) { return slots_[size_t(i)].parameter->type == ArgType::IntList; };
  if (positional_ == 1 && is_int_list(0)) varargs_function_ = 0;
  if (positional_ == 2 && is_int_list(method_order_[1])) varargs_method_ = 1;
}

int Signature::find(PyObject* name) const {
  for (size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].name == name) return int(i);
  for (size_t i = 0; i < slots_.size(); ++i)
    if (PyUnicode_Compare(slots_[i].name, name) == 0) return int(i);
  // NumPy's names.
  static constexpr std::pair<std::string_view, std::string_view> aliases[] = {
      {"axis", "dim"}, {"axis", "dims"}, {"keepdims", "keepdim"}, {"x", "input"}, {"x1", "input"}, {"x2", "other"}};
  const std::string_view given = text_of(name);
  for (auto [alias, target] : aliases)
    if (given == alias)
      for (size_t i = 0; i < slots_.size(); ++i)
        if (slots_[i].parameter->name == target) return int(i);
  return -1;
}

bool Signature::convert(const Slot& slot, PyObject* value, Bound& bound) const {
  const Parameter& p = *slot.parameter;
  if (slot.boxed < 0) {
    Device device;
    if (p.type == ArgType::Device) return to_device(value, device);
    if (!PyBool_Check(value)) return false;
    bound.requires_grad = value == Py_True;
    return true;
  }
  auto& out = bound.slot(slot.boxed).value;
  if (value == Py_None && p.optional) return true;
  Scalar s;
  switch (p.type) {
    case ArgType::Tensor:
      if (!is_tensor(value)) return false;
      out = unwrap(value);
      return true;
    case ArgType::Operand: {
      if (is_tensor(value)) return out = unwrap(value), true;
      if (to_scalar(value, s)) return out = s, true;
      Tensor holder;
      const Tensor* t = to_operand_tensor(value, holder);
      if (t) out = *t;
      return t != nullptr;
    }
    case ArgType::Scalar:
      if (!to_scalar(value, s) && !tensor_to_scalar(value, s)) return false;
      out = s;
      return true;
    case ArgType::Int: {
      int64_t i;
      if (!to_int(value, i)) return false;
      out = Scalar(i);
      return true;
    }
    case ArgType::Float:
      if (!to_scalar(value, s) && !tensor_to_scalar(value, s)) return false;
      out = Scalar(s.to_double());
      return true;
    case ArgType::Bool:
      if (PyBool_Check(value)) return out = Scalar(value == Py_True), true;
      if (!is_numpy(value) || !to_scalar(value, s) || !s.is_bool()) return false;
      out = s;
      return true;
    case ArgType::IntList: {
      int64_t i;
      if (to_int(value, i)) return out = Dims{i}, true;
      return to_int_list(value, out.emplace<Dims>());
    }
    case ArgType::TensorList: {
      const bool list = PyList_Check(value);
      if (!list && !PyTuple_Check(value)) return false;
      auto& tensors = out.emplace<std::vector<Tensor>>();
      tensors.reserve(size_t(Py_SIZE(value)));
      for (Py_ssize_t i = 0; i < Py_SIZE(value); ++i) {
        PyObject* o = list ? PyList_GET_ITEM(value, i) : PyTuple_GET_ITEM(value, i);
        if (!is_tensor(o)) return false;
        tensors.push_back(unwrap(o));
      }
      return true;
    }
    case ArgType::String:
      if (!PyUnicode_Check(value)) return false;
      out = std::string(text_of(value));
      return true;
    case ArgType::DType:
      return to_dtype(value, out.emplace<DType>());
    case ArgType::MemoryFormat:
      return to_memory_format(value, out.emplace<MemoryFormat>());
    case ArgType::Generator:
      return to_generator(value, out.emplace<GeneratorArg>());
    case ArgType::Device:
      break;
  }
  return false;
}

bool Signature::bind(const Given& given, Bound& bound) const {
  Py_ssize_t count = given.count;
  const int varargs = given.method ? varargs_method_ : varargs_function_;
  const bool spread = varargs >= 0 && count > positional_;
  if (spread)
    count = varargs;
  else if (count > positional_)
    return false;

  uint32_t filled = 0;  // one bit a parameter
  static_assert(kMaxParameters < 32);
  for (Py_ssize_t i = 0; i < count; ++i) {
    const int at = given.method ? method_order_[size_t(i)] : int(i);
    if (!convert(slots_[size_t(at)], given.args[i], bound)) return false;
    filled |= 1u << at;
  }
  if (spread) {
    const int at = given.method ? method_order_[size_t(varargs)] : varargs;
    Dims& dims = bound.slot(slots_[size_t(at)].boxed).value.emplace<Dims>();
    for (Py_ssize_t i = count; i < given.count; ++i) {
      int64_t v;
      if (!to_int(given.args[i], v)) return false;
      dims.push_back(v);
    }
    filled |= 1u << at;
  }
  const Py_ssize_t keywords = given.keywords ? PyTuple_GET_SIZE(given.keywords) : 0;
  for (Py_ssize_t k = 0; k < keywords; ++k) {
    PyObject *name = PyTuple_GET_ITEM(given.keywords, k), *value = given.args[given.count + k];
    const int at = find(name);
    if (at < 0) {
      if (!takes_out_ || text_of(name) != "out") return false;
      if (value != Py_None) bound.out = value;
      continue;
    }
    if (filled & (1u << at) || !convert(slots_[size_t(at)], value, bound)) return false;
    filled |= 1u << at;
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (filled & (1u << i)) continue;
    const Parameter& p = *slots_[i].parameter;
    if (!p.has_default) return false;
    if (slots_[i].boxed >= 0 && !p.default_value.none()) bound.slot(slots_[i].boxed) = p.default_value;
  }
  return true;
}

// ---- errors ---------------------------------------------------------------------------------------------------------

static std::string shown_type(PyObject* o) {
  if (is_tensor(o)) return "Tensor";
  if (o == Py_None) return "None";
  if ((PyTuple_Check(o) || PyList_Check(o)) && Py_SIZE(o) <= 8) {
    std::string text = PyList_Check(o) ? "[" : "(";
    for (Py_ssize_t i = 0; i < Py_SIZE(o); ++i)
      text += (i ? ", " : "") + shown_type(PyList_Check(o) ? PyList_GET_ITEM(o, i) : PyTuple_GET_ITEM(o, i));
    return text + (PyList_Check(o) ? "]" : ")");
  }
  return Py_TYPE(o)->tp_name;
}

void fail_no_overload(const std::string& name, const std::vector<Signature>& overloads, const Given& given) {
  std::string got;
  for (Py_ssize_t i = 0; i < given.count; ++i) got += (i ? ", " : "") + shown_type(given.args[i]);
  for (Py_ssize_t k = 0; given.keywords && k < PyTuple_GET_SIZE(given.keywords); ++k)
    got += (got.empty() ? "" : ", ") + std::string(text_of(PyTuple_GET_ITEM(given.keywords, k))) + "=" +
           shown_type(given.args[given.count + k]);
  auto schema = [](const Signature& s) {
    const std::string& text = s.op().schema.text;
    return text.substr(0, text.rfind(" ->"));
  };
  if (overloads.size() == 1) fail<TypeError>(name, ": expected ", schema(overloads[0]), ", got (", got, ")");
  std::string all;
  for (const Signature& s : overloads) all += "\n  " + schema(s);
  fail<TypeError>(name, ": expected one of", all, "\ngot (", got, ")");
}

}  // namespace pydl::python
