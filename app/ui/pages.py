"""HTML as it leaves the service: the templates, filled with addresses of static files alone, and the headers every page carries."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.ui.statics import address_of

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "same-origin",  # a stricter one would hide the Origin of our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@cache
def _templates() -> Environment:
    folder = Path(__file__).parent / "templates"
    loader = FileSystemLoader(folder)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def render(template: str, status: int = 200, *, problem: str | None = None) -> Response:
    """One page.

    Parameters
    ----------
    problem : a sentence of ours about what was just sent, where the page answers a form
    """
    content = _templates().get_template(template).render(static=address_of, problem=problem)
    return Response(content, status, HEADERS, media_type="text/html; charset=utf-8")
