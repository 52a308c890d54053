"""Build the wheels for Linux, audit them, and try each with the interpreters that can use it.

ziglang compiles for each kind of Linux on any of them. Its linker uses no function that is newer than the C
library of the target, so that glibc 2.17 of 2012 is enough.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from release.audit import audit, run

ROOT = Path(__file__).parents[1]
# The programs of this environment.
TOOLS = Path(sys.executable).parent
# Weights of 8 bits give the same text on every processor.
PROMPT, LENGTH, SEED = "the will to ", 100, 7
OPTIONS = ("--prompt", PROMPT, "--no-echo", "--length", str(LENGTH), "--seed", str(SEED))
TRIAL = ("textgen_runtime", "nietzsche", *OPTIONS)

PIP = (sys.executable, "-m", "pip")
# Install a file without its dependencies.
ALONE = ("--quiet", "--no-deps", "--no-index")


@dataclass(frozen=True)
class Target:
    """A processor and a C library.

    Attributes:
        machine: The processor, as in the name of a platform.
        library: The C library, as in the name of an extension module: gnu or musl.
        tag: The platform tag of the wheel.
    """

    machine: str
    library: str
    tag: str

    @property
    def triple(self) -> str:
        """The name of the target for zig."""
        return f"{self.machine}-linux-{self.library}" + ".2.17" * (self.library == "gnu")


TARGETS = [
    Target(machine, library, f"{policy}_{machine}")
    for machine in ("x86_64", "aarch64")
    for library, policy in (("gnu", "manylinux_2_17"), ("musl", "musllinux_1_2"))
]


@dataclass(frozen=True)
class Interpreter:
    """A CPython with the limited or the complete C API of its version."""

    path: str
    version: tuple[int, int]
    free_threaded: bool = False

    @property
    def name(self) -> str:
        """The version and the ABI, as in the name of an extension module."""
        return f"{self.version[0]}{self.version[1]}{'t' * self.free_threaded}"

    @property
    def tag(self) -> str:
        """The tags of the wheels that it builds and uses, see setup.py."""
        if self.version >= (3, 12) and not self.free_threaded:
            return "cp312-abi3"
        return f"cp{self.name.removesuffix('t')}-cp{self.name}"


def clean_environment() -> dict[str, str]:
    """Return the environment variables without those that change what Python imports."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def empty_folders(path: Path) -> tuple[Path, Path]:
    """Return the output folder and a folder beside it for all other files, and empty both.

    Exit if this project is in the output folder, or if a folder cannot be emptied.
    """
    output = path.resolve()
    if ROOT.is_relative_to(output):
        sys.exit(f"{output} has this project, and would be emptied: choose another folder")
    work = output.with_name(f"{output.name}-work")
    for folder in (output, work):
        try:
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
        except OSError as error:
            sys.exit(f"cannot empty the folder {folder}: {error.strerror}")
    return output, work


def find_interpreters(places: Iterable[Path]) -> list[Interpreter]:
    """Return the CPythons from 3.11 on in these folders, each once, oldest first.

    A virtual environment stands for the interpreter that it was made from.
    """
    found: dict[Path, Interpreter] = {}
    facts = "sys.implementation.name, *sys.version_info[:2], 't' in sys.abiflags, sys._base_executable"
    program = f"import sys; print({facts}, sep='\\n')"
    for path in [path for place in places for path in sorted(place.glob("python3.[0-9]*"))]:
        if not path.name.removeprefix("python3.").removesuffix("t").isdigit():
            continue
        # A file of pyenv may be a script that finds the interpreter, or finds none. Some files cannot be run.
        try:
            done = subprocess.run([path, "-c", program], capture_output=True, check=True, encoding="utf-8")
        except (OSError, subprocess.CalledProcessError):
            continue
        name, major, minor, free_threaded, executable = done.stdout.splitlines()
        version = (int(major), int(minor))
        if name == "cpython" and version >= (3, 11):
            interpreter = Interpreter(executable, version, free_threaded == "True")
            found.setdefault(Path(executable).resolve(), interpreter)
    return sorted(found.values(), key=lambda interpreter: (interpreter.version, interpreter.free_threaded))


def make_builder(interpreter: Interpreter, folder: Path) -> Path:
    """Create an environment with what pyproject.toml requires for a build, and return its interpreter."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    run(interpreter.path, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    run(*PIP, "--python", python, "install", "--quiet", *project["build-system"]["requires"])
    return python


def build(builder: Path, interpreter: Interpreter, target: Target, sdist: Path, folder: Path) -> Path:
    """Compile a wheel for a target, with the tag of the machine alone."""
    compiler = f"{sys.executable} -m ziglang cc -target {target.triple}"
    environment = os.environ | {
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
        "LDFLAGS": "-s",
        "AR": f"{sys.executable} -m ziglang ar",
        "_PYTHON_HOST_PLATFORM": f"linux-{target.machine}",
    }
    if not interpreter.tag.endswith("abi3"):
        system = f"{target.machine}-linux-{target.library}"
        environment["SETUPTOOLS_EXT_SUFFIX"] = f".cpython-{interpreter.name}-{system}.so"
    built = folder / f"{interpreter.tag}-{target.triple}"
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", built)
    run(*PIP, "--python", builder, "wheel", *options, sdist, environment=environment)
    (wheel,) = built.glob("*.whl")
    if target.library == "musl":
        name_musl(wheel, target, built / "unpacked")
    return wheel


def name_musl(wheel: Path, target: Target, folder: Path) -> None:
    """Let the extensions of a wheel need the C library by the name that it has in Alpine Linux.

    zig's linker writes libc.so. musl accepts both names, auditwheel only that of Alpine.
    """
    run(sys.executable, "-m", "wheel", "unpack", "--dest", folder, wheel)
    (top,) = folder.iterdir()
    names = ("libc.so", f"libc.musl-{target.machine}.so.1")
    run(TOOLS / "patchelf", "--replace-needed", *names, *sorted(top.rglob("*.so")))
    run(sys.executable, "-m", "wheel", "pack", "--dest-dir", wheel.parent, top)


def repair(wheel: Path, target: Target, folder: Path) -> Path:
    """Write a copy of a wheel with the tag of its target to a folder. Audit the copy, and return its path.

    auditwheel finds out which systems a wheel can run on, and gives it their tags. With its option --plat, it
    would accept only tags of the machine that it runs on.
    """
    before = set(folder.glob("*.whl"))
    # auditwheel looks for the programs of its environment in PATH.
    paths = os.environ | {"PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    options = ("--plat", "auto", "--wheel-dir", folder)
    run(sys.executable, "-m", "auditwheel", "repair", *options, wheel, environment=paths)
    (final,) = set(folder.glob("*.whl")) - before
    if target.tag not in final.stem.split("-")[-1].split("."):
        sys.exit(
            f"{final.name} should have the tag {target.tag}: auditwheel found that it needs another system"
        )
    audit(final)
    return final


def generated_text(wheel: Path, interpreter: Interpreter, folder: Path) -> str:
    """Install a wheel alone, and return what the command generates. The native engine needs no dependency."""
    run(interpreter.path, "-m", "venv", "--clear", "--without-pip", folder)
    run(*PIP, "--python", folder / "bin" / "python", "install", *ALONE, wheel)
    return run(folder / "bin" / "textgen-run", *TRIAL[1:], environment=clean_environment())


def emulated_text(wheel: Path, interpreter: str, folder: Path) -> str:
    """Do the same with a command that runs an interpreter of another processor.

    It has no pip, so the one of this process unpacks the wheel for it.
    """
    _, _, tag, abi, systems = wheel.stem.split("-")
    version = ("--python-version", f"3.{tag.removeprefix('cp3')}", "--abi", abi)
    platforms = [word for system in systems.split(".") for word in ("--platform", system)]
    target = ("--target", folder, "--only-binary", ":all:")
    run(*PIP, "install", *ALONE, *target, *version, *platforms, wheel)
    return run(
        *interpreter.split(), "-m", *TRIAL, environment=clean_environment() | {"PYTHONPATH": str(folder)}
    )


def plan(interpreters: Sequence[Interpreter], match: str) -> list[tuple[Target, list[Interpreter]]]:
    """Return the target of each wheel whose tags contain a text, and the interpreters that can use it.

    Exit if there is no interpreter, or no such wheel.
    """
    if not interpreters:
        sys.exit("found no CPython from 3.11 on in PATH and pyenv: install one")
    tags = sorted({interpreter.tag for interpreter in interpreters})
    wheels = {f"{tag}-{target.tag}": (tag, target) for tag in tags for target in TARGETS}
    planned = [
        (target, [interpreter for interpreter in interpreters if interpreter.tag == tag])
        for name, (tag, target) in wheels.items()
        if match in name
    ]
    if not planned:
        sys.exit(f"no wheel has {match!r} in its tags: match a part of {', '.join(wheels)}")
    return planned


def generated_texts(
    wheel: Path, target: Target, users: Sequence[Interpreter], work: Path, emulated: str | None
) -> dict[str, str]:
    """Return what each interpreter generates with a wheel, by its command. Some wheels have none here."""
    if (target.machine, target.library) == (platform.machine(), "gnu"):
        return {user.path: generated_text(wheel, user, work / "environment") for user in users}
    if emulated and (target.machine, target.library) == ("aarch64", "gnu") and "abi3" in users[0].tag:
        return {emulated: emulated_text(wheel, emulated, work / "emulated")}
    return {}


def conclude(wheels: Sequence[Path], texts: set[str]) -> str:
    """Return the text that all wheels generate, or which wheels were built if none was tried.

    Exit if the texts differ.
    """
    if len(texts) > 1:
        sys.exit(f"the wheels generate different texts: {texts}")
    if texts:
        return texts.pop()
    names = ", ".join(wheel.name for wheel in wheels)
    return f"built and audited, but not tried, because no interpreter here can use them: {names}"


def main() -> None:
    """Write the wheels to the output folder, and print their sizes and with what they were tried."""
    parser = argparse.ArgumentParser(description="Build, audit and try the wheels for Linux.")
    parser.add_argument("output", type=Path, help="folder of the wheels and the sdist, which is emptied")
    parser.add_argument("--match", default="", help="build only the wheels whose tags contain this text")
    parser.add_argument("--emulated", help="command that runs an interpreter of aarch64 with glibc")
    arguments = parser.parse_args()
    places = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    interpreters = find_interpreters([*places, *sorted(Path.home().glob(".pyenv/versions/*/bin"))])
    print("found:", ", ".join(interpreter.path for interpreter in interpreters), flush=True)
    planned = plan(interpreters, arguments.match)
    output, work = empty_folders(arguments.output)
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", output, ROOT)
    (sdist,) = output.glob("*.tar.gz")
    builders: dict[str, Path] = {}
    wheels: list[Path] = []
    texts: set[str] = set()
    for target, users in planned:
        tag = users[0].tag
        if tag not in builders:
            builders[tag] = make_builder(users[0], work / f"builder-{tag}")
        wheel = repair(build(builders[tag], users[0], target, sdist, work), target, output)
        print(wheel.name, f"{wheel.stat().st_size} bytes", flush=True)
        generated = generated_texts(wheel, target, users, work, arguments.emulated)
        print("  tried with:", ", ".join(generated) or "nothing here", flush=True)
        wheels.append(wheel)
        texts.update(generated.values())
    print(conclude(wheels, texts))


if __name__ == "__main__":
    main()
