// Every operator call passes here: a Call stands on the stack for its length. Profiling and tracing attach to the
// observer; denormals are flushed for its kernels and the caller's floating-point state is restored. An operator that
// asks for the memory of a row-sparse tensor, which has none, raises under the call's name (Tensor::raw).
#pragma once
#include <utility>

#include "base/parallel.h"
#include "tensor/tensor.h"

namespace pydl {

struct CallObserver {
  virtual ~CallObserver() = default;
  virtual void begin(const char* op) = 0;
  virtual void end(const char* op) = 0;
};
inline CallObserver* call_observer = nullptr;

class Call {
 public:
  explicit Call(const char* op) : op(op), before_(std::exchange(running_operator, op)) {
    if (call_observer) call_observer->begin(op);
  }
  ~Call() {
    running_operator = before_;
    if (call_observer) call_observer->end(op);
  }
  Call(const Call&) = delete;
  const char* const op;

 private:
  const char* const before_;
  FlushDenormals flush_;
};

}  // namespace pydl
