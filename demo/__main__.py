"""Score networks on drawn scenes and on digits over REST: `python -m demo [--once] [--output FOLDER]`. Inputs: demo.inputs."""

from __future__ import annotations

import signal
import sys
import time
import webbrowser
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from demo.explanation import explain_two
from demo.scoring import best_of, score_all, score_table
from iis_client.cli.local.local_stack import LocalStack
from iis_client.client import IISClient
from iis_client.errors import IISError

CONCURRENCY = 2  # for jobs this small, two jobs side by side are faster than two threads per job

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def run(
    once: Annotated[bool, typer.Option("--once", help="Stop the service and exit when the results are printed.")] = False,
    output: Annotated[Path, typer.Option(help="Folder for images, checkpoints, figures and the service's data.")] = Path("demo-output"),
    port: Annotated[int, typer.Option(help="Port of the API on 127.0.0.1; 0 selects a free port.")] = 0,
) -> None:
    """Start a service, score a network on scenes of known parts beside two that should gain nothing, and open the best score."""
    started = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)
    stack = LocalStack(output / "service", port=port, concurrency=CONCURRENCY)
    try:
        console.print(f"Starting the service; its data and logs are in {output / 'service'}.")
        from demo.inputs import train_networks, write_images  # imports and draws while the service starts

        datasets = {"scenes": output / "scenes", "digits": output / "digits"}
        scenes = write_images(datasets)
        console.print(f"Drew scenes of objects in places to {datasets['scenes']}; wrote scikit-learn's digits to {datasets['digits']}.")
        address = stack.wait_until_ready()
        stack.publish()
        console.print(f"Watch the jobs at {address.url}; the API key to sign in: {address.api_key}")
        with IISClient(address.url, address.api_key) as client:
            console.print(f"Training small networks for some seconds each; checkpoints are in {output / 'checkpoints'}.")
            scored = score_all(client, datasets, train_networks(scenes, output / "checkpoints"), console.print)
            console.print(score_table(scored))
            best = best_of(scored)
            figures = output / "figures"
            console.print(f"The largest gain over matched directions is that of: {best.network.name}.")
            console.print(*explain_two(client, best.job, figures / "explanation.png"), sep="\n")
            figures.mkdir(parents=True, exist_ok=True)
            (figures / "arr.png").write_bytes(client.plot(best.job, "arr", "png"))
        console.print(f"Its ARR figure is {figures / 'arr.png'}.\nDone in {time.monotonic() - started:.0f} s.")
        if not once:
            page = f"{address.url}/jobs/{best.job}"
            console.print(f"The service is still running; Ctrl-C stops it. The page of this score: {page}")
            console.print(f"  API key to sign in (also in {output / 'service' / 'api-key'}): {address.api_key}")
            console.print(f"API documentation: {address.url}/v1/docs. In another terminal, try: iis jobs list")
            if sys.stdout.isatty() and webbrowser.open(page):
                console.print("Opened the page in a browser.")
            stack.wait_until_stopped()
    except KeyboardInterrupt:
        console.print("Stopping the service.")
    except IISError as error:
        console.print(f"Error: {error}", style="red")
        raise typer.Exit(1) from error
    finally:
        stack.stop()


def _exit(number: int, _: FrameType | None) -> None:
    """Exit by an exception, so that `finally` stops the service."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    typer.run(run)
