"""How ``textgen-run`` writes texts while they are generated: with headings, a separator, or as JSON Lines."""

import argparse
import math
import sys
from time import perf_counter
from typing import Any

from textgen_runtime.errors import OutputError
from textgen_runtime.model import Model
from textgen_runtime.sampling import Sampling
from textgen_runtime.system.console import escape_unencodable, terminal_safe, terminal_size
from textgen_runtime.system.json_text import to_json
from textgen_runtime.text import RecordKind
from textgen_runtime.tokenizer import BYTE, CHARACTER

from ._requested_texts import PendingText
from ._sampling_options import sampling_heading

BITS_PER_NAT = 1.0 / math.log(2)

LINE_END = "\n"
ZERO = "\0"

# Bytes can be any character.
ANY = (chr(sys.maxunicode),)

# Programs other than JSON parsers treat these as line ends or as control codes.
JSON_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}


# Minimum time between flushes while texts are generated. It looks continuous and costs no measurable time.
FLUSH_SECONDS = 0.02


def make_form(arguments: argparse.Namespace, samplings: int, records: RecordKind | None) -> "TextForm":
    """Return the form that the arguments select.

    Args:
        arguments: The arguments.
        samplings: The number of samplings.
        records: The kind of records that the model generates, or None.
    """
    if arguments.raw:
        return TextForm()
    if arguments.json:
        return JsonLines()
    if arguments.separator is not None:
        return Separated(arguments.separator)
    if records is not None:
        return Records(records, samplings)
    return Headings(samplings)


def prepare_output(arguments: argparse.Namespace, prog: str, model: Model) -> None:
    """Set the encoding of standard output, or warn if it lacks characters of the model.

    Raises:
        OutputError: If ``--raw`` has no effect on the model, or would write to a terminal.
    """
    if arguments.raw:
        if model.tokenizer.level != BYTE:
            raise OutputError(
                f"--raw needs a model of bytes, but this is a model of {model.tokenizer.level}s: omit --raw"
            )
        if sys.stdout.isatty():
            raise OutputError(
                "--raw does not write to a terminal: redirect the output to a file with > PATH, in "
                "PowerShell before 7.4 with cmd /c"
            )
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")  # type: ignore[union-attr]
    elif arguments.json:
        # JSON is UTF-8. Half of a surrogate pair becomes an escape of JSON.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    else:
        is_byte_level = model.tokenizer.level == BYTE
        escape_unencodable(prog, sys.stdout, ANY if is_byte_level else model.tokenizer.symbols)


class TextForm:
    """How texts are written. This form is for one text and nothing else, as the content of a file.

    Attributes:
        in_parts: Whether a text can be written while it is generated: its opening, its parts, its closing.
        is_prose: Whether a person reads the texts, and not only a program.
        closing: What stands after each text.
        end: What stands after the last text.
    """

    in_parts = True
    is_prose = True
    closing = ""
    end = ""

    def opening(self, text: PendingText) -> str:
        """Return what stands before a text."""
        return text.echo

    def content(self, text: PendingText) -> str:
        """Return the text, or the part of it that was not returned before."""
        return text.take()


class Headings(TextForm):
    """A heading before each text if there are several, and a line end after it.

    Args:
        samplings: The number of samplings.
    """

    closing = LINE_END

    def __init__(self, samplings: int) -> None:
        self._samplings = samplings

    def opening(self, text: PendingText) -> str:
        parts = [sampling_heading(text.series.sampling)] if self._samplings > 1 else []
        parts += [text.place] if text.place else []
        heading = f"------ {', '.join(parts)}\n" if parts else ""
        return heading + text.echo


class Records(TextForm):
    """Records as they are in a corpus: one on each line, or separated by an empty line.

    If there are several samplings, a heading comes before the records of each.

    Args:
        kind: How records are separated.
        samplings: The number of samplings.
    """

    closing = LINE_END

    def __init__(self, kind: RecordKind, samplings: int) -> None:
        self._kind, self._samplings = kind, samplings
        self._sampling: Sampling | None = None

    def opening(self, text: PendingText) -> str:
        sampling = text.series.sampling
        is_first, starts_sampling = self._sampling is None, sampling is not self._sampling
        self._sampling = sampling
        heading = f"------ {sampling_heading(sampling)}\n" if starts_sampling and self._samplings > 1 else ""
        separator = LINE_END if self._kind == "blank" and not is_first else ""
        return separator + heading + text.echo


class Separated(TextForm):
    """A separator between the texts, and after the last one a line end.

    Args:
        separator: The separator. If it ends with a zero character, the last text ends with one, too: such
            output is for programs that expect one after each text.
    """

    def __init__(self, separator: str) -> None:
        self._separator = separator
        self._is_first = True
        self.end = ZERO if separator.endswith(ZERO) else LINE_END

    def opening(self, text: PendingText) -> str:
        separator = "" if self._is_first else self._separator
        self._is_first = False
        return separator + text.echo


class JsonLines(TextForm):
    """One line of JSON for each text."""

    in_parts = False
    is_prose = False
    closing = LINE_END

    def __init__(self) -> None:
        self._sampling: Sampling | None = None
        self._parameters: dict[str, Any] = {}

    def opening(self, text: PendingText) -> str:
        del text
        return ""

    def content(self, text: PendingText) -> str:
        if text.series.sampling is not self._sampling:
            self._sampling = text.series.sampling
            self._parameters = self._sampling.changed()
        generation, content = text.generation, text.take()
        is_character_level = text.series.request.model.tokenizer.level == CHARACTER
        # The end of a record counts as one character. A stop text was drawn, whether it is kept or not.
        left_out = 0 if text.series.sampling.keep_stop else len(text.stop)
        drawn = len(content) + left_out + generation.ended_record
        characters = text.tokens if is_character_level else drawn
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


class TextWriter:
    """Writes texts to standard output, one after another.

    On a terminal, control characters are written as escapes, and lines are broken between words.

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
        self._wrap = None
        if form.is_prose and sys.stdout.isatty():
            # Imported on use: most output is that of a pipe or a file.
            from textgen_runtime.cli.word_wrap import WordWrap

            self._wrap = WordWrap(lambda: terminal_size()[0])

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
        """Write what stands after the last text, if there is any text. All of it is then written."""
        if self._has_texts:
            self._write(self.form.end)
        if self._wrap is not None:
            sys.stdout.write(self._wrap.flush())

    def _new_content(self, text: PendingText) -> str:
        opening = "" if self._open is text else self.form.opening(text)
        self._open, self._has_texts = text, True
        return opening + self.form.content(text)

    def _write(self, text: str) -> None:
        safe = terminal_safe(sys.stdout, text)
        sys.stdout.write(safe if self._wrap is None else self._wrap.add(safe))
        self._at_line_start = text.endswith("\n") if text else self._at_line_start
        now = perf_counter()
        if now - self._flushed >= FLUSH_SECONDS:
            sys.stdout.flush()
            self._flushed = now
        if self.first_text is None:
            self.first_text = now
