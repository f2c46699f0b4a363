"""Strict number types of request bodies: finite JSON numbers. Pydantic's defaults accept false as 0 and "7" as 7."""

from __future__ import annotations

from typing import Annotated

from pydantic import FiniteFloat, Strict

Integer = Annotated[int, Strict()]  # without a decimal point
Number = Annotated[FiniteFloat, Strict()]
