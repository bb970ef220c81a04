// Python arguments to the boxed arguments of an operator.
#pragma once
#include <memory>

#include "bindings/tensor_object.h"
#include "ops/registry.h"

namespace pydl::python {

// ---- single values: true when `o` is one; they raise only when it is but does not fit (an integer over 64 bits) -----
bool to_scalar(PyObject* o, Scalar& out);  // bool, int, float and NumPy's scalars
bool to_int(PyObject* o, int64_t& out);    // integers, not bools; 0-d integer tensors
bool to_int_list(PyObject* o, Dims& out);  // lists and tuples of integers
// A tensor, or a NumPy array seen as one. `holder` keeps the latter alive.
const Tensor* to_operand_tensor(PyObject* o, Tensor& holder);
bool is_numpy_array(PyObject* o);
inline bool is_number(PyObject* o) {
  Scalar s;
  return to_scalar(o, s);
}

// ---- calls ----------------------------------------------------------------------------------------------------------

// Arguments as the vectorcall protocol hands them over.
struct Given {
  PyObject* const* args;
  Py_ssize_t count;
  PyObject* keywords;  // a tuple of names, or null; their values follow the positional arguments
  bool method;         // args[0] is self
};

inline constexpr int kMaxParameters = 24;

// The boxed arguments of one call, built in place.
class Bound {
 public:
  explicit Bound(int count) : count_(count) {
    for (int i = 0; i < count; ++i) new (&slot(i)) Argument;
  }
  ~Bound() {
    for (int i = 0; i < count_; ++i) slot(i).~Argument();
  }
  Bound(const Bound&) = delete;
  Argument* data() { return &slot(0); }
  Argument& slot(int i) { return reinterpret_cast<Argument*>(storage_)[i]; }

  PyObject* out = nullptr;  // borrowed from the call
  bool requires_grad = false;

 private:
  int count_;
  alignas(Argument) std::byte storage_[sizeof(Argument) * kMaxParameters];
};

// How Python's arguments map onto one operator's parameters.
class Signature {
 public:
  explicit Signature(const Operator& op);
  const Operator& op() const { return *op_; }
  int boxed() const { return boxed_; }
  int self() const { return self_; }
  // Whether positional tensors alone, op().tensors of them, make a call that op().invoke_on_tensors can serve.
  bool of_tensors() const { return of_tensors_; }

  // False when the arguments do not fit the schema; an overload after this one may.
  bool bind(const Given& given, Bound& bound) const;

 private:
  struct Slot {
    const Parameter* parameter;
    PyObject* name;  // interned
    int boxed;       // index among the C++ arguments; -1 for those that only the bindings see
  };
  bool convert(const Slot& slot, PyObject* value, Bound& bound) const;
  int find(PyObject* name) const;

  const Operator* op_;
  std::vector<Slot> slots_;
  std::vector<int> method_order_;  // positional parameters, self first
  int positional_ = 0, boxed_ = 0, self_ = 0;
  bool takes_out_ = false, of_tensors_ = false;
  int varargs_function_ = -1, varargs_method_ = -1;  // the int[] that separate integers may spell
};

// Raises the TypeError of a call that no overload accepts.
[[noreturn]] void fail_no_overload(const std::string& name, const std::vector<Signature>& overloads,
                                   const Given& given);

}  // namespace pydl::python
