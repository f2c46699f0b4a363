"""Queries about a study: analysis, figures and table are computed once for each state of its jobs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from PIL import Image
from sqlalchemy import func, select

from app.db.ids import new_id
from app.db.models import Job, StageArtifact, Study, StudyCell
from app.db.study_rows import NUMBERS, PANEL_NUMBERS, REPORTED, study_rows
from worker.jobs.results import add_results
from worker.queries.context import Query
from worker.queries.dispatcher import QueryDispatcher
from worker.sandbox.outcomes import StageRefused
from worker.sandbox.watch import Stop

if TYPE_CHECKING:
    from support.worker_service import Service

GRID: dict[str, Any] = {
    "models": [],
    "libraries": [{"kind": "prototype", "parts": []}, {"kind": "cluster", "parts": []}],
    "sparsity_grids": [[0, 0.5, 1]],
    "evolution": False,
}
ENDS = (("", 0.0), ("_low", -0.01), ("_high", 0.01))


@pytest.fixture
def dispatcher(service: Service) -> Iterator[QueryDispatcher]:
    dispatcher = QueryDispatcher(service.runtime, Stop())
    yield dispatcher
    dispatcher.close()


@pytest.fixture
def study_id(service: Service) -> str:
    """Four representations of ready features through two libraries, all scored."""
    study = Study(id=new_id("study"), owner_id=service.owner_id, name="four sets", grid=GRID)
    with service.runtime.sessions.begin() as session:
        session.add(study)
    for number in range(4):
        add_cells(service, study.id, number)
    return study.id


def add_cells(service: Service, study_id: str, number: int) -> None:
    """Add a representation with a higher IIS than those before, through each library of the study."""
    dataset_id = service.add_dataset(service.features(), state="ready", digest=new_id("dataset"))
    for place in range(2):
        job_id = service.add_score(dataset_id, library=GRID["libraries"][place] | {"concept_count": 8})
        report = service.folder / f"{job_id}.json"
        report.write_text(json.dumps(report_of(0.5 + 0.05 * number, 0.6 + 0.04 * number + 0.01 * place)))
        panel = service.folder / f"{job_id}-panel.json"
        panel.write_text(json.dumps({"concepts": []}))
        cell = StudyCell(
            study_id=study_id,
            number=2 * number + place,
            job_id=job_id,
            created=True,
            request_digest=job_id,
            dataset_id=dataset_id,
            library=place,
            concept_count=8,
            seed=0,
        )
        with service.runtime.sessions.begin() as session:
            job = session.get_one(Job, job_id)
            add_results(session, job, report=report, panel=panel, plots=[], library_id=None, predictors=None)
            job.state = "succeeded"
            session.add(cell)


def report_of(accuracy: float, iis: float) -> dict[str, Any]:
    """The report of a score job, as far as a study reads it, with a curve of three points."""
    numbers = dict.fromkeys(NUMBERS.values(), 0.4)
    intervals = {
        f"{name}{end}": value + shift for name, value in (("accuracy_representation", accuracy), ("iis", iis)) for end, shift in ENDS
    }
    bounds = {f"{name}_{end}": 0.5 for name in ("accuracy", "arr") for end in ("low", "high")}
    points = [bounds | {"kept": k, "sparsity": 1 - k / 8, "accuracy": accuracy * k / 8, "arr": k / 8} for k in (8, 4, 0)]
    over = {f"{name}{end}": iis - 0.5 + shift for name in ("gain", "few_gain") for end, shift in ENDS}
    control = {"iis": 0.4 + accuracy / 10, "iis_low": 0.3, "iis_high": 0.5, **over, "points": points}
    verdict = {"code": "reads_through_concepts", "sentence": "It does.", "next": []}
    return (
        numbers
        | intervals
        | {"edition": 2, "verdict": verdict, "chance": 0.1, "points": points}
        | {
            "controls": {"isotropic": control, "matched": control},
            "library": {"kind": "prototype"},
        }
        | panel_of_ones()
    )


def panel_of_ones() -> dict[str, Any]:
    """The parts `balanced` and `panel` of a report, with 1 for each value that a study reads."""
    parts: dict[str, Any] = {}
    for *folders, name in PANEL_NUMBERS.values():
        part = parts
        for folder in folders:
            part = part.setdefault(folder, {})
        part[name] = 1.0
    return parts


def ask(service: Service, dispatcher: QueryDispatcher, kind: str, study_id: str, **about: Any) -> bytes:
    result = dispatcher.run(Query(service.owner_id, kind, {"study": study_id, **about}))
    with service.runtime.store.open(result["sha256"]) as content:
        return content.read()


def kept(service: Service, kind: str) -> int:
    with service.runtime.sessions() as session:
        return session.scalar(select(func.count()).where(StageArtifact.stage == kind)) or 0


def test_a_study_is_analysed_once_for_each_state_of_its_jobs(service: Service, dispatcher: QueryDispatcher, study_id: str) -> None:
    first = ask(service, dispatcher, "study_analysis", study_id)
    analysis = json.loads(first)
    with service.runtime.sessions() as session:
        rows = study_rows(session, service.owner_id, study_id)
    assert analysis["rows"] == len(rows) == 8
    found = {relation["library"]: relation for relation in analysis["relation"]}
    assert {library: relation["n"] for library, relation in found.items()} == {"prototype": 4, "cluster": 4}
    assert [point["iis"]["value"] for point in found["cluster"]["points"]] == [row["iis"] for row in rows if row["library"] == "cluster"]
    assert found["cluster"]["accuracy"]["spearman"]["value"] == pytest.approx(1)
    assert found["cluster"]["accuracy"]["gains"]["few_gain_matched"]["value"] == pytest.approx(1)
    assert (found["cluster"]["edition"], analysis["claims"]) == (2, 6)
    assert analysis["agreement"][0]["libraries"] == ["prototype", "cluster"]
    assert analysis["sparsity_grids"][0]["grids"][0]["models"][0]["area"] == pytest.approx(0.5)

    with service.runtime.sessions.begin() as session:
        session.get_one(Study, study_id).name = "another name"
    assert ask(service, dispatcher, "study_analysis", study_id) == first
    assert kept(service, "study_analysis") == 1

    with service.runtime.sessions() as session:
        sha256 = session.scalars(select(StageArtifact.blob_sha256).where(StageArtifact.stage == "study_analysis")).one()
    service.runtime.store.delete(sha256)
    assert ask(service, dispatcher, "study_analysis", study_id) == first  # a result missing from storage is computed again

    add_cells(service, study_id, 4)
    assert json.loads(ask(service, dispatcher, "study_analysis", study_id))["rows"] == 10
    assert kept(service, "study_analysis") == 2


@pytest.mark.slow
def test_figures_are_drawn_from_the_stored_analysis(service: Service, dispatcher: QueryDispatcher, study_id: str) -> None:
    png = ask(service, dispatcher, "study_figure", study_id, name="iis_accuracy", format="png")
    assert Image.open(io.BytesIO(png)).width > 500
    assert ask(service, dispatcher, "study_figure", study_id, name="agreement", format="svg").startswith(b"<?xml")
    assert (kept(service, "study_analysis"), kept(service, "study_figure")) == (1, 2)
    with pytest.raises(StageRefused, match="is not an evolution") as refused:
        ask(service, dispatcher, "study_figure", study_id, name="evolution", format="png")
    assert refused.value.error["code"] == "figure_absent"


def test_the_table_has_a_row_with_a_curve_for_each_cell(service: Service, dispatcher: QueryDispatcher, study_id: str) -> None:
    table = pq.read_table(io.BytesIO(ask(service, dispatcher, "study_table", study_id))).to_pylist()
    with service.runtime.sessions() as session:
        rows = study_rows(session, service.owner_id, study_id)
    assert set(table[0]) == set(rows[0])
    assert None not in (rows[0][name] for name in REPORTED)  # so that a column of another name is seen
    for written, row in zip(table, rows, strict=True):
        points = [list(point.values()) for point in written.pop("points")]
        assert points == row.pop("points")
        assert written == row


def test_a_study_of_another_owner_is_not_found(service: Service, dispatcher: QueryDispatcher, study_id: str) -> None:
    service.become_another_owner()
    with pytest.raises(StageRefused, match="no study") as refused:
        ask(service, dispatcher, "study_analysis", study_id)
    assert refused.value.error["code"] == "study_absent"
