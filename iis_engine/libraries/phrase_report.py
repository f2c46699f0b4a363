"""What fitting a text library found out about its phrases, as plain numbers. No tensor here."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

FEW_HELD_OUT = 50
"""Below as many, noise passes the default cutoff in more than a few of a hundred phrases."""


@dataclass(frozen=True)
class TextConcept:
    """A phrase that became a concept."""

    phrase: str
    group: str | None
    similarity: float  # cos-cubed, of its activation with its cosines, on held-out images
    clip_top5: float  # mean of its five highest cosines with training images


@dataclass(frozen=True)
class DroppedPhrase:
    """A phrase that did not, and the figures that decided it.

    `reason` is too_long, class_name or repeated (by its words); near_class or near_phrase (by its embedding); clip_cutoff,
    interpretability_cutoff, or beyond_count.
    """

    phrase: str
    reason: str
    details: dict[str, float | str]


@dataclass(frozen=True)
class TextFindings:
    """The phrases of a text library and how good the evidence for them is.

    `zero_shot_accuracy` is the vision-language model's own on the test images, by prompts with the class names, with a 95 % interval;
    None for a library that was fitted on another data set.
    """

    concepts: tuple[TextConcept, ...]
    left_out: tuple[DroppedPhrase, ...]
    clip_cutoff: float
    interpretability_cutoff: float
    native: bool
    held_out_count: int  # images that chose and judged the directions
    zero_shot_accuracy: float | None
    zero_shot_low: float | None
    zero_shot_high: float | None
    chance: float | None  # accuracy of naming the most frequent class

    def summary(self) -> dict[str, Any]:
        """What a report says: every concept, and the phrases that were left out by number."""
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
        """Where the evidence itself is weak."""
        found: list[str] = []
        if self.held_out_count < FEW_HELD_OUT:
            found.append(
                f"The text concepts were chosen and judged on {self.held_out_count} held-out images, on which chance alone can look like "
                f"similarity; send more training images ({FEW_HELD_OUT} are held out of {5 * FEW_HELD_OUT})."
            )
        if self.zero_shot_low is not None and self.chance is not None and self.zero_shot_low <= self.chance:
            found.append(
                f"The vision-language model names the classes of these images with {self.zero_shot_accuracy:.1%} accuracy, no better than "
                f"chance ({self.chance:.1%}): its cosines say little about them, and so may the text concepts."
            )
        return tuple(found)

    def on_other_images(self) -> TextFindings:
        """The same for a library that is used on another data set than it was fitted on: what is known of those images goes."""
        return replace(self, zero_shot_accuracy=None, zero_shot_low=None, zero_shot_high=None, chance=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> TextFindings:
        """The inverse of `to_dict`."""
        fields = dict(values)
        fields["concepts"] = tuple(TextConcept(**concept) for concept in values["concepts"])
        fields["left_out"] = tuple(DroppedPhrase(**phrase) for phrase in values["left_out"])
        return TextFindings(**fields)
