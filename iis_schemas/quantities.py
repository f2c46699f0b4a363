"""Names of the quantity that scores retain: accuracy, or mean average precision of multi-label data."""

from __future__ import annotations


def quantity_words(*quantities: str) -> str:
    """The name of the quantity of one or several scores; both names where they differ.

    Parameters
    ----------
    quantities : each a `QuantityName`

    Examples
    --------
    >>> quantity_words("mean_average_precision", "accuracy")
    'accuracy or mean average precision'
    """
    return " or ".join(sorted({quantity.replace("_", " ") for quantity in quantities}))
