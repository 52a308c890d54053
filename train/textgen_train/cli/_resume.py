"""``textgen-train --resume``: continue a run that has stopped."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.corpora.folders import CHECKPOINT_FILE
from textgen_runtime.errors import shorten
from textgen_runtime.system.console import escape_unencodable, write_stderr

from textgen_train.errors import TrainingError
from textgen_train.loop.checkpoint_file import Checkpoint, read_checkpoint
from textgen_train.loop.output_folder import check_inputs, locked_folder
from textgen_train.loop.ranks import Ranks

from ._arguments import PROG
from ._dependencies import check_dependencies
from ._execution import check_device, follow, make_provenance, make_ready_trainer, make_run, run_to_end
from ._messages import describe_complete_run, describe_dataset, describe_resumption
from ._stored_run import StoredRun
from ._texts import Texts


def resume(given: argparse.Namespace, ranks: Ranks) -> int:
    """Resume the run in the folder of ``--resume``, and return the exit code."""
    folder = given.resume
    with contextlib.ExitStack() as stack:
        checkpoint = stack.enter_context(open_checkpoint(folder)) if ranks.is_first else None
        complete = (
            describe_complete_run(folder, given.corpus or stored_source(checkpoint))
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
        arguments, recipe = stored.read_arguments(given), stored.read_recipe()
        # The same replicas, in this number of processes.
        arguments.threads = max(1, arguments.threads // ranks.size)
        check_dependencies(tensorboard=arguments.tensorboard)
        check_device(arguments.device, ranks)
        texts = find_texts(stored, arguments, folder)
        check_inputs(folder, texts.corpora)
        dataset = texts.read(arguments, recipe, folder if ranks.is_first else None, stored.read_tokenizer())
        stored.check_texts(texts.corpus, texts.held_out)
        stored.check_vocabulary(dataset)
        if ranks.is_first:
            escape_unencodable(PROG, sys.stdout, dataset.tokenizer.symbols)
            write_stderr(describe_dataset(texts.corpus, dataset))
        provenance = make_provenance(
            texts, dataset, recipe, arguments.seed, name=stored.name, parent=stored.parent_provenance
        )
        trainer = make_ready_trainer(arguments, provenance, ranks)
        if checkpoint is None:
            return follow(trainer)
        run = make_run(arguments, trainer, provenance, folder, stored.expected_epochs)
        state = checkpoint.state()
        run.restore(state)
        write_stderr(describe_resumption(state.trainer, stored.environment_changes()))
        return run_to_end(run, folder, ranks, arguments)


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
        source: str = StoredRun.from_dict(checkpoint.run).options["corpus"]
    except TrainingError:
        return None
    return source


def find_texts(stored: StoredRun, arguments: argparse.Namespace, folder: Path) -> Texts:
    """Return the texts of a run."""

    def find(argument: str, source: str) -> Corpus:
        return stored.find_text(argument, source, folder, level=arguments.level, records=arguments.records)

    corpus = find("corpus", arguments.corpus)
    if arguments.held_out_file is None:
        return Texts(corpus, arguments.held_out)
    return Texts(corpus, find("held_out_file", arguments.held_out_file))
