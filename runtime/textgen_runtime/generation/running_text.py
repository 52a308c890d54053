"""``RunningText``: where a text stands, and how drawn tokens advance it.

``Batch``, trials and saved generations use these members of a ``Generation``. They are not for its users.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from textgen_runtime.engines.base import FloatBuffer, Generated, Lane, State
from textgen_runtime.errors import Name, SamplingError
from textgen_runtime.sampling.filter_state import FilterState
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.sampling.sampler import Sampler

from .controls import compile_controls
from .text_progress import TextEnding, TextPosition, TextProgress

if TYPE_CHECKING:
    from .model import Model


class Snapshot(NamedTuple):
    """The position of a generation, for rollback.

    Attributes:
        random_position: The sampler's position in its random stream.
        filter_state: The state of the sampler's filters, or None.
        state: The recurrent state.
        logits: The logits of the next token.
        progress: The decoder, and the position in the stop texts and the constraint.
    """

    random_position: int
    filter_state: FilterState | None
    state: State
    logits: FloatBuffer
    progress: TextProgress


class RunningText:
    """The model, the sampler and the position of a text. ``Generation`` adds the methods for users.

    Args:
        model: The model that generates the text.
        sampler: A sampler. Its parameters are set from ``sampling``.
        sampling: The sampling parameters.

    Attributes:
        model: The model.
        sampler: Draws tokens from the logits.
        keep_logprobs: Whether the engine returns the log-probability of each drawn token.
    """

    model: "Model"
    sampler: Sampler
    keep_logprobs: bool = False
    _state: State
    _logits: FloatBuffer

    def __init__(self, model: "Model", sampler: Sampler, sampling: Sampling) -> None:
        self.model, self.sampler, self._sampling = model, sampler, sampling
        self._controls = compile_controls(sampling, model.metadata)
        sampler.configure(sampling, self._controls.logit_bias)
        self._progress = TextProgress(model.tokenizer.decoder())

    @property
    def is_complete(self) -> bool:
        """Whether the constraint or the end of the record has ended the text, so that no token may follow."""
        return self._progress.is_complete

    @property
    def constraint_digest(self) -> str | None:
        """A hash of the compiled constraint, or None without a constraint."""
        constraint = self._controls.constraint
        return None if constraint is None else constraint.digest

    def has_valid_position(self) -> bool:
        """Whether the position fits the model, the stop texts and the constraint."""
        position, end = self.position, self.model.tokenizer.special.end
        may_be_at_end = end is not None and position.ending in ("end", "masked")
        if type(position.at_end) is not bool or (position.at_end and not may_be_at_end):
            return False
        if position.ending == "end" and not position.at_end:
            return False
        return self._progress.is_valid(self._controls)

    def check_length(self, length: int) -> None:
        """Check that the text can meet its constraint.

        Raises:
            SamplingError: If no text of at most ``length`` tokens meets the constraint.
        """
        constraint = self._controls.constraint
        if constraint is None or self.is_complete:
            return
        needed = constraint.distance(self.position.constraint_state)
        if needed > length:
            raise SamplingError(
                f"the constraint needs a text of at least {needed:,} tokens, but the length is {length:,}: "
                "use a greater ",
                Name("length"),
            )

    @property
    def position(self) -> TextPosition:
        """The position in the stop texts and the constraint."""
        return self._progress.position

    @property
    def tail(self) -> Sequence[int]:
        """The last tokens that a new decoder needs to continue the text; see ``TextDecoder.tail``."""
        return self._progress.decoder.tail

    def lane(self, length: int, *, must_end: bool = False, masked: bool = True) -> Lane:
        """Return the input of ``Engine.generate`` for up to ``length`` tokens.

        Args:
            length: The maximum number of tokens.
            must_end: Whether the text must meet its constraint within ``length`` tokens.
            masked: Whether the constraint masks the logits.
        """
        guide = self._progress.guide(self._controls, must_end=must_end, masked=masked)
        return Lane(self.sampler, self._logits, self._state, length, guide, self.keep_logprobs)

    def accept(self, generated: Generated, ending: TextEnding | None) -> str:
        """Continue with the result of ``Engine.generate``, and return the text that it adds.

        Args:
            generated: The result.
            ending: Why the text ends with this result, or None if it continues.
        """
        self._logits, self._state = generated.logits, generated.state
        counts = self._controls.min_length > 0
        return self._progress.accept(generated, ending, keep_stop=self._sampling.keep_stop, counts=counts)

    def stop_text(self, generated: Generated) -> str:
        """Return the stop text that ends the text with a result that is not accepted yet; "" if none does."""
        if not generated.stop_length:
            return ""
        tokens = (*self.position.held, *generated.tokens)
        return self.model.tokenizer.decode(tokens[-generated.stop_length :])

    def snapshot(self) -> Snapshot:
        """Return the current position, for ``restore``. It does not include the text so far."""
        sampler = self.sampler
        progress = self._progress.copy()
        return Snapshot(sampler.position, sampler.filter_state, self._state, self._logits, progress)

    def restore(self, snapshot: Snapshot, *, random_numbers: bool = True) -> None:
        """Return to the position of a snapshot. A snapshot can be restored more than once.

        Args:
            snapshot: The snapshot.
            random_numbers: Whether to draw the same random numbers again.
        """
        if random_numbers:
            self.sampler.position = snapshot.random_position
        self.sampler.filter_state = snapshot.filter_state
        self._state, self._logits = snapshot.state, snapshot.logits
        self._progress = snapshot.progress.copy()

    def masked_logits(self) -> FloatBuffer:
        """Return the logits of the next token, with the mask of the constraint and of ``min_length``.

        They must not be changed.
        """
        logits, constraint = self._logits, self._controls.constraint
        if constraint is not None:
            logits = constraint.mask(logits, self.position.constraint_state, sys.maxsize)
        if self._progress.tokens_before_end(self._controls):
            import numpy as np

            logits = np.array(logits)
            logits[self.model.tokenizer.special.end] = -np.inf
        return logits
