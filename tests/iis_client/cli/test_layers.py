"""Several layers of one network by one command, and by one study file with a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from iis_client import IISClient
from iis_client.cli.layer_sweep import layer_view
from iis_schemas.studies.views import ROW_EXAMPLE, TableRow
from support.planted import ARCHITECTURE, ARGUMENTS, PREPROCESSING, Planted

if TYPE_CHECKING:
    from support.iis_command import RunCommand

LAYERS = ("layer3", "layer4")
COUNTS = {"train": 12, "test": 8}
SETTINGS = ["--library", "sae", "--concepts", "8", "--images-per-class", "4"]


def flat_images(folder: Path, planted: Planted) -> tuple[Path, Path]:
    """A few images of two classes in one folder, and a table of their classes and splits."""
    rows = ["picture,kind,part"]
    (folder / "flat").mkdir()
    for split, count in COUNTS.items():
        for label in ("warm circle", "cold cross"):
            for path in sorted((planted.images / split / label).iterdir())[:count]:
                name = f"{split}-{label}-{path.name}".replace(" ", "-")
                (folder / "flat" / name).write_bytes(path.read_bytes())
                rows.append(f"{name},{label},{split}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder / "flat", folder / "labels.csv"


@pytest.mark.slow
def test_layers_share_a_pass_and_a_study_file_finds_them_again(
    iis: RunCommand, client: IISClient, planted: Planted, tmp_path: Path
) -> None:
    images, table = flat_images(tmp_path, planted)
    columns = {"path": "picture", "label": "kind", "split": "part"}
    source = ["--data", images, "--manifest", table]
    source += [word for role, name in columns.items() for word in ("--manifest-column", f"{role}={name}")]
    network = [planted.backbone, "--arch", ARCHITECTURE, "--arg", f"num_classes={ARGUMENTS['num_classes']}"]
    network += ["--preprocess", "input_size=32", "--preprocess", "crop_pct=1.0"]
    layers = [word for layer in LAYERS for word in ("--layer", layer)]
    done = iis("score", *network, *layers, *source, *SETTINGS, "--watch", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert all(layer in done.stdout for layer in LAYERS)
    assert "a table was chosen" in done.stderr or "labels.csv" in done.stderr  # the note of the manifest

    study = next(client.studies())
    jobs = [cell.job for cell in client.study_cells(study)]
    extracted = [
        event.data["state"]
        for job in jobs
        for event in client.events(job)
        if event.type == "stage" and event.data["stage"] == "extract" and event.data["state"] in ("finished", "reused")
    ]
    assert sorted(extracted) == ["finished", "reused"]

    manifest = {"path": "labels.csv", **{f"{role}_column": name for role, name in columns.items()}}
    content = {
        "models": [
            {
                "path": str(planted.backbone),
                "architecture": ARCHITECTURE,
                "arguments": ARGUMENTS,
                "preprocessing": PREPROCESSING,
                "layers": list(LAYERS),
            }
        ],
        "datasets": [{"path": "flat", "manifest": manifest}],
        "libraries": [{"kind": "sae", "concept_count": 8}],
        "elements": {"images_per_class": 4},
    }
    (tmp_path / "layers.yaml").write_text(yaml.safe_dump(content))
    before = {model.id for model in client.models()}, {dataset.id for dataset in client.datasets()}
    done = iis("study", "run", tmp_path / "layers.yaml")
    assert done.returncode == 0, done.stderr
    assert ({model.id for model in client.models()}, {dataset.id for dataset in client.datasets()}) == before
    assert [cell.job for cell in client.study_cells(next(client.studies()))] == jobs  # the same scores, computed once


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--layer", "a", "--layer", "a"], "names a layer twice"),
        (["--layer", "a", "--layer", "b", "--plot", "arr.png"], "--plot saves the figure of one job"),
    ],
)
def test_options_of_one_layer_are_refused_with_several(iis: RunCommand, tmp_path: Path, words: list[str], sentence: str) -> None:
    (tmp_path / "a.safetensors").touch()
    done = iis("score", "a.safetensors", "--arch", "timm:resnet18", "--data", str(tmp_path), *words)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_a_row_for_each_layer_in_the_order_of_the_request() -> None:
    rows = [TableRow.model_validate({**ROW_EXAMPLE, "label": f"net at {layer}", "job": f"job_{layer}"}) for layer in LAYERS]
    (table,) = layer_view(rows)
    assert [(row[0], row[1], row[-1]) for row in table.rows] == [(layer, "0.928", f"job_{layer}") for layer in LAYERS]
