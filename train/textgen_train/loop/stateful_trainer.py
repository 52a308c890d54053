"""The trainer of the default recipe, with a state that is carried from batch to batch."""

import math
import random

import numpy as np
import torch
from textgen_runtime.text.tokenizer import NO_SPECIAL_TOKENS, SpecialTokens
from torch import Tensor, nn

from textgen_train.data.batches import PADDING, Batch, RecordBatches, SequenceBatches, TextBatches
from textgen_train.data.tokens import Tokens, count_tokens
from textgen_train.errors import TrainingError
from textgen_train.models.cells import CELLS
from textgen_train.models.device import CPU, autocast
from textgen_train.models.network import (
    CharNetwork,
    NetworkState,
    are_alike,
    concatenate_lanes,
    copy_lanes,
    detach,
    lanes_of,
)
from textgen_train.models.output_loss import activation_penalty, output_loss
from textgen_train.optim import Muon
from textgen_train.recipe import Budget, Recipe

from .ranks import SINGLE, Ranks
from .replicas import Replicas, resolve_thread_count
from .trainer import Trainer

# Training needs at least one input and one target.
MIN_TEXT = 2

ADAMW_BETAS = (0.9, 0.99)

# The learning rates of a recipe are for this number of units. Larger layers need lower learning rates.
REFERENCE_UNITS = 128

# The warm-up takes at most this fraction of the budget.
MAX_WARMUP_FRACTION = 0.1


class StatefulTrainer(Trainer):
    """Trains a new model on a text with truncated backpropagation through time.

    The text is cut into contiguous lanes, which form the batch. Each update uses the next sequence of each
    lane and starts from the state at the end of the previous sequence. Records are lanes of their own, which
    start from the initial state. Muon updates the matrices of the layers if ``muon_lr`` is above 0. AdamW
    updates all other weights.

    Args:
        text: Shape [tokens], of any integer type; at least two tokens. With records, each is followed by the
            token ``end``.
        vocabulary_size: Number of tokens.
        recipe: Hyperparameters.
        budget: Duration of the training.
        seed: Seed of the initial weights, the offset of the lanes in each epoch, and dropout. With a budget
            of epochs, the same machine and the same number of threads, a seed reproduces the model. With a
            budget of minutes, the model depends on the speed of the machine.
        special: The special tokens. The text has records if there are ``begin`` and ``end``.
        threads: Maximum number of replicas that train in parallel in this process; None for one per available
            processor.
        device: Device of the network.
        ranks: The processes of the run.

    Raises:
        ValueError: If the text is too short, or ``threads`` is below 1.
        TrainingError: If there are too many processes for the lanes.
    """

    def __init__(  # noqa: PLR0913 (five are needed; four have defaults)
        self,
        text: Tokens,
        vocabulary_size: int,
        recipe: Recipe,
        budget: Budget,
        seed: int,
        *,
        special: SpecialTokens = NO_SPECIAL_TOKENS,
        threads: int | None = None,
        device: torch.device = CPU,
        ranks: Ranks = SINGLE,
    ) -> None:
        if len(text) < MIN_TEXT:
            raise ValueError(f"the text has {len(text)} tokens, but training needs at least {MIN_TEXT}")
        self._recipe = recipe
        batches: SequenceBatches = (
            TextBatches(text, recipe.batch, recipe.sequence_length)
            if special.begin is None
            else RecordBatches(text, special, recipe.batch, recipe.sequence_length)
        )
        self._sequences = batches
        torch.manual_seed(seed)
        model = CELLS[recipe.cell](
            vocabulary_size,
            units=recipe.units,
            layers=recipe.layers,
            embedding=recipe.embedding,
            dropout=recipe.dropout,
            input_dropout=recipe.input_dropout,
            weight_dropout=recipe.weight_dropout,
            residual=recipe.residual,
        )
        _initialize_output_bias(model, text)
        # The initial weights are drawn on the processor, so that they do not depend on the device.
        model.to(device)
        replicas = Replicas(model, batches.max_lanes, resolve_thread_count(threads, ranks), seed, ranks)
        matrices = model.layer_matrices if recipe.muon_lr else []
        matrix_ids = {id(matrix) for matrix in matrices}
        other_weights = [weight for weight in model.parameters() if id(weight) not in matrix_ids]
        adamw = torch.optim.AdamW(
            other_weights, recipe.learning_rate, ADAMW_BETAS, weight_decay=recipe.weight_decay, fused=True
        )
        optimizers: list[torch.optim.Optimizer] = [adamw]
        if matrices:
            optimizers.append(Muon(matrices, recipe.muon_lr, recipe.muon_weight_decay, replicas.for_each))
        super().__init__(replicas, batches, random.Random(seed), optimizers, budget)
        self._lane_states = self._split_lanes(model.initial_state(batches.max_lanes))

    def _carried_state(self) -> dict[str, Tensor]:
        return concatenate_lanes(self._lane_states)

    def _can_carry(self, state: dict[str, Tensor]) -> bool:
        batches = self._sequences
        lanes = batches.max_lanes if batches.has_equal_lanes else lanes_of(state)
        return are_alike(state, self.model.initial_state(min(lanes, batches.max_lanes)))

    def _restore_carried_state(self, state: dict[str, Tensor]) -> None:
        self._lane_states = self._split_lanes(
            {name: part.to(self.model.device) for name, part in state.items()}
        )

    def _split_lanes(self, state: NetworkState) -> list[NetworkState]:
        """Return a copy of the state of the lanes of each replica."""
        return [copy_lanes(state, lanes) for lanes in self.replicas.lane_slices(lanes_of(state))]

    def _lr_factor(self, step: int, progress: float) -> float:
        return lr_factor(self._recipe, step, progress)

    def _update_weights(self, batch: Batch, lr_factor: float) -> float:
        lane_count = batch.inputs.shape[1]
        if batch.is_start:
            self._lane_states = self._split_lanes(self.model.initial_state(lane_count))
        elif any(
            lanes_of(state) != part.stop - part.start
            for state, part in zip(self._lane_states, self.replicas.lane_slices(lane_count), strict=True)
        ):
            raise TrainingError("the training state is from another step: restore an unchanged one")

        def loss(replica: int, model: CharNetwork, lanes: slice) -> Tensor:
            inputs = batch.inputs[:, lanes].to(model.device)
            targets = batch.targets[:, lanes].to(model.device).flatten()
            with autocast(model.device):
                outputs, state = model.forward_features(inputs, self._lane_states[replica])
            # Truncated backpropagation: no gradient flows into the previous sequence.
            self._lane_states[replica] = detach(state)
            outputs = outputs.flatten(0, 1)
            if batch.count < batch.targets.numel():
                is_target = targets != PADDING
                outputs, targets = outputs[is_target], targets[is_target]
            return self._loss_with_penalty_gradients(model, outputs, targets) / targets_per_update

        targets_per_update = self._sequences.targets_per_update
        value, lr_factor = self.replicas.backward(loss, lane_count, lr_factor)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * lr_factor
        nn.utils.clip_grad_norm_(self.model.parameters(), self._recipe.grad_clip)
        for optimizer in self._optimizers:
            optimizer.step()
        return value * targets_per_update / batch.count

    def _loss_with_penalty_gradients(self, model: CharNetwork, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss in nats, summed over the targets. Its gradients include those of the penalties.

        Args:
            model: A replica of the network.
            outputs: Outputs of the last layer, shape [targets, units].
            targets: Shape [targets], int64.
        """
        recipe, output = self._recipe, model.output
        loss = output_loss(outputs, output.weight, output.bias, targets, recipe.confidence_penalty)
        if recipe.activation_penalty:
            penalty = recipe.activation_penalty * activation_penalty(outputs)
            # This adds only the gradient of the penalty. The value stays that of the loss.
            loss = loss + (penalty - penalty.detach())
        return loss


@torch.no_grad()
def _initialize_output_bias(model: CharNetwork, text: Tokens) -> None:
    """Set the output bias to the logarithms of the character frequencies of the text.

    With a vocabulary of thousands, learning the frequencies would take most of the first epochs. After eight
    epochs on a Japanese text, this initialization lowers the loss by 0.03 nats.
    """
    # A pseudocount of 0.5 for each character, because the text may not contain all of them.
    counts = count_tokens(text, model.output.out_features) + 0.5
    model.output.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))


def lr_factor(recipe: Recipe, step: int, progress: float) -> float:
    """Return the factor by which the learning rates of a recipe are multiplied at an update.

    It is the product of three factors: linear warm-up, cosine annealing, and ``sqrt(128 / units)``. The
    warm-up lasts ``warmup`` updates or a tenth of the budget, whichever is shorter.

    Args:
        recipe: Provides ``warmup`` and ``units``.
        step: Index of the update, from 0.
        progress: Fraction of the budget used, in [0, 1]. At 1 the factor is 0, for both kinds of budget.
    """
    warmup = max((step + 1) / recipe.warmup, progress / MAX_WARMUP_FRACTION) if recipe.warmup else 1.0
    scale = math.sqrt(REFERENCE_UNITS / recipe.units)
    return scale * min(1.0, warmup) * 0.5 * (1.0 + math.cos(math.pi * progress))
