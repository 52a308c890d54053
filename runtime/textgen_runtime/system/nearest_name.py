"""The known name for which a mistyped one was probably meant."""

from collections.abc import Iterable

# How similar two names must be, from 0 to 1, so that one is taken for the other before any name that it
# begins or that begins it: the option --sep is --separator, but the model nietzsche-in8 is not nietzsche.
ALMOST_EQUAL = 0.9

# The same, for names of which none begins the other.
SIMILAR = 0.6


def nearest_name(name: str, known: Iterable[str], min_similarity: float = SIMILAR) -> str | None:
    """Return the known name that is nearest to a mistyped one, or None if none is near."""
    # Imported here because most runs do not need it.
    from difflib import get_close_matches

    names = list(known)
    almost = get_close_matches(name, names, 1, ALMOST_EQUAL)
    related = [other for other in names if name and (other.startswith(name) or name.startswith(other))]
    return next(iter(almost or related or get_close_matches(name, names, 1, min_similarity)), None)
