"""What shows a concept to a person: its nearest elements, cut out of their images. Runs in the compute process only."""

from __future__ import annotations

import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

EXEMPLARS_PER_CONCEPT = 5
CROP_PIXELS = 96  # longer side; small crops are enlarged so that a page can show them


def show_concepts(features: Any, library: Any, images: Any | None, workspace: Path, progress: Callable[[int, int], None]) -> None:
    """Write vectors.npy (M, d), concepts.json [{origin, label, exemplars}] and exemplars.zip (PNG crops named by the exemplars).

    Parameters
    ----------
    features : FeatureSet whose `element_refs` say where each element was cut
    library : ConceptLibrary with vectors, origins and exemplars
    images : ImageDataset the elements were cut from, or None for ready matrices
    """
    np.save(workspace / "vectors.npy", np.asarray(library.vectors, dtype=np.float32))
    concepts: list[dict[str, Any]] = []
    shown: set[int] = set()
    for origin, exemplars in zip(library.origins, library.exemplars, strict=True):
        nearest = [(int(element), float(similarity)) for element, similarity in exemplars[:EXEMPLARS_PER_CONCEPT]]
        shown.update(element for element, _ in nearest)
        concepts.append({"origin": origin, "label": None, "exemplars": [_exemplar(features, images, *each) for each in nearest]})
    (workspace / "concepts.json").write_text(json.dumps(concepts, allow_nan=False))
    with zipfile.ZipFile(workspace / "exemplars.zip", "w", zipfile.ZIP_STORED) as archive:
        if images is not None and features.element_refs:
            _write_crops(features, images, shown, archive, progress)


def _exemplar(features: Any, images: Any | None, element: int, similarity: float) -> dict[str, Any]:
    if images is None or not features.element_refs:
        return {"element": element, "similarity": similarity}
    ref = features.element_refs[element]
    name = images.train[ref.image].path.relative_to(images.root).as_posix()
    return {"image": name, "box": list(ref.box), "similarity": similarity, "element": element, "crop": _crop_name(element)}


def _crop_name(element: int) -> str:
    return f"{element}.png"


def _write_crops(features: Any, images: Any, elements: set[int], archive: zipfile.ZipFile, progress: Callable[[int, int], None]) -> None:
    """Each image is opened once, and an element that shows several concepts is kept once."""
    from iis_engine.elements import element_crops
    from iis_engine.images import load_image

    of_image: defaultdict[int, list[int]] = defaultdict(list)
    for element in sorted(elements):
        of_image[features.element_refs[element].image].append(element)
    for done, (image, members) in enumerate(sorted(of_image.items()), start=1):
        crops = element_crops(load_image(images.train[image].path), [features.element_refs[element] for element in members])
        for element, crop in zip(members, crops, strict=True):
            archive.writestr(_crop_name(element), _png(crop))
        progress(done, len(of_image))


def _png(crop: Any) -> bytes:
    scale = CROP_PIXELS / max(crop.size)
    buffer = io.BytesIO()
    crop.resize((max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))).save(buffer, "PNG")
    return buffer.getvalue()
