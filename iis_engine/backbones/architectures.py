"""Build a torch network by name, untrained or with published weights. Checkpoints are loaded in `torch_backbone`."""

from __future__ import annotations

from collections.abc import Sequence

from iis_engine.backbones.checkpoints.state_dicts import StateDict
from iis_engine.backbones.checkpoints.weights_source import WeightsSource
from iis_engine.backbones.network import Network
from iis_engine.backbones.timm_networks import build_timm
from iis_engine.backbones.torchvision_networks import build_torchvision
from iis_engine.errors import ArchitectureError
from iis_engine.specs import BackboneSpec

RESERVED_ARGUMENTS = frozenset(
    (
        *("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_model_args", "pretrained_strict", "pretrained_filter_fn"),
        *("checkpoint_path", "cache_dir", "scriptable", "exportable", "no_jit", "device", "dtype", "pruned", "model_cfg"),
        *("features_only", "feature_cfg", "out_indices", "kwargs_filter"),
        *("weights", "weights_backbone", "progress"),
    )
)
"""Arguments of the libraries' factories that download, read files or change the return type; none of them configures a network."""


def build_network(spec: BackboneSpec, state_dicts: Sequence[StateDict] = ()) -> Network:
    """Build `timm:NAME`, `torchvision:NAME` or `open_clip:NAME`, with published weights if `spec.pretrained` names a tag.

    Parameters
    ----------
    state_dicts : content of the checkpoint file, which can show how its network was built; it is not loaded

    Raises
    ------
    ArchitectureError
        For an unknown name, argument or tag, with similar names, and for a download that fails.
    """
    family, _, name = spec.architecture.partition(":")
    for argument in spec.arguments:
        if argument in RESERVED_ARGUMENTS or argument.startswith("_"):
            raise ArchitectureError(
                f"{argument!r} does not configure a network, so it is not accepted as an argument; leave it out.", param="arguments"
            )
    arguments, source = dict(spec.arguments), WeightsSource(spec.pretrained, spec.weights_of, state_dicts)
    if family == "open_clip":
        from iis_engine.backbones.open_clip_networks import build_image_tower  # the other families do without open_clip

        return build_image_tower(name, arguments, source)
    return {"timm": build_timm, "torchvision": build_torchvision}[family](name, arguments, source)
