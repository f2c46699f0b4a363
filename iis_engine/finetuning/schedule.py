"""The optimiser of a fine-tuning run, and its learning rate by step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from iis_engine.finetuning.finetune_spec import FinetuneSpec

MOMENTUM = 0.9


def make_optimizer(parameters: Iterable[tuple[str, nn.Parameter]], spec: FinetuneSpec) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum; weight decay on weights, but not on biases and scales of normalisations.

    Gradients are not clipped: through their joint norm g_cls would affect f in the control.
    """
    named = list(parameters)
    groups = [
        {"params": [parameter for _, parameter in named if parameter.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [parameter for _, parameter in named if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    if spec.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=spec.learning_rate)
    return torch.optim.SGD(groups, lr=spec.learning_rate, momentum=MOMENTUM)


def learning_rate_at(step: int, spec: FinetuneSpec, steps_per_epoch: int) -> float:
    """The rate of a step, from 0: a linear warm-up, then a cosine that ends just above 0 at the last step.

    Examples
    --------
    >>> spec = FinetuneSpec(epochs=3, warmup_epochs=1, learning_rate=1.0)
    >>> [round(learning_rate_at(step, spec, 2), 3) for step in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    warmup, total = spec.warmup_epochs * steps_per_epoch, spec.epochs * steps_per_epoch
    if step < warmup:
        return spec.learning_rate * (step + 1) / warmup
    return spec.learning_rate * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
