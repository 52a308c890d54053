"""The engine that runs a model file with onnxruntime: a forward function of the C core."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ._core import CoreModel
from .engine import Engine
from .errors import ModelFileError, first_line, quote, shorten
from .model_file import LOGITS, NEXT, TOKEN
from .results import State

# Steps of a chunk of one lane: a few milliseconds for a small model.
CHUNK_STEPS = 256

# onnxruntime's "fatal" log level: the errors of the engine replace its log output.
LOG_FATAL = 4

# The type and the number of dimensions of each input.
TOKEN_TYPE = ("tensor(int64)", 2)
STATE_TYPE = ("tensor(float)", 3)


class OnnxEngine(Engine):
    """Runs any ONNX graph that has the inputs and outputs of a text generator.

    The graph declares its state: each float32 input ``x`` besides ``token`` needs an output ``next_x`` of the
    same shape. The constructor checks the inputs and outputs. A graph may still change its output shapes, so
    each step checks them again. The core runs one lane after the other: onnxruntime rounds a batch
    differently from a single lane, and lanes must be independent of each other.

    Args:
        content: The content of the model file.
        threads: The number of threads of one step. More than one helps only with large batches: a step of
            these models is too short.

    Raises:
        ModelFileError: If onnxruntime cannot run the graph, if its inputs or outputs are wrong, or if the
            metadata is not that of a text generator.
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        try:
            # With the fallback, onnxruntime prints the error and tries again.
            self._session = onnxruntime.InferenceSession(
                content, _session_options(threads), providers=["CPUExecutionProvider"], enable_fallback=0
            )
            # Raises if a name or a type is not UTF-8.
            inputs = {node.name: (node.type, node.shape) for node in self._session.get_inputs()}
            outputs = {node.name for node in self._session.get_outputs()}
        except MemoryError:
            raise
        # The exceptions of onnxruntime have no common base class except Exception.
        except Exception as error:
            raise ModelFileError(f"onnxruntime cannot read the ONNX model: {first_line(error)}") from error
        self._partial_run_options = onnxruntime.RunOptions()
        self._partial_run_options.only_execute_path_to_fetches = True
        self._state = _read_state_shapes(inputs, outputs)
        self._outputs = [LOGITS, *(NEXT + name for name in self._state)]
        core = CoreModel(
            content, forward=self._forward_lane, state_shapes=self._state, vocabulary=self._count_logits()
        )
        super().__init__(core, f"onnxruntime {onnxruntime.__version__}")

    def chunk_length(self, lanes: int) -> int:
        return max(1, CHUNK_STEPS // lanes)

    def forward(
        self, tokens: NDArray[np.int64], state: State, *, last_only: bool = False
    ) -> tuple[NDArray[np.float32], State]:
        inputs: dict[str, NDArray[Any]] = {name: state[name] for name in self._state}
        if last_only and len(tokens) > 1:
            # Run all steps but the last without the nodes of the logits.
            inputs[TOKEN] = tokens[:-1]
            arrays = self._run(self._outputs[1:], inputs, self._partial_run_options)
            inputs = dict(zip(self._state, arrays, strict=True))
            tokens = tokens[-1:]
        logits, *after = self._run(self._outputs, inputs | {TOKEN: tokens})
        # The shape of an output can change between steps, its type cannot.
        fits = logits.shape == (*tokens.shape, self.vocabulary_size)
        if not fits or any(
            new.shape != inputs[name].shape for name, new in zip(self._state, after, strict=True)
        ):
            raise ModelFileError("the graph returned arrays of other shapes than in its first step")
        return logits, dict(zip(self._state, after, strict=True))

    def _forward_lane(self, tokens: memoryview, state: memoryview, logits: memoryview) -> None:
        """Run the network for the core: see ``CoreModel``."""
        before = self.split_state(state)
        rows_of_logits, after = self.forward(np.asarray(tokens)[:, np.newaxis], before, last_only=True)
        np.asarray(logits)[:] = rows_of_logits[-1, 0]
        for name, array in before.items():
            array[:] = after[name]

    def _run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]], options: Any = None) -> Any:
        """Run the graph and return the named outputs."""
        try:
            return self._session.run(outputs, inputs, options)
        except MemoryError:
            raise
        except Exception as error:
            raise ModelFileError(f"onnxruntime cannot run the graph: {first_line(error)}") from error

    def _count_logits(self) -> int:
        """Run two steps of two lanes, check the outputs, and return the number of logits."""
        try:
            inputs: dict[str, NDArray[Any]] = {
                name: np.zeros((rows, 2, units), np.float32) for name, (rows, units) in self._state.items()
            }
        # numpy raises ValueError if the size in bytes overflows.
        except (ValueError, MemoryError):
            raise ModelFileError(f"the state is too large: {self._state}") from None
        outputs = self._run(self._outputs, inputs | {TOKEN: np.zeros((2, 2), np.int64)})
        if any(not isinstance(output, np.ndarray) or output.dtype != np.float32 for output in outputs):
            raise ModelFileError(f"the outputs {quote(self._outputs)} must all be float32 tensors")
        logits, *after = outputs
        if logits.ndim != 3 or logits.shape[:2] != (2, 2):  # noqa: PLR2004
            raise ModelFileError(
                f"the output {LOGITS!r} must be of shape [time, batch, vocabulary], not {logits.shape}"
            )
        if [array.shape for array in after] != [array.shape for array in inputs.values()]:
            raise ModelFileError("the state outputs must have the shapes of the state inputs")
        return int(logits.shape[2])


def _session_options(threads: int) -> Any:
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


def _read_state_shapes(
    inputs: Mapping[str, tuple[str, list[Any]]], outputs: Collection[str]
) -> dict[str, tuple[int, int]]:
    """Check the declared inputs and outputs of a graph.

    Args:
        inputs: Type and shape of each input, by name.
        outputs: The names of the outputs.

    Returns:
        Rows and units of each state array, by name.

    Raises:
        ModelFileError: If they are not those of a text generator.
    """
    state = [name for name in inputs if name != TOKEN]
    if TOKEN not in inputs or not state or not {LOGITS, *(NEXT + name for name in state)}.issubset(outputs):
        raise ModelFileError(
            f"not a text generator: the inputs are {quote(sorted(inputs))} and the outputs are "
            f"{quote(sorted(outputs))}; expected the input {TOKEN!r}, the output {LOGITS!r}, and for "
            f"each state input x an output {NEXT}x"
        )
    for name, (tensor_type, shape) in inputs.items():
        expected_type, ndim = TOKEN_TYPE if name == TOKEN else STATE_TYPE
        sizes = [] if name == TOKEN else shape[::2]
        if (
            tensor_type != expected_type
            or len(shape) != ndim
            or not all(isinstance(size, int) and size > 0 for size in sizes)
        ):
            raise ModelFileError(
                f"the input {quote(name)} must be {expected_type} of {ndim} dimensions, with fixed rows and "
                f"units, not {shorten(tensor_type)} of shape {quote(shape)}"
            )
    return {name: (inputs[name][1][0], inputs[name][1][2]) for name in state}
