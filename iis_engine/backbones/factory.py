"""Load a backbone of any family from its specification and weights."""

from __future__ import annotations

from pathlib import Path

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.devices import choose_device
from iis_engine.errors import ArchitectureError
from iis_engine.specs import ARCHITECTURE_FAMILIES, BackboneSpec


def load_backbone(spec: BackboneSpec, checkpoint: Path | None, *, device: str = "auto") -> Backbone:
    """Build the network that `spec` names and load its weights.

    Parameters
    ----------
    checkpoint : file of the weights (for `onnx`, the whole network), or None if `spec.pretrained` names published weights or
        `spec.initial_seed` requests the untrained network
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
    if family not in ARCHITECTURE_FAMILIES or (family != "onnx") != bool(name):
        raise ArchitectureError(
            f"{spec.architecture!r} is not an architecture; write timm:NAME, torchvision:NAME, open_clip:NAME or onnx.",
            code="architecture_unknown",
            param="architecture",
        )
    _require_one_source_of_weights(spec, checkpoint, is_onnx=family == "onnx")
    torch_device = choose_device(device)
    # Imported here because together the families take seconds to import.
    if family == "onnx":
        from iis_engine.backbones.onnx.backbone import load_onnx_backbone

        if checkpoint is None:
            raise ArchitectureError(
                "An onnx network has no weights apart from its file; send the file as the checkpoint.", param="checkpoint"
            )
        return load_onnx_backbone(spec, checkpoint, torch_device)
    from iis_engine.backbones.torch_backbone import load_torch_backbone

    return load_torch_backbone(spec, checkpoint, torch_device)


def _require_one_source_of_weights(spec: BackboneSpec, checkpoint: Path | None, *, is_onnx: bool) -> None:
    if is_onnx and spec.initial_seed is not None:
        raise ArchitectureError(
            "An onnx file contains its weights, so it has no untrained form; leave initial_seed out.", param="initial_seed"
        )
    given = [source is not None for source in (checkpoint, spec.pretrained, spec.initial_seed)]
    if not any(given) or (is_onnx and checkpoint is None):
        alternatives = "." if is_onnx else ", name a pretrained tag, or give the seed of an untrained network."
        raise ArchitectureError(f"The weights are missing: send a checkpoint{alternatives}", param="checkpoint")
    if sum(given) > 1:
        raise ArchitectureError(
            "Send only one of a checkpoint, a pretrained tag and an initial seed; more than one was given.",
            param="pretrained" if spec.pretrained is not None else "initial_seed",
        )
