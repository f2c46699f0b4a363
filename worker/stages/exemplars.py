"""What shows a concept to a person: its nearest elements, cut out of their images. Runs in the compute process only."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iis_engine.progress import ProgressCallback

EXEMPLARS_PER_CONCEPT = 5
CROP_PIXELS = 96  # longer side; small crops are enlarged so that a page can show them


def show_concepts(
    features: Any, library: Any, images: Any | None, names: Sequence[Any] | None, workspace: Path, progress: ProgressCallback
) -> None:
    """Write vectors.npy (M, d), concepts.json, left_out.json and exemplars.zip: what `worker.jobs.results` adds to the database.

    The zip holds PNG crops under the names that the exemplars give.

    Parameters
    ----------
    features : FeatureSet whose `element_refs` say where each element was cut
    library : ConceptLibrary with vectors, origins and exemplars
    images : ImageDataset the elements were cut from, or None for ready matrices
    names : a ConceptName or None for each concept, where visual concepts were named
    """
    np.save(workspace / "vectors.npy", np.asarray(library.vectors, dtype=np.float32))
    concepts: list[dict[str, Any]] = []
    shown: set[int] = set()
    phrases = iter(library.text_report.concepts if library.text_report is not None else ())
    for place, (origin, exemplars) in enumerate(zip(library.origins, library.exemplars, strict=True)):
        name = names[place] if names is not None else None
        label, details = _words_of(next(phrases)) if origin == "text" else (name and name.label, name and name.to_dict())
        nearest = [(int(element), float(similarity)) for element, similarity in exemplars[:EXEMPLARS_PER_CONCEPT]]
        shown.update(element for element, _ in nearest)
        shown_by = [_exemplar(features, images, *each) for each in nearest]
        concepts.append({"origin": origin, "label": label, "details": details, "exemplars": shown_by})
    (workspace / "concepts.json").write_text(json.dumps(concepts, allow_nan=False))
    left_out = library.text_report.left_out if library.text_report is not None else ()
    dropped = [{"text": one.phrase, "reason": one.reason, "details": one.details} for one in left_out]
    (workspace / "left_out.json").write_text(json.dumps(dropped, allow_nan=False))
    with zipfile.ZipFile(workspace / "exemplars.zip", "w", zipfile.ZIP_STORED) as archive:
        if images is not None and features.element_refs:
            _write_crops(features, images, shown, archive, progress)


def _words_of(concept: Any) -> tuple[str, dict[str, Any]]:
    return concept.phrase, {"group": concept.group, "similarity": concept.similarity, "clip_top5": concept.clip_top5}


def _exemplar(features: Any, images: Any | None, element: int, similarity: float) -> dict[str, Any]:
    if images is None or not features.element_refs:
        return {"element": element, "similarity": similarity}
    ref = features.element_refs[element]
    name = images.train[ref.image].path.relative_to(images.root).as_posix()
    return {"image": name, "box": list(ref.box), "similarity": similarity, "element": element, "crop": _crop_name(element)}


def _crop_name(element: int) -> str:
    return f"{element}.png"


def _write_crops(features: Any, images: Any, elements: set[int], archive: zipfile.ZipFile, progress: ProgressCallback) -> None:
    from iis_engine.features.crops import exemplar_crops

    for members, crops in exemplar_crops(images, features, elements, progress):
        for element, crop in zip(members, crops, strict=True):
            archive.writestr(_crop_name(element), _png(crop))


def _png(crop: Any) -> bytes:
    scale = CROP_PIXELS / max(crop.size)
    buffer = io.BytesIO()
    crop.resize((max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))).save(buffer, "PNG")
    return buffer.getvalue()
