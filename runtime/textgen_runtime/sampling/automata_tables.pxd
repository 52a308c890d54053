"""Compute the distances of constraints."""

from .c_automata cimport textgen_constraint

# Check `next`, write `distance`, and remove the transitions to states from which no text can match. The
# distance of such a state becomes INT32_MAX.
cdef int fill_distances(textgen_constraint *constraint, list accepting) except -1
