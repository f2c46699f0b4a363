"""Nodes of a curve: exact numbers of kept concepts, and the choice of a node by k or s."""

from __future__ import annotations

import subprocess
import sys

import pytest

from iis_engine.errors import SettingError
from iis_engine.nodes import choose_node, kept_count, sparsity_of


def test_kept_count_is_exact_where_floating_point_is_off_by_one() -> None:
    assert [kept_count(M, 0.7) for M in (90, 170, 350)] == [27, 51, 105]
    assert [kept_count(200, s) for s in (0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98, 1)] == [200, 180, 140, 100, 60, 20, 10, 4, 0]


@pytest.mark.parametrize(
    ("nodes", "count", "default"), [([200, 60, 20, 4], 200, 20), ([50, 25, 10, 5, 1], 50, 5), ([6, 4], 8, 4), ([3, 1], 3, 3)]
)
def test_the_default_node_is_nearest_to_a_tenth_of_the_concepts_and_to_at_least_five(nodes: list[int], count: int, default: int) -> None:
    assert choose_node(nodes, count) == default


def test_a_node_is_chosen_by_kept_concepts_or_by_a_rounded_sparsity() -> None:
    nodes = [9, 6, 3]
    assert choose_node(nodes, 9, 6) == 6
    assert choose_node(nodes, 9, sparsity=0.3333333333) == 6
    assert choose_node(nodes, 9, sparsity=sparsity_of(3, 9)) == 3
    assert choose_node(nodes, 9, sparsity=0.7) == 3  # 9 - floor(6.3)


@pytest.mark.parametrize(
    ("kept", "sparsity", "message", "param"),
    [
        (5, None, "no node at kept = 5; it keeps 9, 6, 3 of 9 concepts", "kept"),
        (None, 0.5, "no node at sparsity = 0.5, which keeps 5;", "sparsity"),
        (None, 1.5, "between 0 and 1; 1.5 does not", "sparsity"),
    ],
)
def test_an_unknown_node_is_refused_with_the_existing_ones(kept: int | None, sparsity: float | None, message: str, param: str) -> None:
    with pytest.raises(SettingError, match=message) as refused:
        choose_node([9, 6, 3], 9, kept, sparsity=sparsity)
    assert (refused.value.code, refused.value.param) == ("sparsity_unknown", param)


def test_a_node_is_chosen_without_torch() -> None:
    code = "import sys, iis_engine.nodes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
