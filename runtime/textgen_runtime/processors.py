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
    try:
        lines = CGROUP_MEMBERSHIP.read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            # Version 2 has one hierarchy for all controllers, in `unified` if version 1 is also mounted.
            for root in (CGROUP_ROOT, CGROUP_ROOT / "unified"):
                for folder in _with_parents(root, group):
                    yield from _quota(_words(folder / "cpu.max"))
        elif "cpu" in controllers.split(","):
            for root in (CGROUP_ROOT / "cpu", CGROUP_ROOT / controllers):
                for folder in _with_parents(root, group):
                    yield from _quota(
                        _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
                    )


def _with_parents(root: Path, group: str) -> Iterator[Path]:
    # Inside a container, the path may be the path on the host. The root is then the group of the container.
    path = PurePosixPath(group)
    for ancestor in (path, *path.parents):
        yield root / str(ancestor).lstrip("/")


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except (OSError, ValueError):
        return []


def _quota(words: list[str]) -> Iterator[float]:
    """Yield quota / period, both in microseconds; nothing for ``max`` or -1, which mean no quota."""
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]) > 0:  # noqa: PLR2004
        yield int(words[0]) / int(words[1])
