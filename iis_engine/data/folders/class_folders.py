"""Find class folders and splits in a folder: CLASS/…, train/CLASS/…, CLASS/train/…, in wrapping folders or not. No file is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from iis_engine.data.folders.folder_tree import Folder, count_by_suffix
from iis_engine.data.folders.split_names import SplitName, parse_split_name
from iis_engine.data.folders.suspect_layouts import require_class_folders
from iis_engine.errors import DataError, first_names
from iis_engine.notes import Notes

Split = Literal["train", "test"]

UNREAD_IMAGE_SUFFIXES = frozenset(
    (
        *(".heic", ".heif", ".hif", ".svg", ".eps", ".pdf", ".psd", ".ico", ".jp2", ".j2k", ".jxl", ".jxr", ".exr", ".hdr", ".tga"),
        *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".raw", ".dcm", ".nii", ".mha", ".npy", ".mat", ".pcx"),
    )
)


class ClassImage(NamedTuple):
    """An image file, its class, and its split; the split is None where the data do not define one.

    Attributes
    ----------
    class_name : of multi-label data the rarest label of the image, "" for an image without any
    labels : all labels of the image in multi-label data; None in single-label data
    """

    path: Path
    class_name: str
    split: Split | None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ClassImages:
    """Labelled image files of a folder.

    Attributes
    ----------
    images : every labelled image
    ignored_count : files that are not labelled images, and links that leave the folder; hidden and system files do not count
    warnings : folders, classes and images that were left out
    notes : choices among several readings
    """

    images: tuple[ClassImage, ...]
    ignored_count: int
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()


class _Source(NamedTuple):
    """A folder of class folders, its split, and its name for messages."""

    folder: Folder
    split: Split | None
    title: str


def find_class_images(tree: Folder) -> ClassImages:
    """List the images of class folders, with or without folders for the splits above or below them.

    A single folder that wraps the class folders is entered, also where folders without images lie beside it.

    Raises
    ------
    DataError
        Where the folders are recognisably not classes: splits, domains, parts of one set, or images beside their annotations.
    """
    warnings, notes = Notes(), Notes()
    top = enter_wrapping_folders(tree, stop_at_train=True)
    images = _images_with_splits_inside(top, warnings)
    if images is None:
        images = list[ClassImage]()
        for source in _sources(top, warnings):
            classes = source.folder.with_images
            require_class_folders(classes)
            _report_left_out(source, warnings)
            _note_merged_subfolders(classes, notes)
            images += [ClassImage(path, folder.name, source.split) for folder in classes for path in folder.image_paths()]
    _require_distinct_names({image.class_name for image in images})
    _report_unread(tree, warnings, notes)
    found = sum(len(folder.images) + len(folder.others) + len(folder.links) for folder in tree.walk())
    return ClassImages(tuple(images), found - len(images), warnings.sentences, notes.sentences)


def enter_wrapping_folders(folder: Folder, *, stop_at_train: bool) -> Folder:
    """Descend while there is one subfolder with images, no image beside it, and further folders with images inside it."""
    while not folder.images and len(folder.with_images) == 1 and folder.with_images[0].with_images:
        only = folder.with_images[0]
        named = parse_split_name(only.name)
        if stop_at_train and named is not None and named.role == "train":
            break
        folder = only
    return folder


def _sources(top: Folder, warnings: Notes) -> list[_Source]:
    """Return the folders that contain class folders."""
    named = [(folder, split) for folder in top.folders if (split := parse_split_name(folder.name)) is not None]
    trains = [(folder, split) for folder, split in named if split.role == "train" and _is_train_folder(folder, split, named)]
    if not trains:
        return [_Source(top, None, "the data set")]
    if len(trains) > 1:
        raise DataError(
            f"The data set has several training splits ({first_names([folder.name for folder, _ in trains])}); send one of them.",
            code="dataset_classes",
        )
    train, split = trains[0]
    others = [folder for folder in top.with_images if folder is not train]
    entered = enter_wrapping_folders(train, stop_at_train=False)
    classes = {folder.name for folder in entered.with_images}
    beside = [folder for folder, other in named if other.rest == split.rest and other.role != "train"]
    held_out = [folder for folder in beside if _has_classes(folder, classes)]
    held_out.sort(key=lambda folder: _role_of(folder) != "test")
    for folder in others:
        if folder not in held_out:
            flat = "" if _has_classes(folder, classes) else " without class folders"
            warnings.add(f"{folder.name} was left out; it holds {folder.image_count} images{flat}.")
    empty = [folder.name for folder, other in named if other.role != "train" and not folder.image_count]
    if empty and not held_out:
        warnings.add(f"{first_names(empty)} holds no image that is read, so that a share of {train.name} became the test split.")
    if not held_out:
        return [_Source(entered, None, train.name)]
    if len(held_out) > 1:
        names = ", ".join(folder.name for folder in held_out[1:])
        warnings.add(f"{held_out[0].name} was used as the test split; {names} was left out.")
    test = enter_wrapping_folders(held_out[0], stop_at_train=False)
    return [_Source(entered, "train", train.name), _Source(test, "test", held_out[0].name)]


def _is_train_folder(folder: Folder, split: SplitName, named: Sequence[tuple[Folder, SplitName]]) -> bool:
    """Whether a folder named for the training split is one: a class may be called train, or bullet train."""
    has_counterpart = any(other.rest == split.rest and other.role != "train" for _, other in named)
    return bool(_classes_inside(folder)) and (not split.rest or has_counterpart)


def _classes_inside(folder: Folder) -> tuple[Folder, ...]:
    return enter_wrapping_folders(folder, stop_at_train=False).with_images


def _has_classes(folder: Folder, classes: set[str]) -> bool:
    """Whether a folder beside the training split has class folders: several, or one of these classes."""
    inside = _classes_inside(folder)
    return len(inside) > 1 or any(inner.name in classes for inner in inside)


def _role_of(folder: Folder) -> str | None:
    named = parse_split_name(folder.name)
    return None if named is None else named.role


def _images_with_splits_inside(top: Folder, warnings: Notes) -> list[ClassImage] | None:
    """List the images of CLASS/train/… and CLASS/test/…; None where the splits are not inside the classes."""
    classes = top.with_images
    roles = [[_role_of(inner) for inner in folder.with_images] for folder in classes]
    if len(classes) < 2 or not all("train" in held and len(held) > 1 and None not in held for held in roles):
        return None
    if any(folder.images or _role_of(folder) is not None for folder in classes):
        return None
    wanted = "test" if all("test" in held for held in roles) else "validation"
    images, left_out = list[ClassImage](), 0
    for folder in classes:
        for inner in folder.with_images:
            role = _role_of(inner)
            if role in ("train", wanted):
                images += [ClassImage(path, folder.name, "train" if role == "train" else "test") for path in inner.image_paths()]
            else:
                left_out += inner.image_count
    if left_out:
        warnings.add(f"The {wanted} folders of the classes are the test split; {left_out} images of other folders beside were left out.")
    _report_left_out(_Source(top, None, "the data set"), warnings)
    return images


def _report_left_out(source: _Source, warnings: Notes) -> None:
    """Name the folders that give no class, and the images outside of class folders."""
    empty = [folder for folder in source.folder.folders if not folder.image_count]
    if empty:
        listed = [f"{folder.name} ({count_by_suffix(folder.other_names()) or 'empty'})" for folder in empty]
        warnings.add(f"These folders of {source.title} contain no image that is read and give no class: {first_names(listed, 10)}.")
    if source.folder.links:
        names = first_names(source.folder.links, 10)
        warnings.add(f"These links in {source.title} lead out of the data set and were not read: {names}. Put the files themselves there.")
    if source.folder.images:
        examples = first_names(source.folder.images, 3)
        warnings.add(f"{len(source.folder.images)} images of {source.title} lie in no class folder and were left out: {examples}.")


def _note_merged_subfolders(classes: Sequence[Folder], notes: Notes) -> None:
    nested = [folder for folder in classes if len(folder.with_images) > 1 or (folder.images and folder.with_images)]
    if nested:
        inner = first_names([folder.name for folder in nested[0].with_images], 3)
        counted = f"{len(nested)} of {len(classes)} class folders contain subfolders, whose images count for the class"
        notes.add(f"{counted}: {nested[0].name} has {inner}.")


def _require_distinct_names(names: set[str]) -> None:
    """Refuse class names that differ in case or spaces alone; single letters may, since data sets of letters have them."""
    folded = dict[str, str]()
    for name in sorted(names):
        key = name if len(name) == 1 else " ".join(name.casefold().replace("_", " ").split())
        if (other := folded.setdefault(key, name)) != name:
            raise DataError(
                f"The class names {other!r} and {name!r} differ only in case, spaces or underscores; give both folders one name, "
                "or names that differ.",
                code="dataset_classes",
            )


def _report_unread(tree: Folder, warnings: Notes, notes: Notes) -> None:
    names = tree.other_names()
    unread = [name for name in names if Path(name).suffix.lower() in UNREAD_IMAGE_SUFFIXES]
    if unread:
        counted = count_by_suffix(unread)
        warnings.add(f"{len(unread)} files have image formats that are not read and were left out ({counted}); save them as PNG or JPEG.")
    if names:
        notes.add(f"{len(names)} files that are not images of a supported format were left out: {count_by_suffix(names)}.")
    links = [folder.name + "/" + name for folder in tree.walk() for name in folder.links]
    if links:
        notes.add(f"{len(links)} links that lead out of the data set were left out: {first_names(links, 3)}.")
