"""Expansion of a study's grid into cells, as property tests over arbitrary grids."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.db.study_rows import library_labels
from app.studies.extending import extended_grid
from app.studies.job_specs import CellRequests, job_spec, request_digest
from iis_schemas.jobs.libraries import LibraryChoice
from iis_schemas.jobs.requests import ScoreCreate
from iis_schemas.studies.grids import Cell, count_cells, expand, first_grid
from iis_schemas.studies.requests import StudyCreate, StudyExtend, StudyGrid

KINDS = ("prototype", "cluster", "end2end", "random")
DATASETS = [f"dst_{index}" for index in range(4)]


def some(values: Any, least: int = 1) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=3, unique=True)


BODIES = st.fixed_dictionaries(
    {
        "models": some([f"mdl_{index}" for index in range(5)], 0),
        "datasets": some(DATASETS),
        "libraries": some(KINDS).map(lambda kinds: [{"kind": kind} for kind in kinds]),
        "seeds": some(range(5)),
    },
    optional={"concept_counts": some([2, 20, 200]), "library_datasets": some([None, *DATASETS])},
)


def grid_of(**body: Any) -> StudyGrid:
    return first_grid(StudyCreate.model_validate(body), None)


@settings(deadline=None)
@given(BODIES)
def test_the_cell_count_equals_the_number_of_expanded_cells(body: dict[str, Any]) -> None:
    grid = grid_of(**body)
    assert count_cells(grid) == len(expand(grid))


@settings(deadline=None)
@given(BODIES)
def test_cells_have_different_request_digests(body: dict[str, Any]) -> None:
    grid = grid_of(**body)
    cells = expand(grid)
    assert len({request_digest(job_spec(grid, cell)) for cell in cells}) == len(cells)


@settings(deadline=None)
@given(BODIES, st.sampled_from(["calibrated", "layernorm"]))
def test_requests_made_together_equal_those_made_one_by_one(body: dict[str, Any], activations: str) -> None:
    grid = grid_of(**body, activations=activations)
    requests = CellRequests(grid)
    for cell in expand(grid):
        spec = job_spec(grid, cell)
        assert requests.of(cell) == (spec, request_digest(spec))


@settings(deadline=None)
@given(BODIES.filter(lambda body: body["models"]), BODIES)
def test_an_extended_grid_keeps_every_cell_and_extending_is_idempotent(first: dict[str, Any], more: dict[str, Any]) -> None:
    began = grid_of(**first)
    extended = extended_grid(began, StudyExtend.model_validate(more), None)
    had, has = ({request_digest(job_spec(grid, cell)) for cell in expand(grid)} for grid in (began, extended))
    assert had <= has
    assert extended_grid(extended, StudyExtend.model_validate(more), None) == extended


@settings(deadline=None)
@given(BODIES)
def test_the_job_of_a_cell_equals_an_individually_posted_job(body: dict[str, Any]) -> None:
    grid = grid_of(**body)
    for cell in expand(grid)[:5]:
        choice = {"kind": grid.libraries[cell.library].kind, "concept_count": cell.concept_count}
        fields = {"model": cell.model, "dataset": cell.dataset, "library_dataset": cell.library_dataset, "seed": cell.seed}
        by_hand = ScoreCreate.model_validate({"kind": "score", "library": choice, **fields})
        assert request_digest(by_hand.to_spec(None)) == request_digest(job_spec(grid, cell))


def test_cells_are_ordered_by_model_data_set_library_size_and_seed() -> None:
    grid = grid_of(models=["m", "n"], datasets=["d"], libraries=[{"kind": "cluster"}], concept_counts=[50, 20], seeds=[1, 0])
    assert expand(grid) == [Cell(model, "d", 0, count, None, seed) for model in ("m", "n") for count in (50, 20) for seed in (1, 0)]


def test_a_library_data_set_equal_to_the_scored_one_is_none() -> None:
    body = {"models": ["m"], "datasets": ["d", "e"], "libraries": [{"kind": "cluster"}]}
    assert [(c.dataset, c.library_dataset) for c in expand(grid_of(**body, library_datasets=[None, "e"]))] == [
        ("d", None),
        ("d", "e"),
        ("e", None),
    ]


def test_a_random_library_has_one_cell_for_all_library_data_sets() -> None:
    body = {"models": ["m"], "datasets": ["d"], "libraries": [{"kind": "random"}, {"kind": "cluster"}], "library_datasets": ["e", "f"]}
    assert [(c.library, c.library_dataset) for c in expand(grid_of(**body))] == [(0, None), (1, "e"), (1, "f")]


def test_only_jobs_of_text_libraries_have_phrases() -> None:
    vocabulary = {"id": "birds", "version": 1, "digest": "d"}
    body = {"models": ["m"], "datasets": ["d"], "libraries": [{"kind": "cluster"}, {"kind": "text"}], "vlm": "v"}
    grid = grid_of(**body).model_copy(update={"vocabulary": None})
    grid = StudyGrid.model_validate(grid.model_dump() | {"vocabulary": vocabulary})
    visual, text = (job_spec(grid, cell) for cell in expand(grid))
    assert (visual["vlm"], visual["vocabulary"]) == (None, None)
    assert (text["vlm"], text["vocabulary"]) == ("v", vocabulary)


def test_a_field_that_is_none_does_not_change_the_request_digest() -> None:
    assert request_digest({"model": "m", "vlm": None}) == request_digest({"model": "m"})
    assert request_digest({"model": "m"}) != request_digest({"model": "n"})


def test_activations_of_the_first_edition_have_the_digest_of_jobs_that_name_none() -> None:
    body = {"models": ["m"], "datasets": ["d"], "libraries": [{"kind": "cluster"}]}
    second, first, reference = (
        job_spec(grid, expand(grid)[0])
        for grid in (grid_of(**body, **more) for more in ({}, {"activations": "layernorm"}, {"protocol": "reference"}))
    )
    assert [spec["activations"] for spec in (second, first, reference)] == ["calibrated", "layernorm", "calibrated"]

    def before(spec: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in spec.items() if name != "activations"}

    assert request_digest(first) == request_digest(before(first))
    assert request_digest(reference) == request_digest(before(reference))
    assert request_digest(second) != request_digest(before(second)) == request_digest(first)


@pytest.mark.parametrize(("protocol", "activations"), [("exact", "layernorm"), ("reference", "calibrated")])
def test_a_stored_grid_without_activations_is_of_the_first_edition(protocol: str, activations: str) -> None:
    stored = grid_of(models=["m"], datasets=["d"], libraries=[{"kind": "cluster"}], protocol=protocol).model_dump(mode="json")
    del stored["activations"]
    had = StudyGrid.model_validate(stored)
    assert had.activations == activations
    extended = extended_grid(had, StudyExtend(seeds=[1]), None)
    assert (extended.activations, extended.protocol) == (activations, protocol)


def test_added_concept_counts_keep_the_default() -> None:
    began = grid_of(models=["m"], datasets=["d"], libraries=[{"kind": "cluster"}])
    assert extended_grid(began, StudyExtend(concept_counts=[50]), None).concept_counts == [200, 50]


def test_an_added_checkpoint_is_ordered_by_its_epoch() -> None:
    entries = [{"model": "a", "epoch": 1}, {"model": "c", "epoch": 9}]
    began = grid_of(models=entries, datasets=["d"], libraries=[{"kind": "cluster"}], evolution=True)
    more = StudyExtend.model_validate({"models": [{"model": "b", "epoch": 4}]})
    assert [entry.model for entry in extended_grid(began, more, None).models] == ["a", "b", "c"]


def test_an_extension_merges_the_fields_of_a_model() -> None:
    began = grid_of(models=[{"model": "a", "label": "A"}], datasets=["d"], libraries=[{"kind": "cluster"}])
    (entry,) = extended_grid(began, StudyExtend.model_validate({"models": [{"model": "a", "accuracy": 0.7}]}), None).models
    assert (entry.label, entry.accuracy) == ("A", 0.7)


@pytest.mark.parametrize(
    ("libraries", "labels"),
    [
        ([{"kind": "cluster"}, {"kind": "prototype"}], ["cluster", "prototype"]),
        ([{"kind": "cluster", "concept_count": 5}, {"kind": "cluster", "concept_count": 9}], ["cluster", "cluster"]),
        ([{"kind": "combined", "parts": [{"kind": "text"}, {"kind": "cluster"}]}], ["combined(text+cluster)"]),
        ([{"kind": "text", "clip_cutoff": 0.2}, {"kind": "text", "clip_cutoff": 0.3}], ["text(clip_cutoff=0.2)", "text(clip_cutoff=0.3)"]),
        (
            [
                {"kind": "combined", "parts": [{"kind": "cluster", "concept_count": 5}, {"kind": "random", "concept_count": 5}]},
                {"kind": "combined", "parts": [{"kind": "cluster", "concept_count": 8}, {"kind": "random", "concept_count": 2}]},
            ],
            [
                "combined(cluster[concept_count=5]+random[concept_count=5])",
                "combined(cluster[concept_count=8]+random[concept_count=2])",
            ],
        ),
    ],
)
def test_library_labels_name_the_differing_options(libraries: list[dict[str, Any]], labels: list[str]) -> None:
    assert library_labels(libraries) == labels


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("models", ["m", {"model": "m", "label": "again"}]),
        ("datasets", ["d", "d"]),
        ("libraries", [{"kind": "cluster"}, {"kind": "cluster", "concept_count": 200}]),
        ("concept_counts", [5, 5]),
        ("library_datasets", [None, None]),
        ("seeds", [1, 2, 1]),
        ("sparsity_grids", [[0, 0.5], [0.0, 0.5]]),
    ],
)
def test_repeated_values_are_refused(field: str, values: list[Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        StudyCreate.model_validate({"models": ["m"], "datasets": ["d"], "libraries": [{"kind": "cluster"}], field: values})
    (fault,) = refused.value.errors()
    assert fault["loc"] == (field,)
    assert "is named twice; name each once" in fault["msg"]


def test_a_grid_round_trips_through_json() -> None:
    libraries = [{"kind": "combined", "parts": [{"kind": "cluster", "concept_count": 9}, {"kind": "random", "concept_count": 5}]}]
    grid = grid_of(models=["m"], datasets=["d"], libraries=libraries)
    kept = grid.model_dump(mode="json")
    assert kept["libraries"] == libraries
    assert StudyGrid.model_validate(kept) == grid
    assert LibraryChoice.model_validate(kept["libraries"][0]).to_spec()["concept_count"] == 14


def test_an_end2end_library_of_the_reference_protocol_has_one_cell_for_all_library_data_sets() -> None:
    body = {"models": ["m"], "datasets": ["d"], "libraries": [{"kind": "end2end"}], "library_datasets": [None, "e"]}
    assert [c.library_dataset for c in expand(grid_of(**body))] == [None, "e"]
    assert [c.library_dataset for c in expand(grid_of(**body, protocol="reference"))] == [None]
