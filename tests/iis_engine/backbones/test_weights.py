"""Loading a state dict into a network: counters and the head may be missing, every other difference is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from iis_engine.backbones.weights import fit_weights
from iis_engine.errors import ArchitectureError


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def test_counters_and_the_head_may_be_missing(network: nn.Module) -> None:
    state = {key: value + 1 for key, value in network.state_dict().items() if "num_batches" not in key and not key.startswith("3.")}
    fit_weights(network, state, architecture="net", head=("3",))
    assert torch.equal(network.state_dict()["0.weight"], state["0.weight"])


def test_a_head_of_another_class_count_is_not_loaded(network: nn.Module) -> None:
    state = {**network.state_dict(), "3.weight": torch.zeros(9, 4), "3.bias": torch.zeros(9)}
    fit_weights(network, state, architecture="net", head=("3",))
    assert network.state_dict()["3.weight"].shape == (2, 4)


def test_a_mismatch_names_missing_and_unexpected_keys_and_shapes(network: nn.Module) -> None:
    state = dict(network.state_dict())
    state["conv.weight"] = state.pop("0.weight")
    state["0.bias"] = torch.zeros(5)
    with pytest.raises(ArchitectureError) as caught:
        fit_weights(network, state, architecture="timm:net", head=("3",))
    sentence = str(caught.value)
    assert "timm:net" in sentence
    assert "missing keys 0.weight" in sentence
    assert "unexpected keys conv.weight" in sentence
    assert "0.bias is (5,) in the file and (4,) in the network" in sentence


def test_one_missing_key_before_the_representation_is_refused(network: nn.Module) -> None:
    state = dict(network.state_dict())
    del state["1.running_mean"]
    with pytest.raises(ArchitectureError, match=r"missing keys 1\.running_mean"):
        fit_weights(network, state, architecture="net", head=("3",))
