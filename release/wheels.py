"""Build the wheels of this interpreter for Linux in build/wheels, audit them, and try that of this machine.

ziglang compiles for each kind of Linux on any of them. Its linker uses no function that is newer than the C
library of the target, so that glibc 2.17 of 2012 is enough.
"""

import os
import platform
import sys
import sysconfig
from pathlib import Path

from release.audit import ROOT, audit, empty_folder, generated_text, run

# The tag of a wheel -> the processor and the C library of its extensions.
TARGETS = {
    f"{policy}_{machine}": (machine, library)
    for machine in ("x86_64", "aarch64")
    for library, policy in (("gnu", "manylinux_2_17"), ("musl", "musllinux_1_2"))
}
# The programs of this environment.
TOOLS = Path(sys.executable).parent


def build(machine: str, library: str, sdist: Path, folder: Path) -> Path:
    """Compile a wheel for a target, with the tag of the machine alone."""
    triple = f"{machine}-linux-{library}" + ".2.17" * (library == "gnu")
    compiler = f"{sys.executable} -m ziglang cc -target {triple}"
    environment = os.environ | {
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
        "LDFLAGS": "-s",
        "AR": f"{sys.executable} -m ziglang ar",
        "_PYTHON_HOST_PLATFORM": f"linux-{machine}",
    }
    if sys.version_info < (3, 12) or sysconfig.get_config_var("Py_GIL_DISABLED"):
        # Without the limited API: see setup.py.
        own = sysconfig.get_config_var("SOABI").split("-")[1]
        environment["SETUPTOOLS_EXT_SUFFIX"] = f".cpython-{own}-{machine}-linux-{library}.so"
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", *options, sdist, environment=environment)
    (wheel,) = folder.glob("*.whl")
    if library == "musl":
        name_musl(wheel, machine, folder / "unpacked")
    return wheel


def name_musl(wheel: Path, machine: str, folder: Path) -> None:
    """Let the extensions of a wheel need the C library by the name that it has in Alpine Linux.

    zig's linker writes libc.so. musl accepts both names, auditwheel only that of Alpine.
    """
    run(sys.executable, "-m", "wheel", "unpack", "--dest", folder, wheel)
    (top,) = folder.iterdir()
    names = ("libc.so", f"libc.musl-{machine}.so.1")
    run(TOOLS / "patchelf", "--replace-needed", *names, *sorted(top.rglob("*.so")))
    run(sys.executable, "-m", "wheel", "pack", "--dest-dir", wheel.parent, top)


def repair(wheel: Path, tag: str, folder: Path) -> Path:
    """Write a copy of a wheel with the tag of its target to a folder, and return its path.

    auditwheel finds out which systems a wheel can run on, and gives it their tags. With its option --plat, it
    would accept only tags of the machine that it runs on.
    """
    # auditwheel looks for the programs of its environment in PATH.
    paths = os.environ | {"PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    options = ("--plat", "auto", "--wheel-dir", folder)
    run(sys.executable, "-m", "auditwheel", "repair", *options, wheel, environment=paths)
    found = list(folder.glob(f"*{tag}*.whl"))
    if len(found) != 1:
        sys.exit(f"no wheel has the tag {tag}: auditwheel found that {wheel.name} needs another system")
    return found[0]


def main() -> None:
    """Build the sdist and the wheels, and print the size of each."""
    output, work = empty_folder("wheels"), empty_folder("wheels-work")
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", output, ROOT)
    (sdist,) = output.glob("*.tar.gz")
    for tag, (machine, library) in TARGETS.items():
        wheel = repair(build(machine, library, sdist, work / tag), tag, output)
        audit(wheel)
        if (machine, library) == (platform.machine(), "gnu"):
            # The native engine needs no dependency.
            print("it generates:", generated_text(wheel, work / "environment", "--no-deps", "--no-index"))


if __name__ == "__main__":
    main()
