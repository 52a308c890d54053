"""The state of an interactive session: continued, taken back, tried again, saved and loaded."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Generation, Model, Sampling, SamplingError
from textgen_runtime.cli._interactive_lines import Addition, LineError
from textgen_runtime.cli._interactive_positions import Position
from textgen_runtime.cli._interactive_session import MAX_STEPS, Session
from textgen_runtime.errors import PromptError, SavedGenerationError
from textgen_runtime.text import Normalization
from textgen_runtime.tokenizer import UnknownPolicy

from tests.helpers.changed_models import with_metadata
from tests.helpers.make_tiny_model import make_model

WARM = Sampling(temperature=1.0)


@pytest.fixture
def session(tiny: Model) -> Session:
    """A session without text."""
    started = Session(tiny, WARM, 7)
    started.length = 20
    return started


def continued(session: Session, text: str | None = None, *, joined: bool = False) -> str:
    """Add a line, and return its continuation."""
    session.add(Addition(text, joined))
    return "".join(session.chunks())


def running(session: Session) -> Generation:
    """Return the generation of a session with a text."""
    assert session.position.generation
    return session.position.generation


def is_same_state(one: Generation, other: Generation) -> bool:
    """Whether two generations have read the same text. Different texts may have equal continuations."""
    return all((one.state[name] == other.state[name]).all() for name in one.state)


def test_lines_continue_one_generation(session: Session, tiny: Model) -> None:
    texts = [continued(session, "abc"), continued(session, "dad"), continued(session)]
    generation = tiny.start("abc", sampling=WARM, seed=7)
    expected = [generation.take(20)]
    generation.feed("dad" if expected[0].endswith("\n") else "\ndad")
    expected += [generation.take(20), generation.take(20)]
    assert texts == expected
    assert is_same_state(running(session), generation)


def test_a_text_goes_on_from_the_continuation_that_was_picked(session: Session, tiny: Model) -> None:
    session.add(Addition("abc"))
    texts = ["".join(session.chunks())]
    for _ in range(2):
        session.retry()
        texts.append("".join(session.chunks()))
    assert (session.alternatives, len(set(texts))) == (3, 3)
    for number in (2, 1, 3, 1):
        session.pick(number)
        assert session.position.tail == f"abc{texts[number - 1]}"
    drawn = running(session).drawn
    longer = texts[0] + continued(session, joined=True)
    expected = tiny.start(f"abc{texts[0]}", sampling=WARM)
    expected.reseed(7, 0, drawn)
    assert longer == texts[0] + expected.take(20)
    # The latest line has one continuation now. Without it, the text ends as it was picked.
    with pytest.raises(LineError, match="/pick must be 1 or less, not 2"):
        session.pick(2)
    session.undo()
    assert session.position.tail == f"abc{texts[0]}"


def test_a_continuation_that_was_picked_keeps_what_was_added_before_it_was_stopped(session: Session) -> None:
    session.add(Addition("abc"))
    first = next(session.chunks()) + session.stop()
    session.retry()
    session.stop()
    session.pick(1)
    assert (session.position.tail, bool(first)) == (f"abc{first}", True)


@pytest.mark.parametrize(
    ("lines", "forget", "message"),
    [
        (0, None, "there is no continuation to pick: type a text first"),
        (1, Session.undo, "there is no continuation to pick: type a text first"),
        (1, Session.reset, "there is no continuation to pick: type a text first"),
        (2, Session.undo, "/pick has nothing to choose from: /undo and /load keep the text, but no other"),
    ],
)
def test_there_is_nothing_to_pick_without_a_line(
    lines: int, forget: Callable[[Session], None] | None, message: str, session: Session
) -> None:
    for _ in range(lines):
        continued(session, "abc")
    if forget:
        forget(session)
    with pytest.raises(LineError, match=f"^{message}"):
        session.pick(1)


def test_the_line_that_was_fed_is_returned_as_the_model_got_it(session: Session) -> None:
    assert session.add(Addition("ABC")) == "abc"
    assert session.add(Addition("DAD")) == "dad"
    assert session.position.tail == "abc\ndad"
    session.unknown = "skip"
    assert session.add(Addition("axyzb")) == "ab"


def test_a_text_without_a_line_begins_with_a_stored_prompt(session: Session, tiny: Model) -> None:
    assert session.add(Addition()) == tiny.prompts[7 % 3]


def test_after_a_line_end_no_other_is_fed(session: Session) -> None:
    session.add(Addition("abc\n"))
    session.add(Addition("dad"))
    assert session.position.tail == "abc\ndad"


@pytest.mark.parametrize(("symbols", "text"), [(" ab", "ab ba"), ("ab", "abba")])
def test_a_vocabulary_without_line_ends_gets_spaces_or_nothing(symbols: str, text: str) -> None:
    model = textgen.load(make_model(symbols).SerializeToString())
    session = Session(model, WARM, 7)
    assert [session.add(Addition("ab")), session.add(Addition("ba"))] == ["ab", "ba"]
    assert session.position.tail == text


def test_a_stopped_text_is_kept_as_far_as_it_was_returned(session: Session, tiny: Model) -> None:
    session.length = 1000
    session.add(Addition("abc"))
    chunks = session.chunks()
    shown = next(chunks) + next(chunks)
    assert session.stop() == ""
    assert session.ending is None
    session.length = 10
    rest = continued(session)
    text = tiny.generate("abc", length=len(shown) + 10, sampling=WARM, seed=7)
    assert shown + rest == text
    assert session.position.tail == f"abc{text}"[-len(session.position.tail) :]


def test_undo_returns_to_the_text_before_the_line(session: Session) -> None:
    continued(session, "abc")
    tail = session.position.tail
    state = running(session).state["hidden"].copy()
    continued(session, "dad")
    session.undo()
    assert session.position.tail == tail
    assert (running(session).state["hidden"] == state).all()
    session.undo()
    assert session.position == Position()
    with pytest.raises(LineError, match="nothing to take back"):
        session.undo()


@pytest.mark.parametrize("change", [Session.undo, Session.reset])
def test_random_numbers_never_go_back(
    session: Session, tiny: Model, change: Callable[[Session], None]
) -> None:
    first = continued(session, "abc")
    change(session)
    second = continued(session, "abc")
    sampler = tiny.start("abc", sampling=WARM, seed=7)
    assert first == sampler.take(20)
    again = tiny.start("abc", sampling=WARM, seed=7)
    again.reseed(again.seed, 0, sampler.drawn)
    assert second == again.take(20) != first


def test_retry_continues_the_same_line_with_new_random_numbers(session: Session, tiny: Model) -> None:
    continued(session, "abc")
    continued(session, "dad")
    tail = session.position.tail
    position = running(session).drawn
    assert session.retry() == "dad"
    text = "".join(session.chunks())
    assert session.position.tail != tail
    assert session.position.tail[:27] == tail[:27]
    expected = tiny.start("abc", sampling=WARM, seed=7)
    expected.feed(expected.take(0) + session.position.tail[3:27])
    expected.reseed(expected.seed, 0, position)
    assert text == expected.take(20)
    assert is_same_state(running(session), expected)


def test_retry_uses_the_current_settings(session: Session, tiny: Model) -> None:
    continued(session, "abc")
    session.sampling, session.length = Sampling(temperature=0.0), 9
    session.retry()
    assert "".join(session.chunks()) == tiny.generate("abc", length=9, temperature=0)


def test_retry_can_be_repeated_and_taken_back(session: Session) -> None:
    texts = {continued(session, "abc")}
    for _ in range(4):
        session.retry()
        texts.add("".join(session.chunks()))
    assert len(texts) == 5
    session.undo()
    assert session.position.generation is None


@pytest.mark.parametrize("replace", [None, Session.reset])
def test_there_is_nothing_to_retry_without_a_line(
    session: Session, replace: Callable[[Session], None] | None
) -> None:
    if replace:
        continued(session, "abc")
        replace(session)
    with pytest.raises(LineError, match="no line to continue again"):
        session.retry()


def test_a_refused_retry_takes_nothing_back(session: Session) -> None:
    session.unknown = "skip"
    continued(session, "aXb")
    tail = session.position.tail
    session.unknown = "error"
    with pytest.raises(LineError, match="vocabulary"):
        session.retry()
    assert session.position.tail == tail


def test_the_same_seed_gives_the_same_text_again(session: Session) -> None:
    first = continued(session, "abc")
    session.reset()
    session.seed = 7
    assert continued(session, "abc") == first
    session.seed = 7
    session.retry()
    assert "".join(session.chunks()) == first
    assert session.seed == 7


def test_a_new_seed_applies_to_the_running_text(session: Session, tiny: Model) -> None:
    continued(session, "abc")
    session.seed = 9
    text = continued(session)
    generation = tiny.start("abc", sampling=WARM, seed=7)
    generation.take(20)
    generation.reseed(9)
    assert text == generation.take(20)


def test_a_length_of_one_line_applies_to_it_alone(session: Session) -> None:
    session.add(Addition(length=3))
    assert len("".join(session.chunks())) == 3
    session.retry()
    assert len("".join(session.chunks())) == 3
    assert len(continued(session)) == 20


@pytest.mark.parametrize("unknown", ["error", "skip"])
def test_a_refused_line_changes_nothing(session: Session, unknown: UnknownPolicy) -> None:
    session.unknown = unknown
    continued(session, "abc")
    before = session.position
    with pytest.raises(LineError, match="vocabulary"):
        session.add(Addition("xyz"))
    assert session.position == before
    session.undo()
    assert session.position.generation is None


def test_a_refused_line_says_what_helps() -> None:
    model = textgen.load(make_model("\n ab").SerializeToString())
    metadata = model.metadata._replace(normalization=Normalization(lowercase=False))
    session = Session(with_metadata(model, metadata), WARM, 1)
    with pytest.raises(LineError, match=r"'é' \(U\+00E9\); change the line, or use /unknown skip$"):
        session.add(Addition("aé"))
    with pytest.raises(
        LineError, match=r"'A' \(U\+0041\); change the line, or use /lowercase on, or /unknown"
    ):
        session.add(Addition("aA"))
    session.lowercase = True
    assert session.add(Addition("aA")) == "aa"


def test_a_model_without_prompts_needs_a_line(tiny: Model) -> None:
    session = Session(with_metadata(tiny, tiny.metadata._replace(prompts=())), WARM, 1)
    with pytest.raises(PromptError):
        session.add(Addition())
    assert session.position.generation is None
    assert session.add(Addition("abc")) == "abc"


def test_a_saved_text_goes_on_exactly(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "saved.gen"
    continued(session, "abc")
    session.sampling = Sampling(temperature=1.5)
    session.save(str(path))
    tail = session.position.tail
    expected = continued(session)
    other = Session(session.model, WARM, 1)
    other.length = 20
    other.load(path)
    assert (other.sampling, other.seed) == (Sampling(temperature=1.5), 7)
    assert other.position.tail == tail
    assert continued(other) == expected


def test_loading_and_resetting_are_taken_back(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "saved.gen"
    continued(session, "abc")
    tail = session.position.tail
    session.save(str(path))
    session.load(path)
    session.reset()
    session.undo()
    session.undo()
    assert session.position.tail == tail


def test_there_is_nothing_to_save_without_a_text(session: Session, tmp_path: Path) -> None:
    with pytest.raises(LineError, match="no text yet"):
        session.save(str(tmp_path / "saved.gen"))


def test_a_file_that_cannot_be_loaded_changes_nothing(session: Session, tmp_path: Path) -> None:
    continued(session, "abc")
    tail = session.position.tail
    (tmp_path / "damaged.gen").write_bytes(b"PK")
    for name in ("damaged.gen", "missing.gen"):
        with pytest.raises(SavedGenerationError):
            session.load(tmp_path / name)
    assert session.position.tail == tail


def test_the_number_of_steps_is_bounded(session: Session) -> None:
    for _ in range(MAX_STEPS + 10):
        session.add(Addition("a"))
    for _ in range(MAX_STEPS):
        session.undo()
    assert session.position.generation is not None
    with pytest.raises(LineError):
        session.undo()


def test_parameters_that_do_not_fit_the_model_are_refused_at_once(session: Session) -> None:
    for _ in range(2):
        with pytest.raises(SamplingError, match="outside the model's vocabulary"):
            session.sampling = Sampling(temperature=1.0, logit_bias={"x": 1.0})
        with pytest.raises(LineError, match="the stop text 'xyz' has characters outside the vocabulary"):
            session.sampling = Sampling(temperature=1.0, stop="xyz")
        assert session.sampling == WARM
        continued(session, "abc")


def test_after_a_line_end_as_stop_text_no_other_is_fed(session: Session, tiny: Model) -> None:
    session.length = 10_000
    session.sampling = Sampling(temperature=1.0, stop="\n")
    first = continued(session, "abc")
    second = continued(session, "dad")
    generation = tiny.start("abc", sampling=WARM, seed=7)
    assert generation.take(len(first) + 1) == f"{first}\n"
    generation.feed("dad")
    assert generation.take(len(second) + 1) == f"{second}\n"
    assert session.position.tail.endswith(f"dad{second}\n")
    assert "\n\n" not in session.position.tail


def test_each_continuation_is_a_new_text_of_the_constraint(session: Session) -> None:
    session.sampling = Sampling(temperature=1.0, choices=["bed", "head"])
    texts = [continued(session, "abc"), *(continued(session) for _ in range(20))]
    assert set(texts) == {"bed", "head"}
    assert session.ending == "constraint"
    assert session.position.tail == "abc" + "\n".join(texts)


def test_a_stopped_text_of_a_constraint_is_completed(session: Session) -> None:
    session.sampling, session.length = Sampling(match="[ab]{200}"), 200
    session.add(Addition("ab"))
    beginning = next(session.chunks())
    session.stop()
    assert 0 < len(beginning) < 200
    assert len(beginning + continued(session)) == 200


def test_a_constraint_without_separators_in_the_vocabulary_starts_again() -> None:
    session = Session(
        textgen.load(make_model("ab").SerializeToString()), Sampling(temperature=1.0, choices=["ab", "ba"]), 7
    )
    texts = [continued(session, "a"), *(continued(session) for _ in range(20))]
    assert set(texts) == {"ab", "ba"}


def test_a_length_that_is_too_short_for_the_constraint_changes_nothing(session: Session) -> None:
    session.sampling = Sampling(temperature=1.0, choices=["head"])
    for before in (None, "abc"):
        if before:
            continued(session, before)
        position = session.position
        with pytest.raises(SamplingError, match="needs a text of at least 4 tokens"):
            session.add(Addition("bed", length=3))
        assert session.position == position
    session.length = 2
    tail = session.position.tail
    with pytest.raises(SamplingError, match="needs a text of at least 4 tokens"):
        session.retry()
    assert session.position.tail == tail
    session.length = 4
    assert session.retry() == "abc"


def test_a_text_that_is_stopped_before_it_is_accepted_leaves_nothing(session: Session, tiny: Model) -> None:
    session.sampling = Sampling(temperature=1.0, match="[^q]{2000}", resample=1)
    session.length = 3000
    session.add(Addition("abc"))
    chunks = session.chunks()
    assert next(chunks) == next(chunks) == ""
    drawn = running(session).drawn
    assert drawn > 0
    assert session.stop() == ""
    assert is_same_state(running(session), tiny.start("abc"))
    assert session.position.tail == "abc"
    assert running(session).drawn == drawn


def test_a_text_that_cannot_continue_is_an_error(session: Session) -> None:
    session.add(Addition("abc"))
    running(session).logits = running(session).logits * np.float32("nan")
    with pytest.raises(SamplingError, match="the logits contain NaN"):
        [*session.chunks()]
    assert session.stop() == ""
    assert session.position.tail == "abc"
