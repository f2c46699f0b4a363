"""Numbers of request bodies: JSON numbers, finite. Pydantic's default would accept false as 0 and "7" as 7."""

from __future__ import annotations

from typing import Annotated

from pydantic import FiniteFloat, Strict

Integer = Annotated[int, Strict()]  # written without a decimal point
Number = Annotated[FiniteFloat, Strict()]
