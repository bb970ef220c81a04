// Sorting, selection and searching along one row at a time, for every dtype; compiled once.
//
// The order is PyTorch's: NaN above everything, all NaNs equal, -0.0 equal to 0.0, sorts stable. Values map to unsigned
// keys of that order, so one implementation serves all dtypes: an insertion sort for short rows, else least significant
// digit radix sort on (key, index) pairs that skips digits that all keys share; up to 255 elements it counts in bytes.
// Strides count elements. Workspaces are 64-byte aligned; outputs that are null are not written.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace pydl {

template <class T>
struct SortKernels {  // all dtypes of visit_all
  // Bytes that sort, topk, select, median and mode need for a row of n.
  static size_t workspace(int64_t n);

  static void sort(T* values, int64_t* indices, int64_t out_stride, const T* in, int64_t in_stride, int64_t n,
                   bool descending, void* workspace);
  // The k largest or smallest, 0 <= k <= n; equal values by ascending index. `sorted` orders them, best first.
  static void topk(T* values, int64_t* indices, int64_t out_stride, const T* in, int64_t in_stride, int64_t n,
                   int64_t k, bool largest, bool sorted, void* workspace);
  // The element of rank k (0: the smallest), of equal ones the first; 0 <= k < n.
  static void select(T* value, int64_t* index, const T* in, int64_t in_stride, int64_t n, int64_t k, void* workspace);
  // The lower median. With a NaN in the row that is the result, unless `skip_nan` leaves NaNs out. n >= 1.
  static void median(T* value, int64_t* index, const T* in, int64_t in_stride, int64_t n, bool skip_nan,
                     void* workspace);
  // The most frequent value, of equally frequent ones the smallest, and its last index. n >= 1.
  static void mode(T* value, int64_t* index, const T* in, int64_t in_stride, int64_t n, void* workspace);

  // Runs of equal values in a row, each once; NaNs are all different. Returns how many. inverse[order[i]] (order null:
  // inverse[i]) is the run of row[i]; counts are the runs' lengths. With a sorted row and its indices: unique().
  static int64_t unique_runs(T* values, int64_t* inverse, int64_t* counts, const T* row, const int64_t* order,
                             int64_t n);

  // out[i] = where values[i] would go into the ascending row (through `sorter` unless null): before its equals, or
  // behind them when `right`.
  static void searchsorted(int64_t* out, const T* row, const int64_t* sorter, int64_t n, const T* values, int64_t count,
                           bool right);
};

// out[v] += 1 (or weights[i]) for each v = in[i] >= 0; `out` has room for the largest.
template <class T>
void bincount(int64_t* out, const T* in, int64_t n);  // integers
template <class T, class W>
void bincount_weighted(W* out, const T* in, const W* weights, int64_t n);  // W: float, double
// Adds to `bins` equal bins over [low, high]; elements outside and NaN are left out. float, double.
template <class T>
void histogram(T* out, int64_t bins, T low, T high, const T* in, int64_t n);

}  // namespace pydl
