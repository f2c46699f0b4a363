"""Share links: read-only access to one result, concept, image or study without an API key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from iis_client.transport.connection import Connection
from iis_client.transport.messages import Identified, build_request, id_of
from iis_schemas.shares import ShareCreate, ShareCreated, ShareView

PATH = "/v1/shares"


class Shares(Connection):
    """Calls on share links."""

    def share(
        self,
        job: str | Identified,
        *,
        concept: int | None = None,
        image: int | None = None,
        kept: int | None = None,
        contrast: str | None = None,
        expires_in_days: int | None = None,
    ) -> ShareCreated:
        """Create a link to the result of a score job, or to one of its concepts or test images.

        The address of its page is `base_url` and the link's `path`, which is in this answer alone.

        Parameters
        ----------
        concept, image : index of a concept or of a test image, to share that one only
        kept, contrast : of the explanation of the image
        expires_in_days : 1 to 365; default: 30
        """
        fields = {"job": id_of(job), "concept": concept, "image": image, "kept": kept, "contrast": contrast}
        return self._share(fields | {"expires_in_days": expires_in_days})

    def share_study(self, study: str | Identified, *, expires_in_days: int | None = None) -> ShareCreated:
        """Create a link to a study: its table, statistics and figures."""
        return self._share({"study": id_of(study), "expires_in_days": expires_in_days})

    def shares(self, *, job: str | Identified | None = None, study: str | Identified | None = None) -> Iterator[ShareView]:
        """Your share links, newest first; of one job or study where given."""
        named = (("job", job), ("study", study))
        return self._pages(ShareView, PATH, {name: id_of(value) for name, value in named if value is not None})

    def share_link(self, share: str | ShareView) -> ShareView:
        """One share link, without its token."""
        return self._get(ShareView, f"{PATH}/{id_of(share)}")

    def revoke_share(self, share: str | ShareView) -> None:
        """Revoke a share link: it is refused from then on."""
        self._delete(f"{PATH}/{id_of(share)}")

    def _share(self, fields: Mapping[str, object]) -> ShareCreated:
        return self._post(ShareCreated, PATH, build_request(ShareCreate, fields))
