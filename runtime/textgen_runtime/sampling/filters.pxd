"""The parameters of the filters, for other Cython code. Needs no C header and no library."""


cdef class Filters:
    cdef readonly Py_ssize_t top_k
    cdef readonly double typical_p
    cdef readonly double top_p
    cdef readonly double min_p
    cdef readonly double repetition_penalty
    cdef readonly double frequency_penalty
    cdef readonly double presence_penalty
    cdef readonly Py_ssize_t penalty_window
    cdef readonly double mirostat_tau
    cdef readonly double mirostat_eta
    # Pairs of token and bias, sorted by token.
    cdef readonly tuple logit_bias
    cdef readonly bint active
    # Whether a penalty is on, so that the filters remember the drawn tokens.
    cdef bint penalizes
