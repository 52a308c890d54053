"""``textgen-train --resume``: continue a run that has stopped."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from textgen_runtime.corpus import CHECKPOINT_FILE
from textgen_runtime.errors import TextgenError
from textgen_runtime.terminal import escape_unencodable, write_stderr

from textgen_train.errors import TrainingError
from textgen_train.loop.checkpoint_file import Checkpoint, read_checkpoint
from textgen_train.loop.output_folder import check_inputs, locked_folder, remove_predictions
from textgen_train.loop.ranks import Ranks
from textgen_train.options import PROG

from ._arguments import Command, check_resumable
from ._messages import describe_complete_run, describe_dataset, describe_resumption
from ._process import check_device, check_tensorboard
from ._stored_run import StoredRun, moved_hint
from ._teachers import check_processes, describe_teachers, reread_teachers, teach
from ._texts import open_texts


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
            if complete:
                # Windows could not remove them when the run ended.
                remove_predictions(folder)
            return 0
        stored = StoredRun.from_dict(description)
        options = stored.read_options(command.texts)
        check_processes(options, ranks)
        check_tensorboard(options)
        check_device(options.device, ranks)
        texts = open_texts(options, moved_hint)
        check_inputs(folder, texts.files)
        try:
            dataset = texts.read(options, folder if ranks.is_first else None, stored.read_tokenizer())
        except TextgenError:
            # If the text has changed, that is the error to tell.
            stored.check_texts(texts)
            raise
        stored.check_texts(texts)
        stored.check_vocabulary(dataset.tokenizer)
        if ranks.is_first:
            escape_unencodable(PROG, sys.stdout, dataset.tokenizer.symbols)
            write_stderr(
                describe_dataset(texts.corpus, dataset) + describe_teachers(options, stored.teachers, dataset)
            )
        # It imports torch, which takes seconds. It comes after all checks of the input.
        from ._training_run import follow, make_ready_trainer, make_run, run_to_end

        specification = stored.specify(options, texts, dataset, ranks.size)
        state = checkpoint.state() if checkpoint else None
        trainer_state = ranks.share_first(state and state.trainer)
        trainer = make_ready_trainer(specification, ranks, lambda trainer: trainer.restore(trainer_state))
        if state is None:
            return follow(trainer)
        # It restores the trainer again, and the time that a budget of minutes has left for updates.
        run = make_run(trainer, specification, folder, is_new=False)
        run.restore(state)
        if not trainer.is_finished:
            teach(trainer, specification, folder, lambda: reread_teachers(options, stored.teachers))
        write_stderr(describe_resumption(state.trainer, stored.environment_changes()))
        return run_to_end(run, specification, folder)


@contextlib.contextmanager
def open_checkpoint(folder: Path) -> Iterator[Checkpoint]:
    """Return a context with the checkpoint of a folder, in which the folder is locked."""
    check_resumable(folder)
    with locked_folder(folder):
        yield read_checkpoint(folder / CHECKPOINT_FILE)


def stored_source(checkpoint: Checkpoint) -> str | None:
    """Return where the corpus of a run was read from; None if its checkpoint is from another version."""
    try:
        return StoredRun.from_dict(checkpoint.run).options.corpus
    except TrainingError:
        return None
