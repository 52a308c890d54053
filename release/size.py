"""``make size``: count the lines that hold code, by room, and compare them with the caps of ``size.toml``.

A line holds code unless it is blank, or only a comment or a part of a docstring. A room is a list of folders;
a file belongs to the room that names the longest beginning of its path. In documentation, each line that is
not blank counts. Files that a tool writes are left out: ``written`` in ``size.toml`` names them.

The exit status is 1 if a room is above its cap. A cap may only fall, except in a commit of its own, whose
message says what the new lines give a user.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent

LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def count_python(text: str) -> int:
    """Count the lines with tokens that are no docstring."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            value = first.value if isinstance(first, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                documented.update(range(value.lineno, (value.end_lineno or value.lineno) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - documented)


def count_hashed(text: str) -> int:
    """Count lines where ``#`` begins a comment; docstrings stand alone on their lines."""
    text = re.sub(r'^[ \t]*r?"""(?:.|\n)*?"""[ \t]*$', "", text, flags=re.MULTILINE)
    return sum(not line.lstrip().startswith("#") for line in text.splitlines() if line.strip())


def count_slashed(text: str) -> int:
    """Count lines where ``//`` begins a comment, and ``/*`` one that ``*/`` ends."""
    text = re.sub(r"/\*(?:.|\n)*?\*/", "", text)
    return sum(not line.lstrip().startswith("//") for line in text.splitlines() if line.strip())


def count_text(text: str) -> int:
    """Count lines that are not blank."""
    return sum(bool(line.strip()) for line in text.splitlines())


COUNTS = {
    "python": (count_python, {".py", ".pyi"}),
    "hashed": (count_hashed, {".pyx", ".pxd", ".toml", "Makefile"}),
    "slashed": (count_slashed, {".c", ".h", ".def", ".js", ".mjs", ".ts", ".cpp", ".css", ".html"}),
    "text": (count_text, {".md"}),
}
COUNT_OF = {ending: count for count, endings in COUNTS.values() for ending in endings}


def main() -> int:
    """Print a line for each room. Return the exit status."""
    limits = tomllib.loads((ROOT / "size.toml").read_text(encoding="utf-8"))
    rooms = {start: room["name"] for room in limits["room"] for start in room["paths"]}
    lines: Counter[str] = Counter()
    files: Counter[str] = Counter()
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split(
        "\0"
    ):
        path = ROOT / name
        count = COUNT_OF.get(path.suffix or path.name)
        if count and path.is_file() and name not in limits["written"]:
            room = rooms[max((start for start in rooms if name.startswith(start)), key=len)]
            lines[room] += count(path.read_text(encoding="utf-8"))
            files[room] += 1
    print(f"{'room':46} {'files':>6} {'lines':>7} {'cap':>7}")
    above = False
    for room in limits["room"]:
        name = room["name"]
        mark = "  above its cap" if lines[name] > room["cap"] else ""
        above = above or bool(mark)
        print(f"{name:46} {files[name]:6} {lines[name]:7,} {room['cap']:7,}{mark}")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
