"""``textgen-run --interactive``: random sessions against a simple model of one, settings, and errors."""

import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from textgen_runtime import PARAMETERS, Sampling
from textgen_runtime.cli import texts
from textgen_runtime.cli.interactive import COMMANDS, MAX_STEPS, SETTINGS, Console, Line, Session
from textgen_runtime.cli.options import parser, read_samplings
from textgen_runtime.cli.run import main
from textgen_runtime.model_file import NORMALIZATION_KEY
from textgen_runtime.text import SEPARATORS, RecordKind

from tests.helpers.commands import Captured, run_here
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import FORMAT_2, TINY
from tests.helpers.programs import posix_only
from tests.helpers.record_models import record_content, record_model
from tests.helpers.run_command import CASE_UNCHANGED, tiny_with

MODEL = textgen.load(TINY)

# The known texts of the random sessions, of which half of the short continuations are a part.
CORPUS = MODEL.generate("abc", length=300, temperature=1.0, seed=5)
LIMIT = 4

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def session(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a session on lines, and returns its exit code, standard output and standard error."""

    def run(lines: str | bytes, *options: str, model: Path = TINY) -> tuple[int, str, str]:
        content = lines if isinstance(lines, bytes) else lines.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        fixed = ("--interactive", "--seed", "1", "--length", "9", "--temp", "1")
        return run_here(main, capsys, str(model), *fixed, *options)

    return run


class Model:
    """What a session writes, from its text as one string and the number of draws. It feeds each text anew."""

    def __init__(self, seed: int, *, is_novel: bool) -> None:
        self.text: str | None = None
        self.saved: tuple[Any, ...] | None = None
        self.seed, self.is_novel = seed, is_novel
        self.drawn, self.length, self.temperature, self.stops = 0, 9, 1.0, False
        self.steps: list[tuple[str | None, tuple[str, bool] | None]] = []
        self.ends: list[str] = []
        self.errors = 0
        self.output = ""
        self.file: str | None = None

    def carry_out(self, name: str, argument: Any) -> None:
        """Carry out a command; count it if it is refused."""
        try:
            getattr(self, name)(argument)
        except ValueError:
            self.errors += 1

    def line(self, text: str, *, joined: bool = False) -> None:
        self.refuse("x" in text)
        self.steps.append((self.text, (text, joined)))
        self.ends = []
        self.continue_line()

    def append(self, text: str) -> None:
        self.line(text, joined=True)

    def more(self, _: object) -> None:
        self.line("", joined=True)

    def continue_line(self) -> None:
        before, addition = self.steps[-1]
        self.refuse(addition is None)
        added, joined = addition or ("", False)
        between = "" if before is None or joined or before.endswith("\n") else "\n"
        opening = MODEL.prompts[self.seed % 3] if before is None and not added else added
        self.output += opening
        try:
            self.text = self.continued((before or "") + between + opening)
        finally:
            self.output += "\n"
            self.ends.append(self.text or "")

    def continued(self, text: str) -> str:
        """Draw until a continuation is new."""
        self.text = text
        for _ in range(LIMIT if self.is_novel else 1):
            stop = "\n" if self.stops else ()
            one = MODEL.start(text, seed=self.seed, temperature=self.temperature, stop=stop)
            one.reseed(self.seed, 0, self.drawn)
            drawn = one.take(self.length, finish=True)
            self.drawn = one.drawn
            ended = one.ending == "stop"
            if ended or (drawn.endswith("\n") and one.ending != "length"):
                is_known = text.rpartition("\n")[2] + drawn in CORPUS.split("\n")
            else:
                is_known = drawn in CORPUS
            if not (self.is_novel and is_known):
                self.output += drawn
                return text + drawn + "\n" * ended
        raise ValueError

    def retry(self, _: object) -> None:
        self.refuse(not self.steps)
        self.continue_line()

    def pick(self, number: int) -> None:
        self.refuse(number > len(self.ends))
        self.text = self.ends[number - 1]

    def undo(self, _: object) -> None:
        self.refuse(not self.steps)
        self.text, self.ends = self.steps.pop()[0], []

    def reset(self, _: object) -> None:
        self.steps.append((self.text, None))
        self.text, self.ends = None, []

    def save(self, _: object) -> None:
        self.refuse(self.text is None)
        self.saved = (self.text, self.seed, self.drawn, self.temperature, self.stops)

    def load(self, _: object) -> None:
        self.refuse(self.saved is None)
        self.reset(None)
        self.text, self.seed, self.drawn, self.temperature, self.stops = self.saved or ()

    def write(self, _: object) -> None:
        self.refuse(self.text is None)
        self.file = self.text

    def set(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    @staticmethod
    def refuse(is_wrong: bool) -> None:
        if is_wrong:
            raise ValueError


# Typed lines, each with the method of the model that carries it out, its argument, and how often it is drawn.
TYPED_LINES: list[tuple[str, str, Any, int]] = [
    ("abc", "line", "abc", 3),
    ("d", "line", "d", 2),
    ("axb", "line", "axb", 1),
    ("/append dad h", "append", "dad h", 2),
    ("", "more", None, 3),
    ("/retry", "retry", None, 6),
    ("/pick 1", "pick", 1, 4),
    ("/pick 2", "pick", 2, 3),
    ("/pick 4", "pick", 4, 1),
    ("/undo", "undo", None, 5),
    ("/reset", "reset", None, 1),
    ("/save FOLDER/x", "save", None, 2),
    ("/load FOLDER/x", "load", None, 2),
    ("/write FOLDER/text", "write", None, 2),
    ("/temp 0", "set", {"temperature": 0.0}, 1),
    ("/temp 1", "set", {"temperature": 1.0}, 1),
    ("/length 2", "set", {"length": 2}, 2),
    ("/length 70", "set", {"length": 70}, 1),
    ("/stop \\n", "set", {"stops": True}, 2),
    ("/stop off", "set", {"stops": False}, 1),
]
LINE_OF = {one[0]: one for one in TYPED_LINES}
DRAWN_LINES = [one for one in TYPED_LINES for _ in range(one[3])]


def typed_lines(*lines: str) -> list[tuple[str, str, Any, int]]:
    return [LINE_OF[line] for line in lines]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    typed=st.lists(st.sampled_from(DRAWN_LINES), min_size=5, max_size=20),
    seed=st.integers(1, 2),
    is_novel=st.booleans(),
)
@example(
    typed=typed_lines("/stop \\n", "/length 70", "abc", "/write FOLDER/text", "d", "d"),
    seed=1,
    is_novel=False,
)
@example(
    typed=typed_lines("abc", "/save FOLDER/x", "d", "/load FOLDER/x", "", "/retry"), seed=1, is_novel=False
)
def test_a_session_writes_what_its_model_says(  # noqa: PLR0913, PLR0917 (drawn by Hypothesis)
    session: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: list[tuple[str, str, Any, int]],
    seed: int,
    is_novel: bool,
) -> None:
    (tmp_path / "corpus.txt").write_text(CORPUS)
    for name in ("x", "text"):
        (tmp_path / name).unlink(missing_ok=True)
    monkeypatch.setattr(texts, "MAX_REJECTED_IN_A_ROW", LIMIT)
    model = Model(seed, is_novel=is_novel)
    for _, name, argument, _ in typed:
        model.carry_out(name, argument)
    lines = "".join(f"{line}\n" for line, *_ in typed).replace("FOLDER", str(tmp_path))
    novel = ("--novel", str(tmp_path / "corpus.txt")) if is_novel else ()
    code, out, err = session(lines, "--seed", str(seed), *novel)
    assert (out, err.count("error: line "), code) == (model.output, model.errors, min(model.errors, 1)), err
    written = tmp_path / "text"
    assert (written.read_text(encoding="utf-8") if written.exists() else None) == model.file


def test_a_transcript(session: Run, tmp_path: Path) -> None:
    """The first line has a byte-order mark. Answers and errors do not stand in the text."""
    (tmp_path / "book.txt").write_text("notes")
    refused: list[str | bytes] = [
        *("abXc", "a\0b", b"a\xffb", "/tmep", "/undo 2", "/pick", "/pick x", "/append", "/save", "/quit now"),
        *(f"/{name} {tmp_path}/book.txt" for name in ("save", "load", "write")),
        *("/load ~no-such-user/x", "/resample 5", "/temp x", "/length 0", "/top-p 0", "/stop 'a", "/stop"),
        *("/choices a --version", "/json-schema -", "/pick 9", f"/write {'x' * 300}"),
        *("/stop a ''", "/logit-bias a", "/logit-bias x=1", "/keep-stop x", "/json-schema none.json"),
        *("/match ((", "/max-copy 3", "/temp 1 2", "/mirostat-tau 2"),
    ]
    lines = ["\ufeff/top-k 3\r", *refused, "", "//", "abc", "/stop xyz", "/show", "/help", "/quit", "never"]
    content = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    code, out, err = session(content, "--prompt", "dad")
    first = MODEL.start("dad", temperature=1.0, seed=1)
    expected = f"dad{first.take(9)}\n"
    first.sampling = Sampling(temperature=1.0, top_k=3)
    expected += f"{first.take(9)}\n"
    first.feed("abc" if expected.endswith("\n\n") else "\nabc")
    assert (code, out) == (1, f"{expected}abc{first.take(9)}\n")
    assert (tmp_path / "book.txt").read_text() == "notes"
    found = re.findall(r"^textgen-run: (\w+): line (\d+): ", err, re.MULTILINE)
    slash, stop = len(refused) + 3, len(refused) + 5
    errors = [*range(2, len(refused) + 2), slash]
    assert found == [*(("error", str(i)) for i in errors), ("warning", str(stop))]
    assert "top_k=3" in err
    assert {f"/{name}" for name in (*COMMANDS, *SETTINGS)} <= set(err.split())


def test_a_file_that_the_text_continues_is_replaced(session: Run, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("ab")
    assert session(f"abc\n/write {path}\n")[0] == 0
    written = path.read_text(encoding="utf-8")
    assert written.startswith("abc")
    path.write_text(f"{written}d", encoding="utf-8")
    assert session(f"abc\n/write {path}\n")[0] == 1


def test_paths_begin_with_the_home_folder_or_have_spaces(session: Run, home: Path) -> None:
    assert session("abc\n/save ~/x.gen\n/save ~/a b.gen\n/load ~/a b.gen \n/write ~/it's\n")[0] == 0
    assert sorted(os.listdir(home)) == ["a b.gen", "it's", "x.gen"]


def test_typed_characters_are_skipped_or_read_in_lower_case(session: Run, tmp_path: Path) -> None:
    path = tmp_path / "lower.onnx"
    path.write_bytes(tiny_with(NORMALIZATION_KEY, CASE_UNCHANGED))
    expected = session("abc\n", model=path)
    assert session("ABC\n", model=path)[0] == 1
    assert session("ABC\n", "--lowercase", model=path) == expected
    code, out, err = session("axbc\n", "--unknown", "skip", model=path)
    assert (code, out, err.count("warning: line 1: 1 "), err.count("'x'")) == (0, expected[1], 1, 1)
    assert session("xy\nabc\nxy\n", "--unknown", "skip", model=path)[:2] == (1, expected[1])


@posix_only
@pytest.mark.parametrize("kind", SEPARATORS)
def test_records_stand_as_in_a_corpus(session: Run, tmp_path: Path, kind: RecordKind) -> None:
    """A record that continues after its length is not separated."""
    path = tmp_path / "records.onnx"
    path.write_bytes(record_content(kind=kind, end_bias=99.0))
    assert session("a\nb\n", "--count", "1", model=path) == (0, f"a{SEPARATORS[kind]}b\n", "")
    path.write_bytes(record_content(kind=kind, end_bias=-99.0))
    expected = (0, f"a{'c' * 9}\nb{'c' * 9}\n", "")
    assert session("a\n/append b\n", "--allowed", "c", model=path) == expected
    without_echo = (0, f"{'c' * 9}\n{'c' * 9}\n", "")
    assert session("a\n/append b\n", "--allowed", "c", "--no-echo", model=path) == without_echo


@posix_only
@pytest.mark.parametrize("kind", SEPARATORS)
def test_the_whole_record_is_compared_however_many_lines_wrote_it(
    session: Run, kind: RecordKind, tmp_path: Path
) -> None:
    """A saved text has the record that it has begun. A record that ends at once is no text."""
    model, path, saved = record_model(kind=kind, end_bias=2.0), tmp_path / "records.onnx", tmp_path / "saved"
    path.write_bytes(record_content(kind=kind, end_bias=2.0))
    start = model.start("a", temperature=1.0, seed=1, banned="\n")
    first = start.take(1)
    assert first
    start.feed("b")
    attempts = list[str]()
    while not attempts or attempts[-1] == attempts[0]:
        one = start.copy()
        one.reseed(1, 0, start.drawn + sum(len(text) + 1 for text in attempts))
        attempts.append(one.take(100, finish=True))
    known = [f"a{first}b{attempts[0]}", "other"]
    (tmp_path / "corpus.txt").write_text(SEPARATORS[kind].join(known))
    lines = f"/length 1\na\n/save {saved}\n/reset\n/load {saved}\n/length 100\n/append b\n"
    options = ("--novel", str(tmp_path / "corpus.txt"), "--banned", "\\n")
    code, out, _ = session(lines, *options, model=path)
    assert (code, out) == (0, f"a{first}\nb{attempts[-1]}\n")
    path.write_bytes(record_content(kind=kind, end_bias=99.0))
    code, out, err = session("ab\n\n", model=path)
    assert (code, out.strip(), "empty" in err) == (1, "ab", True)


# Words after an option, what is typed after a setting, and their value, by the kind of the parameter.
TYPED: dict[str, tuple[list[str], str, Any]] = {
    "number": (["0.25"], " 0.25 ", 0.25),
    "whole": (["3"], "3", 3),
    "switch": ([], " on", True),
    "text": (["a b|c "], "a b|c ", "a b|c "),
    "characters": (["ab\\n"], "ab\\n", ("a", "b", "\n")),
    "texts": (["\\n", "--stop", "a b"], "\\n 'a b'", ("\n", "a b")),
    "biases": (["==-2"], "'==-2'", (("=", -2.0),)),
    "choices": (["a b", "c\\n"], "'a b' c\\n", ("a b", "c\n")),
    "schema": (["schema.json"], " schema.json ", '{"enum": [2]}'),
}
OPTIONS = {name: f"--{name.replace('_', '-')}" for name in PARAMETERS} | {"temperature": "--temp"}
NEEDED: dict[str, dict[str, Any]] = {"resample": {"match": "a"}}


def new_session(model: textgen.Model, sampling: Sampling, *options: str) -> Session:
    """Return a session that a test changes line by line."""
    return Session(model, sampling, 7, Console(echo=True, records=None), parser().parse_args(["m", *options]))


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_is_an_option_and_a_setting(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("schema.json").write_text('{"enum": [2]}', encoding="utf-8")
    words, typed, value = TYPED[PARAMETERS[name].kind]
    needed = NEEDED.get(name, {})
    given_words = [word for other, pattern in needed.items() for word in (OPTIONS[other], pattern)]
    (sampling,) = read_samplings(parser().parse_args(["model", *given_words, OPTIONS[name], *words]))
    assert sampling == Sampling(**needed | {name: value})
    model = textgen.load(record_content(symbols="\n abcdeh'=2")).with_novel("abcabd")
    changed = new_session(model, Sampling(**needed))
    changed.carry_out(f"/{OPTIONS[name].removeprefix('--')} {typed}")
    assert changed.sampling == Sampling(**needed | {name: value})
    changed.carry_out(f"/{OPTIONS[name].removeprefix('--')} off ")
    assert changed.sampling == Sampling(**needed)


def test_no_setting_has_the_name_of_a_command() -> None:
    assert not set(COMMANDS) & set(SETTINGS)


@pytest.mark.parametrize(("symbols", "text"), [(" ab", "aba baa"), ("ab", "ababaa")])
def test_a_vocabulary_without_line_ends_gets_spaces_or_nothing(symbols: str, text: str) -> None:
    model = textgen.load(make_model(symbols).SerializeToString())
    session = new_session(model, Sampling(allowed="a"), "--length", "1")
    for line in ("ab", "ba"):
        session.add(Line(line))
    assert session.position.text == text


def test_each_continuation_is_a_new_text_of_the_constraint() -> None:
    session = new_session(MODEL, Sampling(temperature=1.0, choices=["bed", "head"]))
    for line in ("abc", *[""] * 20):
        session.carry_out(line)
    first, *others = session.position.text.split("\n")
    assert {first.removeprefix("abc"), *others} == {"bed", "head"}
    # Also where nothing separates them.
    joined = new_session(textgen.load(make_model("ab").SerializeToString()), Sampling(choices=["ab"]))
    for line in ("a", "", ""):
        joined.carry_out(line)
    assert joined.position.text == "aababab"
    session.carry_out("/length 2")
    with pytest.raises(textgen.SamplingError):
        session.carry_out("abd")


def test_lines_can_be_taken_back_up_to_a_number() -> None:
    session = new_session(MODEL, Sampling(), "--length", "1")
    for _ in range(MAX_STEPS + 10):
        session.carry_out("a")
    for _ in range(MAX_STEPS):
        session.carry_out("/undo")
    assert session.position.generation is not None
    with pytest.raises(textgen.TextgenError):
        session.carry_out("/undo")


def test_a_text_that_cannot_continue_keeps_what_was_shown(session: Run, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("a" * 9)
    options = ("--novel", str(tmp_path / "corpus.txt"), "--max-copy", "2", "--allowed", "a", "--length", "50")
    code, out, err = session(f"abd\n/write {tmp_path}/text\n", *options)
    assert (code, err.count("error: line 1")) == (1, 1)
    assert (tmp_path / "text").read_text(encoding="utf-8") == out.removesuffix("\n")


def test_a_text_that_a_program_has_saved_continues(session: Run, tmp_path: Path) -> None:
    """Stop texts without effect are warnings."""
    with pytest.warns(UserWarning, match="'z'"):
        generation = MODEL.start("abc", seed=1, stop=["z", "dad"])
    generation.take(7)
    textgen.save(generation, tmp_path / "saved")
    code, out, err = session(f"/load {tmp_path}/saved\n\n/show\n")
    assert (code, out) == (0, generation.take(9, finish=True) + "\n")
    assert (err.count("warning: line 1"), "stop=('dad',)" in err) == (1, True)
    assert "the text ends: abc\n" in err
    _, _, err = session("/stop cab\n/stop '\\n'\n", model=FORMAT_2 / "word.onnx")
    assert re.findall(r"warning: line (\d)", err) == ["1"]
