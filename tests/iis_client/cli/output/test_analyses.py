"""Tables and sentences of the statistics of a study."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from iis_client.cli.output.analyses import analysis_view
from iis_schemas.studies.analyses import AnalysisView

SETTING: dict[str, Any] = {
    "dataset": "dst_1",
    "dataset_name": "digits [small]",
    "library": "cluster",
    "concept_count": 20,
    "library_dataset": None,
    "library_dataset_name": None,
    "edition": 2,
}
RHO: dict[str, Any] = {"n": 5, "value": 0.9, "low": 0.21, "high": 1.0, "p": 0.04, "reason": None}
UNDEFINED: dict[str, Any] = {"n": 3, "value": None, "low": None, "high": None, "p": None, "reason": "Too few."}
ACCURACY: dict[str, Any] = {
    "spearman": RHO,
    "kendall": RHO,
    "partial": {"denominator": UNDEFINED, "isotropic": UNDEFINED, "matched": UNDEFINED},
    "controls": {"isotropic": UNDEFINED, "matched": RHO},
    "gains": dict.fromkeys(("few_gain_matched", "gain_matched", "few_gain_isotropic", "gain_isotropic"), UNDEFINED),
    "leave_one_family_out": [],
    "sentences": ["They rise together.", "The gain falls."],
}
RELATION: dict[str, Any] = {**SETTING, "n": 5, "left_out": [], "points": [], "accuracy": ACCURACY, "given_accuracy": None}
INTERVAL = {"value": 0.5, "low": 0.4, "high": 0.6}
POINT: dict[str, Any] = {
    **{"model": "mdl_1", "label": "untrained", "family": None, "epoch": 0.0, "near_chance": True, "chance": 0.1, "accuracy": INTERVAL},
    **{"given_accuracy": None, "iis": None, "iis_chance_corrected": None, "seeds": [0]},
}
RUN: dict[str, Any] = {
    **SETTING,
    "epochs_given": True,
    "points": [POINT],
    "near_chance": [0.0],
    "change": None,
    "highest_iis_at": None,
    "highest_accuracy_at": None,
    "sentence": "IIS rises.",
}
SECTIONS = ("relation", "evolution", "concept_counts", "sparsity_grids", "agreement", "transfer", "untrained", "warnings")


def printed(**sections: Any) -> str:
    fields = {"rows": 5, "models": 5, **{section: [] for section in SECTIONS}, "relation": [RELATION], **sections}
    out = io.StringIO()
    console = Console(file=out, width=160)
    for renderable in analysis_view(AnalysisView.model_validate(fields)):
        console.print(renderable, markup=False, highlight=False)
    return out.getvalue()


def test_a_correlation_is_a_table_row_and_a_sentence() -> None:
    text = printed(warnings=["Not every cell has all seeds yet."])
    line = next(line for line in text.splitlines() if "0.90 (0.21 to 1.00)" in line)
    assert "digits [small], cluster, M = 20" in line
    assert line.count("0.90 (0.21 to 1.00)") == 2
    assert "undefined" in line
    assert "digits [small], cluster, M = 20, edition 2: They rise together." in text
    assert "digits [small], cluster, M = 20, edition 2: The gain falls." in text
    assert "Warning: Not every cell has all seeds yet." in text


def test_sections_of_multi_label_data_name_mean_average_precision() -> None:
    labels = {"quantity": "mean_average_precision"}
    text = printed(relation=[RELATION | labels], evolution=[RUN | labels])
    assert "Spearman's rho with mean average precision" in text
    assert "accuracy" not in text
    assert "Spearman's rho with accuracy or mean average precision" in printed(relation=[RELATION, RELATION | labels])


def test_models_excluded_from_a_correlation_are_listed_with_the_reason() -> None:
    excluded = {"model": "mdl_1", "label": "epoch 0", "reason": "Its representation is no better than chance."}
    text = printed(relation=[{**RELATION, "left_out": [excluded]}])
    assert "digits [small], cluster, M = 20, edition 2: epoch 0 is excluded: its representation is no better than chance." in text
    many = printed(relation=[{**RELATION, "left_out": [excluded] * 7}])
    assert many.count("epoch 0 is excluded") == 5
    assert "digits [small], cluster, M = 20, edition 2: 2 more are excluded." in many


def test_an_evolution_is_shown_by_epoch_and_marks_points_near_chance() -> None:
    end = {**POINT, "epoch": 2.5, "label": "end", "iis": {"value": 0.8, "low": 0.75, "high": 0.87}, "near_chance": False}
    text = printed(evolution=[{**RUN, "points": [POINT, end]}])
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert ["0", "untrained", "0.500", "near chance"] in rows
    assert ["2.5", "end", "0.500", "0.800 ± 0.060"] in rows
    assert "epoch" in text
    assert "epoch" not in printed(evolution=[{**RUN, "epochs_given": False}])
    assert "digits [small], cluster, M = 20, edition 2: IIS rises." in text


def test_names_with_brackets_are_printed_verbatim() -> None:
    names = {"dataset_name": "digits [/b]", "library_dataset": "dst_2", "library_dataset_name": "DTD [draft]"}
    text = printed(relation=[{**RELATION, **names}], evolution=[{**RUN, **names, "points": [{**POINT, "label": "step [1]"}]}])
    assert "Evolution on digits [/b], edition 2" in text
    assert "library from DTD [draft]" in text.replace("│", "").split("step [1]")[0]


def test_each_comparison_is_one_sentence() -> None:
    order = {"n": 5, "spearman": RHO, "kendall": RHO}
    names = {"library_dataset": "dst_2", "library_dataset_name": "DTD"}
    transfer = {**SETTING, **names, **order, "models": [], "left_out": [], "mean_difference": None, "sentence": "No difference."}
    untrained = {**SETTING, "models": [], "mean_difference": None, "sentence": "IIS is higher by the first."}
    agreement = {**SETTING, "libraries": ["cluster", "text"], "left_out": [], "pairs": [{"a": "cluster", "b": "text", **order}]}
    text = printed(transfer=[transfer], untrained=[untrained], agreement=[agreement])
    assert "M = 20, library from DTD, edition 2, library of the same data set against library of another: No difference." in text
    assert "M = 20, edition 2, trained against untrained: IIS is higher by the first." in text
    assert "cluster and text agree on the order of 5 models with rho 0.90 (0.21 to 1.00)." in text
    few = {**agreement, "pairs": [{"a": "cluster", "b": "text", "n": 3, "spearman": UNDEFINED, "kendall": UNDEFINED}]}
    assert "M = 20, edition 2: cluster and text cannot be compared: Too few." in printed(agreement=[few])
