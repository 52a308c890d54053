"""Generate constrained texts with one library. Reads the task from standard input, and prints JSON.

    python constrained_loop.py LIBRARY < task.json

Each library has a function that compiles an expression. It returns a function that generates one text and
returns its number of characters, or the negative number if the text did not end within its length. The loops
in Python draw from the same logits at each character with the same sampler, so they differ only in the
constraint.
"""

import json
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from time import perf_counter

import numpy as np
import textgen_runtime as textgen
from textgen_runtime.constraints import compile_constraint
from textgen_runtime.engines.base import Lane
from textgen_runtime.sampler import Sampler

task = json.load(sys.stdin)
symbols, length, temperature = task["symbols"], task["length"], task["temperature"]
# The peers have one more token, which ends the text. It is as likely as the likeliest character.
end = len(symbols)
logits = np.array(task["logits"], np.float32)
logits_with_end = np.append(logits, logits.max())
sampler = Sampler(temperature, seed=0)

Generate = Callable[[], int]


def native(expression: str) -> Generate:
    """The native engine with the model: one call generates a text."""
    model = textgen.load(task["model"])
    constraint = compile_constraint("match", expression, model.tokenizer.symbols, frozenset())
    text = model.start("\n", seed=0).position
    text.configure(textgen.Sampling(temperature=temperature), constraint=constraint)
    lane = Lane(text, length, must_end=True)

    def generate() -> int:
        text.feed(())
        return model.engine.generate([lane], length)[0].generated

    return generate


def tables(expression: str) -> Generate:
    """The tables of this project, driven by Python without a model."""
    constraint = compile_constraint("match", expression, tuple(symbols), frozenset())
    following = np.frombuffer(constraint.transitions, np.int16).reshape(-1, end)
    masks = np.where(following < 0, np.float32(-np.inf), np.float32(0))
    # The peers have no such state: they draw the token that ends the text.
    accepting = np.frombuffer(constraint.accepting, np.bool_)
    ends = np.append(np.where(accepting, np.float32(0), np.float32(-np.inf)), logits.max())

    def generate() -> int:
        state, count = 0, 0
        while count < length:
            token = sampler.draw(np.append(logits + masks[state], ends[-1] + ends[state]))
            if token == end:
                return count
            state = following[state, token]
            count += 1
        return -count

    return generate


def outlines_core(expression: str) -> Generate:
    """Guide of outlines_core, with its mask."""
    import outlines_core as outlines

    index = outlines.Index(expression, outlines_vocabulary())
    mask = np.zeros(end // 32 + 1, np.int32)
    address = mask.ctypes.data

    def generate() -> int:
        guide, count = outlines.Guide(index), 0
        while count < length:
            guide.write_mask_into(address, mask.size, mask.itemsize)
            token = draw(mask)
            if token == end:
                return count
            guide.advance(token, return_tokens=False)
            count += 1
        return -count

    return generate


def llguidance(expression: str) -> Generate:
    """LLMatcher of llguidance, with its mask."""
    from llguidance import LLMatcher

    matcher = LLMatcher(llguidance_tokenizer(), LLMatcher.grammar_from_regex(expression))
    if matcher.is_error():
        raise ValueError(matcher.get_error())
    mask = np.zeros(end // 32 + 1, np.int32)
    address = mask.ctypes.data

    def generate() -> int:
        matcher.reset()
        count = 0
        while count < length:
            matcher.unsafe_compute_mask_ptr(address, mask.nbytes)
            token = draw(mask)
            if token == end:
                return count
            matcher.consume_token(token)
            count += 1
        return -count

    return generate


class Characters:
    """The tokenizer of single characters that llguidance asks for."""

    eos_token_id, bos_token_id = end, None
    tokens = (*(symbol.encode() for symbol in symbols), b"<end>")
    special_token_ids = (end,)

    def __call__(self, text: bytes) -> list[int]:
        return [symbols.index(character) for character in text.decode()]


@cache
def outlines_vocabulary() -> object:
    from outlines_core import Vocabulary

    return Vocabulary(end, {symbol: [token] for token, symbol in enumerate(symbols)})


@cache
def llguidance_tokenizer() -> object:
    from llguidance import LLTokenizer, TokenizerWrapper

    return LLTokenizer(TokenizerWrapper(Characters()))


def draw(mask: np.ndarray) -> int:
    """Draw a token that a mask of bits allows."""
    allowed = np.unpackbits(mask.view(np.uint8), bitorder="little", count=end + 1)
    return sampler.draw(np.where(allowed, logits_with_end, np.float32(-np.inf)))


def limit_memory() -> None:
    """Fail instead of using the whole memory: some libraries set no limit to an expression."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (task["memory"], task["memory"]))


def measure(compile_expression: Callable[[str], Generate], expression: str) -> dict[str, float]:
    """Return the seconds to compile an expression, the seconds per character, and the number of cut texts."""
    compile_constraint.cache_clear()
    start = perf_counter()
    generate = compile_expression(expression)
    # The first text, because llguidance compiles while it reads a text.
    generate()
    compiled = perf_counter() - start
    start = perf_counter()
    counts = [generate() for _ in range(task["texts"])]
    seconds = perf_counter() - start
    cut = sum(count < 0 for count in counts)
    return {"compile": compiled, "character": seconds / sum(map(abs, counts)), "cut": cut}


def main() -> None:
    """Measure each expression, and print the results as JSON."""
    library = sys.argv[1]
    limit_memory()
    results = {}
    for expression in task["expressions"]:
        # Also imports the library and prepares its vocabulary.
        LIBRARIES[library](expression)()
        results[expression] = measure(LIBRARIES[library], expression)
    package = library if library in {"outlines_core", "llguidance"} else "textgen-onnx"
    json.dump({"results": results, "version": f"{package} {version(package)}"}, sys.stdout)


LIBRARIES = {"native": native, "tables": tables, "outlines_core": outlines_core, "llguidance": llguidance}

if __name__ == "__main__":
    main()
