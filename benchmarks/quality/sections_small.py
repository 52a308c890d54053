"""Experiments with the preset ``small`` on nietzsche."""

from . import ideas
from .section import CONFIDENCE, SMALL_22, Section, idea_rows, rows
from .trial import Experiment

MEDIUM_TEACHER = "the teacher: `medium`, 45 epochs"

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
            (
                "Without a teacher, no row is better by more than the difference of its seeds. The preset "
                "stays as it is."
            ),
            (
                "Weight decay that falls to zero was tried with three seeds. It is better by 0.0013 nats on "
                "average, and worse with one of them."
            ),
            (
                "More weight decay, the penalties, a second target, past decoding, dropout on the outputs of "
                "one layer, and averaged weights raise the loss."
            ),
            (
                "Each generation of a chain of teachers gains about 0.002 nats. A single run gains more with "
                "as many epochs as all generations together: see the next section. [Earlier "
                "experiments](experiments-archive.md#learning-from-a-teacher) have better teachers."
            ),
            (
                "The second target is the character after the next one, through the same output layer. S. "
                "Brahma published past decoding (arXiv:1808.05908). P. Izmailov and others published the "
                "mean of the ends of cycles (arXiv:1803.05407). P. Foret and others published "
                "sharpness-aware minimization (arXiv:2010.01412), in which an update computes two gradients."
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
    "teacher": Section(
        "Small with a teacher: 100 epochs",
        "Nietzsche in lower case, the preset `small`, 100 epochs. The teacher is of the preset `medium`.",
        (
            Experiment("the text alone", 100),
            Experiment(MEDIUM_TEACHER, 45, preset="medium"),
            Experiment("the text and the predictions of this teacher", 100, teachers=(MEDIUM_TEACHER,)),
        ),
        (
            "The small network learns from the teacher more than half of what the teacher knows better.",
            (
                "Texts that the teacher writes do not help. With nine of them, each as long as the training "
                "text and with the predictions for each character, the loss was 1.2883 and the training "
                "loss 1.2067, with one seed. A network of this size cannot learn ten times as much text in "
                "the same number of updates. The code of this trial was not kept."
            ),
        ),
    ),
}
