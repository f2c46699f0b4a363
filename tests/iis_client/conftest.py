"""Fixtures of the client: a running service, clients and commands that reach it, and resources on it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from iis_client import IISClient
from iis_client.transport.address import Address
from iis_client.transport.http import Transport
from support.breaking_proxy import BreakingProxy
from support.iis_command import RunCommand, StartCommand, run_iis, start_iis_program
from support.planted import ARCHITECTURE, ARGUMENTS, PREPROCESSING, Planted
from support.scripted_service import ScriptedService
from support.stacks import RunningStack


@pytest.fixture(scope="session")
def service(running_stack: RunningStack) -> Address:
    return running_stack.address


@pytest.fixture
def client(service: Address) -> Iterator[IISClient]:
    with IISClient(service.url, service.api_key) as connected:
        yield connected


@pytest.fixture
def iis(service: Address, tmp_path: Path) -> RunCommand:
    """Runs the `iis` command against the running service, in this process."""
    return partial(run_iis, service, tmp_path)


@pytest.fixture
def start_iis(service: Address, tmp_path: Path) -> StartCommand:
    """Starts the `iis` program against the running service, in a process of its own."""
    return partial(start_iis_program, service, tmp_path)


@pytest.fixture(scope="session")
def digits_features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pixels of four of scikit-learn's digits as precomputed features, with training images as elements."""
    digits: Any = load_digits(n_class=4)
    pixels, labels = digits.data.astype(np.float32), digits.target
    train, test, train_labels, test_labels = train_test_split(pixels, labels, test_size=0.25, stratify=labels, random_state=0)
    path = tmp_path_factory.mktemp("features") / "digits.npz"
    np.savez(path, X_train=train, y_train=train_labels, X_test=test, y_test=test_labels, concepts=train[:300])
    return path


@pytest.fixture(scope="session")
def cats_and_owls(service: Address, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ready data set of two classes whose names are words."""
    folder = tmp_path_factory.mktemp("images") / "pets"
    noise = np.random.default_rng(0)
    for name in ("train/cat", "train/owl", "test/cat", "test/owl"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(noise.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / name / f"{number}.png")
    with IISClient(service.url, service.api_key) as client:
        return client.wait_until_ready(client.create_dataset(folder), 120).id


@pytest.fixture(scope="session")
def image_job(service: Address, planted: Planted) -> str:
    """A finished score job on images with 50 clusters of patches."""
    with IISClient(service.url, service.api_key) as client:
        model = client.create_model(ARCHITECTURE, checkpoint=planted.backbone, arguments=ARGUMENTS, preprocessing=PREPROCESSING)
        dataset = client.create_dataset(planted.images, name="planted")
        ready = client.wait_until_ready(model, 120), client.wait_until_ready(dataset, 120)
        return client.wait(client.score(*ready, {"kind": "cluster", "concept_count": 50}), 240).id


@pytest.fixture
def warm_circle(planted: Planted) -> Path:
    """A test image."""
    return min((planted.images / "test" / "warm circle").iterdir())


@pytest.fixture
def proxy(service: Address) -> Iterator[BreakingProxy]:
    between = BreakingProxy(service)
    yield between
    between.close()


@pytest.fixture
def through_proxy(proxy: BreakingProxy, service: Address) -> Iterator[IISClient]:
    """A client whose connections a test can break; it stops retrying early."""
    transport = Transport(proxy.url, service.api_key, attempts=3, first_pause_seconds=0.05)
    with IISClient(transport=transport) as connected:
        yield connected


@pytest.fixture
def scripted() -> Iterator[ScriptedService]:
    service = ScriptedService()
    yield service
    service.close()


@pytest.fixture
def impatient(scripted: ScriptedService) -> Iterator[Transport]:
    """A transport to the scripted service with at most three attempts and short pauses."""
    transport = Transport(scripted.url, "iis_key", attempts=3, first_pause_seconds=0.01)
    yield transport
    transport.close()
