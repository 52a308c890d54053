"""Write one text with all tunes of a folder of ABC files, for training with ``--records blank``.

python examples/clean_tunes.py oneills1850/ tunes.txt
textgen-train tunes.txt --records blank -o tunes-model

A tune keeps its title, meter, unit of length, key and notes. A small model has no use for the rest, such
as the names of transcribers, chord symbols, fingerings and comments. A field between the notes, such as a
change of the key, is left out, too.
"""

import argparse
import re
import sys
from pathlib import Path

# In the order in which a tune has them. K is the last, and the notes follow it.
FIELDS = "TMLK"
TUNE = re.compile(r"^X:.*\n((?:[^\n]+\n)+)", re.MULTILINE)
# A line such as "D:|" is a note before the end of a repeat.
FIELD = re.compile(r"^([A-Zh-y]):(?!:?\|)[ \t]*(.*?)[ \t]*$", re.MULTILINE)
# Comments, texts between quotes, and the sign for a line that goes on in the next one.
REMOVED = re.compile(r'%.*|"[^"\n]*"|\\$', re.MULTILINE)


def clean(tune: str) -> str | None:
    """Return the parts of a tune that are kept, or None if it has no title, meter, key or notes.

    Args:
        tune: The lines after the field X.
    """
    text = REMOVED.sub("", tune)
    # Of several fields with the same name, the first is kept.
    fields = dict(reversed(FIELD.findall(text)))
    notes = [" ".join(line.split()) for line in FIELD.sub("", text).splitlines()]
    notes = [line for line in notes if line]
    if not notes or not all(fields.get(name) for name in "TMK"):
        return None
    kept = [f"{name}:{fields[name]}" for name in FIELDS if fields.get(name)]
    return "\n".join(["X:1", *kept, *notes]) + "\n"


def read(path: Path) -> str:
    """Return the text of a file. Old files of ABC are in Latin 1."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return path.read_text(encoding="latin-1")


def clean_folder(folder: Path) -> list[str]:
    """Return the tunes of all ABC files in a folder, each one once."""
    texts = [read(path) for path in sorted(folder.glob("*.abc"))]
    tunes = [clean(tune) for text in texts for tune in TUNE.findall(f"{text}\n")]
    return list(dict.fromkeys(tune for tune in tunes if tune))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write one text with all tunes of a folder of ABC files.")
    parser.add_argument("folder", type=Path, help="a folder with .abc files")
    parser.add_argument("text", type=Path, help="the file to write")
    arguments = parser.parse_args()
    tunes = clean_folder(arguments.folder)
    if not tunes:
        sys.exit(f"clean_tunes.py: {arguments.folder} has no .abc file with a tune")
    arguments.text.write_text("\n".join(tunes), encoding="utf-8", newline="\n")
