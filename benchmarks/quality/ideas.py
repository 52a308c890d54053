"""Ideas from other work that `textgen-train` does not have, each as a change of a trainer.

A trainer of one thread has one replica, so a change of its network or of its learner is a change of all.
"""

import math
from dataclasses import replace
from types import MethodType
from typing import Any
from unittest.mock import patch

import torch
from textgen_train.data.batches import PADDING, Batch
from textgen_train.loop import learner as learner_module
from textgen_train.models.output_loss import SoftTargets, penalized_loss
from torch import Tensor, nn
from torch.nn import functional

from .trial import Idea


def decay_over_time(first: float, last: float) -> Idea:
    """Multiply all weight decays by a factor that changes linearly from the first update to the last."""

    def change(trainer: Any) -> None:
        rate = trainer._lr_factor

        def factor(step: int, progress: float) -> Any:
            for optimizer in trainer._optimizers:
                for group in optimizer.param_groups:
                    scale = first + (last - first) * progress
                    group["weight_decay"] = optimizer.defaults["weight_decay"] * scale
            return rate(step, progress)

        trainer._lr_factor = factor

    return change


def confidence_over_time(first: float, last: float) -> Idea:
    """Change the confidence penalty linearly from the first update to the last."""

    def change(trainer: Any) -> None:
        rate, recipe = trainer._lr_factor, trainer._learner._recipe

        def factor(step: int, progress: float) -> Any:
            penalty = first + (last - first) * progress
            trainer._learner._recipe = replace(recipe, confidence_penalty=penalty)
            return rate(step, progress)

        trainer._lr_factor = factor

    return change


def averaged_cycles(start: float, cycles: int, low: float) -> Idea:
    """Average the weights at the end of each cycle of the learning rate.

    P. Izmailov and others, Averaging Weights Leads to Wider Optima and Better Generalization,
    arXiv:1803.05407.

    Args:
        start: The progress at which the cycles begin. Before, the rate falls to half of its peak.
        cycles: Number of cycles. In each of them, the rate falls linearly from half of its peak.
        low: The share of the peak to which it falls.
    """

    def change(trainer: Any) -> None:
        rate, learner = trainer._lr_factor, trainer._learner
        update, model = learner.update, trainer.model
        mean: dict[str, Tensor] = {}
        ends = 0

        def factor(step: int, progress: float) -> Any:
            peak = peak_factor(rate, step)
            if progress < start:
                return peak * (0.75 + 0.25 * math.cos(math.pi * progress / start))
            place = (progress - start) / (1.0 - start) * cycles % 1.0
            return peak * (0.5 + (low - 0.5) * place)

        def update_and_average(batch: Batch, lr: float) -> Any:
            nonlocal ends
            nats = update(batch, lr)
            # The progress after the update that this is a part of.
            after = (trainer._step + 1) / trainer.updates_per_epoch / (trainer.budget.epochs or 1)
            done = math.floor((after - start) / (1.0 - start) * cycles + 1e-9) if after >= start else 0
            if done > ends:
                ends = done
                for name, weight in model.named_parameters():
                    if name in mean:
                        mean[name].lerp_(weight.detach(), 1.0 / ends)
                    else:
                        mean[name] = weight.detach().clone()
                if ends == cycles:
                    with torch.no_grad():
                        for name, weight in model.named_parameters():
                            weight.copy_(mean[name])
            return nats

        trainer._lr_factor = factor
        learner.update = update_and_average

    return change


def peak_factor(rate: Any, step: int) -> float:
    """Return the factor of the learning rates without annealing."""
    peak: float = rate(step, 0.0)
    return peak


def second_target(weight: float, until: float) -> Idea:
    """Give a share of each target's distribution to the token after it, through the same output layer.

    The share falls linearly to zero.

    Args:
        weight: The share at the first update.
        until: The progress at which it is zero.
    """

    def change(trainer: Any) -> None:
        def soft_targets(batch: Batch, lanes: slice) -> SoftTargets | None:
            share = weight * max(0.0, 1.0 - trainer.progress / until)
            if not share:
                return None
            targets = batch.targets[:, lanes]
            after = torch.cat([targets[1:], targets[-1:]])
            after = torch.where(after == PADDING, targets, after)[targets != PADDING]
            return SoftTargets(torch.full((len(after), 1), share), after.unsqueeze(1))

        trainer._learner._soft_targets = soft_targets

    return change


def past_decoding(weight: float) -> Idea:
    """Predict the input of a step from the distribution of its target.

    S. Brahma, Improved Language Modeling by Decoding the Past, arXiv:1808.05908.

    Args:
        weight: Weight of the loss of this prediction.
    """

    def change(trainer: Any) -> None:
        model, learner = trainer.model, trainer._learner
        size = model.embedding.embedding_dim
        decoder = nn.Sequential(nn.Linear(size, size), nn.Tanh())
        bias = nn.Parameter(torch.zeros(model.embedding.num_embeddings))
        weights = [*decoder.parameters(), bias]
        own = torch.optim.AdamW(weights, 0.004, (0.9, 0.99), weight_decay=0.05)
        update = learner.update
        inputs: list[Tensor] = []

        def loss(outputs: Tensor, output: nn.Linear, targets: Tensor, *rest: Any) -> Tensor:
            total = penalized_loss(outputs, output, targets, *rest)
            distribution = torch.softmax(output(outputs.float()), 1)
            past = decoder(distribution @ model.embedding.weight) @ model.embedding.weight.t() + bias
            lost = weight * functional.cross_entropy(past, inputs[0], reduction="sum")
            # The trainer computes the gradients of the network alone.
            gradients = torch.autograd.grad(lost / len(targets), weights, retain_graph=True)
            for parameter, gradient in zip(weights, gradients, strict=True):
                parameter.grad = gradient
            return total + (lost - lost.detach())

        def update_both(batch: Batch, lr: float) -> Any:
            inputs[:] = [batch.inputs[batch.targets != PADDING]]
            with patch.object(learner_module, "penalized_loss", loss):
                nats = update(batch, lr)
            own.step()
            return nats

        learner.update = update_both

    return change


def dropout_by_layer(*shares: float) -> Idea:
    """Drop another share of the outputs of each layer, the first one first."""

    def change(trainer: Any) -> None:
        model = trainer.model
        drop = type(model)._apply_dropout
        calls = 0

        def apply(self: Any, values: Tensor, p: float) -> Any:
            nonlocal calls
            # The first call of a pass is for the embedding.
            place, calls = calls, (calls + 1) % (len(shares) + 1)
            return drop(self, values, shares[place - 1] if place else p)

        model._apply_dropout = MethodType(apply, model)

    return change


def sharpness(radius: float) -> Idea:
    """Take the gradient at weights that are moved along it, uphill, which prefers flat minima.

    P. Foret and others, Sharpness-Aware Minimization for Efficiently Improving Generalization,
    arXiv:2010.01412. An update takes twice as long.

    Args:
        radius: The norm of the move.
    """

    def change(trainer: Any) -> None:
        replicas = trainer.replicas
        backward = replicas.backward

        def twice(loss: Any, lanes: int, lr: float) -> tuple[float, float]:
            states = list(trainer._learner._lane_states)
            value, lr = backward(loss, lanes, lr)
            weights = [weight for weight in trainer.model.parameters() if weight.grad is not None]
            gradients = [weight.grad.clone() for weight in weights if weight.grad is not None]
            norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
            moves = [gradient * (radius / (norm + 1e-12)) for gradient in gradients]
            with torch.no_grad():
                for weight, move in zip(weights, moves, strict=True):
                    weight.add_(move)
            trainer._learner._lane_states[:] = states
            replicas.seed_dropout(trainer._seed, trainer._step)
            backward(loss, lanes, lr)
            with torch.no_grad():
                for weight, move in zip(weights, moves, strict=True):
                    weight.sub_(move)
            return value, lr

        replicas.backward = twice

    return change
