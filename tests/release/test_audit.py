"""The audit of finished wheels."""

import sys
from pathlib import Path

import pytest

from release import audit
from tests.helpers.commands import Captured


def test_a_failed_command_shows_its_output_and_its_errors() -> None:
    program = "import sys; print('text', flush=True); sys.exit('reason')"
    with pytest.raises(SystemExit, match=r"text\nreason\nfailed with exit code 1: .* -c "):
        audit.run(sys.executable, "-c", program)


def audited(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str, size: int = 1) -> list[str]:
    """Audit wheels of this size in a folder; return which tool saw which wheel."""
    tools = list[str]()

    def run(*command: str | Path) -> None:
        tools.append(f"{command[2]} {Path(command[-1]).name}")

    for name in names:
        (folder / name).write_bytes(bytes(size))
    monkeypatch.setattr(audit, "run", run)
    monkeypatch.setattr(sys, "argv", ["audit", str(folder)])
    audit.main()
    return tools


def test_each_wheel_of_a_folder_is_audited(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    limited, own = "a-1-cp312-abi3-win_amd64.whl", "b-1-cp311-cp311-win_amd64.whl"
    assert audited(monkeypatch, tmp_path, limited, own, size=3_000_000) == [
        *(f"{tool} {limited}" for tool in ("abi3audit", "check_wheel_contents", "twine")),
        *(f"{tool} {own}" for tool in ("check_wheel_contents", "twine")),
    ]
    assert capsys.readouterr().out == f"{limited} 3000000 bytes\n{own} 3000000 bytes\n"


def test_a_wheel_with_too_many_bytes_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = "a-1-cp311-cp311-win_amd64.whl"
    with pytest.raises(SystemExit, match=f"^{name} has 3000001 bytes, more than 3000000$"):
        audited(monkeypatch, tmp_path, name, size=3_000_001)
    with pytest.raises(SystemExit, match=f"^{name} has 3000001 bytes, more than 2500000$"):
        audit.audit(tmp_path / name)
