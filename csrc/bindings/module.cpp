// pydl._core: what the module holds, put together from the other files here.
#include <dlfcn.h>
#include <pybind11/pybind11.h>

#include "autograd/node.h"
#include "base/allocator.h"
#include "base/arch.h"
#include "base/parallel.h"
#include "bindings/callable.h"
#include "bindings/graph.h"
#include "bindings/interop.h"
#include "bindings/parse.h"
#include "bindings/types.h"
#include "ops/conv_winograd.h"
#include "ops/promote.h"
#include "ops/roofline.h"

namespace pydl::python {

void add_attributes(py::module_& m);

namespace {

// Parallel regions run without the GIL, when the thread that starts them holds it.
void* release_gil() { return PyGILState_Check() ? PyEval_SaveThread() : nullptr; }
void retake_gil(void* state) {
  if (!state) return;
  try {
    PyEval_RestoreThread(static_cast<PyThreadState*>(state));
  } catch (abi::__forced_unwind&) { sleep_until_exit(); }
}

const char* compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

// The file of the OpenMP library that this process runs.
std::string openmp_runtime() {
  Dl_info info;
  void* symbol = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
  if (!symbol || !dladdr(symbol, &info) || !info.dli_fname) return "unknown";
  const std::string path = info.dli_fname;
  return path.substr(path.rfind('/') + 1);
}

py::dict build_info() {
  py::list compiled, runnable;
  for (int i = 0; i < kIsaCount; ++i) {
    compiled.append(std::string(name_of(Isa(i))));
    if (Isa(i) <= detected_isa()) runnable.append(std::string(name_of(Isa(i))));
  }
  py::dict info;
  info["isa"] = std::string(name_of(active_isa()));
  info["best_isa"] = std::string(name_of(detected_isa()));
  info["isas"] = compiled;
  info["runnable_isas"] = runnable;
  info["cpu"] = cpu_name();
  info["threads"] = num_threads();
  info["openmp"] = openmp_runtime();
  info["compiler"] = compiler();
  info["caches"] = py::make_tuple(cache_sizes().l1, cache_sizes().l2, cache_sizes().l3);
  info["cpus"] = available_cpus();
  info["memory"] = available_memory();
  return info;
}

const char* type_name(ArgType t) {
  static const char* const names[] = {"Tensor", "Tensor[]", "Operand",    "Scalar",       "int",       "float", "bool",
                                      "int[]",  "str",      "ScalarType", "MemoryFormat", "Generator", "Device"};
  return names[int(t)];
}

py::object default_of(const Argument& a) {
  if (auto* s = std::get_if<Scalar>(&a.value)) return take(wrap(*s));
  if (auto* d = std::get_if<Dims>(&a.value)) return py::tuple(py::list(take(wrap_size(*d))));
  if (auto* s = std::get_if<std::string>(&a.value)) return py::str(*s);
  return py::none();
}

// The registry as data, for the stub generator, the tests and the documentation.
py::list describe_operators() {
  py::list all;
  for (const Operator* op : operators()) {
    py::list parameters, returns;
    for (const Parameter& p : op->schema.parameters) {
      py::dict d(py::arg("name") = p.name, py::arg("type") = type_name(p.type), py::arg("optional") = p.optional,
                 py::arg("keyword_only") = p.keyword_only, py::arg("has_default") = p.has_default);
      if (p.has_default) d["default"] = default_of(p.default_value);
      parameters.append(d);
    }
    for (const auto& name : op->schema.returns) returns.append(name);
    auto has = [&](int flag) { return (op->variants & flag) != 0; };
    all.append(py::dict(py::arg("name") = op->schema.name, py::arg("schema") = op->schema.text,
                        py::arg("doc") = op->doc, py::arg("parameters") = parameters, py::arg("returns") = returns,
                        py::arg("returns_list") = op->schema.returns_list, py::arg("differentiable") = !has(kNoGrad),
                        py::arg("synchronizes") = has(kSynchronizes), py::arg("function") = has(kFunction),
                        py::arg("method") = has(kMethod), py::arg("inplace") = has(kInplace),
                        py::arg("out") = has(kOut), py::arg("nn") = has(kNN)));
  }
  return all;
}

Operand to_operand(const py::object& o, Tensor& holder) {
  Scalar s;
  if (to_scalar(o.ptr(), s)) return s;
  if (const Tensor* t = to_operand_tensor(o.ptr(), holder)) return *t;
  fail<TypeError>("result_type: expected a Tensor or a number, got ", Py_TYPE(o.ptr())->tp_name);
}

DType required_dtype(const py::object& o, const char* what) {
  const auto t = dtype_or_none(o.ptr(), what);
  if (!t) fail<TypeError>(what, ": expected a pydl.dtype, got None");
  return *t;
}

void add_dtype_functions(py::module_& m) {
  m.def(
      "get_default_dtype", [] { return take(wrap(default_dtype())); },
      "The dtype of floating point tensors made without one.");
  m.def(
      "set_default_dtype",
      [](const py::object& d) {
        const DType t = required_dtype(d, "set_default_dtype");
        if (!is_floating(t)) fail<TypeError>("set_default_dtype: expected a floating point dtype, got ", t);
        set_default_dtype(t);
      },
      py::arg("d"), "Sets the dtype of floating point tensors made without one.");
  m.def(
      "promote_types",
      [](const py::object& a, const py::object& b) {
        return take(wrap(promote(required_dtype(a, "promote_types"), required_dtype(b, "promote_types"))));
      },
      py::arg("type1"), py::arg("type2"), "The smallest dtype that holds both.");
  m.def(
      "result_type",
      [](const py::object& a, const py::object& b) {
        Tensor held_a, held_b;
        return take(wrap(result_type({to_operand(a, held_a), to_operand(b, held_b)})));
      },
      py::arg("tensor1"), py::arg("tensor2"), "The dtype of an arithmetic operation on the two.");
  m.def(
      "can_cast",
      [](const py::object& from, const py::object& to) {
        return can_cast(required_dtype(from, "can_cast"), required_dtype(to, "can_cast"));
      },
      py::arg("from_"), py::arg("to"), "May results of one dtype be written to the other?");
  m.def(
      "broadcast_shapes",
      [](const py::args& shapes) {
        Dims result, shape;
        for (const auto& s : shapes) {
          int64_t n;
          if (to_int(s.ptr(), n))
            shape = {n};
          else if (!to_int_list(s.ptr(), shape))
            fail<TypeError>("broadcast_shapes: expected shapes, got ", Py_TYPE(s.ptr())->tp_name);
          result = pydl::broadcast_shapes("broadcast_shapes", result, shape);
        }
        return take(wrap_size(result));
      },
      "The shape that all the given shapes broadcast to.");
  m.def(
      "is_tensor", [](const py::object& o) { return is_tensor(o.ptr()); }, py::arg("obj"), "Is this a Tensor?");
  m.def(
      "is_floating_point",
      [](const py::object& o) {
        if (!is_tensor(o.ptr()))
          fail<TypeError>("is_floating_point: expected a Tensor, got ", Py_TYPE(o.ptr())->tp_name);
        return is_floating(unwrap(o.ptr()).dtype());
      },
      py::arg("input"), "Is the dtype a floating point one?");
}

void add_runtime(py::module_& m) {
  m.def("set_num_threads", &set_num_threads, py::arg("int"), "Sets the number of threads of parallel regions.");
  m.def("get_num_threads", &num_threads, "The number of threads of parallel regions.");
  m.def("_set_serial_thread", &set_serial_thread, py::arg("on"),
        "Keeps the kernels of the calling thread on it alone; returns what held before.");
  m.def("set_winograd", &set_winograd, py::arg("on"), "Whether convolutions may take Winograd's algorithm.");
  m.def("winograd_enabled", &winograd_enabled, "Whether convolutions may take Winograd's algorithm.");
  m.def("build_info", &build_info, "What runs here: instruction sets, threads, compiler.");
  m.def("operators", &describe_operators, "All registered operators, as dictionaries.");
  py::class_<RooflineLoop>(m, "_RooflineLoop", "A loop on all threads that runs at a limit of the machine.")
      .def_property_readonly("amount", &RooflineLoop::amount, "Flops or bytes of one pass.")
      .def("run", &RooflineLoop::run, py::arg("passes"), "Seconds that so many passes take.");
  m.def(
      "_fma_loop", [](const py::object& dtype) { return fma_loop(required_dtype(dtype, "fma_loop")); },
      py::arg("dtype"), "Multiply-adds in registers.");
  m.def(
      "_stream_loop",
      [](int64_t bytes, const std::string& stream, bool past_cache) {
        const Stream s = stream == "read" ? Stream::Read : stream == "copy" ? Stream::Copy : Stream::Add;
        if (s == Stream::Add && stream != "add")
          fail<ValueError>("stream_loop: expected 'read', 'copy' or 'add', got '", stream, "'");
        return stream_loop(bytes, s, past_cache);
      },
      py::arg("bytes"), py::arg("stream"), py::arg("past_cache") = false,
      "Reads, copies or additions over that much memory; past_cache writes around the caches.");
  m.def("empty_cache", &empty_cache, "Returns cached memory to the operating system.");
  m.def("set_cache_limit", &set_cache_limit, py::arg("bytes"), "Sets how much freed memory may be kept for reuse.");
  m.def("reset_peak_memory", &reset_peak_memory, "Starts memory_stats()['peak'] anew.");
  m.def(
      "memory_stats",
      [] {
        const MemoryStats s = memory_stats();
        return py::dict(py::arg("allocated") = s.allocated, py::arg("cached") = s.cached, py::arg("peak") = s.peak,
                        py::arg("os_requests") = s.os_requests, py::arg("limit") = s.limit);
      },
      "Bytes allocated, cached and at peak, and requests to the operating system so far.");
}

// What `from pydl._core import *` means: public names but for the modules nn, linalg ..., which the packages of these
// names build on.
py::list public_names(const py::module_& m) {
  py::list names;
  for (const auto& [name, value] : py::dict(m.attr("__dict__")))
    if (text_of(name.ptr())[0] != '_' && !PyModule_Check(value.ptr())) names.append(name);
  return names;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled part of pydl.";
  add_errors(m);
  active_isa();  // an instruction set that PYDL_ISA names in vain is reported here, not at the first kernel
  add_types(m);
  add_tensor_type(m);
  m.attr("Tensor").attr("__array_priority__") = 1000;  // ndarray + Tensor is a Tensor
  add_operators(m);
  add_conversions(m);
  add_interop(m);
  add_attributes(m);
  add_autograd(m);
  add_nodes(m);
  add_grad_modes(m);
  add_functions(m);
  add_random(m);
  add_dtype_functions(m);
  add_runtime(m);
  set_region_hooks({release_gil, retake_gil});
  m.attr("__all__") = public_names(m);
}

}  // namespace pydl::python
