"""The lines of the C core that its tests run. ``make coverage`` runs the tests before.

    python -m tests.helpers.core_coverage

A line of a header counts as run if it runs in any file that includes it.
"""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from tests.helpers.c_programs import BUILDS, CORE, compile_core

# In percent of the lines of each file.
LEAST = 90


def counts(objects: Path) -> dict[Path, dict[int, int]]:
    """Return how often each line of each file of the core ran, from what its programs left in a folder."""
    found: dict[Path, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for data in sorted(objects.glob("*.gcda")):
        done = subprocess.run(
            ["gcov", "--json-format", "--stdout", str(data)], capture_output=True, check=True, cwd=objects
        )
        for report in map(json.loads, done.stdout.splitlines()):
            for file in report["files"]:
                path = Path(report["current_working_directory"], file["file"]).resolve()
                for line in file["lines"]:
                    found[path][line["line_number"]] += line["count"]
    return {path: dict(lines) for path, lines in sorted(found.items()) if CORE in path.parents}


def ranges(numbers: list[int]) -> str:
    """Return line numbers as text, such as "3-5, 9"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def main() -> None:
    """Print a line for each file: the percentage, and the lines that no test runs."""
    low, measured = [], counts(compile_core(BUILDS[0]))
    if not measured:
        sys.exit("no test has counted lines: use make coverage, which runs the tests with their flags before")
    for path, lines in measured.items():
        missed = sorted(number for number, count in lines.items() if not count)
        percent = 100 * (len(lines) - len(missed)) / len(lines)
        name = str(path.relative_to(CORE))
        print(f"{name:30} {percent:5.1f}%  {ranges(missed)}")
        if percent < LEAST:
            low.append(name)
    if low:
        sys.exit(f"less than {LEAST}% of the lines of {', '.join(low)} run in tests: add tests in tests/core")


if __name__ == "__main__":
    main()
