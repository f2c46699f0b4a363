"""Heat maps of concepts over one image: exact maps, token maps, occlusion, and their overlays (METHOD §4)."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.batching import Batches
from iis_engine.errors import DataError, LibraryError
from iis_engine.libraries.library import RELATIVE_NOISE, ConceptLibrary

Method = Literal["feature_map", "tokens", "occlusion"]
OCCLUSION_CELLS = 7
"""Cells along each side of the occlusion grid; fewer in images of fewer pixels."""
OCCLUSION_BATCH = 16
POSITIVE_RGB = (214, 39, 40)
NEGATIVE_RGB = (31, 95, 168)
OVERLAY_ALPHA_MAX = 190
"""Of 255, so that the image stays visible everywhere."""

_NOTES: dict[Method, str] = {
    "feature_map": "Exact: the network averages over positions, and the mean of these values is the activation that the head reads.",
    "tokens": "Approximate: the network does not end in a mean over positions; the map shows its last step applied to each position alone.",
    "occlusion": "Approximate: the network has no feature map; the map shows how far the activation falls when a region is greyed out.",
}


@dataclass(frozen=True)
class HeatMaps:
    """Heat maps of m concepts over one image.

    Attributes
    ----------
    values : (m, h, w) float32; above 0 where the image raises the activation
    activations : (m,) float64, raw ⟨f(x), c⟩, before any normalisation over concepts
    method : feature_map, tokens or occlusion
    exact : whether the mean of `values` over positions is the activation
    note : a sentence for users on how the maps are computed
    """

    values: Tensor
    activations: Tensor
    method: Method
    exact: bool
    note: str


def heat_maps(backbone: Backbone, vectors: Tensor, image: Tensor) -> HeatMaps:
    """The heat maps of concepts over one image (METHOD §4).

    Where the network averages its feature map F over positions (u, v), the map is ⟨F(u, v), c⟩, whose mean is ⟨f(x), c⟩ since both are
    linear: to 1e-5 of the map's largest magnitude on a CPU, and to 2e-2 of it on a GPU, where f is computed in half precision and F in
    full. Other networks that pool over positions have a token map, ⟨F(u, v), c⟩ with F the representation of each position alone.
    All others, such as those with a class token, have occlusion (Zeiler & Fergus 2014, section 4.2): each cell of a grid is set to the
    mean colour, and the map is the loss of activation; that takes 50 forward passes.

    Parameters
    ----------
    vectors : (m, d) concept vectors in the backbone's representation space
    image : (1, channels, H, W) float32 from `Backbone.preprocess`

    Raises
    ------
    LibraryError
        For vectors of another width than the backbone's representation.
    DataError
        For another shape than one preprocessed image.
    OutOfMemory
        If not even one image fits.
    """
    if vectors.ndim != 2 or vectors.shape[1] != backbone.num_features:
        raise LibraryError(
            f"The concepts have shape {tuple(vectors.shape)}, but the network's representation has {backbone.num_features} numbers; "
            "use concepts that were built with this network."
        )
    if image.shape != (1, backbone.transform.channels, *backbone.input_size):
        raise DataError(
            f"A heat map takes one preprocessed image of {backbone.transform.channels} x {backbone.input_size[0]} x "
            f"{backbone.input_size[1]}; the shape is {tuple(image.shape)}."
        )
    concepts = vectors.cpu().double()
    activations = (backbone.embed(image).cpu().double() @ concepts.T)[0]
    method, positions = _position_features(backbone, image)
    values = torch.einsum("md,dhw->mhw", concepts, positions)
    return HeatMaps(values.float(), activations, method, method == "feature_map", _NOTES[method])


def normalised_maps(found: HeatMaps, library: ConceptLibrary) -> Tensor:
    """The maps of a whole library, normalised as its activations g_𝒞.

    g_𝒞 subtracts what all concepts of a block share; without this, all concepts of an image have high values at the same positions.
    Its steps are linear, so that the mean over positions of an exact map is the activation itself.

    Parameters
    ----------
    found : of every concept of `library`, in order

    Returns
    -------
    (M, h, w) float32
    """
    out = torch.empty_like(found.values)
    offsets = library.offsets()
    raw_maps, activations = found.values.double(), found.activations - offsets
    is_difference = found.method == "occlusion"  # losses are differences, in which every constant cancels
    if not is_difference:
        raw_maps = raw_maps - offsets.view(-1, 1, 1)
    for block in library.blocks():
        maps = raw_maps[block]
        if library.has_layer_norm(block):
            own = activations[block]
            spread = own.std(correction=0)
            scale = 1 / spread if spread > RELATIVE_NOISE * own.abs().max() else torch.zeros_like(spread)
            maps = (maps - maps.mean(dim=0)) * scale
        if (moments := library.moments(block)) is not None:
            mean, deviation = (moment.view(-1, 1, 1) for moment in moments)
            inverse = torch.where(deviation > 0, 1 / deviation.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
            maps = (maps if is_difference else maps - mean) * inverse
        out[block] = maps.float()
    return out


def overlay(values: NDArray[Any] | Tensor, size: tuple[int, int], scale: float | None = None) -> NDArray[np.uint8]:
    """A heat map as an overlay for the image: red above 0, blue below, opacity by magnitude.

    Parameters
    ----------
    values : (h, w), resized bilinearly
    size : height and width in pixels, as `Backbone.input_size`
    scale : magnitude of the largest opacity, for comparison of maps; None for the map's own largest

    Returns
    -------
    (H, W, 4) uint8, red, green, blue and alpha; fully transparent for a map of zeros
    """
    given = torch.as_tensor(values).detach().cpu().to(torch.float64)
    full = float(given.abs().max()) if scale is None else scale
    fine = interpolate(given[None, None], size, mode="bilinear", align_corners=False)[0, 0].numpy()
    layer = np.empty((*size, 4), np.uint8)
    layer[..., :3] = np.where(fine[..., None] > 0, POSITIVE_RGB, NEGATIVE_RGB)
    strength = np.abs(fine) / full if full > 0 else np.zeros_like(fine)
    layer[..., 3] = np.rint(OVERLAY_ALPHA_MAX * strength.clip(0, 1))
    return layer


def network_view(backbone: Backbone, image: Image.Image) -> Image.Image:
    """The network's input for an upright RGB image, resized and cropped, as RGB; grey for networks of one channel.

    Raises
    ------
    DataError
        For an image too long and thin to be resized.
    """
    pixels = backbone.transform.pixels(image)
    return Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)


def png_bytes(pixels: NDArray[np.uint8] | Image.Image) -> bytes:
    """A PNG file of (H, W, 3 or 4) pixels or of an image."""
    buffer = BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def _position_features(backbone: Backbone, image: Tensor) -> tuple[Method, Tensor]:
    """The method, and (d, h, w) float64 whose inner product with a concept is its heat map."""
    if (exact := backbone.feature_map(image)) is not None:
        return "feature_map", exact[0].cpu().double()
    if (tokens := backbone.token_map(image)) is not None:
        return "tokens", tokens[0].cpu().double()
    return "occlusion", _losses(backbone, image)


def _losses(backbone: Backbone, image: Tensor) -> Tensor:
    """(d, h, w) float64: loss of the representation when each cell of a grid is set to zero, the mean colour."""
    height, width = image.shape[2:]
    rows, columns = min(OCCLUSION_CELLS, height), min(OCCLUSION_CELLS, width)
    above = [height * row // rows for row in range(rows + 1)]
    left = [width * column // columns for column in range(columns + 1)]

    def hidden(cells: slice) -> Tensor:
        batch = [image]  # in the same batch, since rounding depends on the batch size
        for cell in range(rows * columns)[cells]:
            row, column = divmod(cell, columns)
            one = image.clone()
            one[:, :, above[row] : above[row + 1], left[column] : left[column + 1]] = 0
            batch.append(one)
        features = backbone.embed(torch.cat(batch)).cpu().double()
        return features[:1] - features[1:]

    batches = Batches(OCCLUSION_BATCH, "Not even one image fits into memory with this network; choose a smaller network or input size.")
    return torch.cat(list(batches.each(hidden, rows * columns))).T.unflatten(1, (rows, columns))
