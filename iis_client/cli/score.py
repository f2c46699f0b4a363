"""The command that sends a checkpoint and images and submits a score. How libraries and phrases are written is in the modules beside it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from iis_client.cli.jobs import follow, show_result
from iis_client.cli.library_options import CONCEPT_COUNT, KIND, has_text, read_library, text_settings
from iis_client.cli.options import JsonOption, PlotOption, VlmArgOption, VlmOption, VlmPreprocessOption, key_values, require_figure_place
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.vocabulary_options import provide_vocabulary, read_words, register_vlm, require_vocabulary
from iis_client.client import IISClient
from iis_client.errors import ConfigurationError
from iis_client.types.scores import Model


class LibraryName(StrEnum):
    """Concept libraries that can be named alone."""

    prototype = "prototype"
    cluster = "cluster"
    end2end = "end2end"
    text = "text"
    random = "random"


class ProtocolChoice(StrEnum):
    """How a score is computed: reproducibly, or as the paper's authors did."""

    exact = "exact"
    reference = "reference"


class ElementChoice(StrEnum):
    """How visual elements are cut."""

    patches = "patches"
    segments = "segments"


def score(
    checkpoint: Annotated[Path | None, typer.Argument(help="Weights: safetensors, torch zip or onnx.", exists=True, dir_okay=False)] = None,
    *,
    arch: Annotated[str | None, typer.Option(help="timm:NAME, torchvision:NAME, open_clip:NAME or onnx.")] = None,
    data: Annotated[Path | None, typer.Option(help="A folder of class folders, or an archive of one.", exists=True)] = None,
    features: Annotated[
        Path | None, typer.Option(help="Ready features (npz, safetensors) in place of a model and data.", exists=True)
    ] = None,
    pretrained: Annotated[str | None, typer.Option(help="A tag of the architecture's own library in place of a checkpoint.")] = None,
    arg: Annotated[list[str] | None, typer.Option(help="An argument of the architecture, key=value; may be repeated.")] = None,
    preprocess: Annotated[list[str] | None, typer.Option(help="An override of preprocessing, such as input_size=32.")] = None,
    layer: Annotated[str | None, typer.Option(help="The layer that is the representation.")] = None,
    library: Annotated[LibraryName | None, typer.Option(help="The concept library.", show_default=KIND)] = None,
    concepts: Annotated[int | None, typer.Option(help="M, how many concepts.", min=1, show_default=str(CONCEPT_COUNT))] = None,
    part: Annotated[
        list[str] | None, typer.Option(help="A part of a combined library, kind:M; several, without --library and --concepts.")
    ] = None,
    vlm: VlmOption = None,
    vlm_arg: VlmArgOption = None,
    vlm_preprocess: VlmPreprocessOption = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            help="Phrases of a text library, or to name other concepts by: a shipped name (birds), cst_…, cst_…@VERSION, "
            "a file (.txt, .json, .csv), or from-classes."
        ),
    ] = None,
    clip_cutoff: Annotated[float | None, typer.Option(help="Text: the least mean of a phrase's 5 highest cosines.", min=-1, max=1)] = None,
    interpretability_cutoff: Annotated[
        float | None, typer.Option(help="Text: the least similarity of a concept on held-out images.", min=-1, max=1)
    ] = None,
    native: Annotated[bool, typer.Option("--native", help="Text: the network is the VLM's own image tower; nothing is fitted.")] = False,
    elements: Annotated[ElementChoice, typer.Option(help="How visual elements are cut.")] = ElementChoice.patches,
    protocol: Annotated[ProtocolChoice, typer.Option(help="`reference` follows the authors' own code.")] = ProtocolChoice.exact,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, show the stages as they run, and the result.")] = False,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Upload a checkpoint and images, and score the one on the other."""
    terminal = Terminal(quiet=as_json)
    _require_one_source(checkpoint, arch, data, features, pretrained)
    settings = text_settings(clip_cutoff, interpretability_cutoff, native)
    chosen = read_library(library.value if library is not None else None, concepts, part or [], settings)
    arguments, overrides = key_values(arg, "--arg"), key_values(preprocess, "--preprocess") or None
    vlm_arguments, vlm_overrides = key_values(vlm_arg, "--vlm-arg"), key_values(vlm_preprocess, "--vlm-preprocess")
    words = read_words(vlm, vlm_arguments, vlm_overrides, vocabulary, needed=has_text(chosen))
    if words is not None and features is not None:
        raise ConfigurationError("--features has no images to compare with phrases; leave out --vlm and --vocabulary, or give --data.")
    if plot is not None:
        require_figure_place(plot, "--plot")
    with IISClient() as client:
        if words is not None:
            require_vocabulary(client, words.vocabulary)
        model: Model | None = None
        if features is not None:
            with terminal.sending(features) as progress:
                dataset = client.create_dataset(features, kind="features", progress=progress)
        else:
            with terminal.sending(checkpoint) as progress:
                model = client.create_model(
                    cast("str", arch),
                    checkpoint=checkpoint,
                    pretrained=pretrained,
                    arguments=arguments,
                    preprocessing=overrides,
                    layer=layer,
                    progress=progress,
                )
            with terminal.sending(data) as progress:
                dataset = client.create_dataset(cast("Path", data), progress=progress)
        vlm_model = register_vlm(client, terminal, words.vlm) if words is not None else None
        if model is not None:
            with terminal.busy("A worker loads the model"):
                model = client.wait_until_ready(model)
        with terminal.busy("A worker reads the data set"):
            dataset = client.wait_until_ready(dataset)
        phrases: str | None = None
        if words is not None and vlm_model is not None:
            with terminal.busy("A worker loads the vision-language model"):
                vlm_model = client.wait_until_ready(vlm_model)
            phrases = provide_vocabulary(client, terminal, words.vocabulary, dataset["id"])
        job = client.score(
            model["id"] if model is not None else None,
            dataset["id"],
            chosen,
            vlm=vlm_model["id"] if vlm_model is not None else None,
            vocabulary=phrases,
            elements={"kind": cast("Any", elements.value), "images_per_class": 10, "seed": seed},
            protocol=cast("Any", protocol.value),
            seed=seed,
        )
        if not watch and plot is None:
            terminal.show_job(job, as_json)
            return
        show_result(client, follow(client, terminal, job["id"]), terminal, plot, as_json)


def _require_one_source(
    checkpoint: Path | None, arch: str | None, data: Path | None, features: Path | None, pretrained: str | None
) -> None:
    if features is not None:
        if (checkpoint, arch, data, pretrained) != (None, None, None, None):
            raise ConfigurationError(
                "--features carries the representation itself; leave out the checkpoint, --arch, --pretrained and --data."
            )
        return
    if (checkpoint is None) == (pretrained is None):
        raise ConfigurationError("Give a CHECKPOINT file or --pretrained TAG, one of the two (or --features FILE).")
    if arch is None or data is None:
        raise ConfigurationError("Say which network it is with --arch (timm:resnet18) and which images with --data FOLDER.")
