"""Messages of the Python API, as a user of a command needs them: with options in place of keywords."""

import re

from textgen_runtime.errors import ConstraintError, SamplingError, TextgenError

# Options whose names are not those of their parameters.
SHORTER = {"temperature": "temp"}

# What a message tells a programmer, and then a user of a command; or the other way round. The names of files
# in a message must not match.
PYTHON_FIRST = re.compile(r"\S+ \(command line: (--[^)]+)\)")
PYTHON_LAST = re.compile(r' \(in Python \w+="\w+"\)')


def with_option_names(error: TextgenError, mark: str = "--") -> str:
    """Return the message of an error with the names of options.

    Args:
        error: The error. The message of a ``ConstraintError`` names no parameters.
        mark: What stands before the name of an option: ``/`` in an interactive session.
    """
    message = PYTHON_LAST.sub("", PYTHON_FIRST.sub(r"\1", str(error)))
    if not isinstance(error, SamplingError) or isinstance(error, ConstraintError):
        return message
    # Imported here because the module is compiled, and few runs have such an error.
    from textgen_runtime.sampling.parameters import Sampling

    names = "|".join(Sampling.__slots__)
    # A name directly in quotes is a text of the user.
    return re.sub(rf"(?<![-\w'\"])({names})(?![-\w'\"])", lambda found: mark + _option(found[1]), message)


def _option(parameter: str) -> str:
    return SHORTER.get(parameter, parameter).replace("_", "-")
