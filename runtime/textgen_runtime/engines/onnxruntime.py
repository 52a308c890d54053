"""The engine that runs a model file through onnxruntime."""

from collections.abc import Collection, Mapping, Sequence
from time import perf_counter_ns
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from textgen_runtime.errors import ModelFileError, first_line, quote, shorten
from textgen_runtime.model_file.graph_names import INPUTS, LOGITS, NEXT, OUTPUTS, TOKEN
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import Network
from textgen_runtime.sampling.distributions import entropy
from textgen_runtime.sampling.sampler import softmax

from .base import Generated, Lane, Measurements, State, check_lanes

SILENT = 4  # onnxruntime's "fatal" level: what is wrong with a file is said in this project's own words.

# Some milliseconds' worth of steps of a model of this size; a step checks for interrupts itself.
CHUNK = 256

# onnxruntime's names of types, and numbers of dimensions.
TOKENS = ("tensor(int64)", 2)
STATE = ("tensor(float)", 3)


class OnnxEngine:
    """Any ONNX graph with the contract's inputs and outputs, run by onnxruntime.

    Its state is what the graph declares: each input ``x`` beside ``token``, which has an output ``next_x``
    of the same shape. Inputs and outputs are checked here, once. A graph may still make other shapes at
    another step, so a step checks what it gets.

    Args:
        model: The content of the model file.
        threads: How many threads one step may use. A step of these models is far too small to be
            worth more than one; large batches may gain.

    Attributes:
        name: What runs the model.
        network: The state; the graph's layers are not looked at.
        vocabulary_size: How many logits there are.
        metadata: Of the model file.
        never_drawn: A token that ``generate`` never draws, or None.

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
        self._state = declared_state(inputs, outputs)
        self._outputs = [LOGITS, *(NEXT + name for name in self._state)]
        self._places = list(enumerate(self._state, 1))
        self.vocabulary_size = self._probe()
        self.network = Network((), self._state, self.vocabulary_size)

    def chunk(self, lanes: int) -> int:
        return max(1, CHUNK // lanes)

    def initial_state(self, batch: int = 1) -> State:
        return State(
            {
                name: np.zeros((layers, batch, units), np.float32)
                for name, (layers, units) in self._state.items()
            }
        )

    def forward(
        self, tokens: NDArray[np.int64], state: State, *, last_only: bool = False
    ) -> tuple[NDArray[np.float32], State]:
        feed = self._arrays(state)
        if last_only and len(tokens) > 1:
            # Nodes that no requested output needs are left out: here those of the logits.
            feed[TOKEN] = tokens[:-1]
            after = self._run(self._outputs[1:], feed, self._needed_nodes)
            feed = dict(zip(self._state, after, strict=True))
            tokens = tokens[-1:]
        feed[TOKEN] = tokens
        found = self._step(feed)
        return found[0], State(self._next(found))

    def feed(self, tokens: Sequence[int], state: State) -> tuple[NDArray[np.float32], State]:
        column = np.asarray(tokens, np.int64)[:, np.newaxis]
        logits, after = self.forward(column, state, last_only=True)
        # A copy, because the memory may be more than these.
        last = logits[-1, 0].copy()
        if self.never_drawn is not None:
            last[self.never_drawn] = -np.inf
        return last, after

    def generate(
        self, lanes: Sequence[Lane], steps: int, measurements: Measurements | None = None
    ) -> list[Generated]:
        check_lanes(lanes, steps)
        for lane in lanes:
            self._check_lane(lane)
        # Lane by lane: onnxruntime's products of several rows differ in the last bit from those of one, and a
        # lane's text must not depend on the others.
        return [self._generate_one(lane, steps, measurements) for lane in lanes]

    def _check_lane(self, lane: Lane) -> None:
        if np.shape(lane.logits) != (self.vocabulary_size,):
            raise ValueError(
                f"logits must be of shape {(self.vocabulary_size,)}, not {np.shape(lane.logits)}"
            )
        for name, (layers, units) in self._state.items():
            if np.shape(lane.state.buffers.get(name, 0)) != (layers, 1, units):
                raise ValueError(f"the state must have {name!r} of shape {(layers, 1, units)}")

    def _generate_one(self, lane: Lane, steps: int, measurements: Measurements | None) -> Generated:
        sampler, latencies = lane.sampler, list[int]()
        logits = self._drawable(np.asarray(lane.logits))
        feed = self._arrays(lane.state)
        feed[TOKEN] = given = np.empty((1, 1), np.int64)
        tokens = []
        for _ in range(min(steps, lane.length)):
            if measurements is None:
                given[0, 0] = token = sampler.draw(logits)
                found = self._step(feed)
            else:
                bits = entropy(softmax(logits, sampler.temperature))
                start = perf_counter_ns()
                given[0, 0] = token = sampler.draw(logits)
                drawn = perf_counter_ns()
                found = self._step(feed)
                stepped = perf_counter_ns()
                latencies.append(stepped - start)
                measurements.add(1, 1e-9 * (stepped - drawn), 1e-9 * (drawn - start), bits)
            tokens.append(token)
            feed.update(self._next(found))
            logits = self._drawable(found[0][0, 0])
        if measurements is not None and measurements.latencies is not None:
            measurements.latencies += latencies
        del feed[TOKEN]
        return Generated(tokens, logits, State(feed), "length" if len(tokens) == lane.length else None)

    def _arrays(self, state: State) -> dict[str, NDArray[Any]]:
        """The arrays of a state, in a mapping of their own."""
        arrays = dict(state.buffers)
        for name in self._state:
            # Not np.asarray for all, which takes longer than to ask.
            if not isinstance(arrays[name], np.ndarray):
                arrays[name] = np.asarray(arrays[name])
        return arrays

    def _next(self, found: Sequence[NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
        """The next state among the outputs of a step."""
        return {name: found[place] for place, name in self._places}

    def _step(self, feed: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Run the graph, and see that all its outputs have their shapes: logits and the next state."""
        found: list[NDArray[np.float32]] = self._run(self._outputs, feed)
        # Plain loops: a step of these models takes 20 microseconds, of which checks may not take two.
        fits = found[0].shape == (*feed[TOKEN].shape, self.vocabulary_size)
        for place, name in self._places:
            fits = fits and found[place].shape == feed[name].shape
        # The types of a graph's outputs never change, their shapes may.
        if not fits:
            raise ModelFileError(
                f"the model's graph changed its shapes to {found[0].shape} of the logits and "
                f"{' and '.join([str(array.shape) for array in found[1:]])} of the next state: export it "
                "again"
            )
        return found

    def _run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]], options: Any = None) -> Any:
        """Run the graph; the outputs that are named."""
        try:
            return self._session.run(outputs, feed, options)
        except MemoryError:
            raise
        except Exception as error:
            raise ModelFileError(f"onnxruntime cannot run the model's graph ({first_line(error)})") from error

    def _drawable(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits, but minus infinity at the token that is never drawn."""
        if self.never_drawn is not None:
            logits = logits.copy()
            logits[self.never_drawn] = -np.inf
        return logits

    def _probe(self) -> int:
        """Run the graph once, over two steps of two lanes, for the size of the vocabulary."""
        try:
            feed = self._arrays(self.initial_state(batch=2))
        # numpy raises the first for more bytes than it can count.
        except (ValueError, MemoryError):
            sizes = " and ".join(
                f"{layers:,} layers and {units:,} units" for layers, units in self._state.values()
            )
            raise ModelFileError(f"its state of {sizes} is too large") from None
        shapes = [array.shape for array in feed.values()]
        outputs = self._run(self._outputs, feed | {TOKEN: np.zeros((2, 2), np.int64)})
        if any(not isinstance(output, np.ndarray) or output.dtype != np.float32 for output in outputs):
            raise ModelFileError(f"its outputs {quote(self._outputs)} are not all of type float32")
        logits, *after = outputs
        if logits.ndim != 3 or logits.shape[:2] != (2, 2):  # noqa: PLR2004
            raise ModelFileError(
                f"its output {LOGITS!r} is of shape {logits.shape}, not [time, batch, vocabulary]"
            )
        if [output.shape for output in after] != shapes:
            raise ModelFileError("its next state is not of the shape of its state")
        return int(logits.shape[2])


def declared_state(
    inputs: Mapping[str, tuple[str, list[Any]]], outputs: Collection[str]
) -> dict[str, tuple[int, int]]:
    """See that inputs and outputs are the contract's; layers and units of each array of the state.

    Raises:
        ModelFileError: If they are not.
    """
    state = [name for name in inputs if name != TOKEN]
    if TOKEN not in inputs or not state or not {LOGITS, *(NEXT + name for name in state)}.issubset(outputs):
        raise ModelFileError(
            f"it is no text generator: its inputs are {quote(sorted(inputs))} and its outputs "
            f"{quote(sorted(outputs))}, and {list(INPUTS)} and {list(OUTPUTS)} are expected, or another "
            f"state whose every input x has an output {NEXT}x"
        )
    for name, (found, shape) in inputs.items():
        kind, dimensions = TOKENS if name == TOKEN else STATE
        if found != kind or len(shape) != dimensions:
            raise ModelFileError(
                f"its input {quote(name)} is {shorten(found)} of shape {quote(shape)}, not {kind} of "
                f"{dimensions} dimensions"
            )
    sizes = {name: (inputs[name][1][0], inputs[name][1][2]) for name in state}
    for name, size in sizes.items():
        if not all(isinstance(each, int) and each > 0 for each in size):
            raise ModelFileError(
                f"its input {quote(name)} does not state its layers and units: {quote(inputs[name][1])}"
            )
    return sizes


def open_onnx(model: bytes, threads: int = 1) -> tuple[OnnxEngine, Metadata]:
    """Open a model file's content with onnxruntime.

    Raises:
        ModelFileError: If it is not a text generator of this project's contract.
    """
    engine = OnnxEngine(model, threads)
    metadata = Metadata.from_props(engine.metadata, engine.vocabulary_size)
    engine.never_drawn = metadata.tokenizer.unknown
    return engine, metadata


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
