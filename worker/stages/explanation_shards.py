"""Rows of explanations in shards, of which several workers may compute some each; the stage joins them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from worker.sandbox.messages import JsonObject
from worker.stages.explanation_files import line_of
from worker.stages.explanation_rows import EmbeddedImage, RowBuilder, UnreadableImage
from worker.stages.files import CONCEPT_NAMES, PREDICTORS, REPRESENTED, TEST_SET
from worker.stages.latest import opened

if TYPE_CHECKING:
    from iis_engine.explanations.test_set import TestSet
    from iis_engine.features.unlabelled_images import UnlabelledImages
    from iis_engine.progress import ProgressCallback
    from iis_engine.scoring.predictor import PredictorFamily

IMAGES_PER_BLOCK = 256  # that are multiplied at once; their last bits depend on it
BLOCKS_PER_SHARD = 2
ROWS_PER_REPORT = 64


@dataclass(frozen=True)
class RowRange:
    """Rows of one shard: those of the images from `first` up to `end`."""

    number: int
    first: int
    end: int

    @property
    def file_name(self) -> str:
        """Name of the shard's file."""
        return f"rows-{self.number:05d}.jsonl"


class Batch(Protocol):
    """Images to explain."""

    @property
    def ignored(self) -> Sequence[str]:
        """Names of files that are not images."""
        ...

    def ranges(self, shard_size: int) -> list[RowRange]:
        """All images, in shards of so many that can be read."""
        ...

    def images(self, rows: RowRange) -> Iterator[EmbeddedImage | UnreadableImage]:
        """The images of a shard, with the numbers that they have in every division into shards."""
        ...


class RowShards:
    """The shards of a batch: several processes may compute some each; the numbers are those of one process.

    Parameters
    ----------
    shard_folder : of the files; created if missing
    shard_size : readable images of a shard, a multiple of IMAGES_PER_BLOCK
    """

    def __init__(self, batch: Batch, builder: RowBuilder, shard_folder: Path, shard_size: int) -> None:
        self.batch = batch
        self.shard_size = shard_size
        self.plan = batch.ranges(shard_size)
        self._builder = builder
        self._folder = shard_folder

    def units(self, planned: RowRange) -> int:
        """Images of a shard."""
        return planned.end - planned.first

    def missing(self) -> list[RowRange]:
        """Shards that are not in the folder."""
        return [planned for planned in self.plan if not (self._folder / planned.file_name).is_file()]

    def compute(self, names: Collection[str] | None = None, *, progress: ProgressCallback) -> None:
        """Write the shards that are not in the folder, all or those with these file names.

        Parameters
        ----------
        progress : called with (images done, images), of the named shards
        """
        chosen = [planned for planned in self.plan if names is None or planned.file_name in names]
        pending = [planned for planned in self.missing() if planned in chosen]
        total = sum(map(self.units, chosen))
        done = total - sum(map(self.units, pending))
        self._folder.mkdir(parents=True, exist_ok=True)
        progress(done, total)
        for planned in pending:
            self._write(planned, lambda rows, before=done: progress(before + rows, total))
            done += self.units(planned)
            progress(done, total)

    def files(self) -> Iterator[Path]:
        """Files of all shards, in order; they must be in the folder."""
        for planned in self.plan:
            yield self._folder / planned.file_name

    def _write(self, planned: RowRange, progress: Callable[[int], None]) -> None:
        path = self._folder / planned.file_name
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            for done, image in enumerate(self.batch.images(planned), start=1):
                file.write(line_of(self._builder.row(image)))
                if done % ROWS_PER_REPORT == 0:
                    progress(done)
        partial.replace(path)


def open_rows(workspace: Path, arguments: JsonObject) -> RowShards:
    """Load heads and images, and plan the shards of the rows."""

    def load() -> RowShards:
        from iis_engine.errors import SettingError
        from iis_engine.explanations.explain import class_label
        from iis_engine.explanations.test_set import TestSet
        from iis_engine.features.unlabelled_images import UnlabelledImages
        from iis_engine.scoring.predictor import PredictorFamily

        family, contrast = PredictorFamily.load(workspace / PREDICTORS), arguments["contrast"]
        if family.is_multi_label and contrast is not None:
            raise SettingError("A contrast needs one class per image, and these data are multi-label; leave it out.", param="contrast")
        builder = RowBuilder(
            family.at(arguments["kept"]),
            None if contrast is None else class_label(family.class_names, contrast, "contrast"),
            arguments["top"],
            json.loads((workspace / CONCEPT_NAMES).read_text()),
        )
        batch: Batch
        if arguments["tested"]:
            batch = _TestImages(TestSet.load(workspace / TEST_SET))
        else:
            batch = _ArchiveImages(UnlabelledImages.load(workspace / REPRESENTED), family)
        size = arguments.get("shard_size") or BLOCKS_PER_SHARD * IMAGES_PER_BLOCK
        return RowShards(batch, builder, workspace / arguments["shard_folder"], size)

    return opened("explain_rows", workspace, arguments, load)


class _TestImages:
    """The test images of a scored job, whose activations are stored, so that no forward pass is needed."""

    ignored: Sequence[str] = ()

    def __init__(self, test_set: TestSet) -> None:
        self._test_set = test_set

    def ranges(self, shard_size: int) -> list[RowRange]:
        return _ranges(list(range(0, len(self._test_set), shard_size)), len(self._test_set))

    def images(self, rows: RowRange) -> Iterator[EmbeddedImage]:
        test_set = self._test_set
        single = test_set.label_matrix is None
        for index in range(rows.first, rows.end):
            name = test_set.names[index] if test_set.names else None
            labels, of_image = test_set.labels_of(index), (test_set.activations[index], test_set.representation(index))
            yield EmbeddedImage(index, name, labels[0] if single else None, *of_image, () if single else labels)


class _ArchiveImages:
    """The images of an archive. Blocks count from the first image, so that those of a shard are those of the whole batch."""

    def __init__(self, stored: UnlabelledImages, family: PredictorFamily) -> None:
        self.ignored = stored.ignored
        self._stored = stored
        self._family = family

    def ranges(self, shard_size: int) -> list[RowRange]:
        readable = self._stored.rows
        return _ranges([0, *readable[shard_size::shard_size].tolist()], len(self._stored.names))

    def images(self, rows: RowRange) -> Iterator[EmbeddedImage | UnreadableImage]:
        stored, embedded = self._stored, self._embedded(rows)
        for index in range(rows.first, rows.end):
            failed = index in stored.failures
            yield UnreadableImage(index, stored.names[index], stored.failures[index]) if failed else next(embedded)

    def _embedded(self, rows: RowRange) -> Iterator[EmbeddedImage]:
        from iis_engine.explanations.explain import prediction_of

        stored, family = self._stored, self._family
        mine = (stored.rows >= rows.first) & (stored.rows < rows.end)
        for indices, features in zip(stored.rows[mine].split(IMAGES_PER_BLOCK), stored.features[mine].split(IMAGES_PER_BLOCK), strict=True):
            activations, probabilities = family.library.activations(features), family.baseline_probabilities(features)
            for row, index in enumerate(indices.tolist()):
                yield EmbeddedImage(index, stored.names[index], None, activations[row], prediction_of(probabilities[row]))


def _ranges(starts: list[int], end: int) -> list[RowRange]:
    return [RowRange(number, first, after) for number, (first, after) in enumerate(pairwise([*starts, end]))]
