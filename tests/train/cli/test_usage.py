"""Wrong usage of ``textgen-train`` is one line and exit status 2, before a text is looked for."""

from pathlib import Path

import pytest
from textgen_runtime.corpus import CHECKPOINT_FILE

from tests.helpers.commands import Captured
from tests.helpers.train_command import run

CORPUS, RESUME, FROM, BYTES = (
    ("book.txt",),
    ("--resume", "out"),
    ("b", "--from", "old"),
    ("b", "--level", "byte"),
)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "a CORPUS is required, or --resume FOLDER (see"),
        (("--teacher", "large"), "a CORPUS is required, or --resume FOLDER (see"),
        (
            ("--teacher", "large", "b"),
            "a CORPUS is required, or --resume FOLDER; CORPUS goes before --teacher",
        ),
        ((*CORPUS, "--minutes", "0"), "--minutes must be a number above 0"),
        ((*CORPUS, "--held-out", "x"), "--held-out must be a number above 0 and below 1, not 'x'"),
        ((*CORPUS, "--units", "0"), "--units must be an integer from 1 to 16384, not 0"),
        ((*CORPUS, "--unicode", "NFX"), "--unicode must be one of NFC, NFD, NFKC, NFKD, none, not 'NFX'"),
        (
            (*CORPUS, "--quantize", "--cell", "conv"),
            "--quantize is only for the cell lstm, not for conv",
        ),
        ((*CORPUS, "--recipe", "classic", "--preset", "small"), "--recipe is not allowed with --preset"),
        ((*CORPUS, "--preset", "huge"), "--preset must be one of small, medium, large, not 'huge'"),
        ((*CORPUS, "--extend"), "--extend requires --from MODEL"),
        ((*CORPUS, "--vocabulary-size", "300"), "--vocabulary-size requires --level word"),
        ((*BYTES, "--lowercase"), "--lowercase cannot be combined with --level byte"),
        ((*BYTES, "--unicode", "NFD"), "--unicode cannot be combined with --level byte"),
        ((*BYTES, "--min-count", "2"), "--min-count cannot be combined with --level byte"),
        ((*FROM, "--units", "9"), "--units cannot be combined with --from: the model determines it"),
        # Also with its default value.
        ((*FROM, "--unicode", "NFC"), "--unicode cannot be combined with --from"),
        ((*RESUME, "--epochs", "9"), "--epochs cannot be changed: --resume uses the options of the run"),
        ((*RESUME, "--overwrite"), "--overwrite cannot be combined with --resume"),
        (
            (*RESUME, "-o", "other"),
            "-o cannot be combined with --resume, which continues in the folder of the run",
        ),
        (
            ("--resume", "none", "--minutes", "9"),
            f"nothing to resume: none has no {CHECKPOINT_FILE}; start a run",
        ),
        (("-", "--held-out-file", "-"), "standard input (-) can be read only once"),
        (("-", *RESUME, "--held-out-file", "-"), "standard input (-) can be read only once"),
    ],
)
def test_wrong_usage_is_one_line(
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out", CHECKPOINT_FILE).touch()
    code, out, err = run(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
