"""The native engine of this project, through its public API."""

import textgen_runtime as textgen
from common import TEMPERATURE, arguments, report

generation = textgen.load(arguments().model).start(temperature=TEMPERATURE, seed=0)
report(generation.take, 100_000, textgen.__version__)
