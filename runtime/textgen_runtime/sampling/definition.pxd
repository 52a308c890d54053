"""The sampling parameters, for the other modules of this package."""

# Return a number as a double; infinity for an int that is too large.
cdef double as_double(object value) except? -1.0

# Copy the numbers of a Sampling to a textgen_parameters of the C core.
cdef int read_parameters(object sampling, void *parameters) except -1

# Return the numbers of a textgen_parameters by name.
cdef dict write_parameters(const void *parameters)
