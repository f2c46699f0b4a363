"""Results of a study as plain rows, one for each cell whose job succeeded. Read by API and worker."""

from __future__ import annotations

import json
import typing
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Double, Integer, Text, cast, column, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.selectable import LateralFromClause

from app.db.models import Curve, CurvePoint, Dataset, Job, Model, Result, Study, StudyCell
from app.errors import NotFound
from iis_schemas.names import QuantityName, VerdictCode

READY_FEATURES = "features"  # id of the common data set behind data sets of ready features
READY_FEATURES_NAME = "ready features"
TOO_CLOSE_TO_CHANCE: VerdictCode = "too_close_to_chance"
ACCURACY: QuantityName = "accuracy"  # retained where a report names no quantity
ENDS = ("", "_low", "_high")
NUMBERS = {  # name in a row -> name in the report; values are None where the report lacks or withholds them
    **{f"accuracy{end}": f"accuracy_representation{end}" for end in ENDS},
    "chance": "chance",
    **{f"{name}{end}": f"{name}{end}" for name in ("iis", "few_concepts_mean", "iis_chance_corrected", "iis_log") for end in ENDS},
}
CONTROL_NUMBERS = {  # name in a row -> (control, name in its report)
    f"{name}_{control}{end}": (control, f"{name}{end}")
    for name in ("iis", "gain", "few_gain")
    for control in ("isotropic", "matched")
    for end in ENDS
}
PANEL_NUMBERS = {  # name in a row -> path in the report; None in reports without a panel
    **{f"balanced_{name}": ("balanced", name) for name in ("accuracy", "iis", "few_mean")},
    **{name: ("panel", "library", "code", name) for name in ("concepts_used", "overlap", "positive_share")},
    **{
        f"{name}{suffix}": ("panel", library, name)
        for name in ("effective_rank", "mono_score", "class_purity")
        for suffix, library in (("", "library"), ("_matched", "matched"))
    },
    "stability": ("panel", "stability", "difference"),
    "selectivity": ("panel", "selectivity", "difference"),
    "anec": ("panel", "effective_concepts", "anec"),
    "anec_matched": ("panel", "effective_concepts", "matched_anec"),
    "ncc": ("panel", "contributing_concepts", "ncc"),
}
REPORTED = ("edition", "quantity", "verdict", *NUMBERS, *CONTROL_NUMBERS, *PANEL_NUMBERS)
"""Names of the values in a row that come from the report, in the order of `reported`."""


def study_grid(session: Session, owner_id: str, study_id: str) -> dict[str, Any]:
    """Request of a study without its cells: {name, models, evolution, sparsity_grids}, models as ids in their order.

    Raises
    ------
    NotFound
    """
    study = _study(session, owner_id, study_id)
    models = [entry["model"] for entry in study.grid["models"]]
    return {"name": study.name, "models": models, **{name: study.grid[name] for name in ("evolution", "sparsity_grids")}}


def study_rows(session: Session, owner_id: str, study_id: str, *, with_points: bool = True) -> list[dict[str, Any]]:
    """Rows of the cells whose jobs succeeded, in the order of the grid.

    Parameters
    ----------
    with_points : whether to read the nodes of the curves too

    Returns
    -------
    Each with `job`, `model`, `label`, `family`, `given_accuracy`, `epoch`, `architecture`, `network` (such as
    "timm:resnet18(in_chans=1) at layer2"), `untrained`, `dataset`, `dataset_name`, `library` (such as "prototype" or
    "combined(text+cluster)"), `concept_count`, `library_dataset`, `library_dataset_name`, `seed`, `protocol`, the values of `REPORTED`,
    `near_chance` and, with points, `points` [[sparsity, kept, accuracy, arr], …] in order of increasing sparsity.

    Data sets of ready features are representations of the same data: `model` and `label` are then the data set's id and name,
    `architecture` and `network` are None, and `dataset` is `READY_FEATURES`.

    Raises
    ------
    NotFound
    """
    study = _study(session, owner_id, study_id)
    labels = library_labels(study.grid["libraries"])
    entries = {entry["model"]: entry for entry in study.grid["models"]}
    points = _points(session, study_id) if with_points else None
    table, columns = reported()
    source, origin = aliased(Dataset), aliased(Dataset)
    statement = (
        select(StudyCell, Job.spec["protocol"].astext.label("protocol"), Model, source.name, source.kind, origin.name, *columns)
        .join(Job, Job.id == StudyCell.job_id)
        .join(Result, Result.job_id == Job.id)
        .join(table, literal(True))
        .join(source, source.id == StudyCell.dataset_id)
        .outerjoin(Model, Model.id == StudyCell.model_id)
        .outerjoin(origin, origin.id == StudyCell.library_dataset_id)
        .where(StudyCell.study_id == study_id, Job.owner_id == owner_id, Job.state == "succeeded")
        .order_by(StudyCell.number)
    )
    rows: list[dict[str, Any]] = []
    for cell, protocol, model, dataset_name, kind, origin_name, *numbers in session.execute(statement):
        found = dict(zip(REPORTED, numbers, strict=True))
        rows.append(
            {
                "job": cell.job_id,
                **_representation(cell, model, dataset_name, entries),
                "dataset": READY_FEATURES if kind == "features" else cell.dataset_id,
                "dataset_name": READY_FEATURES_NAME if kind == "features" else dataset_name,
                "library": labels[cell.library],
                "concept_count": cell.concept_count,
                "library_dataset": cell.library_dataset_id,
                "library_dataset_name": origin_name,
                "seed": cell.seed,
                "protocol": protocol,
                **found,
                "near_chance": is_near_chance(found),
                **({"points": points.get(cell.job_id, [])} if points is not None else {}),
            }
        )
    return rows


def is_near_chance(numbers: dict[str, Any]) -> bool:
    """Whether a report's IIS is not meaningful: withheld, or the representation is not significantly better than chance.

    The verdict of a report says the latter; those of the first edition have none, and their interval of accuracy decides.
    """
    if numbers["verdict"] is not None:
        return numbers["iis"] is None or numbers["verdict"] == TOO_CLOSE_TO_CHANCE
    return numbers["iis"] is None or numbers["accuracy_low"] <= numbers["chance"]


@cache
def reported() -> tuple[LateralFromClause, list[ColumnElement[Any]]]:
    """Lateral table that unpacks each report once, to join with results, and its columns labelled as in `REPORTED`."""
    parts = (
        column("edition", Integer),
        column("quantity", Text),
        *(column(name, JSONB) for name in ("verdict", "controls", "balanced", "panel")),
    )
    numbers = [column(name, Double) for name in NUMBERS.values()]
    table = func.jsonb_to_record(Result.report).table_valued(*parts, *numbers, name="reported").render_derived(with_types=True).lateral()
    found = table.columns
    return table, [
        func.coalesce(found["edition"], 1).label("edition"),
        func.coalesce(found["quantity"], ACCURACY).label("quantity"),
        found["verdict"]["code"].astext.label("verdict"),
        *(found[name].label(label) for label, name in NUMBERS.items()),
        *(cast(found["controls"][path].astext, Double).label(label) for label, path in CONTROL_NUMBERS.items()),
        *(cast(found[part][path].astext, Double).label(label) for label, (part, *path) in PANEL_NUMBERS.items()),
    ]


def library_labels(libraries: Sequence[dict[str, Any]]) -> list[str]:
    """Labels of the libraries of a grid, distinct for distinct settings; the number of concepts is not part of a label.

    Parameters
    ----------
    libraries : dumped `LibraryChoice` objects
    """
    plain = [_plain_label(library) for library in libraries]
    settings_by_label: defaultdict[str, set[str]] = defaultdict(set)
    for label, library in zip(plain, libraries, strict=True):
        settings_by_label[label].add(repr(_without_count(library)))
    return [
        label if len(settings_by_label[label]) == 1 else _detailed_label(library) for label, library in zip(plain, libraries, strict=True)
    ]


def _study(session: Session, owner_id: str, study_id: str) -> Study:
    study = session.scalar(select(Study).where(Study.id == study_id, Study.owner_id == owner_id)) if "\0" not in study_id else None
    if study is None:
        raise NotFound(f"There is no study {study_id}.")
    return study


def _points(session: Session, study_id: str) -> dict[str, list[list[float]]]:
    """Nodes of the curves by job id."""
    node = func.jsonb_build_array(CurvePoint.sparsity, CurvePoint.kept, CurvePoint.accuracy, CurvePoint.arr)
    statement = (
        select(Curve.job_id, func.jsonb_agg(aggregate_order_by(node, CurvePoint.sparsity)))
        .join(CurvePoint, CurvePoint.curve_id == Curve.id)
        .where(Curve.name == "library", Curve.job_id.in_(select(StudyCell.job_id).where(StudyCell.study_id == study_id)))
        .group_by(Curve.job_id)
    )
    return {job_id: typing.cast("list[list[float]]", nodes) for job_id, nodes in session.execute(statement)}


def _representation(cell: StudyCell, model: Model | None, dataset_name: str, entries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if model is None:
        unknown = dict.fromkeys(("family", "given_accuracy", "epoch", "architecture", "network"))
        return {"model": cell.dataset_id, "label": dataset_name, **unknown, "untrained": False}
    entry = entries[model.id]
    return {
        "model": model.id,
        "label": entry["label"] or model.name,
        "family": entry["family"],
        "given_accuracy": entry["accuracy"],
        "epoch": entry["epoch"],
        "architecture": model.architecture,
        "network": _network(model),
        "untrained": model.initial_seed is not None,
    }


def _network(model: Model) -> str:
    """Architecture, arguments and layer: everything that determines a representation except weights and preprocessing.

    `num_classes` only changes the classifier, which matters only if a layer is named.
    """
    shown = [f"{name}={json.dumps(value)}" for name, value in sorted(model.arguments.items()) if name != "num_classes" or model.layer]
    arguments = f"({', '.join(shown)})" if shown else ""
    return f"{model.architecture}{arguments}{f' at {model.layer}' if model.layer else ''}"


def _plain_label(library: dict[str, Any]) -> str:
    parts = library.get("parts") or []
    return f"combined({'+'.join(part['kind'] for part in parts)})" if parts else library["kind"]


def _without_count(library: dict[str, Any]) -> dict[str, Any]:
    """Settings of a library without its number of concepts."""
    return {name: value for name, value in library.items() if name != "concept_count"}


def _detailed_label(library: dict[str, Any]) -> str:
    def settings(part: dict[str, Any], *excluded: str) -> str:
        return ", ".join(f"{name}={value}" for name, value in part.items() if name not in ("kind", "parts", *excluded))

    if library.get("parts"):
        return f"combined({'+'.join(part['kind'] + f'[{settings(part)}]' for part in library['parts'])})"
    details = settings(library, "concept_count")
    return f"{library['kind']}({details})" if details else library["kind"]
