"""Studies and leaderboards as tables and sentences for a terminal. Where they are printed is decided in .commands."""

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

FAILURES_SHOWN = 5
LEFT_OUT_SHOWN = 5
SECONDS_AS_MINUTES = 120
MINUTES_AS_HOURS = 120
NAME_CELLS = 30  # as wide as an identifier


def study_table(studies: Sequence[Study]) -> Listing:
    """A list of studies."""
    names = ("study", "state", "name", "made", "jobs", "models", "data sets", "libraries")
    headings = [Heading(name, folds=name in ("name", "jobs")) for name in names]
    rows = list[tuple[str, ...]]()
    for each in studies:
        grid = each["grid"]
        sizes = [str(len(items)) for items in (grid["models"] or grid["datasets"], grid["datasets"], grid["libraries"])]
        rows.append((each["id"], each["state"], each["name"], minute(each["created_at"]), progress_words(each), *sizes))
    return Listing("Studies", headings, rows)


def progress_words(study: Study) -> str:
    """How far a study is: `5 of 16 succeeded, 2 running, 1 failed`."""
    jobs = study["jobs"]
    others = [f"{jobs[state]} {state}" for state in ("running", "canceling", "failed", "canceled") if jobs[state]]
    return ", ".join([f"{jobs['succeeded']} of {jobs['total']} succeeded", *others])


def cost_words(cost: Cost) -> Iterator[str]:
    """What a study would cost, by what this machine can tell."""
    yield f"Jobs: {cost.jobs:,}."
    yield f"Images and crops that networks have to see: {'not known here' if cost.images is None else f'{cost.images:,}'}."
    yield f"Bytes to send: {cost.sent_bytes:,}."
    yield f"Time: {_duration(cost.seconds)}. {cost.basis}"


def estimate_words(estimate: StudyEstimate) -> Iterator[str]:
    """What a study would cost, by what the service knows of its models and data sets."""
    yield f"Jobs: {estimate['jobs']:,}, of which {estimate['reused']:,} are there already."
    yield f"Images and crops that networks have to see: {estimate['images']:,}."
    yield f"Bytes to send: 0. Bytes of features to keep: {estimate['bytes']:,}."
    yield f"Time: {_duration(estimate['seconds'])}. {estimate['basis']}"


def failure_words(study: str, failed: Sequence[StudyCell]) -> Iterator[str]:
    """Which jobs have no result, the first few with their reasons."""
    yield f"{len(failed)} of the study's jobs have no result; try them again with: iis study extend {study}"
    for cell in failed[:FAILURES_SHOWN]:
        reason = cell["error"]["message"] if cell["error"] is not None else f"The job was {cell['state']}."
        yield f"  {cell['label']}, {cell['dataset_name']}, {cell['library']} {cell['concept_count']}, seed {cell['seed']}: {reason}"
    if len(failed) > FAILURES_SHOWN:
        yield f"  and {len(failed) - FAILURES_SHOWN} more"


def findings(analysis: StudyAnalysis) -> Iterator[RenderableType]:
    """What a study found: correlations, the run over its epochs, and one sentence for whatever else it compares."""
    if analysis["evolution"]:
        yield from _evolution(analysis["evolution"])
    if analysis["relation"]:
        yield _relation(analysis["relation"])
        for one in analysis["relation"]:
            for against in ("accuracy", "given_accuracy"):
                if one[against] is not None:
                    yield f"{setting_words(one)}: {one[against]['sentence']}"
            for words in _left_out_words(one["left_out"]):
                yield f"{setting_words(one)}: {words}"
    for one in analysis["evolution"]:
        yield f"{setting_words(one)}: {one['sentence']}"
    for name, what in (("untrained", "trained against untrained"), ("transfer", "own library against that of other images")):
        for one in analysis[name]:
            yield f"{setting_words(one)}, {what}: {one['sentence']}"
    for one in analysis["agreement"]:
        for pair in one["pairs"]:
            found = pair["spearman"]
            how = (
                f"order {pair['n']} models alike with rho {_estimate(found)}."
                if found["value"] is not None
                else f"order: {found['reason']}"
            )
            yield f"{setting_words(one)}: {pair['a']} and {pair['b']} {how}"
    for warning in analysis["warnings"]:
        yield Text(f"Warning: {warning}", style="yellow")


def leaderboard_table(board: Leaderboard) -> Iterator[RenderableType]:
    """A leaderboard with ties shown as ties, and how to see the others."""
    if board["board"] is None:
        yield "Nothing of yours was scored so; see what was with: iis jobs --state succeeded"
        return
    titles = _board_titles([board["board"], *board["boards"]])
    # Two lines a model and a rank without words, so that 80 columns cut neither a number nor an identifier.
    headings = (Heading("rank"), Heading("model and its best job"), Heading("IIS, 95 %"), Heading("accuracy"), Heading("gain"))
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
        yield f"{len(others)} other board{'s' if len(others) > 1 else ''}:"
        for other in others:
            models = f"{other['models']} model{'' if other['models'] == 1 else 's'}"
            yield f"  {titles[other['board']]} ({models}): --board {other['board']}"


def setting_words(setting: Mapping[str, Any]) -> str:
    """What one section of an analysis is about."""
    words = [str(setting["dataset_name"])]
    if setting.get("library"):
        words.append(str(setting["library"]))
    if setting.get("concept_count"):
        words.append(f"M = {setting['concept_count']}")
    if setting.get("library_dataset_name"):
        words.append(f"cut from {setting['library_dataset_name']}")
    return ", ".join(words)


def _relation(relations: Sequence[dict[str, Any]]) -> Table:
    headers = ("data set, library", "models", "Spearman's rho, IIS and accuracy", "Kendall's tau", "rho of the random control")
    table = Table(*headers, title="IIS against accuracy")
    for one in relations:
        found = one["accuracy"]
        control = _estimate(found["random_control"])
        table.add_row(Text(setting_words(one)), str(one["n"]), _estimate(found["spearman"]), _estimate(found["kendall"]), control)
    return table


def _left_out_words(left_out: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Which models a correlation is not over, the first few each with its reason."""
    for each in left_out[:LEFT_OUT_SHOWN]:
        yield f"{each['label']} is left out: {each['reason'][0].lower()}{each['reason'][1:]}"
    if len(left_out) > LEFT_OUT_SHOWN:
        yield f"{len(left_out) - LEFT_OUT_SHOWN} more are left out."


def _evolution(runs: Sequence[dict[str, Any]]) -> Iterator[Table]:
    """One table a data set: a checkpoint a row by its epoch or place, the IIS through each library beside the accuracy."""
    for dataset in dict.fromkeys(str(run["dataset_name"]) for run in runs):
        own = [run for run in runs if run["dataset_name"] == dataset]
        without = [setting_words({**run, "dataset_name": ""}).removeprefix(", ") for run in own]
        place = "epoch" if own[0]["epochs_given"] else "place"
        columns = (place, "checkpoint", "accuracy", *(Column(Text(f"IIS, {name}")) for name in without))
        table = Table(*columns, title=Text(f"Evolution on {dataset}"))
        by_epoch = [{point["epoch"]: point for point in run["points"]} for run in own]
        for epoch in dict.fromkeys(epoch for points in by_epoch for epoch in points):
            there = [points.get(epoch) for points in by_epoch]
            first = next(point for point in there if point is not None)
            cells = ["" if point is None else _point_iis(point) for point in there]
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
    """What each board is called; those of data sets of one name are told apart by the data sets' ids."""
    titles = {board["board"]: _board_words(board, board["dataset_name"]) for board in boards}
    times = Counter(titles.values())
    return titles | {
        board["board"]: _board_words(board, f"{board['dataset_name']} ({board['dataset']})")
        for board in boards
        if times[titles[board["board"]]] > 1
    }


def _board_words(board: Board, dataset: str) -> str:
    words = f"{dataset}, {board['library']}, M = {board['concept_count']}, {board['protocol']}"
    return words if board["details"] is None else f"{words}, {board['details']}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "not known yet"
    if seconds < SECONDS_AS_MINUTES:
        return f"{seconds:.0f} seconds"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < MINUTES_AS_HOURS else f"{minutes / 60:.1f} hours"
