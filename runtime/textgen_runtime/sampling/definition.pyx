# cython: language_level=3, freethreading_compatible=True
"""The descriptions of the sampling parameters, as ``runtime/core/parameters.def`` defines them."""

cimport cython
from libc.math cimport INFINITY, isnan
from libc.stdint cimport INT64_MAX

from .c_sampler cimport (
    TEXTGEN_PARAMETER_COUNT,
    TEXTGEN_REQUIREMENT_SIZE,
    textgen_parameter,
    textgen_parameter_accepts,
    textgen_parameter_info,
    textgen_parameter_requirement,
    textgen_parameters,
    textgen_parameters_get,
    textgen_parameters_set,
)

# Kinds of parameters that have no value by default.
NO_VALUE = ("text", "choices", "schema")


@cython.final
cdef class Parameter:
    """The description of a sampling parameter. Immutable.

    Attributes:
        name: The name, such as ``"top_p"``.
        kind: ``"number"``, ``"whole"``, ``"switch"``, ``"text"``, ``"texts"``, ``"characters"``,
            ``"biases"``, ``"choices"`` or ``"schema"``.
        group: A heading for several parameters; "" for the temperature.
        value: A name for the value in a help text.
        help: What the parameter does, in one line. ``{top_p}`` stands for the parameter of this name.
        default: The default.
        off: The number that turns the parameter off, or None.
        low: The least number.
        high: The largest number.
        order: A draw applies the parameters in this order.
        in_core: Whether the C core applies the parameter to each draw.
        requirement: What a number must be, such as ``"a number from 0 to 1"``.
    """

    cdef textgen_parameter_info info
    cdef readonly str name
    cdef readonly str kind
    cdef readonly str group
    cdef readonly str value
    cdef readonly str help
    cdef readonly object default
    cdef readonly object off
    cdef readonly object low
    cdef readonly object high
    cdef readonly int order
    cdef readonly bint in_core
    cdef readonly str requirement

    def accepts(self, value):
        """Return whether a number is a value of the parameter."""
        if self.kind == "whole":
            return self.low <= value <= self.high and value == int(value)
        return bool(textgen_parameter_accepts(&self.info, as_double(value)))

    def __repr__(self):
        return f"Parameter({self.name!r})"

    def __reduce__(self):
        return find_parameter, (self.name,)


def find_parameter(name):
    """Return the description of a parameter. Unpickling calls this function."""
    return PARAMETERS[name]


cdef Parameter describe(size_t index):
    """Return a description, or None after the last one."""
    cdef const textgen_parameter_info *info = textgen_parameter(index)
    cdef Parameter created
    cdef char requirement[TEXTGEN_REQUIREMENT_SIZE]
    if info == NULL:
        return None
    created = Parameter.__new__(Parameter)
    created.info = info[0]
    created.requirement = textgen_parameter_requirement(info, requirement).decode()
    created.name, created.kind = info.name.decode(), info.kind.decode()
    created.group, created.value, created.help = info.group.decode(), info.value.decode(), info.help.decode()
    created.order, created.in_core = info.order, index < TEXTGEN_PARAMETER_COUNT
    number = int if created.kind == "whole" else float
    # The largest integer is rounded up as a double.
    created.low, created.high = number(info.low), number(info.high)
    created.high = min(created.high, INT64_MAX) if number is int else created.high
    created.off = None if isnan(info.off) else number(info.off)
    if created.kind in NO_VALUE or created.name == "allowed":
        created.default = None
    elif created.kind in ("number", "whole"):
        created.default = number(info.initial)
    else:
        created.default = False if created.kind == "switch" else ()
    return created


# By name. The first ones are those that the core applies.
PARAMETERS = {}
cdef Parameter described = describe(0)
while described is not None:
    PARAMETERS[described.name] = described
    described = describe(len(PARAMETERS))
cdef tuple CORE_PARAMETERS = tuple(PARAMETERS)[:TEXTGEN_PARAMETER_COUNT]


cdef double as_double(object value) except? -1.0:
    try:
        return value
    except OverflowError:
        # An int that is too large for a double. It is out of every range.
        return INFINITY


cdef int read_parameters(object sampling, void *parameters) except -1:
    """Copy the numbers of a ``Sampling``, or of another object with its attributes."""
    cdef double values[TEXTGEN_PARAMETER_COUNT]
    cdef Py_ssize_t i
    for i in range(TEXTGEN_PARAMETER_COUNT):
        values[i] = getattr(sampling, <str>CORE_PARAMETERS[i])
    textgen_parameters_set(<textgen_parameters *>parameters, values)
    return 0


cdef dict write_parameters(const void *parameters):
    """Return the numbers of a ``textgen_parameters`` by name."""
    cdef double values[TEXTGEN_PARAMETER_COUNT]
    textgen_parameters_get(<const textgen_parameters *>parameters, values)
    names = enumerate(CORE_PARAMETERS)
    return {name: int(values[i]) if PARAMETERS[name].kind == "whole" else values[i] for i, name in names}
