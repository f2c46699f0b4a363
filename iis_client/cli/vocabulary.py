"""The commands `iis vocabulary`: shipped vocabularies and the user's own concept sets."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.options import JsonOption, VlmArgOption, VlmOption, VlmPreprocessOption, key_values
from iis_client.cli.output.concepts import concept_set_table, dropped_phrase_table, format_counts, version_table
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.vocabulary_options import PHRASE_SUFFIXES, parse_reference, parse_vlm, register_vlm, wait_for_phrases
from iis_client.client import IISClient
from iis_client.errors import ConfigurationError
from iis_client.resources.concept_sets import PhraseFormat
from iis_client.types.concepts import ConceptSet, ConceptSetVersion, DroppedPhrase

app = typer.Typer(name="vocabulary", help="List, show, add, download and delete vocabularies (concept sets).", no_args_is_help=True)

ReferenceArgument = Annotated[str, typer.Argument(metavar="ID", help="A shipped name, cst_…, or cst_…@VERSION.")]


class FormatChoice(StrEnum):
    """File formats of phrases."""

    txt = "txt"
    json = "json"
    csv = "csv"


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List the shipped vocabularies, then yours, newest first."""
    with IISClient() as client:
        found = [*client.shipped_concept_sets(), *client.concept_sets()]
    terminal = Terminal()
    if as_json:
        terminal.json(found)
    else:
        terminal.show(concept_set_table(found))


@app.command()
def show(vocabulary: ReferenceArgument, as_json: JsonOption = False) -> None:
    """Show a vocabulary, its excluded phrases and the reasons."""
    name, number = parse_reference(vocabulary)
    with IISClient() as client:
        found = client.concept_set(name)
        version = client.concept_set_version(name, number or found["latest_version"])
        dropped = list(client.dropped_phrases(name, version["number"])) if version["dropped_count"] else []
    _show(Terminal(), found, {**version, "dropped": dropped}, as_json)


@app.command()
def versions(
    vocabulary: Annotated[str, typer.Argument(metavar="ID", help="A shipped name, or cst_….")], as_json: JsonOption = False
) -> None:
    """List the versions of a vocabulary, newest first."""
    name = _require_no_version(vocabulary, "A version has no versions")
    with IISClient() as client:
        found = list(client.concept_set_versions(name))
    terminal = Terminal()
    if as_json:
        terminal.json(found)
    else:
        terminal.show(version_table(found))


@app.command()
def add(
    file: Annotated[
        Path | None, typer.Argument(help="Phrases: .txt (one per line), .json or .csv (columns phrase, group).", dir_okay=False)
    ] = None,
    *,
    from_classes: Annotated[
        str | None,
        typer.Option(metavar="DATASET", help="Generate the phrases from the class names of this data set (dst_…) instead of FILE."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the vocabulary; default: the name of the file or of the data set.")] = None,
    to: Annotated[str | None, typer.Option(metavar="ID", help="Add the phrases as a new version of this concept set (cst_…).")] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="ID", help="Exclude phrases close to a class name of this data set (dst_…).")
    ] = None,
    vlm: VlmOption = None,
    vlm_arg: VlmArgOption = None,
    vlm_preprocess: VlmPreprocessOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a vocabulary from a file or from class names; with --vlm, near-duplicate phrases are excluded too."""
    terminal = Terminal(quiet=as_json)
    if (file is None) == (from_classes is None):
        raise ConfigurationError("Give either a FILE of phrases or --from-classes DATASET (dst_…).")
    if to is not None and name is not None:
        raise ConfigurationError("A version has the name of its concept set; leave out --name or --to.")
    arguments, overrides = key_values(vlm_arg, "--vlm-arg"), key_values(vlm_preprocess, "--vlm-preprocess")
    if vlm is None and (arguments or overrides):
        raise ConfigurationError("--vlm-arg and --vlm-preprocess require --vlm; give it too.")
    source = parse_vlm(vlm, arguments, overrides) if vlm is not None else None
    with IISClient() as client:
        vlm_id = None
        if source is not None:
            model = register_vlm(client, terminal, source)
            with terminal.spinner("A worker loads the vision-language model"):
                vlm_id = client.wait_until_ready(model)["id"]
        if to is not None:
            made = client.add_concept_set_version(to, file, from_classes=from_classes, vlm=vlm_id, dataset=dataset)
        else:
            made = client.create_concept_set(file, from_classes=from_classes, name=name, vlm=vlm_id, dataset=dataset)
        version = wait_for_phrases(client, terminal, made["version"])
        dropped = list(client.dropped_phrases(made["id"], version["number"]))
    _show(terminal, made, {**version, "dropped": dropped}, as_json)


@app.command()
def download(
    vocabulary: ReferenceArgument,
    *,
    phrase_format: Annotated[
        FormatChoice | None, typer.Option("--format", help="File format; default: by the suffix of --output, else txt.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to save the phrases to; default: standard output.", dir_okay=False)
    ] = None,
) -> None:
    """Download the phrases of a vocabulary in a format that `add` accepts."""
    name, number = parse_reference(vocabulary)
    chosen = phrase_format.value if phrase_format is not None else _format_of(output)
    with IISClient() as client:
        content = client.download_concept_set(name, chosen, number)
    if output is None:
        typer.echo(content, nl=False)
        return
    output.write_bytes(content)
    Terminal().saved(output)


@app.command()
def delete(vocabulary: Annotated[str, typer.Argument(metavar="ID", help="A concept set of yours (cst_…).")]) -> None:
    """Delete a vocabulary of yours with all its versions; existing scores are kept."""
    name = _require_no_version(vocabulary, "A single version cannot be deleted")
    with IISClient() as client:
        client.delete_concept_set(name)
    Terminal().note(f"Deleted {name}.")


def _require_no_version(reference: str, reason: str) -> str:
    name, number = parse_reference(reference)
    if number is not None:
        raise ConfigurationError(f"{reason}; give the concept set, {name}, not {reference}.")
    return name


def _show(terminal: Terminal, found: ConceptSet, version: ConceptSetVersion, as_json: bool) -> None:
    if as_json:
        terminal.json({**found, "version": version})
        return
    dropped: list[DroppedPhrase] = version["dropped"]
    terminal.show(f"{found['id']}, version {version['number']} of {found['versions']}, {version['state']}: {found['name']}")
    if found["description"]:
        terminal.show(found["description"])
    if version["error"]:
        terminal.show(version["error"]["message"])
    reasons = format_counts(Counter(each["reason"] for each in dropped))
    terminal.show(f"{version['phrase_count']} phrases" + (f"; {len(dropped)} excluded: {reasons}." if dropped else "."))
    if dropped:
        terminal.show(dropped_phrase_table(dropped))


def _format_of(output: Path | None) -> PhraseFormat:
    match output.suffix.lower() if output is not None else ".txt":
        case ".txt":
            return "txt"
        case ".json":
            return "json"
        case ".csv":
            return "csv"
        case _:
            raise ConfigurationError(f"Phrases can be saved as {', '.join(PHRASE_SUFFIXES)}; change the suffix, or give --format.")
