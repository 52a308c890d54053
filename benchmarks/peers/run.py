"""Compare the native engine with other libraries on the bundled model, each in a separate environment.

    python benchmarks/peers/run.py

The environments are created in build/peers on the first run, from the package index that pip is configured
for. All programs compute the network of the bundled model, which is one of the preset ``small``, and draw
each character. They take turns in several rounds, so that a drift of the machine's speed affects all of them
equally. The medians are written to ``results.json``, and printed as ``docs/results.md`` has them. A test
compares the page with the file, and the network with the preset.
"""

import datetime as dt
import json
import statistics
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, NamedTuple

import textgen_runtime as textgen
from textgen_runtime.bench.machine import describe_machine
from textgen_runtime.bench.report import MICROSECONDS, per_second
from textgen_runtime.model_file.network import LSTM, Embedding, Network
from textgen_runtime.model_file.source import find_model_file

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results.json"
ROUNDS = 3
MODEL, INT8_MODEL = "nietzsche-float32", "nietzsche"
KERAS, FLOAT32 = "Keras, the textbook's loop", "textgen-onnx, float32"


class Peer(NamedTuple):
    """A program of the comparison.

    Attributes:
        script: The name of the script in this folder.
        requirements: The packages of its environment.
        model: The name of a bundled model. Only scripts that run a model file read it.
    """

    script: str
    requirements: list[str]
    model: str = MODEL


# From the slowest to the fastest.
PEERS = {
    KERAS: Peer("keras_loop.py", ["tensorflow-cpu"]),
    "PyTorch, state carried": Peer("torch_loop.py", ["torch", "numpy"]),
    "onnxruntime, `session.run`": Peer("onnxruntime_loop.py", ["onnxruntime", "numpy"]),
    "onnxruntime, IO binding": Peer("onnxruntime_binding.py", ["onnxruntime", "numpy"]),
    FLOAT32: Peer("textgen_loop.py", [str(ROOT)]),
    "textgen-onnx, 8-bit weights": Peer("textgen_loop.py", [str(ROOT)], INT8_MODEL),
}


def environment(requirements: list[str]) -> Path:
    """Create an environment with the given packages if there is none, and return its interpreter."""
    name = "-".join(Path(requirement).name for requirement in requirements)
    folder = ROOT / "build" / "peers" / name
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    marker = folder / "installed"
    is_new = not marker.exists()
    if is_new:
        print(f"creating an environment with {', '.join(requirements)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        marker.touch()
    if str(ROOT) in requirements and not is_new:
        # The project may have changed since the environment was created.
        options = ["--quiet", "--force-reinstall", "--no-deps", "--no-cache-dir", str(ROOT)]
        subprocess.run([python, "-m", "pip", "install", *options], check=True)
    return python


def sizes(network: Network) -> dict[str, int]:
    """Return the sizes of an LSTM, by the names of the options of the scripts."""
    embedding, *cells, _ = network.layers
    if not isinstance(embedding, Embedding) or not all(
        isinstance(cell, LSTM) and not cell.residual for cell in cells
    ):
        sys.exit("the scripts of the other programs compute only an LSTM without residual connections")
    layers, units = network.depth_and_units
    return {
        "layers": layers,
        "units": units,
        "embedding": embedding.outputs,
        "vocabulary": network.vocabulary,
    }


def measure(peers: dict[str, Peer]) -> dict[str, Any]:
    """Run all programs in turns, and return the results with the network and the machine."""
    network = sizes(textgen.load(MODEL).engine.network)
    if sizes(textgen.load(INT8_MODEL).engine.network) != network:
        sys.exit(f"{INT8_MODEL} and {MODEL} must have the same network")
    options = [f"--{name}={size}" for name, size in network.items()]
    interpreters = {name: environment(peer.requirements) for name, peer in peers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    versions = {}
    for _ in range(ROUNDS):
        for name, peer in peers.items():
            result = subprocess.run(
                [interpreters[name], HERE / peer.script, f"--model={find_model_file(peer.model)}", *options],
                check=False,
                capture_output=True,
                cwd=HERE,
            )
            if result.returncode:
                # Standard error is printed only after a failure, because some libraries log a lot at startup.
                sys.exit(f"{name} failed:\n{result.stderr.decode(errors='replace')}")
            timing = json.loads(result.stdout)
            seconds[name].append(timing["seconds"])
            versions[name] = timing["versions"]
    machine = describe_machine()
    return {
        "date": dt.date.today().isoformat(),
        "machine": {name: machine[name] for name in ("processor", "cores", "kernels", "python")},
        "network": network,
        "programs": {
            name: {"version": versions[name], "seconds": statistics.median(seconds[name])} for name in peers
        },
    }


def table(results: dict[str, Any]) -> str:
    """Return the table of the documentation."""
    unit = results["programs"][FLOAT32]["seconds"]
    rows = [
        "| program | version | time per character | characters per second | relative time |",
        "|---|---|---:|---:|---:|",
    ]
    for name, program in results["programs"].items():
        seconds, ratio = program["seconds"], program["seconds"] / unit
        relative = f"{ratio:,.2f}" if ratio < 100 else f"{ratio:,.0f}"  # noqa: PLR2004
        time = f"{seconds * MICROSECONDS:,.2f} µs"
        rows.append(f"| {name} | {program['version']} | {time} | {per_second(seconds)} | {relative} |")
    return "\n".join(rows)


def main() -> None:
    """Run all programs, write the results, and print the table."""
    results = measure(PEERS)
    RESULTS.write_text(f"{json.dumps(results, indent=1, ensure_ascii=False)}\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
