"""One score job on one and on two workers of one thread each, and what being divisible costs a job on one worker.

`python -m benchmarks.workers [--images cifar10 flowers17] [--workers 2]` starts a stack for each case. It prints BENCH lines of extraction
and of the whole job, from the job's own events, and whether the numbers are the same. Run it on a quiet machine with at least as many
cores as workers, and with the images and weights of `benchmarks.real_networks`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.real_networks import DATA, DATASETS, MOBILENETS
from benchmarks.service import SERVERS
from benchmarks.timing import exit_on_signals, machine, print_ratio
from iis_client import IISClient
from iis_client.cli.local.local_stack import LocalStack

NETWORK = "imagenet_mobilenetv1_100_nohead"
LIBRARY = {"kind": "cluster", "concept_count": 200}
NEVER_SECONDS = "1e9"  # a task so long that no stage is divided
JOB_TIMEOUT_SECONDS = 4 * 3600.0


@dataclass(frozen=True)
class Run:
    """Seconds of one job, the tasks that each worker did, and the numbers of its result."""

    extract: float
    whole: float
    tasks: dict[str, int]
    numbers: list[Any]


def main() -> None:
    """Run every case and print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--images", nargs="+", choices=DATASETS, default=["cifar10", "flowers17"])
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if not (DATA / "weights" / f"{NETWORK}.safetensors").is_file():
        sys.exit(f"The images and weights are missing at {DATA}; set IIS_SHARED_DATA to their folder.")
    exit_on_signals()
    print(machine(), flush=True)
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    for name in SERVERS:
        os.environ.pop(name, None)
    for images in options.images:
        undivided = measure(images, 1, {"IIS_TASK_SECONDS": NEVER_SECONDS})
        one, many = measure(images, 1, {}), measure(images, options.workers, {})
        for part in ("extract", "whole"):
            print_ratio(f"workers_divisible_{images}_{part}", getattr(one, part), getattr(undivided, part))
            print_ratio(f"workers_{options.workers}_{images}_{part}", getattr(many, part), getattr(one, part))
        same = undivided.numbers == one.numbers == many.numbers
        print(f"BENCH workers_digits_{images} same={same} tasks={'+'.join(str(count) for count in many.tasks.values())}", flush=True)


def measure(images: str, workers: int, settings: dict[str, str]) -> Run:
    """Start a stack with this many workers and run one job on it."""
    network = MOBILENETS[NETWORK]
    spec = network.spec()
    preprocessing = {"input_size": network.input_size, "mean": spec.preprocessing.mean, "std": spec.preprocessing.std}
    preprocessing |= {"interpolation": spec.preprocessing.interpolation, "crop_pct": spec.preprocessing.crop_pct}
    before = dict(os.environ)
    os.environ |= settings
    with tempfile.TemporaryDirectory(prefix="iis-bench-") as folder:
        stack = LocalStack(Path(folder) / "service", workers=workers)
        try:
            address = stack.wait_until_ready()
            with IISClient(address.url, address.api_key) as client:
                checkpoint = DATA / "weights" / f"{NETWORK}.safetensors"
                model = client.create_model(
                    network.architecture, checkpoint=checkpoint, arguments=spec.arguments, preprocessing=preprocessing
                )
                dataset = client.create_dataset(DATA / images)
                client.wait_until_ready(model, JOB_TIMEOUT_SECONDS)
                client.wait_until_ready(dataset, JOB_TIMEOUT_SECONDS)
                return _run(client, model.id, dataset.id)
        finally:
            stack.stop()
            os.environ.clear()
            os.environ.update(before)


def _run(client: IISClient, model: str, dataset: str) -> Run:
    job = client.wait(client.score(model, dataset, LIBRARY), JOB_TIMEOUT_SECONDS)
    if job.succeeded_at is None or job.running_at is None:
        raise RuntimeError(f"Job {job.id} {job.state}: {job.error}")
    extract, tasks = 0.0, dict[str, int]()
    for event in client.events(job):
        data: dict[str, Any] = event.data
        if event.type == "stage" and data["stage"] == "extract":
            if data["state"] == "finished":
                extract = data["seconds"]
            elif data["state"] == "task":
                tasks[data["worker"]] = tasks.get(data["worker"], 0) + 1
    numbers = [curve.model_dump(include={"name", "points"}) for curve in client.curves(job)]
    return Run(extract, (job.succeeded_at - job.running_at).total_seconds(), tasks, numbers)


if __name__ == "__main__":
    main()
