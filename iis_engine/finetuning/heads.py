"""h and g_cls as trainable modules over one representation, and the two losses of eq. 8."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from iis_engine.heads.sparsify import sparsify
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.nodes import kept_count


@dataclass(frozen=True)
class Losses:
    """Cross-entropies of h∘f and of g_cls∘g_s∘g_𝒞∘f, means over some images."""

    representation: Tensor
    interpretation: Tensor


class Heads(nn.Module):
    """h and g_cls over one representation, with the library between f and g_cls."""

    def __init__(self, h: Tensor, library: ConceptLibrary, g_cls: Tensor, sparsity: float) -> None:
        super().__init__()
        self.h = linear(h)
        self.g_cls = linear(g_cls)
        self.library = library
        self.kept = kept_count(len(library), sparsity)

    def logits(self, features: Tensor, interpreted: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of h and of g_cls, (n, C) each; `interpreted` are the features for g_cls, with or without gradients.

        The mask of g_s is constant wherever it is differentiable, so gradients pass through the kept activations unchanged.
        """
        activations = sparsify(self.library.activations(interpreted), self.kept)
        return self.h(features), self.g_cls(activations)


def linear(head: Tensor) -> nn.Linear:
    """A linear layer with weights (d + 1, C), the last row being the bias."""
    layer = nn.Linear(head.shape[0] - 1, head.shape[1], device=head.device)
    with torch.no_grad():
        layer.weight.copy_(head[:-1].T)
        layer.bias.copy_(head[-1])
    return layer
