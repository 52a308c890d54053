"""How many processors this process may use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CONTROL_GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def available_processors() -> int:
    """How many processors this process may use, 1 or more.

    Respects the processor affinity of the process and, on Linux, the CPU quota of its control group and of
    the groups above it, which is how containers are limited. A quota of one and a half processors counts as
    two: two threads that sleep a quarter of the time do more than one.
    """
    return max(1, min([_allowed(), *(math.ceil(quota) for quota in _quotas())]))


def _allowed() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas() -> Iterator[float]:
    """The quotas in force, in processors."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            # Version 2 keeps all controllers in one hierarchy; beside version 1 it is at `unified`.
            for root in (CONTROL_GROUPS, CONTROL_GROUPS / "unified"):
                for folder in _with_parents(root, group):
                    yield from _quota(_words(folder / "cpu.max"))
        elif "cpu" in controllers.split(","):
            for root in (CONTROL_GROUPS / "cpu", CONTROL_GROUPS / controllers):
                for folder in _with_parents(root, group):
                    yield from _quota(
                        _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
                    )


def _with_parents(root: Path, group: str) -> Iterator[Path]:
    # Inside a container, the group's path may be the host's; the root is then the container's own group.
    path = PurePosixPath(group)
    for part in (path, *path.parents):
        yield root / str(part).lstrip("/")


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except (OSError, ValueError):
        return []


def _quota(words: list[str]) -> Iterator[float]:
    """A quota and its period, both in microseconds; ``max`` and -1 mean that there is none."""
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]) > 0:  # noqa: PLR2004
        yield int(words[0]) / int(words[1])
