"""What fitting a text library found out about its phrases, as plain numbers. No tensor here."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TextConcept:
    """A phrase that became a concept."""

    phrase: str
    group: str | None
    similarity: float  # cos-cubed, of its activation with its cosines, on held-out images
    clip_top5: float  # mean of its five highest cosines with training images


@dataclass(frozen=True)
class LeftOut:
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

    `zero_shot_accuracy` is the vision-language model's own on the test images, by prompts with the class names, with a 95 % interval.
    """

    concepts: tuple[TextConcept, ...]
    left_out: tuple[LeftOut, ...]
    clip_cutoff: float
    interpretability_cutoff: float
    native: bool
    zero_shot_accuracy: float
    zero_shot_low: float
    zero_shot_high: float
    chance: float  # accuracy of naming the most frequent class

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
        if self.zero_shot_low > self.chance:
            return ()
        return (
            f"The vision-language model names the classes of these images with {self.zero_shot_accuracy:.1%} accuracy, no better than "
            f"chance ({self.chance:.1%}): its cosines say little about them, and so may the text concepts.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> TextFindings:
        """The inverse of `to_dict`."""
        fields = dict(values)
        fields["concepts"] = tuple(TextConcept(**concept) for concept in values["concepts"])
        fields["left_out"] = tuple(LeftOut(**phrase) for phrase in values["left_out"])
        return TextFindings(**fields)
