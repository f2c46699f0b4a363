"""A study's file is refused by what the service would refuse, and by nothing else: each case is held against the service's own rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from app.errors import InvalidInput
from app.studies.rules import require_whole as require_whole_of_service
from iis_client import ConfigurationError
from iis_client.cli.studies import limits
from iis_client.cli.studies.file import read_study
from iis_client.cli.studies.grid import require_whole
from iis_client.cli.studies.inputs import Row
from iis_client.cli.studies.request import request_of
from iis_engine.specs import ARCHITECTURE_FAMILIES, INTERPOLATIONS
from iis_schemas.datasets import DatasetCreate
from iis_schemas.libraries import DEFAULT_CONCEPT_COUNT, TEXT_DEFAULTS
from iis_schemas.models import ModelCreate
from iis_schemas.studies import MAX_JOBS, StudyCreate
from iis_schemas.study_grids import first_grid

GRID: dict[str, Any] = {"models": ["mdl_1"], "datasets": ["dst_1"], "libraries": ["cluster"]}
DAY = 86_400


def takes(ask: Callable[[], object]) -> bool:
    """Whether a request is taken, not refused."""
    try:
        ask()
    except (ConfigurationError, ValidationError, InvalidInput):
        return False
    return True


def client_takes(content: dict[str, Any], folder: Path) -> bool:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return takes(lambda: require_whole(read_study(path)))


def service_takes(content: dict[str, Any]) -> bool:
    """The same as JSON, where a library has no short form."""
    libraries = [{"kind": one} if isinstance(one, str) else one for one in content["libraries"]]
    body = json.dumps({**content, "libraries": libraries})
    return takes(lambda: require_whole_of_service(first_grid(StudyCreate.model_validate_json(body), None)))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"name": " "},
        {"name": "x" * 200},
        {"name": "x" * 201},
        *({"deadline_seconds": seconds} for seconds in (0, 0.5, 7 * DAY, 7 * DAY + 1, 30 * DAY)),
        *({"seeds": seeds} for seeds in ([], [0, 0], [0, 1], [1.5], [2**31 - 1], [2**31], list(range(10_001)))),
        *({"concept_counts": counts} for counts in ([], [2, 2], [1], [20_000], [20_001], [5, 6])),
        *({"sparsity_grids": grids} for grids in ([], [[0, 1]], [[0.5]], [[1, 0]], [[0, 1], [0.0, 1.0]], [[0, 2]])),
        {"sparsity_grids": [[place / 100 for place in range(64)]]},
        {"sparsity_grids": [[place / 100 for place in range(65)]]},
        {"sparsity_grids": [[0, (place + 1) / 100] for place in range(65)]},
        *({"library_datasets": origins} for origins in ([], [None], [None, None], ["dst_2", None], ["dst_2", "dst_2"])),
        *({"libraries": libraries} for libraries in (["cluster", "cluster"], ["cluster", {"kind": "cluster", "concept_count": 200}])),
        {"libraries": [{"kind": "cluster", "concept_count": count} for count in range(2, 66)]},
        {"libraries": [{"kind": "cluster", "concept_count": count} for count in range(2, 67)]},
        {"libraries": ["cluster", {"kind": "cluster", "concept_count": 5}], "concept_counts": [5]},
        *({"libraries": [{"kind": "combined", "parts": parts}]} for parts in ([], [{"kind": "cluster"}], [{"kind": "cluster"}] * 2)),
        *(
            {"libraries": [{"kind": "combined", "concept_count": count, "parts": [{"kind": "cluster"}, {"kind": "random"}]}]}
            for count in (400, 200)
        ),
        {
            "libraries": [
                {"kind": "combined", "parts": [{"kind": "cluster", "concept_count": 15_000}, {"kind": "random", "concept_count": 6_000}]}
            ]
        },
        {"models": ["mdl_1", "mdl_1"]},
        {"datasets": ["dst_1", "dst_1"]},
        {"models": [{"id": "mdl_1", "label": "x" * 201}]},
        *({"elements": {"images_per_class": count}} for count in (0, 1, 1000, 1001)),
        {"seeds": list(range(5_001)), "concept_counts": [5, 6]},
    ],
)
def test_a_grid_is_refused_where_the_service_refuses_it_and_nowhere_else(changed: dict[str, Any], tmp_path: Path) -> None:
    content = {**GRID, **changed}
    models = [{"model": one["id"], "label": one["label"]} if isinstance(one, dict) else one for one in content["models"]]
    assert client_takes(content, tmp_path) == service_takes({**content, "models": models})


@pytest.mark.parametrize(
    "library",
    [{"kind": "text"}, {"kind": "text", "clip_cutoff": 0.25, "native": False}, {"kind": "text", "clip_cutoff": 0.3}],
)
def test_a_text_library_that_is_said_in_two_ways_is_known_for_one(library: dict[str, Any], tmp_path: Path) -> None:
    content = {**GRID, "libraries": ["text", library], "vlm": "mdl_2", "vocabulary": "birds"}
    body = {**content, "libraries": [{"kind": "text"}, library]}
    assert client_takes(content, tmp_path) == takes(lambda: StudyCreate.model_validate(body))


@pytest.mark.parametrize(
    "changed",
    [
        {"architecture": "resnet18"},
        {"architecture": "timm:"},
        {"architecture": "keras:resnet18"},
        {"architecture": "timm:a/b"},
        {"architecture": "onnx"},
        {"architecture": "timm:" + "x" * 201},
        {"pretrained": "a b", "initial_seed": None},
        {"pretrained": "in1k.v2-x_y", "initial_seed": None},
        {"pretrained": "x" * 201, "initial_seed": None},
        {"layer": "x" * 501},
        {"arguments": {f"a{number}": 1 for number in range(65)}},
        *({"preprocessing": {"input_size": size}} for size in (7, 8, 4096, 4097)),
        *({"preprocessing": {"std": std}} for std in ([1, 1], [0, 1, 1], [0.5, 0.5, 0.5])),
        *({"preprocessing": {"crop_pct": share}} for share in (0, 0.9, 1, 1.1)),
        {"preprocessing": {"interpolation": "cubic"}},
        {"preprocessing": {"mean": [-1, 0, 1], "interpolation": "bicubic"}},
        {"preprocessing": {"size": 32}},
        {"preprocessing": {}},
    ],
)
def test_a_model_is_refused_where_the_service_refuses_it(changed: dict[str, Any], tmp_path: Path) -> None:
    model = {name: value for name, value in {"architecture": "timm:resnet18", "initial_seed": 0, **changed}.items() if value is not None}
    assert client_takes({**GRID, "models": [model]}, tmp_path) == takes(lambda: ModelCreate.model_validate(model))


@pytest.mark.parametrize(
    "changed",
    [
        *({"test_share": share} for share in (0, 0.0001, 0.9999, 1)),
        *({"split_seed": seed} for seed in (-1, 0, 2**31)),
        {"name": "x" * 201},
        {"server_path": "/" + "x" * 4095},
        {"server_path": "/" + "x" * 4096},
        *(
            {"server_path": None, "hub": {"revision": "abc", **hub}}
            for hub in ({"name": "a/b"}, {"name": "../a"}, {"name": "a/b", "split": "x"})
        ),
        {"server_path": None, "hub": {"name": "a/b", "revision": "main", "image_column": "img", "configuration": "a b"}},
        {"server_path": None, "hub": {"name": "a" * 201, "revision": "main"}},
    ],
)
def test_a_data_set_is_refused_where_the_service_refuses_it(changed: dict[str, Any], tmp_path: Path) -> None:
    dataset = {name: value for name, value in {"server_path": "/data", **changed}.items() if value is not None}
    assert client_takes({**GRID, "datasets": [dataset]}, tmp_path) == takes(lambda: DatasetCreate.model_validate(dataset))


@pytest.mark.parametrize(
    ("vlm", "accepted"),
    [
        ({"architecture": "open_clip:ViT-B-16", "pretrained": "openai"}, True),
        ({"architecture": "timm:resnet18", "pretrained": "openai"}, False),
        ({"architecture": "open_clip:ViT-B-16", "pretrained": "openai", "tokenizer": "ViT-B-16"}, False),
        ({"architecture": "onnx", "path": "a.onnx"}, False),
        ({"architecture": "onnx", "path": "a.onnx", "text_path": "b.onnx", "tokenizer": "ViT-B-16"}, True),
        ({"architecture": "onnx", "path": "a.onnx", "text_path": "b.onnx", "arguments": {"a": 1}}, False),
    ],
)
def test_a_vision_language_model_has_the_files_that_its_architecture_needs(vlm: dict[str, Any], accepted: bool, tmp_path: Path) -> None:
    names = {"path": "upload", "text_path": "text_upload"}
    body = {"role": "vlm", **{names.get(name, name): value for name, value in vlm.items()}}
    assert takes(lambda: ModelCreate.model_validate(body)) == accepted
    assert client_takes({**GRID, "libraries": ["text"], "vlm": vlm, "vocabulary": "birds"}, tmp_path) == accepted


def test_what_a_file_comes_to_is_what_the_service_takes(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        yaml.safe_dump({**GRID, "seeds": [1.0, 2], "concept_counts": [20], "sparsity_grids": [[0, 0.5]], "elements": {"seed": 3}})
    )
    study = read_study(path)
    rows: dict[str, Row] = {source.at: {"id": source.id} for source in study.sources}  # type: ignore[typeddict-item]
    body = StudyCreate.model_validate(request_of(study, rows, None))
    assert (body.seeds, body.concept_counts, body.sparsity_grids, body.elements.seed) == ([1, 2], [20], [[0.0, 0.5]], 3)


def test_the_defaults_and_words_that_a_file_is_held_against_are_the_services() -> None:
    defaults = {"concept_count": DEFAULT_CONCEPT_COUNT, **TEXT_DEFAULTS}
    assert defaults == {**limits.LIBRARY_DEFAULTS, **limits.TEXT_DEFAULTS}
    assert (limits.ARCHITECTURE_FAMILIES, limits.INTERPOLATIONS, limits.MAX_JOBS) == (ARCHITECTURE_FAMILIES, INTERPOLATIONS, MAX_JOBS)
