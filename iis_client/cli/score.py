"""The command `iis score`. Its library and vocabulary options are parsed in library_options and vocabulary_options."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iis_client.cli.connection import connect
from iis_client.cli.inputs.references import WebhookOption, find_webhook, note_webhook
from iis_client.cli.inputs.registration import wait_until_ready
from iis_client.cli.inputs.scored import find_inputs, read_inputs, register_inputs
from iis_client.cli.jobs import follow, show_result, submitted_line
from iis_client.cli.layer_sweep import require_sweep_options, show_layers, submit_layers
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.library_options import CONCEPT_COUNT, KIND, build_library, element_settings, has_text, text_settings
from iis_client.cli.settings.model_options import (
    ArchOption,
    ArgOption,
    ManifestColumnOption,
    ManifestOption,
    PoolingOption,
    PreprocessOption,
    PretrainedOption,
    ScoredSourceArgument,
    WeightsOfOption,
    manifest_columns,
)
from iis_client.cli.settings.options import (
    JsonOption,
    PlotOption,
    VlmArgOption,
    VlmOption,
    VlmPreprocessOption,
    VlmWeightsOfOption,
    key_values,
    require_figure_path,
)
from iis_client.cli.settings.vocabulary_options import ensure_vocabulary, find_phrases, parse_text_options, register_vlm
from iis_client.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


class LibraryName(StrEnum):
    """Kinds of concept libraries other than combined ones."""

    prototype = "prototype"
    cluster = "cluster"
    end2end = "end2end"
    nmf = "nmf"
    sae = "sae"
    vectors = "vectors"
    text = "text"
    random = "random"


class ProtocolChoice(StrEnum):
    """Scoring protocol: exact and reproducible, or the authors' reference."""

    exact = "exact"
    reference = "reference"


class ActivationsChoice(StrEnum):
    """Activations of the exact protocol: calibrated, or LayerNorm alone as in the first edition."""

    calibrated = "calibrated"
    layernorm = "layernorm"


class ElementChoice(StrEnum):
    """Kinds of visual elements."""

    patches = "patches"
    segments = "segments"
    patches_and_segments = "patches_and_segments"


def score(
    source: ScoredSourceArgument = None,
    *,
    arch: ArchOption = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH|DATASET",
            help="Images: a folder of class folders, or an archive of one; or a registered data set: id, its beginning, name, or @last.",
        ),
    ] = None,
    features: Annotated[Path | None, typer.Option(help="Features (npz, safetensors) instead of a model and images.", exists=True)] = None,
    pretrained: PretrainedOption = None,
    weights_of: WeightsOfOption = None,
    arg: ArgOption = None,
    preprocess: PreprocessOption = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="Layer whose output is the representation; default: the pooled penultimate layer. Repeat it to score several."),
    ] = None,
    pooling: PoolingOption = None,
    library: Annotated[LibraryName | None, typer.Option(help="Kind of concept library.", show_default=KIND)] = None,
    concepts: Annotated[int | None, typer.Option(help="Number of concepts M.", min=1, show_default=str(CONCEPT_COUNT))] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="Own concept vectors, M x d (safetensors, npy), as the library.", exists=True, dir_okay=False)
    ] = None,
    manifest: ManifestOption = None,
    manifest_column: ManifestColumnOption = None,
    part: Annotated[
        list[str] | None, typer.Option(help="Part of a combined library, kind:M; repeat it instead of --library and --concepts.")
    ] = None,
    vlm: VlmOption = None,
    vlm_arg: VlmArgOption = None,
    vlm_preprocess: VlmPreprocessOption = None,
    vlm_weights_of: VlmWeightsOfOption = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            help="Phrases for a text library, or to name the concepts of other libraries: a shipped name (birds), one of yours by id, "
            "its beginning, name, or @last, with @VERSION at its end that version; a file (.txt, .json, .csv), or from-classes."
        ),
    ] = None,
    clip_cutoff: Annotated[
        float | None, typer.Option(help="Text library: minimum mean of a phrase's 5 highest cosines.", min=-1, max=1)
    ] = None,
    interpretability_cutoff: Annotated[
        float | None, typer.Option(help="Text library: minimum similarity of a concept on held-out images.", min=-1, max=1)
    ] = None,
    native: Annotated[
        bool, typer.Option("--native", help="Text library: the model is the VLM's own image tower; use text embeddings without fitting.")
    ] = False,
    elements: Annotated[ElementChoice, typer.Option(help="Kind of visual elements.")] = ElementChoice.patches,
    scales: Annotated[
        str | None,
        typer.Option(help="Grids of patches, by patches per side: 1 is the whole image; 1,2,4 mixes three grids.", show_default="1"),
    ] = None,
    images_per_class: Annotated[
        int | None,
        typer.Option(help="Training images of each class to cut elements from.", min=1, show_default="for 1000 elements, at least 10"),
    ] = None,
    protocol: Annotated[ProtocolChoice, typer.Option(help="Scoring protocol; reference follows the authors' code.")] = ProtocolChoice.exact,
    activations: Annotated[
        ActivationsChoice, typer.Option(help="Of the exact protocol; layernorm is the first edition, for ablations.")
    ] = ActivationsChoice.calibrated,
    seed: Annotated[int, typer.Option(help="Random seed.", min=0)] = 0,
    name: Annotated[str | None, typer.Option(help="Name of the job, to find it by.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag of the job; may be repeated.")] = None,
    webhook: WebhookOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait for the job; show its progress and the result.")] = False,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit a score job, of new files, which are uploaded, or of a registered model and data set."""
    terminal = Terminal(quiet=as_json)
    settings = text_settings(clip_cutoff, interpretability_cutoff, native)
    library_choice = build_library(library.value if library is not None else None, concepts, part or [], settings, vectors is not None)
    layers, pool = layer or [], None if pooling is None else pooling.value
    one_layer = {"layer": layers[0], "pooling": pool} if len(layers) == 1 else {}
    network = {"pretrained": pretrained, "weights_of": weights_of, "arguments": key_values(arg, "--arg")}
    network |= {"preprocessing": key_values(preprocess, "--preprocess") or None, **one_layer}
    columns = manifest_columns(manifest, manifest_column)
    inputs = read_inputs(source, arch=arch, data=data, features=features, labels=manifest, columns=columns, network=network)
    vlm_arguments, vlm_overrides = key_values(vlm_arg, "--vlm-arg"), key_values(vlm_preprocess, "--vlm-preprocess")
    text_options = parse_text_options(
        vlm, vlm_arguments, vlm_overrides, vocabulary, weights_of=vlm_weights_of, needed=has_text(library_choice)
    )
    if text_options is not None and features is not None:
        raise ConfigurationError("--features has no images to compare with phrases; leave out --vlm and --vocabulary, or give --data.")
    if len(layers) > 1:
        require_sweep_options(layers, has_model=inputs.model is not None, has_vectors=vectors is not None, plot=plot)
    scored: dict[str, Any] = {
        "elements": {"kind": elements.value, "seed": seed, **element_settings(scales, images_per_class)},
        "protocol": protocol.value,
        "activations": activations.value,
        "seed": seed,
        "name": name,
        "tags": tag,
    }
    require_valid_score(library_choice, scored, plot, has_vectors=vectors is not None, has_phrases=text_options is not None)
    with connect() as client:
        scored["webhook"] = find_webhook(client, webhook)
        if text_options is not None:
            text_options = find_phrases(client, text_options)
        model, dataset = register_inputs(client, terminal, find_inputs(client, inputs))
        if vectors is not None:
            with terminal.upload_bar(vectors) as progress:
                library_choice = {"kind": "vectors", "upload": client.upload(vectors, progress).id}
        vlm_model = register_vlm(client, terminal, text_options.vlm) if text_options is not None else None
        if model is not None:
            model = wait_until_ready(client, terminal, model, "A worker loads the model", "Model")
        dataset = wait_until_ready(client, terminal, dataset, "A worker reads the data set", "Data set")
        vocabulary_id: str | None = None
        if text_options is not None and vlm_model is not None:
            vlm_model = wait_until_ready(client, terminal, vlm_model, "A worker loads the vision-language model", "Vision-language model")
            vocabulary_id = ensure_vocabulary(client, terminal, text_options.vocabulary, dataset.id)
        scored |= {"vlm": vlm_model, "vocabulary": vocabulary_id}
        if model is not None and len(layers) > 1:
            one_job = ("seed", "name", "tags")
            settings = {key: value for key, value in scored.items() if key not in one_job}
            settings |= {"datasets": [dataset], "libraries": [library_choice], "seeds": [seed]}
            show_layers(client, terminal, submit_layers(client, model, layers, pool, settings), watch=watch, as_json=as_json)
            return
        job = client.score(model, dataset, library_choice, **scored)
        note_webhook(terminal, job.webhook)
        if not watch and plot is None:
            terminal.answer(job, [submitted_line(job)], as_json=as_json)
            return
        show_result(client, follow(client, terminal, job.id), terminal, plot, as_json)


def require_valid_score(
    library: Mapping[str, Any], settings: Mapping[str, Any], plot: Path | None, *, has_vectors: bool, has_phrases: bool
) -> None:
    """Check the settings of a score and the path of its figure before any file is sent; ids that are not known yet have placeholders.

    Raises
    ------
    ConfigurationError
        When a setting is not valid.
    """
    from iis_client.transport.messages import build_request
    from iis_schemas.jobs.requests import ScoreCreate

    if plot is not None:
        require_figure_path(plot, "--plot")
    chosen = {"kind": "vectors", "upload": "upl_not_sent_yet"} if has_vectors else library
    phrases = {"vlm": "mdl_not_sent_yet", "vocabulary": "cst_not_sent_yet"} if has_phrases else {}
    inputs = {"kind": "score", "model": "mdl_not_sent_yet", "dataset": "dst_not_sent_yet"}
    build_request(ScoreCreate, {**settings, **inputs, **phrases, "library": chosen})
