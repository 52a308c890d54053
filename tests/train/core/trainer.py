"""The trainer in C, compiled as a library, and its structures and functions for Python."""

import ctypes
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from ctypes import (
    POINTER,
    Structure,
    byref,
    c_bool,
    c_char,
    c_double,
    c_float,
    c_int,
    c_int32,
    c_int64,
    c_ssize_t,
    c_uint64,
    c_void_p,
    cast,
)
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from tests.helpers.c_programs import (
    BUILDS,
    CORE,
    HEADERS,
    SOURCES,
    WARNINGS,
    Build,
    digest,
    emulated,
    make_once,
    predefined_macros,
    programs_folder,
    run,
)
from tests.helpers.paths import ROOT

TRAINER = ROOT / "train" / "core"
OPTIONS = re.findall(r"^\w+\((\w+), (\w+), ", (TRAINER / "textgen_options.def").read_text(), re.MULTILINE)
ALIGNMENT = 64


class Shape(Structure):
    """``textgen_network_shape``."""

    _fields_: ClassVar = [(name, c_ssize_t) for name in ("vocabulary", "embedding", "units", "layers")] + [
        ("residual", c_bool)
    ]


class Matrix(Structure):
    """``textgen_matrix``."""

    _fields_: ClassVar = [("kind", c_int)] + [
        (name, c_ssize_t) for name in ("layer", "rows", "columns", "offset")
    ]


class Regularization(Structure):
    """``textgen_regularization``."""

    _fields_: ClassVar = [
        (name, c_float)
        for name in ("dropout", "input_dropout", "weight_dropout", "activation_penalty", "confidence_penalty")
    ]


class Part(Structure):
    """``textgen_batch_part``."""

    _fields_: ClassVar = [
        ("time", c_ssize_t),
        ("lanes", c_ssize_t),
        ("tokens", c_void_p),
        ("targets", c_void_p),
        ("stride", c_ssize_t),
        ("state", c_void_p),
        ("scale", c_float),
        ("key", c_uint64),
        ("teacher", c_void_p),
        ("places", c_void_p),
    ]


class Tokens(Structure):
    """``textgen_tokens``."""

    _fields_: ClassVar = [
        ("data", c_void_p),
        ("bytes", c_int),
        ("count", c_int64),
        ("begin", c_int32),
        ("end", c_int32),
    ]


class Teacher(Structure):
    """``textgen_teacher``."""

    _fields_: ClassVar = [
        ("shares", c_void_p),
        ("tokens", Tokens),
        ("columns", c_ssize_t),
        ("weight", c_float),
    ]


class Error(Structure):
    """``textgen_error``."""

    _fields_: ClassVar = [
        ("code", c_int32),
        ("parameter", ctypes.c_char_p),
        ("place", c_int64),
        ("message", c_char * 244),
    ]


class Info(Structure):
    """``textgen_corpus_info``."""

    _fields_: ClassVar = [
        *[
            (name, ctypes.c_size_t)
            for name in (
                "vocabulary",
                "common",
                "training_tokens",
                "held_out_tokens",
                "training_characters",
                "held_out_characters",
                "training_records",
                "held_out_records",
            )
        ],
        ("share", c_double),  # held_out
    ]


class TrainerInfo(Structure):
    """``textgen_trainer_info``."""

    _fields_: ClassVar = [
        *((name, ctypes.c_size_t) for name in ("parameters", "memory", "per_epoch", "step")),
        ("epoch", c_double),
        ("threads", c_int32),
        ("precision", c_int32),
        ("kernels", ctypes.c_char_p),
        *((name, ctypes.c_size_t) for name in ("parts", "part_size", "weights")),
    ]


class Content(Structure):
    """``textgen_corpus_content``."""

    _fields_: ClassVar = [
        ("training", c_void_p),
        ("held_out", c_void_p),
        ("bytes", c_int32),
        ("before", c_int32),
        *[(name, ctypes.c_char_p) for name in ("vocabulary", "special", "prompts", "sha256")],
    ]


class Batch(Structure):
    """``textgen_batch``."""

    _fields_: ClassVar = [
        ("time", c_ssize_t),
        ("lanes", c_ssize_t),
        ("is_start", c_bool),
        ("targets", c_double),
        ("divisor", c_double),
        ("inputs", POINTER(c_int32)),
        ("next", POINTER(c_int32)),
        ("places", POINTER(c_int64)),
    ]


class Options(Structure):
    """``textgen_options``."""

    _fields_: ClassVar = [(name, c_int64 if kind == "int64_t" else c_double) for name, kind in OPTIONS]


class Run(Structure):
    """``textgen_run``: the fields before the arrays."""

    _fields_: ClassVar = [
        ("magic", c_char * 8),
        ("size", c_uint64),
        ("options", Options),
        ("vocabulary", c_int64),
        ("lanes", c_int64),
        ("parts", c_int64),
        ("seed", c_uint64),
        ("step", c_int64),
        ("epoch", c_int64),
        ("batch", c_int64),
        ("text", ctypes.c_ubyte * 32),
        ("progress", c_double),
    ]


@cache
def objects(build: Build) -> list[Path]:
    """Compile the trainer and the core, and return the object files."""
    headers = [*TRAINER.glob("*.[hd]*"), *CORE.glob("**/*.[hd]*")]
    command = [
        *build.command,
        *WARNINGS,
        "-O2",
        "-ffp-contract=off",
        "-fPIC",
        "-pthread",
        f"-I{CORE}",
        f"-I{TRAINER}",
    ]
    folder = programs_folder() / digest(command)
    folder.mkdir(parents=True, exist_ok=True)
    common = digest([*command, predefined_macros(*build.command), *headers])

    def compile_one(source: Path) -> Path:
        return make_once(
            folder / f"{source.parent.name}-{source.stem}.o",
            digest([common, source]),
            lambda target: run(*command, "-c", source, "-o", target),
        )

    with FileLock(folder / "lock"), ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, [*TRAINER.glob("*.c"), *SOURCES]))


def link(build: Build, name: str, *arguments: str | Path) -> Path:
    """Link what uses the trainer. It is compiled again if anything has changed."""
    parts = objects(build)
    command = [*build.command, *WARNINGS, "-O1", "-DTEXTGEN_TRAIN", f"-I{CORE}", f"-I{TRAINER}"]
    command += [*map(str, arguments), *map(str, parts), "-lm", "-pthread"]
    read = [path for path in arguments if isinstance(path, Path)]
    key = digest([*command, *read, *parts, *HEADERS, *TRAINER.glob("*.[hd]*")])
    with FileLock(parts[0].parent / "lock"):
        return make_once(parts[0].with_name(name), key, lambda target: run(*command, "-o", target))


def program(*sources: Path, build: Build = BUILDS[0]) -> Path:
    """Compile a program that uses the trainer. Its name is that of the first source."""
    return emulated(link(build, sources[0].stem, *sources))


@cache
def library() -> Any:
    """Load the library."""
    loaded = ctypes.CDLL(str(link(BUILDS[0], "libtrainer.so", "-shared")))
    for name, result in RESULTS.items():
        getattr(loaded, f"textgen_{name}").restype = result
    return loaded


RESULTS = {
    "matrix_at": Matrix,
    "matrix_count": c_ssize_t,
    "weight_count": c_ssize_t,
    "state_stride": c_ssize_t,
    "find_learn_kernels": c_void_p,
    "learner_size": c_uint64,
    "learner_init": c_void_p,
    "learner_gradient": c_double,
    "batches_size": c_uint64,
    "batches_init": c_void_p,
    "batches_per_epoch": c_int64,
    "batches_lanes": c_ssize_t,
    "batches_rows": c_ssize_t,
    "batches_get": POINTER(Batch),
    "default_options": Options,
    "check_options": c_int32,
    "run_size": c_uint64,
    "run_init": c_void_p,
    "run_check": c_int32,
    "run_check_text": c_int32,
    "run_weights": c_void_p,
    "write_model": ctypes.c_size_t,
    "update_size": c_uint64,
    "update_init": c_void_p,
    "task_size": c_uint64,
    "update_tasks": c_int64,
    "update_gradient": c_void_p,
    "update_end": c_double,
    "score_size": c_uint64,
    "score_init": c_void_p,
    "score_tasks": c_int64,
    "score_end": c_double,
    "pool_create": c_void_p,
    "trainer_update": c_double,
    "corpus_get_content": Content,
    "corpus_get_info": POINTER(Info),
    "trainer_score": c_double,
    "trainer_score_start": c_double,
    "trainer_write_model": ctypes.c_size_t,
    "rate_factor": c_double,
    "batches_get_per_epoch": ctypes.c_size_t,
    "trainer_save": c_void_p,
    "trainer_get_info": TrainerInfo,
    "trainer_end": c_double,
    "trainer_weights": c_void_p,
}


def memory(size: int) -> tuple[NDArray[np.uint8], c_void_p]:
    """Return zeros, and their address aligned to 64 bytes."""
    array = np.zeros(size + ALIGNMENT, np.uint8)
    return array, c_void_p(-(-array.ctypes.data // ALIGNMENT) * ALIGNMENT)


def address(array: NDArray[Any]) -> c_void_p:
    """Return the address of an array, which must outlive its use."""
    assert array.flags.c_contiguous
    return c_void_p(array.ctypes.data)


def kernels(name: str | None = None, *, is_bfloat16: bool = False) -> c_void_p | None:
    """Return the kernels of this name, or the best ones; None if this processor has no such kernels."""
    found = library().textgen_find_learn_kernels(name.encode() if name else None, c_bool(is_bfloat16))
    return c_void_p(found) if found else None


def matrices(shape: Shape) -> list[Matrix]:
    """Return the matrices of a network."""
    count: int = library().textgen_matrix_count(byref(shape))
    return [library().textgen_matrix_at(byref(shape), c_ssize_t(i)) for i in range(count)]


def padded_units(shape: Shape) -> int:
    """Return the number of units of a gate, with their padding."""
    units: int = shape.units
    return -(-units // 8) * 8


def without_padding(shape: Shape, matrix: Matrix, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a view of a matrix in an array of weights; gates are the second of three dimensions."""
    found = numbers[matrix.offset : matrix.offset + matrix.rows * matrix.columns]
    found = found.reshape(matrix.rows, matrix.columns)
    if matrix.kind in (1, 2, 3):
        return found.reshape(matrix.rows, 4, padded_units(shape))[:, :, : shape.units]
    return found[:, : shape.embedding if matrix.kind == 0 else shape.vocabulary]


def tokens_of(array: NDArray[Any], begin: int = -1, end: int = -1) -> Tokens:
    """Describe the tokens of a text. The array must outlive the result."""
    return Tokens(array.ctypes.data, array.itemsize, len(array), begin, end)


class Trainer:
    """A run of training with its working memory."""

    def __init__(  # noqa: PLR0913 (keywords)
        self,
        text: NDArray[Any],
        vocabulary: int,
        options: Mapping[str, float],
        *,
        seed: int = 0,
        threads: int = 1,
        kernel_name: str | None = None,
        records: tuple[int, int] = (-1, -1),
    ) -> None:
        self.core, self.text = library(), text
        self.options = self.core.textgen_default_options()
        for name, value in options.items():
            setattr(self.options, name, value)
        self.tokens = tokens_of(text, *records)
        sizes = c_int64(self.options.batch), c_int64(self.options.sequence_length)
        self._batches, start = memory(self.core.textgen_batches_size(byref(self.tokens), *sizes))
        self.batches = c_void_p(self.core.textgen_batches_init(start, byref(self.tokens), *sizes))
        lanes = c_int64(self.core.textgen_batches_lanes(self.batches))
        size = self.core.textgen_run_size(byref(self.options), c_int64(vocabulary), lanes)
        self._block, self.start = memory(size)
        self.core.textgen_run_init(
            self.start, byref(self.options), c_int64(vocabulary), lanes, c_uint64(seed), byref(self.tokens)
        )
        self.size, self.run = size, cast(self.start, POINTER(Run)).contents
        self._update, start = memory(self.core.textgen_update_size(self.start))
        self.update = c_void_p(
            self.core.textgen_update_init(
                start,
                self.start,
                self.batches,
                kernels(kernel_name, is_bfloat16=bool(self.options.precision)),
            )
        )
        task_size = self.core.textgen_task_size(self.start, self.batches)
        self._task, self.task = memory(task_size)
        self.pool = (
            c_void_p(self.core.textgen_pool_create(threads, c_uint64(task_size))) if threads > 1 else None
        )

    @property
    def block(self) -> bytes:
        """A copy of the run."""
        return ctypes.string_at(self.start, self.size)

    def restore(self, block: bytes) -> None:
        """Replace the run."""
        assert len(block) == self.size
        ctypes.memmove(self.start, block, self.size)
        ctypes.memset(self.task, 0, len(self._task) - ALIGNMENT)

    @property
    def shape(self) -> Shape:
        """The sizes of the network."""
        options = self.options
        return Shape(self.run.vocabulary, options.embedding, options.units, options.layers, options.residual)

    @property
    def weights(self) -> NDArray[np.float32]:
        """A view of all weights."""
        count = self.core.textgen_weight_count(byref(self.shape))
        values = cast(self.core.textgen_run_weights(self.start), POINTER(c_float))
        return np.ctypeslib.as_array(values, (count,))

    @property
    def gradient(self) -> NDArray[np.float32]:
        """A view of the gradient of an update after its sums."""
        values = cast(self.core.textgen_update_gradient(self.update), POINTER(c_float))
        return np.ctypeslib.as_array(values, (len(self.weights),))

    def step(self, progress: float = 0.0) -> float:
        """Make an update, and return its loss."""
        self.core.textgen_update_begin(self.update, c_double(progress))
        for phase in range(3):
            self.run_phase(phase)
        return float(self.core.textgen_update_end(self.update))

    def run_phase(self, phase: int) -> None:
        """Run the tasks of a phase; without threads backwards, because their order does not matter."""
        if self.pool:
            self.core.textgen_pool_phase(self.pool, self.update, phase)
            return
        for task in reversed(range(self.core.textgen_update_tasks(self.update, phase))):
            self.core.textgen_update_task(self.update, phase, c_int64(task), self.task)

    def score(self, text: NDArray[Any], before: int, records: tuple[int, int] = (-1, -1)) -> float:
        """Return the sum of the losses of a text, in nats."""
        tokens = tokens_of(text, *records)
        held, start = memory(self.core.textgen_score_size(self.update, byref(tokens)))
        score = c_void_p(self.core.textgen_score_init(start, self.update, byref(tokens), before))
        for task in range(self.core.textgen_score_tasks(score)):
            self.core.textgen_score_task(score, c_int64(task), self.task)
        total = float(self.core.textgen_score_end(score, self.task))
        del held
        return total

    def model_file(self, metadata: dict[str, str]) -> bytes:
        """Return the model file with these entries."""
        texts = [text.encode() for entry in metadata.items() for text in entry]
        entries = (ctypes.c_char_p * len(texts))(*texts)
        arguments = self.start, entries, ctypes.c_size_t(len(texts))
        content = ctypes.create_string_buffer(self.core.textgen_write_model(*arguments, None))
        self.core.textgen_write_model(*arguments, content)
        return content.raw
