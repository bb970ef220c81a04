// Errors. Every wrong input ends in one of these exceptions; nothing aborts. The bindings translate each class to the
// Python exception that PyTorch would raise. Messages read "op: expected ..., got ...".
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace pydl {

struct Error : std::runtime_error { using std::runtime_error::runtime_error; };           // RuntimeError
struct ShapeError : Error { using Error::Error; };                                        // RuntimeError and ValueError
struct IndexError : Error { using Error::Error; };                                        // IndexError
struct TypeError : Error { using Error::Error; };                                         // TypeError
struct ValueError : Error { using Error::Error; };                                        // ValueError
struct NotImplementedError : Error { using Error::Error; };                               // NotImplementedError
struct OverflowError : Error { using Error::Error; };                                     // OverflowError
struct OutOfMemoryError : Error { using Error::Error; };                                  // MemoryError

// fail<ShapeError>("mm: expected ", a, ", got ", b) throws with its arguments streamed into the message.
template <class E = Error, class... Parts> [[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  throw E(out.str());
}

}  // namespace pydl
