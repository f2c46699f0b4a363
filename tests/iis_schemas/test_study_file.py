"""Study files: keys, error messages, and the resulting grid and request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from iis_schemas.faults import fault_sentence
from iis_schemas.studies.file import StudyFile, require_addable_file, require_whole_file
from iis_schemas.studies.grids import count_cells
from iis_schemas.studies.rules import GridFault

SHIPPED = Path(__file__).parents[2] / "docs" / "studies"
JOBS = {
    "beyond_other_images": 36,
    "beyond_untrained": 48,
    "digits_evolution": 20,
    "figure3": 56,
    "figure4_cifar10": 14,
    "figure4_cifar100": 14,
    "figure4_cub200": 14,
    "figure5": 40,
    "figure6": 30,
    "real_networks": 63,
    "table2": 60,
    "table3": 28,
}
SMALL: dict[str, Any] = {
    "models": [{"path": "a.safetensors", "architecture": "timm:resnet18"}],
    "datasets": ["images"],
    "libraries": ["cluster"],
}
CHECKPOINTS = [{"path": f"{name}.safetensors", "architecture": "timm:resnet18"} for name in "ab"]
TEXT: dict[str, Any] = {"libraries": ["text"], "vlm": {"architecture": "open_clip:ViT-B-16", "path": "b.safetensors"}}


def file_of(**changed: Any) -> StudyFile:
    return StudyFile.model_validate({**SMALL, **changed})


def refusal_of(**changed: Any) -> ValidationError:
    with pytest.raises(ValidationError) as refused:
        file_of(**changed)
    return refused.value


def test_each_shipped_file_has_as_many_jobs_as_its_grid_has_cells() -> None:
    jobs: dict[str, int] = {}
    for path in SHIPPED.glob("*.yaml"):
        study = StudyFile.model_validate(yaml.safe_load(path.read_text()))
        require_whole_file(study)
        jobs[path.stem] = count_cells(study.grid())
    assert jobs == JOBS


def test_the_models_take_model_defaults_unless_they_have_their_own() -> None:
    study = file_of(
        model_defaults={"architecture": "timm:resnet18", "arguments": {"in_chans": 1}, "family": "ResNet"},
        models=[{"path": "runs/a.safetensors"}, {"initial_seed": 3, "arguments": {"num_classes": 5}, "family": "other"}, "mdl_1"],
    )
    first, untrained, registered = study.models
    assert (first.architecture, first.arguments, first.family, first.shown) == ("timm:resnet18", {"in_chans": 1}, "ResNet", "a")
    assert (untrained.arguments, untrained.family, untrained.initial_seed) == ({"in_chans": 1, "num_classes": 5}, "other", 3)
    assert untrained.shown == "resnet18, untrained (3)"
    assert (registered.id, registered.architecture, registered.shown, registered.family) == ("mdl_1", None, None, "ResNet")


def test_an_empty_preprocessing_overrides_the_defaults_with_that_of_the_architecture() -> None:
    study = file_of(
        model_defaults={"architecture": "timm:resnet18", "preprocessing": {"input_size": 32}},
        models=[{"initial_seed": 1}, {"initial_seed": 2, "preprocessing": {}}],
    )
    sizes = [model.preprocessing.input_size for model in study.models if model.preprocessing is not None]
    assert sizes == [32, None]


def test_layers_are_written_out_as_models_of_one_family() -> None:
    network = {"path": "runs/net.safetensors", "architecture": "timm:resnet18", "layers": ["layer1", "layer4"], "pooling": "all"}
    first, second = file_of(models=[network]).models
    assert (first.layer, first.pooling, first.shown, first.family) == ("layer1", "all", "net at layer1", "net")
    assert (second.layer, second.path, second.shown, second.family) == ("layer4", "runs/net.safetensors", "net at layer4", "net")
    assert "give one of both" in fault_sentence(refusal_of(models=[{**network, "layer": "layer2"}]), StudyFile)
    assert "leave out layers" in fault_sentence(refusal_of(models=[{"id": "mdl_1", "layers": ["layer1"]}]), StudyFile)


def test_a_manifest_is_a_table_beside_the_images_or_among_them() -> None:
    beside, among = file_of(
        datasets=[
            {"path": "flat", "manifest": {"path": "labels.csv", "label_column": "kind"}},
            {"server_path": "/data", "manifest": {"inside": "lists/a.csv"}},
        ]
    ).datasets
    assert beside.manifest is not None
    assert (beside.manifest.path, beside.manifest.columns) == ("labels.csv", {"label_column": "kind"})
    assert among.manifest is not None
    assert (among.manifest.inside, among.manifest.columns) == ("lists/a.csv", {})
    assert "names images of a path or a server_path" in fault_sentence(
        refusal_of(datasets=[{"features": "a.npz", "manifest": {"path": "b.csv"}}]), StudyFile
    )
    assert "exactly one of path, inside" in fault_sentence(refusal_of(datasets=[{"path": "flat", "manifest": {}}]), StudyFile)
    assert "leave out manifest" in fault_sentence(refusal_of(datasets=[{"id": "dst_1", "manifest": {"path": "b.csv"}}]), StudyFile)


def test_data_sets_come_from_folders_files_of_features_servers_the_hub_and_ids() -> None:
    hub = {"name": "uoft-cs/cifar10", "revision": "abc"}
    sources = ["images", "dst_1", {"features": "features.npz"}, {"server_path": "/data", "name": "ImageNet"}, {"hub": hub}]
    images, registered, features, served, hubbed = file_of(datasets=sources).datasets
    assert (images.path, images.kind, images.shown) == ("images", "images", "images")
    assert (registered.id, registered.kind) == ("dst_1", None)
    assert (features.local_path, features.kind) == ("features.npz", "features")
    assert (served.server_path, served.shown) == ("/data", "ImageNet")
    assert hubbed.shown == "uoft-cs/cifar10"


def test_a_file_becomes_the_request_of_its_study() -> None:
    study = file_of(**TEXT, datasets=["images", "dst_2"], library_datasets=[None, "images", "dst_3"], seeds=[1, 2], vocabulary="birds")
    assert list(study.sources()) == ["models[0]", "vlm", "datasets[0]", "datasets[1]", "library_datasets[2]"]
    ids = {path: f"id_{number}" for number, path in enumerate(study.sources())}
    request = study.request(ids, "birds@2", "study")
    assert [(entry.model, entry.label) for entry in request.models] == [("id_0", "a")]
    assert (request.vlm, request.datasets, request.library_datasets) == ("id_1", ["id_2", "id_3"], [None, "id_2", "id_4"])
    assert (request.name, request.vocabulary, request.seeds, request.protocol) == ("study", "birds@2", [1, 2], "exact")
    assert study.model_fields_set >= {"models", "datasets", "libraries", "vlm", "seeds"}
    assert "protocol" not in study.model_fields_set


def test_a_key_without_a_value_is_left_out() -> None:
    study = file_of(seeds=None, protocol=None, models=[{**SMALL["models"][0], "label": None}])
    assert (study.seeds, study.protocol) == (None, "exact")
    assert "seeds" not in study.model_fields_set


def test_only_libraries_cut_from_images_are_counted_per_library_data_set() -> None:
    grid = {"libraries": ["cluster", "random"], "library_datasets": [None, "images", "dst_1"], "seeds": [0, 1], "concept_counts": [10, 20]}
    assert count_cells(file_of(**grid).grid()) == 2 * 2 * (2 + 1)  # the scored data set itself counts once


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"modles": []}, "'modles' is not a valid key here (did you mean 'models'?)."),
        ({"models": [{**SMALL["models"][0], "acuracy": 1}]}, "models[0]: 'acuracy' is not a valid key here (did you mean 'accuracy'?)."),
        (
            {"models": [{**SMALL["models"][0], "preprocessing": {"inputsize": 3}}]},
            "models[0].preprocessing: 'inputsize' is not a valid key here (did you mean 'input_size'?).",
        ),
        ({"model_defaults": {"epoch": 1}}, "model_defaults: 'epoch' is not a valid key here (the keys are architecture, "),
        ({"models": [{**SMALL["models"][0], "accuracy": "high"}]}, "models[0].accuracy must be a valid number, not 'high'."),
        ({"models": [{**SMALL["models"][0], "accuracy": 2}]}, "models[0].accuracy must be less than or equal to 1, not 2."),
        ({"models": [{**SMALL["models"][0], "label": 18}]}, "a valid string; write a number in quotes where it is a text, not 18."),
        ({"models": [{"path": "a", "architecture": "resnet18"}]}, "models[0].architecture: 'resnet18' is not a known architecture"),
        ({"models": [{"path": "a"}]}, "models[0]: architecture is missing; give it"),
        ({"models": [{"architecture": "timm:x"}]}, "models[0]: A model comes from exactly one of path, pretrained, initial_seed, id;"),
        ({"models": [{"path": "a", "initial_seed": 0, "architecture": "timm:x"}]}, "id; it has path and initial_seed."),
        ({"models": [{"id": "mdl_1", "layer": "x"}]}, "models[0]: What is given by id is used as it is registered; leave out layer."),
        ({"models": SMALL["models"] * 2}, "models[1] is the same as models[0]; name each once."),
        ({"models": [7]}, "models[0] must be a mapping of keys to values, not 7."),
        ({"models": {}}, "models must be a valid list, not a mapping."),
        ({"models": [{"architecture": "onnx", "pretrained": "x"}]}, "models[0]: A model of onnx is a file; name it with path."),
        ({"datasets": [{"server_path": "imagenet"}]}, "datasets[0].server_path: A server_path begins at the root of the server"),
        ({"datasets": [{"hub": {"name": "x"}}]}, "datasets[0].hub.revision is missing."),
        ({"datasets": [{"path": "a", "test_share": 2}]}, "datasets[0].test_share must be less than 1, not 2."),
        ({"libraries": ["magic"]}, "libraries[0].kind: There is no library kind 'magic'"),
        ({"libraries": [{"kind": "cluster", "native": True}]}, "libraries[0]: Only a text library takes native"),
        ({"libraries": [{"id": "lib_1"}]}, "libraries: A library given by id fits one model alone"),
        ({"libraries": ["cluster", {"kind": "cluster", "concept_count": 200}]}, "is named twice; name each once."),
        ({"vlm": {"architecture": "timm:resnet18", "path": "a"}}, "vlm: A vlm is open_clip:NAME, or onnx"),
        ({"vlm": {"architecture": "onnx", "path": "a"}}, "vlm: An onnx vlm is a pair of files"),
        ({"concept_counts": [1]}, "concept_counts[0] must be greater than or equal to 2, not 1."),
        ({"concept_counts": 50}, "concept_counts must be a valid list, not 50."),
        ({"seeds": []}, "seeds must have at least 1 item"),
        ({"seeds": [0, 1, 0]}, "seeds: 0 is named twice; name each once."),
        ({"sparsity_grids": [[0.5, 0.1]]}, "sparsity_grids[0]: A grid of sparsities ascends; [0.5, 0.1] does not."),
        ({"protocol": "fast"}, "protocol must be 'exact' or 'reference', not 'fast'."),
        ({"evolution": "yes please"}, "evolution must be a valid boolean, not 'yes please'."),
        ({"deadline_seconds": 1_000_000}, "deadline_seconds must be less than or equal to 604800, not 1000000."),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence_with_the_path_of_its_key(changed: dict[str, Any], sentence: str) -> None:
    refusal = refusal_of(**changed)
    assert refusal.error_count() == 1
    found = fault_sentence(refusal, StudyFile)
    assert sentence in found
    assert "\n" not in found


def test_the_sentence_of_several_errors_is_that_of_the_first() -> None:
    refusal = refusal_of(protocol="fast", elements={"kind": "pixels"}, seeds=[-1])
    assert refusal.error_count() == 3
    assert fault_sentence(refusal, StudyFile) == "seeds[0] must be greater than or equal to 0, not -1."


def test_a_file_that_is_not_a_mapping_is_refused() -> None:
    with pytest.raises(ValidationError) as refused:
        StudyFile.model_validate(["models"])
    assert fault_sentence(refused.value, StudyFile) == "The file must be a mapping of keys to values, not a list of 1."


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"datasets": None}, "datasets"),
        ({"libraries": []}, "libraries"),
        ({"models": None}, "models"),
        ({"seeds": list(range(5_001)), "concept_counts": [5, 6]}, None),
        ({"datasets": [{"features": "features.npz"}], "models": None, **TEXT, "vocabulary": "birds"}, "vlm"),
        ({"library_datasets": [{"features": "features.npz"}]}, "library_datasets"),
        ({"libraries": ["text"]}, "libraries"),
        ({**TEXT, "libraries": ["cluster"], "vocabulary": "birds"}, "vlm"),
        ({"concept_counts": [10], "libraries": [{"kind": "cluster", "concept_count": 5}]}, "concept_counts"),
        ({"datasets": [{"features": "features.npz"}]}, "models"),
        ({**TEXT, "datasets": ["a", "b"], "vocabulary": "from-classes"}, "vocabulary"),
        ({"evolution": True}, "models"),
        ({"evolution": True, "models": [CHECKPOINTS[0], {**CHECKPOINTS[1], "architecture": "timm:resnet34"}]}, "models"),
        ({"evolution": True, "models": [{**CHECKPOINTS[0], "epoch": 2}, {**CHECKPOINTS[1], "epoch": 2}]}, "models"),
        ({"evolution": True, "models": [{**CHECKPOINTS[0], "epoch": 2}, CHECKPOINTS[1]]}, "models"),
    ],
)
def test_a_grid_that_the_service_would_refuse_is_refused(changed: dict[str, Any], param: str | None) -> None:
    study = file_of(**changed)
    with pytest.raises(GridFault) as refused:
        require_whole_file(study)
    assert refused.value.param == param


def test_an_extension_can_be_partial_but_not_contradictory() -> None:
    require_addable_file(file_of(models=None, datasets=None, libraries=["text"], vlm="mdl_1"))
    with pytest.raises(GridFault, match="given twice"):
        require_addable_file(file_of(concept_counts=[10], libraries=[{"kind": "cluster", "concept_count": 5}]))
