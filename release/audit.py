"""Check finished wheels, whoever built them, with the tools of the community.

    python -m release.audit FOLDER

The workflow of a release checks in this way what cibuildwheel built.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Weights of 8 bits give the same text on every processor.
PROMPT, LENGTH, SEED = "the will to ", 100, 7
TRIAL = ("nietzsche", "--prompt", PROMPT, "--no-echo", "--length", str(LENGTH), "--seed", str(SEED))
# Bytes of a wheel of cibuildwheel. One of `make wheels` is smaller.
LARGEST = 3_000_000


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command, and return its standard output. If it fails, exit with its output and its errors."""
    done = subprocess.run(command, env=environment, capture_output=True, check=False, encoding="utf-8")
    if done.returncode != 0:
        failure = f"failed with exit code {done.returncode}: {' '.join(map(str, command))}"
        sys.exit(f"{done.stdout}{done.stderr}{failure}")
    return done.stdout


def empty_folder(name: str) -> Path:
    """Return the folder of this name in ``build``, which is emptied."""
    folder = ROOT / "build" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def generated_text(wheel: Path, folder: Path, *options: str) -> str:
    """Install a wheel in a new environment, with these options of pip, and return what it generates."""
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *options, wheel)
    return run(python, "-I", "-m", "textgen_runtime", *TRIAL)


def audit(wheel: Path) -> None:
    """Exit if a wheel uses what its tags do not promise, lacks metadata or files, or is too large."""
    tool = (sys.executable, "-m")
    if "abi3" in wheel.name:
        run(*tool, "abi3audit", "--strict", wheel)
    run(*tool, "check_wheel_contents", wheel)
    run(*tool, "twine", "check", "--strict", wheel)
    size = wheel.stat().st_size
    if size > LARGEST:
        sys.exit(f"{wheel.name} has {size} bytes, more than {LARGEST}")
    print(wheel.name, f"{size} bytes", flush=True)


def main(folder: str) -> None:
    """Audit each wheel of a folder."""
    wheels = sorted(Path(folder).glob("*.whl"))
    if not wheels:
        sys.exit(f"{folder} has no wheels")
    for wheel in wheels:
        audit(wheel)


if __name__ == "__main__":
    main(*sys.argv[1:])
