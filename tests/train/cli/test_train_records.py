"""``textgen-train --records``: lists of names, poems and tunes."""

import shlex
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.cli.run import main as generate

from tests.helpers.commands import Captured, run_here
from tests.helpers.report_pages import Page
from tests.helpers.train_command import QUICK, run

SYLLABLES = ("an", "na", "el", "la", "mo", "ri")
NAMES = [first + second + third for first in SYLLABLES for second in SYLLABLES for third in ("", "s", "na")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("".join(f"{name}\n" for name in NAMES * 3))
    (tmp_path / "poems.txt").write_text("\n\n".join(f"{name}\n{name[::-1]}" for name in NAMES))
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("corpus", "kind"), [("names", "lines"), ("poems", "blank")])
def test_the_runtime_computes_the_same_held_out_loss(capsys: Captured, corpus: str, kind: str) -> None:
    code, out, err = run(capsys, f"{corpus}.txt", *QUICK, "--records", kind, "--held-out", "0.2")
    assert code == 0
    model = textgen.load(f"{corpus}-model")
    assert model.metadata.records == kind
    assert model.prompts == ()
    split = model.training["split"]
    records = (
        f"{split['training_records']:,} training records, {split['held_out_records']:,} held-out records"
    )
    characters = f"{split['training_characters']:,} and {split['held_out_characters']:,} characters"
    assert err.startswith(f"{corpus}.txt: {records} ({characters} with the ends), ")
    assert split["held_out"] == "20% of the records, by a hash of each record"
    score = textgen.predict(model, Path(f"{corpus}.txt").read_text(), last=0.2).score
    assert score.characters == split["held_out_characters"]
    assert score.nats == pytest.approx(model.training["held_out_nats"], abs=1e-5)
    assert out.count("--- new records\n------ temperature: 0.2\n") >= 1


@pytest.mark.usefixtures("folder")
def test_the_next_command_generates_new_records(capsys: Captured) -> None:
    Path("my names.txt").write_text(Path("names.txt").read_text())
    code, out, _ = run(capsys, "my names.txt", *QUICK, "--no-samples", "--records", "lines")
    command = "textgen-run my-names-model --count 20 --unique --novel 'my names.txt'"
    assert code == 0
    assert out.splitlines()[-3:-1] == [
        f"next: {command}",
        "a page for the browser: textgen-web my-names-model --novel 'my names.txt'",
    ]
    assert command in Page(Path("my-names-model/report.html").read_text()).text
    names = run_here(generate, capsys, *shlex.split(command)[1:])[1].splitlines()
    assert len(names) == len(set(names) - set(NAMES)) == 20
    # A resumed run knows the corpus as an absolute path.
    _, out, _ = run(capsys, "--resume", "my-names-model")
    assert f"--novel {shlex.quote(str(Path('my names.txt').absolute()))}\n" in out
