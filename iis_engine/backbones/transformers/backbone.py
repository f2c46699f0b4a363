"""Load a network of transformers from its files as a torch backbone."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from torch import Tensor, nn

from iis_engine.backbones.checkpoints.files import as_float32
from iis_engine.backbones.network import Network
from iis_engine.backbones.pooling import TokenLayout
from iis_engine.backbones.torch_backbone import TorchBackbone, require_layer
from iis_engine.backbones.transformers.families import FAMILIES, TWO_TOWERS, Family
from iis_engine.backbones.transformers.files import TransformersFiles, read_transformers_files
from iis_engine.backbones.transformers.image_processor import read_transform
from iis_engine.errors import ArchitectureError, CheckpointError, first_line, first_names
from iis_engine.specs import BackboneSpec

_BUILD_ERRORS = (TypeError, ValueError, AttributeError, KeyError, IndexError, RuntimeError, AssertionError, ArithmeticError, ImportError)
_BESIDE_THE_NETWORK = re.compile(
    r"(?:^|\.)(?:classifier|cls_classifier|distillation_classifier|decoder|pooler|text_model|text_projection|visual_projection|logit_scale"
    r"|logit_bias|mask_token|position_ids|relative_position_index|num_batches_tracked)(?:\.|$)"
)
"""Parts of the keys of heads, text towers and derived buffers, which the image tower does not use."""
_BLOCKS_MAX = 1_000
_DEFAULT_IMAGE_SIZE = 224
_LISTED_MAX = 4


def load_transformers_backbone(
    spec: BackboneSpec, path: Path, device: torch.device, *, notes: Sequence[str] = (), in_cache: bool = False
) -> TorchBackbone:
    """Read a folder or archive, build the network with the library's own class, and run it once; see `load_backbone`.

    Code in or beside the files is never run: the class follows from `model_type` and a fixed list, settings are those that the class
    declares, and weights are safetensors.

    Parameters
    ----------
    notes : on the origin of the files
    in_cache : whether the folder is of the Hub's cache

    Raises
    ------
    CheckpointError, ArchitectureError
        For a `model_type` that is not in the list, settings that the class rejects, and weights that do not fit.
    """
    files = read_transformers_files(path, in_cache=in_cache)
    name, settings = _image_tower(files)
    family = FAMILIES[name]
    config = _configuration(family, settings)
    module, on_weights = _build(family, config, files)
    channels = int(getattr(config, "num_channels", 3))
    transform, assumed = read_transform(files.processor, family, _image_size(config), channels)
    if name == "siglip2_vision_model":
        assumed.append("Images are resized to a square, while SigLIP 2's own processor keeps their aspect ratio.")
    require_layer(spec, module)

    def represent(tower: nn.Module, images: Tensor) -> Tensor:
        return family.represent(tower(images))

    network = Network(
        module,
        transform,
        (),
        represent,
        tokens=_token_layout(family, config),
        attention_pool=family.attention_pool,
        choices={"model_type": name, "config": _digestible(config)},
        notes=(f"The representation of {name} is {family.description}.", *notes, *on_weights, *assumed),
    )
    return TorchBackbone(spec, network, device)


def _image_tower(files: TransformersFiles) -> tuple[str, dict[str, Any]]:
    """Return the kind of the image tower and its settings."""
    kind, settings = files.config.get("model_type"), files.config
    if kind in TWO_TOWERS:
        kind = TWO_TOWERS[cast(str, kind)]
        settings = cast("dict[str, Any]", files.config.get("vision_config") or {})
    if kind == "clip_vision_model" and "visual_projection.weight" in files.weights:
        kind = "clip_projected"
        settings = {**settings, "projection_dim": files.weights["visual_projection.weight"].shape[0]}
    if kind not in FAMILIES:
        known = ", ".join((*(one for one in FAMILIES if one != "clip_projected"), *TWO_TOWERS))
        raise ArchitectureError(
            f"config.json has the model_type {kind!r}, which is not supported; it must be one of {known}.",
            code="architecture_unknown",
            param="architecture",
        )
    if files.config.get("quantization_config") or settings.get("quantization_config"):
        raise CheckpointError("The network is quantised; send the weights from before quantisation.", code="checkpoint_quantised")
    return cast(str, kind), settings


def _configuration(family: Family, settings: dict[str, Any]) -> Any:
    """Build the configuration from the settings that its class declares; others, such as `auto_map`, are not passed on."""
    declared = {field for one in family.config.__mro__[:2] for field in vars(one).get("__annotations__", {})} | set(
        getattr(family.config, "attribute_map", {})
    )
    own = {key: value for key, value in settings.items() if key in declared and not key.startswith("_")}
    for key in ("num_hidden_layers", "depths", "layers"):
        values = own.get(key, 0)
        counts = cast("list[Any]", values) if isinstance(values, list) else [values]
        if not all(isinstance(count, int) and 0 <= count <= _BLOCKS_MAX for count in counts):
            raise ArchitectureError(f"{key} in config.json is out of range; upload the file again from the original.", param="checkpoint")
    try:
        return family.config(**own)
    except Exception as error:  # the library's validation raises classes of its own without a common base
        raise ArchitectureError(f"config.json is not valid for its model_type: {first_line(error)}.", param="checkpoint") from error


def _build(family: Family, config: Any, files: TransformersFiles) -> tuple[nn.Module, list[str]]:
    """Build the network and load the weights by the library's own renaming of keys; return it with notes."""
    options = dict(family.build_options)
    try:
        with torch.device("meta"):
            claimed = sum(weights.numel() for weights in family.model(config, **options).parameters())
        present = sum(weights.numel() for weights in files.weights.values())
        if claimed > present:
            raise ArchitectureError(
                f"config.json describes a network of {claimed:,} values, but the files have {present:,}; upload all shards of one network.",
                param="checkpoint",
            )
        weights = as_float32(_required_floats(files.weights), "the safetensors file")
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        module, found = cast(Any, family.model).from_pretrained(
            None, config=config, state_dict=weights, output_loading_info=True, dtype=torch.float32, **options
        )
    except _BUILD_ERRORS as error:
        raise ArchitectureError(
            f"The weights do not fit config.json: {first_line(error)}. Send the files of one network as they were saved.",
            param="checkpoint",
        ) from error
    missing = [key for key in sorted(found["missing_keys"]) if not _BESIDE_THE_NETWORK.search(key)]
    unexpected = [key for key in sorted(found["unexpected_keys"]) if not _BESIDE_THE_NETWORK.search(key)]
    problems = [
        f"{title} {first_names(keys, _LISTED_MAX)}" for title, keys in (("missing keys", missing), ("unexpected keys", unexpected)) if keys
    ]
    if problems:
        raise ArchitectureError(
            f"The weights do not fit config.json: {'; '.join(problems)}. Send the files of one network as they were saved.",
            param="checkpoint",
        )
    left_out = sorted(found["unexpected_keys"])
    notes = [f"{len(left_out)} keys beside the image tower were left out: {first_names(left_out, _LISTED_MAX)}."] if left_out else []
    types = {tensor.dtype for tensor in files.weights.values() if tensor.is_floating_point()} - {torch.float32}
    if types:
        notes.append(f"Weights stored as {', '.join(sorted(str(one).removeprefix('torch.') for one in types))} were converted to float32.")
    return cast(nn.Module, module).eval(), notes


def _required_floats(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    for key, tensor in weights.items():
        if key.endswith((".weight", ".bias")) and (not tensor.is_floating_point() or tensor.dtype.itemsize == 1):
            raise CheckpointError(
                f"{key} is {str(tensor.dtype).removeprefix('torch.')}: the weights are quantised, and their scale is unknown; send the "
                "weights from before quantisation.",
                code="checkpoint_quantised",
            )
    return weights


def _image_size(config: Any) -> int:
    """Return the side of the input; SigLIP 2 has a number of patches instead."""
    size, patches = getattr(config, "image_size", None), getattr(config, "num_patches", None)
    if isinstance(size, int):
        return size
    return math.isqrt(patches) * config.patch_size if isinstance(patches, int) else _DEFAULT_IMAGE_SIZE


def _token_layout(family: Family, config: Any) -> TokenLayout:
    patch = getattr(config, "patch_size", None)
    registers = int(getattr(config, "num_register_tokens", 0) or 0)
    is_transformer = bool(family.class_tokens or family.attention_pool)
    return TokenLayout(family.class_tokens, registers, (patch, patch) if is_transformer and isinstance(patch, int) else None)


def _digestible(config: Any) -> dict[str, Any]:
    """Return the settings that the configuration's class declares, as JSON-ready values."""
    names = [field for one in type(config).__mro__[:2] for field in vars(one).get("__annotations__", {}) if not field.startswith("_")]
    plain = (str, int, float, bool, list, type(None))
    return {name: value for name in sorted(names) if isinstance(value := getattr(config, name, None), plain)}
