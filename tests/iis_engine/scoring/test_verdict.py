"""The verdict follows from the gains at few concepts, and says the numbers that decide."""

from __future__ import annotations

import pytest

from iis_engine.scoring.verdict import MORE_IMAGES, Gain, VerdictCode, give_verdict

ABOVE, BELOW = Gain(0.1, 0.06, 0.14), Gain(-0.1, -0.14, -0.06)
LEVEL, WIDE = Gain(0.005, -0.01, 0.02), Gain(0.02, -0.08, 0.12)


@pytest.mark.parametrize(
    ("over_matched", "over_isotropic", "code"),
    [
        (ABOVE, ABOVE, "reads_through_concepts"),
        (ABOVE, BELOW, "reads_through_concepts"),
        (LEVEL, BELOW, "worse_than_any"),
        (BELOW, BELOW, "worse_than_any"),
        (BELOW, LEVEL, "no_better_than_matched"),
        (LEVEL, LEVEL, "no_better_than_matched"),
        (WIDE, LEVEL, "too_few_images"),
        (WIDE, BELOW, "worse_than_any"),
        (None, None, "not_comparable"),
    ],
)
def test_the_gains_decide(over_matched: Gain | None, over_isotropic: Gain | None, code: VerdictCode) -> None:
    found = give_verdict(better_than_chance=True, over_matched=over_matched, over_isotropic=over_isotropic, library_kind="cluster")
    assert found.code == code
    if over_matched is not None:
        assert f"{over_matched.value:+.3f}" in found.sentence


def test_a_representation_at_chance_has_no_other_verdict() -> None:
    found = give_verdict(better_than_chance=False, over_matched=ABOVE, over_isotropic=ABOVE, library_kind="cluster")
    assert found.code == "too_close_to_chance"


def test_next_steps_fit_the_library() -> None:
    def steps(kind: str, scales: tuple[int, ...]) -> str:
        found = give_verdict(better_than_chance=True, over_matched=LEVEL, over_isotropic=LEVEL, library_kind=kind, scales=scales)
        return " ".join(found.next)

    assert "larger elements" in steps("prototype", (4,))
    assert "larger elements" not in steps("prototype", (1, 2))
    assert "phrases" in steps("cluster", (4,))
    assert "phrases" not in steps("text", ())
    wide = give_verdict(better_than_chance=True, over_matched=WIDE, over_isotropic=LEVEL, library_kind="text")
    assert wide.next[0] == MORE_IMAGES
