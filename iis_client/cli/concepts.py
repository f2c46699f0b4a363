"""The command that shows the concepts of a library. The phrases they may come from are in iis_client.cli.vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.options import JsonOption, figure_format, require_figure_place
from iis_client.cli.output.concepts import concept_table, counted, dropped_concept_table
from iis_client.cli.output.terminal import Terminal
from iis_client.client import IISClient
from iis_client.errors import ConfigurationError
from iis_client.transport.polling import require_success
from iis_client.types.concepts import Concept


def concepts(
    source: Annotated[str, typer.Argument(metavar="JOB", help="A finished job (job_…), or a concept library (lib_…).")],
    dropped: Annotated[bool, typer.Option("--dropped", help="List the phrases that were left out, in place of the concepts.")] = False,
    out: Annotated[Path | None, typer.Option(help="Save the concepts of a JOB as one figure (.png or .svg).", dir_okay=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the concepts that a job read a representation through, in words where they have any."""
    terminal = Terminal()
    if out is not None:
        require_figure_place(out, "--out")
        if source.startswith("lib_"):
            raise ConfigurationError(f"--out draws how a job uses its concepts; name a job in place of {source}.")
    with IISClient() as client:
        if out is not None:
            out.write_bytes(client.concept_gallery(source, figure_format(out)))
            terminal.saved(out)
        library = source if source.startswith("lib_") else _library_of(client, source)
        found = [] if dropped else list(client.concepts(library))
        left_out = list(client.dropped_concepts(library))
    if as_json:
        terminal.json(left_out if dropped else found)
        return
    if dropped:
        terminal.show(dropped_concept_table(left_out) if left_out else "Nothing was left out.")
        return
    terminal.show(concept_table(found))
    if left_out:
        reasons = counted(Counter(each["reason"] for each in left_out))
        terminal.show(f"{len(left_out)} phrases were left out: {reasons}. See them with: iis concepts {source} --dropped")
    if not any(concept["label"] for concept in found):
        terminal.show(why_unnamed(found))


def why_unnamed(concepts: Sequence[Concept]) -> str:
    """Why none of the concepts has a name, and what would help where anything would."""
    if any("names" in (concept["details"] or {}) for concept in concepts):
        return "None of them has a name: no phrase of the vocabulary stands out. Another --vocabulary may have one that does."
    if all(concept["origin"] == "random" for concept in concepts):
        return "None of them has a name: random directions are no concepts, and no phrase is sought for them."
    if not any(exemplar.get("image") for concept in concepts for exemplar in concept["exemplars"]):
        return "None of them has a name: a data set of features has no images to compare with phrases."
    return "None of them has a name; score with --vlm and --vocabulary to look for names."


def _library_of(client: IISClient, job: str) -> str:
    require_success(client.job(job))
    return client.result(job)["library"]
