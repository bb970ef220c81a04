// DLPack (https://dmlc.github.io/dlpack): tensors handed between libraries without a copy. The versioned exchange when
// the consumer speaks it, which carries READ_ONLY; else the legacy one.
#include "autograd/node.h"

#include <pybind11/pybind11.h>

#include "bindings/interop.h"
#include "ops/copy.h"
#include "ops/view.h"

namespace pydl::python {

namespace {

// ---- the ABI, as dlpack.h of version 1.x lays it out
// ------------------------------------------------------------------

struct DLDevice {
  int32_t type;  // 1: CPU
  int32_t id;
};
struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  static constexpr const char* kName = "dltensor";
  static constexpr const char* kUsed = "used_dltensor";
  DLTensor tensor;
  void* context;
  void (*deleter)(DLManagedTensor*);
};
struct DLManagedTensorVersioned {
  static constexpr const char* kName = "dltensor_versioned";
  static constexpr const char* kUsed = "used_dltensor_versioned";
  uint32_t major, minor;
  void* context;
  void (*deleter)(DLManagedTensorVersioned*);
  uint64_t flags;
  DLTensor tensor;
};
constexpr uint64_t kReadOnly = 1, kCopied = 2;
constexpr int32_t kCpu = 1;
enum Code : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kBool = 6 };

DLDataType to_dl(DType t) {
  const uint8_t code = t == DType::Bool       ? kBool
                       : t == DType::UInt8    ? kUInt
                       : t == DType::BFloat16 ? kBfloat
                       : is_floating(t)       ? kFloat
                                              : kInt;
  return {code, uint8_t(8 * item_size(t)), 1};
}

DType from_dl(DLDataType d) {
  if (d.lanes == 1)
    for (int i = 0; i < kDTypeCount; ++i) {
      const DLDataType e = to_dl(DType(i));
      if (e.code == d.code && e.bits == d.bits) return DType(i);
    }
  fail<TypeError>("from_dlpack: expected a dtype that tensors have, got code ", int(d.code), " with ", int(d.bits),
                  " bits and ", d.lanes, " lanes");
}

// ---- export ---------------------------------------------------------------------------------------------------------

// The managed tensor and what it points at, in one block.
template <class Managed>
struct Exported {
  Managed managed{};
  Tensor tensor;
  Dims shape, strides;

  explicit Exported(const Tensor& t) : tensor(t), shape(t.sizes()), strides(t.strides()) {
    managed.tensor = {t.raw(), {kCpu, 0}, int32_t(t.dim()), to_dl(t.dtype()), shape.data(), strides.data(), 0};
    managed.context = this;
    managed.deleter = [](Managed* m) { delete static_cast<Exported*>(m->context); };
  }
};

// A capsule that nobody consumed frees its tensor.
template <class Managed>
void destroy_capsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, Managed::kName)) return;
  auto* m = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::kName));
  m->deleter(m);
}

template <class Managed>
PyObject* make_capsule(Exported<Managed>* e) {
  PyObject* capsule = PyCapsule_New(&e->managed, Managed::kName, destroy_capsule<Managed>);
  if (!capsule) delete e;
  return checked(capsule);
}

[[noreturn]] void fail_buffer(const char* message) {
  PyErr_SetString(PyExc_BufferError, message);
  throw py::error_already_set();
}

// ---- import ---------------------------------------------------------------------------------------------------------

template <class Managed>
Tensor consume(PyObject* capsule) {
  auto* m = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::kName));
  if (!m) throw py::error_already_set();
  bool read_only = false;
  if constexpr (std::is_same_v<Managed, DLManagedTensorVersioned>) {
    if (m->major > 1) fail_buffer("from_dlpack: expected DLPack version 1, got a later one");
    read_only = m->flags & kReadOnly;
  }
  const DLTensor& d = m->tensor;
  if (d.device.type != kCpu) fail_buffer("from_dlpack: expected memory of the CPU, got another device's");
  const DType dtype = from_dl(d.dtype);
  const Dims sizes(IntSpan(d.shape, size_t(d.ndim)));
  const Dims strides = d.strides ? Dims(IntSpan(d.strides, size_t(d.ndim))) : contiguous_strides(sizes);
  int64_t last = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (strides[i] < 0) fail_buffer("from_dlpack: expected non-negative strides, got a negative one");
    last += (sizes[i] - 1) * strides[i];
  }
  const size_t nbytes = element_count(sizes) ? size_t((last + 1) * item_size(dtype)) : 0;
  auto release = [](void* context) {
    auto* managed = static_cast<Managed*>(context);
    if (managed->deleter) managed->deleter(managed);
  };
  Ref<Storage> storage = Storage::import(static_cast<char*>(d.data) + d.byte_offset, nbytes, release, m);
  storage->read_only = read_only;
  checked(PyCapsule_SetName(capsule, Managed::kUsed));
  return Tensor::over(std::move(storage), sizes, strides, 0, dtype);
}

}  // namespace

PyObject* method_dlpack(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static const char* names[] = {"stream", "max_version", "dl_device", "copy", nullptr};
    PyObject *stream = Py_None, *max_version = Py_None, *device = Py_None, *copy = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOO:__dlpack__", const_cast<char**>(names), &stream,
                                     &max_version, &device, &copy))
      throw py::error_already_set();
    if (stream != Py_None) fail_buffer("__dlpack__: expected stream=None on the CPU, got a stream");
    Tensor t = unwrap(self);
    if (autograd::requires_grad(t))
      fail_buffer("__dlpack__: Can't export tensors that require gradient, use tensor.detach()");
    if (device != Py_None && py::cast<std::pair<int, int>>(borrow(device)).first != kCpu)
      fail_buffer("__dlpack__: expected the CPU as dl_device, got another device");
    if (copy == Py_True) t = clone(t);
    t.storage()->shared = true;
    const bool versioned = max_version != Py_None && borrow(max_version)[py::int_(0)].cast<int>() >= 1;
    if (!versioned) {
      if (t.storage()->read_only)
        fail_buffer(
            "__dlpack__: expected memory that may be written (or max_version >= (1, 0)), got a read-only tensor");
      return make_capsule(new Exported<DLManagedTensor>(t));
    }
    auto* e = new Exported<DLManagedTensorVersioned>(t);
    e->managed.major = 1;
    e->managed.flags = (t.storage()->read_only ? kReadOnly : 0) | (copy == Py_True ? kCopied : 0);
    return make_capsule(e);
  });
}

PyObject* method_dlpack_device(PyObject*, PyObject*) { return Py_BuildValue("ii", int(kCpu), 0); }

Tensor from_dlpack(PyObject* source) {
  py::object capsule = borrow(source);
  if (!PyCapsule_CheckExact(source)) {
    if (!py::hasattr(source, "__dlpack__"))
      fail<TypeError>("from_dlpack: expected an object with __dlpack__, got ", Py_TYPE(source)->tp_name);
    const py::object exporter = capsule.attr("__dlpack__");
    try {
      capsule = exporter(py::arg("max_version") = py::make_tuple(1, 0));
    } catch (py::error_already_set& e) {
      if (!e.matches(PyExc_TypeError)) throw;
      capsule = exporter();  // from before versions
    }
  }
  return PyCapsule_IsValid(capsule.ptr(), DLManagedTensorVersioned::kName)
             ? consume<DLManagedTensorVersioned>(capsule.ptr())
             : consume<DLManagedTensor>(capsule.ptr());
}

}  // namespace pydl::python
