"""The parts of report pages, for tests of what they show."""

from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from textgen_runtime.corpus import Corpus
from textgen_runtime.text import Normalization
from textgen_train.data.dataset import Dataset
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.loop.events import Evaluation
from textgen_train.loop.specification import RunSpecification
from textgen_train.options import RunOptions
from textgen_train.report.facts import RunFacts

VOID = {"meta", "br", "input"}
# Their end tags may be omitted.
ROOTS = {"html"}


class Page(HTMLParser):
    """The elements and the text of a page. Raises AssertionError if an end tag is missing or wrong.

    Attributes:
        elements: Tag and attributes of each element, in order.
        text: The text outside of styles and scripts.
    """

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(content)
        self.close()
        assert set(self._open) <= ROOTS

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
            attributes
            for name, attributes in self.elements
            if name == tag and (style is None or attributes.get("class") == style)
        ]


def evaluation(step: int, held_out_nats: float, seconds: float | None = None) -> Evaluation:
    """Return an evaluation after a number of updates."""
    return Evaluation(
        step=step,
        epoch=step / 100,
        seconds=float(step if seconds is None else seconds),
        training_nats=held_out_nats + 0.2,
        held_out_nats=held_out_nats,
        bits_per_character=held_out_nats * 1.4427,
        learning_rate=0.01 / step if step else 0.0,
        characters_per_second=5000.0,
        training_eval_nats=held_out_nats - 0.1,
    )


def dataset_of(text: str, min_count: int = 1) -> Dataset:
    """Return the dataset of a text, of which the last tenth is held out."""
    return make_dataset(Corpus.from_text("song", text), Normalization(), 0.1, min_count)


def facts_of(
    dataset: Dataset, folder: Path, corpus: str = "song", command: Sequence[str] = (), **changes: Any
) -> RunFacts:
    """Return the facts of a run with this dataset, and with these changes of its hyperparameters."""
    options = RunOptions("-", hyperparameters=changes)
    text, recipe = Corpus.from_text(corpus, ""), options.choose_recipe()
    return RunFacts(RunSpecification(options, text, None, dataset, recipe, command=command), folder)
