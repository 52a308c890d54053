"""Compare the native engine with other libraries, each in a separate environment.

    python benchmarks/peers/run.py MODEL

The environments are created in build/peers on the first run, from the package index that pip is configured
for. All peers perform the same task, in several alternating rounds, so that a drift of the machine's speed
affects all of them equally. The table compares medians.
"""

import argparse
import datetime as dt
import json
import statistics
import subprocess
import sys
import venv
from pathlib import Path

import textgen_runtime as textgen
from textgen_runtime.bench.machine import describe_machine
from textgen_runtime.bench.report import Section, microseconds, per_second, times
from textgen_runtime.model_file.source import find_model_file

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ROUNDS = 3

# Label -> script and requirements.
PEERS = {
    "Keras, the textbook's loop": ("keras_loop.py", ["tensorflow-cpu"]),
    "PyTorch, state carried": ("torch_loop.py", ["torch", "numpy"]),
    "onnxruntime, session.run": ("onnxruntime_loop.py", ["onnxruntime", "numpy"]),
    "onnxruntime, IO binding": ("onnxruntime_binding.py", ["onnxruntime", "numpy"]),
    "textgen-onnx, native": ("textgen_loop.py", [str(ROOT)]),
}


def environment(requirements: list[str]) -> Path:
    """Create an environment with the given packages if there is none, and return its interpreter."""
    name = "-".join(Path(requirement).name for requirement in requirements)
    folder = ROOT / "build" / "peers" / name
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    marker = folder / "installed"
    if not marker.exists():
        print(f"creating an environment with {', '.join(requirements)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        marker.touch()
    if str(ROOT) in requirements:
        # Install the current version of the project, also into an existing environment.
        options = ["--quiet", "--force-reinstall", "--no-deps", "--no-cache-dir", str(ROOT)]
        subprocess.run([python, "-m", "pip", "install", *options], check=True)
    return python


def main() -> None:
    """Run all peers and print the table."""
    parser = argparse.ArgumentParser(description="Compare the native engine with other libraries.")
    parser.add_argument("model", help="model file of textgen-train, or name of a bundled model")
    path = Path(find_model_file(parser.parse_args().model)).resolve()
    model = textgen.load(path)
    layers, units = model.engine.network.depth_and_units
    if layers > 1:
        sys.exit(f"the model has {layers} layers, and the peers support only one: choose another model")
    sizes = ["--units", str(units), "--vocabulary", str(len(model.tokenizer))]
    seconds: dict[str, list[float]] = {name: [] for name in PEERS}
    versions = {}
    interpreters = {name: environment(requirements) for name, (_, requirements) in PEERS.items()}
    for _ in range(ROUNDS):
        for name, (script, _) in PEERS.items():
            result = subprocess.run(
                [interpreters[name], HERE / script, "--model", path, *sizes],
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
    medians = {name: statistics.median(rounds) for name, rounds in seconds.items()}
    native = medians["textgen-onnx, native"]
    rows = [
        (name, [versions[name], microseconds(median), per_second(median), times(median / native)])
        for name, median in medians.items()
    ]
    title = f"{layers} x {units} units, including sampling, {dt.date.today()}"
    machine = describe_machine()
    print(f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}")
    print(Section(title, ["version", "per character", "characters/s", "time / native"], rows))


if __name__ == "__main__":
    main()
