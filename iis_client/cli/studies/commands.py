"""The `iis study` commands. Study files are read in .file, inputs registered in .inputs, requests built in .request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from iis_client.cli.options import JsonOption
from iis_client.cli.output.studies import analysis_view, cost_lines, estimate_lines, failure_lines, progress_summary, study_table
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.studies.cost import Rate, local_cost, measured_rate
from iis_client.cli.studies.counting import bytes_of
from iis_client.cli.studies.file import StudyFile, read_study, require_files
from iis_client.cli.studies.grid import require_addable, require_whole
from iis_client.cli.studies.inputs import Registered, Row, known_phrases, provide, provide_phrases, require_one_scored
from iis_client.cli.studies.request import request_of, study_of
from iis_client.cli.studies.sources import DatasetSource
from iis_client.cli.vocabulary_options import require_vocabulary
from iis_client.client import IISClient
from iis_client.errors import ConfigurationError, ConflictError, InvalidInputError, ServiceUnreachableError
from iis_client.types.scores import Dataset
from iis_client.types.studies import FIGURES, Study, StudyAnalysis

SECTIONS = {"iis_accuracy": "relation"}  # section of a figure's data where its name differs from the figure's

app = typer.Typer(
    name="study", help="Run, list, show, extend and cancel studies: grids of scores with statistics and figures.", no_args_is_help=True
)

FileArgument = Annotated[Path, typer.Argument(help="Study file (YAML).", dir_okay=False)]
StudyArgument = Annotated[str, typer.Argument(help="A study (std_…).")]
OutOption = Annotated[
    Path | None, typer.Option(help="Folder for table, statistics and figures; created if it does not exist.", file_okay=False)
]


@app.command()
def run(
    file: FileArgument,
    out: OutOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the estimated cost only; upload and submit nothing.")] = False,
) -> None:
    """Upload what is missing, submit the study, wait for it and show its results. A repeated run resumes the study."""
    terminal = Terminal()
    study = read_study(file)
    require_whole(study)
    require_files(study)
    if dry_run:
        terminal.show(*_costs(study))
        return
    with IISClient() as client:
        request = _provide(client, terminal, study, [])
        found = study_of(request, client.studies())
        if found is None:
            found = client.create_study(**request)
            terminal.note(f"Study {found['id']} has {found['jobs']['total']} jobs; its page is {client.base_url}{found['links']['page']}")
        else:
            terminal.note(f"Study {found['id']} exists already: {progress_summary(found)}. Resuming it.")
            found = client.extend_study(found["id"])  # failed jobs run again
        _finish(client, terminal, found, out or Path(file.stem))


@app.command("list")
def list_studies(
    limit: Annotated[int, typer.Option(help="Maximum number of studies.", min=1)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List your studies, newest first."""
    with IISClient() as client:
        found = list(islice(client.studies(), limit))
    if as_json:
        Terminal().json(found)
        return
    Terminal().show(study_table(found))


@app.command()
def show(
    study: StudyArgument,
    out: OutOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait until the study has finished.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the results of a study so far."""
    terminal = Terminal(quiet=as_json)
    with IISClient() as client:
        found = client.study(study)
        if watch:
            found = terminal.watch_study(client.follow_study(study))
        if as_json:
            terminal.json(found)
            if out is not None:
                _save(client, terminal, found, client.study_analysis(study), out)
            return
        terminal.show(f"Study {found['id']}, {found['name']}: {progress_summary(found)}.")
        _report(client, terminal, found, out)


@app.command()
def extend(
    study: StudyArgument,
    file: Annotated[Path | None, typer.Argument(help="Study file with the additions; default: only run failed jobs again.")] = None,
    out: OutOption = None,
) -> None:
    """Add models, data sets, libraries or seeds to a study and wait for it; existing jobs are kept."""
    terminal = Terminal()
    added = read_study(file) if file is not None else None
    if added is not None:
        require_addable(added)
        require_files(added)
    with IISClient() as client:
        said: dict[str, Any] = {}
        if added is not None:
            request = _provide(client, terminal, added, client.study(study)["grid"]["datasets"])
            said = {name: value for name, value in request.items() if name in added.said}
        found = client.extend_study(study, said)
        _finish(client, terminal, found, out)


@app.command()
def cancel(study: StudyArgument) -> None:
    """Cancel the unfinished jobs of a study; `iis study extend` runs them again."""
    with IISClient() as client:
        found = client.cancel_study(study)
    Terminal().show(f"Study {found['id']} is {found['state']}: {progress_summary(found)}.")


def _provide(client: IISClient, terminal: Terminal, study: StudyFile, scored: Sequence[str]) -> dict[str, Any]:
    """Register the inputs of a study file; return the request. `scored` are the data sets of an extended study."""
    if study.vocabulary is not None:
        require_vocabulary(client, study.vocabulary)
    registered = Registered(client)
    require_one_scored(study, scored, registered)
    rows = provide(client, terminal, study.sources, registered)
    datasets = [*scored, *(rows[source.at]["id"] for source in study.datasets)]
    return request_of(study, rows, provide_phrases(client, terminal, study, datasets[0] if datasets else ""))


def _costs(study: StudyFile) -> list[str]:
    """Cost by the service where it has all inputs; else counted on this machine."""
    rows: dict[str, Row] = {}
    try:
        client = IISClient()
    except ConfigurationError as error:
        return _local_costs(study, rows, None, f"No service found to measure a rate. {error}")
    with client:
        try:
            registered = Registered(client)
            for source in study.sources:
                if (row := registered.find(source)) is not None:
                    rows[source.at] = row
            phrases = known_phrases(client, study, rows)
            ready = all(source.at in rows and rows[source.at]["state"] == "ready" for source in study.sources)
            if ready and (study.vocabulary is None or phrases is not None):
                return list(estimate_lines(client.estimate_study(request_of(study, rows, phrases))))
            rate = measured_rate(client)
        except ServiceUnreachableError as error:
            return _local_costs(study, rows, None, f"No rate: {error}")
    return _local_costs(study, rows, rate, "No finished job yet; run one to measure a rate.")


def _local_costs(study: StudyFile, rows: dict[str, Row], rate: Rate | None, silence: str) -> list[str]:
    places = {source.at for source in study.sources if isinstance(source, DatasetSource)}
    known = {at: cast("Dataset", row) for at, row in rows.items() if at in places}
    return list(cost_lines(local_cost(study, known, _bytes_to_send(study, rows), rate, silence)))


def _bytes_to_send(study: StudyFile, rows: dict[str, Row]) -> int:
    files: dict[Path, int] = {}
    for source in study.sources:
        if source.at not in rows:
            paths = (source.path,) if isinstance(source, DatasetSource) else source.files
            files |= {path: bytes_of(path) for path in paths if path is not None}
    return sum(files.values())


def _finish(client: IISClient, terminal: Terminal, study: Study, out: Path | None) -> None:
    """Wait until a study has finished; show and save its results."""
    try:
        found = terminal.watch_study(client.follow_study(study["id"]))
    except KeyboardInterrupt:
        terminal.note(f"Study {study['id']} continues at the service; watch it with: iis study show {study['id']} --watch")
        raise typer.Exit(130) from None
    terminal.note(f"Study {found['id']}: {progress_summary(found)}.")
    _report(client, terminal, found, out)


def _report(client: IISClient, terminal: Terminal, study: Study, out: Path | None) -> None:
    """Show and save the results of a study; exit with code 1 if jobs failed."""
    if study["jobs"]["succeeded"]:
        analysis = client.study_analysis(study["id"])
        terminal.show(*analysis_view(analysis))
        if out is not None:
            _save(client, terminal, study, analysis, out)
    if study["jobs"]["failed"] or study["jobs"]["canceled"]:
        failed = [cell for cell in client.study_cells(study["id"]) if cell["state"] in ("failed", "canceled")]
        terminal.show(*failure_lines(study["id"], failed))
        raise typer.Exit(1)


def _save(client: IISClient, terminal: Terminal, study: Study, analysis: StudyAnalysis, out: Path) -> None:
    """Save table, statistics, and the figures for which the study has data."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.csv").write_bytes(client.study_table(study["id"], "csv"))
    (out / "table.parquet").write_bytes(client.study_table(study["id"], "parquet"))
    (out / "analysis.json").write_text(json.dumps(analysis, indent=2) + "\n", encoding="utf-8")
    saved = ["table.csv", "table.parquet", "analysis.json"]
    with terminal.spinner("A worker draws the figures"):
        for figure in FIGURES:
            if analysis[SECTIONS.get(figure, figure)]:
                saved += _draw(client, terminal, study["id"], figure, out)
    terminal.note(f"Saved in {out}: {', '.join(saved)}.")


def _draw(client: IISClient, terminal: Terminal, study: str, figure: Any, out: Path) -> Sequence[str]:
    try:
        for image_format in ("png", "svg"):
            (out / f"{figure}.{image_format}").write_bytes(client.study_figure(study, figure, image_format))
    except (InvalidInputError, ConflictError) as error:  # a section without any number has no figure
        terminal.note(f"Figure {figure} is not available: {error}")
        return ()
    return f"{figure}.png", f"{figure}.svg"
