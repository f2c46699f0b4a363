"""The demo's vision-language model on held-out digits, trained for two thirds of the demo's steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from demo.checkpoints import digit_images, split_rows
from demo.language_model import (
    ARCHITECTURE,
    ARGUMENTS,
    DECOYS,
    DIGIT_ATTRIBUTES,
    STEPS,
    digit_truth,
    train_digit_language_model,
    write_vocabulary,
)
from iis_engine.vocabularies.cleaning import clean
from iis_engine.vocabularies.parsing import parse_txt

Cosines = Callable[[list[str]], np.ndarray[Any, Any]]
Measure = Callable[[np.ndarray[Any, Any]], float]
UPPER, LOWER, LEFT, RIGHT, MIDDLE = slice(0, 3), slice(5, 8), slice(0, 3), slice(5, 8), slice(3, 5)
TOP_HALF, BOTTOM_HALF, LEFT_HALF, RIGHT_HALF, ALL = slice(0, 4), slice(4, 8), slice(0, 4), slice(4, 8), slice(None)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_digit_language_model(tmp_path_factory.mktemp("language") / "model.safetensors", steps=STEPS * 2 // 3)


@pytest.fixture(scope="module")
def held_out_labels() -> np.ndarray[Any, Any]:
    _, labels = digit_images()
    return labels[split_rows(labels)[1]]


@pytest.fixture(scope="module")
def cosines(checkpoint: Path) -> Cosines:
    """Cosines of the held-out digits with any texts, by open_clip's own loading, preprocessing and tokens: (images, texts)."""
    name = ARCHITECTURE.removeprefix("open_clip:")
    model: Any = open_clip.create_model(name, pretrained_text=False, **ARGUMENTS).eval()
    model.load_state_dict(load_file(checkpoint))
    tokenizer: Any = open_clip.get_tokenizer(name, context_length=ARGUMENTS["text_cfg"]["context_length"])
    transform: Any = open_clip.image_transform(32, is_train=False)
    normalize = transform.transforms[-1]
    images, labels = digit_images()
    pixels = torch.from_numpy(images[split_rows(labels)[1]]).float().div(255)[:, None].expand(-1, 3, -1, -1)
    with torch.no_grad():
        seen = model.encode_image(normalize(pixels), normalize=True)

    def of(texts: list[str]) -> np.ndarray[Any, Any]:
        with torch.no_grad():
            return (seen @ model.encode_text(tokenizer(texts), normalize=True).T).numpy()

    return of


def test_true_phrases_are_nearer_to_held_out_digits_than_false_ones(cosines: Cosines, held_out_labels: np.ndarray[Any, Any]) -> None:
    found, truth = cosines(list(DIGIT_ATTRIBUTES)), digit_truth(held_out_labels)
    areas = [roc_auc_score(truth[:, phrase], found[:, phrase]) for phrase in range(len(DIGIT_ATTRIBUTES))]
    assert np.mean(areas) > 0.9
    assert found[truth].mean() > found[~truth].mean() + 0.25


@pytest.mark.parametrize("prompt", ["{}", "a photo of a {}", "a photo of the digit {}", "a photo of the number {}"])
def test_a_prompt_with_the_class_name_finds_the_class(cosines: Cosines, held_out_labels: np.ndarray[Any, Any], prompt: str) -> None:
    predicted = cosines([prompt.format(digit) for digit in range(10)]).argmax(axis=1)
    assert (predicted == held_out_labels).mean() > 0.75


def test_untrained_words_are_near_no_digit(cosines: Cosines) -> None:
    def nearest(texts: list[str]) -> float:
        return float(np.sort(cosines(texts), axis=0)[-5:].mean())

    assert nearest(list(DECOYS)) < nearest(list(DIGIT_ATTRIBUTES)) - 0.2


def test_training_is_reproducible_by_seed(tmp_path: Path) -> None:
    def trained(name: str, seed: int) -> bytes:
        return train_digit_language_model(tmp_path / name, steps=2, seed=seed).read_bytes()

    first = trained("first.safetensors", 0)
    assert first == trained("second.safetensors", 0)
    assert first != trained("other.safetensors", 1)


def test_the_checkpoint_contains_only_tensors(checkpoint: Path) -> None:
    with safe_open(checkpoint, framework="pt") as file:
        assert file.metadata() is None
        assert {"visual.conv1.weight", "token_embedding.weight", "text_projection", "logit_scale"} <= set(file.keys())


def test_the_vocabulary_is_kept_whole_and_contains_no_class_name(tmp_path: Path) -> None:
    phrases = parse_txt(write_vocabulary(tmp_path / "vocabulary.txt").read_bytes())
    kept, dropped = clean(phrases, [str(digit) for digit in range(10)])
    assert {phrase.text for phrase in kept} == {*DIGIT_ATTRIBUTES, *DECOYS}
    assert dropped == ()
    assert all(phrase.group for phrase in kept)


def ink(rows: slice, columns: slice) -> Measure:
    """Mean ink in a part of an image."""
    return lambda image: float(image[rows, columns].mean())


def no_ink(rows: slice, columns: slice) -> Measure:
    return lambda image: -float(image[rows, columns].mean())


def more_ink(part: tuple[slice, slice], other: tuple[slice, slice]) -> Measure:
    """Whether a part of an image has at least a tenth more ink than another."""
    return lambda image: bool(image[part].sum() > 1.1 * image[other].sum())


def narrowness(image: np.ndarray[Any, Any]) -> float:
    """Minus the number of columns with ink."""
    return -float((image.max(axis=0) > 5).sum())


@pytest.mark.parametrize(
    ("phrase", "measured"),
    [
        ("ink in the centre", ink(MIDDLE, MIDDLE)),
        ("an empty centre", no_ink(MIDDLE, MIDDLE)),
        ("nothing at the upper right", no_ink(UPPER, RIGHT)),
        ("nothing at the lower right", no_ink(LOWER, RIGHT)),
        ("nothing on the left at half height", no_ink(MIDDLE, LEFT)),
        ("a tall narrow shape", narrowness),
        ("more ink in the upper half", more_ink((TOP_HALF, ALL), (BOTTOM_HALF, ALL))),
        ("more ink in the lower half", more_ink((BOTTOM_HALF, ALL), (TOP_HALF, ALL))),
        ("more ink on the right", more_ink((ALL, RIGHT_HALF), (ALL, LEFT_HALF))),
    ],
)
def test_attributes_of_the_ink_agree_with_measurements(phrase: str, measured: Measure) -> None:
    scanned: Any = load_digits()
    by_digit = {digit: np.mean([measured(image) for image in scanned.images[scanned.target == digit]]) for digit in range(10)}
    true = [by_digit[digit] for digit in DIGIT_ATTRIBUTES[phrase]]
    assert min(true) > max(value for digit, value in by_digit.items() if digit not in DIGIT_ATTRIBUTES[phrase])
