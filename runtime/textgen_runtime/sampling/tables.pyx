# cython: language_level=3, freethreading_compatible=True
"""Tables that texts follow.

``Stops`` finds the end of a text, ``Constraint`` allows its tokens, and ``Spans`` prevents copies. The C core
has their steps, which ``runtime/core/lane.c`` takes. They are immutable, so threads may share them.
"""

from array import array

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AsString
from cpython.number cimport PyNumber_Index
from libc.stdint cimport INT32_MAX, INT64_MAX, int16_t, int32_t, int64_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from .sampler cimport RealBuffer, new_memory

from textgen_runtime.errors import ConstraintError, SamplingError, quote


# The limits of the core for Python code.
MAX_STATES = TEXTGEN_MAX_STATES
MAX_ENTRIES = TEXTGEN_MAX_ENTRIES


cdef int64_t checked_index(str name, object value, Py_ssize_t size) except -1:
    value = PyNumber_Index(value)
    if not 0 <= value < size:
        raise SamplingError(f"{name} must be from 0 to {size - 1}, not {quote(value)}")
    return value


cdef const void *address_of(object values) except? NULL:
    return <const void *><uintptr_t>values.buffer_info()[0]


cdef Py_ssize_t count_states(tuple texts):
    """Return the number of different beginnings of sorted texts, with the empty one."""
    cdef Py_ssize_t states = 1, shared
    cdef tuple before = ()
    for text in texts:
        shared = 0
        while shared < min(len(before), len(text)) and before[shared] == text[shared]:
            shared += 1
        states += len(text) - shared
        before = text
    return states


cdef int add_texts(textgen_stop_state *states, tuple texts) except -1:
    cdef size_t count = 1
    memset(states, 0, sizeof(textgen_stop_state))
    for text in texts:
        tokens = array("q", text)
        count = textgen_stops_add(states, count, <const int64_t *>address_of(tokens), len(tokens))
    textgen_stops_link(states)
    return 0


@cython.final
cdef class Stops:
    """Stop texts: the core finds, after each token, whether a text ends with one of them.

    Args:
        texts: 1 or more stop texts, each a sequence of 1 or more tokens.
        vocabulary_size: The number of tokens.

    Attributes:
        texts: The stop texts, sorted, without duplicates.
        vocabulary_size: As above.
        states: The number of states.

    Raises:
        SamplingError: If there is no text, if a text is empty, if a token is not in the vocabulary, or if the
            texts together are too long.
        TypeError: If a token is not an integer.

    Source: A. Aho and M. Corasick, Efficient string matching, 1975; see ``runtime/core/tables.h``.
    """

    def __cinit__(self, texts, vocabulary_size):
        cdef Py_ssize_t vocabulary = checked_index("vocabulary_size", vocabulary_size, MAX_ENTRIES + 1)
        self.texts = tuple(sorted({checked_text(text, vocabulary) for text in texts}))
        if not self.texts:
            raise SamplingError("stop texts must not be empty: pass at least one text")
        self.states = count_states(self.texts)
        if self.states > MAX_STATES:
            raise SamplingError(
                f"the stop texts together have more than {MAX_STATES - 1} tokens: use fewer or shorter ones",
                parameter="stop",
            )
        self.memory = new_memory(self.states * sizeof(textgen_stop_state))
        self.core = <textgen_stop_state *>PyByteArray_AsString(self.memory)
        self.vocabulary_size = vocabulary
        add_texts(self.core, self.texts)

    def __eq__(self, other):
        if not isinstance(other, Stops):
            return NotImplemented
        return (self.texts, self.vocabulary_size) == (other.texts, other.vocabulary_size)

    def __hash__(self):
        return hash((self.texts, self.vocabulary_size))

    def __repr__(self):
        return f"Stops({quote(self.texts)}, {self.vocabulary_size})"


cdef tuple checked_text(object text, Py_ssize_t vocabulary):
    tokens = tuple([int(PyNumber_Index(token)) for token in text])
    if not 1 <= len(tokens) <= TEXTGEN_MAX_STOP:
        raise SamplingError(
            f"a stop text must have from 1 to {TEXTGEN_MAX_STOP} tokens, not {len(tokens)}", parameter="stop"
        )
    for token in tokens:
        if not 0 <= token < vocabulary:
            raise SamplingError(
                f"a stop text has token {quote(token)}, but the vocabulary has {vocabulary} tokens"
            )
    return tokens


@cython.final
cdef class Constraint:
    """A finite automaton over tokens. The texts that it accepts are those that match.

    A text starts in state 0, and may end in an accepting state. States from which no text can match any more
    become unreachable.

    Args:
        transitions: A contiguous int16 buffer of shape [states, vocabulary_size], or flat: the state after
            each token, or -1 if the token is not allowed.
        accepting: For each state, whether the text matches if it ends there.
        banned: Tokens that are never drawn, so that no text needs them to match.

    Attributes:
        states: The number of states.
        vocabulary_size: The number of tokens.
        digest: The SHA-256 of the table, as 64 hexadecimal digits. It does not depend on ``banned``.

    Raises:
        ConstraintError: If no text matches, or if a transition is none.
        SamplingError: If the table is too large or of another shape or type.
    """

    def __cinit__(self, transitions, accepting, banned=()):
        cdef list flags = [bool(flag) for flag in accepting]
        cdef Py_ssize_t vocabulary
        self.states = len(flags)
        if not flags:
            raise SamplingError("accepting must have at least one state")
        self.next_memory = copy_transitions(transitions, self.states)
        vocabulary = len(self.next_memory) // (self.states * <Py_ssize_t>sizeof(int16_t))
        if self.states > MAX_STATES or self.states * <object>vocabulary > MAX_ENTRIES:
            raise SamplingError(
                f"the constraint of {self.states} states and {vocabulary} tokens is too large: at most "
                f"{MAX_STATES} states and {MAX_ENTRIES} table entries are supported"
            )
        self.distance_memory = new_memory(self.states * sizeof(int32_t))
        self.core.next = <int16_t *>PyByteArray_AsString(self.next_memory)
        self.core.distance = <int32_t *>PyByteArray_AsString(self.distance_memory)
        self.core.states, self.core.vocabulary = self.states, vocabulary
        for state in range(self.states):
            self.core.distance[<size_t>state] = 0 if flags[state] else INT32_MAX
        link_table(&self.core, array("q", banned))
        self.digest = self.core.digest[:TEXTGEN_SHA256_SIZE].hex()

    def without(self, banned):
        """Return the constraint of the same table and digest, without tokens that are never drawn.

        Raises:
            ConstraintError: If no text matches.
        """
        accepting = [self.is_accepting(state) for state in range(self.states)]
        return Constraint(memoryview(self.next_memory).cast("h"), accepting, banned)

    cdef int64_t checked_state(self, object state) except -1:
        return checked_index("a state of the constraint", state, self.states)

    @property
    def vocabulary_size(self):
        return self.core.vocabulary

    def mask(self, logits, state, remaining=None):
        """Return a copy of logits that is -inf at the forbidden tokens.

        A token is forbidden if it is not allowed, or if the text could not end in time after it. In an
        accepting state nothing is masked: there, the draw of a forbidden token ends the text before it, so
        that the model decides where the text ends.

        Args:
            logits: A float32 buffer of shape [vocabulary_size].
            state: The state before the token.
            remaining: How many tokens the text may still have, including the next one. None for no limit.

        Returns:
            A new float32 array of shape [vocabulary_size].

        Raises:
            SamplingError: If a shape or an argument is wrong.
        """
        import numpy as np

        cdef RealBuffer row = RealBuffer(logits, 1, "logits")
        cdef int64_t row_state = self.checked_state(state)
        cdef int64_t limit = checked_remaining(remaining)
        if not row.is_float32 or row.size != self.vocabulary_size:
            raise SamplingError(f"logits must be float32 of shape ({self.vocabulary_size},)")
        cdef bytearray memory = new_memory(row.size * sizeof(float))
        cdef float *masked = <float *>PyByteArray_AsString(memory)
        memcpy(masked, row.buffer.buf, row.size * sizeof(float))
        textgen_constraint_mask(&self.core, row_state, limit, masked)
        return np.frombuffer(memory, np.float32)

    def step(self, state, token, remaining=None):
        """Return the state after a token, or -1 if the token is forbidden, also in an accepting state.

        Args:
            state: The state before the token.
            token: The token.
            remaining: As for ``mask``.

        Raises:
            SamplingError: If an argument is out of range.
        """
        return textgen_constraint_next(
            &self.core,
            self.checked_state(state),
            checked_index("a token", token, self.core.vocabulary),
            checked_remaining(remaining),
        )

    def is_accepting(self, state):
        """Return whether the text matches if it ends in this state."""
        return textgen_constraint_accepting(&self.core, self.checked_state(state))

    def is_complete(self, state):
        """Return whether the text matches, and no token can follow."""
        return textgen_constraint_complete(&self.core, self.checked_state(state))

    def __eq__(self, other):
        if not isinstance(other, Constraint):
            return NotImplemented
        cdef Constraint constraint = other
        return (
            self.states == constraint.states
            and self.next_memory == constraint.next_memory
            and self.distance_memory == constraint.distance_memory
        )

    def __hash__(self):
        return hash((self.states, self.vocabulary_size, bytes(self.distance_memory)))

    def __repr__(self):
        return f"<Constraint of {self.states} states and {self.vocabulary_size} tokens>"


cdef int link_table(textgen_constraint *constraint, object banned) except -1:
    cdef const int64_t *tokens = <const int64_t *>address_of(banned)
    cdef size_t count = len(banned)
    cdef char[256] message
    cdef textgen_error error
    cdef int32_t result
    error.text, error.size = message, sizeof(message)
    with nogil:
        result = textgen_constraint_link(constraint, &error)
        if result == 0:
            textgen_constraint_digest(constraint)
            result = textgen_constraint_ban(constraint, tokens, count, &error)
    if result == TEXTGEN_OUT_OF_MEMORY:
        raise MemoryError(message.decode())
    if result < 0:
        raise ConstraintError(message.decode())
    return 0


cdef int64_t checked_remaining(object remaining) except -1:
    if remaining is None:
        return INT64_MAX
    remaining = PyNumber_Index(remaining)
    if remaining < 1:
        raise SamplingError(f"remaining must be 1 or more, not {quote(remaining)}")
    return min(remaining, <object>INT64_MAX)


cdef bytearray copy_transitions(object transitions, Py_ssize_t states):
    """Copy a table of int16 values. Raise SamplingError if its type or shape is wrong."""
    cdef Py_buffer buffer
    cdef bint fits
    cdef bytearray memory = None
    PyObject_GetBuffer(transitions, &buffer, PyBUF_ND | PyBUF_FORMAT)
    fits = buffer.format != NULL and buffer.format[0] == c"h" and buffer.format[1] == 0 and buffer.len > 0
    fits = fits and (buffer.ndim == 1 or (buffer.ndim == 2 and buffer.shape[0] == states))
    fits = fits and buffer.len % (states * <Py_ssize_t>sizeof(int16_t)) == 0
    if fits:
        memory = new_memory(buffer.len)
        memcpy(PyByteArray_AsString(memory), buffer.buf, buffer.len)
    PyBuffer_Release(&buffer)
    if not fits:
        raise SamplingError(f"transitions must be a contiguous int16 array of {states} rows, one per state")
    return memory


cdef bytearray int32_tokens(object tokens, int64_t low, Py_ssize_t vocabulary):
    """Return tokens as an array of int32. Raises SamplingError if one is below ``low`` or too large."""
    values = tokens if isinstance(tokens, array) and tokens.typecode == "q" else array("q", tokens)
    cdef const int64_t[::1] numbers = values if len(values) else array("q", [0])
    cdef bytearray memory = new_memory(len(values) * sizeof(int32_t))
    cdef int32_t *narrow = <int32_t *>PyByteArray_AsString(memory)
    cdef Py_ssize_t i
    for i in range(len(values)):
        if not low <= numbers[i] < vocabulary:
            raise SamplingError(f"each token must be from {low} to {vocabulary - 1}, not {numbers[i]}")
        narrow[i] = <int32_t>numbers[i]
    return memory


@cython.final
cdef class Spans:
    """The spans of a corpus that no text copies: its successive tokens that are one more than ``max_copy``.

    Args:
        tokens: The corpus; -1 for a character that no text can have.
        max_copy: How many successive tokens of the corpus a text may have, from 1 to 1000.
        vocabulary_size: The number of tokens.

    Attributes:
        max_copy, vocabulary_size: As above.

    Raises:
        SamplingError: If an argument is out of range, or if the corpus is too large.
        MemoryError: If there is not enough memory: up to 20 bytes for each token.
    """

    def __cinit__(self, tokens, max_copy, vocabulary_size):
        cdef size_t vocabulary = checked_index("vocabulary_size", vocabulary_size, MAX_ENTRIES + 1)
        cdef size_t copied = checked_index("max_copy", max_copy, INT32_MAX)
        cdef bytearray memory = int32_tokens(tokens, -1, vocabulary)
        cdef const int32_t *corpus = <const int32_t *>PyByteArray_AsString(memory)
        cdef size_t count = len(memory) // sizeof(int32_t)
        cdef char[256] message
        cdef textgen_error error
        cdef int32_t result
        error.text, error.size = message, sizeof(message)
        with nogil:
            result = textgen_spans_build(&self.core, corpus, count, vocabulary, copied, &error)
        if result == TEXTGEN_OUT_OF_MEMORY:
            raise MemoryError(message.decode())
        if result < 0:
            raise SamplingError(message.decode())

    def __dealloc__(self):
        textgen_spans_release(&self.core)

    @property
    def max_copy(self):
        return self.core.max_copy

    @property
    def vocabulary_size(self):
        return self.core.vocabulary

    def count_copied(self, tokens):
        """Return how many of the tokens of a text are in its spans that the corpus has too."""
        cdef bytearray memory = int32_tokens(tokens, 0, self.core.vocabulary)
        cdef const int32_t *text = <const int32_t *>PyByteArray_AsString(memory)
        cdef int64_t count = len(memory) // sizeof(int32_t), copied = 0, end = 0, i
        cdef uint64_t hashed = 0
        with nogil:
            for i in range(count):
                if textgen_spans_has(&self.core, text, i, hashed, text[i]):
                    # Spans may overlap.
                    copied += i + 1 - max(end, i - self.core.max_copy)
                    end = i + 1
                hashed = textgen_spans_next(&self.core, text, i, hashed, text[i])
        return copied
