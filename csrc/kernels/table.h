// The kernels in use (cast_kernels and move_kernels of their headers too): one table per ISA and floating dtype, complete for each, chosen once when the library loads.
#pragma once
#include "base/arch.h"
#include "kernels/attention.h"
#include "kernels/batch_norm.h"
#include "kernels/cast.h"
#include "kernels/conv.h"
#include "kernels/ctc.h"
#include "kernels/embedding.h"
#include "kernels/gemm.h"
#include "kernels/move.h"
#include "kernels/optim.h"
#include "kernels/pointwise.h"
#include "kernels/pool.h"
#include "kernels/recurrent.h"
#include "kernels/reduce.h"
#include "kernels/roofline.h"
#include "kernels/rowwise.h"
#include "kernels/scatter.h"
#include "kernels/taps.h"

namespace pydl {

// A row a family: the type of its table, its name.
#define PYDL_KERNEL_FAMILIES(ROW)   \
  ROW(AttentionKernels, attention)  \
  ROW(PointwiseKernels, pointwise)  \
  ROW(ReduceKernels, reduce)        \
  ROW(RowwiseKernels, rowwise)      \
  ROW(BatchNormKernels, batch_norm) \
  ROW(GemmKernels, gemm)            \
  ROW(ConvKernels, conv)            \
  ROW(PoolKernels, pool)            \
  ROW(TapsKernels, taps)            \
  ROW(ScatterKernels, scatter)      \
  ROW(EmbeddingKernels, embedding)  \
  ROW(CtcKernels, ctc)              \
  ROW(RecurrentKernels, recurrent)  \
  ROW(OptimKernels, optim)          \
  ROW(RooflineKernels, roofline)

template <class T> struct Kernels {
#define MEMBER(Type, family) const Type<T>& family;
  PYDL_KERNEL_FAMILIES(MEMBER)
#undef MEMBER
};

template <class T> const Kernels<T>& kernels();  // float, double
template <> const Kernels<float>& kernels<float>();
template <> const Kernels<double>& kernels<double>();

}  // namespace pydl
