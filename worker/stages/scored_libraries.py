"""The libraries that each measurement of a score reads: those of all seeds, and the two controls."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject
from worker.stages.files import ENSEMBLE, FEATURES, LIBRARY, MATCHED_LIBRARIES
from worker.stages.specs import score_spec
from worker.stages.text import text_source

if TYPE_CHECKING:
    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.scoring.ensemble import LibraryEnsemble


def read_features(workspace: Path) -> FeatureSet:
    """The features of the scored data set."""
    from iis_engine.features.feature_set import FeatureSet

    return FeatureSet.load(workspace / FEATURES)


def read_ensemble(workspace: Path) -> LibraryEnsemble:
    """The libraries of all seeds; one alone where an earlier job fitted the library."""
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.scoring.ensemble import LibraryEnsemble

    if not (workspace / ENSEMBLE).exists():
        return LibraryEnsemble((ConceptLibrary.load(workspace / LIBRARY).on_other_images(),))
    return unpack_libraries(workspace, ENSEMBLE)


def isotropic_libraries(workspace: Path, arguments: JsonObject, features: FeatureSet) -> Sequence[ConceptLibrary]:
    """The isotropic control."""
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.scoring.measure import isotropic_controls

    count = arguments["concept_count"]
    # Blocks, and the size of a text library, are known once it is built.
    origins = ConceptLibrary.load(workspace / LIBRARY).origins if count is None else ("random",) * count
    return isotropic_controls(features, origins, score_spec(arguments["score"]))


def matched_control(workspace: Path, arguments: JsonObject, features: FeatureSet) -> Sequence[ConceptLibrary]:
    """The matched control -> matched.zip, unless it is drawn already."""
    from iis_engine.scoring.measure import matched_libraries

    if (workspace / MATCHED_LIBRARIES).exists():
        return unpack_libraries(workspace, MATCHED_LIBRARIES).libraries
    source = text_source(workspace) if arguments["words"] else None
    ensemble, spec = read_ensemble(workspace), score_spec(arguments["score"])
    controls = matched_libraries(features, ensemble, spec, text_source=source, device=arguments["device"])
    pack_libraries(controls, workspace, MATCHED_LIBRARIES)
    return controls.libraries


SCORED_LIBRARIES: dict[str, Callable[[Path, JsonObject, FeatureSet], Sequence[ConceptLibrary]]] = {
    "heads": lambda workspace, _arguments, _features: read_ensemble(workspace).libraries,
    "isotropic": isotropic_libraries,
    "matched": matched_control,
}
"""By the name of the stage that measures them."""


def pack_libraries(ensemble: LibraryEnsemble, workspace: Path, name: str) -> None:
    """Write the libraries of an ensemble as a zip."""
    folder = workspace / Path(name).stem
    ensemble.save(folder)
    with zipfile.ZipFile(workspace / name, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)


def unpack_libraries(workspace: Path, name: str) -> LibraryEnsemble:
    """Read a zip written by `pack_libraries`."""
    from iis_engine.scoring.ensemble import LibraryEnsemble

    folder = workspace / Path(name).stem
    with zipfile.ZipFile(workspace / name) as archive:
        archive.extractall(folder)
    return LibraryEnsemble.load(folder)
