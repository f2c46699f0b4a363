"""Keys of extracted features: everything that a representation, the images of a data set, and their features depend on."""

from __future__ import annotations

from app.db.models import Dataset, Json, Model
from worker.jobs.artifacts import stage_key


def features_key(model: Model | None, dataset: Dataset, elements: Json) -> str:
    """The key of the stage that extracts the features of a data set."""
    return stage_key("extract", model=model and backbone_of(model), dataset=data_of(dataset), elements=elements)


def backbone_of(model: Model) -> Json:
    """Everything that a network's representation depends on."""
    return {"digest": model.digest, "layer": model.layer, "preprocessing": model.preprocessing, "arguments": model.arguments}


def data_of(dataset: Dataset) -> Json:
    """Everything that a data set's images and their split depend on."""
    return {"digest": dataset.digest, "kind": dataset.kind, "split_seed": dataset.split_seed, "test_share": dataset.test_share}
