"""Runs what a user would pick instead, each in an environment of its own, and prints the table.

    python benchmarks/peers/run.py MODEL

The environments are built under build/peers the first time, from the package index that pip is set up for.
Each peer runs on the same task one after the other, for several turns, so that a drift of the machine's
speed hits all of them; medians are compared.
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
from textgen_runtime.bench.machine import machine
from textgen_runtime.bench.report import Section, microseconds, per_second, times
from textgen_runtime.model_file.bundled import find_model_file

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TURNS = 3

# What it is, its script, and what its environment needs.
PEERS = {
    "Keras, the textbook's loop": ("keras_loop.py", ["tensorflow-cpu"]),
    "PyTorch, state carried": ("torch_loop.py", ["torch", "numpy"]),
    "onnxruntime, session.run": ("onnxruntime_loop.py", ["onnxruntime", "numpy"]),
    "onnxruntime, IO binding": ("onnxruntime_binding.py", ["onnxruntime", "numpy"]),
    "textgen-onnx, native": ("textgen_loop.py", [str(ROOT)]),
}


def environment(requirements: list[str]) -> Path:
    """The interpreter of an environment with these packages, built if it is not there."""
    name = "-".join(Path(requirement).name for requirement in requirements)
    folder = ROOT / "build" / "peers" / name
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    done = folder / "installed"
    if not done.exists():
        print(f"building an environment with {', '.join(requirements)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        done.touch()
    if str(ROOT) in requirements:
        # The project as it is now, not as it was when the environment was built.
        latest = ["--quiet", "--force-reinstall", "--no-deps", "--no-cache-dir", str(ROOT)]
        subprocess.run([python, "-m", "pip", "install", *latest], check=True)
    return python


def main() -> None:
    """Build, run, print."""
    parser = argparse.ArgumentParser(description="Compare with what a user would pick instead.")
    parser.add_argument("model", help="a model.onnx that textgen-train wrote, or the name of one that ships")
    path = Path(find_model_file(parser.parse_args().model)).resolve()
    model = textgen.load(path)
    layers, units = model.engine.network.recurrent
    if layers > 1:
        sys.exit("the peers' loops have one layer, and the model has several")
    sizes = ["--units", str(units), "--vocabulary", str(len(model.tokenizer))]
    seconds: dict[str, list[float]] = {name: [] for name in PEERS}
    versions = {}
    interpreters = {name: environment(requirements) for name, (_, requirements) in PEERS.items()}
    for _ in range(TURNS):
        for name, (script, _) in PEERS.items():
            done = subprocess.run(
                [interpreters[name], HERE / script, "--model", path, *sizes],
                check=False,
                capture_output=True,
                cwd=HERE,
            )
            if done.returncode:
                # Kept back otherwise: some peers talk at length on every start.
                sys.exit(f"{name} failed:\n{done.stderr.decode(errors='replace')}")
            result = json.loads(done.stdout)
            seconds[name].append(result["seconds"])
            versions[name] = result["versions"]
    middle = {name: statistics.median(turns) for name, turns in seconds.items()}
    ours = middle["textgen-onnx, native"]
    rows = [
        (name, [versions[name], microseconds(each), per_second(each), times(each / ours)])
        for name, each in middle.items()
    ]
    title = f"{layers} x {units} units, sampling included, {dt.date.today()}"
    here = machine()
    print(f"{here['processor']}, {here['cores']} cores, Python {here['python']}")
    print(Section(title, ["version", "a character", "characters", "it / native"], rows))


if __name__ == "__main__":
    main()
