#include "ops/registry.h"

#include <cctype>
#include <charconv>
#include <map>

#include "autograd/node.h"
#include "ops/copy.h"

namespace pydl {

namespace {

std::vector<const Operator*>& registry() {
  static std::vector<const Operator*> list;
  return list;
}

std::string& errors() {
  static std::string lines;
  return lines;
}

[[noreturn]] void malformed(std::string_view schema, std::string_view why) {
  fail<ValueError>("operator: expected a schema like \"name(Tensor input, int dim=0) -> Tensor\", got \"", schema, "\" (", why, ")");
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.front()))) s.remove_prefix(1);
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.back()))) s.remove_suffix(1);
  return s;
}

// Splits at commas outside brackets.
std::vector<std::string_view> split(std::string_view s) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i <= s.size(); ++i) {
    if (i < s.size() && (s[i] == '[' || s[i] == '(')) ++depth;
    if (i < s.size() && (s[i] == ']' || s[i] == ')')) --depth;
    if (i == s.size() || (s[i] == ',' && depth == 0)) {
      if (auto part = trim(s.substr(start, i - start)); !part.empty()) parts.push_back(part);
      start = i + 1;
    }
  }
  return parts;
}

ArgType parse_type(std::string_view t, std::string_view schema) {
  static const std::map<std::string_view, ArgType> types = {
      {"Tensor", ArgType::Tensor}, {"Tensor[]", ArgType::TensorList}, {"Operand", ArgType::Operand},
      {"Scalar", ArgType::Scalar}, {"int", ArgType::Int}, {"float", ArgType::Float}, {"bool", ArgType::Bool},
      {"int[]", ArgType::IntList}, {"str", ArgType::String}, {"ScalarType", ArgType::DType},
      {"MemoryFormat", ArgType::MemoryFormat}, {"Generator", ArgType::Generator}, {"Device", ArgType::Device}};
  const auto it = types.find(t);
  if (it == types.end()) malformed(schema, "unknown type");
  return it->second;
}

Argument parse_default(std::string_view text, ArgType type, std::string_view schema) {
  if (text == "None") return {};
  if (text == "True" || text == "False") return {Scalar(text == "True")};
  auto read = [](std::string_view s, auto& number) {
    const auto [end, error] = std::from_chars(s.begin(), s.end(), number);
    return error == std::errc() && end == s.end();
  };
  if (type == ArgType::String || type == ArgType::IntList) {
    if (text.size() < 2) malformed(schema, "unreadable default");
    text = text.substr(1, text.size() - 2);  // without quotes or brackets
  }
  if (type == ArgType::String) return {std::string(text)};
  int64_t i;
  if (type == ArgType::IntList) {
    Dims dims;
    for (auto part : split(text)) {
      if (!read(part, i)) malformed(schema, "unreadable default");
      dims.push_back(i);
    }
    return {dims};
  }
  if (read(text, i)) return {Scalar(i)};
  if (double d; read(text, d)) return {Scalar(d)};
  malformed(schema, "unreadable default");
}

Parameter parse_parameter(std::string_view text, bool keyword_only, std::string_view schema) {
  Parameter p;
  p.keyword_only = keyword_only;
  std::string_view declaration = text;
  if (const size_t eq = text.find('='); eq != text.npos) {
    declaration = trim(text.substr(0, eq));
    p.has_default = true;
  }
  const size_t space = declaration.rfind(' ');
  if (space == declaration.npos) malformed(schema, "a parameter needs a type and a name");
  std::string_view type = trim(declaration.substr(0, space));
  p.name = declaration.substr(space + 1);
  if (type.ends_with('?')) {
    p.optional = true;
    type.remove_suffix(1);
  }
  p.type = parse_type(type, schema);
  if (p.has_default) p.default_value = parse_default(trim(text.substr(text.find('=') + 1)), p.type, schema);
  return p;
}

}  // namespace

Schema parse_schema(std::string_view text) {
  Schema s;
  s.text = text;
  const size_t open = text.find('('), arrow = text.rfind("->"), close = text.rfind(')', arrow);
  if (open == text.npos || arrow == text.npos || close == text.npos) malformed(text, "no parameter list or result");
  s.name = trim(text.substr(0, open));
  if (s.name.empty()) malformed(text, "no name");
  bool keyword_only = false;
  for (auto part : split(text.substr(open + 1, close - open - 1))) {
    if (part == "*") keyword_only = true;
    else s.parameters.push_back(parse_parameter(part, keyword_only, text));
  }
  std::string_view result = trim(text.substr(arrow + 2));
  if (result == "Tensor[]") s.returns_list = true;
  if (result.starts_with('(')) result = result.substr(1, result.size() - 2);
  for (auto part : split(result)) {
    const size_t space = part.find(' ');
    s.returns.emplace_back(space == part.npos ? "" : trim(part.substr(space + 1)));
  }
  return s;
}

const std::vector<const Operator*>& operators() { return registry(); }
const std::string& registration_errors() { return errors(); }

static void check_signature(const Operator& op, std::initializer_list<ArgType> types) {
  std::vector<ArgType> expected;
  for (const Parameter& p : op.schema.parameters)
    if (p.type != ArgType::Device && p.name != "requires_grad") expected.push_back(p.type);
  if (op.native_out) expected.push_back(ArgType::Device);
  // A function that takes tensors or numbers may be offered for tensors alone.
  auto serves = [](ArgType schema, ArgType function) {
    return schema == function || (schema == ArgType::Tensor && function == ArgType::Operand);
  };
  if (!std::equal(expected.begin(), expected.end(), types.begin(), types.end(), serves))
    malformed(op.schema.text, "the C++ function takes other types");
}

void detail::enroll(Operator& op, std::string_view schema, std::initializer_list<ArgType> types) noexcept {
  try {
    op.schema = parse_schema(schema);
    check_signature(op, types);
    registry().push_back(&op);
  } catch (const Error& e) { (errors() += e.what()) += '\n'; }
}

namespace {

// Moves a finished result to where the caller wants it: the out= and in-place forms of operators without a native one.
Tensor deliver(const Operator& op, const Tensor& result, const Out& out) {
  const char* name = op.schema.name.c_str();
  if (out.kind == Out::Kind::Inplace && !same(result.sizes(), out.target.sizes()))
    fail<ShapeError>(name, "_: expected a result of shape ", show(out.target.sizes()), ", got ", result);
  check_writable(name, out.target);
  if (out.kind == Out::Kind::Given) {
    if (autograd::mode.grad && autograd::requires_grad(result))
      fail(name, ": expected inputs that need no gradient with out=, got one that requires grad");
    resize_output(name, out.target, result.sizes());
  }
  check_can_cast(name, result.dtype(), out.target.dtype());
  copy_(out.target, result);
  return out.target;
}

}  // namespace

Result Operator::call(Argument* arguments, const Out& out) const {
  std::optional<autograd::GradGuard> no_grad;
  if (variants & kNoGrad) no_grad.emplace(false);
  if (out.fresh() || native_out) return invoke(function, arguments, out);
  Result result = invoke(function, arguments, Out());
  return deliver(*this, std::get<Tensor>(result), out);
}

}  // namespace pydl
