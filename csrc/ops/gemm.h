// Matrix multiplication on raw memory, any strides: the loops and threads around the kernels of kernels/gemm.h.
//
//   C = activation(alpha * A @ B + beta * C + row_bias + col_bias)        A: m x k, B: k x n, C: m x n
//
// Strides count elements and may be anything, negative and zero included, but C's elements must be distinct and
// overlap neither operand. With beta == 0 C is not read; with alpha == 0 or k == 0 neither are A and B. T is float or
// double. The bits of the result depend on shape, strides and ISA, never on the number of threads.
#pragma once
#include <cstdint>

#include "kernels/gemm.h"

namespace pydl {

template <class T>
void gemm(int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t a_rs, int64_t a_cs, const T* b, int64_t b_rs,
          int64_t b_cs, T beta, T* c, int64_t c_rs, int64_t c_cs, const Epilogue<T>& epilogue = {});

// `batch` products whose operands lie a_bs, b_bs and c_bs apart (0: the same operand for all). The biases are shared.
template <class T>
void gemm_batched(int64_t batch, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t a_bs, int64_t a_rs,
                  int64_t a_cs, const T* b, int64_t b_bs, int64_t b_rs, int64_t b_cs, T beta, T* c, int64_t c_bs,
                  int64_t c_rs, int64_t c_cs, const Epilogue<T>& epilogue = {});

// A right-hand side packed once and used often: gemm_pack writes gemm_packed_size elements (64-byte aligned memory is
// best), which gemm_packed takes in place of B. The columns of C must be contiguous.
template <class T> int64_t gemm_packed_size(int64_t k, int64_t n);
template <class T> void gemm_pack(T* packed, int64_t k, int64_t n, const T* b, int64_t b_rs, int64_t b_cs);
template <class T>
void gemm_packed(int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t a_rs, int64_t a_cs, const T* packed,
                 T beta, T* c, int64_t c_rs, const Epilogue<T>& epilogue = {});

}  // namespace pydl
