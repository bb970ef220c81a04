# cython: language_level=3, boundscheck=False, wraparound=False
"""Tokens to indices and ragged lists to rectangles: the loops that walk Python objects."""

from cpython.dict cimport PyDict_GetItem
from cpython.number cimport PyNumber_Index
from libc.stdint cimport int64_t


class Unknown(Exception):
    """Its argument is a token that has no index, or is no str."""


cdef inline object index_of(dict table, object token, Py_ssize_t default):
    """table[token]; `default` for an absent str, or Unknown(token) where that is negative."""
    found = PyDict_GetItem(table, token)
    if found is not NULL:
        return <object>found
    if default < 0 or not isinstance(token, str):
        raise Unknown(token)
    return default


def lookup(dict table, list tokens, Py_ssize_t default, int64_t[::1] out):
    """out[i] = table[tokens[i]]; an absent token gives `default`, or Unknown(token) where that is negative."""
    cdef Py_ssize_t i
    for i in range(len(tokens)):
        out[i] = index_of(table, tokens[i], default)


def lookup_list(dict table, list tokens, Py_ssize_t default):
    """The same as a list, without making new numbers."""
    cdef Py_ssize_t i
    cdef list result = [None] * len(tokens)
    for i in range(len(tokens)):
        result[i] = index_of(table, tokens[i], default)
    return result


def pad(list rows, int64_t[:, ::1] out, int64_t[::1] lengths, bint pad_left, bint cut_left):
    """Writes rows[i] into out[i], which holds the padding already, cut to its width, and what is kept into lengths."""
    cdef Py_ssize_t i, j, keep, start, at, width = out.shape[1]
    cdef list row
    for i in range(len(rows)):
        row = rows[i]
        keep = min(<Py_ssize_t>len(row), width)
        start = len(row) - keep if cut_left else 0
        at = width - keep if pad_left else 0
        for j in range(keep):
            out[i, at + j] = PyNumber_Index(row[start + j])  # a float is refused, not cut
        lengths[i] = keep
