"""The model under measurement: its file, its engines, and the baseline loops that it is compared with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from textgen_runtime._core import CoreModel
from textgen_runtime.engines.base import Engine, Lane, Stream
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.errors import ModelFileError
from textgen_runtime.generation.loading import open_model
from textgen_runtime.generation.model import Model
from textgen_runtime.model_file.network import LOGITS, NEXT, TOKEN
from textgen_runtime.sampler import Sampler
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.text.tokenizer import CHARACTER

from .machine import ProcessorTime

# Tokens that the sliding window re-reads for each new one.
WINDOW = 60

# With it, a text of a record does not end.
ENDLESS = {"min_length": 2**31 - 1}

# Wire types of protobuf.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# A varint has at most ten bytes with seven bits each.
MAX_VARINT_BITS = 70

# The kept fields of a message: field number -> allowed wire types, or the type of a nested message.
Message: TypeAlias = "Mapping[int, tuple[int, ...] | Message]"

TEXT, INTEGER = (BYTES,), (VARINT,)
# Repeated numbers may be packed.
INTEGERS, FLOATS = (VARINT, BYTES), (FIXED32, BYTES)

# Field numbers of onnx.proto. The comments give the field names.
DIMENSION: Message = {1: INTEGER, 2: TEXT}  # dim_value, dim_param
TYPE: Message = {1: {1: INTEGER, 2: {1: DIMENSION}}}  # tensor_type: elem_type, shape: dim
VALUE: Message = {1: TEXT, 2: TYPE}  # name, type
ATTRIBUTE: Message = {1: TEXT, 3: INTEGER, 4: TEXT, 20: INTEGER}  # name, i, s, type
NODE: Message = {1: TEXT, 2: TEXT, 3: TEXT, 4: TEXT, 5: ATTRIBUTE, 7: TEXT}  # input ... op_type, domain
# In order: dims, data_type, float_data, int64_data, name, raw_data and data_location.
TENSOR: Message = {1: INTEGERS, 2: INTEGER, 4: FLOATS, 7: INTEGERS, 8: TEXT, 9: TEXT, 14: INTEGER}
GRAPH: Message = {1: NODE, 2: TEXT, 5: TENSOR, 11: VALUE, 12: VALUE}  # node, name, initializer, input, output
OPERATOR_SET: Message = {1: TEXT, 2: INTEGER}  # domain, version
PROPERTY: Message = {1: TEXT, 2: TEXT}  # key, value
# In order: ir_version, graph, opset_import and metadata_props.
MODEL: Message = {1: INTEGER, 7: GRAPH, 8: OPERATOR_SET, 14: PROPERTY}


@dataclass(frozen=True)
class BenchContext:
    """The model under measurement and the settings of the measurement.

    Attributes:
        content: Content of the model file.
        engines: Names of the engines to measure.
        temperature: Sampling temperature.
        seconds: Duration of each comparison.
        threads: Number of threads in multithreaded measurements.
        long_run: Number of tokens in the longer of the two memory measurements.
        unit: What the tables call one token: "character", "byte" or "token".
        processor_time: Accumulates the times of the single-threaded measurements.
    """

    content: bytes
    engines: tuple[str, ...]
    temperature: float
    seconds: float
    threads: int
    long_run: int
    unit: str = CHARACTER
    processor_time: ProcessorTime = field(default_factory=ProcessorTime)

    def model(self, engine: str, threads: int = 1) -> Model:
        return open_model(self.content, engine, threads)  # type: ignore[arg-type]

    @cached_property
    def core(self) -> CoreModel | None:
        """The network in the C core; None if the native engine does not support the graph."""
        try:
            engine = self.model("native").engine
        except ModelFileError:
            return None
        return engine.core if isinstance(engine, NativeEngine) else None

    def generator(self, engine: str, **parameters: Any) -> Callable[[int], object]:
        """Return a function that generates the given number of tokens through the public API."""
        model = self.model(engine)
        return model.start(sampling=self.sampling(model, **parameters), seed=0).take

    def sampling(self, model: Model, **parameters: Any) -> Sampling:
        """Return the sampling parameters of a measurement, with which no text ends."""
        endless: dict[str, Any] = {} if model.metadata.records is None else ENDLESS
        return Sampling(temperature=self.temperature, **endless, **parameters)


class BaselineLoops:
    """The loops over onnxruntime that users write themselves, over one session.

    Args:
        model: Content of the model file.
        threads: Number of onnxruntime's intra-op threads.
        temperature: Sampling temperature.
    """

    def __init__(self, model: bytes, threads: int, temperature: float) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # All other options keep their defaults, as in most programs.
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._state = {node.name: node.shape for node in self.session.get_inputs() if node.name != TOKEN}
        self._outputs = [LOGITS, *(NEXT + name for name in self._state)]
        self._temperature = temperature

    def _zeros(self, batch: int) -> dict[str, NDArray[Any]]:
        return {
            name: np.zeros((layers, batch, units), np.float32)
            for name, (layers, _, units) in self._state.items()
        }

    def stateful(self, tokens: int) -> None:
        """Carry the state between steps, and sample with the textbook's numpy code."""
        rng = np.random.default_rng(0)
        inputs = self._zeros(1)
        token = 0
        for _ in range(tokens):
            inputs[TOKEN] = np.array([[token]], np.int64)
            logits, *state = self.session.run(self._outputs, inputs)
            inputs.update(zip(self._state, state, strict=True))
            scaled = logits[0, 0].astype(np.float64) / self._temperature
            exp_logits = np.exp(scaled - scaled.max())
            token = int(rng.multinomial(1, exp_logits / exp_logits.sum()).argmax())

    def sliding_window(self, length: int) -> None:
        """Run the network over the last 60 tokens for each new token, as in the textbook."""
        sampler = Sampler(self._temperature)
        zeros = self._zeros(1)
        tokens = np.zeros((WINDOW, 1), np.int64)
        for _ in range(length):
            logits = self.session.run(self._outputs, {TOKEN: tokens, **zeros})[0]
            tokens = np.concatenate([tokens[1:], [[sampler.draw(logits[-1, 0])]]])

    def batched(self, streams: int) -> Callable[[int], Any]:
        """Return a function that generates the given number of tokens of each stream, as one batch."""
        sampler = Sampler(self._temperature)

        def run(steps: int) -> None:
            inputs = self._zeros(streams)
            inputs[TOKEN] = np.zeros((1, streams), np.int64)
            for _ in range(steps):
                logits, *state = self.session.run(self._outputs, inputs)
                inputs.update(zip(self._state, state, strict=True))
                inputs[TOKEN] = sampler.draw_batch(logits[0])[np.newaxis]

        return run


def run_streams(engine: Engine, texts: Sequence[Stream], length: int) -> None:
    """Generate ``length`` tokens for each text, in the chunks of a batch, so that interrupts take effect.

    Raises:
        SamplingError: If a text cannot continue.
    """
    chunk = engine.chunk_length(len(texts))
    lanes = [Lane(text, length) for text in texts]
    while lanes:
        outputs = engine.generate(lanes, chunk)
        for output in outputs:
            if output.error is not None:
                raise output.error
        lanes = [
            lane._replace(length=lane.length - output.generated)
            for lane, output in zip(lanes, outputs, strict=True)
            if output.ending is None
        ]


def checked_fields(content: bytes) -> bytes:
    """Remove the fields that the core skips from a model file that the core has read.

    The core skips the ONNX fields that it does not need, but onnxruntime may interpret them. A model-local
    function named Add, for example, replaces the operator of that name. Without the skipped fields,
    onnxruntime sees only content that the core has checked.

    Raises:
        ModelFileError: If a field that the core skips is damaged.
    """
    try:
        return b"".join(_kept_fields(memoryview(content), MODEL))
    except (IndexError, ValueError):
        raise ModelFileError(
            "the file is damaged in a field that only onnxruntime reads: use --engine native"
        ) from None


def _kept_fields(content: memoryview, message: Message) -> Iterator[bytes | memoryview]:
    """Yield the encoded kept fields of a message, in order."""
    offset = 0
    while offset < len(content):
        start = offset
        tag, offset = _decode_varint(content, offset)
        number, wire = tag >> 3, tag & 7
        value = offset
        if wire == BYTES:
            size, value = _decode_varint(content, offset)
            offset = value + size
        elif wire == VARINT:
            _, offset = _decode_varint(content, offset)
        elif wire in (FIXED32, FIXED64):
            offset += 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"unsupported wire type {wire}")
        if offset > len(content):
            raise ValueError("truncated")
        field = message.get(number, ())
        if isinstance(field, Mapping):
            if wire == BYTES:
                inner = b"".join(_kept_fields(content[value:offset], field))
                yield _encode_varint(tag) + _encode_varint(len(inner)) + inner
        elif wire in field:
            yield content[start:offset]


def _decode_varint(content: memoryview, offset: int) -> tuple[int, int]:
    """Decode a varint, and return its value and the offset after it."""
    value = shift = 0
    while True:
        byte = content[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 (the last byte has no continuation bit)
            return value, offset
        shift += 7
        if shift >= MAX_VARINT_BITS:
            raise ValueError("varint too long")


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:  # noqa: PLR2004
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
