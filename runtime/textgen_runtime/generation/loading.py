"""``load``: a ``Model`` from a model file or its content."""

from operator import index

from textgen_runtime.engines.opening import EngineName, open_engine
from textgen_runtime.errors import ModelFileError
from textgen_runtime.model_file.source import ModelSource, check_size, name_source, read_model

from .model import Model


def load(
    source: ModelSource, *, engine: EngineName = "auto", threads: int = 1, novel: str | None = None
) -> Model:
    """Load a model.

    Args:
        source: The path of a model file, the path of a folder that contains ``model.onnx``, or the name of a
            bundled model (see ``bundled_models``). It can also be the content of a model file, as bytes or as
            a binary file object, which is read to its end. Bytes are never interpreted as a path.
        engine: The engine that runs the model. ``"native"`` is much faster, but supports only the graphs that
            ``textgen-train`` writes. ``"onnxruntime"`` runs any graph with the documented inputs and outputs.
            Use ``"onnxruntime"`` only for files that you trust, because a graph can take unlimited time and
            memory. ``"auto"`` is currently the same as ``"native"``. ``Model.engine.name`` is the name of the
            engine in use.
        threads: Maximum number of threads, 1 or more. The native engine distributes the lanes of a batch over
            threads. onnxruntime uses threads within one step.
        novel: A corpus, as text, that ``max_copy`` keeps texts from copying; see ``Model.with_novel``.

    Returns:
        The model.

    Raises:
        ModelFileError: If the file is missing, damaged, or not a text generator, or if the engine does not
            support its graph.
        ValueError: If ``engine`` is not one of these names, or ``threads`` is less than 1.
        TypeError: If ``source`` is of an unsupported type, or ``threads`` is not an integer.
        TextgenError: If the engine is onnxruntime, which is not installed.
    """
    if engine not in ("auto", "native", "onnxruntime"):
        raise ValueError(f"engine must be 'auto', 'native' or 'onnxruntime', not {engine!r}")
    threads = index(threads)
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    name = name_source(source)
    content = read_model(source)
    try:
        model = open_model(content, engine, threads)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: ", *error.args) from error
    return model if novel is None else model.with_novel(novel)


def open_model(content: bytes, engine: EngineName = "auto", threads: int = 1) -> Model:
    """Load a model from the content of its file. Arguments and errors are those of ``load``."""
    check_size(len(content))
    opened, metadata = open_engine(content, engine, threads)
    return Model(opened, metadata, content, (open_model, (content, engine, threads)))
