"""The split of a text into a training part and a held-out part."""


def held_out_start(length: int, share: float) -> int:
    """Return the index of the first held-out character.

    Training and ``textgen-eval --last`` use the same function, so equal shares select equal parts.

    Args:
        length: Number of characters in the text.
        share: Share of the text to hold out, at its end, in [0, 1].
    """
    return length - round(length * share)
