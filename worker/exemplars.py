"""What shows a concept to a person: its nearest elements, cut out of their images. Runs in the compute process only."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CROPS_PER_CONCEPT = 5
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
    with zipfile.ZipFile(workspace / "exemplars.zip", "w", zipfile.ZIP_STORED) as archive:
        for index, (origin, exemplars) in enumerate(zip(library.origins, library.exemplars, strict=True)):
            shown = [_exemplar(features, images, int(element), float(similarity)) for element, similarity in exemplars[:CROPS_PER_CONCEPT]]
            for rank, exemplar in enumerate(shown):
                if images is not None and "box" in exemplar:
                    exemplar["crop"] = f"{index}/{rank}.png"
                    archive.writestr(exemplar["crop"], _crop(images, features.element_refs[int(exemplars[rank][0])]))
            concepts.append({"origin": origin, "label": None, "exemplars": shown})
            progress(index + 1, len(library.origins))
    (workspace / "concepts.json").write_text(json.dumps(concepts, allow_nan=False))


def _exemplar(features: Any, images: Any | None, element: int, similarity: float) -> dict[str, Any]:
    if not features.element_refs or images is None:
        return {"element": element, "similarity": similarity}
    ref = features.element_refs[element]
    path = images.train[ref.image][0]
    return {"image": _name(images, path), "box": list(ref.box), "kind": ref.kind, "similarity": similarity}


def _name(images: Any, path: Path) -> str:
    """The image's path inside the data set; class and file where the data set has no folder."""
    root = getattr(images, "root", None)
    return str(path.relative_to(root)) if root is not None and path.is_relative_to(root) else "/".join(path.parts[-2:])


def _crop(images: Any, ref: Any) -> bytes:
    from iis_engine.images import load_image

    crop = load_image(images.train[ref.image][0]).crop(ref.box)
    scale = CROP_PIXELS / max(crop.size)
    enlarged = crop.resize((max(1, round(crop.width * scale)), max(1, round(crop.height * scale))))
    buffer = io.BytesIO()
    enlarged.save(buffer, "PNG")
    return buffer.getvalue()
