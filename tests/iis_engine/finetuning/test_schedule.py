"""Learning-rate schedule, and weight decay of weights but not of biases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from iis_engine.finetuning.finetune_spec import FinetuneSpec
from iis_engine.finetuning.schedule import learning_rate_at, make_optimizer


def test_the_learning_rate_rises_linearly_and_falls_along_half_a_cosine() -> None:
    spec = FinetuneSpec(epochs=3, warmup_epochs=1, learning_rate=2.0)
    rates = [learning_rate_at(step, spec, 4) for step in range(12)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    assert rates[4] == 2.0
    assert rates[8] == pytest.approx(1.0)
    assert rates[11] == pytest.approx(1 + math.cos(math.pi * 7 / 8))


@pytest.mark.parametrize("warmup_epochs", [0, 2])
def test_the_learning_rate_is_monotonic_without_warm_up_or_with_warm_up_alone(warmup_epochs: int) -> None:
    spec = FinetuneSpec(epochs=2, warmup_epochs=warmup_epochs, learning_rate=1.0)
    rates = [learning_rate_at(step, spec, 3) for step in range(6)]
    assert rates == sorted(rates, reverse=warmup_epochs == 0)
    assert max(rates) == 1.0


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_weights_decay_and_biases_do_not(optimizer: str) -> None:
    layer = nn.Linear(3, 2)
    nn.init.ones_(layer.weight)
    nn.init.ones_(layer.bias)
    spec = FinetuneSpec(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5)  # pyright: ignore[reportArgumentType]
    (0.0 * (layer.weight.sum() + layer.bias.sum())).backward()
    make_optimizer(layer.named_parameters(), spec).step()
    assert torch.allclose(layer.weight, torch.full((2, 3), 0.95))
    assert torch.equal(layer.bias, torch.ones(2))
