"""The number of processors that this process may use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUP_ROOT = Path("/sys/fs/cgroup")
CGROUP_MEMBERSHIP = Path("/proc/self/cgroup")


def available_processors() -> int:
    """Return the number of processors that this process may use, at least 1.

    The number respects the processor affinity of the process. On Linux it also respects the CPU quotas of the
    control group of the process and of its parents, which limit containers. A fractional quota is rounded up:
    with a quota of 1.5, two threads do more work than one.
    """
    return max(1, min([_processors_in_affinity(), *(math.ceil(quota) for quota in _quotas())]))


def _processors_in_affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas() -> Iterator[float]:
    """Yield the CPU quotas that apply to this process, in processors."""
    for line in _read(CGROUP_MEMBERSHIP).splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 2 has one hierarchy for all controllers, in `unified` if version 1 is also mounted. Inside a
        # container, the path may be the path on the host. The root is then the group of the container.
        path = PurePosixPath(group)
        for place in (path, *path.parents):
            for root in ("", "unified", "cpu", controllers):
                folder = CGROUP_ROOT / root / str(place).lstrip("/")
                quota, period = (_read(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
                for words in (_read(folder / "cpu.max").split(), [*quota.split(), *period.split()]):
                    # Both are in microseconds. Without a quota, it is "max" or -1.
                    if len(words) == 2 and all(map(str.isdecimal, words)) and int(words[1]):  # noqa: PLR2004
                        yield int(words[0]) / int(words[1])


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, ValueError):
        return ""
