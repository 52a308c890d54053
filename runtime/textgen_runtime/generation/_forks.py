"""The random numbers of forks of a generation."""

from textgen_runtime.sampling.sampler import Sampler


def fork_sampler(sampler: Sampler, number: int) -> Sampler:
    """Return a sampler with the same parameters and filter state, and other random numbers.

    Its seed is a hash of the position of the original and the number of the fork, so that forks of forks are
    independent, too. A further substream of the original seed could be that of another text.
    """
    import hashlib

    origin = f"{sampler.seed} {sampler.substream} {sampler.position} {number}"
    seed = int.from_bytes(hashlib.sha256(origin.encode()).digest()[:16], "little")
    fork = Sampler(sampler.temperature, seed)
    fork.filters, fork.filter_state = sampler.filters, sampler.filter_state
    return fork
