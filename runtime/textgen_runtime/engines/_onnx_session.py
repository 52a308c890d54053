"""The options of an onnxruntime session, and the check of a graph's inputs and outputs."""

from collections.abc import Collection, Mapping
from typing import Any

import onnxruntime

from textgen_runtime.errors import ModelFileError, quote, shorten
from textgen_runtime.model_file.network import HIDDEN, LOGITS, NEXT, TOKEN

# onnxruntime's "fatal" log level: the errors of the engine replace its log output.
LOG_FATAL = 4

# The type and the number of dimensions of each input.
TOKEN_TYPE = ("tensor(int64)", 2)
STATE_TYPE = ("tensor(float)", 3)


def session_options(threads: int) -> Any:
    """Return the options of an onnxruntime session.

    Args:
        threads: The number of threads of one step. They do not spin.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads would keep a core busy between the steps.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Without this, a step of a model with 8-bit weights would convert all of them to float32 again.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.log_severity_level = LOG_FATAL
    return options


def read_state_shapes(
    inputs: Mapping[str, tuple[str, list[Any]]], outputs: Collection[str]
) -> dict[str, tuple[int, int]]:
    """Check the declared inputs and outputs of a graph.

    Args:
        inputs: Type and shape of each input, by name.
        outputs: The names of the outputs.

    Returns:
        Layers and units of each state array, by name.

    Raises:
        ModelFileError: If they are not those of a text generator.
    """
    state = [name for name in inputs if name != TOKEN]
    if TOKEN not in inputs or not state or not {LOGITS, *(NEXT + name for name in state)}.issubset(outputs):
        raise ModelFileError(
            f"not a text generator: the inputs are {quote(sorted(inputs))} and the outputs are "
            f"{quote(sorted(outputs))}; expected the input {TOKEN!r}, the output {LOGITS!r}, and for "
            f"each state input x, such as {HIDDEN!r}, an output {NEXT}x"
        )
    for name, (tensor_type, shape) in inputs.items():
        expected_type, ndim = TOKEN_TYPE if name == TOKEN else STATE_TYPE
        if tensor_type != expected_type or len(shape) != ndim:
            raise ModelFileError(
                f"the input {quote(name)} must be {expected_type} of {ndim} dimensions, not "
                f"{shorten(tensor_type)} of shape {quote(shape)}"
            )
    sizes = {name: (inputs[name][1][0], inputs[name][1][2]) for name in state}
    for name, size in sizes.items():
        if not all(isinstance(dimension, int) and dimension > 0 for dimension in size):
            raise ModelFileError(
                f"the input {quote(name)} must have a fixed number of layers and units, but its shape is "
                f"{quote(inputs[name][1])}"
            )
    return sizes
