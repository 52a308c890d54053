"""Feeds the tokens of a prompt to a model."""

from collections.abc import Sequence

from textgen_runtime.engines.base import Engine, FloatBuffer, State

# Maximum number of prompt tokens per call of the engine, so that an interrupt takes effect between the calls.
PROMPT_CHUNK = 1024


def feed_in_chunks(engine: Engine, tokens: Sequence[int], state: State) -> tuple[FloatBuffer, State]:
    """Feed tokens to one lane. The chunks are short, so that an interrupt takes effect between two of them.

    Args:
        engine: The engine of the model.
        tokens: One or more tokens.
        state: The state of the lane, batch size 1.

    Returns:
        The logits after the last token, shape [vocabulary], float32, and the new state.
    """
    chunk = min(PROMPT_CHUNK, engine.chunk_length(1))
    for start in range(0, len(tokens), chunk):
        logits, state = engine.feed(tokens[start : start + chunk], state)
    return logits, state
