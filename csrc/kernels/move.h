// Moving values unchanged, by element size: copies, transposition, gathers and scatters. move.inc lists the kernels.
#pragma once
#include <cstdint>

namespace pydl {

template <class T>
struct MoveKernels {  // T = uint8_t, uint16_t, uint32_t, uint64_t
#define KERNEL(name, result, args) result(*name) args;
#include "kernels/move.inc"
#undef KERNEL
};

template <class T>
const MoveKernels<T>& move_kernels();  // of the ISA in use

}  // namespace pydl
