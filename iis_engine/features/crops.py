"""The crops that show concepts, cut out of their images again. What is done with them is decided by those who ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from PIL import Image

from iis_engine.data.datasets import ImageDataset
from iis_engine.data.images import load_image
from iis_engine.features.elements import element_crops
from iis_engine.features.feature_set import FeatureSet
from iis_engine.progress import ProgressCallback


def exemplar_crops(
    images: ImageDataset, features: FeatureSet, elements: Iterable[int], progress: ProgressCallback
) -> Iterator[tuple[list[int], list[Image.Image]]]:
    """Elements and their pictures, image by image: each image is opened once, and an element that shows several concepts comes once.

    Raises
    ------
    DataError
        When the elements were not cut from these images.
    """
    of_image: defaultdict[int, list[int]] = defaultdict(list)
    for element in sorted(set(elements)):
        of_image[features.element_refs[element].image].append(element)
    for done, (image, members) in enumerate(sorted(of_image.items()), start=1):
        yield members, element_crops(load_image(images.train[image].path), [features.element_refs[element] for element in members])
        progress(done, len(of_image))
