"""The worker, which owns the batch, advances it chunk by chunk, and chooses the length of the chunks."""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from queue import SimpleQueue
from time import perf_counter
from typing import TypeVar

from textgen_runtime.model import Batch, Generation, Model

from .text import Text, Update

# How long the worker feeds prompts and generates before it returns the new text. A stream gets an event in
# each cycle, and needs one every 50 ms. The difference is for the event loop, the client and a busy machine.
# Longer cycles would save little: the events of a cycle take a small part of it.
CYCLE_SECONDS = 0.02

# The largest part of a cycle in which prompts are fed.
MAX_PROMPT_SHARE = 0.75

# Tokens per lane of the first chunk. They take any model only milliseconds. The later numbers are measured.
FIRST_STEPS = 8

# The cost of a token depends on the number of lanes, which can change by any factor between chunks.
MAX_GROWTH = 2

# The share of the latest chunk in the estimate.
WEIGHT = 0.5

logger = logging.getLogger(__name__)

Argument = TypeVar("Argument")


class Worker:
    """Generates texts as lanes of one batch, in a thread of its own.

    Other threads call only ``order`` and read the numbers of texts. The functions that they order run in the
    worker's thread, between two chunks.

    Args:
        model: The model.
        max_users: Maximum number of texts that are generated at the same time.
        post: Called with the updates of all texts after each chunk, in the worker's thread.
    """

    def __init__(self, model: Model, max_users: int, post: Callable[[list[Update]], None]) -> None:
        self._model = model
        self._max_users = max_users
        self._post = post
        self._orders: SimpleQueue[Callable[[], object]] = SimpleQueue()
        # A text is in one of these. All but the waiting ones count as users.
        self._waiting: deque[Text] = deque()
        self._feeding: deque[Text] = deque()
        self._lanes: dict[Generation, Text] = {}
        self._paused: set[Text] = set()
        self._batch = Batch(model)
        self._pace = Pace()
        self._updates: list[Update] = []
        self._stopped = False

    @property
    def users(self) -> int:
        """Number of texts that are generated."""
        return len(self._feeding) + len(self._lanes) + len(self._paused)

    @property
    def paused(self) -> int:
        """Number of texts that are paused."""
        return len(self._paused)

    def order(self, function: Callable[[Argument], object], argument: Argument) -> None:
        """Let the worker call one of its functions."""
        self._orders.put(partial(function, argument))

    def run(self) -> None:
        """Work until ``stop``."""
        while not self._stopped:
            try:
                self._obey()
                self._advance(CYCLE_SECONDS - self._admit())
            except Exception as error:
                logger.exception("the worker failed")
                self._fail_all(error)
            if self._updates:
                self._post(self._updates)
                self._updates = []

    # These functions can be ordered.

    def add(self, texts: Iterable[Text]) -> None:
        """Add texts to the queue."""
        self._waiting.extend(texts)

    def cancel(self, text: Text) -> None:
        """Remove a text. Its last update follows, unless it has ended."""
        if text in self._waiting:
            self._waiting.remove(text)
        elif text in self._feeding:
            self._feeding.remove(text)
        elif text in self._paused:
            self._paused.remove(text)
        elif not self._remove_lane(text):
            return
        self._updates.append(Update(text, last=True))

    def pause(self, text: Text) -> None:
        """Stop generating a text until ``resume``."""
        # A lane that leaves the batch would lose its texts without the mask.
        if not text.generation.sampling.resample and self._remove_lane(text):
            self._paused.add(text)

    def resume(self, text: Text) -> None:
        """Continue a text after ``pause``."""
        if text in self._paused:
            self._paused.remove(text)
            self._add_lane(text)

    def stop(self, error: Exception) -> None:
        """Let every text fail with an error, and end the thread."""
        self._stopped = True
        self._fail_all(error)

    # The steps of a cycle.

    def _obey(self) -> None:
        """Obey all orders, and wait for one if there is nothing else to do."""
        if not (self._waiting or self._feeding or self._lanes):
            self._orders.get()()
        while not self._orders.empty():
            self._orders.get()()

    def _admit(self) -> float:
        """Feed prompts, and make a lane of each text whose prompt is complete.

        Prompts that need only one more piece come first. Of the others, each gets the time that a lane gets,
        so that long prompts do not slow down the other texts.

        Returns:
            The time that it took, in seconds.
        """
        while self._waiting and self.users < self._max_users:
            self._feeding.append(self._waiting.popleft())
        start = perf_counter()
        for text in [text for text in self._feeding if text.prompt.pieces <= 1]:
            if perf_counter() > start + CYCLE_SECONDS * MAX_PROMPT_SHARE:
                break
            self._feed(text)
        share = len(self._feeding) / (len(self._feeding) + len(self._lanes)) if self._feeding else 0.0
        end = start + CYCLE_SECONDS * min(share, MAX_PROMPT_SHARE)
        while self._feeding and perf_counter() < end:
            self._feed(self._feeding[0])
        return perf_counter() - start

    def _feed(self, text: Text) -> None:
        """Feed a piece of a prompt, and make a lane of the text if the prompt is complete."""
        try:
            if text.prompt.feed():
                text.start()
                self._add_lane(text)
            else:
                self._feeding.append(text)
        except Exception as error:  # noqa: BLE001 (an error of one text must not stop the others)
            self._fail(text, error)
        # Only now, because a text always counts as a user. If it was appended, the first of two is removed.
        self._feeding.remove(text)

    def _advance(self, seconds: float) -> None:
        """Generate a chunk that takes about this time."""
        if not self._lanes:
            return
        steps = self._pace.steps(len(self._lanes), seconds)
        start = perf_counter()
        before = self._batch.drawn
        for chunk in self._batch.advance(steps):
            update = self._lanes[chunk.generation].update(chunk)
            self._updates.append(update)
            if update.last:
                del self._lanes[chunk.generation]
        # With the tokens of texts that were rejected.
        self._pace.record(self._batch.drawn - before, perf_counter() - start)

    def _add_lane(self, text: Text) -> None:
        self._batch.add(text.generation, text.remaining)
        self._lanes[text.generation] = text

    def _remove_lane(self, text: Text) -> bool:
        """Remove the lane of a text, and return whether there was one."""
        if text.generation not in self._lanes:
            return False
        self._batch.remove(text.generation)
        del self._lanes[text.generation]
        return True

    def _fail(self, text: Text, error: Exception) -> None:
        self._updates.append(Update(text, error=error, last=True))

    def _fail_all(self, error: Exception) -> None:
        for text in (*self._waiting, *self._feeding, *self._lanes.values(), *self._paused):
            self._fail(text, error)
        for place in (self._waiting, self._feeding, self._lanes, self._paused):
            place.clear()
        self._batch = Batch(self._model)


class Pace:
    """Chooses the number of tokens per chunk so that a chunk takes a given time."""

    def __init__(self) -> None:
        self._steps = FIRST_STEPS
        # Seconds per token and lane; None before the first chunk.
        self._cost: float | None = None

    def steps(self, lanes: int, seconds: float) -> int:
        """Return the maximum number of tokens per lane of the next chunk.

        Args:
            lanes: The number of lanes, 1 or more.
            seconds: How long the chunk should take.
        """
        if self._cost is not None:
            wanted = int(seconds / (self._cost * lanes))
            self._steps = max(1, min(wanted, MAX_GROWTH * self._steps))
        return self._steps

    def record(self, tokens: int, seconds: float) -> None:
        """Record how long a chunk took.

        Args:
            tokens: Number of tokens of all lanes together.
            seconds: The time from the start of the chunk to its texts.
        """
        if not tokens:
            return
        cost = seconds / tokens
        self._cost = cost if self._cost is None else WEIGHT * cost + (1 - WEIGHT) * self._cost
