# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False
"""Byte-pair merges: learned with incremental pair counts and a heap, applied to words by a heap of ranks.

Symbols are integers: 0 to 255 the bytes, 256 + i what merge i makes. A word is a doubly linked list in flat arrays; a
merge writes the new symbol at its left end and marks the right one dead.
"""

from cpython.dict cimport PyDict_GetItem
from libc.stdint cimport int32_t, int64_t, uint64_t
from libcpp.pair cimport pair
from libcpp.queue cimport priority_queue
from libcpp.unordered_map cimport unordered_map
from libcpp.vector cimport vector

cdef int32_t DEAD = -1  # a symbol that a merge swallowed
cdef int32_t END = -1  # no neighbour


cdef inline uint64_t key_of(int32_t left, int32_t right) noexcept nogil:
    return (<uint64_t>left << 32) | <uint64_t>right


cdef class Learner:
    cdef vector[int32_t] symbol, previous, next
    cdef vector[int64_t] weight  # how often the word of this position occurs
    cdef unordered_map[uint64_t, int32_t] slot_of  # pair -> its place in the two arrays below
    cdef vector[int64_t] count
    cdef vector[vector[int32_t]] places  # left ends in ascending order; some no longer hold the pair
    cdef vector[uint64_t] fresh  # pairs first seen since the last clear

    cdef void add_word(self, bytes word, int64_t weight) except *:
        cdef int32_t start = <int32_t>self.symbol.size(), n = <int32_t>len(word), i
        cdef const unsigned char* data = word
        for i in range(n):
            self.symbol.push_back(data[i])
            self.previous.push_back(start + i - 1 if i > 0 else END)
            self.next.push_back(start + i + 1 if i + 1 < n else END)
            self.weight.push_back(weight)
        for i in range(n - 1):
            self.appear(data[i], data[i + 1], start + i)

    cdef int appear(self, int32_t left, int32_t right, int32_t place) except -1 nogil:
        cdef uint64_t key = key_of(left, right)
        cdef int32_t slot
        found = self.slot_of.find(key)
        if found == self.slot_of.end():
            slot = <int32_t>self.count.size()
            self.slot_of[key] = slot
            self.count.push_back(0)
            self.places.push_back(vector[int32_t]())
            self.fresh.push_back(key)
        else:
            slot = self.slot_of[key]
        self.count[slot] += self.weight[place]
        self.places[slot].push_back(place)
        return 0

    cdef int vanish(self, int32_t left, int32_t right, int32_t place) except -1 nogil:
        self.count[self.slot_of[key_of(left, right)]] -= self.weight[place]
        return 0

    cdef int merge(self, int32_t left, int32_t right, int32_t made) except -1 nogil:
        cdef int32_t before, gone, after, place
        cdef vector[int32_t] places
        cdef size_t i
        places.swap(self.places[self.slot_of[key_of(left, right)]])
        for i in range(places.size()):
            place = places[i]
            gone = self.next[place]
            if self.symbol[place] != left or gone == END or self.symbol[gone] != right:
                continue
            before, after = self.previous[place], self.next[gone]
            if before != END:
                self.vanish(self.symbol[before], left, before)
                self.appear(self.symbol[before], made, before)
            if after != END:
                self.vanish(right, self.symbol[after], gone)
                self.appear(made, self.symbol[after], place)
                self.previous[after] = place
            self.symbol[place], self.symbol[gone], self.next[place] = made, DEAD, after
        self.count[self.slot_of[key_of(left, right)]] = 0
        return 0


def learn(dict words, Py_ssize_t merges, Py_ssize_t min_count):
    """The merges (left, right), at most so many, of a dictionary from words, as bytes, to how often each occurs.

    The most frequent pair comes first, of equals the one whose symbols are older (Sennrich, Haddow and Birch 2016). A
    pair's count only falls after the merge that made its younger symbol, so an outdated entry of the heap is too high
    and is put back with the true count when it comes to the top.
    """
    cdef Learner learner = Learner()
    cdef priority_queue[pair[int64_t, int64_t]] heap
    cdef pair[int64_t, int64_t] top
    cdef int64_t count, threshold = max(min_count, 1)
    cdef int32_t left, right
    cdef uint64_t key
    cdef size_t i
    cdef list result = []
    if sum(map(len, words)) >= 2**31:
        raise OverflowError("learn: expected less than 2 GiB of different words")
    for word, times in words.items():
        learner.add_word(word, times)
    while len(result) < merges:
        for i in range(learner.fresh.size()):
            key = learner.fresh[i]
            heap.push(pair[int64_t, int64_t](learner.count[learner.slot_of[key]], -<int64_t>key))
        learner.fresh.clear()
        while not heap.empty():
            top = heap.top()
            heap.pop()
            count = learner.count[learner.slot_of[<uint64_t>-top.second]]
            if count == top.first:
                break
            if count >= threshold:
                heap.push(pair[int64_t, int64_t](count, top.second))
        else:
            break
        if count < threshold:
            break
        left, right = <int32_t>(-top.second >> 32), <int32_t>(-top.second & 0xffffffff)
        learner.merge(left, right, 256 + <int32_t>len(result))
        result.append((left, right))
    return result


cdef class Encoder:
    """Applies merges to words; `symbols` numbers the results: symbols[s] is the index of symbol s."""

    cdef unordered_map[uint64_t, int32_t] rank_of
    cdef list symbols
    cdef dict cache
    cdef Py_ssize_t capacity

    def __init__(self, list merges, list symbols, Py_ssize_t capacity=1 << 16):
        cdef int32_t rank = 0
        for left, right in merges:
            self.rank_of[key_of(left, right)] = rank
            rank += 1
        self.symbols, self.cache, self.capacity = symbols, {}, capacity

    def encode(self, list words):
        """The indices of all words, one after another."""
        cdef list result = []
        for word in words:
            found = PyDict_GetItem(self.cache, word)
            if found is not NULL:
                result += <list>found
                continue
            indices = self.apply(word.encode())
            if len(word) <= 64:
                if len(self.cache) >= self.capacity:
                    self.cache.clear()
                self.cache[word] = indices
            result += indices
        return result

    cdef void consider(self, priority_queue[int64_t]& heap, vector[int32_t]& symbol, int32_t place, int32_t after):
        """Puts the pair at these places into the heap, lowest rank and then leftmost on top."""
        found = self.rank_of.find(key_of(symbol[place], symbol[after]))
        if found != self.rank_of.end():
            heap.push(-((<int64_t>self.rank_of[key_of(symbol[place], symbol[after])] << 32) | place))

    cdef list apply(self, bytes word):
        cdef int32_t n = <int32_t>len(word), i, place, gone, rank
        cdef int64_t top
        cdef vector[int32_t] symbol, previous, next
        cdef priority_queue[int64_t] heap
        cdef const unsigned char* data = word
        for i in range(n):
            symbol.push_back(data[i])
            previous.push_back(i - 1)
            next.push_back(i + 1 if i + 1 < n else END)
        for i in range(n - 1):
            self.consider(heap, symbol, i, i + 1)
        while not heap.empty():
            top = -heap.top()
            heap.pop()
            rank, place = <int32_t>(top >> 32), <int32_t>(top & 0xffffffff)
            gone = next[place]
            if symbol[place] == DEAD or gone == END:
                continue
            found = self.rank_of.find(key_of(symbol[place], symbol[gone]))
            if found == self.rank_of.end() or self.rank_of[key_of(symbol[place], symbol[gone])] != rank:
                continue
            symbol[place], symbol[gone], next[place] = 256 + rank, DEAD, next[gone]
            if previous[place] != END:
                self.consider(heap, symbol, previous[place], place)
            if next[place] != END:
                previous[next[place]] = place
                self.consider(heap, symbol, place, next[place])
        return [self.symbols[symbol[i]] for i in range(n) if symbol[i] != DEAD]
