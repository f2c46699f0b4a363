"""Stages that check a new model or data set before it may be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from worker.stages.datasets import (
    describe_features,
    describe_images,
    digest_of_features,
    open_features,
    read_images,
)
from worker.stages.reporter import Reporter
from worker.stages.specs import DatasetRequest, ModelRequest, open_backbone, open_vision_language_model


def check_model(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Load the network and run a dry forward: {digest, info}."""
    import torch
    from PIL import Image

    from iis_engine.errors import CheckpointError

    request = ModelRequest.from_json(arguments["model"])
    if request.role == "vlm":
        model = open_vision_language_model(request)
        backbone, digest, info = model.images, model.digest, model.describe()
    else:
        backbone = open_backbone(request)
        digest, info = backbone.digest, backbone.describe()
    tell.progress(1, 2)
    height, width = backbone.input_size
    image = Image.effect_noise((width, height), 64).convert("RGB")
    with torch.inference_mode():
        representation = backbone.embed(backbone.preprocess(image)[None])
    if not torch.isfinite(representation).all():
        raise CheckpointError("The network's representation of an image is not finite; its weights are damaged.", param="checkpoint")
    tell.progress(2, 2)
    return {"digest": digest, "info": info}


def check_dataset(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Read a data set whole: {digest, info}; of images also the reading, for jobs to come."""
    request = DatasetRequest.from_json(arguments["dataset"])
    if request.kind == "features":
        features = open_features(request)
        return {"digest": digest_of_features(features), "info": describe_features(features)}
    dataset = read_images(workspace, request, tell.progress)
    return {"digest": dataset.digest, "info": describe_images(dataset)}
