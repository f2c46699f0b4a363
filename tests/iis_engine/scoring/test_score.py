"""Scores recover planted structure, and do not depend on scale, order or threads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from iis_engine import protocols
from iis_engine.__main__ import main
from iis_engine.errors import LibraryError, SettingError
from iis_engine.features.canonical_order import in_canonical_order
from iis_engine.features.feature_set import ElementRef, FeatureSet
from iis_engine.figures.report import save_plot
from iis_engine.libraries.build import build_library
from iis_engine.scoring.curve import trapezoid
from iis_engine.scoring.ensemble import build_libraries
from iis_engine.scoring.exact import measure_exact
from iis_engine.scoring.score import score
from iis_engine.scoring.verdict import VERDICT_CODES
from iis_engine.specs import ACTIVATIONS_NAMES, ElementSpec, LibraryKind, LibrarySpec, ProtocolName, ScoreSpec

CPU = torch.device("cpu")
torch.set_num_threads(1)


def blobs(train: int = 400, test: int = 300, dimension: int = 16, classes: int = 5, noise: float = 1.0, seed: int = 0) -> FeatureSet:
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(classes, dimension, generator=generator)

    def draw(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.arange(n) % classes
        return (centres[y] + noise * torch.randn(n, dimension, generator=generator)).float(), y

    X_train, y_train = draw(train)
    X_test, y_test = draw(test)
    elements, _ = draw(150)
    return FeatureSet(X_train, y_train, X_test, y_test, tuple(f"class {i}" for i in range(classes)), elements)


def measured(features: FeatureSet, kind: LibraryKind = "prototype") -> tuple[torch.Tensor, torch.Tensor]:
    """Every decision of the sparse heads and of the baseline on the test images, in canonical order."""
    libraries = [build_library(features, LibrarySpec(kind, 30), 0, CPU)]
    found = measure_exact(features, libraries, 0, CPU)
    return found.correct, found.baseline_correct


@pytest.mark.parametrize("kind", ["prototype", "cluster", "end2end"])
def test_neither_scale_nor_order_of_the_features_changes_a_decision(kind: LibraryKind) -> None:
    features = blobs(noise=3.0)
    assert features.elements is not None
    plain = measured(features, kind)
    factor = 8 if kind == "end2end" else 10  # training a library amplifies rounding, and a power of two rounds nothing
    scaled = replace(features, X_train=features.X_train * factor, X_test=features.X_test * factor, elements=features.elements * factor)
    order, order_test = torch.randperm(400), torch.randperm(300)
    shuffled = replace(
        features,
        X_train=features.X_train[order],
        y_train=features.y_train[order],
        X_test=features.X_test[order_test],
        y_test=features.y_test[order_test],
        elements=features.elements[torch.randperm(150)],
    )
    for other in (measured(scaled, kind), measured(shuffled, kind)):
        assert all(float((a - b).abs().mean()) <= 1e-4 for a, b in zip(other, plain, strict=True))


def test_the_order_of_concepts_changes_no_decision() -> None:
    features = blobs(noise=3.0)
    library = build_library(features, LibrarySpec("prototype", 30), 0, CPU)
    order = torch.randperm(30)
    permuted = replace(library, vectors=library.vectors[order])
    a, b = (measure_exact(features, [lib], 0, CPU).correct for lib in (library, permuted))
    assert float((a - b).abs().mean()) <= 1e-4


def test_one_concept_per_class_retains_all_accuracy_down_to_one_kept_concept() -> None:
    generator = torch.Generator().manual_seed(1)

    def draw(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.arange(n) % 4
        return 5 * torch.nn.functional.one_hot(y, 4).float() + 0.05 * torch.rand(n, 4, generator=generator), y

    X_train, y_train = draw(200)
    X_test, y_test = draw(100)
    features = FeatureSet(X_train, y_train, X_test, y_test, ("a", "b", "c", "d"), torch.eye(4))
    report = score(features, ScoreSpec(LibrarySpec("prototype", 4)))
    assert {p.kept: p.arr for p in report.points if p.kept > 0} == {4: 1.0, 3: 1.0, 2: 1.0, 1: 1.0}
    assert report.points[-1].kept == 0
    assert report.points[-1].accuracy == pytest.approx(0.25)
    assert report.iis == pytest.approx(1.0)


def test_the_score_of_labels_independent_of_the_representation_is_withheld() -> None:
    features = blobs(train=200, test=150)
    generator = torch.Generator().manual_seed(5)
    features = replace(
        features,
        y_train=torch.randint(5, (200,), generator=generator),
        y_test=torch.randint(5, (150,), generator=generator),
    )
    report = score(features, ScoreSpec(LibrarySpec("prototype", 12)))
    divided_by_the_baseline = ("iis", "iis_authors", "iis_log")
    assert [getattr(report, name) for name in divided_by_the_baseline] == [None] * len(divided_by_the_baseline)
    for control in report.controls.values():
        assert [control.iis, control.gain, control.gain_low, control.headroom_gain, control.iis_log] == [None] * 5
    assert report.verdict["code"] == "too_close_to_chance"
    assert report.iis_by_seed == ()
    assert report.iis_chance_corrected is None
    assert any("no better than chance" in warning for warning in report.warnings)


@pytest.mark.parametrize("noise", [6.0, pytest.param(1.0, marks=pytest.mark.slow)])  # two of eight images are classified correctly; none is
def test_an_upper_end_that_the_images_do_not_limit_divides_by_the_lower_end_of_the_accuracy(noise: float) -> None:
    features = blobs(train=200, test=8, noise=noise)
    report = score(replace(features, y_test=(features.y_test + 1) % 5), ScoreSpec(LibrarySpec("prototype", 12)))
    least = max(report.accuracy_representation_low, 1 / 8)
    assert report.accuracy_representation <= 2 / 8
    assert report.quadrature_error < 8
    for point in report.points:
        assert 0 <= point.arr_low <= point.arr <= point.arr_high <= point.accuracy_high / least


@pytest.mark.parametrize("concept_count", [2, 12])
@pytest.mark.parametrize("protocol", ["exact", pytest.param("reference", marks=pytest.mark.slow)])
def test_the_reported_points_give_the_reported_integral(protocol: ProtocolName, concept_count: int) -> None:
    report = score(blobs(train=200, test=150, noise=3.0), ScoreSpec(LibrarySpec("prototype", concept_count), protocol=protocol))
    if protocol == "exact":
        nodes = [(p.sparsity, p.arr) for p in report.points]
        assert (nodes[0][0], nodes[-1][0]) == (0.0, 1.0)
    else:
        nodes = [(p.sparsity, p.arr) for p in report.points if p.sparsity in protocols.PAPER_SPARSITIES]
        assert [s for s, _ in nodes] == list(protocols.PAPER_SPARSITIES)
    sparsity, arr = np.array(nodes).T
    steps = (arr[0] - arr[-1]) / (2 * concept_count) if protocol == "exact" else 0.0
    assert report.iis == pytest.approx(float(trapezoid(arr, sparsity)) + steps)


@pytest.mark.parametrize("kind", ["prototype", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("cluster", "end2end", "random"))])
def test_the_report_of_each_library_survives_json(kind: LibraryKind, tmp_path: Path) -> None:
    report = score(blobs(train=200, test=150, noise=3.0), ScoreSpec(LibrarySpec(kind, 12))).to_dict()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["iis_low"] <= report["iis"] <= report["iis_high"]
    for control in report["controls"].values():
        assert control["gain"] == pytest.approx(report["iis"] - control["iis"])
        assert control["headroom_gain"] == pytest.approx(control["gain"] / (1 - control["iis"]))
        assert control["few_gain"] == pytest.approx(report["few_concepts_mean"] - control["few_mean"])
        assert control["few_gain_low"] <= control["few_gain"] <= control["few_gain_high"]
        assert [point["kept"] for point in control["points"]][-1] == 0
    assert report["few_concepts_mean"] == pytest.approx(np.mean(list(report["few_concepts"].values())))
    assert (report["edition"], report["configuration"]["activations"]) == (2, "calibrated")
    assert report["verdict"]["code"] in VERDICT_CODES
    sparsities = [point["sparsity"] for point in report["points"]]
    assert sparsities == sorted(set(sparsities))
    assert sparsities[-1] == 1.0
    assert all(p["arr_low"] <= p["arr"] <= p["arr_high"] for p in report["points"])
    save_plot(report, "arr", tmp_path / "arr.png")
    save_plot(report, "accuracy", tmp_path / "accuracy.svg")
    assert (tmp_path / "arr.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "accuracy.svg").read_bytes()


@pytest.mark.slow
def test_the_first_edition_is_kept_as_an_ablation_and_moves_with_a_constant_of_f() -> None:
    features = blobs(train=200, test=150, noise=3.0)
    assert features.elements is not None
    far = {name: getattr(features, name) + 64 for name in ("X_train", "X_test", "elements")}
    reports = {
        (name, moved): score(replace(features, **far) if moved else features, ScoreSpec(LibrarySpec("prototype", 12), activations=name))
        for name in ACTIVATIONS_NAMES
        for moved in (False, True)
    }
    assert {report.edition for (name, _), report in reports.items() if name == "layernorm"} == {1}
    iis = {key: report.iis for key, report in reports.items()}
    isotropic = {key: report.controls["isotropic"].iis for key, report in reports.items()}
    assert iis["calibrated", True] == pytest.approx(iis["calibrated", False], abs=1e-3)
    assert isotropic["calibrated", True] == pytest.approx(isotropic["calibrated", False], abs=1e-3)
    before, after = isotropic["layernorm", False], isotropic["layernorm", True]
    assert before is not None
    assert after is not None
    assert after < before - 0.02


@pytest.mark.slow
def test_a_representation_far_from_zero_has_the_score_of_the_same_at_zero() -> None:
    features = blobs(noise=3.0)
    assert features.elements is not None
    whole = {name: (getattr(features, name) * 64).round() for name in ("X_train", "X_test", "elements")}  # so that float32 rounds nothing
    near, far = replace(features, **whole), replace(features, **{name: values + 1e4 for name, values in whole.items()})
    spec = ScoreSpec(LibrarySpec("cluster", 20))
    one, other = score(near, spec), score(far, spec)
    assert other.iis == pytest.approx(one.iis, abs=1e-4)
    assert other.few_concepts_mean == pytest.approx(one.few_concepts_mean, abs=1e-3)
    for name in one.controls:
        assert other.controls[name].iis == pytest.approx(one.controls[name].iis, abs=1e-4)


@pytest.mark.slow
def test_balanced_numbers_weigh_each_class_the_same() -> None:
    features = blobs(noise=3.0)
    rare = (features.y_test != 0) | (torch.arange(300) % 50 < 5)  # class 0 is left with six images
    uneven = replace(features, X_test=features.X_test[rare], y_test=features.y_test[rare])
    report = score(uneven, ScoreSpec(LibrarySpec("prototype", 12)))
    measured_by_class = measured_recalls(uneven)
    assert report.balanced is not None
    assert report.balanced.accuracy == pytest.approx(measured_by_class.mean())
    assert report.balanced.accuracy != pytest.approx(report.accuracy_representation)
    even = score(features, ScoreSpec(LibrarySpec("prototype", 12)))
    assert even.balanced is not None
    assert even.balanced.iis == pytest.approx(even.iis, abs=0.01)


def measured_recalls(features: FeatureSet) -> np.ndarray:
    _, correct = measured(features)
    y = in_canonical_order(features).y_test.numpy()
    return np.array([correct.numpy()[y == label].mean() for label in range(features.class_count)])


def test_concepts_of_a_combined_library_keep_their_origin_and_are_normalised_by_part() -> None:
    features = blobs()
    parts = (LibrarySpec("prototype", 10), LibrarySpec("random", 12))
    library = build_library(features, LibrarySpec("combined", parts=parts), 0, CPU)
    assert library.origins == ("prototype",) * 10 + ("random",) * 12
    alone = build_library(features, parts[1], 0, CPU).activations(features.X_test)
    torch.testing.assert_close(library.activations(features.X_test)[:, 10:], alone)


def test_more_concepts_than_elements_are_refused_with_both_numbers() -> None:
    with pytest.raises(LibraryError, match=r"M = 151 .* only 150"):
        score(blobs(), ScoreSpec(LibrarySpec("cluster", 151)))


def test_the_advice_on_too_few_elements_depends_on_where_they_come_from() -> None:
    ready = blobs()
    with pytest.raises(LibraryError, match="give more rows in the file's array concepts"):
        score(ready, ScoreSpec(LibrarySpec("cluster", 151)))
    cut = replace(ready, element_refs=(ElementRef(0, (0, 0, 8, 8), "patch"),) * 150)
    with pytest.raises(LibraryError, match="cut elements from more images per class"):
        score(cut, ScoreSpec(LibrarySpec("cluster", 151)))


def test_a_visual_library_of_features_without_elements_is_refused() -> None:
    features = replace(blobs(), elements=None)
    with pytest.raises(LibraryError, match="hold none"):
        score(features, ScoreSpec(LibrarySpec("end2end", 20)))


def test_exemplars_of_an_end2end_concept_are_its_own_elements() -> None:
    features = blobs()
    library = build_library(features, LibrarySpec("end2end", 20), 0, CPU)
    shown = [index for row in library.exemplars for index, _ in row]
    assert len(shown) == len(set(shown))
    assert all(row for row in library.exemplars)
    torch.testing.assert_close(library.vectors.norm(dim=1), torch.ones(20))


@pytest.mark.parametrize(
    ("request_of", "param"),
    [
        (lambda: ScoreSpec(protocol="exat"), "protocol"),  # pyright: ignore[reportArgumentType]
        (lambda: ScoreSpec(seed=-1), "seed"),
        (lambda: ScoreSpec(seed=2**32), "seed"),
        (lambda: ElementSpec(kind="pixels"), "elements.kind"),  # pyright: ignore[reportArgumentType]
        (lambda: ElementSpec(seed=-1), "elements.seed"),
        (lambda: score(blobs(), device="gpu"), "device"),
    ],
)
def test_settings_that_do_not_exist_are_refused_before_any_work(request_of: Callable[[], object], param: str) -> None:
    with pytest.raises(SettingError, match=r"\.$") as caught:
        request_of()
    assert caught.value.param == param


def test_the_largest_seed_gives_five_libraries() -> None:
    ensemble = build_libraries(blobs(), ScoreSpec(LibrarySpec("cluster", 5), seed=2**32 - 1), device="cpu")
    assert len(ensemble.libraries) == 5


def written(features: FeatureSet, path: Path) -> Path:
    assert features.elements is not None
    arrays = {name: getattr(features, name).numpy() for name in ("X_train", "y_train", "X_test", "y_test")}
    np.savez(path, concepts=features.elements.numpy(), **arrays)
    return path


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--device", "gpu"], "'gpu' is not a device; write auto, cpu or cuda."),
        (["--seed", "-1"], "seed must be a whole number from 0 to 4294967295; it is -1."),
        (["--seed", "4294967296"], "seed must be a whole number from 0 to 4294967295; it is 4294967296."),
        (["--plot", "nowhere/figure.png"], "The folder nowhere of the figure does not exist"),
        (["--plot", "figure.xyz"], "A figure must be a .png or .svg file; figure.xyz is not."),
    ],
)
def test_the_command_refuses_options_before_it_scores(
    options: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("iis_engine.scoring.score.score", None)
    assert main([str(written(blobs(), tmp_path / "features.npz")), *options]) == 2
    assert sentence in capsys.readouterr().err


def test_the_command_refuses_cuda_where_there_is_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["features.npz", "--device", "cuda"]) == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_the_command_prints_the_report_even_if_the_figure_cannot_be_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "figure.png").mkdir()
    features = written(blobs(train=100, test=50, noise=3.0), tmp_path / "features.npz")
    assert main([str(features), "--library", "random", "--concepts", "4", "--plot", str(tmp_path / "figure.png")]) == 2
    printed = capsys.readouterr()
    assert "over matched" in printed.out
    assert "The figure could not be saved" in printed.err


@pytest.mark.slow
def test_the_command_reads_a_file_and_prints_the_report(tmp_path: Path) -> None:
    features = written(blobs(train=150, test=100), tmp_path / "features.npz")
    command = [sys.executable, "-m", "iis_engine", str(features), "--library", "cluster", "--concepts", "20", "--json"]
    run = subprocess.run([*command, "--protocol", "reference", "--seed", "0"], capture_output=True, text=True, check=True)
    report = json.loads(run.stdout)
    assert report["optimistic"] is True
    assert report["iis"] == report["iis_authors"]
    refused = subprocess.run([*command[:-2], "500"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "only 150 visual elements" in refused.stderr


def test_a_cluster_library_is_bit_for_bit_the_same_with_any_number_of_threads() -> None:
    elements = torch.relu(torch.randn(1600, 96, generator=torch.Generator().manual_seed(0)) - torch.linspace(0, 5, 96))
    features = replace(blobs(dimension=96), elements=elements)
    found = set[bytes]()
    for threads in (1, 2, 3):
        with threadpool_limits(threads):
            found.add(build_library(features, LibrarySpec("cluster", 50), 0, CPU).vectors.numpy().tobytes())
    assert len(found) == 1
