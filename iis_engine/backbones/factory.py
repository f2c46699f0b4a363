"""Load a backbone of any family from its specification and weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.devices import choose_device
from iis_engine.errors import ArchitectureError
from iis_engine.specs import ARCHITECTURE_FAMILIES, DEFAULT_TAG, FILE_FAMILIES, BackboneSpec

_TIMM_HUB = "hf-hub:"


def load_backbone(spec: BackboneSpec, checkpoint: Path | None, *, device: str = "auto") -> Backbone:
    """Build the network that `spec` names and load its weights.

    Parameters
    ----------
    checkpoint : file of the weights (for `onnx` and `transformers`, the whole network), or None if `spec.pretrained` names published
        weights, `spec.initial_seed` requests the untrained network, or the library's default weights are wanted
    device : `auto` (CUDA if available), `cpu` or `cuda`

    Raises
    ------
    ArchitectureError
        For an unknown architecture, argument, layer or tag, or weights that do not fit.
    CheckpointError
        For a file that does not contain plain, finite weights.
    SettingError
        For a device that this machine does not have.
    """
    family, _, name = spec.architecture.partition(":")
    if family not in ARCHITECTURE_FAMILIES or (family in FILE_FAMILIES) == bool(name):
        raise ArchitectureError(
            f"{spec.architecture!r} is not an architecture; write timm:NAME, torchvision:NAME, open_clip:NAME, hf:ORG/NAME, transformers "
            "or onnx.",
            code="architecture_unknown",
            param="architecture",
        )
    if family in FILE_FAMILIES:
        path = _require_file_alone(spec, checkpoint, family)
    else:
        path = checkpoint
        _require_one_source_of_weights(spec, checkpoint)
        if checkpoint is None and spec.pretrained is None and spec.initial_seed is None:
            spec = replace(spec, pretrained=DEFAULT_TAG)
    hub_name = name if family == "hf" else name.removeprefix(_TIMM_HUB) if family == "timm" and name.startswith(_TIMM_HUB) else None
    if hub_name is not None:
        _require_hub_alone(spec, checkpoint, takes_arguments=family == "timm")
    torch_device = choose_device(device)
    # Imported here because together the families take seconds to import.
    if family == "onnx":
        from iis_engine.backbones.onnx.backbone import load_onnx_backbone

        return load_onnx_backbone(spec, cast(Path, path), torch_device)
    if family == "transformers":
        from iis_engine.backbones.transformers.backbone import load_transformers_backbone

        return load_transformers_backbone(spec, cast(Path, path), torch_device)
    if hub_name is not None and family == "hf":
        from iis_engine.backbones.transformers.hub import load_hub_backbone

        return load_hub_backbone(spec, hub_name, torch_device)
    if hub_name is not None:
        from iis_engine.backbones.timm_hub import load_timm_hub_backbone

        return load_timm_hub_backbone(spec, hub_name, torch_device)
    from iis_engine.backbones.torch_backbone import load_torch_backbone

    return load_torch_backbone(spec, path, torch_device)


def _require_file_alone(spec: BackboneSpec, checkpoint: Path | None, family: str) -> Path:
    """Return the file of a network that it describes as a whole; reject every other source of weights and all arguments."""
    if spec.initial_seed is not None:
        raise ArchitectureError(
            f"A network of the family {family} is its file, which has no untrained form; leave initial_seed out.", param="initial_seed"
        )
    if checkpoint is None or spec.pretrained is not None or spec.weights_of is not None:
        raise ArchitectureError(
            f"A network of the family {family} has no weights apart from its file; send the file as the checkpoint, without tags.",
            param="checkpoint",
        )
    if spec.arguments:
        raise ArchitectureError(
            f"A network of the family {family} has no arguments: its file is the whole network. Leave them out.", param="arguments"
        )
    return checkpoint


def _require_hub_alone(spec: BackboneSpec, checkpoint: Path | None, *, takes_arguments: bool) -> None:
    """Refuse other weights for a repository of the Hub, which has its own."""
    if checkpoint is not None or spec.initial_seed is not None:
        raise ArchitectureError(
            f"{spec.architecture} has its weights on the Hub; leave out the checkpoint and initial_seed, or name the architecture itself.",
            param="checkpoint" if checkpoint is not None else "initial_seed",
        )
    if spec.arguments and not takes_arguments:
        raise ArchitectureError(f"The files of {spec.architecture} are the whole network; leave arguments out.", param="arguments")


def _require_one_source_of_weights(spec: BackboneSpec, checkpoint: Path | None) -> None:
    if sum(source is not None for source in (checkpoint, spec.pretrained, spec.initial_seed)) > 1:
        raise ArchitectureError(
            "Send only one of a checkpoint, a pretrained tag and an initial seed; more than one was given.",
            param="pretrained" if spec.pretrained is not None else "initial_seed",
        )
    if spec.weights_of is not None and checkpoint is None:
        raise ArchitectureError(
            "weights_of names the published weights that a checkpoint file comes from; without a file, leave it out.", param="weights_of"
        )
