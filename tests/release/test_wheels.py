"""The interpreters that build the wheels and try them, and the choice of the wheels."""

import sys
from pathlib import Path

import pytest

from release import wheels
from release.wheels import Interpreter, Target, find_interpreters
from tests.helpers.programs import posix_only

pytestmark = posix_only


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
    (first / "python3.15").mkdir()
    (first / "python3.16").symlink_to("none")
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


def make_wheels(monkeypatch: pytest.MonkeyPatch, output: Path, match: str, texts: list[str]) -> None:
    """Run the command with tools that build nothing, and with wheels that generate these texts."""

    def write_sdist(*_: str | Path) -> str:
        (output / "sdist.tar.gz").touch()
        return ""

    def write_wheel(_: Path, target: Target, folder: Path) -> Path:
        wheel = folder / f"{target.tag}.whl"
        wheel.touch()
        return wheel

    interpreters = [Interpreter("first", (3, 12)), Interpreter("second", (3, 13))]
    monkeypatch.setattr(sys, "argv", ["wheels", str(output), "--match", match])
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(wheels, "find_interpreters", lambda _: interpreters)
    monkeypatch.setattr(wheels, "run", write_sdist)
    monkeypatch.setattr(wheels, "make_builder", lambda *_: output)
    monkeypatch.setattr(wheels, "build", lambda *_: output)
    monkeypatch.setattr(wheels, "repair", write_wheel)
    monkeypatch.setattr(wheels, "generated_text", lambda *_: texts.pop())
    wheels.main()


def test_different_texts_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="the wheels generate different texts: "):
        make_wheels(monkeypatch, tmp_path / "wheels", "", ["one", "other"])


def test_a_match_that_fits_no_wheel_is_refused_before_a_folder_is_emptied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kept.whl").touch()
    with pytest.raises(
        SystemExit, match="no wheel has 'mussl' in its tags: match a part of cp312-abi3-manylinux_2_17_x86_64"
    ):
        make_wheels(monkeypatch, tmp_path, "mussl", [])
    assert (tmp_path / "kept.whl").exists()


def repaired(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> str:
    """Repair a wheel that auditwheel gives this name; return the name of the wheel that is audited."""
    names = list[str]()

    def run(*_: str | Path, environment: object) -> None:  # noqa: ARG001 (as of the real function)
        (folder / name).touch()

    monkeypatch.setattr(wheels, "run", run)
    monkeypatch.setattr(wheels, "audit", lambda wheel: names.append(wheel.name))
    wheels.repair(folder / "built" / "a.whl", Target("x86_64", "gnu", "manylinux_2_17_x86_64"), folder)
    return names[0]


def test_a_wheel_for_a_newer_system_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = "a-1-cp312-abi3-manylinux_2_35_x86_64.whl"
    with pytest.raises(SystemExit, match=f"^{name} should have the tag manylinux_2_17_x86_64: auditwheel "):
        repaired(monkeypatch, tmp_path, name)


@pytest.mark.parametrize(
    ("machine", "library", "version", "emulated", "commands"),
    [
        ("x86_64", "gnu", (3, 11), None, ["one", "two"]),
        ("x86_64", "musl", (3, 12), "qemu python", []),
        ("aarch64", "gnu", (3, 12), "qemu python", ["qemu python"]),
        # The interpreter in the emulator has one version.
        ("aarch64", "gnu", (3, 11), "qemu python", []),
        ("aarch64", "gnu", (3, 12), None, []),
        ("aarch64", "musl", (3, 12), "qemu python", []),
    ],
)
def test_a_wheel_is_tried_here_or_in_an_emulator(  # noqa: PLR0913, PLR0917 (parameters)
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    library: str,
    version: tuple[int, int],
    emulated: str | None,
    commands: list[str],
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(wheels, "generated_text", lambda *_: "text")
    monkeypatch.setattr(wheels, "emulated_text", lambda *_: "text")
    users = [Interpreter(path, version) for path in ("one", "two")]
    target = Target(machine, library, "")
    texts = wheels.generated_texts(Path("wheel"), target, users, Path("work"), emulated)
    assert texts == dict.fromkeys(commands, "text")


def test_the_output_folder_and_the_one_beside_it_are_emptied(tmp_path: Path) -> None:
    folders = (tmp_path / "wheels", tmp_path / "wheels-work")
    for folder in folders:
        folder.mkdir()
        (folder / "old").touch()
    assert wheels.empty_folders(tmp_path / "wheels") == folders
    assert [list(folder.iterdir()) for folder in folders] == [[], []]


@pytest.mark.parametrize("name", ["wheels", "wheels-work"])
def test_a_file_in_place_of_a_folder_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("own", encoding="utf-8")
    with pytest.raises(SystemExit, match=f"^cannot empty the folder {tmp_path / name}: Not a directory$"):
        wheels.empty_folders(tmp_path / "wheels")
    assert (tmp_path / name).read_text(encoding="utf-8") == "own"


@pytest.mark.parametrize("folder", [wheels.ROOT, wheels.ROOT.parent])
def test_a_folder_with_this_project_is_not_emptied(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(wheels, "shutil", None)
    with pytest.raises(SystemExit, match=" has this project, and would be emptied: choose another folder"):
        wheels.empty_folders(folder)
