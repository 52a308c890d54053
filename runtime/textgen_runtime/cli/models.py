"""The list of models that ship, as ``textgen-run --list`` prints it."""

import argparse
import sys
from typing import Any

from textgen_runtime.loading import load
from textgen_runtime.shipped import locate, shipped

from .shell import run_command

KILOBYTE = 1000


def describe(name: str) -> str:
    """A shipped model in a line: name, size, what it learned from, and how well."""
    model = load(name)
    training = model.training
    size = locate(name).stat().st_size / KILOBYTE
    return (
        f"{name}  {size:,.0f} kB, {model.engine.layers} x {model.engine.units} units; learned from "
        f"{training['corpus']}, {training['held_out_nats']:.4f} nats a character on "
        f"{training['split']['held_out']}"
    )


class ListModels(argparse.Action):
    """An option that prints the list and exits, whatever else is asked for."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.exit(run_command(parser.prog, list_models))


def list_models() -> int:
    """Print a line for each model that ships."""
    sys.stdout.writelines(f"{describe(name)}\n" for name in shipped())
    return 0
