// Every operator call passes here: a Call stands on the stack for its length. Profiling and tracing attach to the
// observer; denormals are flushed for its kernels and the caller's floating-point state is restored.
#pragma once
#include "base/parallel.h"

namespace pydl {

struct CallObserver {
  virtual ~CallObserver() = default;
  virtual void begin(const char* op) = 0;
  virtual void end(const char* op) = 0;
};
inline CallObserver* call_observer = nullptr;

class Call {
 public:
  explicit Call(const char* op) : op(op) {
    if (call_observer) call_observer->begin(op);
  }
  ~Call() {
    if (call_observer) call_observer->end(op);
  }
  Call(const Call&) = delete;
  const char* const op;

 private:
  FlushDenormals flush_;
};

}  // namespace pydl
