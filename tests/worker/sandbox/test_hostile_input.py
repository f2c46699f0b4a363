"""Malicious files read in a compute process. `make torture PARTS=hostile` tries more of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from torture import hostile_pickles
from torture.hostile import GROUPS, SampleReader, defect_of, read_unconfined, sample_reader
from torture.hostile_samples import Sample

GADGETS_READ_CONFINED = ("builtins.exec", "os.mkdir", "numpy reconstruct", "torch rebuild")
"""Gadgets that confinement would not stop; the others are read without confinement only."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleReader]:
    with sample_reader(tmp_path_factory.mktemp("samples")) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("group", [group for group in GROUPS if group != "pickles"])
def test_each_malicious_file_is_refused_or_handled_and_leaves_no_file(reader: SampleReader, tmp_path: Path, group: str) -> None:
    defects = [found for sample in GROUPS[group](tmp_path, reader.marks, False) if (found := defect(reader, sample)) is not None]
    assert defects == []
    assert reader.leftover_files() == []


def defect(reader: SampleReader, sample: Sample) -> str | None:
    """The defect of a sample's outcome as a sentence; None where it is as expected."""
    return defect_of(sample, reader.read(sample), reader.folder)


def test_the_compute_process_refuses_a_pickle_in_any_container_and_runs_no_code(reader: SampleReader, tmp_path: Path) -> None:
    samples = [
        sample for sample in hostile_pickles.pickles(tmp_path, reader.marks) if sample.name.split(" in ")[0] in GADGETS_READ_CONFINED
    ]
    assert [found for sample in samples if (found := defect(reader, sample)) is not None] == []
    assert marks_left(reader.marks) == []


def test_no_pickle_runs_code_even_without_confinement(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    samples = list(hostile_pickles.pickles(tmp_path, marks))
    assert len(hostile_pickles.GADGETS) > 20
    assert read_unconfined([sample.path for sample in samples]).stdout == ""
    assert marks_left(marks) == []


@pytest.mark.slow
def test_the_gadgets_run_code_under_pickle_load(tmp_path: Path) -> None:
    assert hostile_pickles.ineffective_gadgets(tmp_path) == []


def marks_left(marks: Path) -> list[str]:
    """Marks of gadgets that ran; files with a suffix are inputs of some gadgets."""
    return [path.name for path in marks.glob("mark-*") if not path.suffix]
