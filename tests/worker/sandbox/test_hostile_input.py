"""Hostile files through the doors of the engine, in a compute process: the short version of what `make torture PARTS=hostile` does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from torture import hostile_pickles
from torture.hostile import GROUPS, Range, bare_reading, fault_of, shooting_range
from torture.hostile_samples import Sample

GADGETS_SHOT = ("builtins.exec", "os.mkdir", "numpy reconstruct", "torch rebuild")
"""Of all the gadgets those that a confined process could still let leave their marks; all others are read without confinement."""


@pytest.fixture(scope="module")
def shooting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    with shooting_range(tmp_path_factory.mktemp("range")) as opened:
        yield opened


@pytest.mark.parametrize(
    "group", [pytest.param(group, marks=() if group == "images" else pytest.mark.slow) for group in GROUPS if group != "pickles"]
)
def test_each_is_refused_with_a_sentence_or_handled_and_leaves_nothing(shooting: Range, tmp_path: Path, group: str) -> None:
    found = [fault for sample in GROUPS[group](tmp_path, shooting.marks, False) if (fault := shoot(shooting, sample)) is not None]
    assert found == []
    assert shooting.left() == []


def shoot(shooting: Range, sample: Sample) -> str | None:
    """What is wrong with how a sample ended."""
    return fault_of(sample, shooting.shoot(sample), shooting.folder)


def test_a_pickle_in_any_container_is_refused_in_the_compute_process_and_leaves_no_mark(shooting: Range, tmp_path: Path) -> None:
    samples = [sample for sample in hostile_pickles.pickles(tmp_path, shooting.marks) if sample.name.split(" in ")[0] in GADGETS_SHOT]
    assert [fault for sample in samples if (fault := shoot(shooting, sample)) is not None] == []
    assert marks_left(shooting.marks) == []


def test_no_gadget_runs_even_without_confinement(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    samples = list(hostile_pickles.pickles(tmp_path, marks))
    assert len(hostile_pickles.GADGETS) > 20
    assert bare_reading([sample.path for sample in samples]).stdout == ""
    assert marks_left(marks) == []


def test_the_gadgets_do_work_where_nothing_stops_them(tmp_path: Path) -> None:
    assert hostile_pickles.without_mark(tmp_path) == []


def marks_left(marks: Path) -> list[str]:
    """What gadgets have made; the files with endings are what some of them would have read."""
    return [path.name for path in marks.glob("mark-*") if not path.suffix]
