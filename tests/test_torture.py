"""Load and broken uploads, for seconds instead of minutes. What else `make torture` tries has short tests beside what it attacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from torture import load, uploads
from torture.promises import Promise


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_load_is_answered_and_starves_nobody(tmp_path: Path) -> None:
    calm, fair, _ = load.run(tmp_path, jobs=4, clients=4, listeners=6, polls_per_second=20, seconds=3)  # what grows takes minutes to show
    assert_kept([calm, fair])


@pytest.mark.timeout(600)
def test_an_upload_whose_connection_is_cut_arrives_and_leaves_again(tmp_path: Path) -> None:
    assert_kept(uploads.run(tmp_path, 0, size_bytes=64 << 20, cuts=3))


def assert_kept(promises: list[Promise]) -> None:
    for promise in promises:
        assert promise.attempts, f"not tried: {promise.sentence}"
        assert not promise.broken, f"{promise.sentence}: {promise.broken}"
