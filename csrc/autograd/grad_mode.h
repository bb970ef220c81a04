// Per-thread switches: is history recorded, are tensors made for inference only, is anomaly detection on.
#pragma once

namespace pydl::autograd {

struct Mode {
  bool grad = true;
  bool inference = false;
  bool anomaly = false;
  bool anomaly_check_nan = true;
};
inline thread_local Mode mode;

inline bool grad_enabled() { return mode.grad; }

class GradGuard {
 public:
  explicit GradGuard(bool on) : before_(mode.grad) { mode.grad = on; }
  ~GradGuard() { mode.grad = before_; }
  GradGuard(const GradGuard&) = delete;

 private:
  bool before_;
};

}  // namespace pydl::autograd
