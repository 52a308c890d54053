"""The texts of all requests, and the thread that owns their batch: the queue, its limits, and fair chunks."""

import asyncio
import contextlib
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from queue import SimpleQueue
from time import thread_time
from typing import NamedTuple, TypeVar

from textgen_runtime.controls import checked_stops
from textgen_runtime.errors import PromptError, SamplingError, TextgenError
from textgen_runtime.model import Batch, BatchChunk, Generation, Model, feed_in_chunks
from textgen_runtime.results import TextEnding
from textgen_runtime.sampling import CONSTRAINTS
from textgen_runtime.tokenizer import CHARACTER, unknown_characters_warning

from .requests import RETRY, Request, RequestError, Settings, spell_field, wrong

# How long the worker feeds prompts and generates before it returns the new text. A stream gets an event in
# each cycle, and needs one every 50 ms. The difference is for the event loop and the client. It is time of
# the processor: on a busy machine, cycles of the clock's time would have fewer tokens, but as many events,
# and the work for these would leave less time for tokens.
CYCLE_SECONDS = 0.02

# The largest part of a cycle in which prompts are fed.
MAX_PROMPT_SHARE = 0.75

# Tokens of a prompt per call of the engine. Other texts wait for the end of the call.
PIECE_TOKENS = 256

# Tokens per lane of the first chunk. They take any model only milliseconds. The later numbers are measured.
FIRST_STEPS = 8

# The cost of a token depends on the number of lanes, which can change by any factor between chunks.
MAX_GROWTH = 2

# The weight of a chunk in the estimate falls by this factor with each later one. A single chunk says little
# where the time of a thread is measured in steps of 16 ms, as on Windows.
WEIGHT = 0.5

# Characters of the prompts of all requests. Their tokens take eight times as many bytes.
MAX_CHARACTERS = 2**24

# The event loop itself prepares requests of at most this many characters and texts, without a constraint.
# That takes a few milliseconds at most. The stop texts are prepared again for each text.
QUICK_CHARACTERS = 20_000
QUICK_TEXTS = 16

logger = logging.getLogger(__name__)

Argument = TypeVar("Argument")


class Prompt:
    """A prompt, which is fed in pieces, and once for all texts that continue it.

    Attributes:
        text: The normalized text without skipped characters.
        tokens: The tokens of the text, after the begin of the record if the model has records.
        position: The text after the tokens that were fed.
    """

    def __init__(self, model: Model, text: str, request: Request) -> None:
        """Encode a text. Raises the errors of ``Model.encode_prompt``."""
        self.tokens = model.encode_prompt(text, request.unknown, is_start=True)
        self.text = model.tokenizer.decode(self.tokens)
        self.position = model.engine.new_stream()
        self._pieces = feed_in_chunks(
            model.engine, self.position, self.tokens, restart=True, most=PIECE_TOKENS
        )

    def feed(self) -> bool:
        """Feed the next piece, and return whether the prompt is complete."""
        return next(self._pieces, True)


class Update(NamedTuple):
    """What a chunk added to a text.

    Attributes:
        text: The text that it belongs to.
        chunk: The characters that were added.
        tokens: Number of tokens that were added.
        logprobs: The log-probabilities of these characters, and of the end of a record; None if the request
            did not ask for them.
        ending: Why the text ended, or None if it continues.
        error: Why the text failed, or None.
        last: Whether this is the last update of the text.
    """

    text: "ServedText"
    chunk: str = ""
    tokens: int = 0
    logprobs: Sequence[float] | None = None
    ending: TextEnding | None = None
    error: Exception | None = None
    last: bool = False


class ServedText:
    """One text of a request. It waits, its prompt is fed, it is a lane of the batch, and it ends.

    After the text was submitted, only the worker uses the attributes that change.

    Attributes:
        prompt: The prompt.
        generation: The generation, which continues the prompt when it is complete.
        choice: The index of the text in the response.
        remaining: Number of tokens that may still be generated.
        deliver: Called with each update in the thread of the event loop.
    """

    def __init__(
        self,
        prompt: Prompt,
        generation: Generation,
        choice: int,
        request: Request,
        deliver: Callable[[Update], None],
    ) -> None:
        self.prompt, self.generation, self.choice = prompt, generation, choice
        self.remaining, self.deliver = request.length, deliver
        generation.keep_logprobs = request.logprobs
        # The log-probabilities of tokens whose text is held back.
        self._held: list[float] = []

    def start(self) -> None:
        """Let the generation continue the prompt, which must be complete."""
        self.generation.position.continue_from(self.prompt.position)

    def update(self, chunk: BatchChunk) -> Update:
        """Return the update for a chunk of the batch."""
        self.remaining -= chunk.tokens
        logprobs = None
        if self.generation.keep_logprobs:
            # A token is a character. The last tokens may be a stop text, which is no part of the text.
            self._held += chunk.logprobs or ()
            count = len(chunk.text) + (chunk.ending is not None and self.generation.ended_record)
            logprobs, self._held = self._held[:count], self._held[count:]
        is_last = chunk.ending is not None or chunk.error is not None
        return Update(self, chunk.text, chunk.tokens, logprobs, chunk.ending, chunk.error, is_last)


def is_quick(request: Request) -> bool:
    """Return whether ``prepare`` takes only a few milliseconds."""
    sampling = request.sampling
    return (
        request.texts <= QUICK_TEXTS
        and request.characters + request.texts * sum(map(len, sampling.stop)) <= QUICK_CHARACTERS
        and not sampling.max_copy
        and all(getattr(sampling, name) is None for name in CONSTRAINTS)
    )


def prepare(
    model: Model, request: Request, deliver: Callable[[Update], None]
) -> tuple[list[ServedText], list[str]]:
    """Encode the prompts, compile the sampling parameters, and create the texts.

    Returns:
        All texts of the first prompt, then those of the next; and warnings about what has no effect or is
        outside the vocabulary, one line each.

    Raises:
        RequestError: If a prompt or a sampling parameter does not fit the model.
    """
    if request.logprobs and model.tokenizer.level != CHARACTER:
        # The text of other tokens does not say where they end.
        raise RequestError(400, "logprobs needs a model of characters", param="logprobs")
    try:
        sampling, warnings = checked_stops(request.sampling, model.metadata)
        texts: list[ServedText] = []
        # Each prompt is fed once for its choices, and each of the model's own prompts once.
        prompts: dict[tuple[int, str], Prompt] = {}
        for choice in range(request.texts):
            index = choice // request.choices
            given = request.prompts[index]
            text = model.default_prompt(request.seed + choice) if given is None else given
            key = (-1 if given is None else index, text)
            prompt = prompts[key] = prompts.get(key) or Prompt(model, text, request)
            # As in `Model.start`, before the prompt is fed.
            stream = model.engine.new_stream(request.seed, choice)
            generation = Generation(model, stream, sampling, prompt.text)
            generation.check_length(request.length)
            texts.append(ServedText(prompt, generation, choice, request, deliver))
    except PromptError as error:
        raise RequestError(400, error.spelled(spell_field), param=request.prompt_field) from None
    except SamplingError as error:
        raise RequestError.of(error) from None
    unknown: Counter[str] = Counter()
    for given in filter(None, request.prompts):
        unknown += model.tokenizer.count_unknown(model.metadata.normalize(given))
    if unknown:
        warnings.append(unknown_characters_warning(unknown, request.unknown))
    return texts, warnings


def count_prompt_tokens(texts: Iterable[ServedText]) -> int:
    """Return the number of tokens of the prompts of texts. One that several texts continue counts once."""
    return sum(len(prompt.tokens) for prompt in {text.prompt for text in texts})


def _stopped() -> RequestError:
    return RequestError(503, "the server stopped before the text was complete", headers=RETRY)


class Worker:
    """Generates texts as lanes of one batch, in a thread of its own.

    The event loop's thread calls the first methods. It sends orders for the others, which the worker's thread
    obeys between two chunks.

    Args:
        model: The model.
        settings: The limits of the server.

    Attributes:
        model: The model.
        texts: Number of texts of all requests that were accepted and are not answered yet.
        prompt_tokens: Number of tokens of all prompts that were accepted.
        generated_tokens: Number of tokens that were generated.
        draining: Whether new texts are refused, because the server is about to stop.
    """

    def __init__(self, model: Model, settings: Settings) -> None:
        self.model = model
        self.texts = self.prompt_tokens = self.generated_tokens = self._characters = 0
        self.draining = self._stopping = False
        self._settings = settings
        self._idle = asyncio.Event()
        self._idle.set()
        self._orders: SimpleQueue[Callable[[], object]] = SimpleQueue()
        # A text is in one of these. All but the waiting ones count as users.
        self._waiting: deque[ServedText] = deque()
        self._feeding: deque[ServedText] = deque()
        self._lanes: dict[Generation, ServedText] = {}
        self._batch = Batch(model)
        self._pace = Pace()
        self._updates: list[Update] = []
        self._stopped = False

    @property
    def users(self) -> int:
        """Number of texts that are generated."""
        return len(self._feeding) + len(self._lanes)

    @property
    def waiting(self) -> int:
        """Number of texts that wait."""
        return len(self._waiting)

    # The event loop's thread.

    def start(self) -> None:
        """Start the thread. The running event loop receives the updates."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self.run, name="textgen-serve", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def places(self, request: Request) -> Iterator[None]:
        """Give a request places for its texts, until it is answered.

        Raises:
            RequestError: If the prompts are too long, the queue is full, or the server is about to stop.
        """
        most, characters = self._settings.max_texts, self._characters + request.characters
        if self.draining:
            raise RequestError(503, "the server is about to stop", headers=RETRY)
        if request.characters > MAX_CHARACTERS:
            raise wrong(request.prompt_field, f"is too long: {MAX_CHARACTERS} characters at most")
        if self.texts + request.texts > most or characters > MAX_CHARACTERS:
            message = (
                f"the server is busy with {self.texts} of at most {most} texts, whose prompts have "
                f"{self._characters} of at most {MAX_CHARACTERS} characters: try again later"
            )
            raise RequestError(429, message, code="queue_full", headers=RETRY)
        self._idle.clear()
        self.texts, self._characters = self.texts + request.texts, characters
        try:
            yield
        finally:
            self.texts, self._characters = self.texts - request.texts, self._characters - request.characters
            if not self.texts:
                self._idle.set()

    def submit(self, texts: Sequence[ServedText]) -> None:
        """Queue texts. Raises a ``RequestError`` if the worker has stopped."""
        if self._stopping:
            raise _stopped()
        self.prompt_tokens += count_prompt_tokens(texts)
        self.order(self.add, texts)

    def order(self, function: Callable[[Argument], object], argument: Argument) -> None:
        """Let the worker's thread call a function."""
        self._orders.put(partial(function, argument))

    async def idle(self) -> None:
        """Wait until every request for texts is answered."""
        await self._idle.wait()

    def stop(self) -> None:
        """End every text with an error, and the thread."""
        self.draining = self._stopping = True
        self.order(self.end, _stopped())
        self._thread.join()

    def _deliver(self, updates: list[Update]) -> None:
        for update in updates:
            self.generated_tokens += update.tokens
            update.text.deliver(update)

    # The worker's thread. The following functions can be ordered.

    def add(self, texts: Iterable[ServedText]) -> None:
        """Add texts to the queue."""
        self._waiting.extend(texts)

    def cancel(self, text: ServedText) -> None:
        """Remove a text, unless it has ended."""
        if text in self._waiting:
            self._waiting.remove(text)
        elif text in self._feeding:
            self._feeding.remove(text)
        elif text.generation in self._lanes:
            self._batch.remove(text.generation)
            del self._lanes[text.generation]

    def end(self, error: Exception) -> None:
        """Let every text fail with an error, and end the thread."""
        self._stopped = True
        self._fail_all(error)

    # The steps of a cycle.

    def run(self) -> None:
        """Work until ``end``."""
        while not self._stopped:
            try:
                self._obey()
                self._advance(CYCLE_SECONDS - self._admit())
            except Exception as error:
                logger.exception("the worker failed")
                self._fail_all(error)
            if self._updates:
                self._loop.call_soon_threadsafe(self._deliver, self._updates)
                self._updates = []

    def _obey(self) -> None:
        """Obey all orders, and wait for one if there is nothing else to do."""
        if not (self._waiting or self._feeding or self._lanes):
            self._orders.get()()
        while not self._orders.empty():
            self._orders.get()()

    def _admit(self) -> float:
        """Feed prompts in turn, and make a lane of each text whose prompt is complete.

        A prompt gets the time that a lane gets, so that long prompts do not slow down the other texts.

        Returns:
            The time that it took, in seconds.
        """
        while self._waiting and self.users < self._settings.max_users:
            self._feeding.append(self._waiting.popleft())
        start = thread_time()
        share = len(self._feeding) / (self.users or 1)
        while self._feeding and thread_time() <= start + CYCLE_SECONDS * min(share, MAX_PROMPT_SHARE):
            self._feed(self._feeding[0])
        return thread_time() - start

    def _feed(self, text: ServedText) -> None:
        """Feed a piece of a prompt, and make a lane of the text if the prompt is complete."""
        try:
            if text.prompt.feed():
                text.start()
                self._batch.add(text.generation, text.remaining)
                self._lanes[text.generation] = text
            else:
                self._feeding.append(text)
        except Exception as error:  # noqa: BLE001 (an error of one text must not stop the others)
            self._updates.append(Update(text, error=error, last=True))
        # Only now, because a text always counts as a user. If it was appended, the first of two is removed.
        self._feeding.remove(text)

    def _advance(self, seconds: float) -> None:
        """Generate a chunk that takes about this time."""
        if not self._lanes:
            return
        steps = self._pace.steps(len(self._lanes), seconds)
        start, before = thread_time(), self._batch.drawn
        for chunk in self._batch.advance(steps):
            update = self._lanes[chunk.generation].update(chunk)
            self._updates.append(update)
            if update.last:
                del self._lanes[chunk.generation]
        # With the tokens of texts that were rejected.
        self._pace.record(self._batch.drawn - before, thread_time() - start)

    def _fail_all(self, error: Exception) -> None:
        for text in (*self._waiting, *self._feeding, *self._lanes.values()):
            self._updates.append(Update(text, error=error, last=True))
        for place in (self._waiting, self._feeding, self._lanes):
            place.clear()
        self._batch = Batch(self.model)


class Pace:
    """Chooses the number of tokens per chunk so that a chunk takes a given time."""

    def __init__(self) -> None:
        self._steps = FIRST_STEPS
        # Of the latest chunks, with falling weights.
        self._tokens = self._seconds = 0.0

    def steps(self, lanes: int, seconds: float) -> int:
        """Return the maximum number of tokens per lane of the next chunk.

        Args:
            lanes: The number of lanes, 1 or more.
            seconds: How long the chunk should take.
        """
        most = MAX_GROWTH * self._steps
        if self._seconds > 0:
            most = min(most, int(seconds * self._tokens / (self._seconds * lanes)))
        if self._tokens:
            self._steps = max(1, most)
        return self._steps

    def record(self, tokens: int, seconds: float) -> None:
        """Record how long a chunk of this many tokens, of all lanes together, took."""
        if tokens:
            self._tokens = WEIGHT * self._tokens + tokens
            self._seconds = WEIGHT * self._seconds + seconds


class Reply:
    """Collects the updates of the texts of one request, for the task that writes the response.

    Args:
        worker: Generates the texts.
        streams: Whether the updates are wanted as they come, not all at the end.

    Attributes:
        tokens: Number of tokens that were generated so far.
        running: The texts that have not ended.
    """

    def __init__(self, worker: Worker, *, streams: bool) -> None:
        self._worker, self._streams = worker, streams
        self.tokens = 0
        self.running: set[ServedText] = set()
        self._pending: list[Update] = []
        self._wake = asyncio.Event()

    def submit(self, texts: Sequence[ServedText]) -> None:
        """Queue the texts, which must deliver to this reply."""
        self._worker.submit(texts)
        self.running.update(texts)

    def deliver(self, update: Update) -> None:
        """Receive an update of one of the texts."""
        self._pending.append(update)
        self.tokens += update.tokens
        if update.last:
            self.running.discard(update.text)
        if self._streams or update.error or not self.running:
            self._wake.set()

    async def updates(self) -> list[Update]:
        """Wait for updates and return them, until no text is running.

        Raises:
            RequestError: If a text failed.
        """
        await self._wake.wait()
        self._wake.clear()
        updates, self._pending = self._pending, []
        for update in updates:
            if update.error:
                raise _as_request_error(update.error)
        return updates

    def close(self) -> None:
        """Cancel the texts that have not ended."""
        for text in self.running:
            self._worker.order(self._worker.cancel, text)


def _as_request_error(error: Exception) -> RequestError:
    """Return the error that the client sees. A defect of the server is also logged."""
    if isinstance(error, RequestError):
        return error
    logger.error("a text failed", exc_info=None if isinstance(error, TextgenError) else error)
    if isinstance(error, TextgenError):
        return RequestError.of(error)
    return RequestError(500, "the server failed: see its log")
