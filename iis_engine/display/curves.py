"""Draw the accuracy retention curve of a report and of its controls as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from iis_engine.display.markup import element, text

WIDTH, HEIGHT = 420, 210
LEFT, RIGHT, TOP, BOTTOM = 38, 8, 8, 30
COLOURS = {"library": "#1f5fa8", "matched": "#c08a1e", "isotropic": "#7a7a7a"}
DASHES = {"library": "none", "matched": "6 3", "isotropic": "2 3"}


def retention_svg(report: Mapping[str, Any]) -> str:
    """ARR over sparsity of the library with its 95 % band, and of the controls."""
    controls = report.get("controls") or {}
    curves: dict[str, list[dict[str, Any]]] = {}
    for name in ("isotropic", "matched"):
        if control := controls.get(name):
            curves[name] = control.get("points") or []
    curves["library"] = report["points"]
    top = max([1.05, *(point["arr"] for points in curves.values() for point in points)])
    place = _Scale(top)
    parts = [_grid(place, top)]
    for name, points in curves.items():
        ordered = sorted(points, key=lambda point: point["sparsity"])
        if name == "library":
            parts.append(_band(place, ordered))
        parts.append(_line(place, [(point["sparsity"], point["arr"]) for point in ordered], COLOURS[name], DASHES[name]))
    parts.append(_legend([name for name in ("library", "matched", "isotropic") if name in curves], str(report["library"]["kind"])))
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",  # for files; HTML does without
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        width=str(WIDTH),
        height=str(HEIGHT),
        role="img",
        aria_label="Accuracy retention rate over sparsity",
        style="font: 10px system-ui, sans-serif; max-width: 100%",
    )


class _Scale:
    """Pixels of a sparsity and of a retention rate."""

    def __init__(self, top: float) -> None:
        self._top = top

    def point(self, sparsity: float, arr: float) -> str:
        x = LEFT + sparsity * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - min(max(arr, 0.0), self._top) / self._top * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f},{y:.1f}"


def _line(place: _Scale, points: Sequence[tuple[float, float]], colour: str, dash: str) -> str:
    along = " ".join(place.point(*point) for point in points)
    return element("polyline", points=along, fill="none", stroke=colour, stroke_width="1.6", stroke_dasharray=dash)


def _band(place: _Scale, points: Sequence[Mapping[str, Any]]) -> str:
    upper = [place.point(point["sparsity"], point["arr_high"]) for point in points]
    lower = [place.point(point["sparsity"], point["arr_low"]) for point in reversed(points)]
    return element("polygon", points=" ".join([*upper, *lower]), fill=COLOURS["library"], fill_opacity=".18")


def _grid(place: _Scale, top: float) -> str:
    parts: list[str] = []
    for arr in (value for value in (0.0, 0.25, 0.5, 0.75, 1.0) if value <= top):
        parts.append(_line(place, [(0, arr), (1, arr)], "#d8d8d8", "none"))
        x, y = place.point(0, arr).split(",")
        parts.append(_label(float(x) - 4, float(y) + 3, f"{arr:g}", "end"))
    for sparsity in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = place.point(sparsity, 0).split(",")
        parts.append(_label(float(x), float(y) + 12, f"{sparsity:g}", "middle"))
    parts.append(_label(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 4, "sparsity s (share of concepts zeroed)", "middle"))
    parts.append(_label(LEFT, TOP + 1, "ARR", "end"))
    return "".join(parts)


def _legend(names: Sequence[str], kind: str) -> str:
    parts: list[str] = []
    labels = {"library": kind, "matched": "matched directions", "isotropic": "any directions"}
    for row, name in enumerate(names):
        y = HEIGHT - BOTTOM - 44 + 14 * row
        ends = f"{LEFT + 8},{y} {LEFT + 30},{y}"
        parts.append(element("polyline", points=ends, stroke=COLOURS[name], stroke_width="1.6", stroke_dasharray=DASHES[name]))
        parts.append(_label(LEFT + 35, y + 3, labels[name], "start"))
    return "".join(parts)


def _label(x: float, y: float, value: str, anchor: str) -> str:
    return element("text", text(value), x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, fill="#444")
