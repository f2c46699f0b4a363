"""Read study files: YAML errors, local paths, and checks before uploads. Keys and grids are tested in tests/iis_schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torchvision
import yaml

from iis_client import ConfigurationError, LocalFileError
from iis_client.cli.settings.vocabulary_options import VocabularySource
from iis_client.cli.studies.file import LocalStudy, read_study, require_addable, require_complete, require_files

SHIPPED = Path(__file__).parents[4] / "docs" / "studies"
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
TEXT: dict[str, Any] = {"libraries": ["text"], "vlm": {"architecture": "open_clip:ViT-B-16", "path": "b.safetensors"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints, images and phrases that the study files of these tests name."""
    for name in ("a.safetensors", "b.safetensors", "words.txt", "features.npz"):
        (tmp_path / name).write_bytes(b"content")
    (tmp_path / "images").mkdir()
    return tmp_path


def study_in(folder: Path, **changed: Any) -> LocalStudy:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in {**SMALL, **changed}.items() if value is not None}))
    return read_study(path)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_file_is_a_complete_study(path: Path) -> None:
    require_complete(read_study(path))


@pytest.mark.parametrize("name", ["figure3", "figure4_cifar10", "figure4_cifar100", "figure4_cub200", "table3"])
def test_the_backbones_of_a_figure_are_torchvisions_with_its_published_accuracies(name: str) -> None:
    study = read_study(SHIPPED / f"{name}.yaml").content
    assert [model.architecture for model in study.models] == [f"torchvision:{backbone}" for backbone in BACKBONES]
    for model in study.models:
        weights = torchvision.models.get_model_weights(str(model.architecture).partition(":")[2])[str(model.pretrained)]
        assert model.accuracy == pytest.approx(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100, abs=5e-6)


def test_relative_paths_are_relative_to_the_file(folder: Path) -> None:
    study = study_in(folder, **TEXT, vocabulary="words.txt")
    sources = study.content.sources()
    files = {key: list(study.local_files(source)) for key, source in sources.items()}
    assert files == {"models[0]": [folder / "a.safetensors"], "vlm": [folder / "b.safetensors"], "datasets[0]": [folder / "images"]}
    assert study.vocabulary == VocabularySource(file=folder / "words.txt")
    assert study.name == "study"
    require_complete(study)
    require_files(study)


def test_a_vocabulary_can_be_a_name(folder: Path) -> None:
    assert study_in(folder, **TEXT, vocabulary="birds").vocabulary == VocabularySource("birds", None)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"modles": []}, "study.yaml: 'modles' is not a valid key here (did you mean 'models'?)."),
        ({"seeds": ["one"]}, "study.yaml: seeds[0] must be a valid integer, not 'one'."),
        ({"vocabulary": "@first"}, "study.yaml: vocabulary: There is no vocabulary '@first'"),
    ],
)
def test_a_wrong_value_is_refused_with_file_and_key(folder: Path, changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        study_in(folder, **changed)
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


def test_a_grid_that_the_service_would_refuse_is_refused_with_file_and_key(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^study\.yaml: libraries: A text library is made of phrases"):
        require_complete(study_in(folder, libraries=["text"]))
    with pytest.raises(ConfigurationError, match=r"^study\.yaml: The grid has 10,002 jobs"):
        require_addable(study_in(folder, seeds=list(range(5_001)), concept_counts=[5, 6]))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"models": [{"path": "c.safetensors", "architecture": "timm:x"}]}, "study.yaml: models[0]: there is no checkpoint at "),
        ({"models": [{"path": "images", "architecture": "timm:x"}]}, "study.yaml: models[0]: there is no checkpoint at "),
        ({"datasets": ["missing"]}, "study.yaml: datasets[0]: there is no folder of class folders or archive of one at "),
        ({"datasets": [{"features": "images"}]}, "study.yaml: datasets[0]: there is no npz or safetensors file at "),
        (
            {"datasets": [{"path": "images", "manifest": {"path": "missing.csv"}}]},
            "study.yaml: datasets[0]: there is no manifest at ",
        ),
        ({"vocabulary": "missing.txt"}, "study.yaml: vocabulary: there is no file "),
    ],
)
def test_missing_files_are_named_with_their_key(folder: Path, changed: dict[str, Any], sentence: str) -> None:
    study = study_in(folder, **changed)
    with pytest.raises(LocalFileError) as refused:
        require_files(study)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("models: [a", r"study.yaml is not YAML at line 1, column \d+: "),
        ("- a\n- b\n", "study.yaml: The file must be a mapping of keys to values, not a list of 2."),
        ("", "study.yaml: The file must be a mapping of keys to values, not nothing."),
        ("1: a\n", "study.yaml: "),
        ("name: !!python/object/apply:os.getcwd []\n", "study.yaml is not YAML at line 1"),
    ],
)
def test_a_file_that_is_not_a_yaml_mapping_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=sentence):
        read_study(path)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match=r"There is no file .*study.yaml"):
        read_study(tmp_path / "study.yaml")
    (tmp_path / "study.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8 text"):
        read_study(tmp_path / "study.yaml")
