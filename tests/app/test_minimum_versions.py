"""Nothing starts with a package whose holes hostile input reaches."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from app.minimum_versions import API_MINIMUM_VERSIONS, MinimumVersionError, require_minimum_versions
from worker.minimum_versions import WORKER_MINIMUM_VERSIONS


@pytest.fixture
def old_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution as it would be installed, before the one that is."""
    folder = tmp_path / "torch-2.9.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.9.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_what_is_installed_here_is_young_enough() -> None:
    require_minimum_versions(API_MINIMUM_VERSIONS | WORKER_MINIMUM_VERSIONS)


@pytest.mark.usefixtures("old_torch")
def test_an_old_package_is_refused_with_what_to_install() -> None:
    assert distribution("torch").version == "2.9.1"
    with pytest.raises(MinimumVersionError, match=r"torch 2\.9\.1 has known holes .* run pip install 'torch>=2\.10\.0'\.$"):
        require_minimum_versions(WORKER_MINIMUM_VERSIONS)


def test_neither_the_api_nor_a_worker_starts_beside_an_old_package(tmp_path: Path) -> None:
    for name, program in (("starlette", "from app.main import create_app; create_app()"), ("torch", "import worker.celery_app")):
        folder = tmp_path / f"{name}-0.1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": path}
        )
        assert done.returncode != 0
        assert f"MinimumVersionError: {name} 0.1 has known holes" in done.stderr


def test_versions_are_compared_as_versions() -> None:
    require_minimum_versions({"x": "2.10.0"}, installed=lambda _: "2.10.0+cu130")
    require_minimum_versions({"x": "2.9"}, installed=lambda _: "2.10")
    with pytest.raises(MinimumVersionError):
        require_minimum_versions({"x": "2.10.0"}, installed=lambda _: "2.10.0rc1")


def test_the_project_asks_installers_for_no_older_ones() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = {wanted.name: wanted for wanted in map(Requirement, [*extras["api"], *extras["engine"]])}
    for name, floor in (API_MINIMUM_VERSIONS | WORKER_MINIMUM_VERSIONS).items():
        (lowest,) = (Version(part.version) for part in asked[name].specifier if part.operator == ">=")
        assert lowest >= Version(floor), name
