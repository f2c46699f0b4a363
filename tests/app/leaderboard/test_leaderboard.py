"""Leaderboards: ranks, ties, and models without a rank."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from app.leaderboard.ranking import ranks, scores_differ
from support.rows import Rows

SCORES = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 0.2), st.floats(0, 0.2)).map(lambda v: (v[0], v[0] - v[1], v[0] + v[2])), max_size=12
)


def scored(client: TestClient, rows: Rows, model: str, dataset: str, library: dict[str, Any] | None = None, **report: Any) -> str:
    request = {"kind": "score", "model": model, "dataset": dataset, "library": library or {"kind": "cluster", "concept_count": 4}}
    return scored_as(client, rows, request, **report)


def scored_as(client: TestClient, rows: Rows, request: dict[str, Any], **report: Any) -> str:
    job = client.post("/v1/jobs", json=request).json()["id"]
    rows.succeed(job, rows.claim(job), **report)
    return job


def iis(value: float, half: float = 0.01) -> dict[str, Any]:
    return {"iis": value, "iis_low": value - half, "iis_high": value + half}


def test_models_whose_scores_do_not_differ_significantly_share_a_rank(client: TestClient, rows: Rows) -> None:
    dataset = rows.dataset()
    first, second, third, fourth = (rows.model() for _ in range(4))
    for model, value in ((first, 0.80), (second, 0.79), (third, 0.78), (fourth, 0.77)):
        scored(client, rows, model, dataset, **iis(value))
    board = client.get("/v1/leaderboard").json()
    # .80 and .78 differ by .020, more than .0141 = sqrt(.01² + .01²); .78 and .77 do not, and the tie is with its own first.
    assert [(one["model"], one["rank"], one["tied"]) for one in board["data"]] == [
        (first, 1, True),
        (second, 1, True),
        (third, 3, True),
        (fourth, 3, True),
    ]
    assert "does not differ" in board["notes"][0]


def test_a_model_is_ranked_by_its_best_job(client: TestClient, rows: Rows) -> None:
    dataset, model = rows.dataset(), rows.model()
    scored(client, rows, model, dataset, **iis(0.5))
    best = scored(client, rows, model, dataset, **iis(0.6))
    board = client.get("/v1/leaderboard").json()
    (entry,) = board["data"]
    assert (entry["job"], entry["jobs"], entry["tied"]) == (best, 2, False)
    assert any("best of its jobs" in note for note in board["notes"])


def test_models_and_data_sets_of_the_same_content_are_one(client: TestClient, rows: Rows) -> None:
    datasets = [rows.dataset(digest="images") for _ in range(2)]
    twins = [rows.model(digest="weights", name=name) for name in ("first", "second")]
    other = rows.model(digest="other weights")
    scored(client, rows, twins[0], datasets[0], **iis(0.5))
    best = scored(client, rows, twins[1], datasets[1], **iis(0.7))
    worst = scored(client, rows, other, datasets[1], **iis(0.3))
    for query in ("", f"?dataset={datasets[0]}", f"?dataset={datasets[1]}"):
        board = client.get(f"/v1/leaderboard{query}").json()
        assert [(one["dataset"], one["models"]) for one in board["boards"]] == [(datasets[0], 2)]
        assert [(one["model"], one["job"], one["jobs"]) for one in board["data"]] == [
            (twins[0], best, 2),
            (other, worst, 1),
        ]
    client.delete(f"/v1/models/{twins[0]}")
    assert client.get("/v1/leaderboard").json()["data"][0]["model"] == twins[1], "the one that is not deleted"


def test_models_near_chance_have_no_rank(client: TestClient, rows: Rows) -> None:
    dataset, good, guessing, withheld = rows.dataset(), rows.model(), rows.model(), rows.model()
    scored(client, rows, good, dataset, **iis(0.5))
    scored(client, rows, guessing, dataset, **iis(0.99), verdict={"code": "too_close_to_chance", "sentence": "It guesses.", "next": []})
    scored(client, rows, withheld, dataset, iis=None, iis_low=None, iis_high=None)
    entries = client.get("/v1/leaderboard").json()["data"]
    assert [(one["model"], one["rank"], one["near_chance"]) for one in entries] == [
        (good, 1, False),
        (guessing, None, True),
        (withheld, None, True),
    ]


def test_accuracy_and_mean_average_precision_are_not_ranked_together(client: TestClient, rows: Rows) -> None:
    dataset, models = rows.dataset(), [rows.model() for _ in range(3)]
    scored(client, rows, models[0], dataset, **iis(0.5))
    scored(client, rows, models[1], dataset, **iis(0.6))
    scored(
        client, rows, models[2], dataset, **iis(0.9), quantity="mean_average_precision", verdict={"code": "too_close_to_chance", "next": []}
    )
    found = client.get("/v1/leaderboard").json()
    assert [(board["quantity"], board["models"]) for board in found["boards"]] == [("accuracy", 2), ("mean_average_precision", 1)]
    assert [entry["model"] for entry in found["data"]] == [models[1], models[0]]
    labels = client.get(f"/v1/leaderboard?board={found['boards'][1]['board']}").json()
    assert [entry["model"] for entry in labels["data"]] == [models[2]]
    assert (
        labels["notes"][-1] == "Models near chance have no rank: ARR divides by the mean average precision, which is no better than chance."
    )


def test_different_settings_have_different_boards(client: TestClient, rows: Rows) -> None:
    dataset, other, models = rows.dataset(), rows.dataset(), [rows.model(), rows.model()]
    for model in models:
        scored(client, rows, model, dataset, **iis(0.5))
    scored(client, rows, models[0], dataset, {"kind": "cluster", "concept_count": 9}, **iis(0.6))
    scored(client, rows, models[0], dataset, {"kind": "prototype", "concept_count": 4}, **iis(0.7))
    scored(client, rows, models[0], other, **iis(0.8))
    found = client.get("/v1/leaderboard").json()
    assert tuple(found["boards"][0][name] for name in ("library", "concept_count", "models")) == ("cluster", 4, 2)
    assert (len(found["boards"]), found["board"]) == (4, found["boards"][0])
    for query, value in (("concept_count=9", 0.6), ("library=prototype", 0.7), (f"dataset={other}", 0.8)):
        (entry,) = client.get(f"/v1/leaderboard?{query}").json()["data"]
        assert entry["iis"] == value, query
    nothing = client.get("/v1/leaderboard?protocol=reference").json()
    assert (nothing["board"], nothing["data"], nothing["notes"]) == (None, [], [])


def test_models_share_a_board_only_with_equal_phrases_cutoffs_and_elements(client: TestClient, rows: Rows) -> None:
    dataset, vlm, phrases = rows.dataset(), rows.vlm(), rows.concept_set("a loop")
    first, second = rows.model(), rows.model()
    text = {"kind": "score", "model": first, "dataset": dataset, "library": {"kind": "text"}, "vlm": vlm, "vocabulary": phrases}
    lenient = {"kind": "text", "clip_cutoff": -1}
    rows.concept_set_version(phrases, 2, "a hook")
    for change in ({"vocabulary": f"{phrases}@1"}, {"library": lenient}, {"vlm": rows.vlm()}, {}):
        scored_as(client, rows, {**text, **change}, **iis(0.9))
    scored_as(client, rows, {**text, "model": second}, **iis(0.5))
    found = client.get("/v1/leaderboard?library=text").json()
    assert sorted(board["models"] for board in found["boards"]) == [1, 1, 1, 2]
    assert {entry["model"] for entry in found["data"]} == {first, second}
    assert f"phrases {phrases}@2 as {vlm} sees them" in found["board"]["details"]
    other = next(board for board in found["boards"] if "clip_cutoff -1" in board["details"])
    chosen = client.get(f"/v1/leaderboard?board={other['board']}").json()
    assert (chosen["board"], chosen["links"]["self"]) == (other, f"/v1/leaderboard?board={other['board']}")
    crops = {"kind": "score", "model": first, "dataset": dataset, "library": {"kind": "cluster"}, "elements": {"kind": "segments"}}
    scored_as(client, rows, crops, **iis(0.9))
    scored_as(client, rows, {**crops, "elements": {}, "vlm": vlm, "vocabulary": phrases}, **iis(0.9))  # names change no score
    scored_as(client, rows, {**crops, "elements": {}, "model": second}, **iis(0.8))
    scored_as(client, rows, {**crops, "elements": {"scales": [2, 1]}, "model": second}, **iis(0.8))
    cut = [(board["details"], board["models"]) for board in client.get("/v1/leaderboard").json()["boards"] if board["library"] == "cluster"]
    assert cut[0] == (None, 2)
    assert set(cut[1:]) == {
        ("segments, seed 0", 1),
        ("whole images + 2 x 2 patches, seed 0", 1),
    }


def test_editions_have_boards_of_their_own(client: TestClient, rows: Rows) -> None:
    dataset, models = rows.dataset(), [rows.model() for _ in range(3)]
    first_edition: dict[str, Any] = {"edition": 1, "verdict": None, "controls": {"isotropic": {"iis": 0.5, "gain": 0.4}}}
    scored(client, rows, models[0], dataset, **iis(0.9), **first_edition)
    scored(client, rows, models[1], dataset, **iis(0.95), **first_edition, accuracy_representation_low=0.1)
    for model in models:
        scored(client, rows, model, dataset, **iis(0.6))
    found = client.get("/v1/leaderboard").json()
    assert [(board["edition"], board["models"], board["details"]) for board in found["boards"]] == [(2, 3, None), (1, 2, "first edition")]
    assert {entry["iis"] for entry in found["data"]} == {0.6}
    assert [found["data"][0][name] for name in ("verdict", "few_gain_matched", "gain_matched")] == ["reads_through_concepts", 0.1, 0.1]
    old = client.get("/v1/leaderboard?edition=1").json()
    assert (old["board"], old["links"]["self"]) == (found["boards"][1], "/v1/leaderboard?edition=1")
    assert [(entry["iis"], entry["near_chance"], entry["gain_isotropic"], entry["gain_matched"]) for entry in old["data"]] == [
        (0.9, False, 0.4, None),
        (0.95, True, 0.4, None),  # without a verdict the interval of accuracy decides
    ]


def test_a_deleted_model_keeps_its_rank_without_a_link(client: TestClient, rows: Rows) -> None:
    model = rows.model()
    scored(client, rows, model, rows.dataset(), **iis(0.5))
    assert client.delete(f"/v1/models/{model}").status_code == 204
    (entry,) = client.get("/v1/leaderboard").json()["data"]
    assert list(entry["links"]) == ["job"]


def test_a_library_cut_from_another_data_set_is_on_no_board(client: TestClient, rows: Rows) -> None:
    request = rows.request(library_dataset=rows.dataset())
    job = client.post("/v1/jobs", json=request).json()["id"]
    rows.succeed(job, rows.claim(job))
    assert client.get("/v1/leaderboard").json()["boards"] == []


@given(SCORES)
def test_ranks_do_not_decrease_and_a_tie_has_the_rank_of_its_first_model(scores: list[tuple[float, float, float]]) -> None:
    scores = sorted(scores, reverse=True)
    found = ranks(scores)
    assert found == sorted(found)
    for place, rank in enumerate(found):
        assert found[rank - 1] == rank
        assert not scores_differ(scores[rank - 1], scores[place])
