"""A study's file: what it may say, what is refused with the path of its key, and that every file in docs/studies is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torchvision
import yaml

from iis_client import ConfigurationError, LocalFileError
from iis_client.cli.studies.file import StudyFile, read_study, require_files
from iis_client.cli.studies.grid import count_jobs, require_addable, require_whole
from iis_client.cli.vocabulary_options import VocabularySource

SHIPPED = Path(__file__).parents[3] / "docs" / "studies"
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
    "real_networks": 105,
    "table2": 60,
    "table3": 28,
}
BACKBONES = (
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *("vit_b_16", "vit_l_16", "swin_t", "swin_s", "swin_b"),
    *(f"convnext_{size}" for size in ("tiny", "small", "base", "large")),
)
SMALL: dict[str, Any] = {
    "models": [{"path": "a.safetensors", "architecture": "timm:resnet18"}],
    "datasets": ["images"],
    "libraries": ["cluster"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints, images and phrases, which the studies of these tests name."""
    for name in ("a.safetensors", "b.safetensors", "words.txt", "features.npz"):
        (tmp_path / name).write_bytes(b"content")
    (tmp_path / "images").mkdir()
    return tmp_path


def study_in(folder: Path, **changed: Any) -> StudyFile:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in {**SMALL, **changed}.items() if value is not None}))
    return read_study(path)


def test_every_shipped_file_is_a_study_of_as_many_jobs_as_its_grid_has_cells() -> None:
    jobs: dict[str, int] = {}
    for path in SHIPPED.glob("*.yaml"):
        study = read_study(path)
        require_whole(study)
        jobs[path.stem] = count_jobs(study)
    assert jobs == JOBS


@pytest.mark.parametrize("name", ["figure3", "figure4_cifar10", "figure4_cifar100", "figure4_cub200", "table3"])
def test_the_backbones_of_a_figure_are_torchvisions_with_the_accuracies_it_states(name: str) -> None:
    study = read_study(SHIPPED / f"{name}.yaml")
    assert [model.architecture for model in study.models] == [f"torchvision:{backbone}" for backbone in BACKBONES]
    for model in study.models:
        weights = torchvision.models.get_model_weights(model.architecture.partition(":")[2])[str(model.pretrained)]
        assert model.accuracy == pytest.approx(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100, abs=5e-6)


def test_what_a_file_leaves_out_is_as_the_service_has_it(folder: Path) -> None:
    study = study_in(folder)
    assert (study.name, study.seeds, study.protocol, study.library_datasets, study.evolution) == ("study", (0,), "exact", (None,), False)
    assert study.elements == {"kind": "patches", "images_per_class": 10, "seed": 0}
    assert (study.models[0].checkpoint, study.models[0].label) == (folder / "a.safetensors", "a")
    require_whole(study)
    require_files(study)
    assert count_jobs(study) == 1


def test_models_share_what_model_defaults_say_unless_they_say_otherwise(folder: Path) -> None:
    study = study_in(
        folder,
        model_defaults={"architecture": "timm:resnet18", "arguments": {"in_chans": 1}, "family": "ResNet"},
        models=[{"path": "a.safetensors"}, {"initial_seed": 3, "arguments": {"num_classes": 5}, "family": "other"}, "mdl_1"],
    )
    first, untrained, registered = study.models
    assert (first.architecture, first.arguments, first.family) == ("timm:resnet18", {"in_chans": 1}, "ResNet")
    assert (untrained.arguments, untrained.family, untrained.initial_seed) == ({"in_chans": 1, "num_classes": 5}, "other", 3)
    assert untrained.label == "resnet18, untrained (3)"
    assert (registered.id, registered.architecture, registered.label) == ("mdl_1", "", None)


def test_an_empty_mapping_of_preprocessing_is_the_architectures_own_whatever_the_defaults_say(folder: Path) -> None:
    study = study_in(
        folder,
        model_defaults={"architecture": "timm:resnet18", "preprocessing": {"input_size": 32}},
        models=[{"initial_seed": 1}, {"initial_seed": 2, "preprocessing": {}}],
    )
    assert [model.preprocessing for model in study.models] == [{"input_size": 32}, {}]


def test_data_sets_come_from_folders_files_of_features_servers_the_hub_and_ids(folder: Path) -> None:
    hub = {"name": "uoft-cs/cifar10", "revision": "abc"}
    sources = ["images", "dst_1", {"features": "features.npz"}, {"server_path": "/data", "name": "ImageNet"}, {"hub": hub}]
    images, registered, features, served, hubbed = study_in(folder, datasets=sources).datasets
    assert (images.path, images.kind) == (folder / "images", "images")
    assert registered.id == "dst_1"
    assert (features.path, features.kind) == (folder / "features.npz", "features")
    assert (served.server_path, served.shown) == ("/data", "ImageNet")
    assert hubbed.hub == hub


def test_a_vocabulary_in_a_file_is_beside_the_study(folder: Path) -> None:
    words = {"libraries": ["text"], "vlm": {"architecture": "open_clip:ViT-B-16", "path": "b.safetensors"}}
    study = study_in(folder, **words, vocabulary="words.txt")
    assert study.vocabulary == VocabularySource(file=folder / "words.txt")
    assert study.vlm is not None
    assert (study.vlm.role, study.vlm.checkpoint) == ("vlm", folder / "b.safetensors")
    require_files(study)
    assert study_in(folder, **words, vocabulary="birds").vocabulary == VocabularySource("birds", None)


def test_only_libraries_cut_from_images_stand_once_for_each_data_set_they_are_cut_from(folder: Path) -> None:
    grid = {"libraries": ["cluster", "random"], "library_datasets": [None, "images", "dst_1"], "seeds": [0, 1], "concept_counts": [10, 20]}
    assert count_jobs(study_in(folder, **grid)) == 2 * 2 * (2 + 1)  # the scored data set itself counts once


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"modles": []}, "study.yaml: modles is no key of a study; did you mean models?"),
        ({"models": [{"path": "a", "archtecture": "x"}]}, "study.yaml: models[0].architecture is missing; give it"),
        (
            {"models": [{"path": "a", "architecture": "timm:x", "acuracy": 1}]},
            "study.yaml: models[0].acuracy is no key of a model; did you mean accuracy?",
        ),
        (
            {"models": [{"path": "a", "architecture": "timm:x", "accuracy": "high"}]},
            "study.yaml: models[0].accuracy must be a number from 0 to 1, not 'high'.",
        ),
        (
            {"models": [{"path": "a", "architecture": 18}]},
            "models[0].architecture must be a text of 1 to 250 characters; a number needs quotes to be a text, not 18.",
        ),
        (
            {"models": [{"path": "a", "architecture": "resnet18"}]},
            "models[0].architecture must be one of timm:NAME, torchvision:NAME, open_clip:NAME, onnx, not 'resnet18'.",
        ),
        (
            {"models": [{**SMALL["models"][0], "label": "x" * 201}]},
            "study.yaml: models[0].label must be a text of 1 to 200 characters, not",
        ),
        ({"models": [{**SMALL["models"][0], "preprocessing": {"size": 3}}]}, "models[0].preprocessing.size is no key of preprocessing;"),
        ({"models": SMALL["models"] * 2}, "study.yaml: models[1] says the same as study.yaml: models[0]; name each once."),
        ({"deadline_seconds": 1_000_000}, "study.yaml: deadline_seconds must be a number above 0 and up to 604800, not 1000000."),
        ({"seeds": [0, 1, 0]}, "study.yaml: seeds[2] says the same as study.yaml: seeds[0]; name each once."),
        (
            {"libraries": ["cluster", {"kind": "cluster", "concept_count": 200}]},
            "study.yaml: libraries[1] says the same as study.yaml: libraries[0]; name each once.",
        ),
        (
            {"libraries": [{"kind": "cluster", "concept_count": count} for count in range(2, 67)]},
            "study.yaml: libraries has 65 items, and the most is 64; take some away.",
        ),
        ({"name": "x" * 201}, "study.yaml: name must be a text of 1 to 200 characters, not"),
        ({"datasets": [{"server_path": "imagenet"}]}, "datasets[0].server_path must be a path on the server from its root,"),
        (
            {"models": [{"architecture": "x"}]},
            "models[0] must say where the model comes from by one of path, pretrained, initial_seed, id;",
        ),
        ({"models": [{"path": "a", "initial_seed": 0, "architecture": "x"}]}, "id; it has path and initial_seed."),
        (
            {"models": [{"initial_seed": True, "architecture": "timm:x"}]},
            "models[0].initial_seed must be a whole number from 0 to 2147483647",
        ),
        ({"models": [7]}, "models[0] must be a mapping of keys to values, not 7."),
        ({"models": {}}, "study.yaml: models must be a list, not a mapping."),
        ({"datasets": [{"hub": {"name": "x"}}]}, "datasets[0].hub needs a name and a revision"),
        ({"datasets": [{"path": "a", "test_share": 2}]}, "datasets[0].test_share must be a number above 0 and below 1, not 2."),
        ({"libraries": ["magic"]}, "libraries[0].kind must be one of prototype, cluster, end2end, text, random, combined, not 'magic'."),
        ({"libraries": [{"kind": "cluster", "native": True}]}, "libraries[0].native is of a text library alone"),
        ({"libraries": [{"kind": "combined", "parts": [{"kind": "text"}]}]}, "libraries[0] is combined, so it needs two or more parts"),
        ({"concept_counts": [1]}, "concept_counts[0] must be a whole number from 2 to 20000, not 1."),
        ({"seeds": []}, "study.yaml: seeds is empty; leave it out, or name at least one."),
        ({"concept_counts": 50}, "concept_counts must be a list, not 50."),
        ({"seeds": [0, -1]}, "seeds[1] must be a whole number from 0 to 2147483647, not -1."),
        ({"sparsity_grids": [[0.5, 0.1]]}, "sparsity_grids[0] must be 2 to 64 sparsities that ascend, not [0.5, 0.1]."),
        ({"sparsity_grids": [[0, 1.5]]}, "sparsity_grids[0][1] must be a number from 0 to 1, not 1.5."),
        ({"protocol": "fast"}, "protocol must be one of exact, reference, not 'fast'."),
        ({"elements": {"kind": "pixels"}}, "elements.kind must be one of patches, segments, not 'pixels'."),
        ({"evolution": "yes please"}, "evolution must be true or false, not 'yes please'."),
        ({"vocabulary": "a b"}, "study.yaml: vocabulary: There is no vocabulary 'a b'"),
        ({"model_defaults": {"epoch": 1}}, "model_defaults.epoch is no key of model_defaults; it has architecture"),
    ],
)
def test_a_wrong_value_is_refused_with_the_path_of_its_key(folder: Path, changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        study_in(folder, **changed)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


CHECKPOINTS = [{"path": f"{name}.safetensors", "architecture": "timm:resnet18"} for name in "ab"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"datasets": None}, "this grid is empty, for it names no data set"),
        ({"libraries": []}, "this grid is empty, for it names no library"),
        ({"models": None}, "this grid is empty, for no model reads its images"),
        ({"seeds": list(range(5_001)), "concept_counts": [5, 6]}, "this grid asks for 10,002 jobs, and a study has at most 10,000"),
        ({"datasets": [{"features": "features.npz"}], "models": None, "libraries": ["text"]}, "which are not compared with phrases"),
        (
            {"library_datasets": [{"features": "features.npz"}]},
            "library_datasets[0] holds ready features, and a library is cut from images",
        ),
        ({"libraries": ["text"]}, "a text library is made of phrases that a model knows; give vlm and vocabulary."),
        ({"vlm": "mdl_1", "vocabulary": "birds"}, "phrases make text libraries, and this grid has none"),
        ({"concept_counts": [10], "libraries": [{"kind": "cluster", "concept_count": 5}]}, "libraries[0].concept_count says again"),
        ({"datasets": [{"features": "features.npz"}]}, "datasets[0] holds ready features, which no model reads"),
        ({"evolution": True}, "an evolution is over two checkpoints or more"),
        (
            {"evolution": True, "models": [CHECKPOINTS[0], {**CHECKPOINTS[1], "architecture": "timm:resnet34"}]},
            "study.yaml: models[1].architecture differs from that of the checkpoint before it",
        ),
        (
            {"evolution": True, "models": [{**CHECKPOINTS[0], "epoch": 2}, {**CHECKPOINTS[1], "epoch": 2}]},
            "models[1].epoch must be above that of the checkpoint before it, 2",
        ),
        ({"evolution": True, "models": [{**CHECKPOINTS[0], "epoch": 2}, CHECKPOINTS[1]]}, "models[1].epoch is missing"),
    ],
)
def test_a_grid_that_the_service_would_refuse_is_refused_before_anything_is_sent(
    folder: Path, changed: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        require_whole(study_in(folder, **changed))
    assert sentence in str(refused.value)


def test_what_is_added_to_a_study_need_not_be_whole_but_may_not_contradict_itself(folder: Path) -> None:
    require_addable(study_in(folder, models=None, datasets=None, libraries=["text"], vlm="mdl_1"))
    require_addable(study_in(folder, evolution=True, datasets=None, libraries=None))
    with pytest.raises(ConfigurationError, match="says again what concept_counts says"):
        require_addable(study_in(folder, concept_counts=[10], libraries=[{"kind": "cluster", "concept_count": 5}]))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"models": [{"path": "c.safetensors", "architecture": "timm:x"}]}, "study.yaml: models[0]: there is no file "),
        ({"datasets": ["missing"]}, "study.yaml: datasets[0]: there is nothing at "),
        ({"datasets": [{"features": "images"}]}, "name an npz or safetensors file."),
        ({"vocabulary": "missing.txt"}, "study.yaml: vocabulary: there is no file "),
    ],
)
def test_files_that_are_not_there_are_named_with_their_key(folder: Path, changed: dict[str, Any], sentence: str) -> None:
    study = study_in(folder, **changed)
    with pytest.raises(LocalFileError) as refused:
        require_files(study)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("models: [a", r"study.yaml is not YAML at line 1, column \d+: "),
        ("- a\n- b\n", "study.yaml: must be a mapping of keys to values, not a list."),
        ("", "study.yaml: must be a mapping of keys to values, not nothing."),
        ("1: a\n", "study.yaml: must be a mapping of keys to values"),
        ("name: !!python/object/apply:os.getcwd []\n", "study.yaml is not YAML at line 1"),
    ],
)
def test_what_is_no_yaml_mapping_is_said_so(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=sentence):
        read_study(path)


def test_a_file_that_is_not_there_or_is_no_text_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match=r"There is no file .*study.yaml"):
        read_study(tmp_path / "study.yaml")
    (tmp_path / "study.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="no text in UTF-8"):
        read_study(tmp_path / "study.yaml")
