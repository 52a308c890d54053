"""Check a lane and draw its tokens, for an engine whose loop is Python code.

The C core has the same in ``generate.c``.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .base import Ending, Guide, Lane

NO_GUIDE = Guide()


def check_arrays(lane: Lane, vocabulary_size: int, state: Mapping[str, tuple[int, int]]) -> None:
    """Check the shapes of the arrays of a lane.

    Args:
        lane: The lane.
        vocabulary_size: The vocabulary size of the model.
        state: Layers and units of each state array, by name.

    Raises:
        ValueError: If a shape is wrong, or if a state array is missing.
    """
    if np.shape(lane.logits) != (vocabulary_size,):
        raise ValueError(f"the logits must be of shape {(vocabulary_size,)}, not {np.shape(lane.logits)}")
    for name, (layers, units) in state.items():
        if name not in lane.state.buffers:
            raise ValueError(f"the state must have the arrays {', '.join(state)}")
        shape = np.shape(lane.state.buffers[name])
        if shape != (layers, 1, units):
            raise ValueError(f"the state array {name!r} must be of shape {(layers, 1, units)}, not {shape}")


class GuidedDraws:
    """Draws the tokens of one lane, and ends the lane where its guide does.

    Args:
        lane: The lane. Its guide is valid.
        end: The token that ends a text, or None.

    Attributes:
        logprobs: The log-probabilities of the tokens, or None if the lane does not ask for them.
        ending: Why the guide ended the lane, or None.
        stop_length: The number of tokens of the stop text that ended the lane, or 0.
    """

    def __init__(self, lane: Lane, end: int | None) -> None:
        self._end = end
        self.logprobs: list[float] | None = [] if lane.logprobs else None
        self.ending: Ending | None = None
        self.stop_length = 0
        self._sampler, self._guide, self._left = lane.sampler, lane.guide, lane.length
        guide = NO_GUIDE if lane.guide is None else lane.guide
        self._stops, self._stop_state = guide.stops, guide.stop_state
        self._constraint, self._constraint_state = guide.constraint, guide.constraint_state
        self._must_end, self._masked = guide.must_end, guide.masked
        self._before_end = guide.min_length
        if self._constraint is not None and self._constraint.is_complete(self._constraint_state):
            self.ending = "constraint"

    @property
    def guide(self) -> Guide | None:
        """The guide of the lane after the tokens drawn so far."""
        if self._guide is None:
            return None
        return self._guide._replace(
            stop_state=self._stop_state,
            constraint_state=self._constraint_state,
            min_length=max(0, self._before_end),
        )

    def masked(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits that are -inf at the tokens that the constraint forbids, and at an early end."""
        if self._constraint is not None and self._masked:
            logits = self._constraint.mask(logits, self._constraint_state, self._remaining())
        if self._end is not None and self._before_end > 0:
            logits = np.array(logits)
            logits[self._end] = -np.inf
        return logits

    def draw(self, logits: NDArray[np.float32]) -> int:
        """Draw a token, and set ``ending`` if the guide ends the lane.

        Args:
            logits: The logits of the model, of shape [vocabulary_size].

        Returns:
            The token; or -1 if the lane ends before it.
        """
        token = self._sampler.propose(self.masked(logits))
        if not self._advance(token):
            return -1
        # The end is no part of a text, so the penalties do not count it.
        if token != self._end:
            self._sampler.accept(token)
        self._left -= 1
        self._before_end -= 1
        if self.logprobs is not None:
            self.logprobs.append(log_probability(logits, token))
        self.ending = self._ending_after(token)
        return token

    def _advance(self, token: int) -> bool:
        """Move the constraint to the state after a token. Return whether it permits the token."""
        if self._constraint is None:
            return True
        matches = self._constraint.is_accepting(self._constraint_state)
        if token == self._end and matches:
            return True
        state = self._constraint.step(self._constraint_state, token, self._remaining())
        if state < 0:
            self.ending = "constraint" if matches else "mismatch"
            return False
        self._constraint_state = state
        return True

    def _ending_after(self, token: int) -> Ending | None:
        if self._stops is not None:
            self._stop_state = self._stops.step(self._stop_state, token)
            self.stop_length = self._stops.matched(self._stop_state)
            if self.stop_length:
                self._stop_state = 0
                return "stop"
        if token == self._end:
            return "end"
        if self._constraint is not None and self._constraint.is_complete(self._constraint_state):
            return "constraint"
        return None

    def _remaining(self) -> int | None:
        return self._left if self._must_end else None


def log_probability(logits: NDArray[np.float32], token: int) -> float:
    """Return the natural logarithm of the softmax of logits, at one token."""
    differences = logits.astype(np.float64) - logits[token]
    # The logit of the token is finite, so the sum is 1 or more.
    largest = differences.max()
    return float(-largest - np.log(np.exp(differences - largest).sum()))
