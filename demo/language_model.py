"""Train a small open_clip model for the demo on attributes of digits, and write these as a vocabulary. Uses no service."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from demo.checkpoints import digit_images, split_rows

ARCHITECTURE = "open_clip:RN50"
ARGUMENTS: dict[str, Any] = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}
"""The smallest OpenAI architecture, scaled down; a convolutional tower learns from a thousand images, a ViT does not."""

ATTRIBUTE_GROUPS: dict[str, dict[str, tuple[int, ...]]] = {
    "loops": {
        "a closed loop": (0, 6, 8, 9),
        "a single closed loop": (0, 6, 9),
        "two loops, one above the other": (8,),
        "a loop in the upper half": (8, 9),
        "a loop in the lower half": (6, 8),
        "a loop as tall as the digit": (0,),
        "no closed loop": (1, 2, 3, 5, 7),
    },
    "strokes": {
        "a vertical stroke through the middle": (1,),
        "a stem at the bottom": (1, 4, 7),
        "a horizontal bar at the top": (5, 7),
        "a horizontal bar in the middle": (4, 7),
        "a horizontal bar at the bottom": (2,),
        "strokes that cross": (4, 7, 8),
        "a diagonal stroke": (2, 4, 7),
        "mostly straight strokes": (1, 4, 7),
        "a sharp corner at the top left": (5,),
        "a sharp corner at the top right": (7,),
        "a sharp corner at the bottom left": (2,),
    },
    "curves": {
        "a curve open to the left": (2, 3, 5, 9),
        "two curves open to the left": (3,),
        "a long curve down the left side": (0, 6),
        "a long curve down the right side": (0, 9),
        "a round top": (0, 2, 3, 8, 9),
        "a round bottom": (0, 3, 5, 6, 8, 9),
        "round all over": (0, 8),
        "a hook at the bottom left": (3, 5, 9),
        "pinched in the middle": (3, 8),
    },
    "symmetry": {
        "left and right mirror each other": (0, 8),
        "top and bottom mirror each other": (0, 3, 8),
    },
    "ink": {
        "an empty centre": (0,),
        "ink in the centre": (1, 2, 3, 4, 5, 6, 7, 8, 9),
        "nothing at the upper right": (6,),
        "nothing at the lower right": (7,),
        "nothing on the left at half height": (2, 3),
        "a tall narrow shape": (1,),
        "more ink in the upper half": (5, 7, 9),
        "more ink in the lower half": (2, 4, 6),
        "more ink on the right": (3, 9),
    },
}
"""Attributes of scikit-learn's digits as most writers drew them: 7 has a cross bar; 4 is as often closed as open: neither."""
DIGIT_ATTRIBUTES: dict[str, tuple[int, ...]] = {text: digits for group in ATTRIBUTE_GROUPS.values() for text, digits in group.items()}
DECOYS = ("red stripes", "blue dots", "green leaves", "a wooden surface", "brown fur", "a shiny metal edge")
"""Phrases that describe no digit and are not in the training captions."""
CLASS_CAPTIONS = ("{}", "a {}", "the digit {}", "the number {}")

TEMPLATES = ("{}", "a photo of {}")
DIGIT_TEMPLATES = (*TEMPLATES, "a digit with {}")
STEPS = 120
SEED = 0
BATCH = 64
LEARNING_RATE = 3e-3
WARM_UP_SHARE = 0.15
SCALE_AT_START, BIAS_AT_START = 15.0, -4.0  # at the start, a cosine above 4/15 means true
NONSENSE_CAPTIONS, NONSENSE_PER_STEP = 1000, 32
NONSENSE_WORDS_MAX = 3
REPLACED_SHARE = 0.3  # share of a phrase's words, at least one word
WORD_SPREAD = 0.3  # standard deviation of the frozen token embeddings; open_clip's 0.02 is for trained ones


def digit_truth(labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Truth (n, P) of each phrase of `DIGIT_ATTRIBUTES` for the digits in `labels` (n,)."""
    return np.stack([np.isin(labels, digits) for digits in DIGIT_ATTRIBUTES.values()], axis=1)


def write_vocabulary(path: Path) -> Path:
    """Write attributes and decoys as a text file with one group per kind, in the format of an upload."""
    groups = {**ATTRIBUTE_GROUPS, "of no digit": DECOYS}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join("\n".join([f"[{group}]", *phrases, ""]) for group, phrases in groups.items()))
    return path


def train_digit_language_model(path: Path, *, steps: int = STEPS, seed: int = SEED) -> Path:
    """Train on the training digits of `demo.checkpoints`, with attributes and class names as captions."""
    images, labels = digit_images()
    rows, _ = split_rows(labels)
    names = [caption.format(digit) for caption in CLASS_CAPTIONS for digit in range(10)]
    named = np.tile(labels[rows, None] == np.arange(10), len(CLASS_CAPTIONS))
    truth = np.concatenate([digit_truth(labels[rows]), named], axis=1)
    colours = np.repeat(images[rows][..., None], 3, axis=-1)
    return train_language_model(colours, truth, [*DIGIT_ATTRIBUTES, *names], templates=DIGIT_TEMPLATES, steps=steps, seed=seed, path=path)


def train_language_model(
    images: NDArray[np.uint8],
    truth: NDArray[np.bool_],
    phrases: Sequence[str],
    *,
    path: Path,
    templates: Sequence[str] = TEMPLATES,
    steps: int = STEPS,
    seed: int = SEED,
) -> Path:
    """Train the open_clip model of `ARCHITECTURE` and `ARGUMENTS` from scratch and save it as safetensors.

    The loss is a sigmoid over all pairs of images and captions in a batch, because several captions are true of one image
    (Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023). Captions of random words, and phrases with some words
    replaced by random ones, are negatives for every image; without them, embeddings of unseen words lie close to trained phrases.

    Parameters
    ----------
    images : (n, 32, 32, 3)
    truth : (n, P) bool, whether each phrase is true of each image
    phrases : P texts
    templates : sentences in which `{}` stands for a phrase; one is drawn per phrase and step
    steps : batches of 64 images
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # for batches this small, several threads are slower than one
    logging.disable(logging.WARNING)  # open_clip warns that no pretrained weights are loaded
    network = cast(Any, open_clip.create_model(ARCHITECTURE.partition(":")[2], pretrained_text=False, **ARGUMENTS))
    logging.disable(logging.NOTSET)
    network.visual.to(memory_format=torch.channels_last)
    network.token_embedding.weight.requires_grad_(False).normal_(std=WORD_SPREAD)  # most of the weights, and few words occur in training
    nn.init.constant_(network.logit_scale, math.log(SCALE_AT_START))
    bias = nn.Parameter(torch.tensor(BIAS_AT_START))
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW([*trained, bias], lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=WARM_UP_SHARE)
    pixels, targets = _pixels(network, images), torch.from_numpy(truth).float()
    captions, nonsense = _captions(phrases, templates, seed)
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < BATCH:
            order = torch.randperm(len(pixels))
        batch, order = order[:BATCH], order[BATCH:]
        drawn = torch.randint(len(templates), (len(phrases),)), torch.arange(len(phrases))
        texts = torch.cat([captions[drawn], nonsense[torch.randint(len(nonsense), (NONSENSE_PER_STEP,))]])
        cosines = network.encode_image(pixels[batch], normalize=True) @ network.encode_text(texts, normalize=True).T
        logits = network.logit_scale.exp() * cosines + bias
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(logits, pad(targets[batch], (0, NONSENSE_PER_STEP))).backward()
        optimizer.step()
        schedule.step()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)
    return path


def _pixels(network: Any, images: NDArray[np.uint8]) -> Tensor:
    """Pixels (n, 3, 32, 32), normalised by the preprocessing of the image tower."""
    preprocessing = network.visual.preprocess_cfg
    scaled = (torch.from_numpy(images).float().div(255) - torch.tensor(preprocessing["mean"])) / torch.tensor(preprocessing["std"])
    return scaled.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _captions(phrases: Sequence[str], templates: Sequence[str], seed: int) -> tuple[Tensor, Tensor]:
    """Tokens of every phrase in every template (templates, P, context), and of captions with random words (captions, context)."""
    tokenizer = cast(Any, open_clip.get_tokenizer("RN50", context_length=ARGUMENTS["text_cfg"]["context_length"]))
    known = {word for text in (*phrases, *templates) for word in text.split()}
    tokens = (token.removesuffix("</w>") for token in tokenizer.encoder if token.endswith("</w>"))
    words = [word for word in tokens if len(word) > 2 and word.isascii() and word.isalpha() and word not in known]
    random = np.random.default_rng(seed)

    def unknown() -> str:
        return words[int(random.integers(len(words)))]

    def nonsense(number: int) -> str:
        if number % 2:
            words_drawn = [unknown() for _ in range(random.integers(1, NONSENSE_WORDS_MAX + 1))]
        else:
            words_drawn = phrases[int(random.integers(len(phrases)))].split()
            replaced = {int(random.integers(len(words_drawn))), *np.flatnonzero(random.random(len(words_drawn)) < REPLACED_SHARE)}
            words_drawn = [unknown() if place in replaced else word for place, word in enumerate(words_drawn)]
        return templates[int(random.integers(len(templates)))].format(" ".join(words_drawn))

    true = torch.stack([tokenizer([template.format(phrase) for phrase in phrases]) for template in templates])
    return true, tokenizer([nonsense(number) for number in range(NONSENSE_CAPTIONS)])
