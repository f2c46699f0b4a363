"""Files of a model repository of the Hugging Face Hub, downloaded by name into the Hub's own cache. Nothing of them is run."""

from __future__ import annotations

import os
import re
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from iis_engine.errors import ArchitectureError, first_line
from iis_engine.specs import DEFAULT_TAG

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*/[A-Za-z0-9][A-Za-z0-9_.\-]*")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
_MAIN = "main"


class HubRepository:
    """A model repository at one revision.

    Parameters
    ----------
    name : ORG/NAME
    revision : commit, branch or tag; None or `default` for the main branch

    Attributes
    ----------
    commit : of the files; every file comes from the commit of the first one
    """

    def __init__(self, name: str, revision: str | None) -> None:
        if not _NAME.fullmatch(name) or ".." in name:
            raise ArchitectureError(f"{name!r} is not a repository of the Hub; write ORG/NAME.", param="architecture")
        self.name = name
        self.revision = _MAIN if revision in (None, DEFAULT_TAG) else revision
        self.commit: str | None = None

    def file(self, name: str) -> Path:
        """Return the path of a file in the cache, in a folder that is named after the commit.

        Raises
        ------
        ArchitectureError
            With the code `pretrained_unavailable` if it cannot be downloaded.
        """
        found = self.optional_file(name)
        if found is None:
            raise self._unavailable(f"it has no {name}")
        return found

    def optional_file(self, name: str) -> Path | None:
        """Return the path of a file in the cache, or None if the repository does not have it."""
        if not _FILE_NAME.fullmatch(name):
            raise self._unavailable(f"{name!r} is not a file name")
        try:
            path = Path(
                hf_hub_download(self.name, name, revision=self.commit or self.revision, endpoint=os.environ.get("HF_ENDPOINT"), token=False)
            )
        except LocalEntryNotFoundError as error:  # the Hub cannot be reached, and the cache does not have the file
            raise self._unavailable(first_line(error)) from error
        except EntryNotFoundError:
            return None
        except Exception as error:  # the library and its transport share no exception below Exception
            raise self._unavailable(first_line(error)) from error
        self.commit = path.parent.name
        return path

    @property
    def note(self) -> str:
        """Sentence that names the commit."""
        fixed = "" if self.revision == self.commit else f"; give {self.commit} as pretrained to have the same files again"
        return f"The files are those of {self.name} on the Hub at commit {self.commit}{fixed}."

    def _unavailable(self, reason: str) -> ArchitectureError:
        return ArchitectureError(
            f"The files of {self.name} at {self.revision} could not be downloaded from the Hub ({reason}); check name and revision, "
            "or upload the files.",
            code="pretrained_unavailable",
            param="architecture",
        )
