"""Numbers of request bodies: JSON's own, and finite. Pydantic by itself would take false for 0 and "7" for 7."""

from __future__ import annotations

from typing import Annotated

from pydantic import FiniteFloat, Strict

Integer = Annotated[int, Strict()]  # written without a point
Number = Annotated[FiniteFloat, Strict()]
