"""What a compute process sends or writes and answers of the API repeat: bounded in size and number by the worker, whatever it sends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from worker.jobs.outputs import OutputInvalid, read_shown_json, require_shown, warnings_of
from worker.sandbox.outcomes import ChildLost

MANY = 2_000_000


def test_a_million_warnings_become_a_hundred_short_ones() -> None:
    found = warnings_of({"warnings": ["x" * 5_000] * MANY})
    assert (len(found), len(found[0])) == (100, 4000)
    assert warnings_of({}) == []


@pytest.mark.parametrize("content", [[0] * MANY, ["x" * (17 << 20)], [{}] * MANY])
def test_more_than_a_stage_sends_is_refused(content: list[object], tmp_path: Path) -> None:
    with pytest.raises(ChildLost, match="more than a stage sends"):
        require_shown(content, "a description")
    path = tmp_path / "report.json"
    path.write_text(json.dumps(content))
    with pytest.raises(OutputInvalid, match="it has more than"):
        read_shown_json(path)


def test_the_largest_description_of_a_data_set_passes() -> None:
    names = [f"class number {number}" for number in range(50_000)]
    counts = dict.fromkeys(names, 1000)
    require_shown({"class_names": names, "counts": {"train": counts, "test": counts}, "warnings": ["x" * 1000] * 100}, "a description")
