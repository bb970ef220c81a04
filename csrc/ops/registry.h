// The operator registry. An operator is registered once, beside its C++ function:
//
//   static const Operator op(&softmax, "softmax(Tensor input, int dim, *, ScalarType? dtype=None) -> Tensor",
//                            kFunction | kMethod, "Softmax along dim.\n>>> pydl.softmax(pydl.zeros(2), 0)\n"
//                                                 "tensor([0.5000, 0.5000])");
//
// Argument parsing, the function and method forms, in-place and out= forms, docstrings and the type stub all come from
// the schema. A docstring ends with an example: ">>> " begins a statement, what it prints follows; pydl is imported.
// Several operators may share a name (overloads); the first whose schema accepts the arguments runs.
//
// Schema types and the C++ parameter each becomes:
//   Tensor            const Tensor&                 Tensor?       const Tensor& (undefined for None)
//   Tensor[]          const std::vector<Tensor>&    Operand       const Operand& (a tensor or a Python number)
//   Scalar            const Scalar&                 Scalar?       const std::optional<Scalar>&
//   int, float, bool  int64_t, double, bool         int?, float?, bool?   std::optional<...>
//   int[]             IntSpan (a lone int counts)   int[]?        const std::optional<Dims>&
//   str, str?         std::string_view ("" = None)  ScalarType?   std::optional<DType>
//   MemoryFormat?     std::optional<MemoryFormat>   Generator?    GeneratorArg (nullptr: the default one)
//   Device?           accepted by the bindings ("cpu" or None; anything else raises), invisible in C++
//   bool requires_grad   applied to the result by the bindings, invisible in C++
// A C++ function whose last parameter is `const Out&` computes straight into out= and in-place targets; others get a
// result that is then copied there. `int[]` as the first argument after `input` may be given as separate ints (x.view(2, 3)).
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "tensor/tensor.h"

namespace pydl {

struct Generator;
using GeneratorArg = Generator*;

// A tensor or a Python number.
class Operand {
 public:
  Operand(const Tensor& t) : tensor_(&t) {}
  Operand(const Scalar& s) : scalar_(s) {}
  Operand(double v) : scalar_(v) {}
  Operand(int v) : scalar_(v) {}
  Operand(int64_t v) : scalar_(v) {}
  bool is_tensor() const { return tensor_ != nullptr; }
  const Tensor& tensor() const { return *tensor_; }
  const Scalar& scalar() const { return scalar_; }

 private:
  const Tensor* tensor_ = nullptr;  // borrowed for the length of the call
  Scalar scalar_;
};

// Where a result goes: fresh memory (the default), a tensor given as out=, the first input itself, or memory that the
// calling C++ code has prepared and checked.
struct Out {
  enum class Kind : uint8_t { Fresh, Given, Inplace, Prepared };
  Tensor target;
  Kind kind = Kind::Fresh;
  Out() = default;
  static Out given(const Tensor& t) { return {t, Kind::Given}; }
  static Out inplace(const Tensor& t) { return {t, Kind::Inplace}; }
  static Out prepared(const Tensor& t) { return {t, Kind::Prepared}; }
  bool fresh() const { return kind == Kind::Fresh; }

 private:
  Out(const Tensor& t, Kind k) : target(t), kind(k) {}
};

// One boxed argument or default.
struct Argument {
  std::variant<std::monostate, Tensor, Scalar, Dims, std::vector<Tensor>, std::string, DType, MemoryFormat, GeneratorArg> value;
  bool none() const { return value.index() == 0; }
};

using Result = std::variant<std::monostate, Tensor, std::vector<Tensor>, Scalar, bool, Dims, DType>;

enum class ArgType : uint8_t {
  Tensor, TensorList, Operand, Scalar, Int, Float, Bool, IntList, String, DType, MemoryFormat, Generator, Device
};

struct Parameter {
  std::string name;
  ArgType type;
  bool optional = false;      // accepts None
  bool keyword_only = false;
  bool has_default = false;
  Argument default_value;     // meaningful when has_default
};

enum Variants : uint8_t {
  kFunction = 1,          // pydl.name
  kMethod = 2,            // Tensor.name
  kInplace = 4,           // Tensor.name_ (and pydl.name_ when kFunction)
  kOut = 8,               // out=
  kNN = 16,               // pydl._C.nn-like namespace: pydl._core.nn.name
  kNoGrad = 32,           // not differentiable: the result never enters a graph
  kSynchronizes = 64,     // reads values on the host (nonzero, item)
};

struct Schema {
  std::string name;                     // "softmax"; "linalg.inv" lives in the namespace linalg
  std::vector<Parameter> parameters;
  std::vector<std::string> returns;     // one entry per returned tensor: its name, or ""
  bool returns_list = false;            // "-> Tensor[]"
  std::string text;
};
// Raises ValueError for a malformed schema.
Schema parse_schema(std::string_view text);

struct Operator {
  Schema schema;
  int variants = 0;
  const char* doc = "";
  bool native_out = false;
  Result (*invoke)(const void* function, Argument* arguments, const Out& out) = nullptr;
  const void* function = nullptr;
  // Of a function whose arguments are all tensors, `tensors` of them, and whose result is one: the same without boxes.
  Tensor (*invoke_on_tensors)(const void* function, const Tensor* const* inputs) = nullptr;
  int tensors = 0;

  // Runs with one boxed argument per parameter (defaults filled in). Applies `out` natively or by copying.
  Result call(Argument* arguments, const Out& out = {}) const;

  template <class R, class... A>
  Operator(R (*f)(A...), std::string_view schema_text, int variant_flags, const char* docstring);

  Operator(const Operator&) = delete;
};

// All operators, in registration order. Frozen once the module is imported.
const std::vector<const Operator*>& operators();
// What was wrong with those that could not be registered, a line each. Registration runs while the library loads, where
// an exception would end the process; the import raises instead.
const std::string& registration_errors();

// ---- boxing --------------------------------------------------------------------------------------------------------

namespace detail {

// Reads the schema, compares it with the C++ function's argument types and adds the operator; noted if that fails.
void enroll(Operator& op, std::string_view schema, std::initializer_list<ArgType> types) noexcept;

template <class T> struct unbox;  // unbox<T>::type is the ArgType; unbox<T>::get(Argument&) the C++ value
template <> struct unbox<const Tensor&> {
  static constexpr ArgType type = ArgType::Tensor;
  static const Tensor& get(Argument& a) {
    static const Tensor undefined;
    return a.none() ? undefined : std::get<Tensor>(a.value);
  }
};
template <> struct unbox<const std::vector<Tensor>&> {
  static constexpr ArgType type = ArgType::TensorList;
  static const std::vector<Tensor>& get(Argument& a) { return std::get<std::vector<Tensor>>(a.value); }
};
template <> struct unbox<const Operand&> {
  static constexpr ArgType type = ArgType::Operand;
  static Operand get(Argument& a) {
    if (auto* t = std::get_if<Tensor>(&a.value)) return Operand(*t);
    return Operand(std::get<Scalar>(a.value));
  }
};
template <> struct unbox<const Scalar&> {
  static constexpr ArgType type = ArgType::Scalar;
  static const Scalar& get(Argument& a) { return std::get<Scalar>(a.value); }
};
template <> struct unbox<int64_t> {
  static constexpr ArgType type = ArgType::Int;
  static int64_t get(Argument& a) { return std::get<Scalar>(a.value).to_int(); }
};
template <> struct unbox<double> {
  static constexpr ArgType type = ArgType::Float;
  static double get(Argument& a) { return std::get<Scalar>(a.value).to_double(); }
};
template <> struct unbox<bool> {
  static constexpr ArgType type = ArgType::Bool;
  static bool get(Argument& a) { return std::get<Scalar>(a.value).to_bool(); }
};
template <> struct unbox<IntSpan> {
  static constexpr ArgType type = ArgType::IntList;
  static IntSpan get(Argument& a) { return a.none() ? IntSpan() : IntSpan(std::get<Dims>(a.value)); }
};
template <> struct unbox<const std::optional<Dims>&> {
  static constexpr ArgType type = ArgType::IntList;
  static std::optional<Dims> get(Argument& a) { return a.none() ? std::nullopt : std::optional(std::get<Dims>(a.value)); }
};
template <> struct unbox<std::string_view> {
  static constexpr ArgType type = ArgType::String;
  static std::string_view get(Argument& a) { return a.none() ? std::string_view() : std::get<std::string>(a.value); }
};
template <> struct unbox<std::optional<DType>> {
  static constexpr ArgType type = ArgType::DType;
  static std::optional<DType> get(Argument& a) { return a.none() ? std::nullopt : std::optional(std::get<DType>(a.value)); }
};
template <> struct unbox<std::optional<MemoryFormat>> {
  static constexpr ArgType type = ArgType::MemoryFormat;
  static std::optional<MemoryFormat> get(Argument& a) {
    return a.none() ? std::nullopt : std::optional(std::get<MemoryFormat>(a.value));
  }
};
template <> struct unbox<GeneratorArg> {
  static constexpr ArgType type = ArgType::Generator;
  static GeneratorArg get(Argument& a) { return a.none() ? nullptr : std::get<GeneratorArg>(a.value); }
};
template <> struct unbox<const std::optional<Scalar>&> {
  static constexpr ArgType type = ArgType::Scalar;
  static std::optional<Scalar> get(Argument& a) { return a.none() ? std::nullopt : std::optional(std::get<Scalar>(a.value)); }
};
template <class T> requires(std::is_arithmetic_v<T>) struct unbox<std::optional<T>> {
  static constexpr ArgType type = unbox<T>::type;
  static std::optional<T> get(Argument& a) { return a.none() ? std::nullopt : std::optional<T>(unbox<T>::get(a)); }
};

inline Result box(Tensor t) { return t; }
inline Result box(std::vector<Tensor> t) { return t; }
template <class... T> Result box(std::tuple<T...> t) {
  return std::apply([](auto&... e) { return std::vector<Tensor>{std::move(e)...}; }, t);
}
inline Result box(Scalar s) { return s; }
inline Result box(bool b) { return b; }
inline Result box(int64_t i) { return Scalar(i); }
inline Result box(double d) { return Scalar(d); }
inline Result box(Dims d) { return d; }
inline Result box(DType d) { return d; }

template <class... A> struct has_out : std::false_type {};
template <class A> struct has_out<A> : std::is_same<A, const Out&> {};
template <class A, class B, class... C> struct has_out<A, B, C...> : has_out<B, C...> {};

template <class R, class... A, size_t... I>
Result invoke(R (*f)(A...), Argument* args, const Out& out, std::index_sequence<I...>) {
  auto pick = [&]<size_t K, class T>() -> decltype(auto) {
    if constexpr (std::is_same_v<T, const Out&>) return (out);
    else return unbox<T>::get(args[K]);
  };
  if constexpr (std::is_void_v<R>) {
    f(pick.template operator()<I, A>()...);
    return {};
  } else {
    return box(f(pick.template operator()<I, A>()...));
  }
}

template <class T>
inline constexpr bool takes_tensor = std::is_same_v<T, const Tensor&> || std::is_same_v<T, const Operand&>;
template <class T> inline constexpr bool is_out = std::is_same_v<T, const Out&>;

template <class... A, size_t... I>
Tensor invoke_on_tensors(Tensor (*f)(A...), const Tensor* const* inputs, std::index_sequence<I...>) {
  const Out fresh;
  auto pick = [&]<size_t K, class T>() -> decltype(auto) {
    if constexpr (is_out<T>) return (fresh);
    else return (*inputs[K]);
  };
  return f(pick.template operator()<I, A>()...);
}

template <class T> constexpr ArgType arg_type() {
  if constexpr (std::is_same_v<T, const Out&>) return ArgType::Device;  // never compared: Out has no schema entry
  else return unbox<T>::type;
}

}  // namespace detail

template <class R, class... A>
Operator::Operator(R (*f)(A...), std::string_view schema_text, int variant_flags, const char* docstring)
    : variants(variant_flags), doc(docstring), native_out(detail::has_out<A...>::value),
      function(reinterpret_cast<const void*>(f)) {
  invoke = [](const void* function, Argument* args, const Out& out) {
    return detail::invoke(reinterpret_cast<R (*)(A...)>(const_cast<void*>(function)), args, out,
                          std::index_sequence_for<A...>());
  };
  if constexpr (std::is_same_v<R, Tensor> && ((detail::takes_tensor<A> || detail::is_out<A>) && ...)) {
    tensors = (0 + ... + detail::takes_tensor<A>);
    invoke_on_tensors = [](const void* function, const Tensor* const* inputs) {
      return detail::invoke_on_tensors(reinterpret_cast<R (*)(A...)>(const_cast<void*>(function)), inputs,
                                       std::index_sequence_for<A...>());
    };
  }
  detail::enroll(*this, schema_text, {detail::arg_type<A>()...});
}

}  // namespace pydl
