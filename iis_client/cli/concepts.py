"""The command `iis concepts`. Vocabularies are in iis_client.cli.vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.inputs.references import complete
from iis_client.cli.output.concepts import concept_table, dropped_concept_table, format_counts
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import JsonOption, OutputForm, OutputOption, figure_format, require_figure_path
from iis_client.errors import ConfigurationError, require_success

if TYPE_CHECKING:
    from iis_client.client import IISClient
    from iis_schemas.concept_libraries import ConceptView


def concepts(
    source: Annotated[
        str,
        typer.Argument(metavar="JOB", help="A finished job, or a concept library (lib_…).", autocompletion=complete("job")),
    ],
    dropped: Annotated[bool, typer.Option("--dropped", help="List the excluded phrases instead of the concepts.")] = False,
    out: Annotated[Path | None, typer.Option(help="Save the concepts of JOB as one figure (.png or .svg).", dir_okay=False)] = None,
    as_json: JsonOption = False,
    output: OutputOption = OutputForm.table,
) -> None:
    """Show the concepts of a job's library, with their names where they have one."""
    terminal = Terminal()
    if out is not None:
        require_figure_path(out, "--out")
        if source.startswith("lib_"):
            raise ConfigurationError(f"--out draws how a job uses its concepts; give a job (job_…) instead of {source}.")
    with connect() as client:
        source = client.find_id("library" if source.startswith("lib_") else "job", source)
        if out is not None:
            out.write_bytes(client.concept_gallery(source, figure_format(out)))
            terminal.saved(out)
        library = source if source.startswith("lib_") else _library_of(client, source)
        found = [] if dropped else list(client.concepts(library))
        excluded = list(client.dropped_concepts(library))
    if as_json or output is not OutputForm.table:
        terminal.answer(excluded if dropped else found, (), as_json=as_json, output=output)
        return
    if dropped:
        terminal.show(dropped_concept_table(excluded) if excluded else "No phrase was excluded.")
        return
    terminal.show(concept_table(found))
    if excluded:
        reasons = format_counts(Counter(each.reason for each in excluded))
        terminal.show(f"{len(excluded)} phrases were excluded: {reasons}. List them with: iis concepts {source} --dropped")
    if not any(concept.label for concept in found):
        terminal.show(why_unnamed(found))


def why_unnamed(concepts: Sequence[ConceptView]) -> str:
    """Explain why no concept has a name, and what to do if that can change."""
    from iis_schemas.concept_libraries import NameDetails

    if any(isinstance(concept.details, NameDetails) for concept in concepts):
        return "No concept has a name: no phrase of the vocabulary is clearly closest. Try another --vocabulary."
    if all(concept.origin == "random" for concept in concepts):
        return "No concept has a name: random directions are not named."
    if not any(exemplar.image for concept in concepts for exemplar in concept.exemplars):
        return "No concept has a name: a data set of features has no images to compare with phrases."
    return "No concept has a name; score with --vlm and --vocabulary to name concepts."


def _library_of(client: IISClient, job: str) -> str:
    require_success(client.job(job))
    library = client.result(job).library
    if library is None:
        raise ConfigurationError(f"Job {job} has no concept library.")
    return library
