"""Models with other metadata than those of their files."""

from textgen_runtime import Metadata, Model


def with_metadata(model: Model, metadata: Metadata) -> Model:
    """Return a model with the same network and other metadata."""
    return Model(model.engine, metadata, model._content)
