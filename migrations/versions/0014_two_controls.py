"""Reports have an edition and two controls, the random control is the isotropic one, and results keep metrics of concepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ROWS_AT_ONCE = 200
NEW_NAMES = {  # of the isotropic control -> of the report before
    "iis": "iis_random_mean",
    "gain": "concept_gain",
    "gain_low": "concept_gain_low",
    "gain_high": "concept_gain_high",
    "iis_log": "iis_log_random",
    "points": "random_points",
}
GONE = "iis_random_sd"
Change = Callable[[dict[str, Any]], dict[str, Any]]


def upgrade() -> None:
    op.add_column("results", sa.Column("concept_metrics", JSONB(), nullable=True))
    op.execute("UPDATE curves SET name = 'isotropic' WHERE name = 'random_control'")
    _rewrite("results", "report", _with_controls)
    _rewrite("finetune_results", "findings", lambda findings: _each_report(findings, _with_controls))


def downgrade() -> None:
    op.drop_column("results", "concept_metrics")
    op.execute("DELETE FROM curve_points USING curves WHERE curve_points.curve_id = curves.id AND curves.name = 'matched'")
    op.execute("DELETE FROM curves WHERE name = 'matched'")
    op.execute("UPDATE curves SET name = 'random_control' WHERE name = 'isotropic'")
    _rewrite("results", "report", _without_controls)
    _rewrite("finetune_results", "findings", lambda findings: _each_report(findings, _without_controls))


def _with_controls(report: dict[str, Any]) -> dict[str, Any]:
    if "controls" in report:
        return report
    isotropic = {new: report[old] for new, old in NEW_NAMES.items() if old in report}
    kept = {name: value for name, value in report.items() if name not in (*NEW_NAMES.values(), GONE)}
    return kept | {"edition": 1, "controls": {"isotropic": isotropic}}


def _without_controls(report: dict[str, Any]) -> dict[str, Any]:
    isotropic = report.get("controls", {}).get("isotropic") or {}
    kept = {name: value for name, value in report.items() if name not in ("controls", "edition")}
    return kept | {old: isotropic[new] for new, old in NEW_NAMES.items() if new in isotropic}


def _each_report(findings: dict[str, Any], change: Change) -> dict[str, Any]:
    """The findings of a fine-tuning job with each report in them changed."""
    runs = {arm: [run | {"report": change(run["report"])} for run in findings[arm]] for arm in ("treatment", "control") if arm in findings}
    return findings | runs | ({"probe": change(findings["probe"])} if "probe" in findings else {})


def _rewrite(table: str, column: str, change: Change) -> None:
    """Replace a JSON column row by row, in batches, so that memory stays bounded."""
    rows = sa.table(table, sa.column("job_id", sa.String), sa.column(column, JSONB))
    bind, last = op.get_bind(), ""
    while found := bind.execute(
        sa.select(rows.c.job_id, rows.c[column]).where(rows.c.job_id > last).order_by(rows.c.job_id).limit(ROWS_AT_ONCE)
    ).all():
        for job_id, content in found:
            bind.execute(sa.update(rows).where(rows.c.job_id == job_id).values({column: change(content)}))
        last = found[-1][0]
