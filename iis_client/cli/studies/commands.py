"""The commands `iis studies …`. Study files are read in .file, inputs registered in .inputs, requests built in .request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.groups import add_delete, add_rename, add_tag, list_filters, resource_group
from iis_client.cli.inputs.references import StudyArgument, WebhookOption, find_webhook, note_webhook
from iis_client.cli.output.analyses import analysis_view
from iis_client.cli.output.job_counts import progress_summary
from iis_client.cli.output.studies import estimate_lines, failure_lines, study_table
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import JsonOption, LimitOption, NameOption, OutputForm, OutputOption, TagsOption
from iis_client.cli.settings.vocabulary_options import find_vocabulary
from iis_client.errors import ConflictError, InvalidInputError
from iis_schemas.names import PLOT_FORMATS, STUDY_FIGURES, StudyFigure

if TYPE_CHECKING:
    from iis_client.cli.studies.file import LocalStudy
    from iis_client.client import IISClient
    from iis_schemas.studies.analyses import AnalysisView
    from iis_schemas.studies.requests import StudyCreate
    from iis_schemas.studies.views import StudyView

SECTIONS = {"iis_accuracy": "relation", "gain_accuracy": "relation"}  # sections of the analysis, where named unlike the figure

app = resource_group(
    "studies", "Run, list, show, extend, rename, tag, cancel and delete studies: grids of scores with statistics and figures."
)

FileArgument = Annotated[Path, typer.Argument(help="Study file (YAML).", dir_okay=False)]
OutOption = Annotated[
    Path | None, typer.Option(help="Folder for table, statistics and figures; created if it does not exist.", file_okay=False)
]


@app.command()
def run(
    file: FileArgument,
    out: OutOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the estimated cost only; upload and submit nothing.")] = False,
    webhook: WebhookOption = None,
) -> None:
    """Upload what is missing, submit the study, wait for it and show its results. A repeated run resumes the study."""
    from iis_client.cli.studies.file import read_study, require_complete, require_files
    from iis_client.cli.studies.request import find_study

    terminal = Terminal()
    local = read_study(file)
    require_complete(local)
    require_files(local)
    with connect() as client:
        if dry_run:
            terminal.show(*_estimate(client, local))
            return
        named_webhook = find_webhook(client, webhook)
        request = _register(client, terminal, local, [])
        study = find_study(request, client.studies())
        if study is None:
            study = client.submit_study(request if named_webhook is None else request.model_copy(update={"webhook": named_webhook}))
            note_webhook(terminal, study.webhook)
            terminal.note(f"Study {study.id} has {study.jobs.total} jobs; its page is {client.base_url}{study.links['page']}")
        else:
            terminal.note(f"Study {study.id} exists already: {progress_summary(study.jobs)}. Resuming it.")
            study = client.extend_study(study)  # failed jobs run again
        _finish(client, terminal, study, out or Path(file.stem))


@app.command("list")
def list_studies(
    name: NameOption = None,
    tag: TagsOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    output: OutputOption = OutputForm.table,
) -> None:
    """List your studies, newest first."""
    with connect() as client:
        studies = list(islice(client.studies(**list_filters(name, tag)), limit))
    Terminal().answer(studies, [study_table(studies)], as_json=as_json, output=output)


@app.command()
def show(
    study: StudyArgument,
    out: OutOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait until the study has finished.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the results of a study so far."""
    terminal = Terminal(quiet=as_json)
    with connect() as client:
        current = client.study(client.find_id("study", study))
        if watch:
            current = terminal.watch_study(client.follow_study(current))
        if as_json:
            terminal.json(current)
            if out is not None:
                _save(client, terminal, current, client.study_analysis(current), out)
            return
        terminal.show(f"Study {current.id}, {current.name}: {progress_summary(current.jobs)}.")
        _report(client, terminal, current, out)


@app.command()
def extend(
    study: StudyArgument,
    file: Annotated[Path | None, typer.Argument(help="Study file with the additions; default: only run failed jobs again.")] = None,
    out: OutOption = None,
) -> None:
    """Add models, data sets, libraries or seeds to a study and wait for it; existing jobs are kept."""
    from iis_client.cli.studies.file import read_study, require_addable, require_files
    from iis_client.cli.studies.request import extension_request

    terminal = Terminal()
    local = read_study(file) if file is not None else None
    if local is not None:
        require_addable(local)
        require_files(local)
    with connect() as client:
        extended, additions = client.find_id("study", study), None
        if local is not None:
            request = _register(client, terminal, local, client.study(extended).grid.datasets)
            additions = extension_request(local, request)
        _finish(client, terminal, client.extend_study(extended, additions), out)


@app.command()
def cancel(study: StudyArgument) -> None:
    """Cancel the unfinished jobs of a study; `iis study extend` runs them again."""
    with connect() as client:
        canceled = client.cancel_study(client.find_id("study", study))
    Terminal().show(f"Study {canceled.id} is {canceled.state}: {progress_summary(canceled.jobs)}.")


add_rename(app, "study", "study", lambda client, study, changes: client.update_study(study, **changes))
add_tag(
    app, "study", "study", lambda client, study: client.study(study), lambda client, study, changes: client.update_study(study, **changes)
)
add_delete(app, "study", "study", lambda client, study: client.delete_study(study), "Delete finished studies; their jobs are kept.")


def _register(client: IISClient, terminal: Terminal, local: LocalStudy, scored: Sequence[str]) -> StudyCreate:
    """Register the inputs of a study file; return the request. `scored` are the data sets of an extended study."""
    from iis_client.cli.studies.inputs import RegisteredInputs, register_inputs, register_phrases, require_single_dataset
    from iis_client.cli.studies.request import study_request

    if local.vocabulary is not None:
        local = replace(local, vocabulary=find_vocabulary(client, local.vocabulary))
    registered = RegisteredInputs(client, local)
    require_single_dataset(local, scored, registered)
    resources = register_inputs(client, terminal, local, registered)
    datasets = [*scored, *(resources[f"datasets[{place}]"].id for place in range(len(local.content.datasets)))]
    return study_request(local, resources, register_phrases(client, terminal, local, datasets[0] if datasets else ""))


def _estimate(client: IISClient, local: LocalStudy) -> Iterator[str]:
    """Estimated cost by the service; nothing is registered."""
    from iis_client.cli.studies.counting import bytes_of
    from iis_client.cli.studies.inputs import RegisteredInputs, registered_phrases
    from iis_client.cli.studies.request import estimate_request

    if local.vocabulary is not None:
        local = replace(local, vocabulary=find_vocabulary(client, local.vocabulary))
    registered = RegisteredInputs(client, local)
    sources = local.content.sources()
    found = {key: resource for key, source in sources.items() if (resource := registered.find(key, source)) is not None}
    ready = {key: resource for key, resource in found.items() if resource.state == "ready"}
    missing_files = {file for key, source in sources.items() if key not in found for file in local.local_files(source)}
    dataset = found.get("datasets[0]")
    vocabulary = registered_phrases(client, local, dataset.id if dataset is not None else None)
    estimate = client.estimate_study(estimate_request(local, ready, vocabulary))
    return estimate_lines(estimate, sum(bytes_of(file) for file in missing_files))


def _finish(client: IISClient, terminal: Terminal, study: StudyView, out: Path | None) -> None:
    """Wait until a study has finished; show and save its results."""
    try:
        finished = terminal.watch_study(client.follow_study(study))
    except KeyboardInterrupt:
        terminal.note(f"Study {study.id} continues at the service; watch it with: iis study show {study.id} --watch")
        raise typer.Exit(130) from None
    terminal.note(f"Study {finished.id}: {progress_summary(finished.jobs)}.")
    _report(client, terminal, finished, out)


def _report(client: IISClient, terminal: Terminal, study: StudyView, out: Path | None) -> None:
    """Show and save the results of a study; exit with code 1 if jobs failed."""
    if study.jobs.succeeded:
        analysis = client.study_analysis(study)
        terminal.show(*analysis_view(analysis))
        if out is not None:
            _save(client, terminal, study, analysis, out)
    if study.jobs.failed or study.jobs.canceled:
        failed = [cell for cell in client.study_cells(study) if cell.state in ("failed", "canceled")]
        terminal.show(*failure_lines(study.id, failed))
        raise typer.Exit(1)


def _save(client: IISClient, terminal: Terminal, study: StudyView, analysis: AnalysisView, out: Path) -> None:
    """Save table, statistics, and the figures for which the study has data."""
    from iis_client.transport.messages import answer_json

    out.mkdir(parents=True, exist_ok=True)
    (out / "table.csv").write_bytes(client.study_table(study, "csv"))
    (out / "table.parquet").write_bytes(client.study_table(study, "parquet"))
    (out / "analysis.json").write_text(json.dumps(answer_json(analysis), indent=2) + "\n", encoding="utf-8")
    saved = ["table.csv", "table.parquet", "analysis.json"]
    with terminal.spinner("A worker draws the figures"):
        for figure in STUDY_FIGURES:
            if getattr(analysis, SECTIONS.get(figure, figure)):
                saved += _save_figure(client, terminal, study, figure, out)
    terminal.note(f"Saved in {out}: {', '.join(saved)}.")


def _save_figure(client: IISClient, terminal: Terminal, study: StudyView, figure: StudyFigure, out: Path) -> Sequence[str]:
    try:
        for image_format in PLOT_FORMATS:
            (out / f"{figure}.{image_format}").write_bytes(client.study_figure(study, figure, image_format))
    except (InvalidInputError, ConflictError) as error:  # a section without any number has no figure
        terminal.note(f"Figure {figure} is not available: {error}")
        return ()
    return [f"{figure}.{image_format}" for image_format in PLOT_FORMATS]
