"""Loading a state dict into a network: counters and the head may be missing, every other difference is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from iis_engine.backbones.checkpoints.state_dicts import find_state_dicts
from iis_engine.backbones.checkpoints.weights import fit_weights
from iis_engine.errors import ArchitectureError, CheckpointError


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def fit(network: nn.Module, stored: dict[str, Any], **options: Any) -> list[str]:
    return fit_weights(network, find_state_dicts(stored), architecture="timm:net", file_name="w.pt", head=("3",), **options)


def other_weights(network: nn.Module, shift: float = 1) -> dict[str, Tensor]:
    return {key: value + shift if value.is_floating_point() else value for key, value in network.state_dict().items()}


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


def test_counters_and_the_head_may_be_missing(network: nn.Module) -> None:
    state = {key: value + 1 for key, value in network.state_dict().items() if "num_batches" not in key and not key.startswith("3.")}
    fit(network, state)
    assert torch.equal(network.state_dict()["0.weight"], state["0.weight"])


def test_a_head_of_another_class_count_is_not_loaded_and_noted(network: nn.Module) -> None:
    state = {**network.state_dict(), "3.weight": torch.zeros(9, 4), "3.bias": torch.zeros(9)}
    notes = fit(network, state)
    assert network.state_dict()["3.weight"].shape == (2, 4)
    assert notes == [
        "The file's classifier (3.weight, 3.bias) differs from the network's and was left out; the representation does not use it."
    ]


def test_a_mismatch_names_missing_and_unexpected_keys_and_shapes(network: nn.Module) -> None:
    state = dict(network.state_dict())
    state["conv.weight"] = state.pop("0.weight")
    state["0.bias"] = torch.zeros(5)
    with pytest.raises(ArchitectureError) as caught:
        fit(network, state)
    sentence = str(caught.value)
    assert "timm:net" in sentence
    assert "missing keys 0.weight" in sentence
    assert "unexpected keys conv.weight" in sentence
    assert "0.bias is (5,) in the file and (4,) in the network" in sentence


def test_one_missing_key_before_the_representation_is_refused(network: nn.Module) -> None:
    state = dict(network.state_dict())
    del state["1.running_mean"]
    with pytest.raises(ArchitectureError, match=r"missing keys 1\.running_mean"):
        fit(network, state)


Wrapping = Callable[[dict[str, Tensor]], dict[str, Any]]
PREFIXED: dict[str, Wrapping] = {
    "net.": lambda state: prefixed("net.", state),
    "encoder_q.": lambda state: {**prefixed("module.encoder_q.", state), **prefixed("module.encoder_k.", state)},
    "backbone.": lambda state: {"state_dict": {**prefixed("backbone.", state), "criterion.weight": torch.ones(3)}},
    "teacher": lambda state: {"student": prefixed("backbone.", state), "teacher": prefixed("backbone.", state)},
    "trainer.model._orig_mod.": lambda state: prefixed("trainer.model._orig_mod.", state),
    "params": lambda state: {"params": state, "step": 3},
}


@pytest.mark.parametrize("name", PREFIXED)
def test_a_network_under_a_prefix_is_found_and_noted(name: str, network: nn.Module) -> None:
    state = other_weights(network)
    notes = fit(network, PREFIXED[name](state))
    assert torch.equal(network.state_dict()["0.weight"], state["0.weight"])
    assert any(word in " ".join(notes) for word in (name, "trainer.model."))


def test_a_compiled_module_inside_the_network_is_found(network: nn.Module) -> None:
    state = other_weights(network)
    fit(network, {key.replace("1.", "1._orig_mod."): value for key, value in state.items()})
    assert torch.equal(network.state_dict()["1.running_mean"], state["1.running_mean"])


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema", "ema"])
def test_ema_weights_are_preferred_and_the_choice_is_noted(key: str, network: nn.Module) -> None:
    plain, ema = other_weights(network, 1), other_weights(network, 2)
    notes = fit(network, {"state_dict": plain, key: prefixed("module.", ema)})
    assert torch.equal(network.state_dict()["0.weight"], ema["0.weight"])
    assert "2 sets of weights" in notes[0]
    assert f"{key}.module was used" in notes[0]


def test_the_trained_network_is_preferred_to_its_momentum_copy(network: nn.Module) -> None:
    trained, copy = other_weights(network, 1), other_weights(network, 2)
    fit(network, {**prefixed("module.momentum_encoder.", copy), **prefixed("module.base_encoder.", trained)})
    assert torch.equal(network.state_dict()["0.weight"], trained["0.weight"])


def test_keys_of_a_larger_network_are_refused(network: nn.Module) -> None:
    state = {**network.state_dict(), "4.weight": torch.ones(3)}
    with pytest.raises(ArchitectureError, match=r"unexpected keys 4\.weight"):
        fit(network, state)


def test_a_refusal_names_the_other_places_with_weights(network: nn.Module) -> None:
    with pytest.raises(ArchitectureError, match="also has weights under generator"):
        fit(network, {"discriminator": {"a.weight": torch.ones(2)}, "generator": {"b.weight": torch.ones(2)}})


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_quantised_weights_are_refused(dtype: torch.dtype, network: nn.Module) -> None:
    state = {**network.state_dict(), "0.weight": network.state_dict()["0.weight"].to(dtype)}
    with pytest.raises(CheckpointError, match=r"0\.weight is .*8.* in w\.pt and floating point in the network") as caught:
        fit(network, state)
    assert caught.value.code == "checkpoint_quantised"


def test_narrower_floats_are_converted_and_noted(network: nn.Module) -> None:
    state = {key: value.bfloat16() if value.is_floating_point() else value for key, value in network.state_dict().items()}
    assert fit(network, state) == ["Weights stored as bfloat16 were converted to float32."]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(value: float, network: nn.Module) -> None:
    state = other_weights(network)
    state["0.bias"][2] = value
    with pytest.raises(CheckpointError, match=r"1 NaN or infinite values in 0\.bias") as caught:
        fit(network, state)
    assert caught.value.code == "checkpoint_not_finite"


def shorten(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**weights, "0.bias": torch.ones(4)}


def test_only_positions_may_be_resized_by_a_conversion(network: nn.Module) -> None:
    state = other_weights(network)
    state["0.bias"] = torch.ones(5)
    with pytest.raises(ArchitectureError, match=r"0\.bias is"):
        fit(network, state, convert=shorten)


def test_a_weight_renamed_to_the_name_of_another_is_not_resized() -> None:
    """As the downsampling of older Swin files, which timm moves one stage on."""
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 5), nn.Linear(5, 7))
    wanted = other_weights(network)
    stored = {f"{int(key[0]) - 1}{key[1:]}": value for key, value in wanted.items()}

    def shift(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        return {f"{int(key.split('.')[0]) + 1}.{key.split('.')[1]}": value for key, value in weights.items()}

    fit_weights(network, find_state_dicts(stored), architecture="timm:net", file_name="w.pt", convert=shift)
    assert all(torch.equal(value, wanted[key]) for key, value in network.state_dict().items())


def test_a_state_dict_that_contains_itself_has_no_weights() -> None:
    endless: dict[str, Any] = {"epoch": 3}
    endless["state_dict"] = endless
    assert find_state_dicts(endless) == []


def test_optimiser_states_do_not_hide_the_weights(network: nn.Module) -> None:
    state = other_weights(network)
    moments = {"state": {index: {"exp_avg": torch.ones(2)} for index in range(300)}}
    assert fit(network, {"optimizer": moments, "net": state}) == ["The weights were read from 'net' in the file."]


def test_locations_are_in_the_order_of_preference() -> None:
    names = ("student", "teacher", "model_ema.module")
    student, teacher, ema = ({"a": torch.ones(1)} for _ in names)
    found = find_state_dicts({"student": student, "teacher": teacher, "model_ema": {"module": ema}})
    assert [one.location for one in found] == list(reversed(names))
