// Reverse accumulation over the graph, latest node first, without recursion.
#include <algorithm>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "autograd/node.h"

namespace pydl::autograd {

namespace {

struct Task {
  Tensors grads;          // arriving at the node's outputs
  int dependencies = 0;   // edges into the node that have not delivered yet
  bool needed = true;     // on a path to a requested input
};

// A requested gradient: what arrives at an edge.
struct Capture {
  Edge edge;
  Tensor grad;
  bool reached = false;
};

struct Later {
  bool operator()(const Ref<Node>& a, const Ref<Node>& b) const { return a->sequence < b->sequence; }
};

class Run {
 public:
  // With `captures`, gradients flow only to those: as results, or (`accumulate`) into grad as without them.
  Run(BackwardOptions options, std::vector<Capture>* captures, bool accumulate)
      : options_(options), captures_(captures), accumulate_(accumulate) {
    if (captures_)
      for (Capture& c : *captures_)
        if (c.edge.node) captured_.insert(c.edge.node.get());
  }

  void execute(std::span<const Edge> roots, std::span<const Tensor> seeds) {
    count_dependencies(roots);
    for (size_t i = 0; i < roots.size(); ++i)
      if (roots[i].node) deliver(roots[i], seeds[i]);
    for (const Edge& r : roots)
      if (r.node && tasks_[r.node.get()].dependencies == 0 && queued_.insert(r.node.get()).second) ready_.push(r.node);
    while (!ready_.empty()) {
      Ref<Node> node = ready_.top();
      ready_.pop();
      step(*node);
    }
  }

 private:
  void count_dependencies(std::span<const Edge> roots) {
    std::vector<Node*> stack, order;
    for (const Edge& r : roots)
      if (r.node && tasks_.try_emplace(r.node.get()).second) stack.push_back(r.node.get());
    while (!stack.empty()) {
      Node* n = stack.back();
      stack.pop_back();
      order.push_back(n);
      for (const Edge& e : n->edges) {
        if (!e.node) continue;
        auto [it, fresh] = tasks_.try_emplace(e.node.get());
        ++it->second.dependencies;
        if (fresh) stack.push_back(e.node.get());
      }
    }
    if (!captures_) return;
    // Only nodes with a path to a requested input run. Creation order is a topological order.
    std::sort(order.begin(), order.end(), [](Node* a, Node* b) { return rank(a) < rank(b); });
    for (Node* n : order) {
      bool on_path = captured_.count(n) != 0;
      for (const Edge& e : n->edges) on_path |= e.node && tasks_[e.node.get()].needed;
      tasks_[n].needed = on_path;
    }
  }
  // Accumulators carry the largest sequence but have no edges: they come first here.
  static uint64_t rank(const Node* n) { return n->sequence == UINT64_MAX ? 0 : n->sequence + 1; }

  void deliver(const Edge& edge, const Tensor& grad) {
    Task& task = tasks_[edge.node.get()];
    if (task.grads.size() <= edge.input) task.grads.resize(std::max<size_t>(edge.input + 1, edge.node->outputs.size()));
    if (!grad.defined()) return;
    Tensor& slot = task.grads[edge.input];
    slot = slot.defined() ? arithmetic.add(slot, grad) : grad;
  }

  void step(Node& node) {
    Task task = std::move(tasks_[&node]);
    run_tensor_hooks(node, task.grads);
    if (captures_ && !accumulate_ && captured_.count(&node))
      for (Capture& c : *captures_)
        if (c.edge.node.get() == &node) {
          c.grad = task.grads.size() > c.edge.input ? task.grads[c.edge.input] : Tensor();
          c.reached = true;
        }
    const uint64_t wanted = captures_ ? inputs_on_path(node) : ~uint64_t(0);
    const bool capture_only = captures_ && wanted == 0 && !(accumulate_ && node.sequence == UINT64_MAX);
    Tensors results(node.edges.size(), Tensor());
    if (!capture_only) {
      const NodeRunGuard guard({wanted, !options_.retain_graph});
      results = apply(node, task.grads);
    }
    task.grads.clear();
    for (size_t i = 0; i < node.edges.size(); ++i) {
      const Edge& e = node.edges[i];
      if (!e.node) continue;
      if (i < results.size()) {
        validate(node, e, results[i]);
        deliver(e, results[i]);
        results[i] = Tensor();
      }
      if (--tasks_[e.node.get()].dependencies == 0 && tasks_[e.node.get()].needed && queued_.insert(e.node.get()).second)
        ready_.push(e.node);
    }
    if (!options_.retain_graph && !capture_only) node.release();
  }

  // Inputs beyond the last bit share it.
  uint64_t inputs_on_path(const Node& node) {
    uint64_t found = 0;
    for (size_t i = 0; i < node.edges.size(); ++i)
      if (const Edge& e = node.edges[i]; e.node && tasks_[e.node.get()].needed)
        found |= uint64_t(1) << std::min<size_t>(i, 63);
    return found;
  }

  static void run_tensor_hooks(Node& node, Tensors& grads) {
    if (!node.extras) return;
    for (auto& [output, hook] : std::vector(node.extras->tensor_hooks))
      if (output < grads.size() && grads[output].defined())
        if (Tensor replaced = hook->call(grads[output]); replaced.defined()) {
          if (!same(replaced.sizes(), grads[output].sizes()) || replaced.dtype() != grads[output].dtype())
            fail("hook: expected a gradient like the one that came, ", grads[output], ", got ", replaced);
          grads[output] = replaced;
        }
    for (auto& [output, watched] : std::vector(node.extras->retaining)) {
      if (output >= grads.size() || !grads[output].defined()) continue;
      const auto impl = watched.lock();
      const Tensor t(impl ? lock(*impl) : Ref<TensorImpl>());
      if (!t.defined()) continue;
      Tensor& grad = history(t)->grad;
      grad = grad.defined() ? arithmetic.add(grad, grads[output]) : arithmetic.clone(grads[output]);
    }
  }

  Tensors apply(Node& node, Tensors& grads) {
    grads.resize(std::max<size_t>(node.outputs.size(), 1));
    try {
      const auto hooks = node.extras ? node.extras->node_hooks : std::vector<std::shared_ptr<NodeHook>>();
      for (auto& h : hooks) h->pre(grads);
      Tensors results = node.apply(grads);
      for (auto& h : hooks) h->post(results, grads);
      if (mode.anomaly && mode.anomaly_check_nan)
        for (size_t i = 0; i < results.size(); ++i)
          if (results[i].defined() && is_floating(results[i].dtype()) && arithmetic.any_nan(results[i]))
            fail(node.title(), ": expected finite gradients, got nan in output ", i, " of its backward");
      return results;
    } catch (const Error& e) {
      if (mode.anomaly && node.extras && !node.extras->forward_trace.empty())
        fail(e.what(), "\nThe forward call that made this node:\n", node.extras->forward_trace);
      throw;
    }
  }

  // A gradient has the shape and dtype of what it is the gradient of; broadcasting and promotion are undone here.
  static void validate(const Node& from, const Edge& to, Tensor& grad) {
    if (!grad.defined() || to.node->outputs.size() <= to.input) return;
    const Node::Output& meta = to.node->outputs[to.input];
    if (!same(grad.sizes(), meta.sizes)) {
      if (grad.dim() < int64_t(meta.sizes.size()))
        fail<ShapeError>(from.name, ": expected a gradient of shape ", show(meta.sizes), ", got ", grad);
      grad = arithmetic.sum_to(grad, meta.sizes);
    }
    if (grad.dtype() != meta.dtype) grad = arithmetic.cast(grad, meta.dtype);
  }

  BackwardOptions options_;
  std::vector<Capture>* captures_;
  const bool accumulate_;
  std::unordered_set<Node*> captured_;
  std::unordered_map<Node*, Task> tasks_;
  std::unordered_set<Node*> queued_;
  std::priority_queue<Ref<Node>, std::vector<Ref<Node>>, Later> ready_;
};

void run(std::span<const Tensor> roots, std::span<const Tensor> grads, BackwardOptions options, std::vector<Capture>* captures,
         bool accumulate) {
  std::vector<Edge> edges;
  std::vector<Tensor> seeds;
  for (size_t i = 0; i < roots.size(); ++i) {
    const Tensor& root = roots[i];
    Edge edge = gradient_edge(root);
    if (!edge.node) fail("backward: expected a tensor that requires grad, got ", root, " without a grad_fn");
    Tensor seed = i < grads.size() ? grads[i] : Tensor();
    if (!seed.defined()) {
      if (root.numel() != 1) fail("backward: expected a scalar output or an explicit gradient, got an output of shape ", show(root.sizes()));
      seed = arithmetic.ones_like(root);
    } else if (!same(seed.sizes(), root.sizes())) {
      fail<ShapeError>("backward: expected a gradient of shape ", show(root.sizes()), ", got ", seed);
    }
    edges.push_back(std::move(edge));
    seeds.push_back(std::move(seed));
  }
  GradGuard guard(options.create_graph);
  Run(options, captures, accumulate).execute(edges, seeds);
}

}  // namespace

void backward(std::span<const Tensor> roots, std::span<const Tensor> grads, BackwardOptions options, std::span<const Tensor> inputs) {
  if (inputs.empty()) return run(roots, grads, options, nullptr, true);
  std::vector<Capture> captures;
  for (const Tensor& t : inputs) {
    Edge edge = gradient_edge(t);
    if (!edge.node) fail("backward: expected inputs that require grad, got ", t);
    retain_grad(t);
    captures.push_back({std::move(edge), {}, false});
  }
  run(roots, grads, options, &captures, true);
}

Tensors gradients(std::span<const Tensor> roots, std::span<const Tensor> grads, std::span<const Tensor> inputs,
                  BackwardOptions options, bool allow_unused) {
  std::vector<Capture> captures;
  for (const Tensor& t : inputs) {
    Edge edge = gradient_edge(t);
    if (!edge.node) fail("grad: expected inputs that require grad, got ", t);
    captures.push_back({std::move(edge), {}, false});
  }
  run(roots, grads, options, &captures, false);
  Tensors results;
  for (size_t i = 0; i < captures.size(); ++i) {
    if (!captures[i].grad.defined() && !allow_unused)
      fail("grad: expected every input to take part in the graph (or allow_unused=True), got input ", i, ", which does not");
    results.push_back(captures[i].grad);
  }
  return results;
}

}  // namespace pydl::autograd
