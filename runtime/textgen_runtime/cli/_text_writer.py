"""Writing of generated texts to standard output while they are generated."""

import sys
from time import perf_counter

from textgen_runtime.system.console import terminal_safe

from ._series import PendingText
from ._text_forms import TextForm

# Minimum time between flushes while texts are generated. It looks continuous and costs no measurable time.
FLUSH_SECONDS = 0.02


class TextWriter:
    """Writes texts to standard output, one after another.

    On a terminal, control characters are written as escapes.

    Args:
        form: The form of the texts.

    Attributes:
        count: The number of complete texts that were written.
        first_text: The time when the first text was written, by ``perf_counter``; None before that.
    """

    def __init__(self, form: TextForm) -> None:
        self.form = form
        self.count = 0
        self.first_text: float | None = None
        self._flushed = 0.0
        self._at_line_start = True
        self._has_texts = False
        self._open: PendingText | None = None

    def write_part(self, text: PendingText) -> None:
        """Write what was generated of a text. The form must permit parts."""
        self._write(self._new_content(text))

    def write_rest(self, text: PendingText) -> None:
        """Write a complete text, or the rest of the one that was written in parts."""
        self._write(self._new_content(text) + self.form.closing)
        self._open = None
        self.count += 1

    def break_off(self) -> None:
        """End the text that was written in parts and will not be completed."""
        if self._open is not None:
            self._write("" if self._at_line_start else self.form.closing)
        self._open = None

    def finish(self) -> None:
        """Write what stands after the last text, if there is any text."""
        if self._has_texts:
            self._write(self.form.end)

    def _new_content(self, text: PendingText) -> str:
        opening = "" if self._open is text else self.form.opening(text)
        self._open, self._has_texts = text, True
        return opening + self.form.content(text)

    def _write(self, text: str) -> None:
        sys.stdout.write(terminal_safe(sys.stdout, text))
        self._at_line_start = text.endswith("\n") if text else self._at_line_start
        now = perf_counter()
        if now - self._flushed >= FLUSH_SECONDS:
            sys.stdout.flush()
            self._flushed = now
        if self.first_text is None:
            self.first_text = now
