"""The `iis` command: arguments in, calls of IISClient, tables out. How things look is in client.terminal."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from client.address import READY_FILE_NAME, data_folder
from client.errors import ConfigurationError, IISError, ServiceError
from client.iis_client import IISClient
from client.local_stack import stack_command
from client.records import Job, Library, LibraryKind
from client.terminal import Terminal
from client.waiting import require_success

app = typer.Typer(
    name="iis", help="How interpretable is what a vision model has learned?", no_args_is_help=True, pretty_exceptions_enable=False
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print the service's JSON in place of a table.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Save the ARR figure here (.png or .svg).", dir_okay=False)]


class LibraryName(StrEnum):
    """Concept libraries that can be named alone."""

    prototype = "prototype"
    cluster = "cluster"
    end2end = "end2end"
    random = "random"


class ProtocolChoice(StrEnum):
    """How a score is computed: reproducibly, or as the paper's authors did."""

    exact = "exact"
    reference = "reference"


class ElementChoice(StrEnum):
    """How visual elements are cut."""

    patches = "patches"
    segments = "segments"


@app.command()
def up(
    folder: Annotated[
        Path | None, typer.Option("--data-folder", help="Where databases, artifacts, logs and keys lie.", file_okay=False)
    ] = None,
    port: Annotated[int, typer.Option(help="Of the API on 127.0.0.1; 0 takes a free one.")] = 8000,
    concurrency: Annotated[int, typer.Option("--worker-concurrency", help="Jobs that run at the same time.", min=1)] = 1,
) -> None:
    """Start a service on this machine (database, broker, API, worker) and stay until Ctrl-C; `iis` finds it by itself."""
    folder = folder or data_folder()
    command = stack_command(folder, port=port, concurrency=concurrency, ready_file=data_folder() / READY_FILE_NAME)
    os.execv(command[0], command)  # noqa: S606 (there is no shell to quote for)


@app.command()
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
    library: Annotated[LibraryName, typer.Option(help="The concept library.")] = LibraryName.cluster,
    concepts: Annotated[int, typer.Option(help="M, how many concepts.", min=1)] = 200,
    part: Annotated[list[str] | None, typer.Option(help="A part of a combined library, kind:M; two or more in place of --library.")] = None,
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
    chosen = _library(library, concepts, part)
    arguments, overrides = _pairs(arg, "--arg"), _pairs(preprocess, "--preprocess") or None
    if plot is not None:
        _require_place_for(plot)
    with IISClient() as client:
        if features is not None:
            with terminal.sending(features) as progress:
                dataset = client.create_dataset(features, kind="features", progress=progress)
            model = None
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
        if model is not None:
            with terminal.busy("A worker loads the model"):
                model = client.wait_until_ready(model)
        with terminal.busy("A worker reads the data set"):
            dataset = client.wait_until_ready(dataset)
        job = client.score(
            model["id"] if model is not None else None,
            dataset["id"],
            chosen,
            elements={"kind": cast("Any", elements.value), "images_per_class": 10, "seed": seed},
            protocol=cast("Any", protocol.value),
            seed=seed,
        )
        if not watch and plot is None:
            terminal.show_job(job, as_json)
            return
        terminal.watch(job, client.events(job["id"]))
        _show_result(client, client.wait(job["id"]), terminal, plot, as_json)


@app.command()
def jobs(
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List your jobs, newest first."""
    with IISClient() as client:
        found = list(islice(client.jobs(state=state), limit))
    Terminal().show_jobs(found, as_json)


@app.command()
def result(
    job: str,
    plot: PlotOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait for the job when it is not finished.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a job found."""
    terminal = Terminal(quiet=as_json)
    if plot is not None:
        _require_place_for(plot)
    with IISClient() as client:
        found = client.job(job)
        if watch:
            terminal.watch(found, client.events(job))
            found = client.wait(job)
        _show_result(client, found, terminal, plot, as_json)


@app.command()
def cancel(job: str) -> None:
    """Cancel a job."""
    with IISClient() as client:
        Terminal().show_state(client.cancel(job))


def main() -> None:
    """Run the command; whatever goes wrong is one sentence and exit code 1."""
    try:
        app()
    except ServiceError as error:
        Terminal().error(f"{error}", f"request {error.request_id}" if error.request_id else None)
        sys.exit(1)
    except IISError as error:
        Terminal().error(f"{error}")
        sys.exit(1)
    except OSError as error:  # of this machine's files; what the network does is an IISError by now
        Terminal().error(f"{error.filename}: {error.strerror}." if error.filename and error.strerror else f"{error}.")
        sys.exit(1)


def _show_result(client: IISClient, job: Job, terminal: Terminal, plot: Path | None, as_json: bool) -> None:
    require_success(job)
    terminal.show_result(client.result(job["id"]), as_json)
    if plot is not None:
        plot.write_bytes(client.plot(job["id"], "arr", _figure_format(plot)))
        terminal.saved(plot)


def _require_place_for(plot: Path) -> None:
    """Tell an impossible wish before the work, not after it."""
    _figure_format(plot)
    if not plot.parent.is_dir():
        raise ConfigurationError(f"There is no folder {plot.parent} to save {plot.name} in; make it, or choose another place for --plot.")


def _figure_format(plot: Path) -> Literal["png", "svg"]:
    match plot.suffix.lower():
        case ".png":
            return "png"
        case ".svg":
            return "svg"
        case _:
            raise ConfigurationError(f"A figure can be saved as .png or .svg, not as {plot.name}.")


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


def _pairs(given: list[str] | None, option: str) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for one in given or []:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"{option} takes key=value, not {one!r}.")
        try:
            pairs[name] = json.loads(value)
        except ValueError:
            pairs[name] = value  # a bare word is a string
    return pairs


def _library(kind: LibraryName, concept_count: int, parts: list[str] | None) -> Library:
    if not parts:
        return {"kind": kind.value, "concept_count": concept_count}
    cut = [part.partition(":") for part in parts]
    if not all(count.isdigit() for _, _, count in cut):
        raise ConfigurationError("--part takes kind:M, for example --part cluster:100 --part prototype:100.")
    return {"kind": "combined", "parts": [{"kind": cast("LibraryKind", name), "concept_count": int(count)} for name, _, count in cut]}
