// Tensor's number slots: x + y and its kin, called by the interpreter with the operands in order, either of which may
// be a Python number or a NumPy array. They call the operators directly, without boxing.
#include "bindings/parse.h"
#include "ops/matmul.h"
#include "ops/pointwise.h"

namespace pydl::python {

namespace {

using Function = Tensor (*)(const Operand&, const Operand&, const Out&);
using UnaryFunction = Tensor (*)(const Tensor&, const Out&);

// Operators whose checked C++ function is private to ops/ are reached through their registration.
template <class F>
F registered(const char* name, std::initializer_list<ArgType> types) {
  for (const Operator* op : operators()) {
    const auto& p = op->schema.parameters;
    auto same_type = [](const Parameter& a, ArgType b) { return a.type == b; };
    if (op->schema.name == name && op->native_out &&
        std::equal(p.begin(), p.end(), types.begin(), types.end(), same_type))
      return reinterpret_cast<F>(const_cast<void*>(op->function));
  }
  fail("bindings: expected a registered operator ", name);
}
Function registered_binary(const char* name) {
  return registered<Function>(name, {ArgType::Operand, ArgType::Operand});
}

struct Plus {
  Tensor operator()(const Operand& a, const Operand& b, const Out& o) const { return add(a, b, Scalar(1), o); }
};
struct Minus {
  Tensor operator()(const Operand& a, const Operand& b, const Out& o) const { return sub(a, b, Scalar(1), o); }
};
template <Function f>
struct Direct {
  Tensor operator()(const Operand& a, const Operand& b, const Out& o) const { return f(a, b, o); }
};
#define REGISTERED(type, name)                                                  \
  struct type {                                                                 \
    Tensor operator()(const Operand& a, const Operand& b, const Out& o) const { \
      static const Function f = registered_binary(name);                        \
      return f(a, b, o);                                                        \
    }                                                                           \
  };
REGISTERED(FloorDivide, "floor_divide")
REGISTERED(Remainder, "remainder")
REGISTERED(Power, "pow")
#undef REGISTERED

// One side of an operator: a tensor, a number, or a NumPy array held as a tensor for the length of the call.
class Side {
 public:
  explicit Side(PyObject* o) : tensor_(Py_TYPE(o) == tensor_type ? &unwrap(o) : nullptr) {
    if (!tensor_ && !(number_ = to_scalar(o, scalar_))) tensor_ = to_operand_tensor(o, holder_);
  }
  explicit operator bool() const { return tensor_ || number_; }
  operator Operand() const { return tensor_ ? Operand(*tensor_) : Operand(scalar_); }

 private:
  const Tensor* tensor_;
  bool number_ = false;
  Scalar scalar_;
  Tensor holder_;
};

template <class F>
PyObject* binary(PyObject* a, PyObject* b) {
  return guarded([&]() -> PyObject* {
    const Side x(a), y(b);
    if (!x || !y) Py_RETURN_NOTIMPLEMENTED;
    return wrap_result(F()(x, y, Out()));
  });
}

template <class F>
PyObject* inplace(PyObject* self, PyObject* other) {
  return guarded([&]() -> PyObject* {
    const Side y(other);
    if (!y) Py_RETURN_NOTIMPLEMENTED;
    F()(unwrap(self), y, Out::inplace(unwrap(self)));
    return Py_NewRef(self);
  });
}

PyObject* power(PyObject* a, PyObject* b, PyObject* modulus) {
  if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
  return binary<Power>(a, b);
}
PyObject* inplace_power(PyObject* a, PyObject* b, PyObject*) { return inplace<Power>(a, b); }

PyObject* matrix_product(PyObject* a, PyObject* b) {
  return guarded(
      [&]() -> PyObject* {
        Tensor held_a, held_b;
        const Tensor *x = to_operand_tensor(a, held_a), *y = to_operand_tensor(b, held_b);
        if (!x || !y) Py_RETURN_NOTIMPLEMENTED;
        return wrap_result(matmul(*x, *y));
      },
      "matmul");
}

PyObject* negative(PyObject* self) {
  return guarded([&] {
    static const auto f = registered<UnaryFunction>("neg", {ArgType::Tensor});
    return wrap_result(f(unwrap(self), Out()));
  });
}
PyObject* positive(PyObject* self) {
  if (unwrap(self).dtype() != DType::Bool) return Py_NewRef(self);
  return PyErr_Format(PyExc_RuntimeError, "positive: expected numbers, got a bool tensor");
}
PyObject* absolute(PyObject* self) {
  return guarded([&] { return wrap_result(abs(unwrap(self))); });
}
PyObject* invert(PyObject* self) {
  return guarded([&] {
    const Tensor& t = unwrap(self);
    if (is_floating(t.dtype())) fail<TypeError>("bitwise_not: expected an integer or bool tensor, got ", t);
    return wrap_result(bitwise_not(t));
  });
}

PyObject* compare(PyObject* a, PyObject* b, int op) {
  switch (op) {
    case Py_LT:
      return binary<Direct<lt>>(a, b);
    case Py_LE:
      return binary<Direct<le>>(a, b);
    case Py_EQ:
      return binary<Direct<eq>>(a, b);
    case Py_NE:
      return binary<Direct<ne>>(a, b);
    case Py_GT:
      return binary<Direct<gt>>(a, b);
    default:
      return binary<Direct<ge>>(a, b);
  }
}

}  // namespace

PyType_Slot number_slots[] = {
    {Py_nb_add, as_slot(binary<Plus>)},
    {Py_nb_subtract, as_slot(binary<Minus>)},
    {Py_nb_multiply, as_slot(binary<Direct<mul>>)},
    {Py_nb_true_divide, as_slot(binary<Direct<div>>)},
    {Py_nb_floor_divide, as_slot(binary<FloorDivide>)},
    {Py_nb_remainder, as_slot(binary<Remainder>)},
    {Py_nb_power, as_slot(power)},
    {Py_nb_matrix_multiply, as_slot(matrix_product)},
    {Py_nb_and, as_slot(binary<Direct<bitwise_and>>)},
    {Py_nb_or, as_slot(binary<Direct<bitwise_or>>)},
    {Py_nb_xor, as_slot(binary<Direct<bitwise_xor>>)},
    {Py_nb_lshift, as_slot(binary<Direct<bitwise_left_shift>>)},
    {Py_nb_rshift, as_slot(binary<Direct<bitwise_right_shift>>)},
    {Py_nb_inplace_add, as_slot(inplace<Plus>)},
    {Py_nb_inplace_subtract, as_slot(inplace<Minus>)},
    {Py_nb_inplace_multiply, as_slot(inplace<Direct<mul>>)},
    {Py_nb_inplace_true_divide, as_slot(inplace<Direct<div>>)},
    {Py_nb_inplace_floor_divide, as_slot(inplace<FloorDivide>)},
    {Py_nb_inplace_remainder, as_slot(inplace<Remainder>)},
    {Py_nb_inplace_power, as_slot(inplace_power)},
    {Py_nb_inplace_and, as_slot(inplace<Direct<bitwise_and>>)},
    {Py_nb_inplace_or, as_slot(inplace<Direct<bitwise_or>>)},
    {Py_nb_inplace_xor, as_slot(inplace<Direct<bitwise_xor>>)},
    {Py_nb_inplace_lshift, as_slot(inplace<Direct<bitwise_left_shift>>)},
    {Py_nb_inplace_rshift, as_slot(inplace<Direct<bitwise_right_shift>>)},
    {Py_nb_negative, as_slot(negative)},
    {Py_nb_positive, as_slot(positive)},
    {Py_nb_absolute, as_slot(absolute)},
    {Py_nb_invert, as_slot(invert)},
    {Py_tp_richcompare, as_slot(compare)},
    {},
};

}  // namespace pydl::python
