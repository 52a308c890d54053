"""Compute the tables of automata over tokens."""

from .c_automata cimport textgen_constraint, textgen_stops

# Return two lists with an item for each state of the prefix tree of texts: a dict of the states after its
# tokens; and the length of the text that ends there, or 0.
cdef tuple make_trie(tuple texts)

# Write `next` and `matched` of all states of a prefix tree. Return a list of their depths: see Stops.depth.
cdef list fill_stops(textgen_stops *stops, list children, list lengths)

# Check `next`, write `distance`, and remove the transitions to states from which no text can match. The
# distance of such a state becomes INT32_MAX.
cdef int fill_distances(textgen_constraint *constraint, list accepting) except -1
