"""The other learner: torch trains on GPUs, other cells, the classic recipe, and in several processes.

The batches, their order and the learning rates are those of the trainer in C.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import numpy as np
import onnx
import safetensors.torch
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors import SafetensorError
from textgen_runtime.errors import Name
from torch import Tensor, nn

from . import _core
from .config import process_numbers
from .errors import LostProcessError, RecipeError, TrainingError
from .export_torch import MAX_PARAMETERS, ONNX_GATES, build_model, reorder_gates
from .networks_torch import DROPOUTS, LSTM, REGULARIZATION, Conv, Network, State, set_classic_weights

# torch raises a plain RuntimeError with one of these phrases if it cannot allocate memory.
OUT_OF_MEMORY = ("allocate memory", "out of memory", "size calculation overflowed")


@contextmanager
def explaining_memory_errors() -> Iterator[None]:
    """Convert out-of-memory errors of Python and torch to a ``TrainingError``."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(phrase in str(error) for phrase in OUT_OF_MEMORY):
            raise
        raise TrainingError(
            "not enough memory for this network and batch size: lower ", Name("units"), " or ", Name("batch")
        ) from error


# ---- The loss ----


def losses(
    network: Network, outputs: Tensor, targets: Tensor, soft: tuple[Tensor, Tensor | None] | None
) -> tuple[Tensor, Tensor]:
    """Return what training makes small, and the cross-entropy of the targets in nats; both are sums.

    Args:
        network: Its penalties are added to the first value. The activation penalty is that of S. Merity and
            others, arXiv:1708.01009, and the confidence penalty that of G. Pereyra and others,
            arXiv:1701.06548.
        outputs: Those of the last layer, shape [targets, units].
        targets: Shape [targets], int64.
        soft: Shares of other tokens in the distribution of each target, which has the rest (G. Hinton and
            others, arXiv:1503.02531): shape [targets, n], and these tokens, or None for all.
    """
    with autocast(outputs.device):
        products = outputs @ network.output.weight.mT
    logarithms = (products.float() + network.output.bias).log_softmax(1)
    certain = logarithms.gather(1, targets[:, None])
    nats = -certain.sum()
    loss = nats
    if soft is not None:
        shares, tokens = soft
        predicted = logarithms if tokens is None else logarithms.gather(1, tokens)
        # Rounded probabilities may have a sum slightly above 1.
        rest = 1.0 - shares.sum(1, keepdim=True).clamp(max=1.0)
        loss = -(rest * certain).sum() - (shares * predicted).sum()
    if weight := network.regularization["activation_penalty"]:
        loss = loss + weight * outputs.float().square().mean(1).sum()
    if weight := network.regularization["confidence_penalty"]:
        loss = loss + weight * (logarithms.exp() * logarithms).sum()
    return loss, nats.detach()


# ---- Optimizers ----


class Muon(torch.optim.Optimizer):
    """Orthogonalizes the updates of weight matrices: K. Jordan and others, Muon, 2024.

    The scale of an update and the weight decay follow J. Liu and others, arXiv:2502.16982. torch's own Muon
    always uses bfloat16, which some processors emulate.
    """

    # Three of its steps train equally well as five: docs/quality-and-speed.md.
    MOMENTUM, STEPS, COEFFICIENTS = 0.95, 3, (3.4445, -4.7750, 2.0315)
    # Root mean square of a typical AdamW update.
    ADAMW_RMS = 0.2

    def __init__(self, weights: Sequence[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the weights from their gradients."""
        del closure
        for group in self.param_groups:
            for weight in group["params"]:
                momentum = self.state[weight]["momentum"].lerp_(weight.grad, 1.0 - self.MOMENTUM)
                update = orthogonalize(weight.grad.lerp(momentum, self.MOMENTUM))
                weight.mul_(1.0 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * self.ADAMW_RMS * math.sqrt(max(weight.shape)))


def orthogonalize(matrix: Tensor) -> Tensor:
    """Return an approximation of the nearest semi-orthogonal matrix, by Newton-Schulz iteration.

    Each step multiplies the matrix by a polynomial of its Gram matrix. Therefore the steps need only the Gram
    matrix, and the product of the polynomials: J. Zhang and others, Gram Newton-Schulz, 2026.
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix / (matrix.norm() + 1e-7)
    gram = x.mT @ x if is_tall else x @ x.mT
    linear, cubic, quintic = Muon.COEFFICIENTS
    product = torch.eye(len(gram), dtype=x.dtype, device=x.device)
    for _ in range(Muon.STEPS):
        polynomial = torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic)
        polynomial.diagonal().add_(linear)
        product, gram = product @ polynomial, polynomial @ gram @ polynomial
    result: Tensor = x @ product if is_tall else product @ x
    return result


# The tensors that each optimizer stores for a weight, besides the number of its steps.
MOMENTS: dict[type, tuple[str, ...]] = {
    Muon: ("momentum",),
    torch.optim.AdamW: ("exp_avg", "exp_avg_sq"),
    torch.optim.RMSprop: ("square_avg",),
}


def make_optimizers(network: Network, recipe: Mapping[str, Any]) -> list[torch.optim.Optimizer]:
    """Return the optimizers of a network, with their state before the first update."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizers: list[torch.optim.Optimizer]
    if "window" in recipe:
        # Keras's defaults.
        optimizers = [torch.optim.RMSprop(weights, recipe["learning_rate"], alpha=0.9, eps=1e-7)]
    else:
        of_layers = {weight for weight in network.layers.parameters() if weight.ndim == 2}  # noqa: PLR2004
        matrices = [weight for weight in weights if recipe["muon_lr"] and weight in of_layers]
        others = [weight for weight in weights if weight not in set(matrices)]
        decay = recipe["weight_decay"]
        adamw = torch.optim.AdamW(
            others, recipe["learning_rate"], (0.9, 0.99), weight_decay=decay, fused=True
        )
        optimizers = [adamw]
        if matrices:
            optimizers.append(Muon(matrices, recipe["muon_lr"], recipe["muon_weight_decay"]))
    for optimizer in optimizers:
        for weight in optimizer.param_groups[0]["params"]:
            state = {name: torch.zeros_like(weight) for name in MOMENTS[type(optimizer)]}
            if not isinstance(optimizer, Muon):
                device = weight.device if optimizer.defaults.get("fused") else "cpu"
                state["step"] = torch.zeros((), device=device)
            optimizer.state[weight] = state
    return optimizers


# ---- Batches of windows ----


class Windows:
    """The batches of the classic recipe: overlapping windows of a text, in an order of each epoch.

    F. Chollet, Deep Learning with Python (2017), listing 8.1 and following. Each window is a lane that starts
    from the initial state, and has one target, the token after it.
    """

    def __init__(self, text: NDArray[Any], recipe: Mapping[str, Any]) -> None:
        self._text, self._window, self._step = text, recipe["window"], recipe["window_step"]
        if len(text) <= self._window:
            raise RecipeError(
                Name("window"), f" is {self._window}, but the training text has only {len(text)} characters"
            )
        self._batch, self._count = recipe["batch"], -(-(len(text) - self._window) // self._step)
        self.per_epoch = -(-self._count // self._batch)

    def get(self, seed: int, epoch: int, index: int) -> _core.Batch:
        """Return a batch, as ``_core.Batches.get`` does."""
        rng = torch.Generator().manual_seed(derive_seed(seed, "windows", epoch))
        order = torch.randperm(self._count, generator=rng).numpy()
        starts = order[index * self._batch : (index + 1) * self._batch] * self._step
        inputs = self._text[starts + np.arange(self._window)[:, None]]
        targets, places = np.full(inputs.shape, -1), np.zeros(inputs.shape, np.int64)
        targets[-1] = self._text[starts + self._window]
        arrays: Any = inputs, targets, places
        count, parts = len(starts), [memoryview(array) for array in arrays]
        return _core.Batch(self._window, count, True, count, count, *parts)


def derive_seed(seed: int, purpose: str, *place: int) -> int:
    """Return a seed in [0, 2**56) for a purpose, at a place in a run. Nothing random must be stored."""
    text = " ".join(map(str, (seed, purpose, *place)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")


# ---- The device ----


def choose_device(name: str, index: int) -> torch.device:
    """Return a device. Each process of a machine has a GPU of its own; ``index`` is its number.

    Raises:
        TrainingError: If there is none.
    """
    if name == "cpu":
        return torch.device(name)
    count = torch.cuda.device_count() if name == "cuda" else int(torch.backends.mps.is_available())
    if index >= count:
        raise TrainingError(
            f"process {index + 1} of this machine needs a device {name}, but torch {torch.__version__} finds "
            f"{count}: choose another ",
            Name("device"),
        )
    return torch.device(name, index)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies matrices in bfloat16 in hardware. On MPS, it is not used."""
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def autocast(device: torch.device) -> torch.autocast:
    """Return a context that computes matrix products in bfloat16 if the device has it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


# ---- The learner ----

# What a recipe has in which the classic one has no choice.
FIXED = {"layers": 1, "residual": 0, "grad_clip": math.inf, **dict.fromkeys(REGULARIZATION, 0.0)}

# Held-out lanes, as the trainer in C has them (train/core/score.c): at most so many, so long at least, the
# tokens before a lane that lead to its first state, and how far this may be from the end of the lane before.
MAX_LANES, MIN_LANE, CONTEXT, MAX_STATE_DIFFERENCE = 32, 1024, 256, 1e-3
# Records are scored in groups of so many. All logits in memory at once are at most so many.
RECORD_LANES, MAX_LOGITS = 256, 2**24

# The most that a recipe of convolutions can have: each has an array of the state, and a graph 64 inputs.
LIMITS = (("weight_dropout", 0), ("layers", 63))

# torch and oneDNN keep kernels of a thousand shapes of batches, of up to a megabyte each. Records have
# hundreds of shapes. With so few kernels, a run takes half the memory, at the same speed.
CACHES, MAX_KERNELS = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"), "64"

# The options of a recipe that determine the memory of its batches.
SIZES_OF_BATCH = ("batch", "sequence_length")

# More updates do not fit into the numbers of the processes.
MAX_STEP = 2**48

# What the first process of several tells the others to do.
UPDATE, GATHER, SHARE, END = range(4)


class TorchLearner:
    """Trains a network by torch. ``_core.Trainer`` describes the methods that both learners have.

    Args:
        corpus: The texts.
        recipe: The options of ``train/core/textgen_options.def`` and ``cell``; or of the classic recipe:
            ``units``, ``window``, ``window_step``, ``batch`` and ``learning_rate``.
        seed: Of the weights, the order of the text, and dropout. On one machine, it reproduces a model if the
            numbers of threads and processes are the same.
        threads: Of the operations of torch.
        device: "cpu", "cuda" or "mps".

    Raises:
        RecipeError: If the recipe does not fit its cell or the corpus.
        TrainingError: If there is no such device, not enough memory, or another process is lost.

    Attributes:
        parameters: Number of weights that are trained.
        per_epoch: Updates of an epoch.
        step: Updates so far.
        precision: None, because the device determines it.
        description: The device and the precision, in words.
    """

    precision = None

    @explaining_memory_errors()
    def __init__(
        self, corpus: _core.Corpus, recipe: Mapping[str, Any], *, seed: int, threads: int, device: str
    ) -> None:
        for name in CACHES:
            os.environ.setdefault(name, MAX_KERNELS)
        torch.set_num_threads(threads)
        self.step, self._corpus, self._seed, self._is_classic = 0, corpus, seed, "window" in recipe
        classic = {**FIXED, "embedding": corpus.vocabulary_size} if self._is_classic else {}
        self._recipe: dict[str, Any] = {"cell": LSTM.kind, **recipe, **classic}
        for name, most in LIMITS if self._recipe["cell"] == Conv.kind else ():
            if self._recipe[name] > most:
                raise RecipeError(Name(name), f" must be at most {most} with convolutions")
        self._values = {
            option.name: recipe[option.name] for option in _core.options() if option.name in recipe
        }
        text = self._text = np.asarray(corpus.training)
        self._batches = Windows(text, recipe) if self._is_classic else _core.Batches(corpus, self._values)
        self.per_epoch = self._batches.per_epoch
        self._device = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
        # On the processor, so that the initial weights do not depend on the device.
        torch.manual_seed(derive_seed(seed, "weights"))
        network = self._network = Network(corpus.vocabulary_size, self._recipe)
        if self._is_classic:
            set_classic_weights(network)
        else:
            # With a vocabulary of thousands, learning the frequencies would take most of the first epochs.
            # The training text may not contain all tokens.
            counts = torch.from_numpy(np.bincount(text, minlength=corpus.vocabulary_size) + 0.5)
            network.output.bias.data.copy_((counts / counts.sum()).log())
        self.parameters = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
        if self.parameters > MAX_PARAMETERS:
            why = f"has {self.parameters:,} parameters, and an ONNX file at most {MAX_PARAMETERS:,}: lower "
            raise RecipeError("the network ", why, Name("units"))
        network.to(self._device).generator = torch.Generator(self._device)
        self._optimizers = make_optimizers(network, self._recipe)
        self._state: State = {}
        self._predictions: tuple[NDArray[np.uint16], NDArray[Any] | None, float] | None = None
        self._processes = Processes("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
        self._processes.compare(self._about()["identity"])
        names = {"cpu": f"cpu, {threads} thread{'s' * (threads > 1)}", "mps": "mps"}
        name = names.get(device) or f"CUDA device {torch.cuda.get_device_name(self._device)}"
        several = f", {self._processes.size} processes" * (self._processes.size > 1)
        self.description = f"{name}, {'bfloat16' if has_bfloat16(self._device) else 'float32'}{several}"

    @property
    def epoch(self) -> float:
        """Number of epochs so far."""
        return self.step / self.per_epoch

    def regularize(self, recipe: Mapping[str, Any]) -> None:
        """Change the dropouts and the penalties."""
        self._network.regularization = {name: float(recipe[name]) for name in REGULARIZATION}

    def teach(self, shares: Any, tokens: Any, columns: int, weight: float) -> None:
        """Also learn from predictions. Call it in each process."""

        def rows(values: Any, kind: Any) -> Any:
            return None if values is None else np.frombuffer(values, kind).reshape(-1, columns)

        self._predictions = rows(shares, np.uint16), rows(tokens, self._text.dtype), weight

    def update(self, progress: float) -> float:
        """Make an update. Return the mean loss of a target in nats, NaN if the gradient is not finite."""
        self._processes.tell(UPDATE, progress, *self._network.regularization.values())
        try:
            return self._update(progress)
        except BaseException:
            # The others are in the middle of an update.
            self._processes.is_open = False
            raise

    @explaining_memory_errors()
    def _update(self, progress: float) -> float:
        batch, network = self._batch_of(self.step), self._network
        lanes = self._processes.lanes_of(batch)
        inputs, targets, places = (
            torch.from_numpy(np.asarray(view).reshape(batch.time, -1)[:, lanes].astype(np.int64))
            for view in (batch.inputs, batch.targets, batch.places)
        )
        if batch.is_start:
            self._state = network.first_state(lanes.stop - lanes.start)
        network.generator.manual_seed(derive_seed(self._seed, "dropout", self.step, self._processes.rank))
        network.train().zero_grad()
        nats = torch.zeros((), device=self._device)
        if inputs.numel():
            with autocast(self._device):
                outputs, state = network(inputs.to(self._device), self._state)
            # Truncated backpropagation: no gradient flows into the batch before.
            self._state = {name: part.detach().float() for name, part in state.items()}
            is_target = targets >= 0
            soft = self._soft_targets(places[is_target].numpy())
            kept = outputs[is_target.to(self._device)], targets[is_target].to(self._device)
            loss, nats = losses(network, *kept, soft)
            (loss / batch.divisor).backward()  # type: ignore[no-untyped-call]
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        nats = self._processes.add_gradients(weights, nats)
        norm = nn.utils.clip_grad_norm_(weights, self._recipe["grad_clip"])
        is_finite = math.isfinite(norm + nats)
        factor = 1.0 if self._is_classic else _core.rate_factor(self._values, self.step, progress)
        for optimizer in self._optimizers if is_finite else ():
            optimizer.param_groups[0]["lr"] = optimizer.defaults["lr"] * factor
            optimizer.step()
        self.step += 1
        return float(nats) / batch.count if is_finite else math.nan

    def _batch_of(self, step: int) -> _core.Batch:
        return self._batches.get(self._seed, *divmod(step, self.per_epoch))

    def _soft_targets(self, places: NDArray[np.int64]) -> tuple[Tensor, Tensor | None] | None:
        """Return the predictions for the tokens at some places of the text; None without predictions."""
        if self._predictions is None:
            return None
        shares, tokens, weight = self._predictions
        taken = torch.from_numpy(shares[places].astype(np.float32) * (weight / 65535)).to(self._device)
        of = None if tokens is None else torch.from_numpy(tokens[places].astype(np.int64)).to(self._device)
        return taken, of

    # ---- The held-out text ----

    def score(self) -> float:
        """Return the loss of the held-out text in nats per character."""
        return self._nats(self._corpus.held_out_tokens) / self._corpus.held_out_characters

    def score_start(self, tokens: int) -> float:
        """Return the mean loss of the first tokens of the held-out text, in nats per token."""
        held_out, end = np.asarray(self._corpus.held_out), self._end
        tokens = min(tokens, len(held_out))
        if end is not None:
            tokens += int(np.argmax(held_out[tokens - 1 :] == end))
        return self._nats(tokens) / tokens

    @property
    def _end(self) -> int | None:
        """The token after each record; None in a continuous text."""
        end: int | None = json.loads(self._corpus.special or "{}").get("end")
        return end

    @explaining_memory_errors()
    @torch.no_grad()
    def _nats(self, count: int) -> float:
        """Return the sum of the losses of the first tokens of the held-out text."""
        before, network = self._corpus.before, self._network.eval()
        targets = np.asarray(self._corpus.held_out)[:count].astype(np.int64)
        inputs = np.append(before, targets[:-1])
        if self._end is not None:
            ends = np.flatnonzero(targets == self._end) + 1
            counts = np.diff(ends, prepend=0)
            starts = ends - counts
            inputs[starts] = before
            order = np.argsort(-counts, kind="stable")
            groups = np.array_split(order, -(-len(order) // RECORD_LANES))
            runs = (self._run(inputs, targets, starts[group], counts[group]) for group in groups)
            return math.fsum(float(sums.sum()) for sums, _ in runs)
        length = -(-count // min(MAX_LANES, -(-count // MIN_LANE)))
        starts = np.arange(0, count, length)
        counts = np.minimum(length, count - starts)
        begins = network.first_state(len(starts))
        if len(starts) > 1:
            context = np.full(len(starts) - 1, CONTEXT)
            for name, part in self._run(inputs, targets, starts[1:] - CONTEXT, context)[1].items():
                begins[name][:, 1:] = part
        sums, after = self._run(inputs, targets, starts, counts, begins)
        for i in range(1, len(starts)):
            lane, state = slice(i, i + 1), {name: part[:, i - 1 : i] for name, part in after.items()}
            if any(
                (part - begins[name][:, lane]).abs().max() > MAX_STATE_DIFFERENCE
                for name, part in state.items()
            ):
                sums[lane], state = self._run(inputs, targets, starts[lane], counts[lane], state)
                for name, part in state.items():
                    after[name][:, lane] = part
        return float(sums.sum())

    def _run(
        self, inputs: Any, targets: Any, starts: Any, counts: Any, state: Any = None
    ) -> tuple[Tensor, State]:
        """Run some lanes of a text, of different lengths.

        Args:
            inputs: The token before each token of the text, int64.
            targets: The tokens of the text, int64.
            starts: Where each lane starts.
            counts: How many tokens each lane has.
            state: The state before them; None for the initial one.

        Returns:
            The sum of the losses of each lane in nats, float64, on the processor; and the state after the
            last token of the longest lane.
        """
        network, longest = self._network, int(counts.max())
        sums, state = torch.zeros(len(starts), dtype=torch.float64), state or network.first_state(len(starts))
        at_once = max(1, MAX_LOGITS // (len(starts) * network.output.out_features))
        for first in range(0, longest, at_once):
            steps = np.arange(first, min(first + at_once, longest))[:, None]
            places = np.minimum(starts + steps, len(inputs) - 1)
            rows = inputs[places], np.where(steps < counts, targets[places], -1)
            tokens, expected = (torch.from_numpy(values).to(self._device) for values in rows)
            outputs, state = network(tokens, {name: part.contiguous() for name, part in state.items()})
            logits = network.output(outputs).transpose(1, 2)
            nats = nn.functional.cross_entropy(logits, expected, ignore_index=-1, reduction="none")
            sums += nats.sum(0).cpu()
        return sums, state

    # ---- Files ----

    def model(self, training: str) -> bytes:
        """Return the model file. training: what the metadata says of the training, a JSON object."""
        # The trainer in C knows what else the metadata says of a corpus.
        sizes = dict.fromkeys(("units", "layers", "embedding", *SIZES_OF_BATCH), 1)
        content = _core.Trainer(self._corpus, sizes, 0, 1).model(training)
        metadata = {entry.key: entry.value for entry in onnx.ModelProto.FromString(content).metadata_props}
        if self._recipe["cell"] != LSTM.kind:
            # In format 1, all models are LSTMs.
            metadata["textgen.format"] = "2"
        return build_model(self._network, metadata)

    @torch.no_grad()
    def start_from(self, file: bytes) -> None:
        """Start from the weights of a model file of an LSTM."""
        # The trainer in C reads all kinds of weights, and adds new symbols.
        trainer = _core.Trainer(self._corpus, {**self._values, **dict.fromkeys(SIZES_OF_BATCH, 1)}, 0, 1)
        trainer.start_from(file)
        graph = onnx.ModelProto.FromString(trainer.model("{}")).graph
        tensors = {tensor.name: torch.tensor(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
        network, torch_gates = self._network, np.argsort(ONNX_GATES[LSTM.kind]).tolist()
        network.embedding.weight.copy_(tensors["embedding"])
        network.output.weight.copy_(tensors["output_weights"].mT)
        network.output.bias.copy_(tensors["output_bias"])
        for i, layer in enumerate(network.layers):
            layer.weight_ih_l0.copy_(reorder_gates(tensors[f"input_{i}"][0], torch_gates))
            layer.weight_hh_l0.copy_(reorder_gates(tensors[f"recurrent_{i}"][0], torch_gates))
            layer.bias_ih_l0.copy_(reorder_gates(tensors[f"bias_{i}"].view(2, -1).sum(0), torch_gates))
            layer.bias_hh_l0.zero_()
        self._share(self._blank_state(self.step))

    def save(self) -> bytes:
        """Return the run."""
        self._processes.tell(GATHER)
        tensors = {**self._tensors(), **self._about(), **self._gather()}
        return safetensors.torch.save({name: values.cpu().contiguous() for name, values in tensors.items()})

    @torch.no_grad()
    def resume(self, data: bytes) -> None:
        """Replace the run by a saved one of the same texts, recipe and seed.

        The number of processes may be another one, which draws other dropout masks.

        Raises:
            TrainingError: If the data is damaged, or of another run. This run then stays as it was.
        """
        try:
            saved = safetensors.torch.load(data)
        except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise TrainingError(f"the saved run is damaged: {error}") from None
        about = self._about()
        if not all(is_like(saved.get(name), values) for name, values in about.items()):
            raise TrainingError("the saved run is damaged, or of another version")
        if not torch.equal(saved["identity"], about["identity"]):
            raise TrainingError("the saved run is of another text, recipe or seed")
        step, regularization = int(saved["step"]), saved["regularization"].tolist()
        is_valid = 0 <= step <= MAX_STEP and all(
            0.0 <= value < 1.0 for value in regularization[: len(DROPOUTS)]
        )
        blank = self._blank_state(step) if is_valid else {}
        replaced = {**self._tensors(), **blank}
        is_valid &= saved.keys() == {*replaced, *about}
        if not is_valid or not all(is_like(saved[name], values) for name, values in replaced.items()):
            raise TrainingError("the saved run is damaged")
        for name, values in replaced.items():
            values.copy_(saved[name])
        self.step = step
        self.regularize(dict(zip(REGULARIZATION, regularization, strict=True)))
        self._share(blank)

    def _about(self) -> dict[str, Tensor]:
        """Return what a saved run has besides ``_tensors`` and states, with a hash of what never changes."""
        fixed = {name: value for name, value in self._recipe.items() if name not in REGULARIZATION}
        corpus = self._corpus
        parts = [corpus.sha256, corpus.training_tokens, corpus.vocabulary, corpus.special, self._seed, fixed]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()
        return {
            "identity": torch.tensor(list(digest), dtype=torch.uint8),
            "step": torch.tensor(self.step),
            "regularization": torch.tensor([*self._network.regularization.values()], dtype=torch.float64),
        }

    def _tensors(self) -> dict[str, Tensor]:
        """Return the weights, and what the optimizers store for each."""
        names: dict[Any, str] = {weight: name for name, weight in self._network.named_parameters()}
        tensors = {f"weight.{name}": weight.detach() for weight, name in names.items()}
        for optimizer in self._optimizers:
            for weight, state in optimizer.state.items():
                tensors |= {f"{key}.{names[weight]}": values for key, values in state.items()}
        return tensors

    def _blank_state(self, step: int) -> State:
        """Return room for the state of all lanes before an update; none if it starts from the initial one."""
        batch = self._batch_of(step)
        return {} if batch.is_start else self._network.first_state(batch.lanes)

    # ---- The other processes ----

    def _gather(self) -> State:
        """Return the state of the lanes of all processes before the next batch."""
        whole, lanes = self._blank_state(self.step), self._processes.lanes_of(self._batch_of(self.step))
        for name, values in whole.items():
            values[:, lanes] = self._state[name]
            self._processes.add(values)
        return whole

    def _share(self, whole: State) -> None:
        """Give the run of the first process to all others. whole: the state of all lanes, or room for it."""
        self._processes.tell(SHARE, self.step)
        for values in (*self._tensors().values(), *whole.values()):
            self._processes.copy_first(values)
        lanes = self._processes.lanes_of(self._batch_of(self.step))
        self._state = {name: values[:, lanes].contiguous() for name, values in whole.items()}

    def follow(self) -> None:
        """Do what the first process of several does, until it ends.

        Raises:
            LostProcessError: If another process has ended.
        """
        while (header := self._processes.listen())[0] != END:
            command, value, *regularization = header
            if command == UPDATE:
                self.regularize(dict(zip(REGULARIZATION, regularization, strict=True)))
                self._update(value)
            elif command == GATHER:
                self._gather()
            else:
                self.step = int(value)
                self._share(self._blank_state(self.step))

    def close(self) -> None:
        """End the run in the other processes."""
        self._processes.tell(END)
        self._processes.close()


def is_like(saved: Tensor | None, values: Tensor) -> bool:
    """Return whether a tensor of a saved run has the type and the shape of another, and is finite."""
    return (
        saved is not None
        and (saved.dtype, saved.shape) == (values.dtype, values.shape)
        and bool(saved.isfinite().all())
    )


# ---- Processes ----

# How long a process waits for the next update, which may come after a long evaluation. It matters only if a
# machine has left the network: if a process ends, the others know at once.
TIMEOUT = timedelta(hours=6)


class Processes:
    """The processes of a run, which torchrun has started; without it, this one alone.

    The first one decides: before each step, it sends a header that says what to do. The others wait for it.

    Raises:
        LostProcessError: By each method, if another process has ended.
    """

    def __init__(self, backend: str) -> None:
        self.rank, self.size = process_numbers()
        self.is_open = self.size > 1
        self._exchange(dist.init_process_group, backend, timeout=TIMEOUT)

    def _exchange(self, exchange: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Call a function of torch that all processes call; do nothing if this one is alone."""
        try:
            if self.is_open:
                exchange(*arguments, **options)
        except RuntimeError as error:
            self.is_open = False
            raise LostProcessError(
                f"another process of the run has ended or cannot be reached (process {self.rank} says so)"
            ) from error

    def compare(self, identity: Tensor) -> None:
        """Raise TrainingError if the run of a process has another identity."""
        rows = torch.zeros(self.size, len(identity), dtype=torch.int64)
        rows[self.rank] = identity
        self.add(rows)
        if bool((rows != rows[0]).any()):
            raise TrainingError("all processes need the same texts, options and versions")

    def lanes_of(self, batch: _core.Batch) -> slice:
        """Return the lanes of this process. In a batch of few lanes, some processes have none."""
        return slice(*(batch.lanes * i // self.size for i in (self.rank, self.rank + 1)))

    def tell(self, command: int, value: float = 0.0, *regularization: float) -> None:
        """In the first process, tell all others what to do."""
        if self.rank == 0:
            self.listen(command, value, *regularization)

    def listen(self, *header: float) -> list[float]:
        """Wait for what the first process tells, and return it."""
        values = torch.zeros(2 + len(REGULARIZATION), dtype=torch.float64)
        values[: len(header)] = torch.tensor(header, dtype=torch.float64)
        self.copy_first(values)
        return values.tolist()

    def copy_first(self, values: Tensor) -> None:
        """Replace the values by those of the first process."""
        self._exchange(dist.broadcast, values, 0)

    def add(self, values: Tensor) -> None:
        """Replace the values by their sum over all processes."""
        self._exchange(dist.all_reduce, values)

    def add_gradients(self, weights: Sequence[nn.Parameter], nats: Tensor) -> Tensor:
        """Add the gradients of all processes; return the sum of their losses."""
        if self.size == 1:
            return nats
        # A process without lanes has no gradients.
        gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        total = torch.cat([*(gradient.flatten() for gradient in gradients), nats.float().view(1)])
        self.add(total)
        parts = torch.split(total[:-1], [weight.numel() for weight in weights])
        for weight, part in zip(weights, parts, strict=True):
            weight.grad = part.view_as(weight)
        return total[-1]

    def close(self) -> None:
        """Wait until all others know that the run ends, and leave them."""
        with suppress(LostProcessError):
            self._exchange(dist.barrier)
        self.is_open = False
        if dist.is_initialized():
            dist.destroy_process_group()
