"""Score four checkpoints of one network over REST: `python -m demo [--once] [--output FOLDER]`. Inputs: demo.checkpoints."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from demo.explanation import explain_two
from iis_client.cli.local.local_stack import LocalStack
from iis_client.cli.output.concepts import REASON_WORDS
from iis_client.cli.output.numbers import format_score
from iis_client.client import IISClient
from iis_client.errors import IISError
from iis_schemas.concept_libraries import PhraseDetails
from iis_schemas.jobs.views import ScoreJobView
from iis_schemas.names import LibraryKind
from iis_schemas.results.reports import ControlView, Report

if TYPE_CHECKING:
    from demo.checkpoints import Checkpoint

LIBRARIES: tuple[LibraryKind, ...] = ("prototype", "cluster", "end2end", "text")
CONCEPT_COUNT = 50  # enough for ten classes; the maximum of the text library
PHRASES_LISTED = 5
CONCURRENCY = 2  # for jobs this small, two jobs side by side are faster than two threads per job

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


@dataclass(frozen=True)
class TextInputs:
    """Inputs of the text library: the checkpoint of a vision-language model and a file of phrases."""

    model: Path
    vocabulary: Path


@dataclass(frozen=True)
class Scored:
    """One row of the table."""

    checkpoint: Checkpoint
    library: LibraryKind
    report: Report
    plot: Path
    job: str


def run(
    once: Annotated[bool, typer.Option("--once", help="Stop the service and exit when the results are printed.")] = False,
    output: Annotated[Path, typer.Option(help="Folder for images, checkpoints, figures and the service's data.")] = Path("demo-output"),
    port: Annotated[int, typer.Option(help="Port of the API on 127.0.0.1; 0 selects a free port.")] = 0,
) -> None:
    """Start a service and score four checkpoints of one small network with four concept libraries."""
    started = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)
    stack = LocalStack(output / "service", port=port, concurrency=CONCURRENCY)
    try:
        console.print(f"Starting the service; its data and logs are in {output / 'service'}.")
        # Import and train while the service starts.
        from demo.checkpoints import ARCHITECTURE, train_checkpoints, write_digits
        from demo.language_model import train_digit_language_model, write_vocabulary

        write_digits(output / "digits")
        console.print(f"Wrote scikit-learn's digits as class folders to {output / 'digits'}.")
        checkpoints = train_checkpoints(output / "checkpoints")
        console.print(f"Trained timm's {ARCHITECTURE} from scratch; saved {len(checkpoints)} checkpoints to {output / 'checkpoints'}.")
        text_inputs = TextInputs(
            train_digit_language_model(output / "checkpoints" / "language.safetensors"), write_vocabulary(output / "digits.txt")
        )
        console.print(f"Trained a small vision-language model on attributes of the digits; the phrases are in {text_inputs.vocabulary}.")
        address = stack.wait_until_ready()
        stack.publish()
        with IISClient(address.url, address.api_key) as client:
            scored = score_all(client, output, checkpoints, text_inputs)
            console.print(score_table(scored))
            console.print(text_library_summary(client, scored[-1]))
            console.print(*explain_two(client, scored[-1].job, output / "figures" / "explanation.png"), sep="\n")
        console.print(f"The ARR figure of each row is in {output / 'figures'}.\nDone in {time.monotonic() - started:.0f} s.")
        if not once:
            console.print(f"The service is still running; Ctrl-C stops it. Open its web page in a browser: {address.url}/")
            console.print(f"  API key to sign in (also in {output / 'service' / 'api-key'}): {address.api_key}")
            console.print(f"API documentation: {address.url}/v1/docs. In another terminal, try: iis jobs list")
            stack.wait_until_stopped()
    except KeyboardInterrupt:
        console.print("Stopping the service.")
    except IISError as error:
        console.print(f"Error: {error}", style="red")
        raise typer.Exit(1) from error
    finally:
        stack.stop()


def score_all(client: IISClient, output: Path, checkpoints: list[Checkpoint], text_inputs: TextInputs) -> list[Scored]:
    """Upload the inputs, score every checkpoint with every library, and collect the results."""
    from demo.checkpoints import ARCHITECTURE, CLASS_COUNT, SIDE_PIXELS
    from demo.language_model import ARCHITECTURE as LANGUAGE
    from demo.language_model import ARGUMENTS

    dataset = client.create_dataset(output / "digits", name="digits")
    arguments = {"num_classes": CLASS_COUNT}
    preprocessing = {"input_size": SIDE_PIXELS, "crop_pct": 1.0}
    models = [
        client.create_model(f"timm:{ARCHITECTURE}", checkpoint=one.path, name=one.name, arguments=arguments, preprocessing=preprocessing)
        for one in checkpoints
    ]
    vlm = client.create_model(LANGUAGE, role="vlm", checkpoint=text_inputs.model, arguments=ARGUMENTS)
    vocabulary = client.create_concept_set(text_inputs.vocabulary, name="attributes of digits")
    console.print(f"Uploaded the images, {len(models)} checkpoints, the vision-language model and its phrases; a worker checks them.")
    ready = client.wait_until_ready(dataset)
    loaded = [client.wait_until_ready(model) for model in models]
    text_options: dict[str, Any] = {"vlm": client.wait_until_ready(vlm), "vocabulary": vocabulary}
    submitted: list[tuple[Checkpoint, LibraryKind, ScoreJobView]] = []
    for library in LIBRARIES:  # the outer loop, so that concurrent jobs do not measure the same control twice
        for checkpoint, model in zip(checkpoints, loaded, strict=True):
            choice = {"kind": library, "concept_count": CONCEPT_COUNT}
            job = client.score(model, ready, choice, **text_options if library == "text" else {})
            submitted.append((checkpoint, library, job))
    console.print(f"Submitted {len(submitted)} jobs: {', '.join(LIBRARIES)}, each with two controls.")
    scored = [_collect(client, output, *one) for one in submitted]
    return sorted(scored, key=lambda one: (one.checkpoint.step, LIBRARIES.index(one.library)))


def score_table(scored: list[Scored]) -> Table:
    """Accuracy at few concepts, its gains over both controls, and IIS, one row per checkpoint and library."""
    columns = ("checkpoint", "accuracy", "library", "few", "matched", "any", "IIS")
    table = Table(*columns, title="Accuracy with 5 to 30 concepts, its gains over matched and any directions, and IIS")
    for one in scored:
        report = one.report
        table.add_row(
            one.checkpoint.name,
            f"{report.accuracy_representation:.3f}",
            one.library,
            format_score(report.few_concepts_mean),
            _few_gain(report.controls.matched),
            _few_gain(report.controls.isotropic),
            _with_half_width(report),
            end_section=one.library == LIBRARIES[-1],
        )
    return table


def text_library_summary(client: IISClient, scored: Scored) -> str:
    """Concepts and excluded phrases of a text library, in a few lines."""
    library = cast("str", client.result(scored.job).library)
    kept = sorted(client.concepts(library), key=lambda concept: -cast("PhraseDetails", concept.details).similarity)
    excluded = defaultdict[str, list[str]](list)
    for phrase in client.dropped_concepts(library):
        excluded[phrase.reason].append(phrase.text)
    best = ", ".join(str(concept.label) for concept in kept[:PHRASES_LISTED])
    lines = [f"The text library of {scored.checkpoint.name} has {len(kept)} concepts; highest similarity: {best}."]
    lines += [f"  Excluded, {REASON_WORDS[reason]}: {', '.join(phrases)}." for reason, phrases in excluded.items()]
    return "\n".join(lines)


def _few_gain(control: ControlView | None) -> str:
    return "none" if control is None else format_score(control.few_gain, "+.3f")


def _with_half_width(report: Report) -> str:
    low, high = report.iis_low, report.iis_high
    return format_score(report.iis) + ("" if low is None or high is None else f" ± {(high - low) / 2:.3f}")


def _exit(number: int, _: FrameType | None) -> None:
    """Exit by an exception, so that `finally` stops the service."""
    raise SystemExit(128 + number)


def _collect(client: IISClient, output: Path, checkpoint: Checkpoint, library: LibraryKind, job: ScoreJobView) -> Scored:
    client.wait(job.id)
    plot = output / "figures" / f"{checkpoint.path.stem}-{library}-arr.png"
    plot.parent.mkdir(parents=True, exist_ok=True)
    plot.write_bytes(client.plot(job.id, "arr", "png"))
    report = client.result(job.id).report
    console.print(f"  {checkpoint.name}, {library}: IIS {format_score(report.iis)}")
    return Scored(checkpoint, library, report, plot, job.id)


if __name__ == "__main__":
    typer.run(run)
