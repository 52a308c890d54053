"""The models that come with the package."""

from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.cli.run import main
from textgen_runtime.model_file.bundled import FOLDER, find_model_file, unambiguous_path
from textgen_runtime.scoring.prediction import total_score

from tests.helpers.paths import TINY

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_a_name_stands_for_its_file(engine: str) -> None:
    model = textgen.load("nietzsche", engine=engine)  # type: ignore[arg-type]
    text = model.generate("the will to ", length=200, temperature=0.2, seed=1)
    # It has learned words, whatever they say.
    assert sum(word in text.split() for word in ("the", "of", "and", "to", "is")) >= 3


def test_what_ships_is_small_and_says_where_it_comes_from() -> None:
    assert textgen.bundled_models() == ["nietzsche"]
    assert Path(find_model_file("nietzsche")).stat().st_size < 450_000
    training = textgen.load("nietzsche").training
    assert training["corpus"] == "nietzsche"
    assert training["sha256"] == "23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647"
    assert training["split"]["held_out"] == "the last 10% of the corpus"
    assert training["parameters"] <= 103_867
    # Better than the 7-gram on the same text.
    assert training["held_out_nats"] < 1.344


def test_what_ships_predicts_what_it_learned_from() -> None:
    """The weights are those that the figures are of: text of its kind costs about what they say."""
    model = textgen.load("nietzsche")
    score = total_score([textgen.predict(model, prompt).score for prompt in model.prompts])
    assert score.nats < 1.8


def test_a_file_of_that_name_is_reached_by_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nietzsche").write_bytes(TINY.read_bytes())
    assert textgen.load("nietzsche").sha256 == textgen.load(Path(FOLDER, "nietzsche.onnx")).sha256
    assert textgen.load("./nietzsche").sha256 == textgen.load(TINY).sha256


def test_a_folder_of_that_name_is_reached_by_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nietzsche").mkdir()
    Path("nietzsche", "model.onnx").write_bytes(TINY.read_bytes())
    assert textgen.load("nietzsche").sha256 == textgen.load(Path(FOLDER, "nietzsche.onnx")).sha256
    assert textgen.load("./nietzsche").sha256 == textgen.load(Path("nietzsche")).sha256
    assert textgen.load(unambiguous_path(Path("nietzsche"))).sha256 == textgen.load(TINY).sha256
    assert (unambiguous_path(Path("poems")), unambiguous_path(Path("./poems/"))) == ("poems", "poems")


def test_other_names_are_paths() -> None:
    assert find_model_file("model.onnx") == "model.onnx"
    with pytest.raises(textgen.ModelFileError, match=r"file zarathustra: .*; models that ship: nietzsche$"):
        textgen.load("zarathustra")


def test_the_list(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--list"])
    captured = capsys.readouterr()
    assert (stopped.value.code, captured.err) == (0, "")
    (line,) = captured.out.splitlines()
    assert line.startswith("nietzsche  ")
    assert "trained on nietzsche" in line
    assert "nats per character on the last 10% of the corpus" in line


def test_the_command_needs_no_file(capsys: Captured) -> None:
    assert main(["nietzsche", "--length", "20", "--seed", "1", "--no-echo"]) == 0
    assert len(capsys.readouterr().out) == 21
