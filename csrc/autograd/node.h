// The graph: a Node is one recorded operation, reference-counted and owned by the tensors it made. Edges point from a
// node to the nodes that made its inputs.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autograd/grad_mode.h"
#include "tensor/tensor.h"

namespace pydl::autograd {

struct Node;

struct Edge {
  Ref<Node> node;      // null: that input needs no gradient
  uint32_t input = 0;  // which output of the node's operation this is
};

// A function of the gradient flowing through; returning an undefined tensor keeps the gradient.
struct Hook {
  virtual ~Hook() = default;
  virtual Tensor call(const Tensor& grad) = 0;
};
struct NodeHook {
  virtual ~NodeHook() = default;
  // Before the node runs: its incoming gradients; after it: those it computed and those it was given.
  virtual void pre(Tensors&) {}
  virtual void post(Tensors& /*computed*/, const Tensors& /*given*/) {}
};

struct Node : RefCounted {
  const char* name = "";
  uint64_t sequence = 0;           // creation order: the engine runs later nodes first
  SmallVector<Edge, 3> edges;      // one per input of the operation
  struct Output {
    Dims sizes;
    DType dtype = DType::Float32;
  };
  SmallVector<Output, 1> outputs;  // what the incoming gradients must look like
  bool saves = false;              // holds saved tensors: backward frees them and can then not run again

  struct Extras {
    std::vector<std::pair<uint32_t, std::shared_ptr<Hook>>> tensor_hooks;  // (output, hook), run before the node
    std::vector<std::pair<uint32_t, std::weak_ptr<TensorImpl*>>> retaining;  // outputs whose tensor keeps its grad
    std::vector<std::shared_ptr<NodeHook>> node_hooks;
    std::string forward_trace;                                             // anomaly mode: where the forward ran
  };
  std::unique_ptr<Extras> extras;
  std::atomic<void*> python_object{nullptr};

  Node();
  virtual ~Node();
  // Gradients for the operation's outputs in (undefined where none arrived), for its inputs out.
  virtual Tensors apply(const Tensors& grads) = 0;
  // Drops saved tensors; a second apply raises.
  virtual void release() {}
  // The name in PyTorch's spelling: what index_select records is called IndexSelectBackward0.
  virtual std::string title() const;
  // Frees iteratively: a chain of a hundred thousand nodes must not recurse.
  void destroy();
  Extras& more() { if (!extras) extras = std::make_unique<Extras>(); return *extras; }
};

// Installed by the bindings: the source line being executed, for anomaly mode.
extern std::string (*forward_trace)();

// A leaf's history: adds what arrives to its grad.
struct AccumulateGrad final : Node {
  Tensor variable;
  explicit AccumulateGrad(const Tensor& v);
  ~AccumulateGrad() override;
  Tensors apply(const Tensors& grads) override;
};

struct History final : TensorExtension {
  Ref<Node> grad_fn;             // null for leaves
  uint32_t output = 0;
  bool requires_grad = false;    // of a leaf
  std::shared_ptr<TensorImpl*> retained;  // after retain_grad(): what grad_fn watches instead of owning the tensor
  Tensor grad;
  std::atomic<AccumulateGrad*> accumulator{nullptr};  // borrowed: it keeps the leaf alive, not the reverse
  uint32_t view_epoch = 0;       // of a view: its base's write epoch when grad_fn was made
  uint32_t write_epoch = 0;      // of a base: in-place writes with history, through any view
  std::vector<std::shared_ptr<Hook>> hooks;             // of a leaf: kept until its accumulator exists
  std::vector<std::shared_ptr<Hook>> post_accumulate;   // called with the leaf after its grad changed
};

inline History* history(const Tensor& t) { return static_cast<History*>(t.impl()->autograd.get()); }
History& ensure_history(const Tensor& t);

bool requires_grad(const Tensor& t);
void set_requires_grad(const Tensor& t, bool on);
bool is_leaf(const Tensor& t);
// The node that made the tensor (regenerated for a view whose base was written), null for leaves.
Ref<Node> grad_fn(const Tensor& t);
// Where a gradient for the tensor goes: its grad_fn, its accumulator, or nowhere.
Edge gradient_edge(const Tensor& t);

// From now on a tensor that is no leaf adds what arrives at its grad_fn to its grad, also at a later grad_fn that an
// in-place operation gives it.
void retain_grad(const Tensor& t);

// True when an operation on these inputs must be recorded.
template <class... T> bool needed(const T&... inputs) {
  return mode.grad && ((inputs.defined() && inputs.impl()->autograd && requires_grad(inputs)) || ...);
}
bool needed(std::span<const Tensor> inputs);

// ---- saved tensors -------------------------------------------------------------------------------------------------

// An input or output kept for the backward pass. get() raises if the tensor was written in place since.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Tensor& input);
  // An output is kept without its history (that would be a cycle); get() restores it from the node being run.
  static Saved output(const Tensor& output, uint32_t index = 0);
  Tensor get() const;
  operator Tensor() const { return get(); }

 private:
  Tensor tensor_;
  uint32_t version_ = 0;
  int32_t output_ = -1;
};
inline Saved save(const Tensor& t) { return Saved(t); }

// ---- recording -----------------------------------------------------------------------------------------------------

// A node whose backward is a callable: Tensor(const Tensor& g), Tensors(const Tensor& g) or Tensors(const Tensors& g).
template <class F> struct FunctionNode final : Node {
  std::optional<F> backward;
  explicit FunctionNode(F&& f) : backward(std::move(f)) {}
  Tensors apply(const Tensors& grads) override;
  void release() override { if (saves) backward.reset(); }
};
[[noreturn]] void fail_released(const char* name);
struct CurrentNode {
  explicit CurrentNode(Node* n);
  ~CurrentNode();
  Node* before;
};

// Whether the node being run leads to a requested gradient through this input; without requests, always. For
// operations that would otherwise compute a costly gradient for nobody.
bool wanted(size_t input);
// Whether the node being run gives up what it saved afterwards: its backward may write over memory that it alone holds.
bool last_run();
// What both tell, set by the engine around each node; bit i of `wanted` is for input i.
struct NodeRun {
  uint64_t wanted = ~uint64_t(0);
  bool last = false;
};
class NodeRunGuard {
 public:
  explicit NodeRunGuard(NodeRun run);
  ~NodeRunGuard();
  NodeRunGuard(const NodeRunGuard&) = delete;

 private:
  NodeRun before_;
};

template <class F> Tensors FunctionNode<F>::apply(const Tensors& grads) {
  if (!backward) fail_released(name);
  CurrentNode current(this);
  if constexpr (std::is_invocable_v<F&, const Tensors&>) {
    return (*backward)(grads);
  } else {
    if (!grads[0].defined()) return Tensors(edges.size(), Tensor());
    if constexpr (std::is_same_v<decltype((*backward)(grads[0])), Tensor>) return Tensors{(*backward)(grads[0])};
    else return (*backward)(grads[0]);
  }
}

void connect(Node& node, const char* name, std::span<const Tensor> inputs);
void set_history(const Tensor& output, const Ref<Node>& node, uint32_t index = 0);

// Records `backward` as the history of `output` (or outputs), made from `inputs` by the operation `name`.
template <class F>
void record(const char* name, std::span<const Tensor> outputs, std::span<const Tensor> inputs, F&& backward) {
  Ref<Node> node(new FunctionNode<std::decay_t<F>>(std::move(backward)));
  connect(*node, name, inputs);
  for (uint32_t i = 0; i < outputs.size(); ++i) set_history(outputs[i], node, i);
}
template <class F>
void record(const char* name, const Tensor& output, std::initializer_list<Tensor> inputs, F&& backward) {
  record(name, std::span(&output, 1), std::span(inputs.begin(), inputs.size()), std::forward<F>(backward));
}

// ---- in-place writes -----------------------------------------------------------------------------------------------

// Before an in-place operation writes: a leaf that requires grad, or a base in inference mode, refuses.
void check_inplace(const char* op, const Tensor& self);
// After it: the written tensor's new history (through its base when it is a view). `name` and `inputs` as in record;
// the first input is the tensor as it was.
void rebase(const Tensor& self, Ref<Node> node);
template <class F>
void record_inplace(const char* name, const Tensor& self, std::span<const Tensor> inputs, F&& backward) {
  Ref<Node> node(new FunctionNode<std::decay_t<F>>(std::move(backward)));
  connect(*node, name, inputs);
  rebase(self, std::move(node));
}

// Marks `view` as a differentiable view of `of` (of its base, if it is a view itself).
void set_base(const Tensor& view, const Tensor& of);

// ---- the engine ----------------------------------------------------------------------------------------------------

struct BackwardOptions {
  bool retain_graph = false;
  bool create_graph = false;
};
// Accumulates the gradients of `roots` (seeded with `grads`; undefined seeds are ones for scalars) into leaves; with
// `inputs`, only into those (leaves or not; the latter retain their gradients from then on).
void backward(std::span<const Tensor> roots, std::span<const Tensor> grads, BackwardOptions options,
              std::span<const Tensor> inputs = {});
// Returns the gradients for `inputs` instead; undefined where a root does not depend on one and `allow_unused`.
Tensors gradients(std::span<const Tensor> roots, std::span<const Tensor> grads, std::span<const Tensor> inputs,
                  BackwardOptions options, bool allow_unused);

// The few tensor operations that autograd itself needs; set by ops/ when the library loads.
struct Arithmetic {
  Tensor (*add)(const Tensor&, const Tensor&);
  void (*add_inplace)(const Tensor&, const Tensor&);
  Tensor (*ones_like)(const Tensor&);
  Tensor (*zeros)(IntSpan, DType);
  Tensor (*clone)(const Tensor&);
  void (*copy_inplace)(const Tensor& into, const Tensor& from);
  Tensor (*as_strided)(const Tensor&, IntSpan sizes, IntSpan strides, int64_t offset);
  Tensor (*sum_to)(const Tensor&, IntSpan sizes);
  Tensor (*cast)(const Tensor&, DType);
  bool (*any_nan)(const Tensor&);
};
extern Arithmetic arithmetic;

}  // namespace pydl::autograd
