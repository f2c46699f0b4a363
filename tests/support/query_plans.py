"""Plans of the statements that PostgreSQL runs for a call, with the rows that it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

Plan = dict[str, Any]


def plans_of(session: Session, call: Callable[[], object]) -> list[Plan]:
    """Plans of the statements of a call, as they were run."""
    sent: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    connection: Connection = session.connection()
    event.listen(connection, "before_cursor_execute", keep)
    call()
    event.remove(connection, "before_cursor_execute", keep)
    documents = [
        connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalars().one()
        for statement, parameters in sent
    ]
    return [document[0]["Plan"] for document in documents]


def walk(plan: Plan) -> Iterator[Plan]:
    """Every node of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from walk(child)


def scans(plan: Plan, table: str) -> list[Plan]:
    """Nodes that read a table."""
    return [node for node in walk(plan) if node.get("Relation Name") == table]


def rows_read(plan: Plan, table: str) -> int:
    """Rows of a table that a plan reads, those that it filters out included."""
    return round(sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans(plan, table)))


def rows_sorted(plan: Plan) -> int:
    """The most rows that one node sorts."""
    sorts = (node["Plans"][0] for node in walk(plan) if node["Node Type"] in ("Sort", "Incremental Sort"))
    return round(max((node["Actual Rows"] * node["Actual Loops"] for node in sorts), default=0))


def indexes(plan: Plan) -> set[str]:
    """Names of the indexes that a plan uses."""
    return {node["Index Name"] for node in walk(plan) if "Index Name" in node}
