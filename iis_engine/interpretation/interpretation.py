"""Result of scoring a model on images: report, concepts, predictors; explains further images and shows itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from iis_engine.backbones.backbone import Backbone
from iis_engine.display.reports import report_html, summary_line
from iis_engine.explanations.explain import class_label, explain, prediction_of
from iis_engine.features.feature_set import FeatureSet
from iis_engine.interpretation.concepts import Concepts
from iis_engine.interpretation.image_explanation import ImageExplanation
from iis_engine.interpretation.image_preprocessing import ImagePreprocessing, as_picture
from iis_engine.interpretation.labelled_images import Picture
from iis_engine.report import IISReport
from iis_engine.scoring.predictor import PredictorFamily
from iis_engine.tracking.loggable import LoggableScore

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Interpretation(LoggableScore):
    """A model scored through its concepts.

    Attributes
    ----------
    report : the score with its curve, controls and verdict
    concepts : of the library, with crops, names and metrics
    predictors : the sparse heads of all points of the curve, beside the linear head on the whole representation
    features : representations of both splits and of the visual elements
    backbone : the network up to its representation
    preprocessing : of its images
    """

    report: IISReport
    concepts: Concepts
    predictors: PredictorFamily
    features: FeatureSet
    backbone: Backbone
    preprocessing: ImagePreprocessing

    def explain(
        self, image: Picture | str | Path, *, kept: int | None = None, sparsity: float | None = None, contrast: str | None = None
    ) -> ImageExplanation:
        """Explain the prediction for one image by the contributions of concepts.

        Parameters
        ----------
        image : as the data sets give it, or a file
        kept, sparsity : the point of the curve whose head is explained; without either the node nearest to max(5, M/10)
        contrast : a class; the contributions are then those to the difference between both logits

        Raises
        ------
        SettingError
            When the curve has no such point, or `contrast` is not another class.
        DataError
            When the image cannot be read or has another size than the scored ones.
        """
        predictor = self.predictors.at(kept, sparsity=sparsity)
        other = None if contrast is None else class_label(predictor.class_names, contrast, "contrast")
        picture = as_picture(image)
        network_input = self.preprocessing.network_input(picture)
        X = self.backbone.embed(network_input.unsqueeze(0)).cpu()
        return ImageExplanation(
            explanation=explain(predictor, self.predictors.library.activations(X)[0], contrast=other),
            representation=prediction_of(self.predictors.baseline_logits(X)[0].softmax(dim=0)),
            concepts=self.concepts,
            view=self.preprocessing.view(picture),
            backbone=self.backbone,
            network_input=network_input,
        )

    def predict(self, images: Iterable[Picture | str | Path], *, kept: int | None = None) -> list[str]:
        """The class of each image by the concepts that are kept at one point of the curve."""
        predictor = self.predictors.at(kept)
        batch = [self.preprocessing.network_input(as_picture(image)) for image in images]
        labels = predictor.predict(self.backbone.embed(torch.stack(batch)).cpu()).tolist() if batch else []
        return [predictor.class_names[label] for label in labels]

    def plot(self, name: Literal["arr", "accuracy"] = "arr") -> Figure:
        """Draw ARR or accuracy over sparsity, with both controls, as a matplotlib figure."""
        return self.report.plot(name)

    def to_frame(self) -> Any:
        """All points of the curve and of both controls as a pandas.DataFrame; that of the concepts is `concepts.to_frame()`."""
        return self.report.to_frame()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values of report and concepts."""
        return {"report": self.report.to_dict(), "concepts": self.concepts.to_dict()}

    def _repr_html_(self) -> str:
        return report_html(self.report.to_dict(), self.concepts.gallery())

    def __repr__(self) -> str:
        return f"<{summary_line(self.report.to_dict())}>"
