"""The event loop's side of the generation: which texts are accepted, and who gets their updates."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from textgen_runtime.generation.model import Model

from .errors import RETRY, RequestError, busy_error
from .text import Text, Update
from .worker import Worker


class Scheduler:
    """Accepts texts for the worker, and passes their updates to the requests.

    All methods belong to the thread of the event loop and never block. They put orders into a queue. The
    worker returns the updates of all texts in one call of the event loop per chunk.

    Args:
        model: The model.
        max_users: Maximum number of texts that are generated at the same time.
        max_texts: Maximum number of texts that are generated or wait.

    Attributes:
        model: The model.
        texts: Number of texts that are generated or wait, or for which room was reserved.
        draining: Whether new texts are refused, because the server is about to stop.
    """

    def __init__(self, model: Model, max_users: int, max_texts: int) -> None:
        self.model = model
        self.texts = 0
        self.draining = False
        self._max_texts = max_texts
        self._stopping = False
        self._at_stop: set[Callable[[Exception], None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._worker = Worker(model, max_users, self._post)

    def start(self) -> None:
        """Start the worker. The running event loop receives the updates."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._worker.run, name="textgen-serve", daemon=True)
        self._thread.start()

    @property
    def users(self) -> int:
        """Number of texts that are generated."""
        return self._worker.users

    @property
    def paused(self) -> int:
        """Number of texts that are paused, because their readers are slow."""
        return self._worker.paused

    def reserve(self, count: int) -> None:
        """Make room for the texts of a request, for ``submit`` or ``cancel_reservation``.

        Raises:
            RequestError: If the queue is full, or if the server is about to stop.
        """
        if self.draining:
            raise RequestError(503, "the server is about to stop: send the request again", headers=RETRY)
        if self.texts + count > self._max_texts:
            raise busy_error(f"{self.texts} of at most {self._max_texts} texts are generated or wait")
        self.texts += count
        self._idle.clear()

    def cancel_reservation(self, count: int) -> None:
        """Give up the room for this many texts."""
        self.texts -= count
        if not self.texts:
            self._idle.set()

    @contextlib.contextmanager
    def at_stop(self, function: Callable[[Exception], None]) -> Iterator[None]:
        """Call a function with an error if ``stop`` is called during the block."""
        self._at_stop.add(function)
        try:
            yield
        finally:
            self._at_stop.remove(function)

    def submit(self, texts: Sequence[Text]) -> None:
        """Queue texts, for which there must be room.

        Raises:
            RequestError: If the worker has stopped. The texts then have no room any more.
        """
        if self._stopping:
            self.cancel_reservation(len(texts))
            raise _stopped_error()
        self._worker.order(partial(self._worker.add, texts))

    def cancel(self, text: Text) -> None:
        """Remove a text, whose last update follows. Nothing happens if it has ended."""
        self._worker.order(partial(self._worker.cancel, text))

    def pause(self, text: Text) -> None:
        """Stop generating a text until ``resume``, because its reader is slow."""
        self._worker.order(partial(self._worker.pause, text))

    def resume(self, text: Text) -> None:
        """Continue a text after ``pause``."""
        self._worker.order(partial(self._worker.resume, text))

    def drain(self) -> None:
        """Refuse new texts from now on."""
        self.draining = True

    async def idle(self) -> None:
        """Wait until every text has ended."""
        await self._idle.wait()

    async def stop(self) -> None:
        """End every text with an error, and stop the worker."""
        self.draining = self._stopping = True
        for function in self._at_stop:
            function(_stopped_error())
        self._worker.order(partial(self._worker.stop, _stopped_error()))
        await self._idle.wait()
        self._thread.join()

    def _post(self, updates: list[Update]) -> None:
        """Receive updates in the worker's thread."""
        self._loop.call_soon_threadsafe(self._deliver, updates)

    def _deliver(self, updates: list[Update]) -> None:
        for update in updates:
            update.text.deliver(update)
        self.cancel_reservation(sum(update.last for update in updates))


def _stopped_error() -> RequestError:
    return RequestError(503, "the server stopped before the text was complete")
