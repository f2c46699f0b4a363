"""Build pandas tables from rows; pandas is imported on first use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def frame(rows: Sequence[dict[str, Any]]) -> Any:
    """A pandas.DataFrame with one row per dictionary.

    Raises
    ------
    ImportError
        When pandas is not installed.
    """
    try:
        import pandas as pd  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise ImportError("to_frame() needs pandas, which is not installed; run `pip install pandas`.") from error
    return pd.DataFrame(list(rows))
