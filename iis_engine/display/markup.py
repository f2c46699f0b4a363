"""Build HTML elements with escaped text and attributes; encode pictures into addresses."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

STYLE = (
    "font: 13px/1.45 system-ui, sans-serif; max-width: 62em; padding: .6em .8em; border: 1px solid #8886; border-radius: 6px; "
    "background: #fff; color: #1b1b1b"
)
PLAIN_TABLE = "border-collapse: collapse; font: inherit; color: inherit"
QUIET = "color: #595959; font-size: 12px"


def element(name: str, *children: str, **attributes: str) -> str:
    """One element; its children are HTML already, its attributes are escaped.

    Examples
    --------
    >>> element("b", text("a < b"), title="x")
    '<b title="x">a &lt; b</b>'
    """
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"' for key, value in attributes.items())
    return f"<{name}{given}>{''.join(children)}</{name}>"


def text(value: object) -> str:
    """A value as escaped text."""
    return escape(str(value))


def card(*children: str) -> str:
    """The frame of one answer: black on white in light and dark notebooks."""
    return element("div", *children, style=STYLE)


def paragraph(value: str, style: str = "margin: .3em 0") -> str:
    """A paragraph of plain text."""
    return element("p", text(value), style=style)


def bullets(title: str, sentences: Iterable[str]) -> str:
    """A folded list of sentences with their number; empty for none."""
    listed = list(sentences)
    if not listed:
        return ""
    items = element("ul", *(element("li", text(sentence)) for sentence in listed), style="margin: .2em 0 .2em 1.2em; padding: 0")
    return element("details", element("summary", text(f"{title} ({len(listed)})")), items, style=QUIET)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of plain texts."""
    cell = "padding: .1em .7em .1em 0; text-align: left; border: 0"
    head = element("tr", *(element("th", text(name), style=cell) for name in header))
    body = (element("tr", *(element("td", text(value), style=cell) for value in row)) for row in rows)
    return element("table", head, *body, style=f"{PLAIN_TABLE}; margin: .4em 0")


def picture(png: bytes, title: str, height_pixels: int) -> str:
    """A PNG file inside the page."""
    address = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return element("img", src=address, alt=title, title=title, style=f"height: {height_pixels}px; margin: 0 3px 3px 0").removesuffix(
        "</img>"
    )


def captioned(image: str, caption: str, width_pixels: int) -> str:
    """A picture with a caption below it; several stand side by side."""
    below = element("figcaption", text(caption), style=f"{QUIET}; max-width: {width_pixels}px; overflow-wrap: anywhere")
    return element("figure", image, below, style="display: inline-block; margin: 0 .4em .4em 0; vertical-align: top")
