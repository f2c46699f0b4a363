"""Images that questions are asked about: indexes of the test set, images posted before, and files on this machine, read to be sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from iis_client.errors import LocalFileError

POSTED = re.compile(r"img_[0-9a-z]{26}")

ImageChoice = int | str | Path


@dataclass(frozen=True)
class ImageFile:
    """An image as it is sent."""

    name: str
    content: bytes


def read_choice(image: ImageChoice) -> str | ImageFile:
    """What the service is asked about: the name it knows an image by (an index, `img_…`), or the content of a file.

    A number in digits is an index; a file that is called so is reached as `./17`.

    Raises
    ------
    LocalFileError
        When it is neither a number nor a file that is there.
    """
    written = str(image)
    if not isinstance(image, Path) and ((written.isascii() and written.isdecimal()) or POSTED.fullmatch(written)):
        return written
    if isinstance(image, int):
        raise LocalFileError(f"There is no test image {image}; they are counted from 0.")
    return read_file(Path(image))


def read_file(path: Path) -> ImageFile:
    """An image on this machine.

    Raises
    ------
    LocalFileError
        When there is no file, or nothing in it.
    """
    if not path.is_file():
        raise LocalFileError(f"There is no image {path}; name a file, or the index of a test image.")
    content = path.read_bytes()
    if not content:
        raise LocalFileError(f"{path} is empty; send an image.")
    return ImageFile(path.name, content)


def as_form(images: Iterable[ImageFile]) -> list[tuple[str, tuple[str, bytes]]]:
    """The parts of a form, each named `file`."""
    return [("file", (image.name, image.content)) for image in images]
