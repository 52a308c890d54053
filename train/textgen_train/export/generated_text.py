"""A text that a model generates, on which it can be compared with another model if there is no other text."""

from textgen_runtime.generation.model import Model
from textgen_runtime.text.records import SEPARATORS

# On so many characters, the mean difference of the losses of two models has a standard error of less than
# 0.0001 nats.
CHARACTERS = 50_000

# The texts of a batch, and the tokens of each. Records may be shorter.
TEXTS, TOKENS = 64, 800

# Models whose records are short, or even empty, must not generate forever.
MAX_BATCHES = 100


def generate_text(model: Model) -> str:
    """Return about 50,000 characters that a model generates at temperature 1.

    On such a text, the loss of another model minus that of this model is an estimate of the Kullback-Leibler
    divergence: how far the predictions of the other model differ.
    """
    separator = "" if model.metadata.records is None else SEPARATORS[model.metadata.records]
    prompts = model.prompts or ("" if separator else next(filter(None, model.tokenizer.symbols)),)
    starts = [prompts[i % len(prompts)] for i in range(TEXTS)]
    texts: list[str] = []
    for seed in range(MAX_BATCHES):
        texts += model.generate(starts, length=TOKENS, temperature=1.0, seed=seed)
        if sum(map(len, texts)) >= CHARACTERS:
            break
    return separator.join(texts)
