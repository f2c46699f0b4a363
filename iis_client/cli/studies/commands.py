"""The `iis study` commands. What a file says is in .file, what is sent in .inputs and .request, how things look in .tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from iis_client.cli.options import JsonOption
from iis_client.cli.output.studies import cost_words, estimate_words, failure_words, findings, progress_words, study_table
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

SECTIONS = {"iis_accuracy": "relation"}  # of the other figures the section has the figure's name

app = typer.Typer(name="study", help="Grids of scores, and what follows from them.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help="A study's YAML file.", dir_okay=False)]
StudyArgument = Annotated[str, typer.Argument(help="A study (std_…).")]
OutOption = Annotated[
    Path | None, typer.Option(help="The folder for table, statistics and figures; made where it is not there.", file_okay=False)
]


@app.command()
def run(
    file: FileArgument,
    out: OutOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; send and submit nothing.")] = False,
) -> None:
    """Send what is not there yet, submit the study, stay while it runs, and show what it found. Run again, it goes on."""
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
            terminal.note(
                f"Study {found['id']} has {found['jobs']['total']} jobs; the page {client.base_url}{found['links']['page']} shows it."
            )
        else:
            terminal.note(f"Study {found['id']} is there already: {progress_words(found)}. It goes on.")
            found = client.extend_study(found["id"])  # jobs that failed get another try
        _finish(client, terminal, found, out or Path(file.stem))


@app.command("list")
def list_studies(
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
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
    watch: Annotated[bool, typer.Option("--watch", help="Wait for the study when it is not finished.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a study has found so far."""
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
        terminal.show(f"Study {found['id']}, {found['name']}: {progress_words(found)}.")
        _report(client, terminal, found, out)


@app.command()
def extend(
    study: StudyArgument,
    file: Annotated[
        Path | None, typer.Argument(help="A file with what is to be added; without one the failed jobs get another try.")
    ] = None,
    out: OutOption = None,
) -> None:
    """Add what a file says to a study, and stay while it runs; what is there is not computed again."""
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
    """Cancel the jobs of a study that have not finished; `iis study extend` tries them again."""
    with IISClient() as client:
        found = client.cancel_study(study)
    Terminal().show(f"Study {found['id']} is {found['state']}: {progress_words(found)}.")


def _provide(client: IISClient, terminal: Terminal, study: StudyFile, scored: Sequence[str]) -> dict[str, Any]:
    """What to ask for, with all that it names at the service; `scored` are the data sets that an extended study has already."""
    if study.vocabulary is not None:
        require_vocabulary(client, study.vocabulary)
    registered = Registered(client)
    require_one_scored(study, scored, registered)
    rows = provide(client, terminal, study.sources, registered)
    datasets = [*scored, *(rows[source.at]["id"] for source in study.datasets)]
    return request_of(study, rows, provide_phrases(client, terminal, study, datasets[0] if datasets else ""))


def _costs(study: StudyFile) -> list[str]:
    """By the service where it has everything that the file names; else by what can be counted here."""
    rows: dict[str, Row] = {}
    try:
        client = IISClient()
    except ConfigurationError as error:
        return _local_costs(study, rows, None, f"There is no service to ask for its rate. {error}")
    with client:
        try:
            registered = Registered(client)
            for source in study.sources:
                if (row := registered.find(source)) is not None:
                    rows[source.at] = row
            phrases = known_phrases(client, study, rows)
            ready = all(source.at in rows and rows[source.at]["state"] == "ready" for source in study.sources)
            if ready and (study.vocabulary is None or phrases is not None):
                return list(estimate_words(client.estimate_study(request_of(study, rows, phrases))))
            rate = measured_rate(client)
        except ServiceUnreachableError as error:
            return _local_costs(study, rows, None, f"Nobody tells a rate: {error}")
    return _local_costs(study, rows, rate, "No job of yours has measured anything yet; run one, and its rate tells how long others take.")


def _local_costs(study: StudyFile, rows: dict[str, Row], rate: Rate | None, silence: str) -> list[str]:
    places = {source.at for source in study.sources if isinstance(source, DatasetSource)}
    known = {at: cast("Dataset", row) for at, row in rows.items() if at in places}
    return list(cost_words(local_cost(study, known, _bytes_to_send(study, rows), rate, silence)))


def _bytes_to_send(study: StudyFile, rows: dict[str, Row]) -> int:
    files: dict[Path, int] = {}
    for source in study.sources:
        if source.at not in rows:
            paths = (source.path,) if isinstance(source, DatasetSource) else source.files
            files |= {path: bytes_of(path) for path in paths if path is not None}
    return sum(files.values())


def _finish(client: IISClient, terminal: Terminal, study: Study, out: Path | None) -> None:
    """Stay until a study has finished, and show and save what it found."""
    try:
        found = terminal.watch_study(client.follow_study(study["id"]))
    except KeyboardInterrupt:
        terminal.note(f"Study {study['id']} goes on at the service; see it with: iis study show {study['id']} --watch")
        raise typer.Exit(130) from None
    terminal.note(f"Study {found['id']}: {progress_words(found)}.")
    _report(client, terminal, found, out)


def _report(client: IISClient, terminal: Terminal, study: Study, out: Path | None) -> None:
    """Show and save what a study has found; its failures make the exit code 1."""
    if study["jobs"]["succeeded"]:
        analysis = client.study_analysis(study["id"])
        terminal.show(*findings(analysis))
        if out is not None:
            _save(client, terminal, study, analysis, out)
    if study["jobs"]["failed"] or study["jobs"]["canceled"]:
        failed = [cell for cell in client.study_cells(study["id"]) if cell["state"] in ("failed", "canceled")]
        terminal.show(*failure_words(study["id"], failed))
        raise typer.Exit(1)


def _save(client: IISClient, terminal: Terminal, study: Study, analysis: StudyAnalysis, out: Path) -> None:
    """Write table, statistics, and the figures that the study has something for."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.csv").write_bytes(client.study_table(study["id"], "csv"))
    (out / "table.parquet").write_bytes(client.study_table(study["id"], "parquet"))
    (out / "analysis.json").write_text(json.dumps(analysis, indent=2) + "\n", encoding="utf-8")
    saved = ["table.csv", "table.parquet", "analysis.json"]
    with terminal.busy("A worker draws the figures"):
        for figure in FIGURES:
            if analysis[SECTIONS.get(figure, figure)]:
                saved += _draw(client, terminal, study["id"], figure, out)
    terminal.note(f"Saved in {out}: {', '.join(saved)}.")


def _draw(client: IISClient, terminal: Terminal, study: str, figure: Any, out: Path) -> Sequence[str]:
    try:
        for image_format in ("png", "svg"):
            (out / f"{figure}.{image_format}").write_bytes(client.study_figure(study, figure, image_format))
    except (InvalidInputError, ConflictError) as error:  # a section without one number has no figure
        terminal.note(f"There is no figure {figure}: {error}")
        return ()
    return f"{figure}.png", f"{figure}.svg"
