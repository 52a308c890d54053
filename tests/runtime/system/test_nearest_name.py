"""Tests of the name that is suggested for a mistyped one."""

import pytest
from textgen_runtime.system.nearest_name import nearest_name

MODELS = ("nietzsche", "nietzsche-int8")


@pytest.mark.parametrize(
    ("typed", "known", "nearest"),
    [
        ("nietsche", MODELS, "nietzsche"),
        ("nietzsche-in8", MODELS, "nietzsche-int8"),
        ("nietz", MODELS, "nietzsche"),
        ("nietzsche-large", MODELS, "nietzsche"),
        ("temperature", ("top-p", "temp"), "temp"),
        # The other name is more similar.
        ("sep", ("set", "separator"), "separator"),
        ("zarathustra", MODELS, None),
        ("", MODELS, None),
        ("x", (), None),
    ],
)
def test_the_nearest_name_is_found(typed: str, known: tuple[str, ...], nearest: str | None) -> None:
    assert nearest_name(typed, known) == nearest


def test_the_required_similarity_can_be_lower() -> None:
    assert nearest_name("exit", ("quit",)) is None
    assert nearest_name("exit", ("quit",), 0.5) == "quit"
