"""Exchange saved texts with JavaScript, for ``tests/web/golden.test.mjs``.

``python -m tests.golden.exchange FOLDER`` writes for each case, by its number, the first part of its text as
Python (``3.python``) and C (``3.c``) save it, and the table of its constraint (``3.table``). With ``finish``
after it, it continues what JavaScript saved (``3.js``), and prints the texts of Python and C as JSON.
"""

import json
import sys
from pathlib import Path

import textgen_runtime as textgen

from tests.golden.cases import CASES, EVERYWHERE, FOLDER, IN_PARTS, TEXTS, in_c, in_two_parts, write_table
from tests.helpers.c_programs import PLAIN, compile_core, link


def main(folder: Path, *, is_finish: bool) -> None:
    """Write the files, or finish those of JavaScript."""
    program = link(PLAIN[0], compile_core(PLAIN[0]), FOLDER / "golden.c")
    finished = {}
    for case in EVERYWHERE:
        number, left = CASES.index(case), case.length - case.split
        saved = folder / f"{number}.js"
        if not is_finish:
            if case.constraint:
                write_table(case, folder)
            if case in IN_PARTS:
                textgen.save(in_two_parts(case)[1], folder / f"{number}.python")
            if case in IN_PARTS and TEXTS.isdisjoint(case.sampling):
                in_c(program, case, folder, length=case.split, save=folder / f"{number}.c")
        elif saved.exists():
            generation = textgen.resume(case.load(), saved)
            text = generation.take(left, finish=True)
            finished[number] = [
                [text, generation.ending],
                [*in_c(program, case, folder, length=left, resume=saved)],
            ]
    json.dump(finished, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), is_finish="finish" in sys.argv[2:])
