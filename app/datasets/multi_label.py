"""Refusal of multi-label data sets where one class per image is needed."""

from __future__ import annotations

from app.db.models import Dataset
from app.errors import InvalidInput


def require_single_label(dataset: Dataset, what: str, param: str) -> None:
    """Refuse a data set whose images have several labels.

    Parameters
    ----------
    what : that needs one class per image, as the beginning of a sentence
    param : field to blame

    Raises
    ------
    InvalidInput
    """
    if (dataset.info or {}).get("task") == "multi_label":
        raise InvalidInput(f"{what} needs one class per image, and data set {dataset.id} is multi-label.", code="multi_label", param=param)
