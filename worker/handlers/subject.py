"""What a question is about: a scored job's heads, test images and network, and one image as that sees it. In the compute process only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.handlers.model_cache import ModelCache
from worker.stages.specs import DatasetRequest, ModelRequest, open_backbone

WARM = ModelCache()


@dataclass(frozen=True)
class Subject:
    """What a question is about.

    Attributes
    ----------
    kept, sparsity : the node of the curve, neither for the default one
    files, posted : where artifacts lie by name, and posted images by id
    image : index of a test image, or the id of a posted one
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
    def family(self) -> Any:
        """Every predictor of the job."""
        from iis_engine.scoring.predictor import PredictorFamily

        return self._loaded("predictors", PredictorFamily.load)

    @property
    def predictor(self) -> Any:
        """The one at the node that is asked about."""
        return self.family.at(self.kept, sparsity=self.sparsity)

    @property
    def tested(self) -> Any:
        """What is known of the test images."""
        from iis_engine.explanations.test_set import TestSet

        return self._loaded("tested", TestSet.load)

    @property
    def outcomes(self) -> Any:
        """What the predictor says of the test images."""
        predictor = self.predictor
        return WARM.get(("outcomes", *self.scored, predictor.kept), lambda: self.tested.outcomes(predictor))

    @property
    def scored(self) -> tuple[str, str]:
        """The heads and the test images, neither of which tells the other: jobs may share one of them."""
        return self.files["predictors"], self.files["tested"]

    @property
    def network(self) -> ModelRequest:
        """The network that embeds the image."""
        if self.model is None:
            raise _no_images()
        return self.model

    @property
    def image_key(self) -> tuple[Any, ...]:
        """What tells the image as the network sees it from every other: a test image's index says nothing without its data set."""
        return self.image, self.files["tested"], self.dataset_folder, repr(self.network)

    @property
    def backbone(self) -> Any:
        """The network, warm from the second question on."""
        network = self.network
        return WARM.get(("backbone", repr(network)), lambda: open_backbone(network))

    @property
    def view(self) -> Any:
        """The image as the network sees it: resized and cropped, a PIL image."""
        from iis_engine.explanations.heatmaps import network_view

        return WARM.get(("view", *self.image_key), lambda: network_view(self.backbone, self._picture()))

    @property
    def batch(self) -> Any:
        """(1, channels, H, W), what goes into the network."""
        return WARM.get(("batch", *self.image_key), lambda: self.backbone.preprocess(self._picture())[None])

    @property
    def representation(self) -> Any:
        """(1, d), f(x) of a posted image; what test images give is kept with the job."""
        return WARM.get(("representation", *self.image_key), lambda: self.backbone.embed(self.batch).cpu())

    @property
    def index(self) -> int | None:
        """The test image's index; None for a posted one."""
        if not isinstance(self.image, int):
            return None
        if not 0 <= self.image < len(self.tested):
            from iis_engine.errors import DataError

            last = len(self.tested) - 1
            raise DataError(f"There is no test image {self.image}; the test set has images 0 to {last}.", code="image_absent")
        return self.image

    @property
    def activations(self) -> Any:
        """(M,) dense activations of the image; of a test image without any forward pass."""
        index = self.index
        return self.family.library.activations(self.representation)[0] if index is None else self.tested.activations[index]

    def _loaded(self, name: str, load: Callable[[Path], Any]) -> Any:
        path = self.files[name]
        return WARM.get((name, path), lambda: load(Path(path)))

    def _picture(self) -> Any:
        from iis_engine.data.images import load_image
        from worker.stages.datasets import open_images

        index = self.index
        if index is None:
            return load_image(Path(self.posted[str(self.image)]))
        if self.dataset_folder is None or self.dataset is None:
            raise _no_images()
        folder, source = Path(self.dataset_folder), self.dataset
        images = WARM.get(("images", self.dataset_folder), lambda: open_images(folder, source))
        return load_image(images.test[int(self.tested.rows[index])].path)


def _no_images() -> Exception:
    from iis_engine.errors import DataError

    return DataError("The job was scored on ready features, so there is no image to look at and no network to look with.", code="no_images")


def node_form(subject: Subject) -> dict[str, Any]:
    from iis_engine.nodes import sparsity_of

    family, predictor = subject.family, subject.predictor
    count = len(family.library)
    nodes = [{"kept": kept, "sparsity": sparsity_of(kept, count)} for kept in family.nodes]
    return {"kept": predictor.kept, "sparsity": predictor.sparsity, "concept_count": count, "nodes": nodes}


def present(noun: str, look: Callable[[], Any]) -> Any:
    """What `look` gives; its refusal becomes one of something that is not at the address asked for."""
    from iis_engine.errors import SettingError

    try:
        return look()
    except SettingError as error:
        raise SettingError(str(error), code=f"{noun}_absent") from error
