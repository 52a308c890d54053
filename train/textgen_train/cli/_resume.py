"""``textgen-train --resume``: continue a run that has stopped."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.corpora.sources import CHECKPOINT_FILE
from textgen_runtime.errors import CorpusError, shorten
from textgen_runtime.system.console import escape_unencodable, write_stderr

from textgen_train.errors import TrainingError, extended
from textgen_train.loop.checkpoint_file import Checkpoint, read_checkpoint
from textgen_train.loop.output_folder import check_inputs, locked_folder
from textgen_train.loop.ranks import Ranks
from textgen_train.options import RunOptions

from ._arguments import PROG, Command, check_dependencies, check_device
from ._messages import describe_complete_run, describe_dataset, describe_resumption
from ._stored_run import StoredRun, moved_hint
from ._texts import Texts, open_text


def resume(command: Command, ranks: Ranks) -> int:
    """Resume the run in the folder of ``--resume``, and return the exit code."""
    folder = command.call.resume or Path()
    with contextlib.ExitStack() as stack:
        checkpoint = stack.enter_context(open_checkpoint(folder)) if ranks.is_first else None
        complete = (
            describe_complete_run(folder, command.texts.get("corpus") or stored_source(checkpoint))
            if checkpoint and checkpoint.complete
            else ""
        )
        description = ranks.share_first(checkpoint.run if checkpoint and not complete else None)
        if description is None:
            # The folder may have a name that the output's encoding lacks.
            escape_unencodable(PROG, sys.stdout, ())
            sys.stdout.write(complete)
            return 0
        stored = StoredRun.from_dict(description)
        options, recipe = stored.read_options(command.texts, ranks.size), stored.read_recipe()
        check_dependencies(tensorboard=options.tensorboard)
        check_device(options.device, ranks)
        texts = find_texts(options, folder)
        check_inputs(folder, texts.corpora)
        dataset = texts.read(options, folder if ranks.is_first else None, stored.read_tokenizer())
        stored.check_texts(texts.corpus, texts.held_out)
        stored.check_vocabulary(dataset)
        if ranks.is_first:
            escape_unencodable(PROG, sys.stdout, dataset.tokenizer.symbols)
            write_stderr(describe_dataset(texts.corpus, dataset))
        # It imports torch, which takes seconds. It comes after all checks of the input.
        from ._training_run import follow, make_ready_trainer, make_run, run_to_end, specify_run

        origin = stored.parent.origin if stored.parent else None
        specification = specify_run(texts, dataset, recipe, options.seed, name=stored.name, parent=origin)
        trainer = make_ready_trainer(options, specification, ranks)
        if checkpoint is None:
            return follow(trainer)
        run = make_run(trainer, specification, options, folder, stored.command, stored.expected_epochs)
        state = checkpoint.state()
        run.restore(state)
        write_stderr(describe_resumption(state.trainer, stored.environment_changes()))
        return run_to_end(run, folder, options, ranks)


@contextlib.contextmanager
def open_checkpoint(folder: Path) -> Iterator[Checkpoint]:
    """Return a context with the checkpoint of a folder, in which the folder is locked."""
    if not (folder / CHECKPOINT_FILE).exists():
        raise TrainingError(
            f"nothing to resume: {shorten(str(folder))} has no {CHECKPOINT_FILE}; start a run with "
            "textgen-train CORPUS"
        )
    with locked_folder(folder):
        yield read_checkpoint(folder / CHECKPOINT_FILE)


def stored_source(checkpoint: Checkpoint) -> str | None:
    """Return where the corpus of a run was read from; None if its checkpoint is from another version."""
    try:
        return StoredRun.from_dict(checkpoint.run).options.corpus
    except TrainingError:
        return None


def find_texts(options: RunOptions, folder: Path) -> Texts:
    """Return the texts of a run.

    Raises:
        CorpusError: If one is not available.
    """

    def find(name: str, source: str) -> Corpus:
        try:
            return open_text(source, options, folder)
        except CorpusError as error:
            raise extended(error, f"; {moved_hint(name)}") from error

    corpus = find("corpus", options.corpus)
    if options.held_out_file is None:
        return Texts(corpus, options.held_out)
    return Texts(corpus, find("held_out_file", options.held_out_file))
