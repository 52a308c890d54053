"""The same seed gives the same text: in Python and in C, in two parts that are saved, and in a batch."""

from operator import attrgetter
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime import Sampling
from textgen_runtime.cli.run import main as textgen_run

from tests.golden.cases import (
    CASES,
    EVERYWHERE,
    FOLDER,
    IN_PARTS,
    TEXTS,
    Case,
    in_c,
    in_two_parts,
    options,
    output_of,
)
from tests.helpers.c_programs import Build, link

pytestmark = pytest.mark.filterwarnings("ignore:the stop text")
each = pytest.mark.parametrize("case", CASES, ids=attrgetter("name"))
each_everywhere = pytest.mark.parametrize("case", EVERYWHERE, ids=attrgetter("name"))
each_in_parts = pytest.mark.parametrize("case", IN_PARTS, ids=attrgetter("name"))


@pytest.fixture(scope="session")
def program(build: Build, objects: Path) -> Path:
    """The program that generates in C."""
    return link(build, objects, FOLDER / "golden.c")


def is_over(generation: textgen.Generation) -> bool:
    """Whether the text has ended before its length."""
    return generation.ending not in (None, "length")


@each
def test_a_text_is_what_it_was(case: Case) -> None:
    generation = case.start()
    assert (generation.take(case.length, finish=True), generation.ending) == (case.text, case.ending)
    generation = case.start()
    assert "".join(generation.stream(case.length, finish=True)) == case.text
    if not case.substream:
        model, seed, sampling = case.load(), int(case.seed), Sampling(**case.sampling)
        how = {"length": case.length, "seed": seed, "unknown": case.unknown}
        assert model.generate(case.prompt, **how, **case.sampling) == case.text
        assert "".join(model.stream(case.prompt, sampling=sampling, **how)) == case.text


@each
def test_the_command_writes_the_text(case: Case, tmp_path: Path) -> None:
    if not case.substream:
        words = [case.path, "--engine", case.engine, *options(case, tmp_path)]
        assert output_of(textgen_run, *words) == f"{case.text}\n"


@pytest.mark.parametrize("novel", [False, True])
@pytest.mark.parametrize("model", sorted({case.model for case in CASES}))
def test_texts_of_a_batch_are_those_of_single_prompts(model: str, novel: bool) -> None:
    cases = [case for case in CASES if case.model == model and bool(case.novel) == novel and not case.whole]
    if not cases:
        return
    loaded, samplings = cases[0].load(), [Sampling(**case.sampling) for case in cases]
    prompts = ["A" if case.prompt is None else case.prompt for case in cases]
    texts = loaded.generate(prompts, length=150, seed=5, sampling=samplings, unknown="skip")
    for i, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True)):
        single = loaded.start(prompt, seed=5, substream=i, sampling=sampling, unknown="skip")
        assert texts[i] == single.take(150, finish=True)


@each_everywhere
def test_c_generates_the_text(case: Case, program: Path, tmp_path: Path) -> None:
    assert in_c(program, case, tmp_path) == (case.text, case.ending)


@each_in_parts
def test_a_text_that_c_or_python_saved_continues_in_both(case: Case, program: Path, tmp_path: Path) -> None:
    first, generation = in_two_parts(case)
    assert in_c(program, case, tmp_path, length=case.split, save=tmp_path / "c") == (first, generation.ending)
    if is_over(generation):
        return
    textgen.save(generation, tmp_path / "python")
    left, expected = case.length - case.split, (case.text.removeprefix(first), case.ending)
    for name in ("python", "c"):
        assert in_c(program, case, tmp_path, length=left, resume=tmp_path / name) == expected
    if TEXTS.isdisjoint(case.sampling):
        resumed = textgen.resume(case.load(), tmp_path / "c")
        assert (resumed.take(left, finish=True), resumed.ending) == expected


def test_other_parameters_apply_from_the_next_chunk_on() -> None:
    """The recent characters stay, mirostat begins, and a draw at temperature 0 takes a random number."""
    generation = textgen.load(FOLDER / "nietzsche.onnx").start("the will to ", seed=7, repetition_penalty=1.4)
    texts = [generation.take(20)]
    for sampling in (
        Sampling(presence_penalty=2.0, penalty_window=20),
        Sampling(temperature=0.0),
        Sampling(temperature=1.0, mirostat_tau=1.0),
    ):
        generation.sampling = sampling
        texts.append(generation.take(20))
    generation.reseed(2**64)
    texts += [generation.feed("that is "), generation.take(20, finish=True)]
    assert texts == [
        "men must be\nconstrai",
        'ned and multifor\n"sc',
        'ience," and the same',
        " time the same time ",
        "that is ",
        "the same time that i",
    ]


def test_a_feed_starts_the_next_record_whose_minimum_length_counts_anew() -> None:
    generation = textgen.load(FOLDER / "names.onnx").start("", seed=7, temperature=1.0, min_length=9)
    texts = []
    for prompt in ("ma", "", "joh"):
        texts += [generation.take(30), generation.feed(prompt)]
    assert texts == ["mordchaus", "ma", "kailahyos", "", "darachius", "joh"]
