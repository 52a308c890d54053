"""``textgen-run --list``: the bundled models, each with a sample."""

import io
import re

import pytest
import textgen_runtime as textgen
from textgen_runtime.cli.run import main

from tests.helpers.commands import Captured

WIDTH = 80


def listed(capsys: Captured) -> dict[str, tuple[str, str]]:
    """Return the description and the sample of each model."""
    with pytest.raises(SystemExit) as stopped:
        main(["--list"])
    captured = capsys.readouterr()
    assert (stopped.value.code, captured.err) == (0, "")
    lines = captured.out.splitlines()
    return {
        name.partition("  ")[0]: (name.partition("  ")[2], sample)
        for name, sample in zip(lines[::2], lines[1::2], strict=True)
    }


def test_each_bundled_model_is_listed_with_its_size_and_its_loss(capsys: Captured) -> None:
    found = listed(capsys)
    assert list(found) == textgen.bundled_models()
    for name, (description, _) in found.items():
        model = textgen.load(name)
        layers, units, *_ = model.engine.core.size
        quantization = model.metadata.quantization
        loss = quantization.loss if quantization else model.training["held_out_nats"]
        assert re.fullmatch(
            rf"\d+ kB, {layers} x {units} units{', 8 bits' if quantization else ''}, trained on \S+, "
            rf"held-out loss {loss:.4f} nats",
            description,
        )


def test_each_sample_is_one_line_that_the_model_generates_again(capsys: Captured) -> None:
    found = listed(capsys)
    assert found == listed(capsys)
    for _, sample in found.values():
        assert re.fullmatch(r"    \S.*\S", sample)
        assert 40 < len(sample) <= WIDTH
    assert re.fullmatch("    ([a-z]+, ){5,}[a-z]+( \\.\\.\\.)?", found["names"][1])


def test_a_terminal_without_the_characters_of_a_model_shows_escapes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", output)
    with pytest.raises(SystemExit) as stopped:
        main(["--list"])
    assert stopped.value.code == 0
    output.seek(0)
    assert "\\u04" in output.read()
