"""Show the progress of stages as bars of tqdm, where it is installed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from iis_engine.progress import ProgressCallback, no_progress


@contextmanager
def progress_bar(title: str, *, shown: bool) -> Generator[ProgressCallback]:
    """Yield a progress callback that moves a bar; the silent one where no bar is shown or tqdm is not installed."""
    if not shown or find_spec("tqdm") is None:
        yield no_progress
        return
    if find_spec("ipywidgets") is None:  # without which tqdm.auto only warns
        from tqdm import tqdm
    else:
        from tqdm.auto import tqdm
    bar: Any = tqdm(desc=title, unit="")

    def advance(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    with bar:
        yield advance
