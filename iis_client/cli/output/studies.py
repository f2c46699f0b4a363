"""Tables and sentences of studies and leaderboards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from iis_client.cli.output.listing import Heading, Listing, minute
from iis_client.cli.studies.cost import Cost
from iis_client.types.scores import shown
from iis_client.types.studies import Board, Leaderboard, Study, StudyAnalysis, StudyCell, StudyEstimate

MAX_FAILURES_LISTED = 5
MAX_EXCLUDED_LISTED = 5
SHOW_MINUTES_FROM_SECONDS = 120
SHOW_HOURS_FROM_MINUTES = 120
NAME_CELLS = 30  # the width of an identifier


def study_table(studies: Sequence[Study]) -> Listing:
    """One row per study."""
    names = ("study", "state", "name", "created", "jobs", "models", "data sets", "libraries")
    headings = [Heading(name, wraps=name in ("name", "jobs")) for name in names]
    rows = list[tuple[str, ...]]()
    for each in studies:
        grid = each["grid"]
        sizes = [str(len(items)) for items in (grid["models"] or grid["datasets"], grid["datasets"], grid["libraries"])]
        rows.append((each["id"], each["state"], each["name"], minute(each["created_at"]), progress_summary(each), *sizes))
    return Listing("Studies", headings, rows)


def progress_summary(study: Study) -> str:
    """Job counts of a study: `5 of 16 succeeded, 2 running, 1 failed`."""
    jobs = study["jobs"]
    others = [f"{jobs[state]} {state}" for state in ("running", "canceling", "failed", "canceled") if jobs[state]]
    return ", ".join([f"{jobs['succeeded']} of {jobs['total']} succeeded", *others])


def cost_lines(cost: Cost) -> Iterator[str]:
    """Cost of a study, counted on this machine."""
    yield f"Jobs: {cost.jobs:,}."
    yield f"Images and crops to process: {'unknown' if cost.images is None else f'{cost.images:,}'}."
    yield f"Bytes to upload: {cost.sent_bytes:,}."
    yield f"Time: {_duration(cost.seconds)}. {cost.basis}"


def estimate_lines(estimate: StudyEstimate) -> Iterator[str]:
    """Cost of a study, estimated by the service."""
    yield f"Jobs: {estimate['jobs']:,}, of which {estimate['reused']:,} exist already."
    yield f"Images and crops to process: {estimate['images']:,}."
    yield f"Bytes to upload: 0. Bytes of features to store: {estimate['bytes']:,}."
    yield f"Time: {_duration(estimate['seconds'])}. {estimate['basis']}"


def failure_lines(study: str, failed: Sequence[StudyCell]) -> Iterator[str]:
    """The jobs without a result, the first few with their errors."""
    yield f"{len(failed)} jobs of the study have no result; run them again with: iis study extend {study}"
    for cell in failed[:MAX_FAILURES_LISTED]:
        reason = cell["error"]["message"] if cell["error"] is not None else f"The job was {cell['state']}."
        yield f"  {cell['label']}, {cell['dataset_name']}, {cell['library']} {cell['concept_count']}, seed {cell['seed']}: {reason}"
    if len(failed) > MAX_FAILURES_LISTED:
        yield f"  and {len(failed) - MAX_FAILURES_LISTED} more"


def analysis_view(analysis: StudyAnalysis) -> Iterator[RenderableType]:
    """Statistics of a study: evolution and correlation tables, then one sentence per comparison."""
    if analysis["evolution"]:
        yield from _evolution(analysis["evolution"])
    if analysis["relation"]:
        yield _relation(analysis["relation"])
        for one in analysis["relation"]:
            for against in ("accuracy", "given_accuracy"):
                if one[against] is not None:
                    yield f"{setting_label(one)}: {one[against]['sentence']}"
            for line in _excluded_lines(one["left_out"]):
                yield f"{setting_label(one)}: {line}"
    for one in analysis["evolution"]:
        yield f"{setting_label(one)}: {one['sentence']}"
    for name, what in (("untrained", "trained against untrained"), ("transfer", "library of the same data set against library of another")):
        for one in analysis[name]:
            yield f"{setting_label(one)}, {what}: {one['sentence']}"
    for one in analysis["agreement"]:
        for pair in one["pairs"]:
            found = pair["spearman"]
            agreement = (
                f"agree on the order of {pair['n']} models with rho {_estimate(found)}."
                if found["value"] is not None
                else f"cannot be compared: {found['reason']}"
            )
            yield f"{setting_label(one)}: {pair['a']} and {pair['b']} {agreement}"
    for warning in analysis["warnings"]:
        yield Text(f"Warning: {warning}", style="yellow")


def leaderboard_table(board: Leaderboard) -> Iterator[RenderableType]:
    """Table of a leaderboard with ties marked, then a list of the other leaderboards."""
    if board["board"] is None:
        yield "No score matches; list your scores with: iis jobs --state succeeded"
        return
    titles = _board_titles([board["board"], *board["boards"]])
    # Two lines per model, so that 80 columns cut neither a number nor an identifier.
    headings = (Heading("rank"), Heading("model and best job"), Heading("IIS, 95 % CI"), Heading("accuracy"), Heading("gain"))
    rows = list[tuple[str, ...]]()
    for entry in board["data"]:
        rank = "–" if entry["rank"] is None else f"{entry['rank']}{' =' if entry['tied'] else ''}"
        iis = [shown(entry["iis"]), _interval(entry["iis_low"], entry["iis_high"]), "near chance" if entry["rank"] is None else ""]
        gain = shown(entry["concept_gain"], "+.3f")
        name = fill(entry["name"], NAME_CELLS)
        rows.append((rank, f"{name}\n{entry['job']}", "\n".join(filter(None, iis)), f"{entry['accuracy']:.3f}", gain))
    yield Listing(titles[board["board"]["board"]], headings, rows)
    yield from board["notes"]
    others = [other for other in board["boards"] if other != board["board"]]
    if others:
        yield f"{len(others)} other leaderboard{'s' if len(others) > 1 else ''}:"
        for other in others:
            models = f"{other['models']} model{'' if other['models'] == 1 else 's'}"
            yield f"  {titles[other['board']]} ({models}): --board {other['board']}"


def setting_label(setting: Mapping[str, Any]) -> str:
    """Data set, library and M of one section of an analysis."""
    words = [str(setting["dataset_name"])]
    if setting.get("library"):
        words.append(str(setting["library"]))
    if setting.get("concept_count"):
        words.append(f"M = {setting['concept_count']}")
    if setting.get("library_dataset_name"):
        words.append(f"library from {setting['library_dataset_name']}")
    return ", ".join(words)


def _relation(relations: Sequence[dict[str, Any]]) -> Table:
    headers = ("data set, library", "models", "Spearman's rho, IIS and accuracy", "Kendall's tau", "rho, random control")
    table = Table(*headers, title="IIS against accuracy")
    for one in relations:
        found = one["accuracy"]
        control = _estimate(found["random_control"])
        table.add_row(Text(setting_label(one)), str(one["n"]), _estimate(found["spearman"]), _estimate(found["kendall"]), control)
    return table


def _excluded_lines(excluded: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The models excluded from a correlation, the first few with the reason."""
    for each in excluded[:MAX_EXCLUDED_LISTED]:
        yield f"{each['label']} is excluded: {each['reason'][0].lower()}{each['reason'][1:]}"
    if len(excluded) > MAX_EXCLUDED_LISTED:
        yield f"{len(excluded) - MAX_EXCLUDED_LISTED} more are excluded."


def _evolution(runs: Sequence[dict[str, Any]]) -> Iterator[Table]:
    """One table per data set, one row per checkpoint: epoch or position, accuracy, IIS by library."""
    for dataset in dict.fromkeys(str(run["dataset_name"]) for run in runs):
        dataset_runs = [run for run in runs if run["dataset_name"] == dataset]
        libraries = [setting_label({**run, "dataset_name": ""}).removeprefix(", ") for run in dataset_runs]
        order = "epoch" if dataset_runs[0]["epochs_given"] else "position"
        columns = (order, "checkpoint", "accuracy", *(Column(Text(f"IIS, {library}")) for library in libraries))
        table = Table(*columns, title=Text(f"Evolution on {dataset}"))
        by_epoch = [{point["epoch"]: point for point in run["points"]} for run in dataset_runs]
        for epoch in dict.fromkeys(epoch for points in by_epoch for epoch in points):
            at_epoch = [points.get(epoch) for points in by_epoch]
            first = next(point for point in at_epoch if point is not None)
            cells = ["" if point is None else _point_iis(point) for point in at_epoch]
            table.add_row(f"{epoch:g}", Text(first["label"]), f"{first['accuracy']['value']:.3f}", *cells)
        yield table


def _point_iis(point: Mapping[str, Any]) -> str:
    if point["near_chance"]:
        return "near chance"
    iis = point["iis"]
    return "" if iis is None else f"{iis['value']:.3f} ± {(iis['high'] - iis['low']) / 2:.3f}"


def _estimate(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "undefined"
    interval = _interval(estimate["low"], estimate["high"], ".2f")
    return f"{estimate['value']:.2f}" + (f" ({interval})" if interval else "")


def _interval(low: float | None, high: float | None, form: str = ".3f") -> str:
    return "" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def _board_titles(boards: Sequence[Board]) -> dict[str, str]:
    """Title by board; where names of data sets are equal, the title contains the id."""
    titles = {board["board"]: _board_title(board, board["dataset_name"]) for board in boards}
    counts = Counter(titles.values())
    return titles | {
        board["board"]: _board_title(board, f"{board['dataset_name']} ({board['dataset']})")
        for board in boards
        if counts[titles[board["board"]]] > 1
    }


def _board_title(board: Board, dataset: str) -> str:
    title = f"{dataset}, {board['library']}, M = {board['concept_count']}, {board['protocol']}"
    return title if board["details"] is None else f"{title}, {board['details']}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < SHOW_MINUTES_FROM_SECONDS:
        return f"{seconds:.0f} seconds"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < SHOW_HOURS_FROM_MINUTES else f"{minutes / 60:.1f} hours"
