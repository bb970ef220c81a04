// Type promotion with PyTorch's rules: tensors with dimensions outrank 0-d tensors, which outrank Python numbers; a
// lower rank changes the result only when its category (bool < integer < floating) is higher.
#pragma once
#include <initializer_list>

#include "ops/registry.h"

namespace pydl {

DType default_dtype();
void set_default_dtype(DType t);

DType promote(DType a, DType b);
bool can_cast(DType from, DType to);  // the category does not fall

class Promotion {
 public:
  void add(const Tensor& t);
  void add(const Scalar& s);
  void add(const Operand& o) { o.is_tensor() ? add(o.tensor()) : add(o.scalar()); }
  DType result() const;

 private:
  std::optional<DType> dimensioned_, zero_dim_, number_;
};
inline DType result_type(std::initializer_list<Operand> operands) {
  Promotion p;
  for (const Operand& o : operands) p.add(o);
  return p.result();
}

}  // namespace pydl
