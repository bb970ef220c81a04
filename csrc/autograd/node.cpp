#include "autograd/node.h"

#include <algorithm>
#include <cctype>

#include "autograd/flat.h"

namespace pydl::autograd {

Arithmetic arithmetic;
std::string (*forward_trace)() = nullptr;

static std::atomic<uint64_t> next_sequence{0};
static thread_local Node* current_node = nullptr;
static thread_local NodeRun node_run;
static thread_local bool saved_for_next = false;  // a tensor was saved for the node about to be connected

Node::Node() : sequence(next_sequence.fetch_add(1, std::memory_order_relaxed)) {}
Node::~Node() = default;

void Node::destroy() {
  // Nodes that die because this one does wait in a list instead of on the stack.
  static thread_local std::vector<Node*>* dying = nullptr;
  if (dying) { dying->push_back(this); return; }
  std::vector<Node*> list{this};
  dying = &list;
  while (!list.empty()) {
    Node* n = list.back();
    list.pop_back();
    delete n;
  }
  dying = nullptr;
}

std::string Node::title() const {
  const std::string_view spelled = name;
  std::string shown;
  bool upper = true;
  for (char c : spelled) {
    if (c != '_') shown += upper ? char(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = c == '_';
  }
  if (!spelled.empty() && std::islower(static_cast<unsigned char>(spelled[0]))) shown += "Backward";
  return shown.ends_with("Backward") ? shown + "0" : shown;
}

CurrentNode::CurrentNode(Node* n) : before(std::exchange(current_node, n)) {}
CurrentNode::~CurrentNode() { current_node = before; }

bool wanted(size_t input) { return node_run.wanted >> std::min<size_t>(input, 63) & 1; }
bool last_run() { return node_run.last; }
NodeRunGuard::NodeRunGuard(NodeRun run) : before_(std::exchange(node_run, run)) {}
NodeRunGuard::~NodeRunGuard() { node_run = before_; }

void fail_released(const char* name) {
  fail(name, ": expected a graph whose saved tensors are alive, got one that backward has freed; pass retain_graph=True "
             "to go backward through the graph a second time");
}

// ---- histories ------------------------------------------------------------------------------------------------------

History& ensure_history(const Tensor& t) {
  if (!t.impl()->autograd) t.impl()->autograd = std::make_unique<History>();
  return *history(t);
}

static Tensor base_of(const Tensor& t) { return Tensor(t.impl()->base); }

// A view whose base was written through another view since has outdated history.
static bool outdated(const Tensor& t) {
  if (!t.impl()->base) return false;
  const History* base = history(base_of(t));
  return base && base->write_epoch != (history(t) ? history(t)->view_epoch : 0);
}

bool requires_grad(const Tensor& t) {
  const History* h = history(t);
  if (h && (h->requires_grad || h->grad_fn)) return true;
  return outdated(t) && requires_grad(base_of(t));
}

void set_requires_grad(const Tensor& t, bool on) {
  if (on && !is_floating(t.dtype())) fail("requires_grad_: expected a floating point tensor, got ", t);
  if (on && t.impl()->inference && !mode.inference)
    fail("requires_grad_: expected a tensor made outside inference_mode, got ", t, " made inside it");
  if (!is_leaf(t)) {
    if (!on) fail("requires_grad_: expected a leaf tensor (use detach() for others), got one made by ", grad_fn(t)->name);
    return;
  }
  if (on || history(t)) ensure_history(t).requires_grad = on;
}

bool is_leaf(const Tensor& t) { return !grad_fn(t); }

static void regenerate(const Tensor& view);

Ref<Node> grad_fn(const Tensor& t) {
  if (t.impl()->base && outdated(t)) regenerate(t);
  const History* h = history(t);
  return h ? h->grad_fn : Ref<Node>();
}

Edge gradient_edge(const Tensor& t) {
  if (!t.defined()) return {};
  if (Ref<Node> fn = grad_fn(t)) return {std::move(fn), history(t)->output};
  History* h = history(t);
  if (!h || !h->requires_grad) return {};
  Ref<AccumulateGrad> node = lock(h->accumulator.load());
  if (!node) {
    node = Ref<AccumulateGrad>(new AccumulateGrad(t));
    h->accumulator = node.get();
  }
  return {node, 0};
}

// Makes `node` the grad_fn. A retained gradient is from then on the one that arrives there.
static void lead(History& h, const Ref<Node>& node, uint32_t output) {
  if (h.retained) {
    if (h.grad_fn && h.grad_fn->extras)
      std::erase_if(h.grad_fn->extras->retaining, [&](const auto& r) { return r.second.lock() == h.retained; });
    node->more().retaining.emplace_back(output, h.retained);
  }
  h.grad_fn = node;
  h.output = output;
}

void retain_grad(const Tensor& t) {
  const Ref<Node> node = grad_fn(t);
  if (!node || history(t)->retained) return;
  History& h = *history(t);
  h.retained = std::make_shared<TensorImpl*>(t.impl());
  node->more().retaining.emplace_back(h.output, h.retained);
}

bool needed(std::span<const Tensor> inputs) {
  if (!mode.grad) return false;
  for (const Tensor& t : inputs)
    if (needed(t)) return true;
  return false;
}

void connect(Node& node, const char* name, std::span<const Tensor> inputs) {
  node.name = name;
  node.saves = std::exchange(saved_for_next, false);
  for (const Tensor& t : inputs) node.edges.push_back(gradient_edge(t));
  if (mode.anomaly && forward_trace) node.more().forward_trace = forward_trace();
}

void set_history(const Tensor& output, const Ref<Node>& node, uint32_t index) {
  if (node->outputs.size() <= index) node->outputs.resize(index + 1);
  if (!output.defined()) return;
  node->outputs[index] = {Dims(output.sizes()), output.dtype()};
  if (!is_floating(output.dtype())) return;
  lead(ensure_history(output), node, index);
}

Tensor flat(const Tensor& grad, size_t input) {
  if (!mode.grad || !current_node || !current_node->edges[input].node) return grad;
  const Edge& to = current_node->edges[input];
  const Node::Output like = to.node->outputs[to.input];
  auto backward = [like](const Tensor& g) { return Tensors{g, arithmetic.zeros(like.sizes, like.dtype)}; };
  Ref<Node> node(new FunctionNode<decltype(backward)>(std::move(backward)));
  connect(*node, "FlatBackward", std::span(&grad, 1));
  node->edges.push_back(to);
  const Tensor result = grad.alias();
  set_history(result, node);
  return result;
}

// ---- leaves ---------------------------------------------------------------------------------------------------------

AccumulateGrad::AccumulateGrad(const Tensor& v) : variable(v) {
  name = "AccumulateGrad";
  sequence = UINT64_MAX;  // as soon as possible: frees the gradient early
  outputs.push_back({Dims(v.sizes()), v.dtype()});
  for (auto& hook : history(v)->hooks) more().tensor_hooks.emplace_back(0, hook);
}

AccumulateGrad::~AccumulateGrad() {
  if (History* h = history(variable)) {
    AccumulateGrad* self = this;
    h->accumulator.compare_exchange_strong(self, nullptr);
  }
}

Tensors AccumulateGrad::apply(const Tensors& grads) {
  const Tensor& g = grads[0];
  if (!g.defined()) return {};
  History& h = *history(variable);
  if (!h.grad.defined()) {
    // A gradient that nobody else holds, and that later ones can be added to, becomes the grad itself; else a copy does.
    const bool ours = g.ref().use_count() == 1 && g.storage().use_count() == 1 && !g.storage()->read_only && !g.may_self_overlap() &&
                      same(g.strides(), variable.strides());
    if (mode.grad) h.grad = arithmetic.clone(g);
    else h.grad = ours ? g : arithmetic.clone(g);
  } else if (mode.grad || (h.grad.is_sparse() && !g.is_sparse())) {  // a dense gradient does not fit sparse rows
    h.grad = arithmetic.add(h.grad, g);
  } else {
    arithmetic.add_inplace(h.grad, g);
  }
  for (auto& hook : std::vector(h.post_accumulate)) hook->call(variable);
  return {};
}

// ---- saved tensors --------------------------------------------------------------------------------------------------

Saved::Saved(const Tensor& input) : tensor_(input) {
  if (!input.defined()) return;
  if (input.impl()->inference) fail("save: expected tensors made outside inference_mode in a recorded operation, got ", input);
  version_ = input.version();
  saved_for_next = true;
}

Saved Saved::output(const Tensor& output, uint32_t index) {
  Saved s;
  s.tensor_ = output.alias();
  s.version_ = output.version();
  s.output_ = int32_t(index);
  saved_for_next = true;
  return s;
}

Tensor Saved::get() const {
  if (!tensor_.defined()) return tensor_;
  if (tensor_.version() != version_)
    fail("backward: expected the tensors that ", current_node ? current_node->name : "the operation",
         " saved to be unmodified, got ", tensor_, ", modified by an in-place operation (version ", tensor_.version(),
         ", saved at version ", version_, ")");
  if (output_ < 0 || !mode.grad || !current_node) return tensor_;
  Tensor t = tensor_.alias();
  History& h = ensure_history(t);
  h.grad_fn = Ref<Node>(current_node);
  h.output = uint32_t(output_);
  return t;
}

// ---- in-place writes ------------------------------------------------------------------------------------------------

void check_inplace(const char* op, const Tensor& self) {
  check_writable(op, self);
  if (self.impl()->inference && !mode.inference && mode.grad)
    fail(op, ": expected a tensor made outside inference_mode, got ", self, " made inside it");
  if (!mode.grad) return;
  if (self.impl()->sibling && requires_grad(self))
    fail(op, ": expected a tensor that may be written in place, got one of several views that one call made; clone() it first");
  const History* h = history(self);
  if (h && h->requires_grad && !h->grad_fn)
    fail(op, ": expected a tensor that may be written in place, got a leaf that requires grad (use no_grad)");
  if (self.impl()->base) {
    const History* b = history(base_of(self));
    if (b && b->requires_grad && !b->grad_fn)
      fail(op, ": expected a tensor that may be written in place, got a view of a leaf that requires grad (use no_grad)");
  }
}

void set_base(const Tensor& view, const Tensor& of) {
  const Ref<TensorImpl>& root = of.impl()->base;
  view.impl()->base = root ? root : of.ref();
  if (const History* h = history(base_of(view)); h && h->write_epoch) ensure_history(view).view_epoch = h->write_epoch;
}

namespace {

// The strided window that a view is of its base.
struct Window {
  Dims sizes, strides;
  int64_t offset;
  explicit Window(const Tensor& t) : sizes(t.sizes()), strides(t.strides()), offset(t.offset()) {}
};

Tensor window_of(const Tensor& t, const Window& w, int64_t origin) {
  return arithmetic.as_strided(t, w.sizes, w.strides, w.offset - origin);
}

// Gradient laid out as `base` lies in memory, so that windows of it can be taken.
Tensor laid_out(const Tensor& grad, const Window& base) {
  Tensor out = Tensor::empty_strided(base.sizes, base.strides, grad.dtype());
  arithmetic.copy_inplace(out, grad);
  return out;
}

// History of a base after `inner` wrote a window of it: outside the window the gradient passes through unchanged.
struct CopySlices final : Node {
  Window base, view;
  Ref<Node> inner;
  CopySlices(const Tensor& b, const Tensor& v, Ref<Node> fn) : base(b), view(v), inner(std::move(fn)) {
    name = "CopySlices";
    edges.push_back(gradient_edge(b));
    for (size_t i = 1; i < inner->edges.size(); ++i) edges.push_back(inner->edges[i]);
  }
  Tensors apply(const Tensors& grads) override {
    if (!inner) fail_released(name);
    if (!grads[0].defined()) return Tensors(edges.size(), Tensor());
    const Tensor result = laid_out(grads[0], base);
    const Tensor window = window_of(result, view, base.offset);
    Tensors inner_grads = inner->apply(Tensors{arithmetic.clone(window)});
    if (inner_grads[0].defined()) arithmetic.copy_inplace(window, inner_grads[0]);
    else arithmetic.copy_inplace(window, arithmetic.zeros(view.sizes, result.dtype()));
    inner_grads[0] = result;
    return inner_grads;
  }
  // Under create_graph the inner node may have a place of its own in the graph, as what made its output: it then runs,
  // and is released, there.
  void release() override {
    if (inner && inner.use_count() == 1) inner->release();
    inner = {};
  }
};

}  // namespace

static void regenerate(const Tensor& view) {
  const Tensor base = base_of(view);
  History& h = ensure_history(view);
  h.view_epoch = history(base)->write_epoch;
  if (!requires_grad(base)) return;
  GradGuard on(true);
  if (view.may_self_overlap()) {  // an expanded view: gradients of elements shown twice add up
    const Tensor again = arithmetic.as_strided(base, view.sizes(), view.strides(), view.offset());
    lead(h, history(again)->grad_fn, history(again)->output);
    return;
  }
  const Window from(base), window(view);
  const Tensor inputs[] = {base};
  Ref<Node> node;
  auto backward = [from, window](const Tensor& g) -> Tensor {
    const Tensor zeros = Tensor::empty_strided(from.sizes, from.strides, g.dtype());
    arithmetic.copy_inplace(zeros, arithmetic.zeros(from.sizes, g.dtype()));
    arithmetic.copy_inplace(window_of(zeros, window, from.offset), g);
    return zeros;
  };
  node = Ref<Node>(new FunctionNode<decltype(backward)>(std::move(backward)));
  connect(*node, "AsStrided", inputs);
  set_history(view, node);
}

void rebase(const Tensor& self, Ref<Node> node) {
  if (!is_floating(self.dtype())) return;  // what was written there has lost its history
  if (!self.impl()->base) {
    set_history(self, node);
    ensure_history(self).requires_grad = false;
    ++history(self)->write_epoch;
    return;
  }
  if (self.may_self_overlap())
    fail("in-place: expected a view whose elements do not share memory, got ", self, " with strides ", show(self.strides()));
  const Tensor base = base_of(self);
  node->outputs.push_back({Dims(self.sizes()), self.dtype()});
  Ref<Node> copy(new CopySlices(base, self, std::move(node)));
  set_history(base, copy);
  ++history(base)->write_epoch;
  regenerate(self);
}

}  // namespace pydl::autograd
