"""Pass the guides of lanes to the C core."""

from .c_core cimport textgen_token_lane


# Set the stop texts and the constraint of a lane whose length is set, or none if `guide` is None. Raises the
# errors of `check_guide`. The lane uses the memory of the guide.
cdef int set_guide(textgen_token_lane *lane, object guide, Py_ssize_t vocabulary) except -1

# Return a guide with the states of a lane.
cdef object advanced_guide(object guide, const textgen_token_lane *lane)
