"""The texts of a training run, and their dataset."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.errors import CorpusError
from textgen_runtime.text.normalization import Normalization, as_unicode_form
from textgen_runtime.text.tokenizer import Tokenizer

from textgen_train.data.dataset import Dataset
from textgen_train.data.preparation import make_dataset
from textgen_train.data.vocabularies import VOCABULARY_SIZE
from textgen_train.recipe import AnyRecipe, ClassicRecipe

from ._preparation import Preparation


@dataclass(frozen=True)
class Texts:
    """The texts of a run.

    Attributes:
        corpus: The corpus.
        held_out: The share of the corpus to hold out, or a separate text; None for the default share.
    """

    corpus: Corpus
    held_out: float | Corpus | None

    @property
    def corpora(self) -> list[Corpus]:
        """All texts that the run reads."""
        return [self.corpus, self.held_out] if isinstance(self.held_out, Corpus) else [self.corpus]

    @property
    def are_equal(self) -> bool:
        """Whether the held-out text is separate, but has the same content as the corpus."""
        return isinstance(self.held_out, Corpus) and self.held_out.sha256 == self.corpus.sha256

    def read(
        self,
        arguments: argparse.Namespace,
        recipe: AnyRecipe,
        folder: Path | None,
        tokenizer: Tokenizer | None = None,
    ) -> Dataset:
        """Read the texts, and return the dataset of the command line.

        Args:
            arguments: The arguments of the command line.
            recipe: The recipe.
            folder: The output folder in the first process of a run, which shows how much it has read; None in
                the other processes.
            tokenizer: The vocabulary of the model from which the run starts; None to make one.

        Raises:
            CorpusError: If a text is too short for the recipe, or as ``make_dataset`` states.
            TextFileError: If a text cannot be read, or is not UTF-8.
        """
        form = None if arguments.unicode == "none" else as_unicode_form(arguments.unicode)
        lowercase = arguments.lowercase or isinstance(recipe, ClassicRecipe)
        preparation = Preparation()
        dataset = make_dataset(
            self.corpus,
            Normalization(lowercase, form),
            self.held_out,
            arguments.min_count,
            level=arguments.level,
            vocabulary_size=arguments.vocabulary_size or VOCABULARY_SIZE,
            tokenizer=tokenizer,
            extend=arguments.extend,
            records=arguments.records,
            folder=folder,
            on_read=preparation.add if folder else None,
        )
        if folder:
            preparation.finish()
        if isinstance(recipe, ClassicRecipe) and len(dataset.training) <= recipe.window:
            raise CorpusError(
                f"the corpus {self.corpus.name} is too short: it has {len(dataset.training)} training "
                f"characters, and windows of {recipe.window} need at least {recipe.window + 1}"
            )
        return dataset
