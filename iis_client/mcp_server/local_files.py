"""Files and folders of this machine that tools may send to the service: those in folders that the person named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from iis_client.errors import ConfigurationError
from iis_client.transport.packing import files_in


class LocalFiles:
    """Resolve paths that a language model names.

    Parameters
    ----------
    folders : whose content may be sent; none: no file may
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [folder.resolve() for folder in folders]

    def resolve(self, path: str) -> Path:
        """The file or folder, after links; a relative path is below the first folder.

        Raises
        ------
        ConfigurationError
            When it, or a file that an upload of the folder contains, is outside of all folders, or when it does not exist.
        LocalFileError
            When the folder has no files.
        """
        base = self._folders[0] if self._folders else Path()
        found = (base / Path(path).expanduser()).resolve()
        self._require_inside(found, path)
        if not found.exists():
            raise ConfigurationError(f"There is no file or folder {found}.")
        if found.is_dir():
            for file in files_in(found):  # packing follows links
                self._require_inside(file.resolve(), str(file))
        return found

    def has(self, path: str) -> bool:
        """Whether `resolve` finds it."""
        try:
            return self.resolve(path).exists()
        except ConfigurationError:
            return False

    def _require_inside(self, resolved: Path, path: str) -> None:
        if not any(resolved.is_relative_to(folder) for folder in self._folders):
            named = ", ".join(map(str, self._folders)) or "none"
            raise ConfigurationError(
                f"{path} is outside of the folders whose files may be sent ({named}); start the server with iis mcp --folder FOLDER."
            )
