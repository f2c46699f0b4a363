"""Figures for papers: valid files with every name, hostile ones and empty input included."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties
from PIL import Image

from iis_engine.figures.explanations import GALLERY_MAX, class_profile, concept_gallery, explanation_sheet
from iis_engine.figures.text import concept_name, fitted, width_of

HOSTILE = ["cost $5 and $x_1^2$", "<b>a & b</b>", r"\frac{1}{0} $", "-- comment -->", "null \0 bell \a", "a" * 400, "lots of words " * 40]
DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
CROPS = {number: [Image.fromarray(PIXELS)] * 6 for number in (0, 2)}


def concept(number: int, label: str | None, value: float = 1.0) -> dict[str, Any]:
    shared = {"concept": number, "label": label, "origin": "cluster", "exemplars": [], "links": {}}
    return {**shared, "activation": 0.5, "contribution": value, "weight": value, "mean_contribution": value / 2}


def explanation(supporting: list[dict[str, Any]], opposing: list[dict[str, Any]], class_name: str = "cat") -> dict[str, Any]:
    top = [{"class": class_name, "index": index, "probability": 0.5 - index / 10} for index in range(5)]
    prediction = {"class": class_name, "index": 0, "probability": 0.5, "top": top}
    return {
        "image": {"id": "17", "index": 17, "name": "17.png", "label": None, "size": None},
        **{"kept": 5, "concept_count": 50, "class_names": [f"class {index}" for index in range(1000)]},
        **{"representation": prediction, "interpretation": prediction, "explained": {"class": class_name, "index": 0}, "contrast": None},
        **{"logit": 1.0, "bias": 0.1, "supporting": supporting, "opposing": opposing, "remainder": 0.0},
        "faithfulness": {name: [0, 1] for name in ("counts", "deletion", "deletion_random", "sufficiency", "sufficiency_random")},
        "heatmaps": {"available": True, "exact": True, "method": "feature_map", "note": "Exact."},
    }


def profile(supporting: list[dict[str, Any]], opposing: list[dict[str, Any]], class_name: str = "cat") -> dict[str, Any]:
    accuracy = {"representation": 0.9, "interpretation": 0.8}
    confused = [{"class": class_name, "index": 1, "count": 2}]
    return {
        "class": class_name,
        "index": 0,
        "accuracy": accuracy,
        "supporting": supporting,
        "opposing": opposing,
        "confused_with": confused,
    }


def draw_all(folder: Path, suffix: str, labels: list[Any], crops: dict[int, list[Image.Image]], image: Image.Image | None) -> list[Path]:
    """Draw all three figures of concepts with these labels, the second half opposing."""
    concepts = [concept(number, label, 1.0 if 2 * number < len(labels) else -1.0) for number, label in enumerate(labels)]
    half = (len(labels) + 1) // 2
    overlays = {} if image is None else {number: np.full((24, 40, 4), 90, np.uint8) for number in range(len(labels))}
    paths = [folder / f"{name}{suffix}" for name in ("sheet", "profile", "gallery")]
    class_name = labels[0] if labels else "cat"
    explanation_sheet(explanation(concepts[:half], concepts[half:], class_name), image, overlays, crops, paths[0])
    class_profile(profile(concepts[:half], concepts[half:], class_name), crops, paths[1])
    concept_gallery([{**each, "firing_rate": 0.25, "never_fires": False} for each in concepts], crops, paths[2])
    return paths


def test_the_profile_of_a_label_without_a_test_image_is_drawn(tmp_path: Path) -> None:
    accuracy = {"representation": None, "interpretation": None}
    bird = profile([concept(0, "a wing")], [], "bird") | {"quantity": "average_precision", "accuracy": accuracy, "confused_with": []}
    class_profile(bird, {}, tmp_path / "profile.svg")
    assert "bird; a wing" in (tmp_path / "profile.svg").read_text()


@pytest.mark.parametrize(("name", "heading"), [(None, "Image 17"), ("my cat.png", "my cat.png")])
def test_the_heading_of_a_sheet_is_the_name_of_the_image_or_its_number(tmp_path: Path, name: str | None, heading: str) -> None:
    explained = explanation([concept(0, "a loop")], [])
    explained["image"] |= {"name": name}
    explanation_sheet(explained, None, {}, {}, tmp_path / "sheet.svg")
    drawn = (tmp_path / "sheet.svg").read_text()
    assert f"<!-- {heading} -->" in drawn or f">{heading}<" in drawn
    assert "None" not in drawn


def description(path: Path) -> str:
    found = ElementTree.parse(path).getroot().find(f".//{DESCRIPTION}")  # noqa: S314 (our own file)
    return "" if found is None else found.text or ""


@pytest.mark.filterwarnings("ignore:Glyph")
def test_an_svg_holds_every_name_unshortened_and_stays_valid(tmp_path: Path) -> None:
    for path in draw_all(tmp_path, ".svg", HOSTILE, CROPS, Image.fromarray(PIXELS)):
        written = description(path)
        for label in HOSTILE:
            assert concept_name(concept(0, label)) in written
        content = path.read_text()
        assert "cost $5 and $x_1^2$" in content.replace("\n", " ")  # drawn as it is, not as a formula


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("labels", [HOSTILE, ["striped", None], ["lone"], []])
@pytest.mark.parametrize("with_pictures", [True, False])
def test_every_figure_is_a_valid_png_even_without_concepts(labels: list[str | None], with_pictures: bool, tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS) if with_pictures else None
    for path in draw_all(tmp_path, ".png", labels, CROPS if with_pictures else {}, image):
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert picture.width == 11 * 144
            assert np.asarray(picture.convert("L")).min() < 128


def test_crops_and_maps_are_in_the_figure(tmp_path: Path) -> None:
    with_pictures, without = tmp_path / "with", tmp_path / "without"
    with_pictures.mkdir()
    without.mkdir()
    draw_all(with_pictures, ".svg", ["a", "b", "c"], CROPS, Image.fromarray(PIXELS))
    draw_all(without, ".svg", ["a", "b", "c"], {}, None)
    count = {path.name: path.read_text().count("<image ") for path in with_pictures.iterdir()}
    # The sheet: the image, three times an image and its map, twice three crops. The others: twice five crops.
    assert count == {"sheet.svg": 13, "profile.svg": 10, "gallery.svg": 10}
    assert all("<image " not in path.read_text() for path in without.iterdir())


def test_a_truncated_gallery_says_how_many_concepts_it_shows(tmp_path: Path) -> None:
    concepts = [{**concept(number, None), "firing_rate": 0.0, "never_fires": True} for number in range(GALLERY_MAX + 1)]
    concept_gallery(concepts, {}, tmp_path / "a.svg")
    assert f"{GALLERY_MAX} of {GALLERY_MAX + 1} concepts" in (tmp_path / "a.svg").read_text()
    assert f"cluster {GALLERY_MAX - 1}" in description(tmp_path / "a.svg")
    assert f"cluster {GALLERY_MAX}" not in description(tmp_path / "a.svg")


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"saved as \.png or \.svg"):
        concept_gallery([], {}, tmp_path / "a.pdf")


@pytest.mark.parametrize("text", [*HOSTILE, "short", ""])
@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_fitted_text_stays_within_its_width_and_lines(text: str, lines: int) -> None:
    rows = fitted(text, 1.5, 9, lines).split("\n")
    assert len(rows) <= lines
    assert all(width_of(row, FontProperties(size=9)) <= 1.5 for row in rows if row)


def test_a_text_is_broken_between_words_and_ends_in_dots_only_where_it_was_cut() -> None:
    assert fitted("a yellow centre", 5, 9, 2) == "a yellow centre"
    first, second = fitted("a yellow centre with thin petals", 1.2, 9, 2).split("\n")
    assert first == "a yellow centre"
    assert second.startswith("with thin")
    assert fitted("one two three four five six", 0.8, 9).endswith("…")


def test_a_concept_without_a_phrase_is_named_by_its_origin_and_number() -> None:
    assert concept_name(concept(7, None)) == "cluster 7"
    assert concept_name({"concept": 7, "label": None}) == "concept 7"
    assert concept_name(concept(7, " striped\n")) == "striped"


def test_a_negative_activation_is_named_as_the_opposite() -> None:
    assert concept_name(concept(7, "striped") | {"activation": -0.5}) == "striped (its opposite)"
