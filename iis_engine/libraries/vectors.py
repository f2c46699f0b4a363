"""Library of a user's own concept vectors, such as the decoder of a sparse autoencoder, CAVs or NMF directions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.errors import DataError, LibraryError, first_names
from iis_engine.features.array_files import read_arrays
from iis_engine.features.array_names import ChosenArrays
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.library import ConceptLibrary, nearest_elements
from iis_engine.libraries.unit_elements import canonical_elements

CONCEPTS_MAX = 20_000
_MATRIX_NAMES = ("vectors", "concepts", "directions", "dictionary", "components", "decoder", "W_dec", "decoder.weight", "weight")
_NAME_CHARACTERS_MAX = 200


@dataclass(frozen=True)
class OwnVectors:
    """Concept vectors of a file.

    Attributes
    ----------
    vectors : (M, d) float32 as in the file
    names : M names, or None
    """

    vectors: Tensor
    names: tuple[str, ...] | None = None


def read_vectors(path: Path) -> OwnVectors:
    """Read concept vectors from a safetensors, npy, npz or pt file.

    Parameters
    ----------
    path : file with one matrix (M, d), or several of which one has a usual name such as `vectors` or `W_dec`; names of the concepts in
        an array `names` of text, or as a list under `names` in the JSON object `iis` of a safetensors file's metadata

    Raises
    ------
    DataError
        For a damaged file, no matrix, a value that is not finite, a row of zeros, fewer than two or too many rows, and names that do
        not fit.
    """
    stored = read_arrays(path, _choose)
    array = stored.arrays["vectors"]
    if array.ndim != 2 or not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise DataError(f"The vectors in {path.name} must be a matrix of real numbers, one concept per row; the shape is {array.shape}.")
    vectors = array.astype(np.float32)
    if not 2 <= len(vectors) <= CONCEPTS_MAX:
        raise DataError(f"{path.name} has {len(vectors):,} concept vectors; send 2 to {CONCEPTS_MAX:,}.")
    if not np.isfinite(vectors).all():
        raise DataError(f"{path.name} contains values that are NaN or infinite; remove these vectors.")
    if zeros := np.flatnonzero(np.abs(vectors).max(axis=1, initial=0) == 0).tolist():
        rows = first_names([str(row) for row in zeros])
        raise DataError(f"{len(zeros)} vectors in {path.name} are zero and have no direction: rows {rows}; remove them.")
    given: object = stored.arrays["names"].tolist() if "names" in stored.arrays else stored.header.get("names")
    return OwnVectors(torch.from_numpy(vectors), None if given is None else _names(given, len(vectors), path.name))


def build_vectors(features: FeatureSet, own: OwnVectors) -> ConceptLibrary:
    """Take a file's vectors as concepts, with the nearest visual elements as exemplars where there are elements.

    Raises
    ------
    LibraryError
        When the vectors have another width than the representation.
    """
    count, width = own.vectors.shape
    d = features.X_train.shape[1]
    if width != d:
        transposed = " They have its width if transposed: send one concept per row." if count == d else ""
        raise LibraryError(
            f"The concept vectors have {width} dimensions, but the representation has {d}.{transposed}", param="library.upload"
        )
    vectors = normalize(own.vectors.double(), dim=1).float()
    units, numbers = canonical_elements(features, centred=True)
    exemplars = nearest_elements(vectors, units, numbers) if len(units) else ((),) * count
    return ConceptLibrary("vectors", vectors, ("vectors",) * count, exemplars, labels=own.names or ())


def _choose(names: Iterable[str]) -> ChosenArrays:
    present = list(names)
    matrices = [name for name in present if name.split("/")[-1] != "names"]
    usual = [name for name in _MATRIX_NAMES if name in matrices]
    if not usual and len(matrices) != 1:
        found = first_names(sorted(matrices)) or "nothing"
        raise DataError(f"The file must have one matrix of concept vectors, or one named vectors; it contains {found}.")
    chosen = {"vectors": (usual or matrices)[0]}
    return ChosenArrays(chosen | ({"names": "names"} if "names" in present else {}))


def _names(given: object, count: int, file_name: str) -> tuple[str, ...]:
    texts = [str(name) for name in given] if isinstance(given, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if len(texts) != count:
        raise DataError(f"{file_name} has {len(texts)} names for {count} concept vectors; send one name per vector, or none.")
    if any(not text.strip() or len(text) > _NAME_CHARACTERS_MAX or not text.isprintable() for text in texts):
        raise DataError(f"The names in {file_name} must be printable text of 1 to {_NAME_CHARACTERS_MAX} characters.")
    return tuple(text.strip() for text in texts)
