"""Explanations: why a scored job says what it says of one image, where in it, and what it would say otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, cast

from iis_client.resources.images import ImageChoice, ImageFile, as_form, read_choice
from iis_client.transport.connection import Connection, given
from iis_client.types.explanations import Explanation, HeatMap, Intervention, Outcome

FigureFormat = Literal["png", "svg"]


class Explanations(Connection):
    """Calls on the explanations of a finished job.

    `kept` or `sparsity` choose a node of its curve; by default about a tenth of the concepts is kept.
    """

    def explanations(
        self,
        job: str,
        *,
        wrong: bool = False,
        disagree: bool = False,
        class_: str | None = None,
        predicted: str | None = None,
        kept: int | None = None,
        sparsity: float | None = None,
    ) -> Iterator[Outcome]:
        """The test images by index, with what was predicted for each.

        Parameters
        ----------
        wrong : only where the interpretation names another class than the true one
        disagree : only where representation and interpretation differ
        class_, predicted : only images of this class, or of which the interpretation says this class
        """
        filters = {
            "wrong": "true" if wrong else None,
            "disagree": "true" if disagree else None,
            "class": class_,
            "predicted": predicted,
            **at_node(kept, sparsity),
        }
        return cast("Iterator[Outcome]", self._pages(f"/v1/jobs/{job}/explanations", **filters))

    def explain(
        self,
        job: str,
        image: ImageChoice,
        *,
        kept: int | None = None,
        sparsity: float | None = None,
        top: int = 8,
        contrast: str | None = None,
    ) -> Explanation:
        """Which concepts carried the prediction for an image.

        Parameters
        ----------
        image : the index of a test image, the id of one posted before (`img_…`), or the path of a file, which is posted
        top : how many concepts for and against are listed
        contrast : a class to set the predicted one against

        Raises
        ------
        LocalFileError
            When there is no such file.
        InvalidInputError
            When the file is no image, the class is unknown, or the curve has no such node.
        NotFoundError
            When there is no such test image.
        """
        query = given({"top": str(top), "contrast": contrast, **at_node(kept, sparsity)})
        asked, path = read_choice(image), f"/v1/jobs/{job}/explanations"
        if isinstance(asked, ImageFile):
            response = self._transport.send("POST", path, params=query, files=as_form([asked]))
        else:
            response = self._transport.send("GET", f"{path}/{asked}", params=query)
        return cast("Explanation", response.json())

    def image(self, job: str, image: int | str) -> bytes:
        """A test image, or one posted before, as the network sees it: PNG."""
        return self._transport.send("GET", f"/v1/jobs/{job}/explanations/{image}/image.png").content

    def heat_map(self, job: str, image: int | str, concept: int) -> bytes:
        """Where a concept is, as a layer to lay over the image: PNG; red speaks for the concept, blue against it."""
        return self._transport.send("GET", f"/v1/jobs/{job}/explanations/{image}/heatmaps/{concept}.png").content

    def heat_map_values(self, job: str, image: int | str, concept: int) -> HeatMap:
        """Where a concept is, as numbers, with how they were made and whether they are exact."""
        return cast("HeatMap", self._get(f"/v1/jobs/{job}/explanations/{image}/heatmaps/{concept}"))

    def explanation_sheet(
        self,
        job: str,
        image: int | str,
        image_format: FigureFormat = "png",
        *,
        kept: int | None = None,
        sparsity: float | None = None,
        top: int | None = None,
        contrast: str | None = None,
    ) -> bytes:
        """An explanation as one figure."""
        query = {"top": None if top is None else str(top), "contrast": contrast, **at_node(kept, sparsity)}
        return self._figure(f"/v1/jobs/{job}/explanations/{image}/sheet.{image_format}", query)

    def intervene(
        self,
        job: str,
        image: int | str,
        *,
        set: Mapping[int, float] | None = None,  # noqa: A002 (what the service calls it)
        scale: Mapping[int, float] | None = None,
        suppress: Iterable[int] = (),
        kept: int | None = None,
        sparsity: float | None = None,
    ) -> Intervention:
        """Change concepts of an image and read the new prediction.

        Parameters
        ----------
        set : activation by concept
        scale : factor by concept
        suppress : concepts to set to 0

        Raises
        ------
        InvalidInputError
            When a concept is changed twice, or there is none of that number.
        """
        changes = {
            "set": [{"concept": concept, "activation": activation} for concept, activation in (set or {}).items()],
            "scale": [{"concept": concept, "factor": factor} for concept, factor in (scale or {}).items()],
            "suppress": list(suppress),
        }
        fields = given({"kept": kept, "sparsity": sparsity}) | changes
        return cast("Intervention", self._post(f"/v1/jobs/{job}/explanations/{image}/interventions", fields))


def at_node(kept: int | None, sparsity: float | None) -> dict[str, str | None]:
    """A node of the curve as query parameters."""
    return {"kept": None if kept is None else str(kept), "sparsity": None if sparsity is None else str(sparsity)}
