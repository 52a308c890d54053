"""``Series``: the texts that continue one prompt with one sampling."""

from collections import deque
from typing import NamedTuple

from textgen_runtime.errors import SamplingError
from textgen_runtime.model import BatchChunk, Generation, Model
from textgen_runtime.results import TextEnding
from textgen_runtime.sampling import Sampling
from textgen_runtime.tokenizer import UnknownPolicy


class Request(NamedTuple):
    """What the user asks for, except for the sampling.

    Attributes:
        model: The model.
        prompts: The prompts; None stands for the excerpts that the model stores.
        wanted: The number of texts for each prompt.
        length: The number of tokens of a text.
        seed: The seed of all texts.
        unknown: What to do with prompt characters outside the vocabulary.
        echo: Whether the prompt is written before its text.
        logprobs: Whether the surprisal of the texts is needed.
    """

    model: Model
    prompts: tuple[str | None, ...]
    wanted: int
    length: int
    seed: int
    unknown: UnknownPolicy
    echo: bool
    logprobs: bool

    def substream(self, prompt_number: int, attempt: int) -> int:
        """Return the substream of an attempt at a text. No two attempts with one sampling have the same.

        The first ``wanted`` attempts of all prompts have the substreams of ``Model.generate`` with each
        prompt ``wanted`` times in its list.
        """
        if attempt < self.wanted:
            return prompt_number * self.wanted + attempt
        return attempt * len(self.prompts) + prompt_number


class PendingText:
    """One text, from its start until it is written or rejected.

    Attributes:
        series: The series of the text.
        generation: The generation that draws it.
        number: The number of the text in its series, from 1, without rejected texts before it.
        tokens: The number of tokens drawn so far, with those of the stop text.
        nats: The surprisal of these tokens under the model, in nats; 0 if it is not needed.
        ending: Why the text ended, or None while it continues.
        stop: The stop text that ended the text; empty if there is none.
        error: Why the text cannot continue, or None.
        is_accepted: Whether the text was accepted before its end.
    """

    __slots__ = (
        "_chunks",
        "ending",
        "error",
        "generation",
        "is_accepted",
        "nats",
        "number",
        "series",
        "stop",
        "tokens",
    )

    def __init__(self, series: "Series", generation: Generation) -> None:
        self.series, self.generation = series, generation
        self.number = series.accepted + len(series.pending) + 1
        self.tokens = 0
        self.nats = 0.0
        self.ending: TextEnding | None = None
        self.stop = ""
        self.error: SamplingError | None = None
        self.is_accepted = False
        self._chunks: list[str] = []

    def add(self, chunk: BatchChunk) -> None:
        """Append a chunk."""
        self._chunks.append(chunk.text)
        self.tokens += chunk.tokens
        self.nats -= sum(chunk.logprobs or ())
        self.ending, self.stop, self.error = chunk.ending, chunk.stop, chunk.error

    @property
    def is_running(self) -> bool:
        """Whether the text has neither ended nor failed."""
        return self.ending is None and self.error is None

    @property
    def place(self) -> str:
        """Which text this is, such as "prompt 1 of 2, text 3 of 10"; empty if it is the only one."""
        request = self.series.request
        prompts = len(request.prompts)
        parts = [f"prompt {self.series.prompt_number + 1} of {prompts}"] if prompts > 1 else []
        parts += [f"text {self.number} of {request.wanted}"] if request.wanted > 1 else []
        return ", ".join(parts)

    @property
    def text(self) -> str:
        """The text so far, without the parts that ``take`` has returned."""
        return "".join(self._chunks)

    @property
    def beginning(self) -> str:
        """The prompt."""
        return self.generation.prompt

    @property
    def sampling(self) -> Sampling:
        """The sampling parameters of the series."""
        return self.series.sampling

    @property
    def echo(self) -> str:
        """The prompt, if it is written before the text."""
        return self.generation.prompt if self.series.request.echo and not self.series.hides_prompt else ""

    def check(self) -> None:
        """Raise SamplingError if the text cannot continue. The message names it among several texts."""
        if self.error is not None:
            place = f"{self.place}: " if self.place else ""
            raise type(self.error)(place, *self.error.args, parameter=self.error.parameter)

    def take(self) -> str:
        """Remove and return the text so far."""
        text = self.text
        self._chunks.clear()
        return text


class Series:
    """The texts that continue one prompt with one sampling, in the order of their attempts.

    Attributes:
        request: The request.
        sampling: The sampling of the texts.
        prompt_number: The index of the prompt.
        are_lines: Whether each text ends before a line end, unless its length ends it.
        accepted: The number of texts that were accepted.
        decided: The number of texts that were accepted or rejected.
        rejected_in_a_row: The number of texts that were rejected since the last accepted one.
        pending: The texts that are not decided yet.
    """

    def __init__(self, request: Request, sampling: Sampling, prompt_number: int) -> None:
        self.request, self.sampling, self.prompt_number = request, sampling, prompt_number
        self.are_lines = bool(sampling.stop) and all(stop.endswith("\n") for stop in sampling.stop)
        self.accepted = self.decided = self.rejected_in_a_row = 0
        self.pending: deque[PendingText] = deque()
        self._starts: dict[str | None, Generation] = {}

    @property
    def hides_prompt(self) -> bool:
        """Whether the prompt is an excerpt of the model that has no part in the line that a text is."""
        return self.are_lines and self.request.prompts[self.prompt_number] is None

    @property
    def missing(self) -> int:
        """The number of texts that are still to be accepted."""
        return self.request.wanted - self.accepted

    @property
    def to_start(self) -> int:
        """The number of further texts to start now, so that the missing ones will probably be accepted."""
        expected = -(-self.missing * (self.decided + 1) // (self.accepted + 1))
        return expected - len(self.pending)

    def start_text(self) -> PendingText:
        """Start the next text.

        Raises:
            PromptError: If the prompt cannot be fed.
            SamplingError: If the substreams of the seed are exhausted.
        """
        request = self.request
        substream = request.substream(self.prompt_number, self.decided + len(self.pending))
        start = self._start_after(self._prompt_of(substream))
        generation = start.copy()
        generation.reseed(request.seed, substream)
        text = PendingText(self, generation)
        self.pending.append(text)
        return text

    def _prompt_of(self, substream: int) -> str | None:
        """Return the prompt of a text. None is the start of a record."""
        request = self.request
        prompt = request.prompts[self.prompt_number]
        if prompt is not None or request.model.metadata.records is not None:
            return prompt
        excerpt = request.model.default_prompt(request.seed, substream)
        if not self.are_lines:
            return excerpt
        # Each text is a complete line, so its prompt must end with a line.
        return excerpt[: excerpt.rfind("\n") + 1] or "\n"

    def _start_after(self, prompt: str | None) -> Generation:
        """Return a generation after a prompt, before the first draw. Each prompt is fed once."""
        start = self._starts.get(prompt)
        if start is None:
            request = self.request
            start = request.model.start(
                prompt, sampling=self.sampling, seed=request.seed, unknown=request.unknown
            )
            start.keep_logprobs = request.logprobs
            self._starts[prompt] = start
        return start

    def decide(self, accept: bool) -> PendingText:
        """Accept or reject the first pending text, and return it."""
        text = self.pending.popleft()
        self.decided += 1
        if accept:
            self.accepted += 1
            self.rejected_in_a_row = 0
        else:
            self.rejected_in_a_row += 1
            self.number_pending_texts_lower()
        return text

    def number_pending_texts_lower(self) -> None:
        """Give each pending text the number before its own, because an earlier text is not written."""
        for later in self.pending:
            later.number -= 1
