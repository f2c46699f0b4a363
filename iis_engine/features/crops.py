"""Cut the crops of visual elements out of their training images, for showing concepts by their exemplars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from PIL import Image

from iis_engine.data.decoding.images import load_image
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.features.elements import element_crops
from iis_engine.features.feature_set import FeatureSet
from iis_engine.progress import ProgressCallback


def exemplar_crops(
    images: ImageDataset, features: FeatureSet, elements: Iterable[int], progress: ProgressCallback
) -> Iterator[tuple[list[int], list[Image.Image]]]:
    """Yield (element indices, their crops) image by image; each image is opened once and each element is yielded once.

    Parameters
    ----------
    elements : indices into `features.element_refs`, repeated ones allowed
    progress : called with (images done, images)

    Raises
    ------
    DataError
        If the elements were not cut from these images.
    """
    by_image: defaultdict[int, list[int]] = defaultdict(list)
    for element in sorted(set(elements)):
        by_image[features.element_refs[element].image].append(element)
    for done, (image, members) in enumerate(sorted(by_image.items()), start=1):
        upright = load_image(images.train[image].path, images.grey_bits)
        yield members, element_crops(upright, [features.element_refs[element] for element in members])
        progress(done, len(by_image))
