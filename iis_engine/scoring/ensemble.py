"""One library under several seeds, which the interval of a score needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from iis_engine import protocols
from iis_engine.backbones.devices import choose_device
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.build import authors_prototype, build_library, check_library
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.text import TextSource
from iis_engine.libraries.vectors import OwnVectors
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.specs import SEEDS, ScoreSpec


@dataclass(frozen=True)
class LibraryEnsemble:
    """One library built with several seeds. The first is the primary: stored heads and explanations use it."""

    libraries: tuple[ConceptLibrary, ...]

    @property
    def primary(self) -> ConceptLibrary:
        return self.libraries[0]

    def save(self, folder: Path) -> None:
        """Write one safetensors file per seed into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, library in enumerate(self.libraries):
            library.save(folder / f"{number}.safetensors")

    @staticmethod
    def load(folder: Path) -> LibraryEnsemble:
        """Read a folder written by `save`."""
        files = sorted(folder.glob("*.safetensors"), key=lambda path: int(path.stem))
        return LibraryEnsemble(tuple(ConceptLibrary.load(path) for path in files))


def build_libraries(
    features: FeatureSet,
    spec: ScoreSpec,
    progress: ProgressCallback = no_progress,
    *,
    text_source: TextSource | None = None,
    own_vectors: OwnVectors | None = None,
    device: str = "auto",
) -> LibraryEnsemble:
    """Build the library with each seed of the protocol: five under `exact`, one under `reference` and of own vectors.

    Parameters
    ----------
    text_source : embeddings for text concepts; the first seed selects the phrases, further seeds keep them

    Raises
    ------
    LibraryError
        When it cannot be built from these features and this source.
    """
    check_library(features, spec.library, text_source, own_vectors)
    where = choose_device(device)
    if spec.protocol == "reference" and spec.library.kind == "prototype":
        return LibraryEnsemble((authors_prototype(features, spec.library.concept_count),))
    seeds = protocols.LIBRARY_SEEDS if spec.protocol == "exact" and spec.library.kind != "vectors" else 1
    libraries: list[ConceptLibrary] = []
    for number in range(seeds):
        progress(number, seeds)
        seed = (spec.seed + number) % len(SEEDS)  # scikit-learn accepts no larger seed
        like = libraries[0] if libraries else None
        libraries.append(
            build_library(
                features,
                spec.library,
                seed,
                where,
                text_source=text_source,
                own_vectors=own_vectors,
                like=like,
                centred=spec.edition == 2,
            )
        )
    progress(seeds, seeds)
    return LibraryEnsemble(tuple(libraries))
