"""Paths in an interactive session: typed ones, their completion, and the place of the history."""

import os
import sys
from pathlib import Path

FOLDER, HISTORY = "textgen-onnx", "interactive-history"


def expand_home(path: str) -> Path:
    """Return a typed path, with the home folder in place of ``~``."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        # There is no such user.
        return Path(path)


def matching_paths(beginning: str) -> list[str]:
    """Return the paths of files and folders that begin so. Folders end in a slash."""
    folder, slash, name = beginning.rpartition("/")
    try:
        with os.scandir(expand_home(folder + slash)) as entries:
            found = [entry.name + "/" * entry.is_dir() for entry in entries if entry.name.startswith(name)]
    except OSError:
        return []
    return sorted([f"{folder}{slash}{entry}" for entry in found])


def history_path() -> Path | None:
    """Return the path of the history, or None if the platform has no place for it.

    The place is the state folder of the XDG Base Directory Specification: ``$XDG_STATE_HOME``, by default
    ``~/.local/state``. macOS and Windows have no such default.
    """
    folder = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The specification says to ignore relative paths.
    if not folder.is_absolute():
        folder = expand_home("~/.local/state")
        if sys.platform in ("darwin", "win32") or not folder.is_absolute():
            return None
    return folder / FOLDER / HISTORY
