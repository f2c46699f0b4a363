"""Every slice's router, by name: what is not listed here is not served. A router carries its whole path (`prefix="/v1/models"`)."""

from __future__ import annotations

from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = ()
