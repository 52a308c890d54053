"""Feed tokens to running texts."""

from collections.abc import Sequence

from textgen_runtime.engines.base import Engine, Stream

# Maximum number of prompt tokens per call of the engine, so that an interrupt takes effect between the calls.
PROMPT_CHUNK = 1024


def feed_in_chunks(engine: Engine, position: Stream, tokens: Sequence[int], *, restart: bool = False) -> None:
    """Feed tokens to a text. The chunks are short, so that an interrupt takes effect between two of them.

    Args:
        engine: The engine of the model.
        position: The text.
        tokens: One or more tokens.
        restart: Whether the text begins from the initial state.
    """
    position.begin(restart)
    chunk = min(PROMPT_CHUNK, engine.chunk_length(1))
    for start in range(0, len(tokens), chunk):
        engine.feed(position, tokens[start : start + chunk])
