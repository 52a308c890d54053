"""The filters of a sampler in the C core: one block of memory with their parameters and their state."""

from libc.stdint cimport int64_t, uint32_t

from .c_sampler cimport TEXTGEN_MAX_PENALTY_WINDOW, textgen_filters
from .filters cimport Filters


# Why a block cannot be made.
cdef enum BlockError:
    BLOCK_OK = 0
    BLOCK_MEMORY = -1
    BLOCK_BIASED_TOKEN = -2  # a biased token is not in the vocabulary
    BLOCK_NO_TOKEN = -3  # the biases forbid every token
    BLOCK_RECENT_TOKEN = -4  # a recent token is not in the vocabulary


# The state of a block, as a plain value: reading it creates no Python object.
cdef struct FilterMemory:
    double mirostat_mu
    size_t recent_count
    uint32_t recent[TEXTGEN_MAX_PENALTY_WINDOW]


# Write a new block to `block`. The caller frees it with PyMem_RawFree. A vocabulary size of 0 means that the
# size is not known yet: the block then only carries the state. `previous` is the block whose state continues,
# of the filters `previous_filters`, or NULL. Returns a BlockError.
cdef int make_block(
    Filters filters,
    size_t vocabulary,
    Filters previous_filters,
    const textgen_filters *previous,
    textgen_filters **block,
) noexcept

# Raise the exception of a BlockError.
cdef int raise_block_error(int error, Filters filters, Py_ssize_t vocabulary) except -1

# Read the state. What the filters do not use is empty.
cdef void read_memory(Filters filters, const textgen_filters *block, FilterMemory *memory) noexcept

# Replace the state.
cdef void write_memory(Filters filters, textgen_filters *block, const FilterMemory *memory) noexcept

# Return a ``FilterState``, or None if the filters have no state.
cdef object new_state(Filters filters, const FilterMemory *memory)

# Check and convert a ``FilterState``, or None for an empty one.
cdef int fill_memory(object state, FilterMemory *memory) except -1

# Return a token that a block can store.
cdef int64_t checked_token(object token) except -1

# Initialize the block again, in place, after another thread may have been changing it. Its state may lack the
# latest token.
cdef void repair_block(Filters filters, textgen_filters *block) noexcept
