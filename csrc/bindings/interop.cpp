// The buffer protocol, both ways, and NumPy through it: arrays share memory with tensors, and NumPy's C API is not
// needed.
#include "bindings/interop.h"

#include <pybind11/pybind11.h>

#include "autograd/node.h"
#include "bindings/parse.h"
#include "bindings/types.h"
#include "ops/promote.h"
#include "ops/view.h"

namespace pydl::python {

namespace {

// ---- import ---------------------------------------------------------------------------------------------------------

// The dtype of a buffer's elements: the kind by its format letter, the width by its size.
std::optional<DType> dtype_of_format(const char* format, Py_ssize_t size) {
  if (!format) return DType::UInt8;
  if (*format == '@' || *format == '=' || *format == '<') ++format;
  if (!format[0] || format[1]) return std::nullopt;
  switch (*format) {
    case '?':
      return DType::Bool;
    case 'B':
    case 'c':
      return DType::UInt8;
    case 'b':
    case 'h':
    case 'i':
    case 'l':
    case 'q':
    case 'n':
      switch (size) {
        case 1:
          return DType::Int8;
        case 2:
          return DType::Int16;
        case 4:
          return DType::Int32;
        case 8:
          return DType::Int64;
        default:
          return std::nullopt;
      }
    case 'e':
      return DType::Float16;
    case 'f':
      return DType::Float32;
    case 'd':
      return DType::Float64;
    default:
      return std::nullopt;
  }
}

void release_buffer(void* context) {
  auto* view = static_cast<Py_buffer*>(context);
  if (Py_IsInitialized()) with_gil([&] { PyBuffer_Release(view); });  // else the exporter is gone
  delete view;
}

struct Layout {
  Dims sizes, strides;
  size_t nbytes = 0;
};

// Strides in elements. NumPy's may be negative or cut elements in two, which a tensor's cannot.
Layout layout_of(const Py_buffer& view) {
  Layout layout;
  int64_t count = 1, last = 0;
  for (int d = 0; d < view.ndim; ++d) {
    const int64_t n = view.shape[d], stride = view.strides[d];
    if (stride < 0)
      fail<ValueError>(
          "from_numpy: expected an array with non-negative strides, got a negative one; copy the array first");
    if (n > 1 && stride % view.itemsize)
      fail<ValueError>("from_numpy: expected strides that are multiples of the element size, got ", stride);
    layout.sizes.push_back(n);
    layout.strides.push_back(stride / view.itemsize);
    count *= n;
    last += n ? (n - 1) * (stride / view.itemsize) : 0;
  }
  layout.nbytes = count ? size_t((last + 1) * view.itemsize) : 0;
  return layout;
}

// ---- export ---------------------------------------------------------------------------------------------------------

const char* format_of(DType t) {
  static const char* const formats[] = {"?", "B", "b", "h", "i", "l", "e", nullptr, "f", "d"};
  return formats[int(t)];
}

// What an exported buffer points at; it keeps the memory alive.
struct Export {
  Ref<Storage> storage;
  std::vector<Py_ssize_t> shape, strides;
};

bool is_fortran_contiguous(const Tensor& t) {
  int64_t expected = 1;
  for (int64_t d = 0; d < t.dim(); ++d) {
    if (t.size(d) != 1 && t.stride(d) != expected) return false;
    expected *= t.size(d);
  }
  return true;
}

const char* why_not_exported(const Tensor& t, int flags) {
  if (autograd::requires_grad(t))
    return "Tensor: expected a tensor that requires no gradient, got one that does; use detach()";
  if (t.is_sparse()) return "Tensor: expected dense memory, got a row-sparse tensor; use to_dense()";
  if (!format_of(t.dtype())) return "Tensor: expected a dtype that buffers have, got bfloat16; use float()";
  if ((flags & PyBUF_WRITABLE) && t.storage()->read_only)
    return "Tensor: expected memory that may be written, got a read-only tensor";
  const bool c = t.is_contiguous(), f = is_fortran_contiguous(t);
  auto asks = [&](int what) { return (flags & what) == what; };
  if ((asks(PyBUF_C_CONTIGUOUS) && !c) || (asks(PyBUF_F_CONTIGUOUS) && !f) ||
      (asks(PyBUF_ANY_CONTIGUOUS) && !c && !f) || (!asks(PyBUF_STRIDES) && !c))
    return "Tensor: expected contiguous memory for this buffer, got strides; use contiguous()";
  return nullptr;
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  return guarded([&] {
    const Tensor& t = unwrap(self);
    if (const char* why = why_not_exported(t, flags)) {
      PyErr_SetString(PyExc_BufferError, why);
      return -1;
    }
    auto held = std::make_unique<Export>();
    held->storage = t.storage();
    t.storage()->shared = true;
    for (int64_t d = 0; d < t.dim(); ++d) {
      held->shape.push_back(Py_ssize_t(t.size(d)));
      held->strides.push_back(Py_ssize_t(t.stride(d) * t.item_size()));
    }
    view->buf = t.raw();
    view->len = Py_ssize_t(t.nbytes());
    view->itemsize = Py_ssize_t(t.item_size());
    view->readonly = t.storage()->read_only;
    view->ndim = int(t.dim());
    view->format = flags & PyBUF_FORMAT ? const_cast<char*>(format_of(t.dtype())) : nullptr;
    view->shape = flags & PyBUF_ND ? held->shape.data() : nullptr;
    view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? held->strides.data() : nullptr;
    view->suboffsets = nullptr;
    view->internal = held.release();
    view->obj = Py_NewRef(self);
    return 0;
  });
}

void drop_buffer(PyObject*, Py_buffer* view) { delete static_cast<Export*>(view->internal); }

// ---- NumPy ----------------------------------------------------------------------------------------------------------

py::object as_array(const Tensor& t) {
  if (autograd::requires_grad(t))
    fail("numpy: expected a tensor that needs no gradient, got one that requires grad; use tensor.detach().numpy() instead");
  if (t.is_sparse()) fail<TypeError>("numpy: expected a dense tensor, got a row-sparse ", t, "; use to_dense() first");
  if (!format_of(t.dtype()))
    fail<TypeError>("numpy: expected a dtype that NumPy has, got ", t.dtype(), "; use float() first");
  return py::module_::import("numpy").attr("asarray")(take(PyMemoryView_FromObject(wrapped(t).ptr())));
}

PyObject* method_numpy(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static const char* names[] = {"force", nullptr};
    int force = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$p:numpy", const_cast<char**>(names), &force))
      throw py::error_already_set();
    return as_array(force ? detach(unwrap(self)) : unwrap(self)).release().ptr();
  });
}

PyObject* method_array(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static const char* names[] = {"dtype", "copy", nullptr};
    PyObject *dtype = Py_None, *copy = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:__array__", const_cast<char**>(names), &dtype, &copy))
      throw py::error_already_set();
    py::object array = as_array(unwrap(self));
    const py::object wanted =
        dtype == Py_None ? py::object(array.attr("dtype")) : py::module_::import("numpy").attr("dtype")(borrow(dtype));
    if (!wanted.equal(array.attr("dtype"))) {
      if (copy == Py_False) fail<ValueError>("__array__: expected the tensor's own dtype with copy=False, got another");
      return array.attr("astype")(wanted).release().ptr();
    }
    return (copy == Py_True ? py::object(array.attr("copy")()) : array).release().ptr();
  });
}

}  // namespace

[[noreturn]] static void fail_elements(PyObject* exporter, const char* format) {
  const std::string got = is_numpy_array(exporter) ? std::string(py::str(borrow(exporter).attr("dtype")))
                          : format                 ? format
                                                   : "B";
  fail<TypeError>("from_numpy: expected elements of bool, uint8, int8 to int64 or float16 to float64, got ", got);
}

Tensor from_buffer(PyObject* exporter) {
  auto view = std::make_unique<Py_buffer>();
  if (PyObject_GetBuffer(exporter, view.get(), PyBUF_FULL_RO) < 0) {
    if (!is_numpy_array(exporter)) throw py::error_already_set();
    PyErr_Clear();
    fail_elements(exporter, nullptr);  // a dtype that buffers cannot describe
  }
  Layout layout;
  std::optional<DType> dtype;
  try {
    if (!view->suboffsets) dtype = dtype_of_format(view->format, view->itemsize);
    if (!dtype) fail_elements(exporter, view->format);
    layout = layout_of(*view);
  } catch (...) {
    PyBuffer_Release(view.get());
    throw;
  }
  const bool read_only = view->readonly;
  void* data = view->buf;
  Ref<Storage> storage = Storage::import(data, layout.nbytes, release_buffer, view.release());
  storage->read_only = read_only;
  return Tensor::over(std::move(storage), layout.sizes, layout.strides, 0, *dtype);
}

static Tensor from_bytes(const py::object& buffer, std::optional<DType> dtype, int64_t count, int64_t offset) {
  const Tensor bytes = from_buffer(buffer.ptr());
  const DType t = dtype.value_or(default_dtype());
  const int64_t available = int64_t(bytes.nbytes()) - offset, size = item_size(t);
  if (!bytes.is_contiguous()) fail<ValueError>("frombuffer: expected a contiguous buffer");
  if (offset < 0 || available < 0)
    fail<ValueError>("frombuffer: expected an offset in [0, ", bytes.nbytes(), "], got ", offset);
  if (count < 0 && available % size)
    fail<ValueError>("frombuffer: expected a multiple of ", size, " bytes, got ", available);
  const int64_t n = count < 0 ? available / size : count;
  if (n > available / size)
    fail<ValueError>("frombuffer: expected at least ", count, " elements of ", t, " after offset ", offset, ", got ",
                     available / size);
  // A storage of its own that starts at the offset; the buffer's storage lives in its context.
  auto release = [](void* held) { delete static_cast<Tensor*>(held); };
  Ref<Storage> storage =
      Storage::import(static_cast<char*>(bytes.raw()) + offset, size_t(n * size), release, new Tensor(bytes));
  storage->read_only = bytes.storage()->read_only;
  return Tensor::over(std::move(storage), Dims{n}, Dims{1}, 0, t);
}

PyType_Slot buffer_slots[] = {{Py_bf_getbuffer, as_slot(get_buffer)}, {Py_bf_releasebuffer, as_slot(drop_buffer)}, {}};

PyObject* method_dlpack(PyObject* self, PyObject* args, PyObject* kwargs);
PyObject* method_dlpack_device(PyObject* self, PyObject*);

PyMethodDef interop_methods[] = {
    {"numpy", as_method(method_numpy), METH_VARARGS | METH_KEYWORDS, "A NumPy array over the same memory."},
    {"__array__", as_method(method_array), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"__dlpack__", as_method(method_dlpack), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"__dlpack_device__", method_dlpack_device, METH_NOARGS, nullptr},
    {},
};

void add_interop(py::module_& m) {
  m.def(
      "from_numpy",
      [](const py::object& array) {
        if (!is_numpy_array(array.ptr()))
          fail<TypeError>("from_numpy: expected np.ndarray (got ", Py_TYPE(array.ptr())->tp_name, ")");
        const Tensor t = from_buffer(array.ptr());
        if (t.storage()->read_only)
          checked(PyErr_WarnEx(PyExc_UserWarning,
                               "from_numpy: the given NumPy array is not writable; writing to the tensor will raise",
                               1));
        return wrapped(t);
      },
      py::arg("ndarray"), py::pos_only(), "A tensor over the memory of a NumPy array.");
  m.def(
      "frombuffer",
      [](const py::object& buffer, const py::object& dtype, int64_t count, int64_t offset, bool requires_grad) {
        const Tensor t = from_bytes(buffer, dtype_or_none(dtype.ptr(), "frombuffer"), count, offset);
        if (requires_grad) autograd::set_requires_grad(t, true);
        return wrapped(t);
      },
      py::arg("buffer"), py::kw_only(), py::arg("dtype"), py::arg("count") = -1, py::arg("offset") = 0,
      py::arg("requires_grad") = false, "A 1-d tensor over the memory of an object that exports a buffer.");
  m.def(
      "from_dlpack",
      [](const py::object& ext_tensor, const py::object& device, const py::object& copy) {
        check_device(device);
        const Tensor t = from_dlpack(ext_tensor.ptr());
        return wrapped(copy.ptr() == Py_True ? tensor_from(wrapped(t).ptr(), std::nullopt) : t);
      },
      py::arg("ext_tensor"), py::pos_only(), py::kw_only(), py::arg("device") = py::none(),
      py::arg("copy") = py::none(), "A tensor over the memory of an object with __dlpack__, or of a DLPack capsule.");
}

}  // namespace pydl::python
