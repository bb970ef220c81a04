// The kernels in use (cast_kernels and move_kernels of their headers too): one table per ISA and floating dtype, complete for each, chosen once when the library loads.
#pragma once
#include "base/arch.h"
#include "kernels/cast.h"
#include "kernels/conv.h"
#include "kernels/gemm.h"
#include "kernels/move.h"
#include "kernels/optim.h"
#include "kernels/pointwise.h"
#include "kernels/reduce.h"
#include "kernels/roofline.h"
#include "kernels/rowwise.h"
#include "kernels/scatter.h"

namespace pydl {

template <class T> struct Kernels {
  const PointwiseKernels<T>& pointwise;
  const ReduceKernels<T>& reduce;
  const RowwiseKernels<T>& rowwise;
  const GemmKernels<T>& gemm;
  const ConvKernels<T>& conv;
  const OptimKernels<T>& optim;
  const RooflineKernels<T>& roofline;
  const ScatterKernels<T>& scatter;
};

template <class T> const Kernels<T>& kernels();  // float, double
template <> const Kernels<float>& kernels<float>();
template <> const Kernels<double>& kernels<double>();

}  // namespace pydl
