"""Round trips: weights of timm architectures, stored as training scripts do, give bit-equal features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import timm
import torch
from torch import Tensor, nn

from iis_engine import BackboneSpec, load_backbone

State = dict[str, Tensor]


def prefixed(prefix: str) -> Callable[[State], dict[str, Any]]:
    return lambda state: {prefix + key: value for key, value in state.items()}


def shifted(state: State) -> State:
    return {key: value + 0.5 if value.is_floating_point() else value for key, value in state.items()}


WRAPPERS: dict[str, Callable[[State], dict[str, Any]]] = {
    "plain": lambda state: state,
    "state_dict beside an epoch": lambda state: {"state_dict": state, "epoch": 3},
    "net, acc": lambda state: {"net": state, "acc": 93.2},
    "params": lambda state: {"params": state},
    "module of DeepSpeed": lambda state: {"module": state, "dp_world_size": 2},
    "net.": prefixed("net."),
    "backbone.": prefixed("backbone."),
    "encoder.": prefixed("encoder."),
    "module.encoder_q.": lambda state: {**prefixed("module.encoder_k.")(shifted(state)), **prefixed("module.encoder_q.")(state)},
    "module.base_encoder.": lambda state: {
        **prefixed("module.momentum_encoder.")(shifted(state)),
        **prefixed("module.base_encoder.")(state),
    },
    "teacher": lambda state: {"student": prefixed("backbone.")(shifted(state)), "teacher": prefixed("backbone.")(state)},
    "student.backbone.": prefixed("student.backbone."),
    "_orig_mod inside": prefixed("model._orig_mod.module."),
    "model. beside criterion.": lambda state: {"state_dict": {**prefixed("model.")(state), "criterion.pos_weight": torch.ones(1)}},
    "state_dict_ema": lambda state: {"state_dict": shifted(state), "state_dict_ema": prefixed("module.")(state)},
}
QUICK = ("test_resnet", "test_vit", "test_convnext", "test_efficientnet")
FULL = (
    *("test_byobnet", "test_convnext2", "test_convnext3", "test_efficientnet_evos", "test_efficientnet_gn", "test_efficientnet_ln"),
    *("test_mambaout", "test_nfnet", "test_vit2", "test_vit3", "test_vit4", "resnet10t", "resnet18", "resnet18d", "resnetv2_18"),
    *("seresnet18", "skresnet18", "resnetblur18", "densenet121", "dla34", "dla46_c", "edgenext_xx_small", "efficientformer_l1"),
    *("efficientnet_lite0", "efficientvit_b0", "efficientvit_m0", "fastvit_t8", "fbnetc_100", "focalnet_tiny_srf", "gcvit_xxtiny"),
    *("ghostnet_050", "ghostnetv2_100", "hardcorenas_a", "hgnet_tiny", "hrnet_w18_small", "inception_next_atto", "lcnet_050"),
    *("levit_128s", "mixer_s32_224", "mnasnet_small", "mobilenetv2_050", "mobilenetv3_small_050", "mobilenetv4_conv_small_035"),
    *("mobileone_s0", "mobilevit_xxs", "mobilevitv2_050", "pit_ti_224", "poolformer_s12", "pvt_v2_b0", "regnetx_002", "regnety_002"),
    *("repghostnet_050", "repvgg_a0", "res2net50_14w_8s", "rexnetr_100", "semnasnet_050", "spnasnet_100", "swin_tiny_patch4_window7_224"),
    *("tf_efficientnet_lite0", "tiny_vit_5m_224", "vit_tiny_patch16_224", "xcit_nano_12_p16_224", "deit_tiny_distilled_patch16_224"),
    *("beit_base_patch16_224", "cait_xxs24_224", "coat_lite_tiny", "convit_tiny", "crossvit_tiny_240", "eva02_tiny_patch14_224"),
)


SMALLER: dict[str, dict[str, Any]] = {"beit_base_patch16_224": {"depth": 2}, "swin_tiny_patch4_window7_224": {"depths": [1, 1, 1, 1]}}
"""Arguments of networks of which there is no small one."""


def check_round_trips(name: str, folder: Path) -> None:
    torch.manual_seed(0)
    arguments = {"num_classes": 4, **SMALLER.get(name, {})}
    network = cast(Any, timm.create_model)(name, **arguments).eval()
    for weights in network.parameters():
        nn.init.normal_(weights, std=0.05)
    reference = Path(folder, "reference.pt")
    torch.save(network.state_dict(), reference)
    spec = BackboneSpec(f"timm:{name}", arguments)
    expected = load_backbone(spec, reference, device="cpu")
    images = torch.randn(2, 3, *expected.input_size)
    features = expected.embed(images)
    with torch.no_grad():
        assert torch.allclose(features, network.forward_head(network.forward_features(images), pre_logits=True), atol=1e-4, rtol=1e-4)
    for title, wrap in WRAPPERS.items():
        torch.save(wrap(dict(network.state_dict())), folder / "wrapped.pt")
        backbone = load_backbone(spec, folder / "wrapped.pt", device="cpu")
        assert torch.equal(backbone.embed(images), features), title
        assert backbone.digest == expected.digest, title


@pytest.mark.parametrize("name", QUICK)
def test_features_are_equal_under_every_wrapper(name: str, tmp_path: Path) -> None:
    check_round_trips(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_features_of_many_architectures_are_equal_under_every_wrapper(name: str, tmp_path: Path) -> None:
    check_round_trips(name, tmp_path)
