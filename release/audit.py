"""Check finished wheels, whoever built them, with the tools of the community.

    python -m release.audit FOLDER

The workflow of a release checks in this way what cibuildwheel built.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# Bytes of a wheel of `make wheels`, and of one of cibuildwheel. Nobody has measured the latter.
LARGEST, LARGEST_RELEASED = 2_500_000, 3_000_000


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command, and return its standard output. If it fails, exit with its output and its errors."""
    done = subprocess.run(command, env=environment, capture_output=True, check=False, encoding="utf-8")
    if done.returncode != 0:
        failure = f"failed with exit code {done.returncode}: {' '.join(map(str, command))}"
        sys.exit(f"{done.stdout}{done.stderr}{failure}")
    return done.stdout


def audit(wheel: Path, largest: int = LARGEST) -> None:
    """Exit if a wheel uses what its tags do not promise, lacks metadata or files, or is too large."""
    tool = (sys.executable, "-m")
    if "abi3" in wheel.name:
        run(*tool, "abi3audit", "--strict", wheel)
    run(*tool, "check_wheel_contents", wheel)
    run(*tool, "twine", "check", "--strict", wheel)
    size = wheel.stat().st_size
    if size > largest:
        sys.exit(f"{wheel.name} has {size} bytes, more than {largest}")


def main() -> None:
    """Audit each wheel of a folder."""
    parser = argparse.ArgumentParser(description="Audit finished wheels.")
    parser.add_argument("folder", type=Path, help="folder of the wheels")
    folder = parser.parse_args().folder
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        sys.exit(f"{folder} has no wheels")
    for wheel in wheels:
        audit(wheel, LARGEST_RELEASED)
        print(wheel.name, f"{wheel.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
