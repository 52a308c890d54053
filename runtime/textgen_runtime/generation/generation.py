"""One running text: ``Generation``."""

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

# A prompt is read in chunks of at most this many tokens, so that an interrupt need not wait for its end.
PROMPT_CHUNK = 1024

# Text that is streamed comes in chunks of at most this many tokens: a fraction of a millisecond with the
# native engine, and alive to the eye with any.
STREAM_CHUNK = 64


def read_prompt(engine: Engine, tokens: Sequence[int], state: State) -> tuple[FloatBuffer, State]:
    """Let one lane read tokens, in chunks that an interrupt can wait for.

    Args:
        engine: Runs the model.
        tokens: At least one.
        state: Of the lane.

    Returns:
        The logits after the last token, shape [vocabulary], float32, and the state there.
    """
    chunk = min(PROMPT_CHUNK, engine.chunk(1))
    for start in range(0, len(tokens), chunk):
        logits, state = engine.feed(tokens[start : start + chunk], state)
    return logits, state


class Mark(NamedTuple):
    """Where a generation stands, to be put back there.

    Attributes:
        position: Of the random numbers.
        state: What the model remembers.
        logits: Of the next token.
        decoder: What decodes the tokens.
    """

    position: int
    state: State
    logits: FloatBuffer
    decoder: TextDecoder


class Generation:
    """One running text.

    After each call the state has read all the text so far, and the logits say what may come next.
    Not to be shared between threads; ``copy`` gives another one its own.

    Attributes:
        model: The model that writes it.
        sampler: What draws from the logits; its temperature may be set at any time, here or in ``sampling``.
        prompt: The text it started from, in the model's normalised form.
        measurements: Where ``take`` and ``stream`` add up what they take; None, which saves the effort,
            unless set.
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
    def restored(cls, model: "Model", sampler: Sampler, prompt: str, last: Generated) -> "Generation":
        """A generation that stands where another one stood.

        Args:
            model: The model of the other one.
            sampler: In the position of the other one's.
            prompt: What the other one started from.
            last: Its ``tail``, logits and state.
        """
        generation = object.__new__(cls)
        generation.model, generation.sampler, generation.prompt = model, sampler, prompt
        generation._decoder = model.tokenizer.decoder()
        generation.accept(last)
        return generation

    @property
    def state(self) -> State:
        """What the model remembers, of batch 1; its arrays cannot be changed.

        A copy of another state, a ``State`` or arrays by name, may be set: ValueError if it does not have the
        model's names and shapes, TypeError if it is no mapping.
        """
        return self._state

    @state.setter
    def state(self, value: "Mapping[str, ArrayLike]") -> None:
        if not isinstance(value, Mapping):
            raise TypeError(f"a state is a State or a mapping of arrays by name, not {type(value).__name__}")
        sizes = self.model.engine.network.state
        if set(value) != set(sizes):
            raise ValueError(
                f"the state of this model is {', '.join(sizes)}, not {', '.join(map(str, value))}"
            )
        given = value.buffers if isinstance(value, State) else value
        self._state = State(
            {name: copy_floats(given[name], (layers, 1, units)) for name, (layers, units) in sizes.items()}
        )

    @property
    def logits(self) -> "NDArray[np.float32]":
        """Of the next token, shape [vocabulary], float32; the array may be changed.

        That of the unknown symbol, if the model has one, is minus infinity: it is never drawn. A copy of
        others may be set: ValueError if they are of another shape.
        """
        import numpy as np

        return np.asarray(self._logits)

    @logits.setter
    def logits(self, value: "ArrayLike") -> None:
        self._logits: FloatBuffer = copy_floats(value, (self.model.engine.vocabulary_size,))

    @property
    def sampling(self) -> Sampling:
        """How tokens are drawn.

        Another one may be set at any time, and holds from the next chunk on: TypeError if it is no
        ``Sampling``.
        """
        return sampling_of(self.sampler)

    @sampling.setter
    def sampling(self, value: Sampling) -> None:
        set_sampling(self.sampler, value)

    @property
    def tail(self) -> Sequence[int]:
        """The last tokens, as many as a new decoder needs to go on; see ``TextDecoder.tail``."""
        return self._decoder.tail

    def feed(self, text: str, unknown: UnknownPolicy = "error") -> str:
        """Let the model read a text, as if it had written it.

        After an error or an interrupt it stands where it stood before the call.

        Args:
            text: What to read.
            unknown: What to do about characters outside the vocabulary, as for ``Model.start``.

        Returns:
            What it read: the text in the model's normalised form, without the unknown characters, which were
            skipped or read as the unknown symbol. Text of earlier tokens that was held back comes before it.

        Raises:
            PromptError: If there is nothing to read, or characters are unknown and neither skipped nor read
                as the unknown symbol.
        """
        model = self.model
        tokens = model.tokenizer.encode(model.metadata.normalization.apply(text), unknown)
        if not len(tokens):
            reason = "none of its characters is known to the model" if text else "it is empty"
            raise PromptError(f"the prompt gives the model nothing to read: {reason}")
        decoder = self._decoder.copy()
        # The text that was given is complete, and so none of it is held back.
        read = decoder.decode(tokens) + decoder.finish()
        # All that can fail comes before this generation moves on.
        self._logits, self._state = read_prompt(model.engine, tokens, self._state)
        self._decoder = decoder
        return read

    def take(self, length: int) -> str:
        """The text of the next ``length`` tokens, which are characters where the model's level is that.

        A tokenizer may hold the end of the text back until the tokens after it are there: ``finish`` gives
        it. After an error or an interrupt the generation stands where it stood before the call.

        Raises:
            ValueError: If ``length`` is negative.
            SamplingError: If the model's logits are not finite.
        """
        return self._alone(length).complete()[0]

    def stream(self, length: int) -> Iterator[str]:
        """Yield what ``take`` would return as it is made, in chunks of at most ``STREAM_CHUNK`` tokens.

        What changes in between, such as the sampling, takes effect with the next chunk. After an error or an
        interrupt the generation stands behind the last chunk that was yielded.

        Raises:
            ValueError: If ``length`` is negative.
            SamplingError: If the model's logits are not finite.
        """
        batch = self._alone(length)
        chunk = min(STREAM_CHUNK, self.model.engine.chunk(1))

        def chunks() -> Iterator[str]:
            while batch:
                # All of a chunk may be held back, and there is none where the length is 0.
                if text := batch.advance(chunk)[0].text:
                    yield text

        return chunks()

    def finish(self) -> str:
        """The text that the tokenizer holds back, at the end of a text; nothing with characters."""
        return self._decoder.finish()

    def _alone(self, length: int) -> Batch:
        batch = Batch(self.model, self.measurements)
        batch.add(self, length, finish=False)
        return batch

    def lane(self, length: int) -> Lane:
        """What an engine continues by up to so many tokens."""
        return Lane(self.sampler, self._logits, self._state, length)

    def accept(self, generated: Generated) -> str:
        """Stand behind what an engine made of ``lane``; the text that it adds."""
        self._logits, self._state = generated.logits, generated.state
        return self._decoder.decode(generated.tokens)

    def mark(self) -> Mark:
        """Where it stands; the text so far is not in it."""
        return Mark(self.sampler.position, self._state, self._logits, self._decoder.copy())

    def reset(self, mark: Mark) -> None:
        """Stand where it stood."""
        self.sampler.position, self._state, self._logits = mark.position, mark.state, mark.logits
        self._decoder = mark.decoder.copy()

    def copy(self) -> "Generation":
        """A generation that goes on from here exactly as this one would, and apart from it.

        ``copy.copy`` and ``copy.deepcopy`` do the same, and a pickle does so in another process.
        """
        clone = object.__new__(Generation)
        clone.__dict__.update(self.__dict__)
        clone.sampler = copy.copy(self.sampler)
        clone._decoder = self._decoder.copy()
        # The state is never changed, the logits may be.
        clone._logits = copy_floats(memoryview(self._logits), (self.model.engine.vocabulary_size,))
        return clone

    __copy__ = copy

    def __reduce__(self) -> tuple[Any, ...]:
        last = Generated(tuple(self.tail), StoredBuffer(self._logits), self._state, None)
        rest = {"measurements": self.measurements} if self.measurements else None
        return Generation.restored, (self.model, self.sampler, self.prompt, last), rest


def copy_floats(values: "ArrayLike", shape: tuple[int, ...]) -> FloatBuffer:
    """A copy of a caller's values, who may change them later: float32, contiguous.

    Raises:
        ValueError: If they are of another shape than this.
    """
    copied: FloatBuffer
    if isinstance(values, memoryview) and values.format == "f" and values.c_contiguous:
        # From the native engine, which does without numpy.
        copied = float_buffer(values.tobytes(), values.shape or ())
    else:
        import numpy as np

        copied = np.array(values, np.float32, order="C")
    if copied.shape != shape:
        raise ValueError(f"an array of shape {shape} is needed here, not {copied.shape}")
    return copied
