"""Score a model in the manner of scikit-learn: `Interpretability(model).fit(train).score(test)`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Self

from sklearn.base import BaseEstimator
from torch import nn

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.devices import choose_device
from iis_engine.backbones.module import wrap_module
from iis_engine.errors import SettingError
from iis_engine.explanations.test_set import TestSet, concept_use
from iis_engine.features.feature_set import FeatureSet
from iis_engine.interpretation.concepts import describe_concepts, exemplar_pictures, find_names
from iis_engine.interpretation.features import (
    EmbeddedElements,
    EmbeddedImages,
    SourceImages,
    combine_splits,
    embed_elements,
    embed_images,
    peek,
)
from iis_engine.interpretation.image_explanation import ImageExplanation
from iis_engine.interpretation.image_preprocessing import ImagePreprocessing, PreprocessFunction, choose_preprocessing
from iis_engine.interpretation.interpretation import Interpretation
from iis_engine.interpretation.labelled_images import LabelledImages, Picture, read_images
from iis_engine.interpretation.progress_bars import progress_bar
from iis_engine.libraries.unit_elements import unit_elements
from iis_engine.notes import notes_of_inputs
from iis_engine.report import IISReport
from iis_engine.scoring.ensemble import build_libraries
from iis_engine.scoring.measure import measure_library
from iis_engine.scoring.predictor import PredictorFamily
from iis_engine.scoring.score import complete_report, kinds_of
from iis_engine.specs import VISUAL_KINDS, ElementSpec, LibraryKind, LibrarySpec, Preprocessing, ScoreSpec
from iis_engine.vision_language.model import VisionLanguageModel
from iis_engine.vocabularies.phrases import Phrase

PEEKED_IMAGES = 16  # from which the range of tensors is estimated
SOURCE_KINDS = ("text", "vectors")
"""Parts of libraries that need more than the images."""


@dataclass(frozen=True)
class FittedImages:
    """The training images of a fitted estimator, with their elements; `elements` is None for libraries without visual concepts."""

    images: EmbeddedImages
    elements: EmbeddedElements | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


class Interpretability(BaseEstimator):
    """Inherent interpretability of a model on labelled images.

    `fit` computes the representations of the training images and their visual elements. `score` computes those of the test images,
    builds the concept library, fits the sparse heads on the training images alone, and measures them on the test images.

    Parameters
    ----------
    model : any torch module, which is copied and not changed, or a backbone of `load_backbone`
    layer : submodule whose output is the representation; None for the input of the last Linear layer that is called
    preprocess : from a PIL image to a tensor, or a `Preprocessing`; None for tensors, for networks of timm and for backbones
    library : a kind of library, of up to 200 concepts, or a `LibrarySpec`
    elements : cutting of visual elements; None for whole images
    seed : of all random draws
    vlm, vocabulary : a vision-language model and phrases, which give names to visual concepts
    device : `auto` (CUDA if available), `cpu` or `cuda`
    progress : whether bars of tqdm are shown, where it is installed

    Attributes
    ----------
    backbone_, preprocessing_ : the network and the preprocessing of its images, after `fit`
    interpretation_ : report, concepts and predictors, after `score`
    report_ : the report alone

    References
    ----------
    Shen et al., "Enhancing Pre-trained Representation Classifiability can Boost its Interpretability", ICLR 2025, eqs. 3-7.
    """

    def __init__(
        self,
        model: nn.Module | Backbone,
        layer: str | None = None,
        preprocess: PreprocessFunction | Preprocessing | None = None,
        library: LibraryKind | LibrarySpec = "cluster",
        *,
        elements: ElementSpec | None = None,
        seed: int = 0,
        vlm: VisionLanguageModel | None = None,
        vocabulary: Sequence[Phrase] = (),
        device: str = "auto",
        progress: bool = True,
    ) -> None:
        self.model = model
        self.layer = layer
        self.preprocess = preprocess
        self.library: LibraryKind | LibrarySpec = library
        self.elements = elements
        self.seed = seed
        self.vlm = vlm
        self.vocabulary = vocabulary
        self.device = device
        self.progress = progress

    def fit(self, train: object, y: None = None) -> Self:
        """Compute the representations of the training images and of their visual elements.

        Parameters
        ----------
        train : a Dataset or DataLoader of (image, label), an iterable of such pairs, or a folder of class folders
        y : not used; the labels come with the images

        Raises
        ------
        EngineError
            When model or images cannot be used; the message says why and what to give instead.
        """
        return self.fit_images(read_images(train))

    def score(self, test: object, y: None = None) -> float | None:
        """Score the fitted model on test images; return IIS, or None where the representation is no better than chance.

        Raises
        ------
        EngineError
            When the images do not fit those of `fit`, or the library cannot be built.
        """
        return self.score_images(read_images(test)).report.iis

    def explain(self, image: Picture | str | Path, *, kept: int | None = None, contrast: str | None = None) -> ImageExplanation:
        """Explain the prediction for one image, see `Interpretation.explain`."""
        return self._scored.explain(image, kept=kept, contrast=contrast)

    def predict(self, images: Iterable[Picture | str | Path]) -> list[str]:
        """The class of each image by its kept concepts."""
        return self._scored.predict(images)

    @property
    def report_(self) -> IISReport:
        """The report of the last `score`."""
        return self._scored.report

    @property
    def _scored(self) -> Interpretation:
        if not hasattr(self, "interpretation_"):
            raise SettingError("This estimator is not scored yet; call fit(train) and score(test) first.")
        return self.interpretation_

    def fit_images(self, images: LabelledImages) -> Self:
        """`fit` of images that are read already."""
        choose_device(self.device)  # fails before the work, not after it
        kinds = set(kinds_of(self._requested_library()))
        if unsupported := kinds & set(SOURCE_KINDS):
            raise SettingError(
                f"A library with {' and '.join(sorted(unsupported))} concepts needs more than images; choose cluster, prototype, end2end, "
                "nmf or random.",
                param="library",
            )
        iterator = images.iterate()
        first = peek(iterator, PEEKED_IMAGES)
        self.preprocessing_: ImagePreprocessing = choose_preprocessing(
            self.model, self.preprocess, [item.image for item in first], images.transform
        )
        self.backbone_: Backbone = self._backbone(first[0].image)
        sources = SourceImages(self.elements or ElementSpec(), self.preprocessing_) if kinds & set(VISUAL_KINDS) else None
        with progress_bar("training images", shown=self.progress) as progress:
            train = embed_images(self.backbone_, self.preprocessing_, chain(first, iterator), images.count, progress, sources)
        elements = None
        if sources is not None:
            with progress_bar("visual elements", shown=self.progress) as progress:
                elements = embed_elements(self.backbone_, sources, progress)
        self.fitted_ = FittedImages(train, elements, images.warnings, images.notes)
        if hasattr(self, "interpretation_"):
            del self.interpretation_
        return self

    def score_images(self, images: LabelledImages) -> Interpretation:
        """`score` of images that are read already, with everything that it found."""
        if not hasattr(self, "fitted_"):
            raise SettingError("This estimator is not fitted yet; call fit(train) first.")
        with progress_bar("test images", shown=self.progress) as progress:
            test = embed_images(self.backbone_, self.preprocessing_, images.iterate(), images.count, progress)
        features = self._features(test, images)
        spec = self._spec(features)
        with progress_bar("concept libraries", shown=self.progress) as progress:
            ensemble = build_libraries(features, spec, progress, device=self.device)
        library = ensemble.primary
        crops = {} if self.fitted_.elements is None else exemplar_pictures(library, self.fitted_.elements)
        names = find_names(library, crops, self.vlm, self.vocabulary) if self.vlm is not None and crops else None
        with progress_bar("sparse heads", shown=self.progress) as progress:
            measured = measure_library(features, ensemble, spec, progress, device=self.device)
        with progress_bar("controls", shown=self.progress) as progress:
            report, panel = complete_report(features, ensemble, measured, spec, names, device=self.device, progress=progress)
        family = PredictorFamily.of(library, measured, features.class_names)
        test_set, predictor = TestSet.of(features, family), family.at()
        use = concept_use(test_set, test_set.outcomes(predictor), predictor)
        concepts = describe_concepts(library, crops, names, panel.concepts if panel else (), use.importances.tolist())
        self.interpretation_ = Interpretation(report, concepts, family, features, self.backbone_, self.preprocessing_)
        return self.interpretation_

    def _backbone(self, first: Picture) -> Backbone:
        if isinstance(self.model, Backbone):
            if self.layer is not None:
                raise SettingError("The layer of a backbone is given to load_backbone, as BackboneSpec(layer=…).", param="layer")
            return self.model
        sample = self.preprocessing_.network_input(first)
        return wrap_module(self.model, self.preprocessing_.transform, sample, layer=self.layer, device=choose_device(self.device))

    def _features(self, test: EmbeddedImages, images: LabelledImages) -> FeatureSet:
        fitted = self.fitted_
        notes = notes_of_inputs(
            [("Model", (*self.backbone_.notes, *self.preprocessing_.notes)), ("Data set", (*fitted.notes, *images.notes))]
        )
        return combine_splits(fitted.images, test, fitted.elements, (*fitted.warnings, *images.warnings), notes)

    def _requested_library(self) -> LibrarySpec:
        return self.library if isinstance(self.library, LibrarySpec) else LibrarySpec(self.library)

    def _spec(self, features: FeatureSet) -> ScoreSpec:
        """The settings of the score; a visual library that is given by its kind has at most half as many concepts as there are elements."""
        library = self._requested_library()
        if not isinstance(self.library, LibrarySpec) and library.kind in VISUAL_KINDS:
            count = max(2, min(library.concept_count, len(unit_elements(features)[0]) // 2))
            library = replace(library, concept_count=count)
        return ScoreSpec(library, self.elements or ElementSpec(), seed=self.seed)
