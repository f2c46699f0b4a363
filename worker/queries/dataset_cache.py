"""Data sets unpacked for questions about their images, beside the answers: it takes as long as a data set is large."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from worker.queries.context import QueryContext


class DatasetNotReady(Exception):
    """The question is about images of a data set that is being unpacked; it can be answered, or refused, when `unpacked` is done."""

    def __init__(self, unpacked: Future[Path]) -> None:
        super().__init__("The data set is still being unpacked.")
        self.unpacked = unpacked


class DatasetCache:
    """One thread that unpacks one data set after another."""

    def __init__(self, context: QueryContext) -> None:
        self._bench = context
        self._thread = ThreadPoolExecutor(1, "unpacker")
        self._under_way: dict[str, Future[Path]] = {}

    def folder(self, owner_id: str, dataset_id: str, fill: Callable[[Path], None]) -> Path:
        """The folder of a data set among the files at hand.

        Parameters
        ----------
        fill : puts the data set into an empty folder; runs in the unpacker's thread

        Raises
        ------
        NotUnpacked
            The first time, and until it is done.
        Exception
            What `fill` raised.
        """

        def take(folder: Path) -> None:
            unpacking = self._under_way.get(dataset_id)
            if unpacking is None:
                unpacking = self._under_way[dataset_id] = self._thread.submit(self._unpack, owner_id, dataset_id, fill)
            if not unpacking.done():
                raise DatasetNotReady(unpacking)
            del self._under_way[dataset_id]
            unpacking.result().rename(folder)

        return self._bench.file(owner_id, dataset_id, take)

    def close(self) -> None:
        """Wait for what is under way, which ends by the same `Stop` as the answers; leave out what has not begun."""
        self._thread.shutdown(cancel_futures=True)

    def _unpack(self, owner_id: str, dataset_id: str, fill: Callable[[Path], None]) -> Path:
        folder = self._bench.folder(owner_id) / f"{dataset_id}.unpacking"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        fill(folder)
        return folder
