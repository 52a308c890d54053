# cython: language_level=3, freethreading_compatible=True
"""``SubstringIndex``: finds out quickly whether texts occur in a long content."""

cimport cython
from libc.stdint cimport UINT32_MAX, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

__all__ = ["SubstringIndex"]

# The index has the window of bytes at every fourth position of the content.
cdef enum:
    WINDOW = 8
    STEP = 4
    # A text of this length contains a window wherever it begins.
    MIN_INDEXED = WINDOW + STEP - 1


@cython.final
cdef class SubstringIndex:
    """Finds texts in a content, in about a microsecond each.

    The index is a hash table of windows, which are strings of eight bytes. It has the windows of the content
    at the positions 0, 4, 8 and so on. An occurrence of a text of eleven bytes or more contains one of them,
    at offset 0, 1, 2 or 3 of the text. So, for each of these offsets, the index takes the windows of the text
    at this offset and every fourth position after it, selects the rarest one, and compares the text with the
    content at each place of that window. Shorter texts are searched without the index. The index needs at
    most three bytes per byte of the content.

    Args:
        content: The content. The index keeps a reference to it.
    """

    cdef bytes content
    # The places of the windows with hash h are places[starts[h]] to places[starts[h + 1] - 1]. A place is a
    # position divided by STEP.
    cdef uint32_t *starts
    cdef uint32_t *places
    cdef int shift

    def __cinit__(self, bytes content):
        cdef Py_ssize_t count = max(0, (len(content) - WINDOW) // STEP + 1)
        cdef int bits = max(1, int(count).bit_length())
        cdef const unsigned char *start = content
        if count > UINT32_MAX:
            raise MemoryError("the content is too large for an index")
        self.content, self.shift = content, 64 - bits
        self.starts = <uint32_t *>calloc((<size_t>1 << bits) + 2, sizeof(uint32_t))
        self.places = <uint32_t *>malloc(count * sizeof(uint32_t) + 1)
        if self.starts == NULL or self.places == NULL:
            raise MemoryError("not enough memory for an index")
        with nogil:
            sort_places(start, count, self.shift, self.starts, self.places)

    def __dealloc__(self):
        free(self.starts)
        free(self.places)

    def __contains__(self, bytes text):
        """Return whether the text occurs in the content."""
        cdef const unsigned char *start = text
        cdef Py_ssize_t length = len(text), offset
        if length < MIN_INDEXED:
            return text in self.content
        for offset in range(STEP):
            if self.occurs_at(start, length, offset):
                return True
        return False

    cdef bint occurs_at(self, const unsigned char *text, Py_ssize_t length, Py_ssize_t offset) noexcept:
        """Return whether the text occurs so that its offset is at a window of the content."""
        cdef const unsigned char *content = self.content
        cdef Py_ssize_t size = len(self.content), rarest_offset = 0, position
        cdef uint32_t rarest = 0, fewest = UINT32_MAX, window, i
        while offset + WINDOW <= length:
            window = hash_window(text + offset, self.shift)
            if self.starts[window + 1] - self.starts[window] < fewest:
                rarest, rarest_offset = window, offset
                fewest = self.starts[window + 1] - self.starts[window]
            offset += STEP
        for i in range(self.starts[rarest], self.starts[rarest + 1]):
            position = <Py_ssize_t>self.places[i] * STEP - rarest_offset
            if 0 <= position <= size - length and memcmp(content + position, text, length) == 0:
                return True
        return False


cdef inline uint32_t hash_window(const unsigned char *bytes_, int shift) noexcept nogil:
    """Return a hash of WINDOW bytes by multiplication with the golden ratio (Knuth, vol. 3, 6.4)."""
    cdef uint64_t value
    memcpy(&value, bytes_, WINDOW)
    return <uint32_t>(value * <uint64_t>0x9E3779B97F4A7C15 >> shift)


cdef void sort_places(
    const unsigned char *content, Py_ssize_t count, int shift, uint32_t *starts, uint32_t *places
) noexcept nogil:
    """Sort the places of the content by the hash of their windows: a counting sort.

    Args:
        content: The content.
        count: The number of places.
        shift: The shift of the hash.
        starts: Zeros, one more than there are hashes, and another one. Receives the start of each hash.
        places: Receives the places.
    """
    cdef Py_ssize_t place
    cdef size_t h, hashes = <size_t>1 << (64 - shift)
    cdef uint32_t window
    # The counts are two entries further, and the running starts one entry further, than the final starts.
    for place in range(count):
        starts[hash_window(content + place * STEP, shift) + 2] += 1
    for h in range(2, hashes + 2):
        starts[h] += starts[h - 1]
    for place in range(count):
        window = hash_window(content + place * STEP, shift)
        places[starts[window + 1]] = <uint32_t>place
        starts[window + 1] += 1
