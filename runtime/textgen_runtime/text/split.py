"""Where the held-out part of a text begins."""


def held_out_start(length: int, share: float) -> int:
    """Return the index of the first held-out character.

    Training and ``textgen-eval --last`` both use it: the same share gives the same characters.

    Args:
        length: Characters of the text.
        share: Share of the text to hold out, cut from its end, in [0, 1].
    """
    return length - round(length * share)
