"""`iis up` where the service is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]
PACKAGES = ("iis_client", "iis_engine", "iis_schemas")  # top-level packages of the wheel
WITHOUT_APP = """
import sys
from pathlib import Path
sys.path[:] = [{installed!r}, *(path for path in sys.path if not (Path(path) / "app").is_dir())]
sys.argv = ["iis", "up"]
from iis_client.cli import main
main()
"""


def test_an_installed_wheel_says_where_the_service_runs_from(tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    installed.mkdir()
    for package in PACKAGES:
        (installed / package).symlink_to(CHECKOUT / package)
    words = [sys.executable, "-c", WITHOUT_APP.format(installed=str(installed))]
    environment = os.environ | {"IIS_DATA_FOLDER": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: The installed package contains the client and the scoring library; "
        "API, worker and migrations run from a checkout of the repository or from its container images.\n"
    )
