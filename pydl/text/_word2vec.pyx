# distutils: depends = pydl/text/_word2vec.h pydl/text/_word2vec_step.h
# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Word2Vec with negative sampling (Mikolov et al. 2013a, b): indexing a corpus, and training without the GIL.

Threads share the vectors and write them without locks (Hogwild: Recht et al. 2011); who calls `Trainer.train` from one
thread at a time gets the same bits every time.
"""

from cpython cimport array
from cpython.dict cimport PyDict_GetItem
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free

import array

cdef extern from "<stdlib.h>" nogil:
    void* aligned_alloc(size_t alignment, size_t size)

cdef extern from "_word2vec.h" nogil:
    cdef struct loops:
        double (*update)(float* h, float* step, float** rows, float* g, int n, Py_ssize_t dim, float rate) noexcept nogil
        void (*average)(float* mean, float** rows, int n, Py_ssize_t dim) noexcept nogil
        void (*spread)(float** rows, const float* step, int n, Py_ssize_t dim) noexcept nogil
    loops loops_of(const char* isa)
    void fetch(const float* row, Py_ssize_t dim)
    void fill_sigmoid_table()

cdef uint32_t ALWAYS = 0xffffffff  # the threshold that every 32-bit number counts as below

fill_sigmoid_table()


def index(sentences):
    """(tokens in the order in which they come first, their counts, the corpus in their numbers, where sentences begin).

    The last three are arrays of int64, int32, and int64 with the length of the corpus at its end.
    """
    cdef dict table = {}
    cdef array.array words = array.array("i"), counts = array.array("q"), starts = array.array("q", [0])
    cdef Py_ssize_t n = 0
    cdef int32_t number
    for sentence in sentences:
        if isinstance(sentence, (str, bytes)) or not hasattr(sentence, "__iter__"):
            raise TypeError(f"Word2Vec.fit: expected sentences as lists of tokens, got {sentence!r}; a tokenizer makes "
                            "them from text")
        for token in sentence:
            found = PyDict_GetItem(table, token)
            if found is not NULL:
                number = <object>found
            else:
                if not isinstance(token, str):
                    raise TypeError(f"Word2Vec.fit: expected tokens of type str, got {token!r}")
                number = <int32_t>len(table)
                table[token] = number
                array.resize_smart(counts, number + 1)
                counts.data.as_longlongs[number] = 0
            if n == len(words):
                array.resize_smart(words, n + n // 2 + 1024)
            words.data.as_ints[n] = number
            counts.data.as_longlongs[number] += 1
            n += 1
        starts.append(n)
    array.resize(words, n)
    return list(table), counts, words, starts


def alias_table(const double[::1] weights, uint32_t[::1] threshold, int32_t[::1] alias):
    """Tables to draw i with probability weights[i] / sum by one comparison (Walker 1977; Vose 1991).

    A uniform column i is kept where a uniform 32-bit number is below threshold[i], which is ALWAYS for columns without another, and is alias[i] otherwise.
    """
    cdef Py_ssize_t n = weights.shape[0], i, small, large
    cdef double total = 0
    cdef list poor = [], rich = [], share
    for i in range(n):
        total += weights[i]
    share = [weights[i] * n / total for i in range(n)]
    for i in range(n):
        threshold[i], alias[i] = ALWAYS, <int32_t>i
        (poor if share[i] < 1 else rich).append(i)
    while poor and rich:
        small, large = poor.pop(), rich[len(rich) - 1]
        threshold[small], alias[small] = <uint32_t>(<double>share[small] * 4294967295.0), <int32_t>large
        share[large] += share[small] - 1
        if share[large] < 1:
            poor.append(rich.pop())


cdef inline uint64_t draw(uint64_t* state) noexcept nogil:
    """SplitMix64 (Steele, Lea and Flood 2014)."""
    state[0] += 0x9e3779b97f4a7c15ULL
    cdef uint64_t z = state[0]
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL
    return z ^ (z >> 31)


cdef inline uint64_t below(uint64_t random, uint64_t n) noexcept nogil:
    """A number in [0, n) from the upper half of a random one."""
    return ((random >> 32) * n) >> 32


cdef class Trainer:
    """Vectors under training, and what is drawn from. Rows of `input` and `output` are padded to 16 floats."""

    cdef float[:, ::1] input, output
    cdef const int32_t[::1] words
    cdef const int64_t[::1] starts
    cdef const uint32_t[::1] keep, threshold
    cdef const int32_t[::1] alias
    cdef int window, negative
    cdef bint cbow
    cdef loops loops

    def __init__(self, float[:, ::1] input, float[:, ::1] output, const int32_t[::1] words, const int64_t[::1] starts,
                 const uint32_t[::1] keep, const uint32_t[::1] threshold, const int32_t[::1] alias,
                 int window, int negative, bint cbow, str isa):
        self.input, self.output, self.words, self.starts = input, output, words, starts
        self.keep, self.threshold, self.alias = keep, threshold, alias
        self.window, self.negative, self.cbow = window, negative, cbow
        self.loops = loops_of(isa.encode())

    def train(self, Py_ssize_t first, Py_ssize_t last, float rate, uint64_t seed):
        """Trains on sentences first to last - 1; returns (loss, predictions made)."""
        cdef Py_ssize_t s, longest = 1
        for s in range(first, last):
            longest = max(longest, <Py_ssize_t>(self.starts[s + 1] - self.starts[s]))
        cdef Py_ssize_t dim = self.input.shape[1], rows = self.negative + 1 + 2 * self.window
        # One block: mean and step (float), the rows of a step (pointers), their gradients, the sentence.
        cdef size_t size = 4 * (2 * dim + rows + longest) + 8 * rows
        cdef char* block = <char*>aligned_alloc(64, (size + 63) // 64 * 64)
        if block is NULL:
            raise MemoryError()
        cdef int64_t predictions = 0
        cdef double loss
        with nogil:
            loss = self.run(first, last, rate, seed, block, &predictions)
            free(block)
        return loss, predictions

    cdef double run(self, Py_ssize_t first, Py_ssize_t last, float rate, uint64_t seed, char* block,
                    int64_t* predictions) noexcept nogil:
        cdef Py_ssize_t dim = self.input.shape[1], s, place, i, j, low, high
        cdef float* mean = <float*>block
        cdef float* step = mean + dim
        cdef float** outputs = <float**>(step + dim)
        cdef float** context = outputs + self.negative + 1
        cdef float* g = <float*>(context + 2 * self.window)
        cdef int32_t* kept = <int32_t*>(g + self.negative + 1 + 2 * self.window)
        cdef float* vectors = &self.input[0, 0]
        cdef int n, around, found
        cdef int32_t word
        cdef uint64_t state = seed
        cdef double loss = 0
        for s in range(first, last):
            n = 0
            for place in range(self.starts[s], self.starts[s + 1]):
                word = self.words[place]
                if self.keep[word] == ALWAYS or <uint32_t>draw(&state) < self.keep[word]:
                    kept[n] = word
                    n += 1
            for i in range(n):
                around = self.window - <int>below(draw(&state), self.window)
                low, high = max(i - around, 0), min(i + around + 1, n)
                if self.cbow:
                    if high - low < 2:
                        continue
                    around = 0
                    for j in range(low, high):
                        if j != i:
                            context[around] = vectors + kept[j] * dim
                            around += 1
                    self.loops.average(mean, context, around, dim)
                    found = self.targets(kept[i], outputs, &state)
                    loss += self.loops.update(mean, step, outputs, g, found, dim, rate)
                    self.loops.spread(context, step, around, dim)
                    predictions[0] += 1
                else:
                    for j in range(low, high):
                        if j != i:
                            found = self.targets(kept[i], outputs, &state)
                            loss += self.loops.update(vectors + kept[j] * dim, NULL, outputs, g, found, dim, rate)
                    predictions[0] += high - low - 1
        return loss

    cdef inline int targets(self, int32_t word, float** rows, uint64_t* state) noexcept nogil:
        """The output rows of the word and of what is drawn against it, the word itself left out; how many there are."""
        cdef Py_ssize_t dim = self.output.shape[1]
        cdef float* vectors = &self.output[0, 0]
        cdef int n = 1, k
        cdef int32_t drawn
        cdef uint64_t random
        rows[0] = vectors + word * dim
        for k in range(self.negative):
            random = draw(state)
            drawn = <int32_t>below(random, <uint64_t>self.threshold.shape[0])
            if <uint32_t>random >= self.threshold[drawn]:
                drawn = self.alias[drawn]
            if drawn != word:
                rows[n] = vectors + drawn * dim
                fetch(rows[n], dim)
                n += 1
        return n
