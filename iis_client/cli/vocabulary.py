"""The commands `iis vocabularies …`: shipped vocabularies and the user's own concept sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from iis_client.cli.connection import connect
from iis_client.cli.groups import resource_group
from iis_client.cli.inputs.references import complete
from iis_client.cli.output.concepts import concept_set_table, dropped_phrase_table, format_counts, version_table
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import (
    JsonOption,
    OutputForm,
    OutputOption,
    VlmArgOption,
    VlmOption,
    VlmPreprocessOption,
    VlmWeightsOfOption,
    key_values,
)
from iis_client.cli.settings.vocabulary_options import PHRASE_SUFFIXES, find_vlm, parse_vlm, register_vlm, wait_for_phrases
from iis_client.errors import ConfigurationError

if TYPE_CHECKING:
    from iis_client.client import IISClient
    from iis_client.resources.concept_sets import PhraseFormat
    from iis_schemas.concept_sets import ConceptSetCreated, ConceptSetVersionView, ConceptSetView, DroppedPhraseView

app = resource_group("vocabularies", "List, show, add, download and delete vocabularies (concept sets).")

ReferenceArgument = Annotated[
    str,
    typer.Argument(
        metavar="VOCABULARY",
        help="A shipped name; or one of yours: id, its beginning, name, or @last. With @VERSION at its end, that version.",
        autocompletion=complete("vocabulary"),
    ),
]


class FormatChoice(StrEnum):
    """File formats of phrases."""

    txt = "txt"
    json = "json"
    csv = "csv"


@app.command("list")
def list_all(as_json: JsonOption = False, output: OutputOption = OutputForm.table) -> None:
    """List the shipped vocabularies, then yours, newest first."""
    with connect() as client:
        concept_sets = [*client.shipped_concept_sets(), *client.concept_sets()]
    Terminal().answer(concept_sets, [concept_set_table(concept_sets)], as_json=as_json, output=output)


@app.command()
def show(vocabulary: ReferenceArgument, as_json: JsonOption = False, output: OutputOption = OutputForm.table) -> None:
    """Show a vocabulary, its excluded phrases and the reasons."""
    with connect() as client:
        name, number = find_version(client, vocabulary)
        concept_set = client.concept_set(name)
        version = client.concept_set_version(name, number or concept_set.latest_version)
        dropped = list(client.dropped_phrases(name, version.number)) if version.dropped_count else []
    shown = _with_version(concept_set, version, dropped)
    Terminal().answer(shown, _vocabulary_view(shown), as_json=as_json, output=output)


@app.command()
def versions(vocabulary: ReferenceArgument, as_json: JsonOption = False, output: OutputOption = OutputForm.table) -> None:
    """List the versions of a vocabulary, newest first."""
    with connect() as client:
        name = _find_whole(client, vocabulary, "A version has no versions")
        listed = list(client.concept_set_versions(name))
    Terminal().answer(listed, [version_table(listed)], as_json=as_json, output=output)


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
    vlm_weights_of: VlmWeightsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a vocabulary from a file or from class names; with --vlm, near-duplicate phrases are excluded too."""
    terminal = Terminal(quiet=as_json)
    if (file is None) == (from_classes is None):
        raise ConfigurationError("Give either a FILE of phrases or --from-classes DATASET (dst_…).")
    if to is not None and name is not None:
        raise ConfigurationError("A version has the name of its concept set; leave out --name or --to.")
    arguments, overrides = key_values(vlm_arg, "--vlm-arg"), key_values(vlm_preprocess, "--vlm-preprocess")
    if vlm is None and (arguments or overrides or vlm_weights_of is not None):
        raise ConfigurationError("--vlm-arg, --vlm-preprocess and --vlm-weights-of require --vlm; give it too.")
    source = parse_vlm(vlm, arguments, overrides, vlm_weights_of) if vlm is not None else None
    with connect() as client:
        from_classes = None if from_classes is None else client.find_id("dataset", from_classes)
        dataset = None if dataset is None else client.find_id("dataset", dataset)
        to = None if to is None else client.find_id("vocabulary", to)
        vlm_id = None
        if source is not None:
            model = register_vlm(client, terminal, find_vlm(client, source))
            with terminal.spinner("A worker loads the vision-language model"):
                vlm_id = client.wait_until_ready(model).id
        if to is not None:
            made = client.add_concept_set_version(to, file, from_classes=from_classes, vlm=vlm_id, dataset=dataset)
        else:
            made = client.create_concept_set(file, from_classes=from_classes, name=name, vlm=vlm_id, dataset=dataset)
        version = wait_for_phrases(client, terminal, made.version)
        dropped = list(client.dropped_phrases(made, version.number))
    shown = _with_version(made, version, dropped)
    terminal.answer(shown, _vocabulary_view(shown), as_json=as_json)


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
    chosen = phrase_format.value if phrase_format is not None else _format_of(output)
    with connect() as client:
        name, number = find_version(client, vocabulary)
        content = client.download_concept_set(name, chosen, number)
    if output is None:
        typer.echo(content, nl=False)
        return
    output.write_bytes(content)
    Terminal().saved(output)


@app.command()
def delete(vocabulary: ReferenceArgument) -> None:
    """Delete a vocabulary of yours with all its versions; existing scores are kept."""
    with connect() as client:
        name = _find_whole(client, vocabulary, "A single version cannot be deleted")
        client.delete_concept_set(name)
    Terminal().note(f"Deleted {name}.")


def find_version(client: IISClient, reference: str) -> tuple[str, int | None]:
    """Id of a vocabulary and number of its version, if one is named."""
    name, number = _split_version(reference)
    return client.find_id("vocabulary", name), number


def _split_version(reference: str) -> tuple[str, int | None]:
    name, _, version = reference.rpartition("@")
    return (name, int(version)) if name and version.isdecimal() else (reference, None)


def _find_whole(client: IISClient, reference: str, reason: str) -> str:
    name, number = _split_version(reference)
    if number is not None:
        raise ConfigurationError(f"{reason}; give the concept set, {name}, not {reference}.")
    return client.find_id("vocabulary", name)


def _with_version(concept_set: ConceptSetView, version: ConceptSetVersionView, dropped: Sequence[DroppedPhraseView]) -> ConceptSetCreated:
    """A concept set with one version and all its excluded phrases."""
    from iis_client.transport.messages import answer_json, parse_answer
    from iis_schemas.concept_sets import ConceptSetCreated

    fields = {**answer_json(concept_set), "version": {**answer_json(version), "dropped": answer_json(dropped)}}
    return parse_answer(ConceptSetCreated, fields)


def _vocabulary_view(concept_set: ConceptSetCreated) -> Iterator[RenderableType]:
    version = concept_set.version
    yield f"{concept_set.id}, version {version.number} of {concept_set.versions}, {version.state}: {concept_set.name}"
    if concept_set.description:
        yield concept_set.description
    if version.error:
        yield version.error.message
    reasons = format_counts(Counter(phrase.reason for phrase in version.dropped))
    yield f"{version.phrase_count} phrases" + (f"; {len(version.dropped)} excluded: {reasons}." if version.dropped else ".")
    if version.dropped:
        yield dropped_phrase_table(version.dropped)


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
