"""A saved generation continues exactly from its position, with the same model only."""

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime import Generation, Model, OutputError, SamplingError, SavedGenerationError
from textgen_runtime.json_text import to_json

from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import SAVED_GENERATION


def rewrite(generation: Generation, path: Path, **changes: Any) -> None:
    """Save a generation with changed entries of its description."""
    description = {"prompt": generation.prompt, "sampling": generation.sampling.changed()} | changes
    path.write_bytes(generation.position.save(to_json(description).encode()))


def test_a_saved_generation_of_the_format_resumes(tiny: Model) -> None:
    """The file never changes; every release must continue it with the same text."""
    generation = textgen.resume(tiny, SAVED_GENERATION)
    assert generation.prompt == "abc dé"
    assert (generation.sampling.temperature, generation.seed, generation.drawn) == (0.7, 11, 20)
    assert generation.take(30) == "éhhhhhhhhhhhchhhhhhh hhhhhh h𝄞"


def test_save_and_resume_accept_binary_file_objects(tiny: Model, tmp_path: Path) -> None:
    generation = tiny.start("abc", temperature=0.9, seed=5)
    path = tmp_path / "text.gen"
    textgen.save(generation, path)
    memory = io.BytesIO()
    textgen.save(generation, memory)
    assert memory.getvalue() == path.read_bytes()
    with (tmp_path / "raw.gen").open("wb", buffering=0) as raw:
        textgen.save(generation, raw)
        assert not raw.closed
    assert (tmp_path / "raw.gen").read_bytes() == path.read_bytes()
    memory.seek(0)
    expected = generation.take(50)
    assert textgen.resume(tiny, memory).take(50) == expected
    with path.open("rb") as file:
        assert textgen.resume(tiny, file).take(50) == expected


@pytest.mark.parametrize("written", [300, None])
def test_a_partial_write_is_an_error(tiny: Model, written: int | None) -> None:
    class Full(io.RawIOBase):
        def write(self, _: Any) -> int | None:
            return written

    with pytest.raises(OutputError):
        textgen.save(tiny.start("abc", seed=1), Full())


def test_unsuitable_file_objects_are_rejected(tiny: Model, tmp_path: Path) -> None:
    generation = tiny.start("abc", seed=1)
    path = tmp_path / "text.gen"
    with (
        path.open("w") as text,
        pytest.raises(TypeError),
    ):
        textgen.save(generation, text)  # type: ignore[arg-type]
    with path.open("rb") as file, pytest.raises(OutputError, match="cannot write"):
        textgen.save(generation, file)
    with path.open("rb") as file, pytest.raises(SavedGenerationError, match="not a saved text"):
        textgen.resume(tiny, file)
    with path.open("wb") as file, pytest.raises(SavedGenerationError, match="cannot read"):
        textgen.resume(tiny, file)
    with pytest.raises(TypeError, match="the file must be a path or a binary file object, not int"):
        textgen.save(generation, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the file must be a path or a binary file object, not int"):
        textgen.resume(tiny, 5)  # type: ignore[arg-type]


def test_a_generation_of_a_model_with_other_weights_is_rejected(tiny: Model, tmp_path: Path) -> None:
    """Equal metadata is not enough."""
    model = make_model(scale=0.5)
    assert model.metadata_props == make_model().metadata_props
    other = tmp_path / "other.onnx"
    other.write_bytes(model.SerializeToString())
    textgen.save(tiny.start(seed=1), tmp_path / "text.gen")
    with pytest.raises(SavedGenerationError, match="saved from another model"):
        textgen.resume(textgen.load(other), tmp_path / "text.gen")


def test_the_random_stream_ends_at_the_last_position(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.gen"
    generation = tiny.start(seed=1)
    generation.reseed(1, 0, 2**63 - 1 - 3)
    textgen.save(generation, path)
    generation = textgen.resume(tiny, path)
    assert len(generation.copy().take(3)) == 3
    for _ in range(2):
        with pytest.raises(SamplingError, match="random numbers"):
            generation.take(4)
        assert generation.drawn == 2**63 - 1 - 3


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_an_error(tiny: Model, name: str) -> None:
    for path in (name, Path(name)):
        with pytest.raises(OutputError, match=f"cannot write {name}: no file can have this name"):
            textgen.save(tiny.start(seed=1), path)
        with pytest.raises(SavedGenerationError, match=f"{name}: no file can have this name"):
            textgen.resume(tiny, path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": 7}, "the description is damaged"),
        ({"prompt": "\ud800"}, "the description is damaged"),
        ({"end_of_text": 7}, "the description is damaged"),
        ({"sampling": 0.5}, "the description is damaged"),
        ({"sampling": {"temperature": 0.5, "spin": 3}}, r"parameters \['spin'\]: upgrade textgen-onnx"),
        ({"sampling": {"resample": 3}}, "the sampling parameters cannot be used: resample needs"),
        ({"sampling": {"temperature": 0.5, "match": "(("}}, "the sampling parameters cannot be used: "),
        ({"sampling": {"logit_bias": "a"}}, "the sampling parameters cannot be used: logit_bias must give"),
        ({"sampling": {"match": "a+"}}, "with another constraint"),
    ],
)
def test_a_damaged_description_is_refused(
    tiny: Model, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "text.gen"
    rewrite(tiny.start("abc", seed=4, stop="ab", repetition_penalty=1.1), path, **changes)
    with pytest.raises(SavedGenerationError, match=message) as caught:
        textgen.resume(tiny, path)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:the stop text")
@pytest.mark.parametrize("name", textgen.PARAMETERS)
def test_any_value_of_a_parameter_is_refused_or_gives_a_text(tiny: Model, tmp_path: Path, name: str) -> None:
    path = tmp_path / "text.gen"
    numbers = [None, True, -1, 5, 10**400, 1e308]
    texts = ["", "a", "\ud800", "abc", "{}"]
    lists = [[], [[]], ["a"], ["abc"], ["a", 1], [["a", 1]], [["a", {}]], [["a"], 1], [None]]
    for value in [*numbers, *texts, *lists, {}, {"a": 1}, {"a": None}, {"\ud800": 1}, {"type": 5}]:
        rewrite(tiny.start("abc", seed=4), path, sampling={name: value})
        with contextlib.suppress(SavedGenerationError):
            assert len(textgen.resume(tiny, path).take(3)) <= 3


@pytest.mark.parametrize(
    "description",
    [
        # JavaScript saves a text of C with an empty description, and C saves none.
        b"",
        b'{"prompt": "", "sampling": {}}',
        b'{"sampling": {"temperature": 0.0, "top_k": "x", "penalty_window": -1, "mirostat_tau": 3.0}}',
    ],
)
def test_the_block_states_the_numbers_whatever_the_description_has(tiny: Model, description: bytes) -> None:
    generation = tiny.start("abc", seed=4, temperature=2.0, top_k=3, penalty_window=7)
    generation.take(3)
    resumed = textgen.resume(tiny, io.BytesIO(generation.position.save(description)))
    assert resumed.sampling == generation.sampling
    resumed.sampling = resumed.sampling.replace()
    assert resumed.take(50) == generation.take(50)


def test_the_block_states_the_biases_whatever_the_description_has(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.gen"
    generation = tiny.start("abc", seed=4, temperature=2.0, logit_bias={"a": 5.0})
    rewrite(generation, path, sampling={"logit_bias": {"b": 100.0}, "stop": ["d"]})
    resumed = textgen.resume(tiny, path)
    assert resumed.take(50) == generation.take(50).partition("d")[0]
    rewrite(generation, path, sampling={})
    with pytest.raises(SavedGenerationError, match="has a logit bias for tokens"):
        textgen.resume(tiny, path)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf")])
def test_what_could_not_be_resumed_is_not_saved(tiny: Model, wrong: float) -> None:
    generation = tiny.start("abc")
    generation.logits = [wrong] * len(tiny.tokenizer)
    with pytest.raises(SavedGenerationError, match="logits"):
        textgen.save(generation, io.BytesIO())
