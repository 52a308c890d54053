"""Compare the native engine with other programs on the bundled model, each in a separate environment.

    python -m benchmarks.peers [--only textgen]

The environments are created in build/peers on the first run, from the indexes that pip and npm are
configured for. The programs take turns in several rounds, so that a drift of the machine's speed affects all
of them equally. The medians are printed as ``docs/quality-and-speed.md`` has them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import textgen_runtime as textgen
from textgen_runtime.bench.report import format_machine, microseconds, per_second
from textgen_runtime.model_file import find_model_file

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "peers"
ROUNDS = 3
MODEL, INT8_MODEL = "nietzsche-float32", "nietzsche"


class Peer(NamedTuple):
    """A program: its name in ``programs.py``, the packages of its environment, and its bundled model."""

    program: str
    requirements: Sequence[str]
    model: str = MODEL


# From the slowest to the fastest.
PEERS = {
    "Keras, the textbook's loop": Peer("keras", ["tensorflow-cpu"]),
    "PyTorch, state carried": Peer("torch", ["torch", "numpy"]),
    "onnxruntime, `session.run`": Peer("onnxruntime", ["onnxruntime", "numpy"]),
    "onnxruntime-web in Node": Peer("onnxruntime.mjs", []),
    "textgen-onnx in Node, float32": Peer("textgen.mjs", []),
    "textgen-onnx, float32": Peer("textgen", [str(ROOT)]),
    "textgen-onnx, 8-bit weights": Peer("textgen", [str(ROOT)], INT8_MODEL),
}


def environment(requirements: Sequence[str]) -> Path:
    """Create an environment with the given packages if there is none, and return its interpreter."""
    folder = BUILD / "-".join(Path(requirement).name for requirement in requirements)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [str(python), "-m", "pip", "install", "--quiet"]
    if not (folder / "installed").exists():
        print(f"creating an environment with {', '.join(requirements)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([*install, *requirements], check=True)
        (folder / "installed").touch()
    elif str(ROOT) in requirements:
        # The project may have changed since the environment was created.
        subprocess.run([*install, "--force-reinstall", "--no-deps", "--no-cache-dir", str(ROOT)], check=True)
    return python


def command(peer: Peer, sizes: Sequence[str]) -> list[str]:
    """Return the command line of a program, and prepare what it needs."""
    model = str(find_model_file(peer.model))
    if peer.program.endswith(".mjs"):
        folder = BUILD / "node"
        packages = ["onnxruntime-web"] * (peer.program == "onnxruntime.mjs")
        subprocess.run(["npm", "install", "--silent", "--prefix", str(folder), *packages], check=True)
        return ["node", str(HERE / "programs.mjs"), peer.program.removesuffix(".mjs"), model, str(folder)]
    return [str(environment(peer.requirements)), str(HERE / "programs.py"), peer.program, model, *sizes]


def measure(peers: dict[str, Peer]) -> dict[str, list[dict[str, Any]]]:
    """Run all programs in turns, and return their results."""
    core = textgen.load(MODEL).engine.core
    sizes = (*core.size[:3], core.vocabulary_size)
    commands = {name: command(peer, [str(size) for size in sizes]) for name, peer in peers.items()}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in peers}
    for _ in range(ROUNDS):
        for name, words in commands.items():
            done = subprocess.run(words, check=False, capture_output=True, cwd=HERE)
            if done.returncode:
                # Some libraries log a lot, so it is printed only after a failure.
                sys.exit(f"{name} failed:\n{done.stderr.decode(errors='replace')}")
            results[name].append(json.loads(done.stdout))
    return results


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Return the table of the documentation. The relative time is that of textgen-onnx with float32."""
    seconds = {name: statistics.median(row["seconds"] for row in rows) for name, rows in results.items()}
    unit = seconds["textgen-onnx, float32"]
    lines = [
        "| program | version | time per character | characters per second | relative time |",
        "|---|---|---:|---:|---:|",
    ]
    for name, median in seconds.items():
        cells = (
            results[name][0]["version"],
            microseconds(median),
            per_second(median),
            f"{median / unit:,.2f}",
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the programs, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="only programs with this word in their name, and textgen")
    word = parser.parse_args(argv).only
    peers = {
        name: peer for name, peer in PEERS.items() if word in name or peer == PEERS["textgen-onnx, float32"]
    }
    print(f"{format_machine()}\n\n{table(measure(peers))}")


if __name__ == "__main__":
    main()
