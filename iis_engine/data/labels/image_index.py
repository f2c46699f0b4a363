"""Find the image of a data set that a cell of a manifest names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from iis_engine.data.folders.folder_tree import Folder
from iis_engine.data.folders.suspect_layouts import is_annotation_folder


class ImageIndex:
    """Images of a data set by relative path, by the end of their path, and by name with or without suffix.

    Those in folders of annotations, such as masks, are found by their relative path alone.
    """

    def __init__(self, tree: Folder) -> None:
        self.paths: dict[str, Path] = {}
        self.count = 0
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[str]] = defaultdict(list)
        for path in tree.image_paths():
            relative = normalize("NFC", path.relative_to(tree.path).as_posix())
            self.paths[relative] = path
            name = PurePosixPath(relative)
            if any(is_annotation_folder(part) for part in name.parts[:-1]):
                continue
            self.count += 1
            self._by_name[name.name].append(relative)
            self._by_stem[name.stem].append(relative)

    def find(self, cell: str, folder: str = "") -> Path | None:
        """Return the image that a cell names; None if there is none, or if several could be meant.

        Parameters
        ----------
        folder : folder of the manifest relative to the data set, which relative paths start from
        """
        text = normalize("NFC", cell.strip().replace("\\", "/")).removeprefix("./")
        for candidate in (f"{folder}/{text}" if folder else text, text):
            if candidate in self.paths:
                return self.paths[candidate]
        named = PurePosixPath(text)
        candidates = self._by_name.get(named.name) or self._by_stem.get(named.name) or []
        if len(candidates) > 1:
            candidates = _with_common_end(candidates, named)
        return self.paths[candidates[0]] if len(candidates) == 1 else None


def _with_common_end(candidates: Sequence[str], named: PurePosixPath) -> list[str]:
    """The candidates that share most folders with a path, counted from its end."""
    folders = named.parts[-2::-1] if len(named.parts) > 1 else ()
    shared = {name: _common_length(PurePosixPath(name).parts[-2::-1], folders) for name in candidates}
    longest = max(shared.values())
    return [name for name, length in shared.items() if length == longest]


def _common_length(one: Sequence[str], other: Sequence[str]) -> int:
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
