"""The number of processors that this process may use."""

import os
from pathlib import Path

import pytest
from textgen_runtime import processors
from textgen_runtime.processors import available_processors


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with eight processors and no control groups; tests write cgroup files into the folder."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(processors, "CGROUP_ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(processors, "CGROUP_MEMBERSHIP", tmp_path / "self")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_affinity_limits_processors(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del machine
    assert available_processors() == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5}, raising=False)
    assert available_processors() == 2


def test_cpu_count_is_used_without_affinity(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del machine
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert available_processors() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_processors() == 1


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("x y", 8), ("", 8)],
)
def test_quota_in_control_groups_version_2(machine: Path, quota: str, expected: int) -> None:
    write(machine / "self", "0::/jobs/mine\n")
    write(machine / "cgroup/jobs/mine/cpu.max", f"{quota}\n")
    assert available_processors() == expected


def test_smallest_quota_of_the_group_and_its_parents_applies(machine: Path) -> None:
    write(machine / "self", "0::/jobs/mine\n")
    write(machine / "cgroup/jobs/mine/cpu.max", "max 100000\n")
    write(machine / "cgroup/jobs/cpu.max", "300000 100000\n")
    write(machine / "cgroup/cpu.max", "500000 100000\n")
    assert available_processors() == 3


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("250000", 3)])
def test_quota_in_control_groups_version_1(machine: Path, quota: str, expected: int) -> None:
    write(machine / "self", "3:cpuset:/\n2:cpu,cpuacct:/docker/some\n0::/\n")
    # In a container, the path is the path on the host, and the root is the group of the container.
    write(machine / "cgroup/cpu/cpu.cfs_quota_us", f"{quota}\n")
    write(machine / "cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert available_processors() == expected
