"""Check the guides of lanes, and pass them to the C core.

The C core checks neither the states of a guide nor its vocabulary, so this code checks both.
"""

from cpython.number cimport PyNumber_Index
from libc.stdint cimport INT64_MAX

from .c_core cimport textgen_token_lane
from textgen_runtime.sampling.automata cimport Constraint, Stops

from .base import Guide
from textgen_runtime.errors import SamplingError, quote


cdef int set_guide(textgen_token_lane *lane, object guide, Py_ssize_t vocabulary) except -1:
    """Set the stop texts and the constraint of a lane whose length is set.

    The lane uses the memory of the guide. Raises the errors of ``check_guide``.
    """
    if not isinstance(guide, Guide):
        raise TypeError(f"the guide of a lane must be a Guide or None, not {type(guide).__name__}")
    stops, stop_state, constraint, constraint_state, must_end, masked, min_length = <tuple>guide
    lane.min_length = max(0, min(PyNumber_Index(min_length), INT64_MAX))
    if stops is not None:
        set_stops(lane, stops, stop_state, vocabulary)
    if constraint is not None:
        lane.must_end, lane.masked = must_end, masked
        set_constraint(lane, constraint, constraint_state, vocabulary)
    return 0


cdef int set_stops(
    textgen_token_lane *lane, object stops, object state, Py_ssize_t vocabulary
) except -1:
    if not isinstance(stops, Stops):
        raise TypeError(f"the stops of a guide must be Stops, not {type(stops).__name__}")
    cdef Stops automaton = stops
    check_vocabulary("stops", automaton.core.vocabulary, vocabulary)
    lane.stop_state = checked_state("stop_state", state, automaton.states)
    lane.stops = &automaton.core
    return 0


cdef int set_constraint(
    textgen_token_lane *lane, object constraint, object state, Py_ssize_t vocabulary
) except -1:
    if not isinstance(constraint, Constraint):
        raise TypeError(
            f"the constraint of a guide must be a Constraint, not {type(constraint).__name__}"
        )
    cdef Constraint automaton = constraint
    check_vocabulary("constraint", automaton.core.vocabulary, vocabulary)
    lane.constraint_state = checked_state("constraint_state", state, automaton.states)
    lane.constraint = &automaton.core
    needed = automaton.core.distance[lane.constraint_state]
    if lane.must_end and needed > lane.length:
        raise SamplingError(
            f"the text needs {needed} or more tokens to match, but may have only {lane.length}: "
            "increase the length"
        )
    return 0


cdef int check_vocabulary(str name, Py_ssize_t vocabulary, Py_ssize_t expected) except -1:
    if vocabulary != expected:
        raise ValueError(
            f"the {name} of a guide must have the vocabulary size of the model, {expected}, "
            f"not {vocabulary}"
        )
    return 0


cdef Py_ssize_t checked_state(str name, object state, Py_ssize_t states) except -1:
    # Convert once: an object may change between two conversions.
    state = PyNumber_Index(state)
    if not 0 <= state < states:
        raise ValueError(f"the {name} of a guide must be in [0, {states}), not {quote(state)}")
    return state


cdef object advanced_guide(object guide, const textgen_token_lane *lane):
    """Return a guide with the states of a lane."""
    stops, _, constraint, _, must_end, masked, _ = <tuple>guide
    min_length = max(0, lane.min_length - lane.generated)
    return new_tuple(
        Guide, (stops, lane.stop_state, constraint, lane.constraint_state, must_end, masked, min_length)
    )


def check_guide(guide, length, Py_ssize_t vocabulary_size):
    """Check the guide of a lane.

    Args:
        guide: The ``Guide``.
        length: The length of the lane, 1 or more.
        vocabulary_size: The vocabulary size of the model.

    Raises:
        ValueError: If the guide has another vocabulary size, or a state that does not exist.
        SamplingError: If the text must end, and needs more than ``length`` tokens to match.
        TypeError: If the guide or one of its fields is of the wrong type.
    """
    cdef textgen_token_lane lane
    lane.length = min(length, INT64_MAX)
    set_guide(&lane, guide, vocabulary_size)
