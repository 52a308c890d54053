"""The cases of ``cases.json``: what generates a text, and the text, in Python and in C.

Models of 8 bits give the same text everywhere. The cases of float32 are so short that they do, too.
"""

import io
import json
import subprocess
import warnings
from codecs import getincrementaldecoder
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import textgen_runtime as textgen
from textgen_runtime.cli.info import main as textgen_info

from tests.helpers.paths import ROOT

FOLDER = ROOT / "tests" / "golden"
CONSTRAINTS = ("match", "choices", "json_schema")
# What C needs as tokens or as tables. What it saves has no names for them, so Python cannot continue it.
TEXTS = {*CONSTRAINTS, "logit_bias", "allowed", "banned", "stop", "max_copy"}
# The values of textgen_stream_ending.
ENDINGS = {1: "length", 2: "stop", 3: "constraint", 5: "end"}


class Case(NamedTuple):
    """A text and what generates it.

    Attributes:
        name: What the case is about.
        model: The name of a bundled model, or a path in ``tests``.
        prompt: The prompt; None for one of the model's.
        length: The maximum number of tokens.
        sampling: The sampling parameters by the names of Python.
        text: The text without the prompt.
        ending: Why it ends.
        seed: The digits of the seed, which may be too large for a number of JavaScript.
        substream: The substream of the seed.
        unknown: What to do with characters outside the vocabulary.
        novel: The corpus of ``max_copy``.
        engine: ``"onnxruntime"`` for a network that only this engine needs to run.
        whole: Whether the text in parts is another one, because it depends on its length.
    """

    name: str
    model: str
    prompt: str | None
    length: int
    sampling: dict[str, Any]
    text: str
    ending: str
    seed: str = "7"
    substream: int = 0
    unknown: Any = "error"
    novel: str | None = None
    engine: Any = "native"
    whole: bool = False

    @property
    def is_everywhere(self) -> bool:
        """Whether C and JavaScript have everything that the case needs."""
        return self.engine == "native" and "resample" not in self.sampling

    @property
    def constraint(self) -> str | None:
        """The parameter that is the constraint."""
        return next((name for name in CONSTRAINTS if name in self.sampling), None)

    @property
    def split(self) -> int:
        """The number of tokens of the first part, if the text is generated in two."""
        return self.length // 3

    @property
    def path(self) -> str:
        """What loads the model."""
        return str(FOLDER.parent / self.model) if "/" in self.model else self.model

    def load(self) -> textgen.Model:
        """Load the model."""
        return textgen.load(self.path, engine=self.engine, novel=self.novel)

    def start(self) -> textgen.Generation:
        """Start the text."""
        options: dict[str, Any] = {"seed": int(self.seed), "unknown": self.unknown, **self.sampling}
        return self.load().start(self.prompt, substream=self.substream, **options)


CASES = [Case(**case) for case in json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))]
EVERYWHERE = [case for case in CASES if case.is_everywhere]
IN_PARTS = [case for case in EVERYWHERE if not case.whole]


def output_of(main: Callable[[Sequence[str]], int], *arguments: str) -> str:
    """Run a command in this process, and return what it writes."""
    written = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(written):
        assert main(arguments) == 0
    written.flush()
    return bytes.decode(written.buffer.getvalue())


@cache
def facts(model: str) -> dict[str, Any]:
    """Return what ``textgen-info`` tells of a model."""
    return dict(json.loads(output_of(textgen_info, model, "--json")))


def write_table(case: Case, folder: Path) -> Path:
    """Write the table of a case's constraint, and return its path."""
    assert case.constraint
    value = case.sampling[case.constraint]
    values = value if isinstance(value, list) else [value]
    if case.constraint == "json_schema":
        (folder / "schema").write_text(json.dumps(value), encoding="utf-8")
        values = [str(folder / "schema")]
    option = f"--{case.constraint.replace('_', '-')}"
    path = folder / f"{CASES.index(case)}.table"
    path.write_text(output_of(textgen_info, case.path, option, *values), encoding="utf-8")
    return path


def options(case: Case, folder: Path) -> list[str]:
    """Return the options of ``textgen-run`` for a case."""
    words = ["--no-echo", "--seed", case.seed, "--length", str(case.length), "--unknown", case.unknown]
    values = {"prompt": case.prompt, "novel": case.novel, **case.sampling}
    for name in ("novel", "json_schema"):
        if values.get(name) is not None:
            text = values[name] if name == "novel" else json.dumps(values[name])
            (folder / name).write_text(text, encoding="utf-8")
            values[name] = str(folder / name)
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}".replace("--temperature", "--temp")
        if name in ("stop", "allowed", "banned"):
            listed = value if name == "stop" else [value]
            words += [f"{option}={text.replace(chr(10), chr(92) + 'n')}" for text in listed]
        elif name == "logit_bias":
            words += [f"{option}={symbol}={bias}" for symbol, bias in value.items()]
        elif isinstance(value, list):
            words += [option, *value]
        elif value not in (None, ""):
            words += [option] if value is True else [f"{option}={value}"]
    return words


def biases(case: Case) -> dict[int, float]:
    """Return what C adds to the logits of tokens: of a word, as of its characters."""
    allowed, banned = case.sampling.get("allowed"), case.sampling.get("banned", "")
    found = {}
    for token, symbol in enumerate(facts(case.path)["vocabulary"]):
        found[token] = case.sampling.get("logit_bias", {}).get(symbol, 0.0)
        is_outside = allowed is not None and not all(character in allowed for character in symbol)
        if symbol and (is_outside or any(character in banned for character in symbol)):
            found[token] = float("-inf")
    return {token: bias for token, bias in found.items() if bias}


def in_c(
    program: Path, case: Case, folder: Path, *, length: int = 0, **files: Path
) -> tuple[str, str | None]:
    """Return the text that C generates, and its ending. ``files`` are ``save`` and ``resume``."""
    seed = int(case.seed)
    # C leaves the normal forms to its callers.
    is_plain = case.prompt is not None and (case.prompt.isascii() or "unknown" in facts(case.path)["special"])
    values: list[tuple[str, object]] = [
        ("prompt", case.prompt if is_plain and case.unknown == "error" else case.start().prompt),
        ("length", length or case.length),
        ("seed", seed % 2**64),
        ("seed_high", seed >> 64),
        ("substream", case.substream),
        ("kernels", "baseline"),
        *files.items(),
        *(("stop", text) for text in case.sampling.get("stop", [])),
        *(("bias", f"{token} {bias}") for token, bias in biases(case).items()),
        *((name, value + 0) for name, value in case.sampling.items() if isinstance(value, int | float)),
    ]
    if case.constraint:
        values.append(("table", write_table(case, folder)))
    if case.novel is not None:
        values.append(("novel", case.novel))
    words = [str(word) for pair in values for word in pair]
    done = subprocess.run([program, facts(case.path)["path"], *words], capture_output=True, check=False)
    assert not done.returncode, done.stderr.decode()
    ending, _, text = done.stdout.partition(b"\n")
    # The bytes of an incomplete character have no text at the end. A part of a text does not have them.
    decoder = getincrementaldecoder("utf-8")("replace")
    return decoder.decode(text, final="save" in files), ENDINGS.get(int(ending))


def in_two_parts(case: Case) -> tuple[str, textgen.Generation]:
    """Return the first part of a text in Python, and the generation that continues it."""
    with warnings.catch_warnings():
        # A stop text may have characters outside the vocabulary.
        warnings.simplefilter("ignore")
        generation = case.start()
    return generation.take(case.split), generation
