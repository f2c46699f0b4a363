"""API and worker refuse packages with known vulnerabilities."""

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
def outdated_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outdated distribution that shadows the installed one."""
    folder = tmp_path / "torch-2.9.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.9.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_installed_packages_have_their_minimum_versions() -> None:
    require_minimum_versions(API_MINIMUM_VERSIONS | WORKER_MINIMUM_VERSIONS)


@pytest.mark.usefixtures("outdated_torch")
def test_an_outdated_package_is_refused_with_the_version_to_install() -> None:
    assert distribution("torch").version == "2.9.1"
    with pytest.raises(MinimumVersionError, match=r"torch 2\.9\.1 has known vulnerabilities .* run pip install 'torch>=2\.10\.0'\.$"):
        require_minimum_versions(WORKER_MINIMUM_VERSIONS)


@pytest.mark.slow
def test_api_and_worker_do_not_start_with_an_outdated_package(tmp_path: Path) -> None:
    for name, program in (("starlette", "from app.main import create_app; create_app()"), ("torch", "import worker.celery_app")):
        folder = tmp_path / f"{name}-0.1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": path}
        )
        assert done.returncode != 0
        assert f"MinimumVersionError: {name} 0.1 has known vulnerabilities" in done.stderr


def test_versions_are_compared_as_versions() -> None:
    require_minimum_versions({"x": "2.10.0"}, installed=lambda _: "2.10.0+cu130")
    require_minimum_versions({"x": "2.9"}, installed=lambda _: "2.10")
    with pytest.raises(MinimumVersionError):
        require_minimum_versions({"x": "2.10.0"}, installed=lambda _: "2.10.0rc1")


def test_the_project_metadata_requires_the_minimum_versions() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    required = {requirement.name: requirement for requirement in map(Requirement, [*extras["api"], *extras["engine"]])}
    for name, minimum in (API_MINIMUM_VERSIONS | WORKER_MINIMUM_VERSIONS).items():
        (lowest,) = (Version(part.version) for part in required[name].specifier if part.operator == ">=")
        assert lowest >= Version(minimum), name
