"""Compose tunes in ABC notation, in a chosen key and meter. Programs such as abc2midi play the file.

textgen-train tunes.abc --records blank -o tunes-model
python examples/tunes.py tunes-model --key D --meter 6/8 --seed 11 > new.abc
"""

import argparse
import re
import sys

import textgen_runtime as textgen

# A tune begins with a header of fields, such as "T:title". The first field is X, and the last is K.
OTHER_FIELDS = r"(\n[A-JLN-WYZ%][^\n]*)*"
TUNE = r"X:[^\n]*{other}\nM: ?{meter}{other}\nK: ?{key}(\n[^\n]+)+"


def compose(model: textgen.Model, key: str, meter: str, seed: int | None = None) -> str:
    """Return a tune. The model draws only characters that fit the pattern, so it keeps key and meter."""
    pattern = TUNE.format(other=OTHER_FIELDS, key=re.escape(key), meter=re.escape(meter))
    return model.generate("", match=pattern, temperature=0.6, seed=seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compose tunes in ABC notation.")
    parser.add_argument("model", help="a model that was trained on tunes with --records blank")
    parser.add_argument("--key", default="D", help="such as G or Em")
    parser.add_argument("--meter", default="6/8")
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
