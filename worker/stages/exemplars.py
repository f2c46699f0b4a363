"""Write the concepts of a library with their exemplars: the nearest visual elements, cut out of their images."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worker.sandbox.messages import JsonObject

if TYPE_CHECKING:
    from PIL import Image

    from iis_engine.data.image_dataset import ImageDataset
    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.libraries.naming import ConceptName
    from iis_engine.libraries.phrase_report import TextConcept
    from iis_engine.progress import ProgressCallback

EXEMPLARS_PER_CONCEPT = 5
CROP_PIXELS = 96  # longer side; small crops are enlarged so that a page can show them


def write_concepts(
    features: FeatureSet,
    library: ConceptLibrary,
    images: ImageDataset | None,
    names: Sequence[ConceptName | None] | None,
    workspace: Path,
    progress: ProgressCallback,
) -> None:
    """Write vectors.npy (M, d), concepts.json, left_out.json and exemplars.zip, which `worker.jobs.results` adds to the database.

    The zip has PNG crops under the names in the exemplars' field `crop`.

    Parameters
    ----------
    features : with `element_refs`, the place where each element was cut
    library : with exemplars
    images : the images that the elements were cut from, or None for ready features
    names : name of each concept, or None where visual concepts were not named
    """
    np.save(workspace / "vectors.npy", np.asarray(library.vectors, dtype=np.float32))
    concepts: list[JsonObject] = []
    shown_elements: set[int] = set()
    phrases = iter(library.text_report.concepts if library.text_report is not None else ())
    for number, (origin, exemplars) in enumerate(zip(library.origins, library.exemplars, strict=True)):
        name = names[number] if names is not None else None
        own = library.labels[number] if library.labels else None
        label, details = _describe_phrase(next(phrases)) if origin == "text" else (own or (name and name.label), name and name.to_dict())
        nearest = [(int(element), float(similarity)) for element, similarity in exemplars[:EXEMPLARS_PER_CONCEPT]]
        shown_elements.update(element for element, _ in nearest)
        described = [_describe_exemplar(features, images, *each) for each in nearest]
        concepts.append({"origin": origin, "label": label, "details": details, "exemplars": described})
    (workspace / "concepts.json").write_text(json.dumps(concepts, allow_nan=False))
    left_out = library.text_report.left_out if library.text_report is not None else ()
    dropped = [{"text": one.phrase, "reason": one.reason, "details": one.details} for one in left_out]
    (workspace / "left_out.json").write_text(json.dumps(dropped, allow_nan=False))
    with zipfile.ZipFile(workspace / "exemplars.zip", "w", zipfile.ZIP_STORED) as archive:
        if images is not None and features.element_refs:
            _write_crops(features, images, shown_elements, archive, progress)


def _describe_phrase(concept: TextConcept) -> tuple[str, JsonObject]:
    return concept.phrase, {"group": concept.group, "similarity": concept.similarity, "clip_top5": concept.clip_top5}


def _describe_exemplar(features: FeatureSet, images: ImageDataset | None, element: int, similarity: float) -> JsonObject:
    if images is None or not features.element_refs:
        return {"element": element, "similarity": similarity}
    ref = features.element_refs[element]
    name = images.train[ref.image].path.relative_to(images.root).as_posix()
    return {"image": name, "box": list(ref.box), "similarity": similarity, "element": element, "crop": _crop_name(element)}


def _crop_name(element: int) -> str:
    return f"{element}.png"


def _write_crops(
    features: FeatureSet, images: ImageDataset, elements: set[int], archive: zipfile.ZipFile, progress: ProgressCallback
) -> None:
    from iis_engine.features.crops import exemplar_crops

    for members, crops in exemplar_crops(images, features, elements, progress):
        for element, crop in zip(members, crops, strict=True):
            archive.writestr(_crop_name(element), _png(crop))


def _png(crop: Image.Image) -> bytes:
    scale = CROP_PIXELS / max(crop.size)
    buffer = io.BytesIO()
    crop.resize((max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))).save(buffer, "PNG")
    return buffer.getvalue()
