"""``TextProgress``: turns the drawn tokens of one generation into text."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from textgen_runtime.engines.base import Generated, Guide
from textgen_runtime.text.tokenizer import TextDecoder

from .controls import Controls

# Why a text ended: it reached its length, it reached a stop text, it is a record that the model ended, its
# constraint allowed no further character, or its constraint was met only with the mask, after all `resample`
# texts failed.
TextEnding: TypeAlias = Literal["length", "stop", "end", "constraint", "masked"]


def text_ending(result: Generated, *, masked_after_trials: bool) -> TextEnding | None:
    """Return why a text ends with the result of ``Engine.generate``, or None if it continues.

    Args:
        result: The result. Its ending is not ``"mismatch"``.
        masked_after_trials: Whether all texts without the mask were rejected.
    """
    if result.ending is None or result.ending == "mismatch":
        return None
    return "masked" if masked_after_trials else result.ending


class TextPosition(NamedTuple):
    """Where a text stands in its stop texts and its constraint, as plain values.

    Attributes:
        held: The last drawn tokens. They may be the beginning of a stop text, so their text is held back.
        stop_state: The state of the stop texts.
        constraint_state: The state of the constraint.
        ending: Why the latest text ended, or None while it continues.
        at_end: Whether the last drawn token is the end of a record.
        drawn: Number of tokens that count for ``min_length``; 0 without it.
    """

    held: tuple[int, ...] = ()
    stop_state: int = 0
    constraint_state: int = 0
    ending: TextEnding | None = None
    at_end: bool = False
    drawn: int = 0


class TextProgress:
    """The decoder of a text, and its position in the stop texts and the constraint.

    Attributes:
        decoder: The decoder. It has not decoded the tokens that are held back.
        position: The position.
    """

    __slots__ = ("decoder", "position")

    def __init__(self, decoder: TextDecoder, position: TextPosition | None = None) -> None:
        self.decoder = decoder
        self.position = position or TextPosition()

    def copy(self) -> "TextProgress":
        """Return an independent copy."""
        return TextProgress(self.decoder.copy(), self.position)

    @property
    def is_complete(self) -> bool:
        """Whether the constraint or the end of the record has ended the text, so that no token may follow."""
        return self.position.ending in ("end", "constraint", "masked")

    def is_valid(self, controls: Controls) -> bool:
        """Whether the position is one of these stop texts and this constraint."""
        position, stops, constraint = self.position, controls.stops, controls.constraint
        states = (position.stop_state, position.constraint_state, position.drawn)
        if any(type(state) is not int or state < 0 for state in states):
            return False
        if stops is None:
            valid = position.stop_state == 0
        else:
            valid = position.stop_state < stops.states and stops.depth(position.stop_state) <= len(
                position.held
            )
        if constraint is None:
            return valid and position.constraint_state == 0
        return valid and position.constraint_state < constraint.states

    def guide(self, controls: Controls, *, must_end: bool, masked: bool) -> Guide | None:
        """Return the stop texts, the constraint and the minimum length as the engine needs them.

        Without any, this is None.
        """
        before_end = self.tokens_before_end(controls)
        if controls.stops is None and controls.constraint is None and not before_end:
            return None
        position = self.position
        return Guide(
            controls.stops,
            position.stop_state,
            controls.constraint,
            position.constraint_state,
            must_end,
            masked,
            before_end,
        )

    def tokens_before_end(self, controls: Controls) -> int:
        """Return the number of tokens that are drawn before the record may end."""
        return max(0, controls.min_length - self.position.drawn)

    def change_controls(self, before: Controls, after: Controls) -> None:
        """Start new stop texts, a new constraint or the count for a new minimum with the next token."""
        if after.stops != before.stops:
            self.position = self.position._replace(stop_state=0)
        if after.min_length != before.min_length:
            self.position = self.position._replace(drawn=0)
        if after.constraint != before.constraint:
            ending = self.position.ending if self.position.at_end else None
            self.position = self.position._replace(constraint_state=0, ending=ending)

    def feed(self, tokens: Sequence[int]) -> str:
        """Decode the tokens of a fed text. It is complete, so nothing of it is held back."""
        text = self.decoder.decode([*self.position.held, *tokens]) + self.decoder.finish()
        self.position = TextPosition()
        return text

    def accept(
        self, generated: Generated, ending: TextEnding | None, *, keep_stop: bool, counts: bool
    ) -> str:
        """Continue with the result of ``Engine.generate``, and return the text that is now decided.

        Args:
            generated: The result.
            ending: Why the text ends with this result, or None if it continues.
            keep_stop: Whether a stop text is part of the text.
            counts: Whether the tokens count for ``min_length``.
        """
        tokens = generated.tokens
        if self.position.held:
            tokens = (*self.position.held, *tokens)
        drawn = self.position.drawn + len(generated.tokens)
        text = self.decoder.decode(self._decide(tokens, generated, ending, keep_stop=keep_stop))
        if counts:
            self.position = self.position._replace(drawn=drawn)
        if generated.ending == "end":
            self.position = self.position._replace(at_end=True)
            text += self.decoder.finish()
        return text

    def _decide(
        self, tokens: Sequence[int], generated: Generated, ending: TextEnding | None, *, keep_stop: bool
    ) -> Sequence[int]:
        """Set the new position, and return the tokens whose text is decided."""
        guide = generated.guide
        if guide is None:
            self.position = TextPosition(ending=ending)
            return tokens
        undecided = 0
        if ending == "stop":
            tokens = tokens if keep_stop else tokens[: len(tokens) - generated.stop_length]
        elif guide.stops is not None:
            undecided = guide.stops.depth(guide.stop_state)
        decided = len(tokens) - undecided
        held = tuple(tokens[decided:])
        self.position = TextPosition(held, guide.stop_state, guide.constraint_state, ending)
        return tokens[:decided]

    def finish(self) -> str:
        """Return the text that is held back."""
        text = self.decoder.decode(self.position.held) + self.decoder.finish()
        self.position = self.position._replace(held=(), stop_state=0)
        return text
