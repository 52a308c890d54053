"""The one generator of texts: drawn as lanes of a batch, accepted or drawn again, and delivered in order.

``Texts`` draws the texts of several ``Series``. A ``Selection`` decides which of them are accepted: no empty
record, none twice, none that stands in a corpus.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

from textgen_runtime.errors import SamplingError, TextgenError
from textgen_runtime.model import STREAM_CHUNK, Batch, BatchChunk, Generation, Model
from textgen_runtime.results import TextEnding
from textgen_runtime.text import RecordKind, split_records
from textgen_runtime.tokenizer import format_symbols

if TYPE_CHECKING:
    from textgen_runtime.corpus import CorpusLookup

    # The corpus in which no accepted text stands, or the records that no accepted text equals.
    KnownTexts: TypeAlias = CorpusLookup | AbstractSet[str]

# Maximum number of lanes. Larger batches are not faster.
MAX_LANES = 64

# Maximum number of texts that are started and not delivered. Complete texts wait in memory for a longer text
# that comes before them.
MAX_PENDING = 1024

# After this number of rejected texts in a row, a new one is so rare that a series ends.
MAX_REJECTED_IN_A_ROW = 1000

# Bytes. With fewer than 2**40 texts, two of them practically never have the same fingerprint.
FINGERPRINT_SIZE = 16


class Text:
    """One text, from its start until it is delivered or rejected.

    Attributes:
        series: The series of the text.
        generation: The generation that draws it.
        number: The number of the text in its series, from 1, without rejected texts before it.
        tokens: The number of tokens drawn so far, with those of the stop text.
        nats: The surprisal of these tokens under the model, in nats; 0 if the generation does not keep it.
        ending: Why the text ended, or None while it continues.
        stop: The stop text that ended the text; empty if there is none.
        error: Why the text cannot continue, or None.
        is_accepted: Whether the text is accepted, perhaps before its end.
    """

    def __init__(self, series: "Series", generation: Generation) -> None:
        self.series, self.generation = series, generation
        self.number = series.accepted + len(series.pending) + 1
        self.tokens, self.nats = 0, 0.0
        self.ending: TextEnding | None = None
        self.stop = ""
        self._chunks: list[str] = []
        self.error: SamplingError | None = None
        self.is_accepted = False

    def add(self, chunk: BatchChunk) -> None:
        """Append a chunk."""
        self._chunks.append(chunk.text)
        self.tokens += chunk.tokens
        self.nats -= sum(chunk.logprobs or ())
        self.ending, self.stop, self.error = chunk.ending, chunk.stop, chunk.error

    @property
    def text(self) -> str:
        """The text so far, without the parts that ``take`` has returned."""
        return "".join(self._chunks)

    def take(self) -> str:
        """Remove and return the text so far."""
        text = self.text
        self._chunks.clear()
        return text


class Series:
    """Texts that begin alike, in the order of their attempts. A subclass says how they begin.

    Args:
        wanted: The number of texts.
        length: The maximum number of tokens of each.

    Attributes:
        accepted: The number of texts that were accepted.
        decided: The number of texts that were accepted or rejected.
        rejected_in_a_row: The number of texts that were rejected since the last accepted one.
        pending: The texts that are not decided yet.
    """

    def __init__(self, wanted: int, length: int) -> None:
        self.wanted, self.length = wanted, length
        self.accepted = self.decided = self.rejected_in_a_row = 0
        self.pending: deque[Text] = deque()

    def begin(self, attempt: int) -> Generation:
        """Return the generation of an attempt, from 0 on, with random numbers of its own."""
        raise NotImplementedError

    def beginning(self, text: Text) -> str | None:
        """Return what a text continues of the same record or line.

        None if it is not known: then the text is compared alone, and is no empty record.
        """
        return text.generation.prompt

    def echo(self, text: Text) -> str:
        """Return what is shown before a text."""
        return text.generation.prompt

    def place(self, text: Text) -> str:
        """Return which text this is, such as "text 3 of 10"; empty if it is the only one."""
        return f"text {text.number} of {self.wanted}" if self.wanted > 1 else ""

    @property
    def is_settled(self) -> bool:
        """Whether all texts are accepted, or too many were rejected."""
        return self.accepted == self.wanted or self.rejected_in_a_row >= MAX_REJECTED_IN_A_ROW

    @property
    def to_start(self) -> int:
        """The number of further texts to start now, so that the missing ones will probably be accepted."""
        missing = self.wanted - self.accepted
        expected = -(-missing * (self.decided + 1) // (self.accepted + 1))
        return expected - len(self.pending)

    def start_text(self) -> Text:
        """Start the next text.

        Raises:
            PromptError: If the prompt cannot be fed.
            SamplingError: If the substreams of the seed are exhausted.
        """
        text = Text(self, self.begin(self.decided + len(self.pending)))
        self.pending.append(text)
        return text

    def decide(self, accept: bool) -> Text:
        """Accept or reject the first pending text, and return it."""
        text = self.pending.popleft()
        text.is_accepted = accept
        self.decided += 1
        if accept:
            self.accepted += 1
            self.rejected_in_a_row = 0
        else:
            self.rejected_in_a_row += 1
            self.number_pending_texts_lower()
        return text

    def number_pending_texts_lower(self) -> None:
        """Give each pending text the number before its own, because an earlier text is not delivered."""
        for later in self.pending:
            later.number -= 1


class Texts:
    """Draws the texts of several series, as if they were drawn one after another.

    Each lane draws one text. When it ends, the next text takes its place. The order of the texts, and which
    of them are accepted, do not depend on the number of lanes or of threads.

    Args:
        batch: An empty batch.
        selection: Accepts or rejects the texts. None accepts all.
        immediate: Returns a context in which Ctrl-C takes effect. Elsewhere it is expected to be deferred.
        lanes: Maximum number of texts that are drawn at once.
        parts: Whether accepted texts are delivered while they are drawn.

    Attributes:
        batch: The batch, with the number of tokens that were drawn.
        seconds: How long it took to draw the texts, without the prompts.
    """

    def __init__(
        self,
        batch: Batch,
        selection: "Selection | None",
        immediate: Callable[[], AbstractContextManager[None]],
        *,
        lanes: int | None = None,
        parts: bool = True,
    ) -> None:
        self.batch, self._selection, self._immediate = batch, selection, immediate
        self._lanes, self._parts = lanes or MAX_LANES, parts
        self.seconds = 0.0
        self._running: dict[Generation, Text] = {}
        # Series with pending texts. Only the first has texts that were decided.
        self._series: deque[Series] = deque()

    def draw(self, series: Iterable[Series]) -> Iterator[Text]:
        """Yield the accepted texts of all series in their order. Take their text before the next step.

        With ``parts``, the first text that is not complete is yielded as well, without an ending, whenever it
        may have grown. A series ends early after ``MAX_REJECTED_IN_A_ROW`` rejected texts in a row.

        Raises:
            KeyboardInterrupt: After an interrupt.
            SamplingError: If a text cannot continue, after the texts before it were yielded.
        """
        waiting = iter(series)
        while self._fill(waiting):
            self._advance()
            yield from self._deliver()

    def complete(self) -> Iterator[Text]:
        """Yield all complete texts after an error or an interrupt, also those after one that is not."""
        for series in self._series:
            for text in list(series.pending):
                if series.is_settled or text.number > series.wanted:
                    break
                if text.ending is not None:
                    yield from self._decided(series)
                    continue
                series.pending.remove(text)
                # The number is taken if the user sees it: in the heading above the part that was delivered,
                # or in the message of the error.
                is_seen = text.is_accepted or text.error is not None
                if self._selection is not None and not is_seen:
                    series.number_pending_texts_lower()

    def _fill(self, waiting: Iterator[Series]) -> bool:
        """Start texts in the free lanes. Return whether any text is left to draw."""
        # A long prompt may be fed here. An interrupt need not wait for that.
        with self._immediate():
            pending = sum(len(series.pending) for series in self._series)
            if self._series:
                first, last = self._series[0], self._series[-1]
                # The first series may always go on, however many texts of later ones wait for it.
                pending += self._start_texts(first, MAX_PENDING - len(first.pending))
                pending += self._start_texts(last, MAX_PENDING - pending)
            while len(self.batch) < self._lanes and pending < MAX_PENDING:
                following = next(waiting, None)
                if following is None:
                    break
                self._series.append(following)
                pending += self._start_texts(following, MAX_PENDING - pending)
        return bool(self._series)

    def _start_texts(self, series: Series, maximum: int) -> int:
        """Start texts of a series, as many as it needs and as there are free lanes. Return their number."""
        count = max(0, min(series.to_start, maximum, self._lanes - len(self.batch)))
        for _ in range(count):
            text = series.start_text()
            self.batch.add(text.generation, series.length)
            self._running[text.generation] = text
        return count

    def _advance(self) -> None:
        """Continue all lanes by one chunk."""
        steps = self.batch.model.engine.chunk_length(len(self.batch))
        if len(self.batch) == 1:
            steps = min(STREAM_CHUNK, steps)
        start = perf_counter()
        chunks = self.batch.advance(steps)
        self.seconds += perf_counter() - start
        for chunk in chunks:
            text = self._running[chunk.generation]
            text.add(chunk)
            if text.ending is not None or text.error is not None:
                del self._running[chunk.generation]

    def _deliver(self) -> Iterator[Text]:
        """Yield the complete texts up to the first one that is not complete, and that one."""
        while self._series:
            series = self._series[0]
            while series.pending and not series.is_settled:
                text = series.pending[0]
                if text.ending is not None:
                    yield from self._decided(series)
                    continue
                # A trial has no tokens before its end.
                is_begun = self._parts and text.tokens
                if is_begun and (self._selection is None or self._selection.accepts_beginning(text)):
                    text.is_accepted = True
                    yield text
                if text.error is not None:
                    place = f"{series.place(text)}: " if series.place(text) else ""
                    raise type(text.error)(place, *text.error.args, parameter=text.error.parameter)
                return
            if not series.is_settled:
                return
            for text in series.pending:
                if self._running.pop(text.generation, None):
                    self.batch.remove(text.generation)
            self._series.popleft()

    def _decided(self, series: Series) -> Iterator[Text]:
        """Accept or reject the first pending text of a series, and yield it if it is accepted."""
        text = series.decide(self._selection is None or self._selection.accepts(series.pending[0]))
        if text.is_accepted:
            yield text


class Selection:
    """Accepts texts that were not accepted before, or that do not stand in a corpus, or both.

    It accepts no empty record. No corpus has one, but a model can write it.

    Args:
        unique: Whether a text is accepted only once.
        corpus: The corpus in which no accepted text stands, or the records that no accepted text equals; or
            None.
        max_copy: A number of characters: no longer part of a text stands in the corpus. 0 if it is not known.

    Attributes:
        drawn: The number of texts that were accepted or rejected.
        rejected: The number of rejected texts by the reason.
    """

    def __init__(self, *, unique: bool, corpus: "KnownTexts | None", max_copy: int) -> None:
        self._accepted: set[bytes] | None = set() if unique else None
        self._corpus = corpus
        # A longer text is accepted, unless it must be unique.
        self._longest = 0 if corpus is None else max_copy or math.inf
        self.drawn = 0
        self.rejected = {"repeat another text": 0} if unique else {}
        self.rejected |= {} if corpus is None else {"stand in the corpus": 0}

    def accepts_beginning(self, text: Text) -> bool:
        """Whether a text is accepted whatever follows, so that it can be delivered while it is drawn."""
        return text.is_accepted or (self._accepted is None and self._longest < len(text.text))

    def accepts(self, text: Text) -> bool:
        """Whether a complete text is accepted."""
        self.drawn += 1
        reason = "" if self.accepts_beginning(text) else self._reason(text)
        if reason:
            self.rejected[reason] = self.rejected.get(reason, 0) + 1
        return not reason

    def _reason(self, text: Text) -> str:
        """Return why a text is rejected; empty if it is accepted."""
        beginning = text.series.beginning(text)
        if text.ending == "end" and beginning is not None and not beginning + text.text:
            return "are empty"
        if self._corpus is not None and _stands_in(self._corpus, text, beginning or ""):
            return "stand in the corpus"
        if self._accepted is not None:
            # Imported on use: the import takes milliseconds, and most runs do not need it.
            from hashlib import blake2b

            output = (text.series.echo(text) + text.text).encode("utf-8", "surrogatepass")
            fingerprint = blake2b(output, digest_size=FINGERPRINT_SIZE).digest()
            if fingerprint in self._accepted:
                return "repeat another text"
            self._accepted.add(fingerprint)
        return ""

    def describe(self, found: int) -> str:
        """Return how many texts were found among the drawn ones, and why the others were rejected."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.rejected.items())
        return f"{found:,} of {self.drawn:,} drawn" + f"; {reasons}" * bool(reasons)

    def shortfall(self, found: int, wanted: int) -> TextgenError:
        """Return the error for fewer texts than wanted."""
        reasons = " or ".join(reason for reason, count in self.rejected.items() if count)
        return TextgenError(
            f"found only {found:,} of {wanted:,} texts: {MAX_REJECTED_IN_A_ROW:,} drawn in a row {reasons}"
        )


def _stands_in(corpus: "KnownTexts", text: Text, beginning: str) -> bool:
    """Whether the corpus has the text.

    A text that is a complete line, as with ``--until-newline``, stands in the corpus if the corpus has this
    line. The part of the beginning after its last line end belongs to the line. Any other text stands in the
    corpus if it occurs anywhere in it.
    """
    content = text.text
    if isinstance(corpus, AbstractSet):
        return beginning + content in corpus
    # After a stop text such as ".\n", the line in the corpus has more than the text.
    stop = text.generation.sampling.stop
    are_lines = bool(stop) and all(set(one) == {"\n"} for one in stop)
    if text.ending == "length" or not (are_lines or content.endswith("\n")):
        return corpus.has(content)
    return corpus.has_lines(beginning.rpartition("\n")[2] + content.removesuffix("\n"))


def make_selection(
    model: Model, known: "KnownTexts | None", *, unique: bool, max_copy: int
) -> Selection | None:
    """Return a selection of texts, or None if all are accepted.

    Args:
        model: The model that generates them.
        known: What ``known_texts`` returns for the model: no text that stands there is accepted.
        unique: Whether a text is accepted only once.
        max_copy: That of the sampling.
    """
    has_records = model.metadata.records is not None
    if known is None and not unique and not has_records:
        return None
    # Records are compared as a whole.
    return Selection(unique=unique, corpus=known, max_copy=0 if has_records else max_copy)


def known_texts(model: Model) -> "KnownTexts | None":
    """Return what the corpus ``novel`` of a model has, or None if there is no corpus."""
    if model.novel is None:
        return None
    # With --raw, texts keep the bytes that are not UTF-8.
    novel = model.novel if model.is_raw else _as_generated(model.novel)
    if model.metadata.records is not None:
        return frozenset(split_records(novel, model.metadata.records))
    # Imported on use: most runs need no corpus.
    from textgen_runtime.corpus import CorpusLookup

    return CorpusLookup(novel)


def with_novel(model: Model, source: str, *, lowercase: bool = False) -> Model:
    """Return the model with the corpus of ``--novel``.

    Raises:
        CorpusError: If the corpus is missing or empty, or is not available.
        TextFileError: If it cannot be read, or is not UTF-8.
    """
    # Imported on use: most runs need no corpus.
    from textgen_runtime.corpus import corpus_for

    text = corpus_for(model.metadata, source).text
    return model.with_novel(text.lower() if lowercase else text)


def novel_warnings(model: Model) -> list[str]:
    """Return a warning if the corpus of ``--novel`` has only lines, or records, that no text can equal."""
    if model.novel is None:
        return []
    kind, tokenizer = model.metadata.records, model.tokenizer
    texts = split_records(model.novel, kind or "lines")
    if any(map(tokenizer.can_encode, texts)):
        return []
    unknown = format_symbols(sorted(tokenizer.count_unknown("".join(texts))))
    name = "record" if kind else "line"
    return [f"each {name} of the corpus has characters outside the vocabulary: {unknown}"]


def corpus_records(text: str, records: RecordKind) -> frozenset[str]:
    """Return the records of a corpus, which is normalized."""
    return frozenset(split_records(_as_generated(text), records))


def _as_generated(text: str) -> str:
    """Return a text in which a byte that is not UTF-8 is the replacement character, as in a generated one."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
