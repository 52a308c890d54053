"""The updates of the texts of one request, for the task that writes the response."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, TypeVar

from textgen_runtime.errors import TextgenError

from .errors import ClientGoneError, RequestError
from .sampling_fields import spell_field
from .scheduler import Scheduler
from .text import Text, Update

# Characters of a stream that may wait for a slow reader. Beyond them the texts are paused.
MAX_PENDING = 2**16

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Reply:
    """Collects the updates of the texts of one request, in the thread of the event loop.

    Args:
        scheduler: Generates the texts.
        streams: Whether the updates are wanted as they come, not all at the end.
    """

    def __init__(self, scheduler: Scheduler, *, streams: bool) -> None:
        self._scheduler = scheduler
        self._streams = streams
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
        try:
            with self._scheduler.at_stop(self._fail):
                return await work
        except asyncio.CancelledError:
            if self._error:
                raise self._error from None
            raise

    def submit(self, texts: Sequence[Text]) -> None:
        """Queue the texts, which must deliver to this reply."""
        self._running.update(texts)
        self._scheduler.submit(texts)

    def deliver(self, update: Update) -> None:
        """Receive an update of one of the texts."""
        if update.last:
            self._running.discard(update.text)
        self._pending.append(update)
        self._characters += len(update.chunk)
        if update.error:
            self._fail(as_request_error(update.error))
        elif self._streams:
            if self._characters > MAX_PENDING:
                # Texts that were no lanes yet cannot be paused: each is paused when it delivers.
                for text in [update.text] if self._is_paused else self._running:
                    self._scheduler.pause(text)
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
        if self._error:
            raise self._error
        updates, self._pending, self._characters = self._pending, [], 0
        if self._is_paused:
            self._is_paused = False
            for text in self._running:
                self._scheduler.resume(text)
        return updates

    def close(self) -> None:
        """Cancel the texts that have not ended."""
        for text in self._running:
            self._scheduler.cancel(text)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        if self._work:
            self._work.cancel()
        self._wake.set()


def as_request_error(error: Exception) -> RequestError:
    """Return the error that the client sees. A defect of the server is also logged.

    The request was checked before, so that its sender cannot have caused the error.
    """
    if isinstance(error, RequestError):
        return error
    if isinstance(error, TextgenError):
        return RequestError(500, error.spelled(spell_field))
    logger.error("a text failed", exc_info=error)
    return RequestError(500, "the server failed: see its log")
