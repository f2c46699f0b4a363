"""Library options of `iis score`."""

from __future__ import annotations

import pytest

from iis_client import ConfigurationError
from iis_client.cli.settings.library_options import CONCEPT_COUNT, build_library, element_settings, has_text, text_settings
from iis_schemas.jobs.libraries import DEFAULT_CONCEPT_COUNT
from iis_schemas.names import LibraryKind

SETTINGS = text_settings(0.2, 0.4, True)


def test_text_settings_apply_to_every_text_library_and_no_other() -> None:
    given = {"clip_cutoff": 0.2, "interpretability_cutoff": 0.4, "native": True}
    assert build_library("text", 150, [], SETTINGS) == {"kind": "text", "concept_count": 150, **given}
    assert build_library(None, None, ["text:100", "cluster:50"], SETTINGS) == {
        "kind": "combined",
        "parts": [{"kind": "text", "concept_count": 100, **given}, {"kind": "cluster", "concept_count": 50}],
    }


def test_settings_that_are_not_given_are_left_to_the_service() -> None:
    assert build_library("text", 200, [], text_settings(None, None, False)) == {"kind": "text", "concept_count": 200}
    assert text_settings(0.0, None, False) == {"clip_cutoff": 0.0}


def test_elements_have_the_settings_that_were_given() -> None:
    assert element_settings(None, None) == {}
    assert element_settings("1, 2,4", 40) == {"scales": [1, 2, 4], "images_per_class": 40}


@pytest.mark.parametrize("scales", ["", "4x4", "1,,2", "-1", "1.5"])
def test_scales_that_are_not_whole_numbers_are_refused(scales: str) -> None:
    with pytest.raises(ConfigurationError, match="--scales takes whole numbers"):
        element_settings(scales, None)


def test_the_default_is_200_clusters() -> None:
    assert CONCEPT_COUNT == DEFAULT_CONCEPT_COUNT == 200
    assert build_library(None, None, [], {}) == {"kind": "cluster", "concept_count": 200}
    assert build_library(None, 50, [], {}) == {"kind": "cluster", "concept_count": 50}
    assert build_library("prototype", None, [], {}) == {"kind": "prototype", "concept_count": 200}


@pytest.mark.parametrize(("kind", "concept_count"), [("cluster", None), (None, 200), ("text", 50)])
def test_parts_together_with_a_kind_or_count_are_refused(kind: LibraryKind | None, concept_count: int | None) -> None:
    with pytest.raises(ConfigurationError, match="leave out --library and --concepts, or --part"):
        build_library(kind, concept_count, ["text:100", "cluster:50"], {})


def test_settings_without_a_text_library_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="apply to text libraries only"):
        build_library(None, None, ["cluster:50", "prototype:50"], SETTINGS)


@pytest.mark.parametrize("part", ["text", "text:", "text:many", "combined:10", "magic:10", ""])
def test_an_invalid_part_is_refused_with_the_list_of_kinds(part: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--part takes kind:M.*prototype, cluster, end2end, nmf, sae, text, random"):
        build_library(None, None, ["cluster:50", part], {})


def test_a_combined_library_is_a_text_library_if_a_part_is() -> None:
    assert has_text({"kind": "text"})
    assert has_text({"kind": "combined", "parts": [{"kind": "cluster"}, {"kind": "text"}]})
    assert not has_text({"kind": "combined", "parts": [{"kind": "cluster"}]})


def test_own_vectors_are_a_library_by_themselves() -> None:
    assert build_library(None, None, [], {}, has_vectors=True) == {"kind": "vectors"}
    assert build_library("vectors", None, [], {}, has_vectors=True) == {"kind": "vectors"}
    with pytest.raises(ConfigurationError, match="give it with --vectors"):
        build_library("vectors", None, [], {})
    with pytest.raises(ConfigurationError, match="--vectors is the library"):
        build_library("cluster", None, [], {}, has_vectors=True)
