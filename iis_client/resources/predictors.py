"""Predictors: the nodes of a scored job's curve as classifiers of their own, to use here or to take away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast, get_args

from iis_client.errors import ConfigurationError
from iis_client.resources.images import ImageFile, as_form, read_file
from iis_client.resources.profiles import Profiles
from iis_client.types.profiles import ExportFormat, Prediction, Predictor

PATH = "/v1/predictors"
SENT_AT_ONCE = 16  # images in one request; the service takes 64
SENT_BYTES_AT_ONCE = 16 * 1024 * 1024  # of them together, where more than one is sent; the service takes 32 MiB unless told otherwise


class Predictors(Profiles):
    """Calls on predictors; a job's are found by the node of its curve, as the calls on its classes are."""

    def predictors(self, job: str | None = None) -> Iterator[Predictor]:
        """The predictors of a job, or all of yours."""
        return cast("Iterator[Predictor]", self._pages(PATH, job=job))

    def predictor(self, predictor: str) -> Predictor:
        """One predictor."""
        return cast("Predictor", self._get(f"{PATH}/{predictor}"))

    def predictor_of(self, job: str, *, kept: int | None = None, sparsity: float | None = None) -> Predictor:
        """The predictor at a node of a job's curve; by default the one that explanations speak of.

        Raises
        ------
        InvalidInputError
            When the curve has no such node.
        """
        node: int = self._at_node(f"/v1/jobs/{job}/classes", kept, sparsity)["kept"]
        return next(found for found in self.predictors(job) if found["kept"] == node)

    def predict(self, predictor: str, *paths: str | Path, top: int = 5) -> list[Prediction]:
        """What a predictor says of images on this machine, in their order; they are sent a few at a time.

        Parameters
        ----------
        top : how many of the concepts that carried it are listed for each image

        Raises
        ------
        LocalFileError
            When one of them is not there.
        InvalidInputError
            When one of them is no image.
        """
        found: list[Prediction] = []
        for images in sent_together(read_file(Path(path)) for path in paths):
            response = self._transport.send("POST", f"{PATH}/{predictor}/predict", params={"top": top}, files=as_form(images))
            found += cast("list[Prediction]", response.json()["data"])
        return found

    def export_predictor(self, predictor: str, path: str | Path, export_format: ExportFormat | None = None) -> None:
        """Save a predictor as a file that works without the service.

        Parameters
        ----------
        export_format : as the file's name says unless given

        Raises
        ------
        ConfigurationError
            When neither says which format.
        """
        chosen = export_format or export_format_of(Path(path))
        Path(path).write_bytes(self._transport.send("GET", f"{PATH}/{predictor}/export.{chosen}").content)


def sent_together(images: Iterable[ImageFile]) -> Iterator[list[ImageFile]]:
    """Images in groups of a size that the service takes in one request; each is read when its group is made."""
    group: list[ImageFile] = []
    for image in images:
        size_bytes = sum(len(one.content) for one in group) + len(image.content)
        if group and (len(group) == SENT_AT_ONCE or size_bytes > SENT_BYTES_AT_ONCE):
            yield group
            group = []
        group.append(image)
    if group:
        yield group


def export_format_of(path: Path) -> ExportFormat:
    """The format that a file's name asks for.

    Raises
    ------
    ConfigurationError
        When it is none that there is.
    """
    for known in cast("tuple[ExportFormat, ...]", get_args(ExportFormat)):
        if path.suffix.lower() == f".{known}":
            return known
    raise ConfigurationError(f"A predictor can be saved as .safetensors or .onnx, not as {path.name}.")
