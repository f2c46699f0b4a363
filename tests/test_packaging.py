"""The wheel: what it holds, and what it says about itself."""

from __future__ import annotations

import os
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGES = {"iis_client", "iis_engine", "iis_schemas"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder], cwd=REPOSITORY, check=True)
    (file,) = folder.glob("*.whl")
    return ZipFile(file)


def test_the_wheel_holds_the_client_the_engine_and_the_wire_types_alone(wheel: ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_each_package_of_the_wheel_is_typed(wheel: ZipFile) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(wheel.namelist())


def test_the_wheel_carries_the_vocabularies_and_the_license(wheel: ZipFile) -> None:
    names = wheel.namelist()
    assert len([name for name in names if name.startswith("iis_engine/vocabularies/") and name.endswith(".txt")]) == 14
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_metadata_names_license_and_command(wheel: ZipFile) -> None:
    metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    assert message_from_bytes(wheel.read(metadata))["License-Expression"] == "Apache-2.0"
    scripts = next(name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    assert "iis = iis_client.cli:main" in wheel.read(scripts).decode()


EXAMPLE = """
import iis_engine
from iis_engine import ElementSpec, LibrarySpec
from support.coloured_images import ColouredImages, colour_network, to_tensor

model, train, test = colour_network(), ColouredImages(24, 0, to_tensor), ColouredImages(12, 1, to_tensor)
result = iis_engine.score(model, train, test, library=LibrarySpec("prototype", 4), elements=ElementSpec(scales=(1,)))
print(iis_engine.__file__, "<svg" in result._repr_html_(), sep="\\n")
"""


@pytest.mark.slow
def test_the_notebook_example_runs_from_the_content_of_the_wheel_alone(wheel: ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "installed")
    path = os.pathsep.join((str(tmp_path / "installed"), str(REPOSITORY / "tests")))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", EXAMPLE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "installed" / "iis_engine" / "__init__.py"), "True"]
    assert "visual elements" in done.stderr  # the bars of tqdm
