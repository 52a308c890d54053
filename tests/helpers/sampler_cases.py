"""Golden draws of the sampler."""

# The first tokens that samplers with substream 0 and substream 3 draw. They must never change.
GOLDEN = [18, 14, 15, 19, 19, 12, 10, 13, 16, 13, 18, 18, 11, 17, 2, 17, 19, 19, 18, 15]
GOLDEN_SUBSTREAM_3 = [10, 11, 14, 19, 18, 18, 19, 17, 9, 14, 16, 17, 14, 17, 19, 17, 16, 13, 12, 18]
