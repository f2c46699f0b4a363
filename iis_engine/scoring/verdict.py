"""The verdict of a score in words: one function of the numbers, the same in report, page, command line and client (METHOD §7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from iis_engine.specs import Quantity

VerdictCode = Literal[
    "reads_through_concepts", "no_better_than_matched", "worse_than_any", "too_close_to_chance", "too_few_images", "not_comparable"
]
VERDICT_CODES: tuple[VerdictCode, ...] = (
    "reads_through_concepts",
    "no_better_than_matched",
    "worse_than_any",
    "too_close_to_chance",
    "too_few_images",
    "not_comparable",
)
LARGEST_HALF_WIDTH = 0.03
"""Of the interval of a gain that holds zero: a wider one could hide a gain worth having."""

LARGER_ELEMENTS = "Cut larger elements: whole images and 2 x 2 patches lie closer to what the network was trained on (scales 1 and 2)."
FEWER_CONCEPTS = "Ask for fewer concepts: with many, any directions span the representation."
TEXT_CONCEPTS = "Read it through phrases: a text library with a vision-language model."
OTHER_LIBRARY = "Try another library: cluster and end2end choose their concepts, prototype draws them at random."
MORE_IMAGES = "Send more test images: the interval narrows with the square root of their number."
BETTER_REPRESENTATION = "Score a network, a layer or data that h classifies better than a constant prediction does."
EXACT_PROTOCOL = "Score under the exact protocol, which selects nothing on the test images."


@dataclass(frozen=True)
class Verdict:
    """What the score says.

    Attributes
    ----------
    code : one of `VERDICT_CODES`
    sentence : with the numbers that decide
    next : what can be tried, one sentence each
    """

    code: VerdictCode
    sentence: str
    next: tuple[str, ...]


@dataclass(frozen=True)
class Gain:
    """A difference in mean accuracy at few concepts, with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} (95 % interval {self.low:+.3f} to {self.high:+.3f})"


def give_verdict(
    *,
    better_than_chance: bool,
    over_matched: Gain | None,
    over_isotropic: Gain | None,
    library_kind: str,
    scales: tuple[int, ...] = (),
    quantity: Quantity = "accuracy",
) -> Verdict:
    """The verdict from the gains in mean accuracy at 5 to 30 kept concepts.

    Parameters
    ----------
    better_than_chance : whether h beats the best constant prediction
    over_matched, over_isotropic : gain over directions with the library's own mean and covariance, and over any directions; None where
        they were not measured
    library_kind : of the library, for what can be tried next
    scales : grids of its elements; empty without elements
    quantity : that is retained
    """
    what = quantity.replace("_", " ")
    if not better_than_chance:
        return Verdict(
            "too_close_to_chance",
            f"The representation classifies no better than a constant prediction, so there is no {what} to read through concepts.",
            (BETTER_REPRESENTATION, MORE_IMAGES),
        )
    if over_matched is None or over_isotropic is None:
        return Verdict(
            "not_comparable", "The controls were not measured at few concepts, so there is nothing to compare with.", (EXACT_PROTOCOL,)
        )
    tries = _next_steps(library_kind, scales)
    if over_matched.low > 0:
        beside = "below" if over_isotropic.high < 0 else "above" if over_isotropic.low > 0 else "level with"
        return Verdict(
            "reads_through_concepts",
            f"The representation reads through its concepts: with 5 to 30 of them per image it keeps {over_matched} more {what} than "
            f"with directions of the same statistics; it is {beside} any directions ({over_isotropic.value:+.3f}).",
            tries if over_isotropic.high < 0 else (),
        )
    if over_isotropic.high < 0:
        return Verdict(
            "worse_than_any",
            f"The concepts keep less {what} than any directions do: with 5 to 30 per image the difference is {over_isotropic}; over "
            f"directions of the same statistics it is {over_matched.value:+.3f}.",
            tries,
        )
    if over_matched.high > 0 and (over_matched.high - over_matched.low) / 2 > LARGEST_HALF_WIDTH:
        return Verdict(
            "too_few_images",
            f"There are too few test images to say: over directions of the same statistics the gain is {over_matched}, an interval "
            "that holds zero and is too wide to exclude a gain worth having.",
            (MORE_IMAGES, *tries),
        )
    return Verdict(
        "no_better_than_matched",
        f"The concepts are no better than directions of the same statistics: with 5 to 30 per image the difference is {over_matched}.",
        tries,
    )


def _next_steps(library_kind: str, scales: tuple[int, ...]) -> tuple[str, ...]:
    steps: list[str] = []
    if scales and min(scales) > 2:
        steps.append(LARGER_ELEMENTS)
    if library_kind in ("prototype", "random"):
        steps.append(OTHER_LIBRARY)
    steps.append(FEWER_CONCEPTS)
    if library_kind != "text":
        steps.append(TEXT_CONCEPTS)
    return tuple(steps)
