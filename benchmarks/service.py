"""The service on loopback: a second job on the same data against the first, polls of a running job's state, and claims of queued jobs.

Starts its own stack in a temporary folder. A job is timed from its submission until the client receives its final state.
The data are ready features, so a second job reuses the random control (another library) or everything (the same request).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from app.local.servers import EmbeddedPostgres
from benchmarks.claims import measure_claims
from benchmarks.golden import digit_pixels, golden_features
from benchmarks.timing import exit_on_signals, print_ratio, timed
from iis_client import IISClient
from iis_client.cli.local.local_stack import LocalStack
from iis_client.transport.address import Address
from iis_schemas.names import FINISHED_STATES

POLL_THREADS = 4
POLL_SECONDS = 10.0
STATE_TIMEOUT_SECONDS = 60.0
STATE_PAUSE_SECONDS = 0.02
JOB_TIMEOUT_SECONDS = 900.0
DATABASE_NAME = "iis"  # of the embedded stack
CONCEPT_COUNT = 50  # enough for ten classes, as in the demo
PROTOTYPE = {"kind": "prototype", "concept_count": CONCEPT_COUNT}
CLUSTER = {"kind": "cluster", "concept_count": CONCEPT_COUNT}
SERVERS = ("IIS_DATABASE_URL", "IIS_REDIS_URL", "IIS_STORAGE_URL", "IIS_S3_ENDPOINT_URL")
"""Variables of a real service, which the benchmark must not use."""


@dataclass(frozen=True)
class Polls:
    """Polls of one thread while the job was unfinished.

    Attributes
    ----------
    latencies : seconds
    errors : number of answers that were not 2xx
    """

    latencies: list[float]
    errors: int
    seconds: float


def main() -> None:
    """Start the stack, run the benchmark, stop the stack."""
    exit_on_signals()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in SERVERS:
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="iis-bench-") as name:
        folder = Path(name)
        stack = LocalStack(folder / "service")
        try:
            address = stack.wait_until_ready()
            with IISClient(address.url, address.api_key) as client:
                measure(client, address, folder)
            measure_claims(EmbeddedPostgres(stack.folder / "postgres").url(DATABASE_NAME))
        finally:
            stack.stop()


def measure(client: IISClient, address: Address, folder: Path) -> None:
    """Time jobs and polls."""
    uploaded = client.create_dataset(write_features(folder / "features.npz"), kind="features")
    dataset = client.wait_until_ready(uploaded, JOB_TIMEOUT_SECONDS).id
    first, _ = timed(lambda: run_job(client, dataset, PROTOTYPE))
    other, _ = timed(lambda: run_job(client, dataset, CLUSTER))
    same, _ = timed(lambda: run_job(client, dataset, PROTOTYPE))
    print_ratio("second_job_other_library", other.wall, first.wall)
    print_ratio("second_job_same_request", same.wall, first.wall)
    measure_polls(client, address, dataset)


def write_features(path: Path) -> Path:
    """Write the features of all jobs as a file to upload."""
    features = golden_features("digits_trained") or digit_pixels()
    if features.elements is None:
        raise ValueError("The golden digits have no features of elements, which the libraries need.")
    arrays = {name: getattr(features, name).numpy() for name in ("X_train", "y_train", "X_test", "y_test")}
    np.savez(path, concepts=features.elements.numpy(), **arrays)
    return path


def run_job(client: IISClient, dataset: str, library: Mapping[str, object]) -> None:
    """Submit one job and wait for its end."""
    client.wait(client.score(None, dataset, library), JOB_TIMEOUT_SECONDS)


def measure_polls(client: IISClient, address: Address, dataset: str) -> None:
    """Poll GET /v1/jobs/{id} from several threads, each on one connection, as long as the job runs and at most `POLL_SECONDS`."""
    job = client.score(None, dataset, PROTOTYPE, seed=1).id  # another seed, so that nothing of it is there already
    wait_until_running(client, job)
    with ThreadPoolExecutor(POLL_THREADS) as threads:
        polls = [future.result() for future in [threads.submit(poll, address, job) for _ in range(POLL_THREADS)]]
    seconds = max(one.seconds for one in polls)
    latencies = [latency for one in polls for latency in one.latencies]
    fields = {
        "polls_per_second": f"{len(latencies) / seconds:.0f}",
        "p99_ms": f"{1000 * float(np.percentile(latencies, 99)):.1f}",
        "p50_ms": f"{1000 * float(np.median(latencies)):.1f}",
        "threads": POLL_THREADS,
        "seconds": f"{seconds:.1f}",
        "errors": sum(one.errors for one in polls),
    }
    print("BENCH api_polls", *(f"{name}={value}" for name, value in fields.items()), flush=True)


def wait_until_running(client: IISClient, job: str) -> None:
    """Wait until a worker has claimed the job.

    Raises
    ------
    RuntimeError
        When the job ends before it could be polled, or stays queued.
    """
    until = time.monotonic() + STATE_TIMEOUT_SECONDS
    while (state := client.job(job).state) != "running":
        if state in FINISHED_STATES or time.monotonic() > until:
            raise RuntimeError(f"Job {job} is {state}; polls are timed only while it runs.")
        time.sleep(STATE_PAUSE_SECONDS)


def poll(address: Address, job: str) -> Polls:
    """Poll until `POLL_SECONDS` have passed or the job has ended."""
    latencies: list[float] = []
    errors = 0
    with httpx.Client(base_url=address.url, headers={"Authorization": f"Bearer {address.api_key}"}) as connection:
        began = time.perf_counter()
        while time.perf_counter() - began < POLL_SECONDS:
            elapsed, answer = timed(lambda: connection.get(f"/v1/jobs/{job}"))
            if not answer.is_success:
                errors += 1
            elif answer.json()["state"] in FINISHED_STATES:
                break
            latencies.append(elapsed.wall)
        return Polls(latencies, errors, time.perf_counter() - began)


if __name__ == "__main__":
    main()
