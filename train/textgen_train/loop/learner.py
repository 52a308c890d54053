"""One update of the weights, from the batch to the optimizers."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from textgen_train.data.batches import PADDING, Batch
from textgen_train.data.predictions import Predictions
from textgen_train.errors import TrainingError
from textgen_train.models.device import autocast
from textgen_train.models.network import (
    CharNetwork,
    NetworkState,
    are_alike,
    concatenate_lanes,
    copy_lanes,
    detach,
    lanes_of,
)
from textgen_train.models.output_loss import SoftTargets, penalized_loss
from textgen_train.recipe import AnyRecipe

from .replicas import Replicas


class Learner:
    """Updates the weights of a network, and carries the state of the lanes from batch to batch.

    Args:
        replicas: Replicas of the network.
        optimizers: The optimizers of the weights.
        recipe: Provides the penalties and the maximum norm of the gradient.
        lanes: Largest number of lanes of a batch.
    """

    def __init__(
        self, replicas: Replicas, optimizers: Sequence[torch.optim.Optimizer], recipe: AnyRecipe, lanes: int
    ) -> None:
        self._replicas, self._optimizers, self._recipe, self._lanes = replicas, optimizers, recipe, lanes
        self._lane_states = self._split_lanes(replicas.model.initial_state(lanes))
        self._predictions: Predictions | None = None
        self._teacher_weight = 0.0

    def learn_from(self, predictions: Predictions, weight: float) -> None:
        """Give a share of the distribution of each target, in [0, 1], to predictions for the text."""
        self._predictions, self._teacher_weight = predictions, weight

    @property
    def carried_state(self) -> NetworkState:
        """A copy of the state of the lanes of this process after the last update, on the processor."""
        return {name: part.cpu() for name, part in concatenate_lanes(self._lane_states).items()}

    def can_carry(self, state: NetworkState, *, has_equal_lanes: bool) -> bool:
        """Return whether this can be the state of all lanes of a batch, by its names and shapes."""
        lanes = self._lanes if has_equal_lanes else min(self._lanes, lanes_of(state))
        return are_alike(state, self._replicas.model.initial_state(lanes))

    def restore_carried_state(self, state: NetworkState) -> None:
        """Continue from a copy of this state of all lanes, for which ``can_carry`` is true."""
        device = self._replicas.model.device
        self._lane_states = self._split_lanes({name: part.to(device) for name, part in state.items()})

    def update(self, batch: Batch, lr_factor: float) -> float:
        """Make one update of the weights with a batch.

        Returns:
            Mean loss per target in nats, before the update.
        """
        lane_count = batch.inputs.shape[1]
        if batch.is_start:
            self._lane_states = self._split_lanes(self._replicas.model.initial_state(lane_count))
        elif any(
            lanes_of(state) != part.stop - part.start
            for state, part in zip(self._lane_states, self._replicas.lane_slices(lane_count), strict=True)
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
            soft_targets = self._soft_targets(batch, lanes)
            if batch.count < batch.targets.numel():
                is_target = targets != PADDING
                outputs, targets = outputs[is_target], targets[is_target]
            penalties = self._recipe.activation_penalty, self._recipe.confidence_penalty
            return penalized_loss(outputs, model.output, targets, *penalties, soft_targets) / batch.divisor

        value, lr_factor = self._replicas.backward(loss, lane_count, lr_factor)
        if self._predictions:
            self._predictions.release()
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * lr_factor
        nn.utils.clip_grad_norm_(self._replicas.model.parameters(), self._recipe.grad_clip)
        self._replicas.for_each(lambda optimizer: optimizer.step(), self._optimizers)
        return value * batch.divisor / batch.count

    def _soft_targets(self, batch: Batch, lanes: slice) -> SoftTargets | None:
        """Return the predictions for the targets of some lanes, without padding; None without predictions."""
        if self._predictions is None:
            return None
        is_target = batch.targets[:, lanes] != PADDING
        shares, *tokens = self._predictions.rows(batch.positions[:, lanes][is_target].numpy())
        device = self._replicas.model.device
        # Torch's functions take only some of the integer types.
        return SoftTargets(
            torch.from_numpy(shares.astype(np.float32)).to(device).mul_(self._teacher_weight),
            *(torch.from_numpy(row.astype(np.int64)).to(device) for row in tokens),
        )

    def _split_lanes(self, state: NetworkState) -> list[NetworkState]:
        """Return a copy of the state of the lanes of each replica."""
        return [copy_lanes(state, lanes) for lanes in self._replicas.lane_slices(lanes_of(state))]
