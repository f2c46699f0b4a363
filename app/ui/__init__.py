"""The web page: HTML templates without user data, and scripts that request the data from the API."""

from app.ui.routes import install_pages

__all__ = ["install_pages"]
