"""The engine that runs a model file through onnxruntime."""

from collections.abc import Collection, Mapping, Sequence
from time import perf_counter_ns
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ._sampler import Sampler, entropy, softmax
from .contract import CELL, HIDDEN, INPUTS, LOGITS, OUTPUTS, TOKEN, Contract
from .engine import Decoded, Measurements, State, initial_state, join_states, select_streams
from .errors import ModelFileError, first_line, quote, shorten

SILENT = 4  # onnxruntime's "fatal" level: what is wrong with a file is said in this project's own words.

# Some milliseconds' worth of steps of a model of this size; a step checks for interrupts itself.
PIECE = 256

# What each input must be: onnxruntime's name of its type, and its number of dimensions.
EXPECTED_INPUTS = {TOKEN: ("tensor(int64)", 2), HIDDEN: ("tensor(float)", 3), CELL: ("tensor(float)", 3)}


class OnnxEngine:
    """Any ONNX graph with the contract's inputs and outputs, run by onnxruntime.

    Inputs and outputs are checked here, once. A graph may still make other shapes at another step, so a step
    checks what it gets.

    Args:
        model: The content of the model file.
        threads: How many threads one step may use. A step of these models is far too small to be
            worth more than one; large batches may gain.

    Attributes:
        never_drawn: A token that ``decode`` never draws, or None.

    Raises:
        ModelFileError: If onnxruntime cannot run it, or its inputs and outputs are not the contract's.
    """

    never_drawn: int | None = None

    def __init__(self, model: bytes, threads: int = 1) -> None:
        options = session_options(threads)
        try:
            # Without the fallback, onnxruntime does not print and try again, but says what is wrong.
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
            # Names and types that are not UTF-8 fail here.
            inputs = {node.name: (node.type, node.shape) for node in self._session.get_inputs()}
            outputs = {node.name for node in self._session.get_outputs()}
        except MemoryError:
            raise
        # onnxruntime raises its own kinds, which share no base but Exception.
        except Exception as error:
            raise ModelFileError(
                f"onnxruntime cannot read it as an ONNX model ({first_line(error)})"
            ) from error
        self._needed_nodes = onnxruntime.RunOptions()
        self._needed_nodes.only_execute_path_to_fetches = True
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self.layers, self.units = _check_signature(inputs, outputs)
        self.vocabulary_size = self._probe()

    def piece(self, streams: int) -> int:
        return max(1, PIECE // streams)

    def step(
        self, tokens: NDArray[np.int64], state: State, *, last_only: bool = False
    ) -> tuple[NDArray[np.float32], State]:
        shape = state.hidden.shape
        if last_only and len(tokens) > 1:
            # Nodes that no requested output needs are left out: here those of the logits.
            state = State(*self._run(OUTPUTS[1:], tokens[:-1], state, self._needed_nodes))
            tokens = tokens[-1:]
        logits, hidden, cell = self._run(OUTPUTS, tokens, state)
        # The types of a graph's outputs never change, their shapes may.
        if (
            logits.shape != (*tokens.shape, self.vocabulary_size)
            or hidden.shape != shape
            or cell.shape != shape
        ):
            raise ModelFileError(
                f"the model's graph changed its shapes to {logits.shape} of the logits and "
                f"{hidden.shape} and {cell.shape} of the next state: export it again"
            )
        return logits, State(hidden, cell)

    def _run(
        self, outputs: Sequence[str], tokens: NDArray[np.int64], state: State, options: Any = None
    ) -> Any:
        """Run the graph; the outputs that are named."""
        feed = {TOKEN: tokens, HIDDEN: state.hidden, CELL: state.cell}
        try:
            return self._session.run(outputs, feed, options)
        except MemoryError:
            raise
        except Exception as error:
            raise ModelFileError(f"onnxruntime cannot run the model's graph ({first_line(error)})") from error

    def decode(
        self,
        samplers: Sequence[Sampler],
        logits: NDArray[np.float32],
        state: State,
        length: int,
        measurements: Measurements | None = None,
    ) -> Decoded:
        if length < 0 or not samplers or len(set(map(id, samplers))) != len(samplers):
            raise ValueError("length must be 0 or more, and samplers one for each stream, each another")
        if np.shape(logits) != (len(samplers), self.vocabulary_size):
            raise ValueError(
                f"logits must be of shape {(len(samplers), self.vocabulary_size)}, not {np.shape(logits)}"
            )
        # Stream by stream: onnxruntime's products of several rows differ in the last bit from those of one,
        # and a stream's text must not depend on the others.
        streams = [
            self._decode_one(sampler, logits[i], select_streams(state, slice(i, i + 1)), length, measurements)
            for i, sampler in enumerate(samplers)
        ]
        return Decoded(
            np.concatenate([stream.tokens for stream in streams], axis=1),
            np.concatenate([stream.logits for stream in streams]),
            join_states([stream.state for stream in streams]),
        )

    def _decode_one(
        self,
        sampler: Sampler,
        logits: NDArray[np.float32],
        state: State,
        length: int,
        measurements: Measurements | None,
    ) -> Decoded:
        tokens = np.empty((length, 1), np.int64)
        latencies = np.empty(length, np.int64)
        logits = self._drawable(logits)
        for i in range(length):
            if measurements is None:
                tokens[i] = sampler.draw(logits)
                scores, state = self.step(tokens[i : i + 1], state)
            else:
                bits = entropy(softmax(logits, sampler.temperature))
                start = perf_counter_ns()
                tokens[i] = sampler.draw(logits)
                drawn = perf_counter_ns()
                scores, state = self.step(tokens[i : i + 1], state)
                stepped = perf_counter_ns()
                latencies[i] = stepped - start
                measurements.add(1, 1e-9 * (stepped - drawn), 1e-9 * (drawn - start), bits)
            logits = self._drawable(scores[0, 0])
        if measurements is not None and measurements.latencies is not None:
            measurements.latencies.append(latencies)
        return Decoded(tokens, logits[np.newaxis], state)

    def _drawable(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits, but minus infinity at the token that is never drawn."""
        if self.never_drawn is not None:
            logits = logits.copy()
            logits[self.never_drawn] = -np.inf
        return logits

    def _probe(self) -> int:
        """Run the graph once, over two steps of two streams, for the size of the vocabulary."""
        try:
            state = initial_state(self, batch=2)
        # numpy raises the first for more bytes than it can count.
        except (ValueError, MemoryError):
            raise ModelFileError(
                f"its state of {self.layers:,} layers and {self.units:,} units is too large"
            ) from None
        outputs = self._run(OUTPUTS, np.zeros((2, 2), np.int64), state)
        if any(not isinstance(output, np.ndarray) or output.dtype != np.float32 for output in outputs):
            raise ModelFileError(f"its outputs {list(OUTPUTS)} are not all of type float32")
        logits, *after = outputs
        if logits.ndim != 3 or logits.shape[:2] != (2, 2):  # noqa: PLR2004
            raise ModelFileError(
                f"its output {LOGITS!r} is of shape {logits.shape}, not [time, batch, vocabulary]"
            )
        if [output.shape for output in after] != [array.shape for array in state]:
            raise ModelFileError("its next state is not of the shape of its state")
        return int(logits.shape[2])


def _check_signature(
    inputs: Mapping[str, tuple[str, list[Any]]], outputs: Collection[str]
) -> tuple[int, int]:
    """See that inputs and outputs are the contract's; the numbers of layers and of units."""
    if set(inputs) != set(INPUTS) or not set(OUTPUTS).issubset(outputs):
        raise ModelFileError(
            f"it is no text generator: its inputs are {quote(sorted(inputs))} and its outputs "
            f"{quote(sorted(outputs))}, and {list(INPUTS)} and {list(OUTPUTS)} are expected"
        )
    for name, (kind, dimensions) in EXPECTED_INPUTS.items():
        found, shape = inputs[name]
        if found != kind or len(shape) != dimensions:
            raise ModelFileError(
                f"its input {name!r} is {shorten(found)} of shape {quote(shape)}, not {kind} of {dimensions} "
                "dimensions"
            )
    layers, _, units = inputs[HIDDEN][1]
    if not (isinstance(layers, int) and isinstance(units, int) and layers > 0 and units > 0):
        raise ModelFileError(
            f"its input {HIDDEN!r} does not state its layers and units: {quote(inputs[HIDDEN][1])}"
        )
    return layers, units


def open_onnx(model: bytes, threads: int = 1) -> tuple[OnnxEngine, Contract]:
    """Open a model file's content with onnxruntime.

    Raises:
        ModelFileError: If it is not a text generator of this project's contract.
    """
    engine = OnnxEngine(model, threads)
    contract = Contract.from_metadata(engine.metadata, engine.vocabulary_size)
    engine.never_drawn = contract.vocabulary.unknown
    return engine, contract


def session_options(threads: int) -> Any:
    """How this project sets onnxruntime up: so many threads for a step, and none that spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait for a step by spinning would burn a core for every embedded model.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = SILENT
    return options
