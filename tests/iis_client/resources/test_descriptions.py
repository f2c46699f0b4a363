"""Names, notes, tags and metadata from Python, and registrations of the same content, against a running service."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from iis_client import AsyncIISClient, ConfigurationError, IISClient, InvalidInputError
from iis_client.transport.address import Address


def test_resources_are_described_listed_and_changed(client: IISClient, digits_features: Path) -> None:
    team = secrets.token_hex(4)
    dataset = client.create_dataset(
        digits_features, kind="features", split_seed=3, name="Digits, described", tags=["a", "b"], metadata={"team": team}
    )
    model = client.create_model("timm:resnet18", initial_seed=3, notes="untrained", metadata={"team": team})
    assert (dataset.tags, dataset.metadata, model.notes, model.name) == (
        ["a", "b"],
        {"team": team},
        "untrained",
        "timm:resnet18, untrained (seed 3)",
    )
    assert [one.id for one in client.datasets(metadata={"team": team}, tags=["b", "a"], name_contains="DIGITS, D")] == [dataset.id]
    assert [one.id for one in client.models(metadata={"team": team}, sort="name")] == [model.id]
    changed = client.update_model(model, name="a net", notes=None, metadata={"team": None, "ticket": "7"})
    assert (changed.name, changed.notes, changed.tags, changed.metadata) == ("a net", None, [], {"ticket": "7"})
    assert client.update_dataset(dataset, tags=None).tags == []
    with pytest.raises(InvalidInputError, match="name"):
        client.update_model(model, name=None)
    with pytest.raises(ConfigurationError, match="tags"):
        client.update_model(model, tags=["a,b"])


def test_the_same_content_with_the_same_settings_existed(client: IISClient, digits_features: Path) -> None:
    first, again, other = (client.create_dataset(digits_features, kind="features", split_seed=seed) for seed in (4, 4, 5))
    assert ((first.existed, again.existed, other.existed), again.id == first.id) == ((False, True, False), True)
    assert client.model_uses(client.create_model("timm:resnet18", initial_seed=4)).deletable


def test_an_async_client_has_the_same_calls(service: Address, digits_features: Path) -> None:
    async def run() -> list[str]:
        async with AsyncIISClient(service.url, service.api_key) as client:
            dataset = await client.create_dataset(digits_features, kind="features", split_seed=6)
            await client.update_dataset(dataset, tags=["by asyncio"])
            return [one.id async for one in client.datasets(tags=["by asyncio"])]

    with ThreadPoolExecutor(1) as threads:
        assert len(threads.submit(asyncio.run, run()).result()) == 1
