"""Score a model on training and test images in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from iis_engine.backbones.backbone import Backbone
from iis_engine.errors import DataError, SettingError
from iis_engine.features.feature_set import FeatureSet
from iis_engine.interpretation.estimator import Interpretability
from iis_engine.interpretation.image_preprocessing import PreprocessFunction
from iis_engine.interpretation.interpretation import Interpretation
from iis_engine.interpretation.labelled_images import read_images, read_split_folder
from iis_engine.specs import ElementSpec, LibraryKind, LibrarySpec, Preprocessing
from iis_engine.vision_language.model import VisionLanguageModel
from iis_engine.vocabularies.phrases import Phrase


def score(
    model: nn.Module | Backbone,
    train: object,
    test: object | None = None,
    *,
    layer: str | None = None,
    preprocess: PreprocessFunction | Preprocessing | None = None,
    library: LibraryKind | LibrarySpec = "cluster",
    elements: ElementSpec | None = None,
    seed: int = 0,
    vlm: VisionLanguageModel | None = None,
    vocabulary: Sequence[Phrase] = (),
    device: str = "auto",
    progress: bool = True,
) -> Interpretation:
    """Score any torch module, or a backbone, on labelled images.

    Ready features have no images and no network to explain; `score_features` scores them.

    Parameters
    ----------
    train, test : a Dataset or DataLoader of (image, label), with tensors (channels, H, W) or PIL images, an iterable of such pairs, or a
        folder of class folders. `test` may be left out for one folder, which has splits inside or is divided.
    layer, preprocess, library, elements, seed, vlm, vocabulary, device, progress : as of `Interpretability`

    Returns
    -------
    Interpretation
        Report, concepts and predictors; it shows itself in a notebook and explains further images.

    Raises
    ------
    EngineError
        When model or images cannot be scored; the message says why and what to give instead.

    References
    ----------
    Shen et al., "Enhancing Pre-trained Representation Classifiability can Boost its Interpretability", ICLR 2025, eqs. 3-7.
    """
    if isinstance(model, FeatureSet):
        raise SettingError("These are ready features; score them by score_features(features, spec).", param="model")
    estimator = Interpretability(
        model,
        layer,
        preprocess,
        library,
        elements=elements,
        seed=seed,
        vlm=vlm,
        vocabulary=vocabulary,
        device=device,
        progress=progress,
    )
    if test is not None:
        return estimator.fit_images(read_images(train)).score_images(read_images(test))
    if not isinstance(train, (str, Path)):
        raise DataError("The test images are missing; give test, or one folder with both splits.", param="test")
    train_images, test_images = read_split_folder(Path(train))
    return estimator.fit_images(train_images).score_images(test_images)
