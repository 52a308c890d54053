"""The event loop's side of the generation: which texts are accepted, and who gets their updates."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from textgen_runtime.errors import SamplingError, TextgenError
from textgen_runtime.model import Model

from .requests import RETRY, ClientGoneError, RequestError, Settings, busy_error, sampling_error, spell_field
from .text import Text, Update, count_prompt_tokens
from .worker import Worker

# Characters of a stream that may wait for a slow reader. Beyond them the texts are paused.
MAX_PENDING = 2**16

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Scheduler:
    """Accepts texts for the worker, and passes their updates to the requests.

    All methods belong to the thread of the event loop and never block. They send orders to the worker, which
    returns the updates of all texts in one call of the event loop per chunk.

    Args:
        model: The model.
        settings: The limits of the server.

    Attributes:
        model: The model.
        worker: The worker, for orders and its numbers of texts.
        texts: Number of texts that are generated or wait, or for which room was reserved.
        prompt_tokens: Number of tokens of all prompts that were accepted.
        generated_tokens: Number of tokens that were generated.
        draining: Whether new texts are refused, because the server is about to stop.
        at_stop: Functions that ``stop`` calls with an error.
    """

    def __init__(self, model: Model, settings: Settings) -> None:
        self.model = model
        self.texts = 0
        self.prompt_tokens = 0
        self.generated_tokens = 0
        self.draining = False
        self._max_texts = settings.max_texts
        self._stopping = False
        self.at_stop: set[Callable[[Exception], None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.worker = Worker(model, settings.max_users, self._post)

    @property
    def waiting(self) -> int:
        """Number of texts that wait, or for which room was reserved."""
        return max(0, self.texts - self.worker.users)

    def start(self) -> None:
        """Start the worker. The running event loop receives the updates."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self.worker.run, name="textgen-serve", daemon=True)
        self._thread.start()

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

    def submit(self, texts: Sequence[Text]) -> None:
        """Queue texts, for which there must be room.

        Raises:
            RequestError: If the worker has stopped. The texts then have no room any more.
        """
        if self._stopping:
            self.cancel_reservation(len(texts))
            raise _stopped_error()
        self.prompt_tokens += count_prompt_tokens(texts)
        self.worker.order(self.worker.add, texts)

    async def idle(self) -> None:
        """Wait until every text has ended."""
        await self._idle.wait()

    async def stop(self) -> None:
        """End every text with an error, and stop the worker."""
        self.draining = self._stopping = True
        for function in self.at_stop:
            function(_stopped_error())
        self.worker.order(self.worker.stop, _stopped_error())
        await self.idle()
        self._thread.join()

    def _post(self, updates: list[Update]) -> None:
        """Receive updates in the worker's thread."""
        self._loop.call_soon_threadsafe(self._deliver, updates)

    def _deliver(self, updates: list[Update]) -> None:
        for update in updates:
            self.generated_tokens += update.tokens
            update.text.deliver(update)
        self.cancel_reservation(sum(update.last for update in updates))


def _stopped_error() -> RequestError:
    return RequestError(503, "the server stopped before the text was complete")


class Reply:
    """Collects the updates of the texts of one request, for the task that writes the response.

    Args:
        scheduler: Generates the texts.
        streams: Whether the updates are wanted as they come, not all at the end.

    Attributes:
        tokens: Number of tokens that were generated so far.
    """

    def __init__(self, scheduler: Scheduler, *, streams: bool) -> None:
        self._scheduler = scheduler
        self._worker = scheduler.worker
        self._streams = streams
        self.tokens = 0
        self._running: set[Text] = set()
        self._pending: list[Update] = []
        self._characters = 0
        self._is_paused = False
        self._error: Exception | None = None
        self._work: asyncio.Future[Any] | None = None
        self._wake = asyncio.Event()

    async def wait_for(self, work: "asyncio.Future[Result]") -> Result:
        """Wait for work that comes before ``submit``, and return its result.

        Raises:
            ClientGoneError: If the client has closed the connection. The work is then canceled.
            RequestError: If the server stops. The work is then canceled.
        """
        self._work = work
        self._scheduler.at_stop.add(self._fail)
        try:
            return await work
        except asyncio.CancelledError:
            if self._error:
                raise self._error from None
            raise
        finally:
            self._scheduler.at_stop.remove(self._fail)

    def submit(self, texts: Sequence[Text]) -> None:
        """Queue the texts, which must deliver to this reply."""
        self._running.update(texts)
        self._scheduler.submit(texts)

    def deliver(self, update: Update) -> None:
        """Receive an update of one of the texts."""
        if update.last:
            self._running.discard(update.text)
        self.tokens += update.tokens
        self._pending.append(update)
        self._characters += len(update.chunk)
        if update.error:
            self._fail(update.error)
        elif self._streams:
            if self._characters > MAX_PENDING:
                # Texts that were no lanes yet cannot be paused: each is paused when it delivers.
                for text in [update.text] if self._is_paused else self._running:
                    self._worker.order(self._worker.pause, text)
                self._is_paused = True
            self._wake.set()
        elif not self._running:
            self._wake.set()

    def disconnect(self) -> None:
        """Let ``updates`` raise ``ClientGoneError``."""
        self._fail(ClientGoneError())

    @property
    def done(self) -> bool:
        """Whether ``updates`` has returned the last update of every text."""
        return not (self._running or self._pending)

    async def updates(self) -> list[Update]:
        """Wait for updates and return them, until ``done``.

        Raises:
            RequestError: If a text failed.
            ClientGoneError: If the client has closed the connection.
        """
        await self._wake.wait()
        self._wake.clear()
        if isinstance(self._error, ClientGoneError):
            raise self._error
        if self._error:
            # Here, because a defect is logged with the id of the request whose task is running.
            raise as_request_error(self._error)
        updates, self._pending, self._characters = self._pending, [], 0
        if self._is_paused:
            self._is_paused = False
            for text in self._running:
                self._worker.order(self._worker.resume, text)
        return updates

    def close(self) -> None:
        """Cancel the texts that have not ended."""
        for text in self._running:
            self._worker.order(self._worker.cancel, text)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        if self._work:
            self._work.cancel()
        self._wake.set()


def as_request_error(error: Exception) -> RequestError:
    """Return the error that the client sees. A defect of the server is also logged.

    The request was checked before. So its sender can have caused only an error that names a parameter: that
    the parameter leaves no token to draw.
    """
    if isinstance(error, RequestError):
        return error
    if isinstance(error, SamplingError) and error.parameter is not None:
        return sampling_error(error)
    if isinstance(error, TextgenError):
        return RequestError(500, error.spelled(spell_field))
    logger.error("a text failed", exc_info=error)
    return RequestError(500, "the server failed: see its log")
