"""Images of explanations and predictions: indexes of test images, ids of posted images, and local files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from iis_client.errors import LocalFileError

IMAGE_ID = re.compile(r"img_[0-9a-z]{26}")

ImageChoice = int | str | Path


@dataclass(frozen=True)
class ImageFile:
    """Name and content of an image file."""

    name: str
    content: bytes


def resolve_image(image: ImageChoice) -> str | ImageFile:
    """Resolve an image to the service's name for it (an index, `img_…`), or read the file.

    A number is an index; for a file with such a name give `./17`.

    Raises
    ------
    LocalFileError
        When the image is neither a valid index nor an existing file.
    """
    text = str(image)
    if not isinstance(image, Path) and ((text.isascii() and text.isdecimal()) or IMAGE_ID.fullmatch(text)):
        return text
    if isinstance(image, int):
        raise LocalFileError(f"There is no test image {image}; indexes start at 0.")
    return read_image(Path(image))


def read_image(path: Path) -> ImageFile:
    """Read an image file.

    Raises
    ------
    LocalFileError
        When the file does not exist, or is empty.
    """
    if not path.is_file():
        raise LocalFileError(f"There is no image {path}; give a file, or the index of a test image.")
    content = path.read_bytes()
    if not content:
        raise LocalFileError(f"{path} is empty; send an image.")
    return ImageFile(path.name, content)


def form_files(images: Iterable[ImageFile]) -> list[tuple[str, tuple[str, bytes]]]:
    """Multipart form fields, each named `file`."""
    return [("file", (image.name, image.content)) for image in images]
