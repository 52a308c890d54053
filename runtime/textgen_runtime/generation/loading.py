"""From a model file, or its content, to a ``Model``."""

from operator import index

from textgen_runtime.engines.opening import EngineName, open_engine
from textgen_runtime.errors import ModelFileError
from textgen_runtime.model_file.source import ModelSource, check_size, name_source, read_model

from .model import Model


def load(source: ModelSource, *, engine: EngineName = "auto", threads: int = 1) -> Model:
    """Load a model.

    Args:
        source: The path of a model file, the path of a folder that holds ``model.onnx``, or the name of a
            bundled model (see ``bundled_models``). Or the content of a model file: bytes, or a file object
            opened in binary mode, which is read to its end. Bytes are never a path.
        engine: What runs it. ``"native"`` is far faster and knows the graphs that ``textgen-train`` writes.
            ``"onnxruntime"`` runs any graph with the contract's inputs and outputs: a graph can take any time
            and memory, so that is only for files that are trusted. ``"auto"`` is the native one.
            ``Model.engine.name`` says which it is.
        threads: How many threads may work at once: with the native engine on several texts side by side,
            with onnxruntime inside one step.

    Raises:
        ModelFileError: If the file is missing, damaged, or not a text generator; one line says which.
        ValueError: If ``engine`` or ``threads`` is not as stated.
        TypeError: If ``source`` is none of these.
    """
    if engine not in ("auto", "native", "onnxruntime"):
        raise ValueError(f"engine must be 'auto', 'native' or 'onnxruntime', not {engine!r}")
    threads = index(threads)
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    name = name_source(source)
    content = read_model(source)
    try:
        return open_model(content, engine, threads)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error


def open_model(content: bytes, engine: EngineName = "auto", threads: int = 1) -> Model:
    """What ``load`` makes of a file's content; arguments and errors are the same."""
    check_size(len(content))
    opened, metadata = open_engine(content, engine, threads)
    return Model(opened, metadata, content, (open_model, (content, engine, threads)))
