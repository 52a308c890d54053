"""The program that prints what the C core reads from model files."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

DAMAGED_MODEL, UNKNOWN_GRAPH = -4, -5
TOO_LARGE, NEWER_FORMAT = -12, -13


def run_all(reader: Path, contents: Iterable[bytes]) -> list[list[str]]:
    """Return the lines that the program prints for each file."""
    stdin = b"".join(len(content).to_bytes(4, "little") + content for content in contents)
    done = subprocess.run([str(reader)], input=stdin, capture_output=True, check=True)
    return [part.splitlines() for part in done.stdout.decode().split("\n\n")[:-1]]


def refusal(reader: Path, content: bytes) -> tuple[int, str]:
    """Return the error code and the message for a file that the core rejects."""
    ((*_, last),) = run_all(reader, [content])
    code, line = last.split(" ", 1)
    return int(code), line


def field(number: int, content: bytes) -> bytes:
    """Return a protobuf field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Return the protobuf encoding of an integer, 0 or more."""
    low, high = value & 127, value >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])
