"""The random numbers of forks of a generation."""

from textgen_runtime.sampling.sampler import Sampler, restore_sampler


def fork_sampler(sampler: Sampler, number: int) -> Sampler:
    """Return a sampler with the same parameters and filter state, and other random numbers.

    Its seed is a hash of the position of the original and the number of the fork, so that forks of forks are
    independent, too. A further substream of the original seed could be that of another text.
    """
    import hashlib

    origin = f"{sampler.seed} {sampler.substream} {sampler.position} {number}"
    seed = int.from_bytes(hashlib.sha256(origin.encode()).digest()[:16], "little")
    return restore_sampler(seed, 0, 0, sampler.sampling, sampler.logit_bias, sampler.filter_state)
