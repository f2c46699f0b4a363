"""Load `hf:ORG/NAME`: the files of a transformers repository on the Hub, read as an uploaded folder is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch

from iis_engine.backbones.hub_files import HubRepository
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.backbones.transformers.backbone import load_transformers_backbone
from iis_engine.backbones.transformers.files import CONFIG, INDEX, PROCESSOR_FILES, SHARDS_MAX, WEIGHTS
from iis_engine.errors import ArchitectureError
from iis_engine.specs import BackboneSpec


def load_hub_backbone(spec: BackboneSpec, name: str, device: torch.device) -> TorchBackbone:
    """Download config.json, the image processor's settings and the safetensors of `hf:ORG/NAME`; see `load_transformers_backbone`.

    Raises
    ------
    ArchitectureError, CheckpointError
        For a repository that cannot be read or has no safetensors, and as `load_transformers_backbone` does.
    """
    repository = HubRepository(name, spec.pretrained)
    folder = repository.file(CONFIG).parent
    for optional in PROCESSOR_FILES:
        repository.optional_file(optional)
    index = repository.optional_file(INDEX)
    for shard in [WEIGHTS] if index is None else _shards(index):
        if repository.optional_file(shard) is None:
            raise ArchitectureError(
                f"{name} has no {shard} on the Hub; only safetensors are read: save the network with save_pretrained and upload it.",
                code="checkpoint_empty",
                param="architecture",
            )
    return load_transformers_backbone(spec, folder, device, notes=[repository.note], in_cache=True)


def _shards(index: Path) -> list[str]:
    try:
        content: Any = json.loads(index.read_text(encoding="utf-8"))
        names = sorted(set(cast("dict[str, str]", content["weight_map"]).values()))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ArchitectureError(f"{INDEX} has no weight_map.", param="architecture") from error
    if len(names) > SHARDS_MAX:
        raise ArchitectureError(f"{INDEX} names {len(names)} files; {SHARDS_MAX} are allowed.", param="architecture")
    return names
