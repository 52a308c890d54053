"""Experiments with short texts and with other corpora than nietzsche."""

from .section import (
    ACTIVATION,
    CONFIDENCE,
    FOR_LARGE_VOCABULARY,
    LESS_DROPOUT,
    MORE_DROPOUT,
    PENALTIES,
    Section,
    rows,
)

SECTIONS = {
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
                ("With this length, the penalties make no larger difference than another seed.",),
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
                "Therefore `small` drops 10% of the outputs and 20% of the recurrent weights in runs of more "
                "than 500 epochs of half a million characters. Earlier, this limit was 800 epochs. Only the "
                "names decided it: their 40 epochs count as 790 epochs of half a million characters. No run "
                "of a book between 565 and 1,150 such epochs was measured."
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
                "The confidence penalty gains 0.008 and 0.009 nats. So `small` has this penalty whenever it "
                "drops outputs. With names and with 144,000 characters of nietzsche, the penalty makes no "
                "larger difference than another seed."
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
                "A 7-gram reaches 1.6118 nats on the same part. The two layers of 88 are better than the "
                "7-gram with one seed, and worse with the other."
            ),
            "Two layers of 88 are better with both seeds, and train in less than half of the time.",
            (
                "Only 74 symbols make up 99% of this text, and 1,413 symbols make up 99% of the novels in "
                "Japanese. Therefore the presets now depend on the number of these common symbols, and not "
                "on the number of all symbols."
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
    "tunes": Section(
        "Tunes",
        "1,034 folk tunes in ABC notation with `--records blank`, `small`, 40 epochs.",
        rows(
            40,
            {
                "the preset: recurrent weights 10%": {},
                "confidence penalty 0.1": CONFIDENCE,
                "both penalties": PENALTIES,
                "outputs 10%, recurrent weights 20%": MORE_DROPOUT,
                "decay 0.2": {"muon_weight_decay": 0.2},
            },
            corpus="tunes",
        ),
        (
            (
                "No row is better than the preset. The penalties, more dropout and more weight decay raise "
                "the loss by 0.002 to 0.014 nats."
            ),
            "A 7-gram reaches 1.1995 nats on the same part.",
        ),
    ),
    "midi": Section(
        "Bytes of MIDI files",
        "A million bytes of tunes as MIDI files with `--level byte`, `small`, 8 epochs. Nats are per byte.",
        rows(
            8,
            {
                "the preset: recurrent weights 5%": {},
                "confidence penalty 0.1": CONFIDENCE,
                "both penalties": PENALTIES,
                "embedding 32": {"embedding": 32},
            },
            corpus="midi",
        ),
        (
            "The penalties raise the loss. A larger embedding lowers it by 0.001, with one seed.",
            "A 7-gram reaches 0.3029 nats per byte on the same part.",
        ),
    ),
}
