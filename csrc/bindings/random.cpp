// pydl.Generator and the default generator's functions.
#include <cstring>
#include <pybind11/pybind11.h>
#include <random>

#include "base/random.h"
#include "bindings/parse.h"
#include "bindings/types.h"
#include "ops/copy.h"

namespace pydl::python {

namespace {

// The state as 16 bytes, seed then offset: what get_state gives and set_state takes.
py::object state_of(const Generator& g) {
  const PhiloxStream s = g.state();
  const Tensor t = Tensor::empty(Dims{int64_t(sizeof s)}, DType::UInt8);
  std::memcpy(t.raw(), &s, sizeof s);
  return wrapped(t);
}
void set_state(Generator& g, const py::object& state) {
  PhiloxStream s;
  if (!is_tensor(state.ptr())) fail<TypeError>("set_state: expected a Tensor, got ", Py_TYPE(state.ptr())->tp_name);
  const Tensor t = contiguous(unwrap(state.ptr()));
  if (t.dtype() != DType::UInt8 || t.nbytes() != sizeof s)
    fail("set_state: expected the uint8 tensor that get_state gave, got ", t);
  std::memcpy(&s, t.raw(), sizeof s);
  g.set_state(s);
}

uint64_t to_seed(const py::object& seed) {
  const py::object integer = take(PyNumber_Index(seed.ptr()));
  const uint64_t bits = PyLong_AsUnsignedLongLongMask(integer.ptr());
  if (PyErr_Occurred()) throw py::error_already_set();
  return bits;
}

uint64_t reseed(Generator& g) {
  std::random_device device;
  const uint64_t seed = (uint64_t(device()) << 32 | device()) >> 1;  // fits a signed 64-bit integer
  g.manual_seed(seed);
  return seed;
}

}  // namespace

bool to_generator(PyObject* o, Generator*& out) {
  if (!py::isinstance<Generator>(o)) return false;
  out = borrow(o).cast<Generator*>();
  return true;
}

void add_random(py::module_& m) {
  py::class_<Generator>(m, "Generator", py::module_local(),
                        "A source of random numbers: the same bits on every machine for one seed.")
      .def(py::init([](const py::object& device) {
             Device d;
             if (!to_device(device.ptr(), d))
               fail<TypeError>("Generator: expected a device name, got ", Py_TYPE(device.ptr())->tp_name);
             return new Generator(0);
           }),
           py::arg("device") = "cpu")
      .def(
          "manual_seed",
          [](const py::object& self, const py::object& seed) {
            self.cast<Generator&>().manual_seed(to_seed(seed));
            return self;
          },
          py::arg("seed"), "Starts the sequence of this seed and returns the generator.")
      .def("initial_seed", &Generator::seed, "The seed of the current sequence.")
      .def("seed", &reseed, "Starts a sequence with a seed from the operating system and returns the seed.")
      .def("get_state", &state_of, "The seed and the place in its sequence, as a uint8 tensor.")
      .def("set_state", &set_state, py::arg("new_state"), "Goes back to a state that get_state gave.")
      .def(
          "clone_state",
          [](const Generator& g) {
            auto* copy = new Generator(0);
            copy->set_state(g.state());
            return copy;
          },
          "A generator of its own at the same place.");

  m.attr("default_generator") = py::cast(&default_generator(), py::return_value_policy::reference);
  m.def(
      "manual_seed",
      [](const py::object& seed) {
        default_generator().manual_seed(to_seed(seed));
        return py::cast(&default_generator(), py::return_value_policy::reference);
      },
      py::arg("seed"), "Seeds the default generator and returns it.");
  m.def(
      "_set_thread_generator",
      [](Generator* g) { return py::cast(set_thread_generator(g), py::return_value_policy::reference); },
      py::arg("generator").none(true),
      "Draws of this thread that name no generator use this one (None: the default); returns the one before.");
  m.def(
      "seed", [] { return reseed(default_generator()); },
      "Seeds the default generator from the operating system and returns the seed.");
  m.def(
      "initial_seed", [] { return default_generator().seed(); }, "The seed of the default generator.");
  m.def(
      "get_rng_state", [] { return state_of(default_generator()); }, "The state of the default generator.");
  m.def(
      "set_rng_state", [](const py::object& state) { set_state(default_generator(), state); }, py::arg("new_state"),
      "Sets the state of the default generator.");
}

}  // namespace pydl::python
