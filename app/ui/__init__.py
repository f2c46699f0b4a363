"""The web page: shells in HTML whose scripts read the API's own JSON. No data of anybody passes through here."""

from app.ui.routes import install_pages

__all__ = ["install_pages"]
