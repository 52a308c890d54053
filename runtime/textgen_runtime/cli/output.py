"""How ``textgen-run`` writes its texts: with headings, as records, with a separator, as JSON, or raw."""

import argparse
import math
import sys
from time import perf_counter
from typing import Any

from textgen_runtime.errors import OutputError
from textgen_runtime.json_text import to_json
from textgen_runtime.model import Model
from textgen_runtime.sampling import Sampling
from textgen_runtime.terminal import escape_unencodable, terminal_safe
from textgen_runtime.tokenizer import BYTE, CHARACTER

from .texts import Text

BITS_PER_NAT = 1.0 / math.log(2)

# Bytes can be any character.
ANY = (chr(sys.maxunicode),)

# Programs other than JSON parsers treat these as line ends or as control codes.
JSON_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}

# Minimum time between flushes while texts are generated. It looks continuous and costs no measurable time.
FLUSH_SECONDS = 0.02


def prepare_output(arguments: argparse.Namespace, prog: str, model: Model) -> None:
    """Set the encoding of standard output, or warn if it lacks characters of the model.

    Raises:
        OutputError: If ``--raw`` has no effect on the model, or would write to a terminal.
    """
    if arguments.raw:
        if model.tokenizer.level != BYTE:
            raise OutputError(
                f"--raw needs a model of bytes, but this is a model of {model.tokenizer.level}s"
            )
        if sys.stdout.isatty():
            raise OutputError("--raw does not write to a terminal: redirect the output to a file")
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")  # type: ignore[union-attr]
    elif arguments.json:
        # JSON is UTF-8. Half of a surrogate pair becomes an escape of JSON.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    else:
        is_byte_level = model.tokenizer.level == BYTE
        escape_unencodable(prog, sys.stdout, ANY if is_byte_level else model.tokenizer.symbols)


class TextWriter:
    """Writes texts to standard output, one after another.

    On a terminal, control characters are written as escapes.

    Args:
        arguments: The arguments, which select the form.
        samplings: The number of samplings.
        model: The model of the texts.

    Attributes:
        in_parts: Whether a text can be written while it is generated.
        count: The number of complete texts that were written.
    """

    def __init__(self, arguments: argparse.Namespace, samplings: int, model: Model) -> None:
        self._raw, self._json, self._separator = arguments.raw, arguments.json, arguments.separator
        self._samplings, self._model = samplings, model
        self.in_parts = not self._json
        self.count = 0
        self._flushed = 0.0
        self._at_line_start = self._is_first = True
        # What stands after each text.
        self._closing = "" if self._raw or self._separator is not None else "\n"
        # The text that was written in part, and the sampling of the latest text with its parameters.
        self._open: Text | None = None
        self._sampling: Sampling | None = None
        self._parameters: dict[str, Any] = {}

    def write(self, text: Text) -> None:
        """Write a text, or what was generated of it since the last call."""
        opening = "" if self._open is text else self._opening(text)
        content = self._json_line(text) if self._json else text.take()
        if text.ending is None:
            self._open = text
            self._write(opening + content)
        else:
            self._open = None
            self.count += 1
            self._write(opening + content + self._closing)

    def break_off(self) -> None:
        """End the text that was written in parts and will not be completed."""
        if self._open is not None and not self._at_line_start:
            self._write(self._closing)
        self._open = None

    def finish(self) -> None:
        """Write what stands after the last text, if there is any text. All of it is then written."""
        if self._separator is not None and not self._is_first:
            # A program that expects a zero character after each text expects one after the last text.
            self._write("\0" if self._separator.endswith("\0") else "\n")

    def _opening(self, text: Text) -> str:
        """Return what stands before a text."""
        is_first, self._is_first = self._is_first, False
        sampling = text.generation.sampling
        begins_sampling, self._sampling = sampling is not self._sampling, sampling
        if self._json:
            if begins_sampling:
                self._parameters = sampling.changed()
            return ""
        echo = text.series.echo(text)
        if self._raw:
            return echo
        if self._separator is not None:
            return ("" if is_first else self._separator) + echo
        parts = [f"temperature: {sampling.temperature}"] if self._samplings > 1 else []
        separator = ""
        if self._model.metadata.records is None:
            parts += filter(None, [text.series.place(text)])
        else:
            # Records stand as in a corpus, with a heading before those of each sampling.
            parts = parts if begins_sampling else []
            separator = "\n" * (self._model.metadata.records == "blank" and not is_first)
        return separator + (f"------ {', '.join(parts)}\n" if parts else "") + echo

    def _json_line(self, text: Text) -> str:
        generation, content = text.generation, text.take()
        # The end of a record counts as one character. A stop text was drawn, whether it is kept or not.
        left_out = 0 if generation.sampling.keep_stop else len(text.stop)
        drawn = len(content) + left_out + generation.ended_record
        characters = text.tokens if self._model.tokenizer.level == CHARACTER else drawn
        values = {
            "text": content,
            "prompt": generation.prompt,
            "seed": generation.seed,
            "substream": generation.substream,
            "sampling": self._parameters,
            "ending": text.ending,
            "tokens": text.tokens,
            "bits_per_character": text.nats * BITS_PER_NAT / characters if characters else None,
        }
        return to_json(values, ascii_only=False).translate(JSON_ESCAPES)

    def _write(self, text: str) -> None:
        sys.stdout.write(terminal_safe(sys.stdout, text))
        self._at_line_start = text.endswith("\n") if text else self._at_line_start
        now = perf_counter()
        if now - self._flushed >= FLUSH_SECONDS:
            sys.stdout.flush()
            self._flushed = now
