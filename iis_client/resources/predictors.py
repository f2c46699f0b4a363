"""Predictors: the nodes of a scored job's curve as classifiers; predict with them or export them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, get_args

from iis_client.errors import ConfigurationError
from iis_client.resources.explanations import node_query
from iis_client.resources.images import ImageFile, form_files, read_image
from iis_client.resources.profiles import Profiles
from iis_client.transport.messages import id_of, parse_answer
from iis_schemas.explanations.predictors import PredictionsView, PredictionView, PredictorView
from iis_schemas.explanations.profiles import ClassesView
from iis_schemas.jobs.views import JobView

PATH = "/v1/predictors"
MAX_IMAGES_PER_REQUEST = 16  # the service accepts 64
MAX_BYTES_PER_REQUEST = 16 * 1024 * 1024  # of all images, if there are several; the service accepts 32 MiB by default

ExportFormat = Literal["safetensors", "image.onnx", "onnx"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


class Predictors(Profiles):
    """Calls on predictors; a job's predictors are selected by a node of its curve, like its classes."""

    def predictors(self, job: str | JobView | None = None) -> Iterator[PredictorView]:
        """Predictors of a job; default: all your predictors."""
        return self._pages(PredictorView, PATH, {"job": None if job is None else id_of(job)})

    def predictor(self, predictor: str | PredictorView) -> PredictorView:
        """One predictor."""
        return self._get(PredictorView, f"{PATH}/{id_of(predictor)}")

    def predictor_of(self, job: str | JobView, *, kept: int | None = None, sparsity: float | None = None) -> PredictorView:
        """Predictor at a node of a job's curve; default: the node of its explanations.

        Raises
        ------
        InvalidInputError
            When the curve has no such node.
        """
        node = self._get(ClassesView, f"/v1/jobs/{id_of(job)}/classes", node_query(kept, sparsity)).kept
        return next(predictor for predictor in self.predictors(job) if predictor.kept == node)

    def predict(self, predictor: str | PredictorView, *paths: str | Path, top: int = 5) -> list[PredictionView]:
        """Classify local images, in their order; large sets are sent in several requests.

        Parameters
        ----------
        top : number of concepts per prediction

        Raises
        ------
        LocalFileError
            When a file does not exist.
        InvalidInputError
            When a file is not an image.
        """
        predictions: list[PredictionView] = []
        for images in request_groups(read_image(Path(path)) for path in paths):
            path = f"{PATH}/{id_of(predictor)}/predict"
            response = self._transport.send("POST", path, params={"top": top}, files=form_files(images))
            predictions += parse_answer(PredictionsView, response.json()).data
        return predictions

    def export_predictor(self, predictor: str | PredictorView, path: str | Path, export_format: ExportFormat | None = None) -> None:
        """Save a predictor as a file that works without the service.

        Parameters
        ----------
        export_format : `image.onnx` has the network too, from pixels to label and concepts; default: by the suffix of the file

        Raises
        ------
        ConfigurationError
            When neither gives a format.
        """
        suffix = export_format or export_format_of(Path(path))
        Path(path).write_bytes(self._transport.send("GET", f"{PATH}/{id_of(predictor)}/export.{suffix}").content)


def request_groups(images: Iterable[ImageFile]) -> Iterator[list[ImageFile]]:
    """Group images so that each group fits into one request; images are read as their group is built."""
    group: list[ImageFile] = []
    for image in images:
        size_bytes = sum(len(member.content) for member in group) + len(image.content)
        if group and (len(group) == MAX_IMAGES_PER_REQUEST or size_bytes > MAX_BYTES_PER_REQUEST):
            yield group
            group = []
        group.append(image)
    if group:
        yield group


def export_format_of(path: Path) -> ExportFormat:
    """Export format by the suffix of a file.

    Raises
    ------
    ConfigurationError
        When the suffix is none of .safetensors, .onnx and .image.onnx.
    """
    for known in EXPORT_FORMATS:
        if path.name.lower().endswith(f".{known}"):  # .image.onnx is before .onnx
            return known
    raise ConfigurationError(f"A predictor can be saved as .safetensors, .onnx or .image.onnx, not as {path.name}.")
