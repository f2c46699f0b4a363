"""Count the images of a data set and the visual elements that are cut from them, as far as its check has counted."""

from __future__ import annotations

from collections.abc import Collection

from app.db.models import Dataset, Json
from iis_engine.specs import ElementSpec
from iis_schemas.fields import ElementsView


def image_count(dataset: Dataset, elements: Json | None) -> int:
    """Images and, but for ready features, the largest number of elements; 0 where none is counted.

    Parameters
    ----------
    elements : as a job's row has them; None where none are cut
    """
    info = dataset.info or {}
    counts = info.get("counts", {})
    train, test = counts.get("train", {}), counts.get("test", {})
    # An image of multi-label data counts for each of its labels.
    images = int(info.get("train", sum(train.values())) + info.get("test", sum(test.values())))
    if dataset.kind == "features" or elements is None:
        return images
    return images + element_count(train.values(), elements)


def element_count(train: Collection[int], elements: Json) -> int:
    """The largest number of elements that the engine cuts.

    Parameters
    ----------
    train : training images of each class
    elements : as a job's row has them
    """
    view = ElementsView.model_validate(elements)
    spec = ElementSpec(view.kind, images_per_class=view.images_per_class, scales=tuple(view.scales or ()))
    return sum(min(count, spec.images_of_each_class(len(train))) for count in train) * spec.elements_per_image_max
