"""Which library the options of `iis score` ask for."""

from __future__ import annotations

import pytest

from iis_client import ConfigurationError
from iis_client.cli.library_options import has_text, read_library, text_settings
from iis_client.types.scores import LibraryKind

SETTINGS = text_settings(0.2, 0.4, True)


def test_settings_go_to_every_text_library_and_to_no_other() -> None:
    given = {"clip_cutoff": 0.2, "interpretability_cutoff": 0.4, "native": True}
    assert read_library("text", 150, [], SETTINGS) == {"kind": "text", "concept_count": 150, **given}
    assert read_library(None, None, ["text:100", "cluster:50"], SETTINGS) == {
        "kind": "combined",
        "parts": [{"kind": "text", "concept_count": 100, **given}, {"kind": "cluster", "concept_count": 50}],
    }


def test_what_is_not_said_is_left_to_the_service() -> None:
    assert read_library("text", 200, [], text_settings(None, None, False)) == {"kind": "text", "concept_count": 200}
    assert text_settings(0.0, None, False) == {"clip_cutoff": 0.0}


def test_nothing_said_is_two_hundred_clusters() -> None:
    assert read_library(None, None, [], {}) == {"kind": "cluster", "concept_count": 200}
    assert read_library(None, 50, [], {}) == {"kind": "cluster", "concept_count": 50}
    assert read_library("prototype", None, [], {}) == {"kind": "prototype", "concept_count": 200}


@pytest.mark.parametrize(("kind", "concept_count"), [("cluster", None), (None, 200), ("text", 50)])
def test_parts_beside_a_kind_or_a_count_are_refused_even_where_it_is_the_default(
    kind: LibraryKind | None, concept_count: int | None
) -> None:
    with pytest.raises(ConfigurationError, match="leave out --library and --concepts, or --part"):
        read_library(kind, concept_count, ["text:100", "cluster:50"], {})


def test_settings_without_a_text_library_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="are of text libraries"):
        read_library(None, None, ["cluster:50", "prototype:50"], SETTINGS)


@pytest.mark.parametrize("part", ["text", "text:", "text:many", "combined:10", "magic:10", ""])
def test_a_part_that_is_none_is_answered_with_the_kinds(part: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--part takes kind:M.*prototype, cluster, end2end, text, random"):
        read_library(None, None, ["cluster:50", part], {})


def test_a_library_has_text_when_a_part_has() -> None:
    assert has_text({"kind": "text"})
    assert has_text({"kind": "combined", "parts": [{"kind": "cluster"}, {"kind": "text"}]})
    assert not has_text({"kind": "combined", "parts": [{"kind": "cluster"}]})
