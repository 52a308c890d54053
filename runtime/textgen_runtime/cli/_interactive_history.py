"""The history of typed lines: a text file that only its owner can read, one line for each typed line.

The file is read and written here, and not by readline: libedit, which replaces readline on macOS, writes
another format. All failures are ignored, because a session must work without a history.
"""

import contextlib
import os
import stat
from pathlib import Path

from textgen_runtime.errors import OutputError
from textgen_runtime.system.files import replace_file

MAX_LINES = 1000


class History:
    """The typed lines of this session and earlier ones.

    Args:
        path: The file, or None for a history that is not kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def load(self) -> list[str]:
        """Return the lines of earlier sessions, oldest first. Only ``MAX_LINES`` are kept."""
        if self._path is None or not self._path.is_file():
            return []
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
            if len(lines) > MAX_LINES:
                lines = lines[-MAX_LINES:]
                replace_file(self._path, "".join([f"{line}\n" for line in lines]).encode())
        except (OSError, OutputError):
            return []
        return lines

    def append(self, line: str) -> None:
        """Add a line to the file. Nothing that ends the session later can lose it."""
        if self._path is None or not line or "\n" in line:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # O_NONBLOCK: a named pipe without a reader would block.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
            descriptor = os.open(self._path, flags, 0o600)
            try:
                # A device, such as /dev/null, keeps its mode.
                if stat.S_ISREG(os.fstat(descriptor).st_mode) and hasattr(os, "fchmod"):
                    os.fchmod(descriptor, 0o600)
                os.write(descriptor, f"{line}\n".encode(errors="replace"))
            finally:
                os.close(descriptor)
