"""How messages name symbols of a vocabulary."""

MAX_LISTED = 10


def format_symbols(symbols: list[str]) -> str:
    """Return at most 10 symbols with their code points, such as ``'é' (U+00E9), 'ж' (U+0436)``."""
    listed = [f"{symbol!r} ({_code_points(symbol)})" for symbol in symbols[:MAX_LISTED]]
    remaining = len(symbols) - len(listed)
    return ", ".join(listed) + (f" and {remaining} more" if remaining else "")


def _code_points(symbol: str) -> str:
    return " ".join([f"U+{ord(character):04X}" for character in symbol])
