"""Sections of a study's analysis: which cells are compared, numbers computed by hand, and undefined values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iis_engine.studies.accuracy_relation import DENOMINATOR_IS_ACCURACY
from iis_engine.studies.analysis import analyse
from iis_engine.studies.cells import NEAR_CHANCE, UNTRAINED
from support.study_cells import GRID, LINE, row


def four(**values: Any) -> list[dict[str, Any]]:
    """Better classifiers with higher IIS, but for one swap: rho .8, tau 2/3."""
    numbers = zip("abcd", (0.5, 0.6, 0.7, 0.8), (0.70, 0.80, 0.75, 0.90), strict=True)
    return [row(model, accuracy, iis, **values) for model, accuracy, iis in numbers]


def only(sections: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(sections) == 1
    return sections[0]


def test_a_relation_has_the_correlations_of_its_models_and_their_points() -> None:
    found = only(analyse(four(), GRID)["relation"])
    assert (found["n"], found["dataset_name"], found["library"], found["concept_count"]) == (4, "birds", "prototype", 10)
    assert found["accuracy"]["spearman"]["value"] == pytest.approx(0.8)
    assert found["accuracy"]["kendall"]["value"] == pytest.approx(2 / 3)
    assert found["given_accuracy"] is None
    assert [point["label"] for point in found["points"]] == list("abcd")
    assert found["points"][0]["iis"] == pytest.approx({"value": 0.70, "low": 0.69, "high": 0.71})
    assert "no order beyond chance over 4 models" in found["accuracy"]["sentences"][0]
    assert found["edition"] == 2


def test_the_sentence_of_a_clear_relation_names_its_direction() -> None:
    rows = [row(f"m{i:02}", 0.3 + 0.05 * i, 0.5 + 0.03 * i) for i in range(8)]
    assert only(analyse(rows, GRID)["relation"])["accuracy"]["sentences"][0].startswith(
        "IIS and accuracy rise together over 8 models: rho 1.00"
    )
    fallen = [entry | {name: 1.5 - entry[name] for name in ("iis", "iis_low", "iis_high")} for entry in rows]
    assert "run against each other" in only(analyse(fallen, GRID)["relation"])["accuracy"]["sentences"][0]


def test_the_partial_correlation_given_the_denominator_needs_an_accuracy_from_elsewhere() -> None:
    rows = [entry | {"given_accuracy": given} for entry, given in zip(four(), (0.6, 0.5, 0.8, 0.7), strict=True)]
    found = only(analyse(rows, GRID)["relation"])
    within = found["accuracy"]["partial"]["denominator"]
    assert (within["value"], within["reason"]) == (None, DENOMINATOR_IS_ACCURACY.format(quantity="accuracy"))
    # Ranks: given 2 1 4 3, IIS 1 3 2 4, accuracy 1 2 3 4, so r(given, IIS) = 0, r(given, accuracy) = .6, r(IIS, accuracy) = .8.
    assert found["given_accuracy"]["spearman"]["value"] == pytest.approx(0)
    assert found["given_accuracy"]["partial"]["denominator"]["value"] == pytest.approx(-0.48 / (0.8 * 0.6))


def test_the_relation_is_read_beside_that_of_both_controls_which_are_partialled_out() -> None:
    found = only(analyse(four(), GRID)["relation"])["accuracy"]
    # Ranks: accuracy 1 2 3 4, IIS 1 3 2 4, isotropic 2 1 4 3: r(accuracy, isotropic) = .6, r(IIS, isotropic) = 0.
    assert found["controls"]["isotropic"]["value"] == pytest.approx(0.6)
    assert found["partial"]["isotropic"]["value"] == pytest.approx(0.8 / 0.8)
    # Ranks of matched 2 4 3 1: r(accuracy, matched) = 1 - 6·14/60 = -.4, r(IIS, matched) = 1 - 6·12/60 = -.2.
    assert found["controls"]["matched"]["value"] == pytest.approx(-0.4)
    assert found["partial"]["matched"]["value"] == pytest.approx((0.8 - 0.4 * 0.2) / ((1 - 0.16) * (1 - 0.04)) ** 0.5)
    assert found["controls"]["matched"]["low"] is not None
    assert found["controls"]["matched"]["noise_low"] is found["gains"]["gain_isotropic"]["noise_low"] is None  # of stated ones only
    assert found["gains"]["gain_matched"]["noise_low"] is not None
    assert "The IIS of matched directions has rho -0.40" in found["sentences"][0]
    assert "given it, rho of IIS is 0.80" in found["sentences"][0]


def test_the_gains_over_the_controls_are_set_against_accuracy() -> None:
    found = only(analyse(four(), GRID)["relation"])["accuracy"]
    assert {name: estimate["value"] for name, estimate in found["gains"].items()} == pytest.approx(
        {"few_gain_matched": 1, "gain_matched": 0.8, "few_gain_isotropic": 1, "gain_isotropic": 0.8}
    )
    assert [sentence.split(" show ")[0] for sentence in found["sentences"]] == [
        "IIS and accuracy",
        "The few-concept gain over matched directions and accuracy",
        "The gain in IIS over matched directions and accuracy",
    ]


def test_results_without_matched_directions_are_read_beside_isotropic_ones() -> None:
    absent = dict.fromkeys(("iis_matched", "gain_matched", "few_gain_matched", "few_gain_isotropic", "few_concepts_mean"))
    rows = [entry | {"iis_isotropic_low": None, "iis_isotropic_high": None} for entry in four(edition=1, verdict=None, **absent)]
    found = only(analyse(rows, GRID)["relation"])
    assert found["points"][0]["iis_isotropic"] is not None
    assert (found["edition"], len(found["accuracy"]["sentences"])) == (1, 1)
    assert "The IIS of isotropic directions has rho 0.60" in found["accuracy"]["sentences"][0]
    assert "not measured in all results" in found["accuracy"]["controls"]["matched"]["reason"]
    assert found["points"][0]["gain_matched"] is None


def test_the_sentences_of_a_study_are_one_family() -> None:
    clear = [row(f"m{i:02}", 0.3 + 0.05 * i, 0.5 + 0.03 * i) for i in range(6)]  # all orders of six: p = 2/720
    analysis = analyse([*clear, *(entry | {"library": "cluster"} for entry in clear)], GRID)
    assert analysis["claims"] == 6
    found = [relation["accuracy"] for relation in analysis["relation"]]
    stated = [estimate for one in found for estimate in (one["spearman"], one["gains"]["few_gain_matched"], one["gains"]["gain_matched"])]
    assert [estimate["p"] for estimate in stated] == pytest.approx([2 / 720] * 6)
    assert [estimate["p_holm"] for estimate in stated] == pytest.approx([6 * 2 / 720] * 6)
    assert all("rise together" in sentence for one in found for sentence in one["sentences"])
    beside = [one[name] for one in found for name in ("kendall",)] + [one["gains"]["gain_isotropic"] for one in found]
    assert {estimate["p_holm"] for estimate in beside} == {None}
    many = analyse([entry | {"library": f"library {place}"} for place in range(7) for entry in clear], GRID)
    assert many["claims"] == 21  # 21 · 2/720 > .05
    assert "show no order beyond chance over 6 models" in many["relation"][0]["accuracy"]["sentences"][0]


def test_editions_have_sections_of_their_own_and_a_warning() -> None:
    first = {"edition": 1, "verdict": None}
    rows = [*four(), *four(**first), *four(library="cluster"), row("bare", 0.3, 0.5, untrained=True, **first)]
    rows += four(concept_count=20, **first)
    rows += four(library_dataset="dst_c", library_dataset_name="cars", **first)
    analysis = analyse(rows, GRID)
    found = [(one["library"], one["concept_count"], one["library_dataset"], one["edition"], one["n"]) for one in analysis["relation"]]
    assert sorted(found, key=str) == sorted(
        [
            *(("prototype", 10, None, 2, 4), ("prototype", 10, None, 1, 4), ("cluster", 10, None, 2, 4)),
            *(("prototype", 20, None, 1, 4), ("prototype", 10, "dst_c", 1, 4)),
        ],
        key=str,
    )
    for name in ("concept_counts", "transfer", "untrained"):
        assert only(analysis[name])["edition"] == 1, name
    assert only(analysis["agreement"])["edition"] == 2
    assert any("two editions" in warning for warning in analysis["warnings"])
    assert not any("editions" in warning for warning in analyse(four(), GRID)["warnings"])


def test_scores_of_multi_label_data_have_sections_of_their_own_that_name_mean_average_precision() -> None:
    labels = {"quantity": "mean_average_precision", "dataset": "features", "dataset_name": "ready features"}
    classes = {"dataset": "features", "dataset_name": "ready features"}
    of_labels = [entry | {"model": f"tags {entry['model']}"} for entry in four(**labels)]
    analysis = analyse([*four(**classes), *of_labels], GRID)
    found = {one["quantity"]: one for one in analysis["relation"]}
    assert {quantity: one["n"] for quantity, one in found.items()} == {"accuracy": 4, "mean_average_precision": 4}
    within = found["mean_average_precision"]["accuracy"]
    assert within["sentences"][0].startswith("IIS and mean average precision show no order")
    assert "a linear function of the mean average precision" in within["partial"]["denominator"]["reason"]
    assert any("retain accuracy and rows of multi-label data mean average precision" in warning for warning in analysis["warnings"])
    assert not any("have no result" in warning for warning in analysis["warnings"])
    assert not any("multi-label" in warning for warning in analyse(of_labels, GRID)["warnings"])


def test_a_cell_measured_in_two_editions_is_not_missing() -> None:
    rows = [*four()[:2], *four(edition=1)[2:]]
    assert not any("have no result" in warning for warning in analyse(rows, GRID)["warnings"])


def test_an_accuracy_that_some_models_lack_is_not_used() -> None:
    rows = four()
    rows[0]["given_accuracy"] = 0.9
    assert only(analyse(rows, GRID)["relation"])["given_accuracy"] is None


def test_models_near_chance_and_untrained_ones_are_excluded_from_every_section_by_name() -> None:
    def six(**values: Any) -> list[dict[str, Any]]:
        # The reference protocol gives an IIS to the one near chance too, and a high one.
        return [*four(**values), row("lost", 0.11, 0.99, near_chance=True, **values), row("bare", 0.3, 0.98, untrained=True, **values)]

    rows = [*six(), *six(concept_count=20), *six(library="cluster"), *six(library_dataset="dst_c", library_dataset_name="cars")]
    analysis = analyse(rows, GRID | {"sparsity_grids": [[0, 0.5, 1]]})
    between_models = ("relation", "concept_counts", "sparsity_grids", "agreement", "transfer")
    for one in [one for name in between_models for one in analysis[name]]:
        assert {left["label"]: left["reason"] for left in one["left_out"]} == {"lost": NEAR_CHANCE, "bare": UNTRAINED}
        assert {len(one[name]) for name in ("models", "points") if name in one} <= {4}
        parts = [part for name in ("order", "grids", "pairs") for part in one.get(name, [])] or [one]
        assert {part["n"] for part in parts} == {4}
    assert only(analysis["transfer"])["mean_difference"]["value"] == pytest.approx(0)
    assert analysis["relation"][0]["accuracy"]["spearman"]["value"] == pytest.approx(0.8)
    assert any("Near chance" in warning and "lost" in warning for warning in analysis["warnings"])


def test_fewer_than_four_models_give_a_reason_instead_of_a_correlation() -> None:
    found = only(analyse(four()[:3], GRID)["relation"])
    assert found["accuracy"]["spearman"]["value"] is None
    assert "Only 3 can be compared" in found["accuracy"]["sentences"][0]


def test_seeds_of_one_cell_are_averaged_first() -> None:
    rows = [*four(), *[entry | {"seed": 1, "iis": 0.5, "iis_low": 0.49, "iis_high": 0.51} for entry in four()[:1]]]
    analysis = analyse(rows, GRID)
    first = only(analysis["relation"])["points"][0]
    assert first["iis"] == pytest.approx({"value": 0.6, "low": 0.59, "high": 0.61})
    assert first["seeds"] == [0, 1]
    assert any("all seeds" in warning for warning in analysis["warnings"])


def test_one_family_is_excluded_at_a_time() -> None:
    rows = [*four(family="net"), row("e", 0.9, 0.2, family="vit"), row("f", 0.95, 0.1, family="vit")]
    found = {one["family"]: one for one in only(analyse(rows, GRID)["relation"])["accuracy"]["leave_one_family_out"]}
    assert found["vit"]["n"] == 4
    assert found["vit"]["spearman"]["value"] == pytest.approx(0.8)
    assert found["vit"]["spearman"]["low"] is found["vit"]["spearman"]["p"] is None  # resamples for each of many families take too long
    assert "without interval" in found["vit"]["spearman"]["reason"]
    assert found["net"]["spearman"]["value"] is None
    assert only(analyse(four(), GRID)["relation"])["accuracy"]["leave_one_family_out"] == []


def test_settings_are_never_mixed() -> None:
    rows = [*four(), *four(library="cluster"), *four(concept_count=20), *four(dataset="dst_b", dataset_name="cars")]
    assert [found["n"] for found in analyse(rows, GRID)["relation"]] == [4, 4, 4, 4]


def test_checkpoints_of_a_run_are_ordered_by_epoch_with_those_near_chance_marked() -> None:
    rows = [row("late", 0.8, 0.9, epoch=20), row("start", 0.1, None, epoch=0), row("early", 0.5, 0.7, epoch=5)]
    analysis = analyse(rows, GRID | {"evolution": True})
    found = only(analysis["evolution"])
    assert [point["epoch"] for point in found["points"]] == [0, 5, 20]
    assert found["near_chance"] == [0]
    assert found["change"]["iis"]["value"] == pytest.approx(0.2)
    assert (found["highest_iis_at"], found["highest_accuracy_at"]) == (20, 20)
    assert found["sentence"].startswith("IIS rises from epoch 5 to 20: +0.200")
    assert "1 of 3 checkpoints" in found["sentence"]
    assert any("not independent" in warning for warning in analysis["warnings"])
    assert analyse(rows, GRID)["evolution"] == []


def test_a_run_without_epochs_is_ordered_by_the_checkpoints_of_the_study() -> None:
    rows = [row("x", 0.8, 0.9), row("y", 0.5, 0.6)]
    found = only(analyse(rows, GRID | {"models": ["z", "y", "x"], "evolution": True})["evolution"])  # z has no result yet
    assert not found["epochs_given"]
    assert [(point["label"], point["epoch"]) for point in found["points"]] == [("y", 1), ("x", 2)]
    assert "IIS rises from checkpoint 1 to 2" in found["sentence"]


def test_a_run_at_chance_has_no_change() -> None:
    rows = [row("z", 0.1, None), row("y", 0.11, 0.99, near_chance=True), row("x", 0.5, 0.6)]
    found = only(analyse(rows, GRID | {"evolution": True})["evolution"])
    assert found["change"] is None
    assert found["highest_iis_at"] == 2
    assert "Fewer than two checkpoints" in found["sentence"]


def test_numbers_of_concepts_are_compared_with_the_default() -> None:
    small = [entry | {"concept_count": 20} for entry in four()]
    for entry, iis in zip(small, (0.6, 0.5, 0.7, 0.8), strict=True):
        entry["iis"] = iis
    found = only(analyse([*four(concept_count=200), *small], GRID)["concept_counts"])
    assert (found["concept_counts"], found["default"]) == ([20, 200], 200)
    assert [value["concept_count"] for value in found["models"][0]["values"]] == [20, 200]
    assert found["order"][0]["spearman"]["value"] == pytest.approx(0.4)  # ranks 1 3 2 4 and 2 1 3 4
    assert analyse(four(), GRID)["concept_counts"] == []


def test_the_area_over_another_grid_is_a_trapezoid_with_interpolated_arr() -> None:
    found = only(analyse(four(), GRID | {"sparsity_grids": [[0, 0.5, 1], [0.75, 0.25], [0.5]]})["sparsity_grids"])
    whole, between, single = found["grids"]
    assert whole["models"][0]["area"] == pytest.approx((1 + 0.75) / 4 + (0.75 + 0.125) / 4)
    assert whole["interpolated"] == []
    # On the straight lines ARR(.25) = .875 and ARR(.75) = .4375.
    assert between["models"][0]["area"] == pytest.approx(0.5 * (0.875 + 0.4375) / 2)
    assert between["interpolated"] == [0.25, 0.75]
    assert (single["models"][0]["area"], single["sentence"]) == (None, "A grid needs at least two sparsities.")
    assert "the same for all 4" in whole["spearman"]["reason"]


def test_a_sparsity_that_keeps_as_many_concepts_as_a_measured_one_is_measured_there() -> None:
    # Of ten concepts s = .55 zeroes floor(5.5) = 5, as s = .5 does.
    found = only(analyse(four(), GRID | {"sparsity_grids": [[0, 0.55]]})["sparsity_grids"])
    assert found["grids"][0]["interpolated"] == []
    assert found["grids"][0]["models"][0]["area"] == pytest.approx(0.55 * (1 + 0.75) / 2)


def test_a_grid_beyond_the_measured_curve_has_no_area_and_gives_the_reason() -> None:
    rows = four(points=LINE[:2], protocol="reference")
    found = only(analyse(rows, GRID | {"sparsity_grids": [[0, 0.9]]})["sparsity_grids"])
    assert found["grids"][0]["models"][0]["area"] is None
    assert "exceeds the measured range" in found["grids"][0]["sentence"]


def test_libraries_are_compared_by_their_order_of_the_models() -> None:
    other = [entry | {"iis": iis} for entry, iis in zip(four(library="cluster"), (0.9, 0.75, 0.8, 0.7), strict=True)]
    found = only(analyse([*four(), *other], GRID)["agreement"])
    assert found["libraries"] == ["prototype", "cluster"]
    assert found["pairs"][0]["spearman"]["value"] == pytest.approx(-1)
    assert found["pairs"][0]["n"] == 4
    assert analyse(four(), GRID)["agreement"] == []


def test_a_library_cut_from_another_data_set_is_compared_model_by_model() -> None:
    other = four(library_dataset="dst_c", library_dataset_name="cars")
    for entry in other:
        for end in ("iis", "iis_low", "iis_high"):
            entry[end] -= 0.05
    found = only(analyse([*four(), *other], GRID)["transfer"])
    assert found["library_dataset_name"] == "cars"
    assert found["models"][0]["difference"] == pytest.approx({"value": 0.05, "low": 0.05 - 0.01 * 2**0.5, "high": 0.05 + 0.01 * 2**0.5})
    assert found["mean_difference"]["value"] == pytest.approx(0.05)
    assert found["spearman"]["value"] == pytest.approx(1)
    assert "higher by the first" in found["sentence"]
    assert found["models"][0]["own_controls"]["few_gain_matched"]["value"] == pytest.approx(0.5 - 0.4)


def test_trained_networks_are_compared_with_the_mean_of_the_same_network_untrained() -> None:
    bare = [row(f"bare {seed}", 0.3, iis, untrained=True) for seed, iis in enumerate((0.5, 0.6))]
    others = [row("vit", 0.9, 0.9, network="timm:vit_base_patch16_224"), row("early", 0.7, 0.6, network="timm:resnet18 at layer2")]
    found = only(analyse([*four(), *others, *bare], GRID)["untrained"])
    assert [one["label"] for one in found["models"]] == list("abcd")
    assert found["models"][0]["difference"]["value"] == pytest.approx(0.70 - 0.55)
    assert [one["label"] for one in found["models"][0]["untrained_models"]] == ["bare 0", "bare 1"]
    assert found["mean_difference"]["value"] == pytest.approx(0.7875 - 0.55)
    assert found["models"][0]["trained_controls"]["gain_matched"]["value"] == pytest.approx(0.70 - 0.6)
    assert found["models"][0]["untrained_controls"]["gain_matched"]["value"] == pytest.approx(0.55 - 0.6)


def test_an_untrained_network_near_chance_gives_no_difference() -> None:
    found = only(analyse([*four(), row("bare", 0.1, None, untrained=True)], GRID)["untrained"])
    assert found["models"][0]["difference"] is None
    assert "no better than chance" in found["models"][0]["reason"]
    assert found["mean_difference"] is None


def test_a_study_without_results_has_empty_sections() -> None:
    analysis = analyse([], GRID)
    assert analysis["rows"] == 0
    assert all(
        analysis[name] == [] for name in ("relation", "evolution", "concept_counts", "agreement", "transfer", "untrained", "warnings")
    )


def test_missing_cells_are_counted_in_a_warning() -> None:
    rows = [*four(), *four(library="cluster")[:3]]
    assert any("1 of 8 cells" in warning for warning in analyse(rows, GRID)["warnings"])


def any_row(
    model: int, accuracy: float, iis: float | None, given: float | None, epoch: int | None, seed: int, **setting: Any
) -> dict[str, Any]:
    return row(f"m{model}", accuracy, iis, given_accuracy=given, epoch=epoch, seed=seed, untrained=model == 0, **setting)


ANY_ROW = st.builds(
    any_row,
    st.integers(0, 5),
    st.sampled_from([0.1, 0.4, 0.4, 0.9]),
    st.one_of(st.none(), st.sampled_from([0.3, 0.8, 0.8])),
    st.one_of(st.none(), st.just(0.5)),
    st.one_of(st.none(), st.integers(0, 3)),
    st.integers(0, 1),
    library=st.sampled_from(["prototype", "cluster"]),
    concept_count=st.sampled_from([10, 200]),
    library_dataset=st.sampled_from([None, "dst_c"]),
    family=st.sampled_from([None, "net", "vit"]),
)


@given(st.lists(ANY_ROW, max_size=14), st.booleans())
@settings(deadline=None, max_examples=60)
def test_no_rows_give_a_number_that_is_nan(rows: list[dict[str, Any]], evolves: bool) -> None:
    analysis = analyse(rows, GRID | {"evolution": evolves, "sparsity_grids": [[0, 0.3, 1], [0.2]]})
    json.dumps(analysis, allow_nan=False)
