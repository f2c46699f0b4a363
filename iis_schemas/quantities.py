"""Names of the quantity that scores retain: accuracy, or mean average precision of multi-label data."""

from __future__ import annotations

from iis_schemas.names import QuantityName


def quantity_words(*quantities: QuantityName) -> str:
    """The name of the quantity of one or several scores; both names where they differ.

    Examples
    --------
    >>> quantity_words("mean_average_precision", "accuracy")
    'accuracy or mean average precision'
    """
    return " or ".join(sorted({quantity.replace("_", " ") for quantity in quantities}))
