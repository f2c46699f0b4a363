"""NMF library: non-negative directions whose sums reconstruct the visual elements."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from iis_engine.errors import LibraryError
from iis_engine.libraries.library import ConceptLibrary, nearest_elements

MOST_ELEMENTS = 20_000  # as for clusters
DECIMALS = 12
ITERATIONS_MAX = 400


def build_nmf(units: Tensor, numbers: Tensor, concept_count: int, seed: int) -> ConceptLibrary:
    """Factorise the elements (E, d) ≈ U·C with U, C ≥ 0 (scikit-learn's coordinate descent, NNDSVDA start); unit rows of C.

    Raises
    ------
    LibraryError
        When an element has negative values, or M exceeds d or the number of elements, so that the start is not defined.

    References
    ----------
    Lee and Seung, "Learning the parts of objects by non-negative matrix factorization", Nature 401, 1999.
    """
    units, numbers = units[:MOST_ELEMENTS], numbers[:MOST_ELEMENTS]
    if bool((units < 0).any()):
        raise LibraryError(
            "An NMF library needs a representation without negative values, such as a layer after ReLU; choose another layer or kind.",
            param="library.kind",
        )
    if concept_count > min(units.shape):
        raise LibraryError(
            f"An NMF library has at most as many concepts as the representation has dimensions, {units.shape[1]}, "
            f"and as there are elements; {concept_count} were requested.",
            param="library.concept_count",
        )
    settings: dict[str, Any] = {"n_components": concept_count}  # its stub takes the default, "auto", for the type
    from sklearn.decomposition import NMF  # other libraries do without scikit-learn
    from sklearn.exceptions import ConvergenceWarning

    factors = NMF(init="nndsvda", random_state=seed, max_iter=ITERATIONS_MAX, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the directions hardly change in further iterations
        factors.fit(units.double().numpy())
    components = torch.from_numpy(factors.components_)
    if bool((components.norm(dim=1) == 0).any()):
        raise LibraryError(f"The elements do not fill {concept_count} directions; ask for fewer concepts.", param="library.concept_count")
    scaled = (components / components.norm(dim=1, keepdim=True)).numpy().round(DECIMALS) + 0.0
    vectors = torch.nn.functional.normalize(torch.from_numpy(scaled), dim=1).float()
    return ConceptLibrary("nmf", vectors, ("nmf",) * concept_count, nearest_elements(vectors, units, numbers))
