"""Compute the distances of constraints: the tokens from each state to the nearest accepting one."""

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport INT32_MAX, int16_t, int32_t
from libc.string cimport memcpy, memset

from .c_automata cimport textgen_constraint

from textgen_runtime.errors import SamplingError


cdef int fill_distances(textgen_constraint *constraint, list accepting) except -1:
    """Check ``next``, write ``distance``, and remove the transitions to states from which no text can match.

    The distance of such a state becomes INT32_MAX.
    """
    cdef int16_t *table = <int16_t *>constraint.next
    cdef int32_t *distance = <int32_t *>constraint.distance
    cdef Py_ssize_t vocabulary = constraint.vocabulary
    cdef Py_ssize_t states = len(accepting)
    cdef Py_ssize_t state, edges
    # For the states [states]: where their sources begin, and the latest source that was seen.
    cdef bytearray work_memory = new_memory((2 * states + 1) * sizeof(int32_t))
    cdef int32_t *starts = <int32_t *>PyByteArray_AS_STRING(work_memory)
    cdef int32_t *latest = starts + states + 1
    cdef bytearray source_memory
    cdef int32_t *sources
    for state in range(states):
        distance[state] = 0 if accepting[state] else INT32_MAX
    edges = count_sources(table, states, vocabulary, starts, latest)
    if edges < 0:
        raise SamplingError(f"transitions must be -1 or a state from 0 to {states - 1}")
    source_memory = new_memory((edges + states) * sizeof(int32_t))
    sources = <int32_t *>PyByteArray_AS_STRING(source_memory)
    with nogil:
        measure_distances(table, states, vocabulary, starts, latest, sources, distance)
        remove_dead_ends(table, states, vocabulary, distance)
    return 0


cdef Py_ssize_t count_sources(
    const int16_t *table, Py_ssize_t states, Py_ssize_t vocabulary, int32_t *starts, int32_t *latest
) noexcept nogil:
    """Write to starts[i + 1] how many states lead to state i.

    latest: temporary, [states]. Return the sum, or -1 if a transition is invalid.
    """
    cdef Py_ssize_t edges = 0
    cdef Py_ssize_t state, i
    cdef int16_t target
    memset(starts, 0, (states + 1) * sizeof(int32_t))
    for state in range(states):
        latest[state] = -1
    for state in range(states):
        for i in range(vocabulary):
            target = table[state * vocabulary + i]
            if not -1 <= target < states:
                return -1
            if target >= 0 and latest[target] != state:
                latest[target] = state
                starts[target + 1] += 1
                edges += 1
    return edges


cdef void measure_distances(
    const int16_t *table,
    Py_ssize_t states,
    Py_ssize_t vocabulary,
    int32_t *starts,
    int32_t *latest,
    int32_t *sources,
    int32_t *distance,
) noexcept nogil:
    """Write the distance of each state to the nearest accepting state: a breadth-first search backwards.

    sources: temporary, [edges + states]. distance: 0 for accepting states, else INT32_MAX.
    """
    cdef Py_ssize_t state, i
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t last = 0
    cdef int32_t *queue
    cdef int32_t *cursor = latest
    cdef int16_t target
    for state in range(states):
        starts[state + 1] += starts[state]
    # The sources of all states, sorted by state. `cursor` is where the next source of a state goes.
    memcpy(cursor, starts, states * sizeof(int32_t))
    for state in range(states):
        for i in range(vocabulary):
            target = table[state * vocabulary + i]
            if target >= 0 and (cursor[target] == starts[target] or sources[cursor[target] - 1] != state):
                sources[cursor[target]] = state
                cursor[target] += 1
    queue = sources + starts[states]
    for state in range(states):
        if distance[state] == 0:
            queue[last] = state
            last += 1
    while first < last:
        state = queue[first]
        first += 1
        for i in range(starts[state], starts[state + 1]):
            if distance[sources[i]] == INT32_MAX:
                distance[sources[i]] = distance[state] + 1
                queue[last] = sources[i]
                last += 1


cdef void remove_dead_ends(
    int16_t *table, Py_ssize_t states, Py_ssize_t vocabulary, int32_t *distance
) noexcept nogil:
    """Forbid the tokens after which no text can match. Set the distance of complete states to -1."""
    cdef Py_ssize_t state, i
    cdef bint complete
    cdef int16_t *row
    for state in range(states):
        row, complete = table + state * vocabulary, True
        for i in range(vocabulary):
            if row[i] >= 0 and distance[row[i]] == INT32_MAX:
                row[i] = -1
            complete = complete and row[i] < 0
        if complete and distance[state] == 0:
            distance[state] = -1
