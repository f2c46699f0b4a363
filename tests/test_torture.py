"""Short versions of attacks of `make torture`. The others have short tests in the folders that they attack."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.ui.routes import PAGES
from torture import admission, fairness, load, restore, retention, surface, upgrades, uploads
from torture.promises import Promise
from torture.stack import REPOSITORY


def test_the_attacks_have_a_value_for_every_parameter_of_a_path() -> None:
    paths = [*PAGES, *json.loads((REPOSITORY / "openapi.json").read_text())["paths"]]
    assert {name.partition(":")[0] for path in paths for name in re.findall("{([^}]+)}", path)} == surface.PATH_PARAMETERS


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_under_load_every_request_is_answered_and_no_owner_waits_for_another(tmp_path: Path) -> None:
    # Growth of memory, the third promise, shows only after minutes.
    no_errors, fair, _ = load.run(tmp_path, jobs=4, clients=4, listeners=6, polls_per_second=20, seconds=3)
    assert_kept([no_errors, fair])


def test_during_floods_another_owner_is_served_and_memory_is_bounded(tmp_path: Path) -> None:
    # The third promise, a p99, needs a machine without other work.
    floods = ("burst of 400", "45 half-sent bodies")
    _, served, bounded = admission.run(tmp_path, 1, floods, share=0.5, seconds=1)
    assert_kept([served, bounded])


def test_registrations_take_turns_with_other_owners_within_their_quota_and_end_when_they_are_deleted(tmp_path: Path) -> None:
    assert_kept(fairness.run_turns(tmp_path, registrations=8))


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_an_upload_over_a_cut_connection_is_complete_and_its_disk_space_is_freed_after_expiry(tmp_path: Path) -> None:
    assert_kept(uploads.run(tmp_path, 0, size_bytes=64 << 20, cuts=3))


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_api_processes_and_workers_are_replaced_without_a_failed_request(tmp_path: Path) -> None:
    assert_kept([upgrades.run_rolling(tmp_path, callers=3)])


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_a_backup_restored_into_an_empty_stack_explains_an_image_of_an_old_job(tmp_path: Path) -> None:
    assert_kept(restore.run(tmp_path, with_images=False))


@pytest.mark.slow
def test_a_database_of_expired_jobs_shrinks_to_the_rows_of_its_owners(tmp_path: Path) -> None:
    assert_kept(retention.run(tmp_path, jobs=200, events_per_job=5))


def assert_kept(promises: list[Promise]) -> None:
    for promise in promises:
        assert promise.attempts, f"not attacked: {promise.sentence}"
        assert not promise.broken, f"{promise.sentence}: {promise.broken}"
