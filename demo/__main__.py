"""The main job on real images, over REST: `python -m demo.__main__ [--once] [--output FOLDER]`. Inputs come from demo.checkpoints."""

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
from iis_client.cli.local_stack import LocalStack
from iis_client.cli.output.concepts import REASON_WORDS
from iis_client.client import IISClient
from iis_client.errors import IISError
from iis_client.types.concepts import PhraseDetails
from iis_client.types.scores import Job, Library, LibraryKind, Report, shown

if TYPE_CHECKING:
    from demo.checkpoints import Checkpoint

LIBRARIES: tuple[LibraryKind, ...] = ("prototype", "cluster", "end2end", "text")
CONCEPT_COUNT = 50  # enough for ten classes; of the text library the most
PHRASES_SHOWN = 5
CONCURRENCY = 2  # jobs this small gain more from each other's company than from a second thread

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


@dataclass(frozen=True)
class Words:
    """What text concepts are made of: the checkpoint of a vision-language model and a file of phrases."""

    model: Path
    vocabulary: Path


@dataclass(frozen=True)
class Scored:
    """One line of the table."""

    checkpoint: Checkpoint
    library: LibraryKind
    report: Report
    plot: Path
    job: str


def run(
    once: Annotated[bool, typer.Option("--once", help="Stop the service and exit after the table.")] = False,
    output: Annotated[Path, typer.Option(help="Where images, checkpoints, figures and the service's data go.")] = Path("demo-output"),
    port: Annotated[int, typer.Option(help="Of the API on 127.0.0.1; 0 takes a free one.")] = 0,
) -> None:
    """Score four checkpoints of one small network with four libraries, in a service started for it."""
    began = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    stack = LocalStack(output / "service", port=port, concurrency=CONCURRENCY)
    try:
        console.print(f"A service is starting; its data and logs are in {output / 'service'}.")
        # Imports and trainings take seconds, while the service starts.
        from demo.checkpoints import ARCHITECTURE, train_checkpoints, write_digits
        from demo.language_model import train_digit_language_model, write_vocabulary

        write_digits(output / "digits")
        console.print(f"Wrote scikit-learn's digits as class folders to {output / 'digits'}.")
        checkpoints = train_checkpoints(output / "checkpoints")
        console.print(f"Trained timm's {ARCHITECTURE} from nothing and kept it {len(checkpoints)} times, in {output / 'checkpoints'}.")
        words = Words(train_digit_language_model(output / "checkpoints" / "language.safetensors"), write_vocabulary(output / "digits.txt"))
        console.print(f"Trained a small vision-language model on what is true of each digit; the phrases are in {words.vocabulary}.")
        address = stack.wait_until_ready()
        with IISClient(address.url, address.api_key) as client:
            scored = score_all(client, output, checkpoints, words)
            console.print(table_of(scored))
            console.print(words_of(client, scored[-1]))
            console.print(*explain_two(client, scored[-1].job, output / "figures" / "explanation.png"), sep="\n")
        console.print(f"The ARR figure of each line is in {output / 'figures'}.\nDone in {time.monotonic() - began:.0f} s.")
        if not once:
            console.print(f"The service stays up; Ctrl-C stops it. To look at all this, open {address.url}/ in a browser;")
            console.print(f"  the key to sign in with is in {output / 'service' / 'api-key'}, and here: {address.api_key}")
            console.print(f"The API's docs: {address.url}/v1/docs. To use it from another terminal:")
            console.print(f"  export IIS_URL={address.url} IIS_API_KEY={address.api_key}")
            stack.wait_until_stopped()
    except KeyboardInterrupt:
        console.print("Stopping the service.")
    except IISError as error:
        console.print(f"Error: {error}", style="red")
        raise typer.Exit(1) from error
    finally:
        stack.stop()


def score_all(client: IISClient, output: Path, checkpoints: list[Checkpoint], words: Words) -> list[Scored]:
    """Upload everything, submit every pair of checkpoint and library, and collect the results."""
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
    vlm = client.create_model(LANGUAGE, role="vlm", checkpoint=words.model, arguments=ARGUMENTS)
    vocabulary = client.create_concept_set(words.vocabulary, name="what is true of digits")
    console.print(f"Uploaded the images, {len(models)} checkpoints, the vision-language model and its phrases; a worker looks at them.")
    ready = client.wait_until_ready(dataset)
    loaded = [client.wait_until_ready(model) for model in models]
    with_words: dict[str, Any] = {"vlm": client.wait_until_ready(vlm)["id"], "vocabulary": vocabulary["id"]}
    submitted: list[tuple[Checkpoint, LibraryKind, Job]] = []
    for library in LIBRARIES:  # the outer loop, so that jobs side by side never measure the same random control twice
        for checkpoint, model in zip(checkpoints, loaded, strict=True):
            choice: Library = {"kind": library, "concept_count": CONCEPT_COUNT}
            job = client.score(model["id"], ready["id"], choice, **with_words if library == "text" else {})
            submitted.append((checkpoint, library, job))
    console.print(f"Submitted {len(submitted)} jobs: {', '.join(LIBRARIES)}, each against random directions.")
    scored = [_collect(client, output, *one) for one in submitted]
    return sorted(scored, key=lambda one: (one.checkpoint.step, LIBRARIES.index(one.library)))


def table_of(scored: list[Scored]) -> Table:
    """Accuracy against interpretability, one line for each checkpoint and library."""
    table = Table("checkpoint", "accuracy", "library", "IIS ± interval", "random control", "gain", title="Inherent Interpretability Score")
    for one in scored:
        report = one.report
        table.add_row(
            one.checkpoint.name,
            f"{report['accuracy_representation']:.3f}",
            one.library,
            _with_half_width(report),
            f"{shown(report['iis_random_mean'])} ± {shown(report['iis_random_sd'])}",
            shown(report["concept_gain"], "+.3f"),
            end_section=one.library == LIBRARIES[-1],
        )
    return table


def words_of(client: IISClient, scored: Scored) -> str:
    """The phrases that a text library kept and left out, in a few lines."""
    library = client.result(scored.job)["library"]
    kept = sorted(client.concepts(library), key=lambda concept: -cast("PhraseDetails", concept["details"])["similarity"])
    left_out = defaultdict[str, list[str]](list)
    for phrase in client.dropped_concepts(library):
        left_out[phrase["reason"]].append(phrase["text"])
    best = ", ".join(str(concept["label"]) for concept in kept[:PHRASES_SHOWN])
    lines = [f"The text library of {scored.checkpoint.name} has {len(kept)} concepts; those it reads best: {best}."]
    lines += [f"  Left out, {REASON_WORDS[reason]}: {', '.join(phrases)}." for reason, phrases in left_out.items()]
    return "\n".join(lines)


def _with_half_width(report: Report) -> str:
    low, high = report["iis_low"], report["iis_high"]
    return shown(report["iis"]) + ("" if low is None or high is None else f" ± {(high - low) / 2:.3f}")


def _leave(number: int, _: FrameType | None) -> None:
    """Leave by an exception, so that the service is stopped on the way out."""
    raise SystemExit(128 + number)


def _collect(client: IISClient, output: Path, checkpoint: Checkpoint, library: LibraryKind, job: Job) -> Scored:
    client.wait(job["id"])
    plot = output / "figures" / f"{checkpoint.path.stem}-{library}-arr.png"
    plot.parent.mkdir(parents=True, exist_ok=True)
    plot.write_bytes(client.plot(job["id"], "arr", "png"))
    report = client.result(job["id"])["report"]
    console.print(f"  {checkpoint.name}, {library}: IIS {shown(report['iis'])}")
    return Scored(checkpoint, library, report, plot, job["id"])


if __name__ == "__main__":
    typer.run(run)
