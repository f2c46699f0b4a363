"""A scored job as a query reads it: predictors, test set, network and the queried image, each loaded once and cached."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from worker.handlers.model_cache import ModelCache
from worker.stages.specs import DatasetRequest, ModelRequest, open_backbone

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from iis_engine.backbones.backbone import Backbone
    from iis_engine.errors import DataError
    from iis_engine.explanations.novelty import Novelty
    from iis_engine.explanations.test_set import Outcomes, TestSet
    from iis_engine.scoring.predictor import Predictor, PredictorFamily

CACHE = ModelCache()

Value = TypeVar("Value")


@dataclass(frozen=True)
class ScoredJob:
    """Files of a scored job, and the node and image that a query asks about.

    Attributes
    ----------
    files : paths of artifacts by name, `predictors` and `tested` among them, and `features` where they are still stored
    posted : paths of posted images by id
    model : the network's request, or None where the query reads no image
    dataset_folder, dataset : the unpacked data set and its request, where the query reads a test image
    kept, sparsity : the node of the curve; both None for the default node
    image : index of a test image, or id of a posted image
    """

    files: dict[str, str]
    posted: dict[str, str]
    model: ModelRequest | None
    dataset_folder: str | None
    dataset: DatasetRequest | None
    kept: int | None
    sparsity: float | None
    image: int | str | None

    @property
    def family(self) -> PredictorFamily:
        """The job's predictors at every node."""
        from iis_engine.scoring.predictor import PredictorFamily

        return self._loaded("predictors", PredictorFamily.load)

    @property
    def predictor(self) -> Predictor:
        """The predictor at the queried node."""
        return self.family.at(self.kept, sparsity=self.sparsity)

    @property
    def test_set(self) -> TestSet:
        """Activations, labels and predictions of the test images."""
        from iis_engine.explanations.test_set import TestSet

        return self._loaded("tested", TestSet.load)

    @property
    def outcomes(self) -> Outcomes:
        """The predictor's predictions for the test images."""
        predictor = self.predictor
        return CACHE.get(("outcomes", *self.scored_files, predictor.kept), lambda: self.test_set.outcomes(predictor))

    @property
    def scored_files(self) -> tuple[str, str]:
        """Key of what depends on predictors and test set: two jobs may share either file without the other."""
        return self.files["predictors"], self.files["tested"]

    @property
    def network(self) -> ModelRequest:
        """The request of the network that embeds the image."""
        if self.model is None:
            raise _no_images()
        return self.model

    @property
    def image_key(self) -> tuple[Hashable, ...]:
        """Key of what depends on the image as the network sees it; the index of a test image is unique within its data set only."""
        return self.image, self.files["tested"], self.dataset_folder, repr(self.network)

    @property
    def backbone(self) -> Backbone:
        """The scored network."""
        network = self.network
        return CACHE.get(("backbone", repr(network)), lambda: open_backbone(network))

    @property
    def view(self) -> Image.Image:
        """The image as the network sees it, resized and cropped."""
        from iis_engine.explanations.heatmaps import network_view

        return CACHE.get(("view", *self.image_key), lambda: network_view(self.backbone, self._load_image()))

    @property
    def batch(self) -> Tensor:
        """(1, channels, H, W) float32, the image as input of the network."""
        return CACHE.get(("batch", *self.image_key), lambda: self.backbone.preprocess(self._load_image())[None])

    @property
    def representation(self) -> Tensor:
        """(1, d) float32, f(x) of a posted image; the test set has what test images need."""
        return CACHE.get(("representation", *self.image_key), lambda: self.backbone.embed(self.batch).cpu())

    @property
    def index(self) -> int | None:
        """The test image's index; None for a posted image."""
        if not isinstance(self.image, int):
            return None
        if not 0 <= self.image < len(self.test_set):
            from iis_engine.errors import DataError

            last = len(self.test_set) - 1
            raise DataError(f"There is no test image {self.image}; the test set has images 0 to {last}.", code="image_absent")
        return self.image

    @property
    def activations(self) -> Tensor:
        """(M,) float32, dense activations of the image; no forward pass for a test image."""
        index = self.index
        return self.family.library.activations(self.representation)[0] if index is None else self.test_set.activations[index]

    @property
    def novelty(self) -> Novelty | None:
        """Distance of the image from the training images; None where their features are no longer stored."""
        from iis_engine.explanations.novelty import TrainingReference, read_test_row

        if "features" not in self.files:
            return None
        path, index = Path(self.files["features"]), self.index
        reference = CACHE.get(("training reference", str(path)), lambda: TrainingReference.read(path))
        if reference is None:
            return None
        return reference.novelty(self.representation[0] if index is None else read_test_row(path, index))

    def _loaded(self, name: str, load: Callable[[Path], Value]) -> Value:
        path = self.files[name]
        return CACHE.get((name, path), lambda: load(Path(path)))

    def _load_image(self) -> Image.Image:
        from iis_engine.data.decoding.images import load_image
        from worker.stages.datasets import open_images

        index = self.index
        if index is None:
            return load_image(Path(self.posted[str(self.image)]))
        if self.dataset_folder is None or self.dataset is None:
            raise _no_images()
        folder, request = Path(self.dataset_folder), self.dataset
        images = CACHE.get(("images", self.dataset_folder), lambda: open_images(folder, request))
        return load_image(images.test[int(self.test_set.rows[index])].path, images.grey_bits)


def _no_images() -> DataError:
    from iis_engine.errors import DataError

    return DataError("The job was scored on ready features, so it has no images and no network to show them to.", code="no_images")


def with_absent_code(noun: str, look_up: Callable[[], Value]) -> Value:
    """The result of `look_up`; a `SettingError` of it gets the code `{noun}_absent`, which the API answers with 404."""
    from iis_engine.errors import SettingError

    try:
        return look_up()
    except SettingError as error:
        raise SettingError(str(error), code=f"{noun}_absent") from error
