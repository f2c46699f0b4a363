"""Report of a text library: its concepts, the dropped phrases, and how far the evidence can be trusted. Plain numbers, no tensors."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

FEW_HELD_OUT = 50
"""With fewer, more than a few of a hundred meaningless phrases pass the default cutoff."""


@dataclass(frozen=True)
class TextConcept:
    """A phrase that became a concept."""

    phrase: str
    group: str | None
    similarity: float  # cos-cubed, of its activations with its cosines, on held-out images
    clip_top5: float  # mean of its five highest cosines with training images


@dataclass(frozen=True)
class DroppedPhrase:
    """A phrase that did not become a concept, and the values that decided it.

    Attributes
    ----------
    reason : too_long, class_name or repeated (by its wording); near_class or near_phrase (by its embedding); clip_cutoff,
        interpretability_cutoff, or beyond_count
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
    held_out_count : images that selected and evaluated the directions
    zero_shot_accuracy, zero_shot_low, zero_shot_high : of the vision-language model on the test images, by prompts with the class
        names, with a 95 % interval; None for a library that was fitted on another data set
    chance : accuracy of always predicting the most frequent class
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

    def summary(self) -> dict[str, Any]:
        """The part of a score's report: every concept, and the dropped phrases by number."""
        values = {name: value for name, value in asdict(self).items() if name != "left_out"}
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
                f"The text concepts were selected and evaluated on {self.held_out_count} held-out images, so few that chance alone can "
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
