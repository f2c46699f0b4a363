"""Ids from what people write: an id, the beginning of one, a name, or @last."""

from __future__ import annotations

from typing import Any

import pytest

from iis_client import ConfigurationError, IISClient
from iis_client.transport.http import Transport
from support.scripted_service import ScriptedService

NEW, OLD = "job_01m842q9yk4dd0s5b8rfa3e6mv", "job_01m842nw3r2bff4k79prk91dk4"
NONE: dict[str, Any] = {"data": [], "has_more": False}


def page(*items: tuple[str, str | None]) -> dict[str, Any]:
    return {"data": [{"id": each, "name": name} for each, name in items], "has_more": False}


@pytest.fixture
def client(impatient: Transport) -> IISClient:
    return IISClient(transport=impatient)


def names(scripted: ScriptedService, word: str, *items: tuple[str, str | None]) -> None:
    scripted.answer(f"GET /v1/jobs?limit=100&name_contains={word}", (200, page(*items)))


def beginnings(scripted: ScriptedService, largest: str, *items: tuple[str, str | None]) -> None:
    scripted.answer(f"GET /v1/jobs?limit=6&after={largest}", (200, page(*items)))


def test_a_whole_id_is_taken_without_a_request(client: IISClient, scripted: ScriptedService) -> None:
    assert client.find_id("job", OLD) == client.find_id("job", OLD.removeprefix("job_")) == OLD
    assert scripted.asked == []


def test_last_is_the_newest(client: IISClient, scripted: ScriptedService) -> None:
    scripted.answer("GET /v1/jobs?limit=1", (200, page((NEW, None)) | {"has_more": True, "after": NEW}))
    assert client.find_id("job", "@last") == NEW


def test_last_of_an_empty_list_is_one_sentence(client: IISClient, scripted: ScriptedService) -> None:
    scripted.answer("GET /v1/studies?limit=1", (200, NONE))
    with pytest.raises(ConfigurationError, match=r"^There are no studies, so @last names none\.$"):
        client.find_id("study", "@last")


def test_a_name_is_taken_whole_where_others_contain_it(client: IISClient, scripted: ScriptedService) -> None:
    names(scripted, "baseline", (NEW, "baseline, seed 1"), (OLD, "baseline"))
    assert client.find_id("job", "baseline") == OLD


@pytest.mark.parametrize("word", ["job_01m842nw", "01m842nw"])
def test_the_beginning_of_an_id_is_found_by_one_page_from_it(client: IISClient, scripted: ScriptedService, word: str) -> None:
    names(scripted, word)
    beginnings(scripted, "job_01m842nwzzzzzzzzzzzzzzzzzz", (OLD, None), ("job_01m842mz00000000000000000", None))
    assert client.find_id("job", word) == OLD


def test_a_reference_that_fits_several_lists_them(client: IISClient, scripted: ScriptedService) -> None:
    names(scripted, "01m842")
    beginnings(scripted, "job_01m842zzzzzzzzzzzzzzzzzzzz", (NEW, "second"), (OLD, None))
    with pytest.raises(ConfigurationError) as refused:
        client.find_id("job", "01m842")
    assert str(refused.value) == f"'01m842' fits several jobs: {NEW} (second), {OLD}; write more of the id."


def test_a_reference_that_fits_none_says_where_to_look(client: IISClient, scripted: ScriptedService) -> None:
    names(scripted, "basline", (OLD, "basline of others"))
    with pytest.raises(ConfigurationError) as refused:
        client.find_id("job", "basline")
    sentence = "There is no job 'basline': no name is this, and no id begins so; list yours with: iis jobs list"
    assert str(refused.value) == sentence


def test_a_shipped_vocabulary_is_found_by_its_name(client: IISClient, scripted: ScriptedService) -> None:
    scripted.answer("GET /v1/concept-sets?limit=100", (200, page(("cst_01m842v7w2p4n6q8t0y3j5d9fz", "strokes"))))
    scripted.answer("GET /v1/concept-sets/shipped", (200, page(("birds", "Parts of birds"))))
    assert client.find_id("vocabulary", "birds") == "birds"
    assert client.find_id("vocabulary", "strokes") == client.find_id("vocabulary", "cst_01m842v") == "cst_01m842v7w2p4n6q8t0y3j5d9fz"
