"""The experiments of ``docs/experiments.md``: all configurations, and what follows from their results."""

from . import sections_corpora, sections_networks, sections_small

INTRODUCTION = """\
# Experiments

This page compares values of the presets with others, and shows which ideas of other authors help. Failures
are included. `benchmarks/quality/sections_*.py` have all configurations. To train the configurations of a
section, use `python -m benchmarks.quality.experiments run SECTION --corpora FOLDER`. This command appends its
results to `benchmarks/quality/experiments.jsonl`, from which this page is written. [Earlier
experiments](experiments-archive.md) were made up to 29 November 2026, with a script that is not part of the
project. [Results](results.md) has the losses of the presets.

- The losses are those of the last model of a run, in nats per character. No evaluation is chosen.
- "loss" is measured on the validation part, which is the last tenth of the first 90% of a text. The models
  were trained on the text before it. The held-out tenth at the end was not used. For records, a hash selects
  these parts.
- "training loss" is measured in the same way on the end of the training text, without dropout.
- "difference" compares a row with the first one. If a change lowers the loss, this page says that it gains.
  The number after ± is half of the difference between the highest and the lowest loss of the seeds.
- "seconds" is the time of the training with one thread, in bfloat16 on an AMD EPYC. Other programs used
  this machine, too, so the times show only the order of magnitude.
- A row states what differs from the first one. "recurrent weights", "outputs" and "inputs" with a share
  state what is dropped. "rate" and "decay" are the values of Muon, unless AdamW is named.
"""

PARTS = (sections_small.SECTIONS, sections_corpora.SECTIONS, sections_networks.SECTIONS)
SECTIONS = {name: section for part in PARTS for name, section in part.items()}
