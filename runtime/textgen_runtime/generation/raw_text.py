"""Texts of models of bytes that keep the bytes that are not UTF-8."""

from textgen_runtime.text.byte_tokenizer import RawByteTokenizer

from .model import Model


def keep_bytes(model: Model) -> Model:
    """Return a model of bytes whose texts keep bytes that are not UTF-8, as U+DC80 to U+DCFF.

    ``str.encode("utf-8", "surrogateescape")`` returns the bytes of such a text. Finish the last part of
    a text: without that, the bytes of an incomplete character at its end are missing.
    """
    tokenizer = RawByteTokenizer(model.tokenizer.symbols, model.tokenizer.special)
    metadata = model.metadata._replace(tokenizer=tokenizer)
    return Model(model.engine, metadata, model._content, novel=model.novel)  # noqa: SLF001 (private to the folder)
