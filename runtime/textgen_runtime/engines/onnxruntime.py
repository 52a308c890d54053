"""The engine that runs a model file with onnxruntime."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from textgen_runtime._core import CoreModel, Lanes
from textgen_runtime.errors import ModelFileError, first_line, quote, shorten
from textgen_runtime.model_file.network import HIDDEN, LOGITS, NEXT, TOKEN, Network

from .base import Generated, Lane, Measurements, State, Stream, has_no_error

# Steps of a chunk of one lane: a few milliseconds for a small model.
CHUNK_STEPS = 256

# onnxruntime's "fatal" log level: the errors of the engine replace its log output.
LOG_FATAL = 4

# The type and the number of dimensions of each input.
TOKEN_TYPE = ("tensor(int64)", 2)
STATE_TYPE = ("tensor(float)", 3)


class OnnxEngine:
    """Runs any ONNX graph that has the inputs and outputs of a text generator.

    The graph declares its state: each float32 input ``x`` besides ``token`` needs an output ``next_x`` of the
    same shape. The constructor checks the inputs and outputs. A graph may still change its output shapes, so
    each step checks them again.

    Args:
        model: The content of the model file.
        threads: The number of threads of one step. More than one helps only with large batches: a step of
            these models is too short.

    Attributes:
        name: ``onnxruntime`` and its version.
        network: The state arrays and the vocabulary size. The layers are not known.
        vocabulary_size: The number of logits.
        core: The model in the C core, which draws the tokens.

    Raises:
        ModelFileError: If onnxruntime cannot run the graph, if its inputs or outputs are wrong, or if the
            metadata is not that of a text generator.
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        options = _session_options(threads)
        try:
            # With the fallback, onnxruntime prints the error and tries again.
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"], enable_fallback=0
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
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self._state = _read_state_shapes(inputs, outputs)
        self._outputs = [LOGITS, *(NEXT + name for name in self._state)]
        self._state_outputs = list(enumerate(self._state, 1))
        self.vocabulary_size = self._probe_vocabulary_size()
        self.network = Network((), self._state, self.vocabulary_size, bits=None)
        self.core = CoreModel(
            model, forward=self._forward_lane, state_shapes=self._state, vocabulary=self.vocabulary_size
        )

    def chunk_length(self, lanes: int) -> int:
        return max(1, CHUNK_STEPS // lanes)

    def initial_state(self, batch: int = 1) -> State:
        return self.core.initial_state(batch)

    def forward(
        self, tokens: NDArray[np.int64], state: State, *, last_only: bool = False
    ) -> tuple[NDArray[np.float32], State]:
        inputs: dict[str, NDArray[Any]] = {name: np.asarray(state.buffers[name]) for name in self._state}
        if last_only and len(tokens) > 1:
            # Run all steps but the last without the nodes of the logits.
            inputs[TOKEN] = tokens[:-1]
            arrays = self._run(self._outputs[1:], inputs, self._partial_run_options)
            inputs = dict(zip(self._state, arrays, strict=True))
            tokens = tokens[-1:]
        inputs[TOKEN] = tokens
        outputs = self._step(inputs)
        return outputs[0], State({name: outputs[i] for i, name in self._state_outputs})

    def new_stream(self, seed: int = 0, substream: int = 0) -> Stream:
        return Stream(self.core, seed, substream)

    def generate(
        self, lanes: Sequence[Lane], steps: int, measurements: Measurements | None = None
    ) -> list[Generated]:
        measured = None
        if measurements is not None:
            measured = Measurements(latencies=measurements.latencies is not None)
        call = Lanes(lanes, steps)
        try:
            # The core runs one lane after the other: onnxruntime rounds a batch differently from a single
            # lane, and lanes must be independent of each other.
            call.run(0, len(call), measured)
        finally:
            call.release()
        results = call.results()
        if measurements is not None and measured is not None and has_no_error(results):
            measurements.merge(measured)
        return results

    def _forward_lane(self, tokens: memoryview, state: memoryview, logits: memoryview) -> None:
        """Run the network for the core: see ``CoreModel``."""
        values = np.asarray(state)
        arrays, start = {}, 0
        for name, (rows, units) in self._state.items():
            arrays[name] = values[start : start + rows * units].reshape(rows, 1, units)
            start += rows * units
        rows_of_logits, after = self.forward(np.asarray(tokens)[:, np.newaxis], State(arrays), last_only=True)
        np.asarray(logits)[:] = rows_of_logits[-1, 0]
        for name, array in arrays.items():
            array[:] = after.buffers[name]

    def _step(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Run the graph, check the shapes of all outputs, and return them: logits and next state."""
        outputs: list[NDArray[np.float32]] = self._run(self._outputs, inputs)
        # Plain loops: a step takes 20 microseconds, and the check must take less than 2.
        fits = outputs[0].shape == (*inputs[TOKEN].shape, self.vocabulary_size)
        for i, name in self._state_outputs:
            fits = fits and outputs[i].shape == inputs[name].shape
        # The shape of an output can change between steps, its type cannot.
        if not fits:
            raise ModelFileError(
                f"the graph returned logits of shape {outputs[0].shape} and a next state of shape "
                f"{', '.join([str(array.shape) for array in outputs[1:]])}, unlike in its first step: "
                "export the model again"
            )
        return outputs

    def _run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]], options: Any = None) -> Any:
        """Run the graph and return the named outputs."""
        try:
            return self._session.run(outputs, inputs, options)
        except MemoryError:
            raise
        except Exception as error:
            raise ModelFileError(f"onnxruntime cannot run the graph: {first_line(error)}") from error

    def _probe_vocabulary_size(self) -> int:
        """Run two steps of two lanes, check the outputs, and return the number of logits."""
        try:
            inputs: dict[str, NDArray[Any]] = {
                name: np.zeros((layers, 2, units), np.float32)
                for name, (layers, units) in self._state.items()
            }
        # numpy raises ValueError if the size in bytes overflows.
        except (ValueError, MemoryError):
            sizes = ", ".join(
                f"{layers:,} layers of {units:,} units" for layers, units in self._state.values()
            )
            raise ModelFileError(f"the state is too large ({sizes}): use a smaller model") from None
        shapes = [array.shape for array in inputs.values()]
        outputs = self._run(self._outputs, inputs | {TOKEN: np.zeros((2, 2), np.int64)})
        if any(not isinstance(output, np.ndarray) or output.dtype != np.float32 for output in outputs):
            raise ModelFileError(
                f"the outputs {quote(self._outputs)} must all be float32 tensors: export the model again"
            )
        logits, *arrays = outputs
        if logits.ndim != 3 or logits.shape[:2] != (2, 2):  # noqa: PLR2004
            raise ModelFileError(
                f"the output {LOGITS!r} must be of shape [time, batch, vocabulary], not {logits.shape}: "
                "export the model again"
            )
        if [array.shape for array in arrays] != shapes:
            raise ModelFileError(
                "the state outputs must have the shapes of the state inputs: export the model again"
            )
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
