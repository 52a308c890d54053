"""A run that has ended, for tests of what is made of it, and the elements of HTML pages."""

from html.parser import HTMLParser
from pathlib import Path
from time import perf_counter
from typing import Any

from textgen_train._core import Trainer
from textgen_train.config import Config
from textgen_train.dataset import read_dataset
from textgen_train.evaluate import BITS_PER_NAT, Evaluation, Origin
from textgen_train.page import References
from textgen_train.progress import Display
from textgen_train.train import Run, State

TEXT = "Do re mi fa sol la si do,\nsi la sol fa mi re do.\n" * 40
NETWORK = {"units": 8, "embedding": 4, "layers": 1}
VOID = ("meta", "br", "input")


class Page(HTMLParser):
    """The elements and the text of a page. Raises AssertionError if an end tag is missing or wrong."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(content)
        self.close()
        assert self._open in ([], ["html"])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.text += data

    def find(self, tag: str, style: str | None = None) -> list[dict[str, str]]:
        """Return the attributes of the elements with this tag and this value of ``class``."""
        return [
            values for name, values in self.elements if name == tag and style in (None, values.get("class"))
        ]


def evaluation(step: int, nats: float, seconds: float | None = None) -> Evaluation:
    """Return an evaluation after a number of updates."""
    time = float(step if seconds is None else seconds)
    return Evaluation(step, step / 100, time, nats, nats * BITS_PER_NAT, nats + 0.25, 5000.0)


def make_run(folder: Path, *losses: float, text: str = TEXT, **options: Any) -> Run:
    """Return a complete run with these losses, whose folder has the best model, with random weights."""
    (folder / "book.txt").write_text(text, encoding="utf-8")
    values: dict[str, Any] = {
        "corpus": str(folder / "book.txt"),
        "epochs": 3,
        "hyperparameters": NETWORK,
    } | options
    config = Config(**values)
    dataset = read_dataset(config)
    recipe = config.choose_recipe(*dataset.sizes)
    numbers = {name: value for name, value in recipe.items() if name != "cell"}
    learner = Trainer(dataset.tokens, {**numbers, "precision": 0}, 0, 1)
    (folder / "model.onnx").write_bytes(learner.model("{}"))
    evaluations = [evaluation(100 * (1 + i), nats) for i, nats in enumerate(losses)]
    best = min(evaluations, key=lambda item: item.held_out_nats) if losses else None
    state = State(recipe, progress=1.0, evaluations=evaluations)
    parts = config, dataset, learner, "the trainer in C", folder, Origin(name="run")
    return Run(*parts, state, Display(), perf_counter(), References(dataset), best=best)
