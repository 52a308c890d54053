"""The interpreters that build the wheels and try them, and the sizes that a wheel may have."""

from pathlib import Path

import pytest

from release.wheels import Interpreter, find_interpreters


def write_interpreter(path: Path, *facts: str) -> Path:
    """Write a program that prints these facts about itself, or fails if there are none."""
    path.parent.mkdir(exist_ok=True)
    answer = f"printf '%s\\n' {' '.join(facts)}" if facts else "exit 1"
    path.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_each_cpython_is_found_once_and_the_oldest_first(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    new = write_interpreter(first / "python3.14", "cpython", "3", "14", "False", str(first / "python3.14"))
    # Another installation of the same version.
    other = write_interpreter(
        second / "python3.14", "cpython", "3", "14", "False", str(second / "python3.14")
    )
    free = write_interpreter(
        second / "python3.14t", "cpython", "3", "14", "True", str(second / "python3.14t")
    )
    old = write_interpreter(second / "python3.11", "cpython", "3", "11", "False", str(second / "python3.11"))
    # A script that runs an interpreter that is found, too; one that finds none; and those of no use.
    write_interpreter(first / "python3.11", "cpython", "3", "11", "False", str(old))
    write_interpreter(first / "python3.12")
    write_interpreter(first / "python3.10", "cpython", "3", "10", "False", str(first / "python3.10"))
    write_interpreter(first / "python3.13", "pypy", "3", "13", "False", str(first / "python3.13"))
    write_interpreter(first / "python3.11-config", "cpython", "3", "11", "False", "config")
    assert find_interpreters([first, second, tmp_path / "none"]) == [
        Interpreter(str(old), (3, 11)),
        Interpreter(str(new), (3, 14)),
        Interpreter(str(other), (3, 14)),
        Interpreter(str(free), (3, 14), free_threaded=True),
    ]


@pytest.mark.parametrize(
    ("interpreter", "tag"),
    [
        (Interpreter("", (3, 11)), "cp311-cp311"),
        (Interpreter("", (3, 12)), "cp312-abi3"),
        (Interpreter("", (3, 14)), "cp312-abi3"),
        (Interpreter("", (3, 14), free_threaded=True), "cp314-cp314t"),
    ],
)
def test_an_interpreter_builds_wheels_with_its_tag(interpreter: Interpreter, tag: str) -> None:
    assert interpreter.tag == tag
