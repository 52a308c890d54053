"""The 8-bit version of the best model, which a run writes at its end."""

from collections.abc import Callable
from pathlib import Path

from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.corpora.sources import QUANTIZED_FILE
from textgen_runtime.errors import ModelFileError
from textgen_runtime.model_file.metadata import Quantization
from textgen_runtime.model_file.source import MODEL_FILE, read_model
from textgen_runtime.system.files import replace_file

from textgen_train.errors import ExportError
from textgen_train.export.quantizer import check_increase, increase_warning, quantize_model

from .events import Watcher
from .held_out_loss import held_out_loss
from .specification import RunSpecification


class QuantizedFile(Watcher):
    """Converts the model file of a complete run to 8 bits, and scores it on the held-out text.

    Args:
        specification: The data of the run.
        folder: Output folder.
        write: Called with one line about the result.
        warn: Called with one line if there is no 8-bit model, or if its loss is much larger.
        threads: Number of threads that score the model.

    Attributes:
        quantization: The losses of both models; None before the end of the run, and if there is no 8-bit
            model.
    """

    def __init__(
        self,
        specification: RunSpecification,
        folder: Path,
        write: Callable[[str], None],
        warn: Callable[[str], None],
        threads: int = 1,
    ) -> None:
        self._specification, self._folder = specification, folder
        self._write, self._warn, self._threads = write, warn, threads
        self.quantization: Quantization | None = None
        self.files: list[str] = []

    def on_complete(self) -> None:
        """Write the 8-bit model.

        Raises:
            OutputError: If the file cannot be written. A resumed run tries again.
        """
        try:
            content = read_model(self._folder / MODEL_FILE)
            models = quantize_model(content, self._threads)
            float32_loss = models.float32.training["held_out_nats"]
            loss = held_out_loss(models.model, self._specification.dataset)
            check_increase(loss - float32_loss)
        except (ExportError, ModelFileError) as error:
            self._warn(f"{error}; {MODEL_FILE} is not affected")
            return
        quantization = Quantization(loss=loss, float32_loss=float32_loss, text=self._text())
        content = models.content_with(quantization)
        replace_file(self._folder / QUANTIZED_FILE, content)
        self.files, self.quantization = [QUANTIZED_FILE], quantization
        self._write(
            f"8 bits: held-out loss {loss:.4f} nats ({loss - float32_loss:+z.4f}), {len(content):,} bytes, "
            f"{len(content) / models.float32_size:.1%} of {models.float32_size:,}"
        )
        if warning := increase_warning(loss - float32_loss):
            self._warn(warning)

    def _text(self) -> dict[str, str | float]:
        """Return the description of the held-out text for the model file."""
        corpus, held_out = self._specification.corpus, self._specification.held_out
        name, last = (held_out.name, 1.0) if isinstance(held_out, Corpus) else (corpus.name, held_out)
        return {"name": name, "last": last, "characters": self._specification.dataset.held_out_characters}
