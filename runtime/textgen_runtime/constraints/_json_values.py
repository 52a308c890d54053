"""Expressions for JSON values, without whitespace."""

from typing import Final

# RFC 8259. A character of a string, except \u escapes, which could be half of a surrogate pair.
CHARACTER: Final = r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])'
STRING: Final = f'"{CHARACTER}*"'
INTEGER: Final = "-?(?:0|[1-9][0-9]*)"
SCALARS: Final = {
    "string": STRING,
    "integer": INTEGER,
    "number": INTEGER + r"(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?",
    "boolean": "(?:true|false)",
    "null": "null",
}

_DATE: Final = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_HOUR_AND_MINUTE: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME: Final = rf"{_HOUR_AND_MINUTE}:[0-5][0-9](?:\.[0-9]+)?(?:Z|[+-]{_HOUR_AND_MINUTE})"
_LABEL: Final = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_NAME: Final = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+"
# Strict subsets of what the standards allow: RFC 3339 (without leap seconds), 9562, 5321 and 3986.
FORMATS: Final = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "uuid": "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "email": rf"{_NAME}(?:\.{_NAME})*@{_LABEL}(?:\.{_LABEL})+",
    "uri": r"[a-zA-Z][a-zA-Z0-9+.\-]*:(?:[a-zA-Z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-F]{2})+"
    r"(?:#(?:[a-zA-Z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-F]{2})*)?",
}


def counted(least: int, most: int | None) -> str:
    """Return a repetition, such as ``{2,}``."""
    return f"{{{least},{'' if most is None else most}}}"


def listed(item: str, least: int, most: int | None) -> str:
    """Return an expression for items with commas between them."""
    if most == 0:
        return ""
    several = f"{item}(?:,{item}){counted(max(least - 1, 0), None if most is None else most - 1)}"
    return several if least else f"(?:{several})?"
