"""Make the block of filters of a sampler, and read and replace its state. See ``runtime/core/filters.h``.

Most functions run while the lock of a sampler is held, so they create no Python object: an allocation can run
the garbage collector, and a finalizer may need the lock.
"""

from cpython.mem cimport PyMem_RawMalloc
from cpython.number cimport PyNumber_Index
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport UINT32_MAX, int64_t, uint32_t
from libc.string cimport memcpy

from .c_sampler cimport (
    TEXTGEN_MAX_PENALTY_WINDOW,
    textgen_filter_parameters,
    textgen_filters,
    textgen_filters_bias,
    textgen_filters_get_recent,
    textgen_filters_init,
    textgen_filters_set_recent,
    textgen_filters_size,
)

from textgen_runtime.errors import SamplingError, quote


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


cdef int make_block(
    Filters filters,
    size_t vocabulary,
    Filters previous_filters,
    const textgen_filters *previous,
    textgen_filters **block,
) noexcept:
    """Write a new block to ``block``. The caller frees it with PyMem_RawFree.

    Args:
        filters: The parameters.
        vocabulary: The vocabulary size. 0 if it is not known yet: the block then only carries the state.
        previous_filters: The parameters of ``previous``.
        previous: The block whose state continues, or NULL.
        block: The result.

    Returns:
        A ``BlockError``.
    """
    cdef size_t size = textgen_filters_size(vocabulary)
    cdef FilterMemory memory
    cdef int error = check_biases(filters, vocabulary)
    if error != BLOCK_OK:
        return error
    memory.recent_count, memory.mirostat_mu = 0, 2.0 * filters.mirostat_tau
    if previous != NULL:
        carry_memory(previous_filters, previous, filters, &memory)
    if vocabulary and not fits_vocabulary(&memory, vocabulary):
        return BLOCK_RECENT_TOKEN
    block[0] = <textgen_filters *>PyMem_RawMalloc(size) if size else NULL
    if block[0] == NULL:
        return BLOCK_MEMORY
    initialize(filters, block[0], vocabulary)
    write_memory(filters, block[0], &memory)
    return BLOCK_OK


cdef int raise_block_error(int error, Filters filters, Py_ssize_t vocabulary) except -1:
    """Raise the exception of a ``BlockError``."""
    if error == BLOCK_BIASED_TOKEN:
        # Another thread may have replaced the filters since the error.
        token = max(dict(filters.logit_bias), default=vocabulary)
        raise SamplingError(f"logit_bias has token {token}, but the vocabulary has {vocabulary} tokens")
    if error == BLOCK_NO_TOKEN:
        raise SamplingError(f"logit_bias forbids all {vocabulary} tokens: allow at least one")
    if error == BLOCK_RECENT_TOKEN:
        raise SamplingError(
            f"a recent token of the filter state is not in the vocabulary of {vocabulary} tokens: set "
            "filter_state to None to forget the recent tokens"
        )
    raise MemoryError(f"not enough memory for the filters of {vocabulary} tokens")


cdef int check_biases(Filters filters, size_t vocabulary) noexcept:
    cdef Py_ssize_t count = len(filters.logit_bias)
    cdef Py_ssize_t i
    if vocabulary == 0 or count == 0:
        return BLOCK_OK
    # Sorted, and without duplicates.
    if <size_t>bias_token(filters, count - 1) >= vocabulary:
        return BLOCK_BIASED_TOKEN
    if <size_t>count < vocabulary:
        return BLOCK_OK
    for i in range(count):
        if bias_value(filters, i) != -INFINITY:
            return BLOCK_OK
    return BLOCK_NO_TOKEN


cdef Py_ssize_t bias_token(Filters filters, Py_ssize_t i) noexcept:
    return <Py_ssize_t>(<tuple>filters.logit_bias[i])[0]


cdef double bias_value(Filters filters, Py_ssize_t i) noexcept:
    return <double>(<tuple>filters.logit_bias[i])[1]


cdef bint fits_vocabulary(const FilterMemory *memory, size_t vocabulary) noexcept:
    cdef size_t i
    for i in range(memory.recent_count):
        if memory.recent[i] >= vocabulary:
            return False
    return True


cdef void initialize(Filters filters, textgen_filters *block, size_t vocabulary) noexcept:
    """Initialize a block without recent tokens."""
    cdef textgen_filter_parameters parameters
    cdef double *biases
    cdef Py_ssize_t i
    parameters.repetition_penalty = filters.repetition_penalty
    parameters.frequency_penalty = filters.frequency_penalty
    parameters.presence_penalty = filters.presence_penalty
    parameters.penalty_window = filters.penalty_window
    parameters.top_k = filters.top_k
    parameters.typical_p = filters.typical_p
    parameters.top_p = filters.top_p
    parameters.min_p = filters.min_p
    parameters.mirostat_tau = filters.mirostat_tau
    parameters.mirostat_eta = filters.mirostat_eta
    textgen_filters_init(block, &parameters, vocabulary)
    if vocabulary:
        biases = textgen_filters_bias(block)
        for i in range(len(filters.logit_bias)):
            biases[bias_token(filters, i)] = bias_value(filters, i)


cdef void carry_memory(
    Filters previous_filters, const textgen_filters *previous, Filters filters, FilterMemory *memory
) noexcept:
    """Continue the part of the state that the new filters share with the previous ones."""
    cdef FilterMemory carried
    read_memory(previous_filters, previous, &carried)
    if filters.penalizes:
        memory.recent_count = carried.recent_count
        memcpy(memory.recent, carried.recent, carried.recent_count * sizeof(uint32_t))
    if filters.mirostat_tau == previous_filters.mirostat_tau:
        memory.mirostat_mu = carried.mirostat_mu


cdef void read_memory(Filters filters, const textgen_filters *block, FilterMemory *memory) noexcept:
    """Read the state. What the filters do not use is empty."""
    memory.recent_count = textgen_filters_get_recent(block, memory.recent) if filters.penalizes else 0
    memory.mirostat_mu = block.mirostat_mu if filters.mirostat_tau else 0.0


cdef void write_memory(Filters filters, textgen_filters *block, const FilterMemory *memory) noexcept:
    """Replace the state."""
    cdef size_t count = memory.recent_count if filters.penalizes else 0
    cdef size_t kept = min(count, <size_t>filters.penalty_window)
    if block.vocabulary:
        textgen_filters_set_recent(block, memory.recent, count)
    else:
        # The block has no counts, which textgen_filters_set_recent writes.
        memcpy(block.recent, memory.recent + (count - kept), kept * sizeof(uint32_t))
        block.recent_count, block.recent_next = kept, 0
    if filters.mirostat_tau:
        block.mirostat_mu = memory.mirostat_mu


cdef object new_state(Filters filters, const FilterMemory *memory):
    """Return a ``FilterState``, or None if the filters have no state."""
    cdef size_t i
    if not filters.penalizes and not filters.mirostat_tau:
        return None
    # Most programs need no state of filters, and creating a NamedTuple takes a fifth of a millisecond.
    from .filter_state import FilterState

    return FilterState(tuple([memory.recent[i] for i in range(memory.recent_count)]), memory.mirostat_mu)


cdef int fill_memory(object state, FilterMemory *memory) except -1:
    """Check and convert a ``FilterState``, or None for an empty one."""
    cdef size_t i = 0
    memory.recent_count, memory.mirostat_mu = 0, 0.0
    if state is None:
        return 0
    from .filter_state import FilterState

    if not isinstance(state, FilterState):
        raise TypeError(f"filter_state must be a FilterState or None, not {type(state).__name__}")
    try:
        memory.mirostat_mu = state.mirostat_mu
    except OverflowError:
        memory.mirostat_mu = INFINITY
    if not isfinite(memory.mirostat_mu):
        raise SamplingError(f"mirostat_mu must be a finite number, not {quote(state.mirostat_mu)}")
    recent = [checked_token(token) for token in state.recent]
    for token in recent[-TEXTGEN_MAX_PENALTY_WINDOW:]:
        memory.recent[i] = token
        i += 1
    memory.recent_count = i
    return 0


cdef int64_t checked_token(object token) except -1:
    """Return a token that a block can store."""
    token = PyNumber_Index(token)
    if not 0 <= token <= UINT32_MAX:
        raise SamplingError(f"a token must be from 0 to 2**32 - 1, not {quote(token)}")
    return token


cdef void repair_block(Filters filters, textgen_filters *block) noexcept:
    """Initialize the block again, in place, after another thread may have been changing it.

    Its state may lack the latest token.
    """
    cdef FilterMemory memory
    cdef size_t vocabulary = block.vocabulary
    cdef size_t kept = 0
    cdef size_t i
    cdef size_t window = filters.penalty_window
    block.recent_count = min(block.recent_count, window)
    if block.recent_count < window or block.recent_next >= window:
        block.recent_next = 0
    read_memory(filters, block, &memory)
    for i in range(memory.recent_count):
        if vocabulary == 0 or memory.recent[i] < vocabulary:
            memory.recent[kept] = memory.recent[i]
            kept += 1
    memory.recent_count = kept
    if not isfinite(memory.mirostat_mu):
        memory.mirostat_mu = 2.0 * filters.mirostat_tau
    initialize(filters, block, vocabulary)
    write_memory(filters, block, &memory)
