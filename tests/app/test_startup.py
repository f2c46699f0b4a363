"""Imports of the API, and settings that it requires to start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings

HEAVY = ("torch", "torchvision", "timm", "open_clip", "onnxruntime", "sklearn", "worker", "iis_client")


def test_the_api_imports_no_computing_libraries() -> None:
    code = f"import sys, app.main; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == ""


def test_storage_and_database_do_not_import_the_web_framework() -> None:
    code = "import sys, app.storage, app.db.session, app.db.repository, app.db.transitions; print('fastapi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("secret", ["", "short"])
def test_the_api_does_not_start_without_a_valid_secret(settings: Settings, secret: str) -> None:
    with pytest.raises(ValueError, match="IIS_API_KEY_SECRET"):
        create_app(settings.model_copy(update={"api_key_secret": secret}))
