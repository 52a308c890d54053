"""Compose tunes in ABC notation, in a chosen key and meter. Programs such as EasyABC play the file.

python examples/tunes.py tunes --key D --meter 6/8 --seed 11 > new.abc
"""

import argparse
import re
import sys
from fractions import Fraction

import textgen_runtime as textgen

# A tune begins with a header of fields, such as "T:title". The first field is X, and the last is K.
OTHER_FIELDS = r"(\n[A-JLN-WYZ%][^\n]*)*"
TUNE = r"X:[^\n]*\nT:[^\n]+{other}\nM: ?{meter}{other}\nK: ?{key}(\n[^\n]+)+"
METER = re.compile(r"([1-9]\d?)/([1-9]\d?)")
# Of so many tunes, the best is taken: all bars have the length of the meter, and there are so many.
TRIES, BARS = 20, 12

# Fields, chord symbols, grace notes and comments have no length.
NO_LENGTH = re.compile(r'^[A-Za-z]:.*|"[^"\n]*"|\{[^}\n]*\}|%.*', re.MULTILINE)
# A section may begin and end with an incomplete bar.
SECTION = re.compile(r":?\|+:|:\|+|::|\|[|\]]|\[[1-9]")
# The number of a tuplet, or a note or rest with its length, such as 2, /2, 3/2 or //. That is a part of ABC:
# rests of a bar (Z), chords in brackets, decorations such as !fermata!, and tuplets of 5, 7 or 9 notes in
# compound meters such as 6/8 count wrong.
NOTE = re.compile(r"\(([2-9])|[A-Ga-gxz][,']*(\d*)(/*)(\d*)")
TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # 3 notes in the time of 2


def compose(model: textgen.Model, key: str, meter: str, seed: int | None = None) -> str:
    """Return a tune. The model draws only characters that fit the pattern, so it keeps key and meter."""
    pattern = TUNE.format(other=OTHER_FIELDS, key=re.escape(key), meter=re.escape(meter))
    tunes = model.generate([""] * TRIES, match=pattern, temperature=0.6, seed=seed)
    return min(tunes, key=lambda tune: faults(tune, Fraction(meter)))


def faults(tune: str, meter: Fraction) -> int:
    """Return the number of wrong bars, and of bars that are missing."""
    header, music = re.split("^K:.*$", tune, maxsplit=1, flags=re.MULTILINE)
    unit = re.search(r"^L: ?([1-9]\d*/[1-9]\d*)", header, re.MULTILINE)
    note = Fraction(unit[1]) if unit else Fraction(1, 8 if meter >= Fraction(3, 4) else 16)
    wrong = full = 0
    for section in SECTION.split(NO_LENGTH.sub("", music)):
        first, *others = [note * bar_length(bar) for bar in section.split("|")]
        full += [first, *others].count(meter)
        wrong += sum(bar != meter for bar in others[:-1]) + sum(bar > meter for bar in (first, *others[-1:]))
    return wrong + max(0, BARS - full)


def bar_length(bar: str) -> Fraction:
    """Return the sum of the lengths of the notes, relative to the unit."""
    total, left, factor = Fraction(0), 0, Fraction(1)
    for tuplet, number, slashes, divisor in NOTE.findall(bar):
        if tuplet:
            left = int(tuplet)
            factor = Fraction(TUPLETS.get(left, 2), left)
        else:
            length = Fraction(int(number or 1), int(divisor or 0) or 2 ** len(slashes))
            total += length * factor if left > 0 else length
            left -= 1
    return total


def checked_meter(text: str) -> str:
    """Return a meter such as 6/8, or raise ArgumentTypeError."""
    if not METER.fullmatch(text):
        raise argparse.ArgumentTypeError("must be a fraction such as 6/8")
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compose tunes in ABC notation.")
    parser.add_argument("model", help="tunes, or a model of your own that was trained with --records blank")
    parser.add_argument("--key", default="D", help="such as G or Em")
    parser.add_argument("--meter", type=checked_meter, default="6/8", help="such as 4/4")
    parser.add_argument("--count", type=int, default=3, help="number of tunes")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first tune")
    options = parser.parse_args()
    try:
        model = textgen.load(options.model)
        for i in range(options.count):
            tune = compose(model, options.key, options.meter, options.seed + i)
            print(re.sub("^X:.*", f"X:{i + 1}", tune), end="\n\n")  # an empty line ends a tune
    except textgen.TextgenError as error:
        sys.exit(f"tunes.py: {error}")
