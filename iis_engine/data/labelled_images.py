"""Find the labelled images of a folder: by a chosen manifest, by class folders, or by a list that lies beside the images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from iis_engine.data.folders.class_folders import ClassImage, ClassImages, find_class_images
from iis_engine.data.folders.folder_tree import Folder
from iis_engine.data.labels.image_index import ImageIndex
from iis_engine.data.labels.manifests import Manifest, ManifestChoice, find_manifests, read_manifests, require_manifest
from iis_engine.data.labels.sidecar_labels import find_sidecar_labels
from iis_engine.data.labels.split_lists import find_split_lists
from iis_engine.errors import DataError, first_names

_COMMON_SHARE = 0.5  # of the images in class folders, from which a list is one of these images


def find_labelled_images(tree: Folder, choice: ManifestChoice | None) -> ClassImages:
    """List labelled images; a list that contradicts class folders is refused unless it was chosen.

    Raises
    ------
    DataError
        Where neither folders nor a list give classes, where they disagree, or where several lists could be meant.
    """
    index = ImageIndex(tree)
    if choice is not None:
        return read_manifests(tree, [require_manifest(tree, choice, index)], index)
    refusal: DataError | None = None
    folders = None
    try:
        folders = find_class_images(tree)
    except DataError as error:
        refusal = error
    lists = _find_lists(tree, index)
    if folders is not None and (not lists or len({image.class_name for image in folders.images}) > 1):
        return _combine(tree, folders, lists, index) if lists else folders
    if lists:
        _require_one_per_split(lists)
        return read_manifests(tree, lists, index)
    raise refusal or DataError("The data set has no images in class folders.", code="dataset_classes")


def _find_lists(tree: Folder, index: ImageIndex) -> list[Manifest]:
    if lists := find_manifests(tree, index) or find_split_lists(tree, index):
        return lists
    sidecars = find_sidecar_labels(tree)
    return [] if sidecars is None else [sidecars]


def _combine(tree: Folder, folders: ClassImages, lists: Sequence[Manifest], index: ImageIndex) -> ClassImages:
    """Class folders beside lists: take splits from lists that agree with the folders; name lists that are not used."""
    names = first_names([manifest.table.name for manifest in lists])
    unused = replace(folders, notes=(*folders.notes, f"{names} was not read, since the folders give the classes."))
    if len({manifest.role for manifest in lists}) < len(lists):
        return unused
    try:
        listed = read_manifests(tree, lists, index)
    except DataError:
        return unused
    if any(image.labels is not None for image in listed.images):
        return unused
    of_folder = {image.path: image.class_name for image in folders.images}
    common = [(of_folder[image.path], image.class_name) for image in listed.images if image.path in of_folder]
    if len(common) < _COMMON_SHARE * len(folders.images):
        return unused if common else _with_held_out(tree, folders, listed, lists, names) or unused
    class_of = _one_to_one(common)
    if class_of is None:
        raise DataError(
            f"{names} gives other classes than the folders: {first_names(_conflicts(common), 3)}. Remove the list to use the folders, "
            "or choose it as the manifest.",
            code="manifest_conflict",
            param="manifest",
        )
    has_splits = all(image.split is None for image in folders.images) and any(image.split is not None for image in listed.images)
    if not has_splits or not all(image.class_name in class_of for image in listed.images):
        return unused
    images = tuple(image._replace(class_name=class_of[image.class_name]) for image in listed.images)
    left_out = len(folders.images) - len(common)
    warnings = (*folders.warnings, *((f"{left_out} images are in no split of {names} and were left out.",) if left_out else ()))
    return ClassImages(images, folders.ignored_count + left_out, warnings, (*folders.notes, f"The splits were read from {names}."))


def _with_held_out(tree: Folder, folders: ClassImages, listed: ClassImages, lists: Sequence[Manifest], names: str) -> ClassImages | None:
    """Class folders for training, and a list of other images to test on, as in Tiny ImageNet; None where their classes differ."""
    same_classes = {image.class_name for image in listed.images} <= {image.class_name for image in folders.images}
    held_out = all(manifest.role in ("test", "validation") for manifest in lists)
    if not same_classes or not held_out or any(image.split is not None for image in folders.images):
        return None
    train = [image._replace(split="train") for image in folders.images]
    test = [ClassImage(image.path, image.class_name, "test") for image in listed.images]
    used = {part for image in test for part in image.path.relative_to(tree.path).parts[:-1]}
    warnings = tuple(warning for warning in folders.warnings if warning.split(" was left out;")[0] not in used)
    note = f"The labels of the {len(test)} test images were read from {names}."
    return ClassImages((*train, *test), folders.ignored_count - len(test), warnings, (*folders.notes, note))


def _one_to_one(pairs: Sequence[tuple[str, str]]) -> dict[str, str] | None:
    """Map labels to class folders; None where two folders share a label or two labels a folder."""
    distinct = set(pairs)
    mapping = {label: folder for folder, label in distinct}
    return mapping if len(mapping) == len(distinct) == len({folder for folder, _ in distinct}) else None


def _conflicts(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{label!r} for images in {folder!r}" for (folder, label), _ in Counter(pairs).most_common() if folder != label]


def _require_one_per_split(lists: Sequence[Manifest]) -> None:
    roles = Counter(manifest.role for manifest in lists)
    if len(lists) > 1 and (None in roles or max(roles.values()) > 1):
        names = first_names([manifest.table.name for manifest in lists])
        raise DataError(f"Several tables could be the manifest ({names}); choose one.", code="manifest_choice", param="manifest")
