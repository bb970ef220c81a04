# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Counts of terms, row by row, in compressed sparse rows: offsets int64, columns int32, values."""

from cpython cimport array
from cpython.dict cimport PyDict_GetItem
from cython cimport floating
from libc.math cimport fabs, sqrt
from libc.stdint cimport int32_t, int64_t

import array


def count(documents, dict table, bint grow):
    """(offsets, columns, counts) of lists of terms; `grow` gives new terms the next column in `table`.

    Without it, terms outside the table are not counted. Columns of a row stand in the order in which they come.
    """
    cdef array.array offsets = array.array("q", [0]), columns = array.array("i"), counts = array.array("q")
    cdef array.array place = array.array("q")  # column -> where in this row's part it is counted, if that lies there
    cdef Py_ssize_t n = 0, begin = 0, known = len(table)
    cdef int32_t column
    array.resize(place, known)
    array.zero(place)
    for terms in documents:
        begin = n
        for term in terms:
            found = PyDict_GetItem(table, term)
            if found is not NULL:
                column = <object>found
            elif grow:
                column = <int32_t>known
                table[term] = column
                known += 1
                array.resize_smart(place, known)
                place.data.as_longlongs[column] = 0
            else:
                continue
            at = place.data.as_longlongs[column]
            if begin <= at < n and columns.data.as_ints[at] == column:
                counts.data.as_longlongs[at] += 1
                continue
            if n == len(columns):
                array.resize_smart(columns, n + n // 2 + 1024)
                array.resize_smart(counts, n + n // 2 + 1024)
            columns.data.as_ints[n] = column
            counts.data.as_longlongs[n] = 1
            place.data.as_longlongs[column] = n
            n += 1
        offsets.append(n)
    array.resize(columns, n)
    array.resize(counts, n)
    return offsets, columns, counts


def choose(const int64_t[::1] offsets, const int32_t[::1] columns, const int64_t[::1] counts, const int32_t[::1] renamed,
           const int64_t[::1] frequency, int64_t[::1] out_offsets, int32_t[::1] out_columns, int64_t[::1] out_counts):
    """Renames columns, drops those whose new name is negative, and orders each row by the old names.

    `frequency` says in how many rows each old column stands, 0 for those to drop. The entries are gathered by column,
    and the columns then dealt out to their rows, so that no row is sorted by itself.
    """
    cdef Py_ssize_t rows = offsets.shape[0] - 1, width = frequency.shape[0], row, i, at
    cdef int32_t column
    cdef array.array next_of_column = array.array("q"), row_of = array.array("q"), count_of = array.array("q")
    array.resize(next_of_column, width)
    array.resize(row_of, out_columns.shape[0])
    array.resize(count_of, out_columns.shape[0])
    at = 0
    for i in range(width):
        next_of_column.data.as_longlongs[i] = at
        at += frequency[i]
    out_offsets[0] = 0
    for row in range(rows):
        out_offsets[row + 1] = out_offsets[row]
        for i in range(offsets[row], offsets[row + 1]):
            column = columns[i]
            if renamed[column] >= 0:
                at = next_of_column.data.as_longlongs[column]
                next_of_column.data.as_longlongs[column] = at + 1
                row_of.data.as_longlongs[at] = row
                count_of.data.as_longlongs[at] = counts[i]
                out_offsets[row + 1] += 1
    cdef array.array next_of_row = array.array("q")
    array.resize(next_of_row, rows)
    for row in range(rows):
        next_of_row.data.as_longlongs[row] = out_offsets[row]
    i = 0
    for column in range(width):
        while i < next_of_column.data.as_longlongs[column]:
            row = row_of.data.as_longlongs[i]
            at = next_of_row.data.as_longlongs[row]
            next_of_row.data.as_longlongs[row] = at + 1
            out_columns[at] = renamed[column]
            out_counts[at] = count_of.data.as_longlongs[i]
            i += 1


def normalize(const int64_t[::1] offsets, floating[::1] values, bint squares):
    """Divides each row by the root of the sum of its squares, or by the sum of its magnitudes; rows of zeros stay."""
    cdef Py_ssize_t row, i
    cdef double total
    for row in range(offsets.shape[0] - 1):
        total = 0
        for i in range(offsets[row], offsets[row + 1]):
            total += values[i] * values[i] if squares else fabs(values[i])
        if total == 0:
            continue
        if squares:
            total = sqrt(total)
        for i in range(offsets[row], offsets[row + 1]):
            values[i] = <floating>(values[i] / total)


def ngrams(list tokens, Py_ssize_t shortest, Py_ssize_t longest):
    """All runs of shortest to longest tokens, joined by a space; short ones first, each from left to right."""
    cdef Py_ssize_t n, i
    cdef list result = tokens[:] if shortest == 1 else []
    for n in range(max(shortest, 2), min(longest, <Py_ssize_t>len(tokens)) + 1):
        for i in range(len(tokens) - n + 1):
            result.append(" ".join(tokens[i : i + n]))
    return result
