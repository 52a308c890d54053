"""Runs the program that prints what the C core reads of model files."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

DAMAGED_MODEL, UNKNOWN_GRAPH, UNKNOWN_CHARACTER, INVALID_UTF8 = -4, -5, -6, -7
TOO_LARGE, NEWER_FORMAT = -12, -13


def run_all(reader: Path, contents: Iterable[bytes]) -> list[list[str]]:
    """What the program prints of each file."""
    given = b"".join(len(content).to_bytes(4, "little") + content for content in contents)
    done = subprocess.run([str(reader)], input=given, capture_output=True, check=True)
    return [part.splitlines() for part in done.stdout.decode().split("\n\n")[:-1]]


def refusal(reader: Path, content: bytes) -> tuple[int, str]:
    """The code and the line with which a file is refused."""
    ((*_, last),) = run_all(reader, [content])
    code, line = last.split(" ", 1)
    return int(code), line


def field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Protobuf's form of an integer of 0 or more."""
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])
