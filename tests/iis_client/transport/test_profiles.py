"""Profiles in the user's configuration file, and their place among the sources of an address."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from iis_client import ConfigurationError
from iis_client.transport.address import DEMO_FILE_NAME, READY_FILE_NAME, Address, find_address
from iis_client.transport.profiles import Profile, Profiles, configuration_file, read_profiles, write_profiles

LAB = Profile("https://iis.lab.example", 'iis_"quoted\\key')


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("IIS_URL", "IIS_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IIS_DATA_FOLDER", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def start_local_service(name: str, url: str, pid: int | None = None) -> None:
    folder = Path(os.environ["IIS_DATA_FOLDER"])
    folder.mkdir(exist_ok=True)
    (folder / "api-key").write_text("iis_local\n")
    content = {"url": url, "api_key_file": str(folder / "api-key"), "pid": pid or os.getpid()}
    (folder / name).write_text(json.dumps(content))


def test_profiles_are_read_as_they_were_written_and_only_their_owner_can_read_them() -> None:
    profiles = Profiles().added("lab", LAB).added("home", Profile("http://127.0.0.1:8000", "iis_home"))
    path = write_profiles(profiles)
    assert path == configuration_file()
    assert read_profiles() == profiles
    assert profiles.default == "home"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_without_a_file_there_are_no_profiles_and_a_broken_one_is_named() -> None:
    assert read_profiles() == Profiles()
    configuration_file().parent.mkdir(parents=True)
    for text in ("default = ", "[profiles.lab]\nurl = 'x'\n", "profiles = 3\n"):
        configuration_file().write_text(text)
        with pytest.raises(ConfigurationError, match=r"config\.toml cannot be read"):
            read_profiles()


def test_removing_the_default_profile_leaves_none() -> None:
    assert Profiles().added("lab", LAB).without("lab") == Profiles()
    with pytest.raises(ConfigurationError, match=r"There is no profile 'lab'; create it with: iis login lab --url URL"):
        Profiles().without("lab")


@pytest.mark.parametrize("name", ["local", "", "a b", "x" * 65, 'a"]'])
def test_a_name_that_cannot_be_a_profile_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="choose another name"):
        Profiles().added(name, LAB)


def test_a_named_profile_comes_before_the_environment_and_that_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    write_profiles(Profiles().added("home", Profile("http://home", "iis_home")).added("lab", LAB))
    start_local_service(READY_FILE_NAME, "http://127.0.0.1:8000")
    assert find_address() == Address(LAB.url, LAB.api_key)
    assert find_address(profile="local") == Address("http://127.0.0.1:8000", "iis_local")
    monkeypatch.setenv("IIS_URL", "http://service:8000")
    monkeypatch.setenv("IIS_API_KEY", "iis_key")
    assert find_address() == Address("http://service:8000", "iis_key")
    assert find_address(profile="home") == Address("http://home", "iis_home")
    with pytest.raises(ConfigurationError, match="There is no profile 'work'; yours are home, lab"):
        find_address(profile="work")


def test_the_service_of_a_demo_is_found_where_no_other_runs() -> None:
    with pytest.raises(ConfigurationError, match="No service runs on this machine"):
        find_address(profile="local")
    Path(os.environ["IIS_DATA_FOLDER"]).mkdir()
    link = Path(os.environ["IIS_DATA_FOLDER"]) / DEMO_FILE_NAME
    link.symlink_to("ready.json of a demo that has stopped")
    with pytest.raises(ConfigurationError, match="No service runs on this machine"):
        find_address(profile="local")
    link.unlink()
    start_local_service(DEMO_FILE_NAME, "http://127.0.0.1:9000")
    assert find_address().url == "http://127.0.0.1:9000"
    start_local_service(READY_FILE_NAME, "http://127.0.0.1:8000")
    assert find_address().url == "http://127.0.0.1:8000"


def test_the_file_of_a_killed_service_counts_as_none() -> None:
    start_local_service(READY_FILE_NAME, "http://127.0.0.1:8000", pid=2**22 + 1)  # above the largest process id
    with pytest.raises(ConfigurationError, match="No service found"):
        find_address()


def test_names_and_keys_of_any_characters_are_read_as_they_were_written() -> None:
    configuration_file().parent.mkdir(parents=True)
    configuration_file().write_text('[profiles."lab.é 😀]"]\nurl = "http://lab"\napi_key = "a\\u007f"\n')
    profiles = read_profiles()
    assert profiles.get("lab.é 😀]") == Profile("http://lab", "a\x7f")
    write_profiles(profiles.added("home", LAB))
    assert read_profiles() == profiles.added("home", LAB)


def test_a_failed_write_leaves_no_temporary_file_and_the_old_profiles() -> None:
    path = write_profiles(Profiles().added("lab", LAB))
    with pytest.raises(UnicodeEncodeError):
        write_profiles(Profiles().added("lab", Profile("http://lab", "\udcff")))
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert read_profiles() == Profiles().added("lab", LAB)


def test_a_key_of_the_environment_is_not_sent_to_the_address_of_a_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    write_profiles(Profiles().added("lab", LAB))
    monkeypatch.setenv("IIS_API_KEY", "iis_key")
    with pytest.raises(ConfigurationError, match="without an address, so that no profile is used; set IIS_URL"):
        find_address()
    start_local_service(READY_FILE_NAME, "http://127.0.0.1:8000")
    assert find_address() == Address("http://127.0.0.1:8000", "iis_key")
    assert find_address(profile="lab") == Address(LAB.url, LAB.api_key)
    monkeypatch.setenv("IIS_URL", "http://service:8000")
    assert find_address() == Address("http://service:8000", "iis_key")
