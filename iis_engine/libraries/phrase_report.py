"""Report of a text library: its concepts, the dropped phrases, and how far the evidence can be trusted. Plain numbers, no tensors."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

FEW_HELD_OUT = 50
"""With fewer, more than three in a thousand unrelated phrases reach the default cutoff on both halves of them."""
FITTED_REASONS = ("interpretability_cutoff", "not_confirmed", "beyond_count")
"""Reasons of dropped phrases whose direction was fitted."""


@dataclass(frozen=True)
class TextConcept:
    """A phrase that became a concept."""

    phrase: str
    group: str | None
    similarity: float  # cos-cubed, of its activations with its cosines, on the judging half of the held-out images
    clip_top5: float  # mean of its five highest cosines with training images


@dataclass(frozen=True)
class DroppedPhrase:
    """A phrase that did not become a concept, and the values that decided it.

    Attributes
    ----------
    reason : too_long, class_name or repeated (by its wording); near_class or near_phrase (by its embedding); clip_cutoff,
        interpretability_cutoff (missed on the choosing half of the held-out images), not_confirmed (reached there, missed on the judging
        half), or beyond_count
    """

    phrase: str
    reason: str
    details: dict[str, float | str]


@dataclass(frozen=True)
class TextReport:
    """The phrases of a text library, and the evidence for them.

    Attributes
    ----------
    left_out : the dropped phrases
    held_out_count : images that chose or judged the phrases and their directions
    zero_shot_accuracy, zero_shot_low, zero_shot_high : of the vision-language model on the test images, by prompts with the class
        names, with a 95 % interval; None for multi-label data, and for a library that was fitted on another data set
    chance : accuracy of always predicting the most frequent class
    judging_count : of the held-out images, those that judged; None in libraries of earlier releases, where all chose and judged
    split_seed : of the split of the training images, alike for every seed of the library
    """

    concepts: tuple[TextConcept, ...]
    left_out: tuple[DroppedPhrase, ...]
    clip_cutoff: float
    interpretability_cutoff: float
    native: bool
    held_out_count: int
    zero_shot_accuracy: float | None
    zero_shot_low: float | None
    zero_shot_high: float | None
    chance: float | None
    judging_count: int | None = None
    split_seed: int = 0

    @property
    def fitted_count(self) -> int:
        """Phrases that reached `clip_cutoff`, whose directions were fitted."""
        return len(self.concepts) + sum(phrase.reason in FITTED_REASONS for phrase in self.left_out)

    @property
    def usable_count(self) -> int:
        """Phrases left after the filters on wording and embedding."""
        return self.fitted_count + sum(phrase.reason == "clip_cutoff" for phrase in self.left_out)

    @property
    def chosen_count(self) -> int:
        """Phrases that reached `interpretability_cutoff` on the choosing half."""
        return self.confirmed_count + sum(phrase.reason == "not_confirmed" for phrase in self.left_out)

    @property
    def confirmed_count(self) -> int:
        """Phrases that reached `interpretability_cutoff` on both halves."""
        return len(self.concepts) + sum(phrase.reason == "beyond_count" for phrase in self.left_out)

    def summary(self) -> dict[str, Any]:
        """The part of a score's report: every concept, and the dropped phrases by number."""
        values = {name: value for name, value in asdict(self).items() if name not in ("left_out", "split_seed")}
        return {
            "candidates": len(self.concepts) + len(self.left_out),
            "kept": len(self.concepts),
            "dropped": dict(Counter(phrase.reason for phrase in self.left_out)),
            "similarity_mean": sum(concept.similarity for concept in self.concepts) / len(self.concepts),
            **values,
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of weak evidence."""
        found: list[str] = []
        if self.held_out_count < FEW_HELD_OUT:
            found.append(
                f"The text concepts were chosen and judged on {self.held_out_count} held-out images, so few that chance alone can "
                f"reach the cutoff; send more training images ({FEW_HELD_OUT} are held out of {5 * FEW_HELD_OUT})."
            )
        if self.zero_shot_low is not None and self.chance is not None and self.zero_shot_low <= self.chance:
            found.append(
                f"The vision-language model classifies these images with {self.zero_shot_accuracy:.1%} zero-shot accuracy, no better than "
                f"chance ({self.chance:.1%}): its cosines, and the text concepts fitted to them, may say little about these images."
            )
        return tuple(found)

    def on_other_images(self) -> TextReport:
        """The report for use on another data set than the fitted one: without the figures of its test images."""
        return self.without_zero_shot()

    def without_zero_shot(self) -> TextReport:
        """The report without the accuracy of the vision-language model."""
        return replace(self, zero_shot_accuracy=None, zero_shot_low=None, zero_shot_high=None, chance=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> TextReport:
        """The inverse of `to_dict`."""
        fields = dict(values)
        fields["concepts"] = tuple(TextConcept(**concept) for concept in values["concepts"])
        fields["left_out"] = tuple(DroppedPhrase(**phrase) for phrase in values["left_out"])
        return TextReport(**fields)
