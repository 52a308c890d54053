"""Draw the distribution of the next character at several temperatures, one panel for each.

python examples/temperatures.py nietzsche "the will to " temperature.svg
"""

import sys

import textgen_runtime as textgen
from matplotlib.figure import Figure

TEMPERATURES, BARS = (0.01, 0.2, 0.5, 1.0, 1.2, 2.0), 16

if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python examples/temperatures.py MODEL PROMPT PATH")
    name, prompt, path = sys.argv[1:]
    try:
        found = textgen.compare_temperatures(textgen.load(name), prompt, TEMPERATURES)
        figure = Figure(figsize=(10, 5), layout="constrained")
        figure.suptitle(f"Next {found.unit} after {found.prompt!r}", parse_math=False)
        names = [repr(symbol) for symbol in found.symbols[:BARS]]
        for panel, temperature, row in zip(
            figure.subplots(2, 3, sharey=True).flat, TEMPERATURES, found.probabilities, strict=True
        ):
            panel.bar(range(len(names)), row[:BARS], label="draw")
            panel.plot(range(len(names)), found.original[:BARS], ".", color="black", label="model")
            panel.set_xticks(range(len(names)), names, fontsize=7, rotation=90, parse_math=False)
            panel.set_title(f"temperature {temperature}")
        figure.savefig(path)
    except (textgen.TextgenError, OSError) as error:
        sys.exit(f"temperatures.py: {error}")
