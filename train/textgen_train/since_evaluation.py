"""What happened since the last evaluation."""

from time import perf_counter

from .loop.update import Update


class SinceEvaluation:
    """Adds up the updates since the last evaluation."""

    def __init__(self) -> None:
        self.started = perf_counter()
        self.updates = 0
        self.characters = 0
        self._total_nats = 0.0
        self.last: Update | None = None

    def add(self, update: Update) -> None:
        self.updates += 1
        self.characters += update.characters
        self._total_nats += update.characters * update.nats
        self.last = update

    @property
    def nats(self) -> float:
        """Mean training loss of a character."""
        return self._total_nats / max(self.characters, 1)

    @property
    def speed(self) -> float:
        """Units of the trainer a second, which are characters or windows."""
        return self.characters / max(perf_counter() - self.started, 1e-9)
