"""Options of `iis finetune`."""

from __future__ import annotations

import inspect
from enum import StrEnum

import pytest

from iis_client.cli.finetune import finetune
from iis_schemas.jobs.finetuning import FinetuneCreate

WITHOUT_OPTION = {"elements", "precision", "deadline_seconds", "notes", "metadata", "webhook_events"}
NAMES = set(FinetuneCreate.model_fields) - {"kind", "model", "dataset", "library", "seeds", "tags"} - WITHOUT_OPTION


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_default_of_an_option_is_the_default_of_the_service(name: str) -> None:
    default = inspect.signature(finetune).parameters[name].default
    assert (default.value if isinstance(default, StrEnum) else default) == FinetuneCreate.model_fields[name].default
