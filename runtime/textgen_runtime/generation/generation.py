"""``Generation``: one running text."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from textgen_runtime.engines.base import (
    Engine,
    FloatBuffer,
    Generated,
    Lane,
    Measurements,
    State,
    StoredBuffer,
    float_buffer,
)
from textgen_runtime.errors import PromptError
from textgen_runtime.sampling.parameters import Sampling, sampling_of, set_sampling
from textgen_runtime.sampling.sampler import Sampler
from textgen_runtime.text.tokenizer import TextDecoder, UnknownPolicy

from .batch import Batch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from .model import Model

# Maximum number of prompt tokens per call of the engine, so that an interrupt takes effect between the calls.
PROMPT_CHUNK = 1024

# Maximum number of tokens per chunk of streamed text. The native engine generates a chunk in a fraction of a
# millisecond; with any engine the output looks continuous.
STREAM_CHUNK = 64


def feed_in_chunks(engine: Engine, tokens: Sequence[int], state: State) -> tuple[FloatBuffer, State]:
    """Feed tokens to one lane. The chunks are short, so that an interrupt takes effect between two of them.

    Args:
        engine: The engine of the model.
        tokens: One or more tokens.
        state: The state of the lane, batch size 1.

    Returns:
        The logits after the last token, shape [vocabulary], float32, and the new state.
    """
    chunk = min(PROMPT_CHUNK, engine.chunk_length(1))
    for start in range(0, len(tokens), chunk):
        logits, state = engine.feed(tokens[start : start + chunk], state)
    return logits, state


class Snapshot(NamedTuple):
    """The position of a generation, for rollback.

    Attributes:
        position: The sampler's position in its random stream.
        state: The recurrent state.
        logits: The logits of the next token.
        decoder: The decoder, with the text that it holds back.
    """

    position: int
    state: State
    logits: FloatBuffer
    decoder: TextDecoder


class Generation:
    """One running text.

    After each call, ``state`` is the state after the text so far, and ``logits`` are the logits of the next
    token. A generation is not thread-safe. ``copy`` returns an independent generation for another thread.

    Attributes:
        model: The model that generates the text.
        sampler: Draws tokens from the logits. Its parameters can also be set through ``sampling``.
        prompt: The text that the generation started from, in the model's normalized form.
        measurements: Accumulates the times and entropies of ``take`` and ``stream``. None, the default, skips
            the measurements.
    """

    model: "Model"
    sampler: Sampler
    prompt: str
    measurements: Measurements | None = None

    def __init__(
        self, model: "Model", sampler: Sampler, prompt: str, unknown: UnknownPolicy = "error"
    ) -> None:
        self.model = model
        self.sampler = sampler
        self._state = model.engine.initial_state()
        self._decoder = model.tokenizer.decoder()
        self.prompt = self.feed(prompt, unknown)

    @classmethod
    def from_parts(cls, model: "Model", sampler: Sampler, prompt: str, last: Generated) -> "Generation":
        """Recreate a generation from its parts.

        Args:
            model: The model of the original generation.
            sampler: A sampler at the position of the original one.
            prompt: The prompt of the original generation.
            last: The ``tail`` of the original generation as its tokens, and the logits and the state.
        """
        generation = object.__new__(cls)
        generation.model, generation.sampler, generation.prompt = model, sampler, prompt
        generation._decoder = model.tokenizer.decoder()
        generation.accept(last)
        return generation

    @property
    def state(self) -> State:
        """The recurrent state: read-only float32 arrays by name, shape [layers, 1, units].

        The state can be set to a ``State`` or to a mapping of arrays by name. Setting it copies the values.

        Raises:
            ValueError: When set, if the names or shapes are not those of the model.
            TypeError: When set, if the value is not a mapping.
        """
        return self._state

    @state.setter
    def state(self, value: "Mapping[str, ArrayLike]") -> None:
        if not isinstance(value, Mapping):
            raise TypeError(
                f"the state must be a State or a mapping of arrays by name, not {type(value).__name__}"
            )
        sizes = self.model.engine.network.state
        if set(value) != set(sizes):
            raise ValueError(
                f"the state must have the arrays {', '.join(sizes)}, not {', '.join(map(str, value))}"
            )
        arrays = value.buffers if isinstance(value, State) else value
        self._state = State(
            {
                name: copy_floats(arrays[name], (layers, 1, units), f"the state array {name!r}")
                for name, (layers, units) in sizes.items()
            }
        )

    @property
    def logits(self) -> "NDArray[np.float32]":
        """The logits of the next token: a writable array, shape [vocabulary], float32.

        If the model has an unknown symbol, its logit is -inf, so that it is never drawn. Setting the logits
        copies the values.

        Raises:
            ValueError: When set, if the shape is different.
        """
        import numpy as np

        return np.asarray(self._logits)

    @logits.setter
    def logits(self, value: "ArrayLike") -> None:
        shape = (self.model.engine.vocabulary_size,)
        self._logits: FloatBuffer = copy_floats(value, shape, "the logits")

    @property
    def sampling(self) -> Sampling:
        """The sampling parameters. They can be set at any time and apply from the next chunk.

        Raises:
            TypeError: When set, if the value is not a ``Sampling``.
        """
        return sampling_of(self.sampler)

    @sampling.setter
    def sampling(self, value: Sampling) -> None:
        set_sampling(self.sampler, value)

    @property
    def tail(self) -> Sequence[int]:
        """The last tokens that a new decoder needs to continue the text; see ``TextDecoder.tail``."""
        return self._decoder.tail

    def feed(self, text: str, unknown: UnknownPolicy = "error") -> str:
        """Feed text to the model, as if the model had generated it.

        An error or an interrupt leaves the generation at its position before the call.

        Args:
            text: The text. It is normalized as the model's training text was.
            unknown: What to do with characters outside the vocabulary, as for ``Model.start``.

        Returns:
            The normalized text without skipped characters. If the decoder held back text of earlier tokens,
            the result starts with that text.

        Raises:
            PromptError: If no characters remain to feed, or ``unknown`` is ``"error"`` and the model has no
                unknown symbol for the characters outside its vocabulary.
            ValueError: If ``unknown`` is neither ``"error"`` nor ``"skip"``.
            TypeError: If ``text`` is not a string.
        """
        model = self.model
        tokens = model.tokenizer.encode(model.metadata.normalization.apply(text), unknown)
        if not len(tokens):
            reason = "none of its characters is in the vocabulary" if text else "it is empty"
            raise PromptError(f"there is no text to continue: {reason}")
        decoder = self._decoder.copy()
        # The text is complete, so the decoder must not hold any of it back.
        fed = decoder.decode(tokens) + decoder.finish()
        # Everything that can fail comes before the first change of this generation.
        self._logits, self._state = feed_in_chunks(model.engine, tokens, self._state)
        self._decoder = decoder
        return fed

    def take(self, length: int) -> str:
        """Generate ``length`` tokens and return their text. With a character model, a token is a character.

        The decoder may hold back the end of the text until it has the next tokens. ``finish`` returns that
        text.
        An error or an interrupt leaves the generation at its position before the call.

        Raises:
            ValueError: If ``length`` is negative.
            TypeError: If ``length`` is not an integer.
            SamplingError: If the logits contain NaN or +inf, or if the random stream is exhausted.
        """
        return self._as_batch(length).complete()[0]

    def stream(self, length: int) -> Iterator[str]:
        """Yield the text of ``take`` in chunks of at most ``STREAM_CHUNK`` tokens, as it is generated.

        Changes between chunks, for example to ``sampling``, apply from the next chunk. An error or an
        interrupt leaves the generation at the end of the last chunk that was yielded.

        Raises:
            ValueError: If ``length`` is negative.
            TypeError: If ``length`` is not an integer.
            SamplingError: If the logits contain NaN or +inf, or if the random stream is exhausted.
        """
        batch = self._as_batch(length)
        chunk = min(STREAM_CHUNK, self.model.engine.chunk_length(1))

        def chunks() -> Iterator[str]:
            while batch:
                # The text is empty if the decoder holds it all back, or if the length is 0.
                if text := batch.advance(chunk)[0].text:
                    yield text

        return chunks()

    def finish(self) -> str:
        """Return the text that the decoder still holds back. It is empty with a character model."""
        return self._decoder.finish()

    def _as_batch(self, length: int) -> Batch:
        batch = Batch(self.model, self.measurements)
        batch.add(self, length, finish=False)
        return batch

    def lane(self, length: int) -> Lane:
        """Return the input of ``Engine.generate`` for up to ``length`` tokens."""
        return Lane(self.sampler, self._logits, self._state, length)

    def accept(self, generated: Generated) -> str:
        """Continue with the result of ``Engine.generate``, and return the text that it adds."""
        self._logits, self._state = generated.logits, generated.state
        return self._decoder.decode(generated.tokens)

    def snapshot(self) -> Snapshot:
        """Return the current position, for ``restore``. It does not include the text so far."""
        return Snapshot(self.sampler.position, self._state, self._logits, self._decoder.copy())

    def restore(self, snapshot: Snapshot) -> None:
        """Return to the position of a snapshot. A snapshot can be restored more than once."""
        self.sampler.position, self._state, self._logits = snapshot.position, snapshot.state, snapshot.logits
        self._decoder = snapshot.decoder.copy()

    def copy(self) -> "Generation":
        """Return an independent generation that continues exactly as this one would.

        ``copy.copy`` and ``copy.deepcopy`` do the same. Pickling copies a generation to another process.
        """
        clone = object.__new__(Generation)
        clone.__dict__.update(self.__dict__)
        clone.sampler = copy.copy(self.sampler)
        clone._decoder = self._decoder.copy()
        # The state is immutable and can be shared; the logits are writable.
        shape = (self.model.engine.vocabulary_size,)
        clone._logits = copy_floats(memoryview(self._logits), shape, "the logits")
        return clone

    __copy__ = copy

    def __reduce__(self) -> tuple[Any, ...]:
        last = Generated(tuple(self.tail), StoredBuffer(self._logits), self._state, None)
        attributes = {"measurements": self.measurements} if self.measurements else None
        return Generation.from_parts, (self.model, self.sampler, self.prompt, last), attributes


def copy_floats(values: "ArrayLike", shape: tuple[int, ...], name: str) -> FloatBuffer:
    """Return a contiguous float32 copy of the values.

    Args:
        values: The values.
        shape: The required shape.
        name: The name of the values in an error message.

    Raises:
        ValueError: If the values do not have this shape.
    """
    copied: FloatBuffer
    if isinstance(values, memoryview) and values.format == "f" and values.c_contiguous:
        # Buffers of the native engine are copied without importing numpy.
        copied = float_buffer(values.tobytes(), values.shape or ())
    else:
        import numpy as np

        copied = np.array(values, np.float32, order="C")
    if copied.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, not {copied.shape}")
    return copied
