"""Feed tokens to running texts."""

from collections.abc import Sequence

from textgen_runtime.engines.base import Engine, Stream

# Maximum number of prompt tokens per call of the core, so that an interrupt takes effect between the calls.
PROMPT_CHUNK = 1024


def feed_in_chunks(engine: Engine, position: Stream, tokens: Sequence[int], *, restart: bool = False) -> None:
    """Feed tokens to a text. The chunks are short, so that an interrupt takes effect between two of them.

    Args:
        engine: The engine of the model.
        position: The text.
        tokens: One or more tokens.
        restart: Whether the text begins from the initial state.
    """
    chunk = min(PROMPT_CHUNK, engine.chunk_length(1))
    for start in range(0, len(tokens), chunk):
        feed_chunk(position, tokens[start : start + chunk], is_first=start == 0, restart=restart)


def feed_chunk(position: Stream, tokens: Sequence[int], *, is_first: bool, restart: bool) -> None:
    """Feed a chunk of the tokens of ``feed_in_chunks``. is_first: whether it is the first one."""
    if is_first and restart and tokens[0] == position.model.begin:
        # The core feeds the begin token of a record itself.
        tokens = tokens[1:]
    position.feed(tokens, begin=is_first, restart=is_first and restart)
