"""Cache of unpacked data sets for queries about their images. Separate threads unpack them, since that can take minutes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from worker.queries.context import QueryContext
from worker.sandbox.trees import remove_tree

UNPACKED_AT_ONCE = 4


class DatasetNotReady(Exception):
    """The query needs images of a data set that is still being unpacked; run it again when `unpacked` is done."""

    def __init__(self, unpacked: Future[Path]) -> None:
        super().__init__("The data set is still being unpacked.")
        self.unpacked = unpacked


class DatasetCache:
    """Unpacked data sets. Each thread unpacks one of another owner, so that no owner waits for another's."""

    def __init__(self, context: QueryContext) -> None:
        self._context = context
        self._threads = ThreadPoolExecutor(UNPACKED_AT_ONCE, "dataset-unpacker")
        self._unpacking: dict[str, Future[Path]] = {}
        self._of_owner: dict[str, Future[Path]] = {}

    def folder(self, owner_id: str, dataset_id: str, fill: Callable[[Path], None]) -> Path:
        """The folder of an unpacked data set.

        Parameters
        ----------
        fill : unpacks the data set into an empty folder; runs in a thread of this cache

        Raises
        ------
        DatasetNotReady
            On the first call, and until the data set is unpacked; also while another one of the owner is.
        Exception
            Raised by `fill`.
        """

        def take(folder: Path) -> None:
            unpacked = self._unpacking.get(dataset_id)
            if unpacked is None:
                other = self._of_owner.get(owner_id)
                if other is not None and not other.done():
                    raise DatasetNotReady(other)
                unpacked = self._threads.submit(self._unpack, owner_id, dataset_id, fill)
                self._unpacking[dataset_id] = self._of_owner[owner_id] = unpacked
            if not unpacked.done():
                raise DatasetNotReady(unpacked)
            del self._unpacking[dataset_id]
            unpacked.result().rename(folder)

        return self._context.file(owner_id, dataset_id, take)

    def close(self) -> None:
        """Cancel waiting data sets and wait for the current ones, which end by the same `Stop` as the queries."""
        self._threads.shutdown(cancel_futures=True)

    def _unpack(self, owner_id: str, dataset_id: str, fill: Callable[[Path], None]) -> Path:
        folder = self._context.folder(owner_id) / f"{dataset_id}.unpacking"
        remove_tree(folder)
        folder.mkdir()
        fill(folder)
        return folder
