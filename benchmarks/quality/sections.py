"""The experiments of ``docs/experiments.md``: all configurations, and what follows from their results."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from textgen_train.recipe import CONV, GRU

from . import ideas
from .trial import Experiment, Idea

INTRODUCTION = """\
# Experiments

This page compares values of the presets with others, and shows which ideas of other authors help. Failures
are included. `benchmarks/quality/sections.py` has all configurations. To train those of a section, use
`python -m benchmarks.quality.experiments run SECTION --corpora FOLDER`. It appends its results to
`benchmarks/quality/experiments.jsonl`, from which this page is written. [Earlier
experiments](experiments-archive.md) were made up to 29 November 2026, with a script that is not part of the
project. [Results](results.md) has the losses of the presets.

- The losses are those of the last model of a run, in nats per character. No evaluation is chosen.
- "loss" is measured on the validation part, which is the last tenth of the first 90% of a text. The models
  were trained on the text before it. The held-out tenth at the end was not used. Of records, a hash selects
  these parts.
- "training loss" is measured in the same way on the end of the training text, without dropout.
- "difference" compares a row with the first one. After ±, there is half of the difference between the
  highest and the lowest loss of the seeds.
- "seconds" is the time of the training with one thread, in bfloat16 on an AMD EPYC. Other programs used
  this machine, too, so the times show only the order of magnitude.
- A row states what differs from the first one. "recurrent weights", "outputs" and "inputs" with a share
  state what is dropped. "rate" and "decay" are those of Muon, unless AdamW is named.
"""


class Section(NamedTuple):
    """A section of the page.

    Attributes:
        title: Its heading.
        about: What all rows share, in Markdown.
        experiments: The rows. The first one is what the others are compared with.
        findings: What follows from the rows, a sentence or more each, in Markdown.
    """

    title: str
    about: str
    experiments: tuple[Experiment, ...]
    findings: tuple[str, ...]


SMALL_22 = "the preset: rate 0.02, decay 0.05, recurrent weights 5%"
PENALTIES = {"activation_penalty": 4.0, "confidence_penalty": 0.1}
CONFIDENCE = {"confidence_penalty": 0.1}
ACTIVATION = {"activation_penalty": 4.0}
MORE_DROPOUT = {"dropout": 0.1, "weight_dropout": 0.2}
LESS_DROPOUT = {"dropout": 0.0, "weight_dropout": 0.1}
ADAMW = {
    "muon_lr": 0.0,
    "learning_rate": 0.012,
    "weight_decay": 0.05,
    "activation_penalty": 0.0,
    "confidence_penalty": 0.0,
}
FOR_LARGE_VOCABULARY = {
    "units": 144,
    "layers": 1,
    "embedding": 64,
    "dropout": 0.1,
    "weight_dropout": 0.1,
    "batch": 16,
    "sequence_length": 32,
}


def rows(
    epochs: int,
    changes: Mapping[str, Mapping[str, Any]],
    common: Mapping[str, Any] = MappingProxyType({}),
    **shared: Any,
) -> tuple[Experiment, ...]:
    """Return an experiment for each label, with its changes of the hyperparameters after the common ones."""
    return tuple(
        Experiment(label, epochs, changes={**common, **own}, **shared) for label, own in changes.items()
    )


def idea_rows(epochs: int, ideas_by_label: Mapping[str, Idea], **shared: Any) -> tuple[Experiment, ...]:
    """Return an experiment for each label, with an idea that it follows."""
    return tuple(Experiment(label, epochs, idea=idea, **shared) for label, idea in ideas_by_label.items())


SECTIONS = {
    "small-22": Section(
        "Small: 22 epochs",
        "Nietzsche in lower case, the preset `small`, 22 epochs.",
        (
            *rows(
                22,
                {
                    SMALL_22: {},
                    "rate 0.03": {"muon_lr": 0.03},
                    "rate 0.03, decay 0.1": {"muon_lr": 0.03, "muon_weight_decay": 0.1},
                    "decay 0.1": {"muon_weight_decay": 0.1},
                    "decay 0.1, nothing dropped": {"muon_weight_decay": 0.1, "weight_dropout": 0.0},
                    "decay 0.2, nothing dropped": {"muon_weight_decay": 0.2, "weight_dropout": 0.0},
                    "rate 0.024 of AdamW": {"learning_rate": 0.024},
                    "batch 16": {"batch": 16},
                    "embedding 32": {"embedding": 32},
                    "three layers of 68": {"units": 68, "layers": 3},
                    "confidence penalty 0.05": {"confidence_penalty": 0.05},
                    "activation penalty 1": {"activation_penalty": 1.0},
                },
            ),
            *idea_rows(
                22,
                {
                    "all decays fall from twice their values to 0": ideas.decay_over_time(2.0, 0.0),
                    "all decays fall from four times their values to 0": ideas.decay_over_time(4.0, 0.0),
                    "outputs of the first layer 5%": ideas.dropout_by_layer(0.05, 0.0),
                    "outputs of the second layer 5%": ideas.dropout_by_layer(0.0, 0.05),
                    "second target, its share falls from 10% to 0": ideas.second_target(0.1, 2 / 3),
                    "past decoding 0.01": ideas.past_decoding(0.01),
                    "mean of the ends of four cycles": ideas.averaged_cycles(0.6, 4, 0.05),
                    "sharpness-aware, radius 0.05": ideas.sharpness(0.05),
                },
            ),
            Experiment(
                "confidence penalty falls from 0.1 to 0",
                22,
                changes=CONFIDENCE,
                idea=ideas.confidence_over_time(0.1, 0.0),
            ),
            Experiment("its own teacher", 22, teachers=(SMALL_22,)),
            Experiment("a student of this student", 22, teachers=("its own teacher",)),
        ),
        (
            "Without a teacher, no row is better by more than its seeds differ. The preset stays as it is.",
            (
                "Weight decay that falls to zero was tried with three seeds. It is better by 0.0013 nats on "
                "average, and worse with one of them."
            ),
            (
                "More weight decay, the penalties, a second target, past decoding, dropout on the outputs of "
                "one layer, and averaged weights raise the loss."
            ),
            (
                "Each generation of a chain of teachers gains about 0.002 nats. In as many epochs "
                "altogether, "
                "a single run would gain more: see the next section. [Earlier "
                "experiments](experiments-archive.md#learning-from-a-teacher) have better teachers."
            ),
            (
                "The second target is the character after next, through the same output layer. Past decoding "
                "is that of S. Brahma (arXiv:1808.05908), the mean of the ends of cycles that of P. Izmailov "
                "and others (arXiv:1803.05407), and sharpness-aware minimization that of P. Foret and others "
                "(arXiv:2010.01412). With the last one, an update computes two gradients."
            ),
            (
                "Mogrifier gates (G. Melis and others, arXiv:1909.01792) were not tried. They multiply the "
                "input of each step by a function of the state before, which an LSTM layer cannot do."
            ),
        ),
    ),
    "small-100": Section(
        "Small: 100 epochs",
        "Nietzsche in lower case, the preset `small`, 100 epochs.",
        (
            *rows(
                100,
                {
                    "the preset: recurrent weights 10%": {},
                    "recurrent weights 15%": {"weight_dropout": 0.15},
                },
            ),
        ),
        ("More DropConnect than 10% raises both losses.",),
    ),
    **{
        f"short-{size // 1000}": Section(
            f"Short texts: {size:,} characters",
            f"The last {size:,} characters of the training text of nietzsche, `small`, 100 epochs.",
            rows(
                100,
                {
                    "no penalty": {},
                    "confidence penalty 0.1": CONFIDENCE,
                    "activation penalty 4": ACTIVATION,
                    "both penalties": PENALTIES,
                },
                common={"confidence_penalty": 0.0, "activation_penalty": 0.0},
                characters=size,
            ),
            findings,
        )
        for size, findings in (
            (
                48_000,
                (
                    (
                        "Both penalties together gain 0.026 nats with both seeds. `small` has them for very "
                        "short texts, where it drops 20% or more of the outputs."
                    ),
                ),
            ),
            (
                144_000,
                ("With this length, the penalties make no difference beyond the spread of other seeds.",),
            ),
        )
    },
    "names": Section(
        "Names",
        "32,033 first names with `--records lines`, `small`, 40 epochs. The end of a name counts as a "
        "character.",
        rows(
            40,
            {
                "recurrent weights 10%": {"dropout": 0.0, "weight_dropout": 0.1},
                "confidence penalty 0.1": LESS_DROPOUT | CONFIDENCE,
                "activation penalty 4": LESS_DROPOUT | ACTIVATION,
                "both penalties": LESS_DROPOUT | PENALTIES,
                "confidence penalty 0.2, activation penalty 4": LESS_DROPOUT
                | PENALTIES
                | {"confidence_penalty": 0.2},
                "decay 0.2": LESS_DROPOUT | {"muon_weight_decay": 0.2},
                "decay 0.2, both penalties": LESS_DROPOUT | PENALTIES | {"muon_weight_decay": 0.2},
                "decay 0.4, both penalties": LESS_DROPOUT | PENALTIES | {"muon_weight_decay": 0.4},
                "outputs 10%, recurrent weights 20%": MORE_DROPOUT,
                "outputs 10%, recurrent weights 20%, confidence penalty 0.1": MORE_DROPOUT | CONFIDENCE,
                "outputs 10%, recurrent weights 20%, both penalties": MORE_DROPOUT | PENALTIES,
                "outputs 10%, recurrent weights 20%, both penalties, decay 0.2": MORE_DROPOUT
                | PENALTIES
                | {"muon_weight_decay": 0.2},
            },
            corpus="names",
            common={"confidence_penalty": 0.0},
        ),
        (
            (
                "Dropout or more weight decay gains 0.03 nats, and the penalties gain 0.01 to 0.02. Together "
                "they gain no more than dropout alone."
            ),
            (
                "Therefore `small` drops 10% of the outputs and 20% of the recurrent weights from more than "
                "500 epochs of half a million characters on. Before, it was 800. Only the names decided this "
                "limit: their 40 epochs count as 790, and a book was not measured between 565 and 1,150."
            ),
        ),
    ),
    "onegin": Section(
        "A short text in Russian",
        "*Eugene Onegin*, `small`, 40 epochs of 116,000 characters.",
        rows(
            40,
            {
                "outputs 10%, recurrent weights 20%": {},
                "confidence penalty 0.1": CONFIDENCE,
                "both penalties": PENALTIES,
                "decay 0.2": {"muon_weight_decay": 0.2},
                "decay 0.2, both penalties": PENALTIES | {"muon_weight_decay": 0.2},
            },
            corpus="onegin",
            common={"confidence_penalty": 0.0, **MORE_DROPOUT},
        ),
        (
            (
                "The confidence penalty gains 0.008 and 0.009 nats. So `small` has it where it drops "
                "outputs. With names and 144,000 characters of nietzsche, it makes no difference beyond the "
                "spread of the seeds."
            ),
            "A 7-gram reaches 1.9547 nats on the same part.",
        ),
    ),
    "wiki": Section(
        "Text with many rare symbols",
        "A million bytes of a dump of the English Wikipedia with 556 symbols, 8 epochs.",
        rows(
            8,
            {
                "one layer of 144, which texts of 500 symbols or more had": FOR_LARGE_VOCABULARY,
                "two layers of 88, as for a small vocabulary": {},
            },
            corpus="wiki",
        ),
        (
            (
                "A 7-gram reaches 1.6118 nats on the same part. One of the two seeds is better than it, and "
                "the other is worse."
            ),
            "Two layers of 88 are better with both seeds, and train in less than half of the time.",
            (
                "Only 74 symbols make up 99% of this text, and 1,413 those of the novels in Japanese. "
                "Therefore the presets depend on the number of these common symbols, no longer on the number "
                "of all symbols."
            ),
        ),
    ),
    "medium-8": Section(
        "Medium",
        "Nietzsche in lower case, the preset `medium`, 8 epochs.",
        rows(
            8,
            {"recurrent weights 10%": {}, "both penalties": PENALTIES},
            preset="medium",
            common={"activation_penalty": 0.0, "confidence_penalty": 0.0},
        ),
        (
            (
                "The penalties gain 0.004 and 0.006 nats. `medium` has them in runs of any length, although "
                "longer ones, which drop more, were not measured."
            ),
        ),
    ),
    "large-japanese": Section(
        "Large, with a large vocabulary",
        "Novels in Japanese, 4 epochs, the preset `large` with 256 units in place of 448.",
        rows(
            4,
            {
                "rate 0.012 and decay 0.05 of AdamW": {},
                "both penalties": PENALTIES,
                "both penalties, rate 0.04 and decay 0.1 of AdamW": PENALTIES
                | {"learning_rate": 0.04, "weight_decay": 0.1},
            },
            corpus="soseki",
            preset="large",
            common={"units": 256, "activation_penalty": 0.0, "confidence_penalty": 0.0},
        ),
        (
            (
                "In a run of few epochs, neither the penalties nor the higher learning rate help. The preset "
                "stays as it is."
            ),
        ),
    ),
    **{
        f"large-{cell}": Section(
            f"Large, with the cell {cell}",
            f"The last 110,000 characters of the training text of nietzsche, `large` with {units} units, 15 "
            "epochs.",
            rows(
                15,
                {
                    "rate 0.012 and decay 0.05 of AdamW": ADAMW,
                    "both penalties": ADAMW | PENALTIES,
                    "both penalties, rate 0.04 and decay 0.3 of AdamW": PENALTIES
                    | {"muon_lr": 0.0, "learning_rate": 0.04, "weight_decay": 0.3},
                    "both penalties, Muon with rate 0.02 and decay 0.05": ADAMW
                    | PENALTIES
                    | {"muon_lr": 0.02},
                },
                preset="large",
                cell=cell,
                common={"units": units},
                characters=110_000,
            ),
            findings,
        )
        for cell, units, findings in (
            (
                GRU,
                300,
                (
                    "The penalties lower the loss, and the rate of the LSTM raises it.",
                    "So `large` has the penalties with this cell, and the rate of the other presets.",
                ),
            ),
            (
                CONV,
                200,
                (
                    "Convolutions overfit without penalties.",
                    (
                        "`large` has the values of the LSTM. Its decay of 0.1 is for a complete text, "
                        "which has more updates; it was not tried here."
                    ),
                ),
            ),
        )
    },
}
