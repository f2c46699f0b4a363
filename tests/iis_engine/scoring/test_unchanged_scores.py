"""The scores of a small seeded feature set stay as they are in `unchanged_scores.json`, for each library kind.

A change of these numbers changes every stored score: raise `iis_engine.ENGINE_VERSION`, and write the file anew with
`python -m pytest tests/iis_engine/scoring/test_unchanged_scores.py` under `IIS_WRITE_GOLDEN=1`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.text import TextSource
from iis_engine.report import IISReport
from iis_engine.scoring.score import score_features
from iis_engine.specs import LibrarySpec, ProtocolName, ScoreSpec
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.phrases import Phrase

GOLDEN = Path(__file__).with_name("unchanged_scores.json")
SIGNIFICANT_DIGITS = 9  # the last digits of a float64 depend on the processor
CLASS_NAMES = ("ball", "tie", "tower", "kite")
PHRASES = ("red", "round", "striped", "tall", "shiny", "furry", "wooden", "small")
PROCESSOR_FACTS = ("largest_gradient", "evaluations")  # of the solver: they say how it ended, and are no score

TRAINED = "end2end"
"""Its training amplifies the processor's rounding, so another processor builds another library of the same worth."""
TRAINED_IIS_TOLERANCE = 0.03
FIELDS_WITHOUT_LIBRARY = ("accuracy_representation", "accuracy_representation_low", "chance")

LIBRARIES: dict[str, tuple[LibrarySpec, ProtocolName]] = {
    "prototype": (LibrarySpec("prototype", 12), "exact"),
    "cluster": (LibrarySpec("cluster", 12), "exact"),
    "end2end": (LibrarySpec("end2end", 8), "exact"),
    "random": (LibrarySpec("random", 12), "exact"),
    "text": (LibrarySpec("text", 8, clip_cutoff=0.1, interpretability_cutoff=0.1), "exact"),
    "combined": (
        LibrarySpec("combined", parts=(LibrarySpec("prototype", 6), LibrarySpec("text", 6, clip_cutoff=0.1, interpretability_cutoff=0.1))),
        "exact",
    ),
    "prototype, reference protocol": (LibrarySpec("prototype", 12), "reference"),
}
QUICK = ("prototype", "cluster", "end2end", "random")


def seeded_features() -> tuple[FeatureSet, TextSource]:
    """240 training and 160 test images of four classes, d = 16, beside their embeddings by a vision-language model, e = 20."""
    generator = torch.Generator().manual_seed(17)
    shows = (torch.rand(4, len(PHRASES), generator=generator) < 0.5).float()  # which attributes each class mostly has
    mixing = torch.randn(len(PHRASES), 16, generator=generator)
    directions = torch.linalg.qr(torch.randn(20, 20, generator=generator)).Q[: len(PHRASES)]

    def draw(count: int) -> tuple[Tensor, Tensor, Tensor]:
        y = torch.arange(count) % 4
        attributes = (torch.rand(count, len(PHRASES), generator=generator) < 0.15 + 0.7 * shows[y]).float()
        X = torch.relu(attributes @ mixing + 0.5 * torch.randn(count, 16, generator=generator))
        return X, y, attributes @ directions + 0.1 * torch.randn(count, 20, generator=generator)

    X_train, y_train, images_train = draw(240)
    X_test, y_test, images_test = draw(160)
    elements, _, _ = draw(60)
    rows = torch.arange(240)
    features = FeatureSet(X_train, y_train, X_test, y_test, CLASS_NAMES, elements, train_rows=rows)
    images = FeatureSet(images_train, y_train, images_test, y_test, CLASS_NAMES, train_rows=rows)
    phrases = tuple(Phrase(text, "made up") for text in PHRASES)
    classes = normalize(shows @ directions, dim=1)
    return features, TextSource(PhraseEmbeddings(phrases, directions, CLASS_NAMES, classes), images)


def report_of(name: str) -> IISReport:
    library, protocol = LIBRARIES[name]
    features, text_source = seeded_features()
    return score_features(features, ScoreSpec(library, protocol=protocol), text_source=text_source, device="cpu")


def numbers_of(report: IISReport) -> dict[str, Any]:
    """The report without its sentences and the solver's processor-dependent facts, rounded to `SIGNIFICANT_DIGITS`."""
    values = {name: value for name, value in report.to_dict().items() if name != "warnings"}
    values["solver"] = {name: value for name, value in values["solver"].items() if name not in PROCESSOR_FACTS}
    return rounded(values)


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in cast("list[Any]", value)]
    return value


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in LIBRARIES])
def test_scores_of_a_seeded_feature_set_are_those_of_the_golden_file(name: str) -> None:
    found = numbers_of(report_of(name))
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("IIS_WRITE_GOLDEN"):
        golden[name] = found
        reports = ",\n".join(f"{json.dumps(key)}: {json.dumps(report)}" for key, report in golden.items())
        GOLDEN.write_text(f"{{\n{reports}\n}}\n")
    expected = golden[name]
    if name == TRAINED:
        assert found["iis"] == pytest.approx(expected["iis"], abs=TRAINED_IIS_TOLERANCE)
        found, expected = ({field: values[field] for field in FIELDS_WITHOUT_LIBRARY} for values in (found, expected))
    assert found == expected
