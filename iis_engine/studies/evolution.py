"""Evolution of IIS and accuracy over the checkpoints of one training run (the paper's Figures 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iis_engine.studies.accuracy_relation import point
from iis_engine.studies.cells import Cell, Setting


def evolution(setting: Setting, cells: Sequence[Cell]) -> dict[str, Any]:
    """The run's points in order of training, by epoch, or by the checkpoint's position from 0 where epochs are not given."""
    given = all(cell.epoch is not None for cell in cells)
    placed = [(float(cell.epoch if given and cell.epoch is not None else cell.position), cell) for cell in cells]
    placed.sort(key=lambda pair: pair[0])
    points = [point(cell) | {"epoch": epoch, "near_chance": cell.near_chance, "chance": cell.chance} for epoch, cell in placed]
    read = [(epoch, cell) for epoch, cell in placed if cell.iis_read is not None]
    return {
        **setting.to_dict(),
        "epochs_given": given,
        "points": points,
        "near_chance": [epoch for epoch, cell in placed if cell.near_chance],
        "change": _change(read),
        "highest_iis_at": max(read, key=lambda pair: _iis(pair[1]))[0] if read else None,
        "highest_accuracy_at": max(placed, key=lambda pair: pair[1].accuracy.value)[0] if placed else None,
        "sentence": _sentence(placed, read, "epoch" if given else "checkpoint"),
    }


def _iis(cell: Cell) -> float:
    return float("-inf") if cell.iis_read is None else cell.iis_read.value


def _change(read: Sequence[tuple[float, Cell]]) -> dict[str, Any] | None:
    """IIS at the last checkpoint minus IIS at the first one that is better than chance."""
    if len(read) < 2 or (last := read[-1][1].iis_read) is None or (first := read[0][1].iis_read) is None:
        return None
    return {"from": read[0][0], "to": read[-1][0], "iis": (last - first).to_dict()}


def _sentence(placed: Sequence[tuple[float, Cell]], read: Sequence[tuple[float, Cell]], place: str) -> str:
    change = _change(read)
    left_out = len(placed) - len(read)
    near = "" if not left_out else f" {left_out} of {len(placed)} checkpoints are no better than chance and have no IIS."
    if change is None:
        return f"Fewer than two checkpoints are better than chance, so there is no change to report.{near}"
    iis = change["iis"]
    span = f"from {place} {change['from']:g} to {change['to']:g}"
    numbers = f"{iis['value']:+.3f} [{iis['low']:+.3f}, {iis['high']:+.3f}]"
    if iis["low"] <= 0 <= iis["high"]:
        return f"IIS does not change beyond its intervals {span}: {numbers}.{near}"
    return f"IIS {'rises' if iis['value'] > 0 else 'falls'} {span}: {numbers}.{near}"
