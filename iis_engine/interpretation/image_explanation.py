"""Explanation of one image: contributions of concepts, heat maps over the image, interventions; it shows itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor

from iis_engine.backbones.backbone import Backbone
from iis_engine.display.explanations import contribution_rows, explanation_html
from iis_engine.display.frames import frame
from iis_engine.display.markup import captioned, element, picture
from iis_engine.errors import DataError
from iis_engine.explanations.explain import Changes, Explanation, Prediction, intervene
from iis_engine.explanations.heatmaps import HeatMaps, heat_maps, normalised_maps, overlay, png_bytes
from iis_engine.interpretation.concepts import Concepts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LISTED = 8
"""Supporting concepts, and opposing ones, that a dictionary or figure lists."""
MAPS_SHOWN = 4
PICTURE_PIXELS = 150


@dataclass(frozen=True)
class ImageExplanation:
    """Why a predictor assigns an image to its class.

    Attributes
    ----------
    explanation : contributions, faithfulness and counterfactual (`iis_engine.explanations.explain`)
    representation : the prediction of the linear head on the whole representation
    concepts : of the library
    view : the network's input as an RGB image
    """

    explanation: Explanation
    representation: Prediction
    concepts: Concepts
    view: Image.Image
    backbone: Backbone
    network_input: Tensor

    @property
    def prediction(self) -> str:
        """The class that the kept concepts predict."""
        return self._class_names[self.explanation.prediction.label]

    def heat_map(self, concept: int) -> Tensor:
        """The heat map (h, w) float32 of a concept on the scale of its activations.

        Raises
        ------
        DataError
            When the library has no such concept.
        """
        if not 0 <= concept < len(self.concepts):
            raise DataError(f"There is no concept {concept}; concepts are 0 to {len(self.concepts) - 1}.", param="concept")
        return self._maps[1][concept]

    def heat_map_picture(self, concept: int) -> Image.Image:
        """The image in grey under the heat map of a concept: red raises its activation, blue lowers it."""
        layer = Image.fromarray(overlay(self.heat_map(concept), self.backbone.input_size))
        below = self.view.convert("L").convert("RGBA")
        return Image.alpha_composite(below, layer).convert("RGB")

    def intervene(
        self,
        *,
        set: Mapping[int, float] | None = None,  # noqa: A002 (the name in the API)
        scale: Mapping[int, float] | None = None,
        suppress: Iterable[int] = (),
    ) -> dict[str, float]:
        """Change activations and return the new probability of every class, largest first.

        Parameters
        ----------
        set, scale : new activations, and factors, by concept
        suppress : concepts whose activation becomes zero
        """
        predictor = self.explanation.predictor
        changes = Changes({**dict.fromkeys(suppress, 0.0), **(set or {})}, scale or {})
        _, after = intervene(predictor, self.explanation.activations, changes)
        probabilities = predictor.logits(after.unsqueeze(0))[0].softmax(dim=0).tolist()
        return dict(sorted(zip(self._class_names, probabilities, strict=True), key=lambda entry: -entry[1]))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values, with up to `LISTED` supporting and as many opposing concepts."""
        found, names = self.explanation, self._class_names
        values: list[float] = found.contributions.tolist()
        ordered = sorted((index for index, value in enumerate(values) if value != 0), key=lambda index: -abs(values[index]))
        supporting = [index for index in ordered if values[index] > 0][:LISTED]
        opposing = [index for index in ordered if values[index] < 0][:LISTED]
        rest = [index for index in ordered if index not in {*supporting, *opposing}]
        counterfactual = found.counterfactual
        return {
            "kept": found.predictor.kept,
            "sparsity": found.predictor.sparsity,
            "concept_count": len(self.concepts),
            "representation": _prediction(names, self.representation),
            "interpretation": _prediction(names, found.prediction),
            "explained": {"class": self.prediction, "index": found.prediction.label},
            "contrast": None if found.contrast is None else {"class": names[found.contrast], "index": found.contrast},
            "logit": found.logit,
            "bias": found.bias,
            "supporting": [self._contribution(index) for index in supporting],
            "opposing": [self._contribution(index) for index in opposing],
            "remainder": sum(values[index] for index in rest),
            "remaining": len(rest),
            "faithfulness": {name: list(getattr(found.faithfulness, name)) for name in found.faithfulness.__dataclass_fields__},
            "counterfactual": None
            if counterfactual is None
            else {
                "removed": [self._contribution(index) for index in counterfactual.removed],
                "class": names[counterfactual.label],
                "index": counterfactual.label,
                "probability": counterfactual.probability,
            },
            "heatmaps": {"method": self._maps[0].method, "exact": self._maps[0].exact, "note": self._maps[0].note},
        }

    def to_frame(self) -> Any:
        """The listed concepts as a pandas.DataFrame, largest contribution first."""
        return frame(contribution_rows(self.to_dict()))

    def plot(self) -> Figure:
        """Draw both predictions, contributions, faithfulness, heat maps and crops as a matplotlib figure."""
        from iis_engine.figures.explanations import draw_explanation

        explanation = self.to_dict()
        explanation["image"] = {"name": "Image", "label": None}
        overlays = {concept: overlay(self.heat_map(concept), self.backbone.input_size) for concept in self._largest(explanation)}
        crops = {concept: self.concepts[concept].crops for concept in overlays}
        return draw_explanation(explanation, self.view, overlays, crops).figure

    def _repr_html_(self) -> str:
        explanation = self.to_dict()
        pictures = [_captioned(self.view, "image")]
        for concept in self._largest(explanation)[:MAPS_SHOWN]:
            pictures.append(_captioned(self.heat_map_picture(concept), self.concepts[concept].title))
        return explanation_html(explanation, element("div", *pictures))

    def __repr__(self) -> str:
        found = self.explanation
        first = max(range(len(self.concepts)), key=lambda index: float(found.contributions[index].abs()))
        name = self.concepts[first].title
        return f"<{self.prediction} ({found.prediction.probability:.1%}), most by {name} ({float(found.contributions[first]):+.2f})>"

    @property
    def _class_names(self) -> tuple[str, ...]:
        return self.explanation.predictor.class_names

    @cached_property
    def _maps(self) -> tuple[HeatMaps, Tensor]:
        library = self.explanation.predictor.library
        found = heat_maps(self.backbone, library.vectors, self.network_input.unsqueeze(0))
        return found, normalised_maps(found, library)

    def _largest(self, explanation: Mapping[str, Any]) -> list[int]:
        entries = sorted((*explanation["supporting"], *explanation["opposing"]), key=lambda entry: -abs(entry["contribution"]))
        return [entry["concept"] for entry in entries]

    def _contribution(self, index: int) -> dict[str, Any]:
        concept, found = self.concepts[index], self.explanation
        return {
            "concept": index,
            "label": concept.label,
            "origin": concept.origin,
            "activation": float(found.activations[index]),
            "contribution": float(found.contributions[index]),
        }


def _prediction(names: Sequence[str], prediction: Prediction) -> dict[str, Any]:
    top = [{"class": names[label], "index": label, "probability": probability} for label, probability in prediction.top]
    return {**top[0], "top": top}


def _captioned(image: Image.Image, caption: str) -> str:
    """The image with a caption; pixels of small images stay visible."""
    scale = max(1, -(-PICTURE_PIXELS // image.height))
    large = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    return captioned(picture(png_bytes(large), caption, PICTURE_PIXELS), caption, PICTURE_PIXELS)
