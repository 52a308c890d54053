"""The progress of reading a large corpus."""

import pytest
from textgen_train.cli import _texts
from textgen_train.cli._texts import ReadingProgress

Captured = pytest.CaptureFixture[str]


def test_a_long_reading_is_shown_and_a_short_one_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    now = 100.0
    monkeypatch.setattr(_texts, "perf_counter", lambda: now)
    progress = ReadingProgress()
    for _ in range(13):
        now += 1.0
        progress.add(3_000_000)
        if now == 101.0:
            progress.finish()
            assert capsys.readouterr().err == ""
    progress.finish()
    assert capsys.readouterr().err.splitlines() == [
        "reading the corpus: 6 MB in 2.0 s (3 MB/s) so far",
        "reading the corpus: 36 MB in 12.0 s (3 MB/s) so far",
        "read the corpus: 39 MB in 13.0 s (3 MB/s)",
    ]
