"""One step of fine-tuning: the loss of eq. 8, its gradients in batches that fit, and the state that moves. Epochs live in finetuning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from iis_engine.backbones.batching import Batches, is_out_of_memory
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.errors import OutOfMemory, SettingError
from iis_engine.finetuning.images import Images, Step, even_slices
from iis_engine.finetuning.network import Representation, TrainedWeights
from iis_engine.finetuning.schedule import make_optimizer
from iis_engine.heads.sparsify import sparsify
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.nodes import kept_count
from iis_engine.specs import FinetuneSpec

TOO_LARGE = "Not even one image fits into memory while this network is trained; choose a smaller network or input size."
PAIR_TOO_LARGE = (
    "Not even two images fit into memory while this network is trained, and its batch normalisation needs two at once; choose a smaller"
    " network or input size."
)


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
        """Of h and of g_cls, (n, C) each; `interpreted` are the features that g_cls reads, with or without gradients.

        The mask of g_s is constant wherever it is differentiable, so gradients pass through the kept activations unchanged.
        """
        activations = sparsify(self.library.activations(interpreted), self.kept)
        return self.h(features), self.g_cls(activations)


def linear(head: Tensor) -> nn.Linear:
    """A layer of weights (d + 1, C), the last row being the bias."""
    layer = nn.Linear(head.shape[0] - 1, head.shape[1], device=head.device)
    with torch.no_grad():
        layer.weight.copy_(head[:-1].T)
        layer.bias.copy_(head[-1])
    return layer


class Learner:
    """f, h and g_cls with their optimiser.

    With λ = 0 g_cls learns from f without touching it, as a probe of the same library does, so that its loss can be told in the control.

    Raises
    ------
    SettingError
        For one image a batch where batch normalisation trains: a single image has no batch statistics.
    """

    def __init__(self, backbone: TorchBackbone, spec: FinetuneSpec, weight: float, heads: Heads) -> None:
        self._transform, self._device = backbone.transform, backbone.device
        self._weight = weight
        half = None
        if spec.precision == "auto" and self._device.type == "cuda":
            half = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        network = backbone.copy_network()
        self.f = Representation(network, backbone.spec.layer, half)
        dry = torch.zeros(2, self._transform.channels, *self._transform.input_size, device=self._device)
        self.trained = TrainedWeights(self.f, spec.trains, dry, untrained=backbone.spec.initial_seed is not None)
        if self.trained.takes_batch_statistics and spec.batch_size == 1:
            raise SettingError(
                "batch_size must be 2 or more for this network: its batch normalisation takes the statistics of a batch, which one image"
                " does not have; it is 1.",
                param="batch_size",
            )
        self._least = 2 if self.trained.takes_batch_statistics else 1
        self.heads = heads.to(self._device)
        self._device_count = torch.cuda.device_count() if self._device.type == "cuda" else 1
        self.optimizer = make_optimizer(self._named_parameters(), spec)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=half is torch.float16)
        self._batches = Batches(spec.batch_size, TOO_LARGE)

    def step(self, step: Step, learning_rate: float) -> tuple[float, float]:
        """Take one step of the optimiser on the mean loss of its images; gives both losses.

        Raises
        ------
        SettingError
            When the loss is not finite any more.
        OutOfMemory
            When not even one image fits, or two where batch normalisation trains.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        losses = self._gradients(step)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return losses

    def predict(self, images: Images) -> tuple[Tensor, Tensor]:
        """Whether h and g_cls name the class of each image: two of (n,) bool on the CPU."""
        self.trained.judge()

        def correct(rows: slice) -> Tensor:
            features = self._represent(self._inputs(images, rows))
            logits = self.heads.logits(features, features)
            require_finite(logits[0].sum() + logits[1].sum())
            labels = images.labels[rows].to(self._device)
            return torch.stack([each.argmax(1) == labels for each in logits], dim=1).cpu()

        with torch.no_grad():
            both = torch.cat(list(self._batches.each(correct, len(images.labels))))
        return both[:, 0], both[:, 1]

    def put_library(self, library: ConceptLibrary, g_cls: Tensor) -> None:
        """Go on with another library and its solved head; what the optimiser knew of the old one's head is forgotten."""
        self.heads.library = library
        with torch.no_grad():
            self.heads.g_cls.weight.copy_(g_cls[:-1].T)
            self.heads.g_cls.bias.copy_(g_cls[-1])
        for parameter in self.heads.g_cls.parameters():
            self.optimizer.state.pop(parameter, None)

    def weights(self) -> dict[str, Tensor]:
        """All that training moves of f, and h: copies on the CPU under `f.` and `h.`."""
        f = {f"f.{key}": tensor for key, tensor in self.trained.moving_state().items()}
        h = {f"h.{key}": tensor for key, tensor in self.heads.h.state_dict().items()}
        return {key: tensor.detach().cpu().clone().contiguous() for key, tensor in {**f, **h}.items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that another learner needs to go on to the same numbers: tensors, and JSON-ready values."""
        tensors = {**self.weights(), "library": self.heads.library.vectors}
        tensors |= {f"g_cls.{key}": tensor for key, tensor in self.heads.g_cls.state_dict().items()}
        for name, parameter in self._named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if value is not None:
                    tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
        held = {key: tensor.detach().cpu().clone().contiguous() for key, tensor in tensors.items()}
        return held, {"batch_size": self._batches.size, "scaler": self._scaler.state_dict()}

    def load_state(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from what `state` gave; the heads hold the library already."""
        self.f.module.load_state_dict(_under("f.", tensors), strict=False)
        self.heads.h.load_state_dict(_under("h.", tensors))
        self.heads.g_cls.load_state_dict(_under("g_cls.", tensors))
        state = _under("optimizer.", tensors)
        for name, parameter in self._named_parameters():
            kept = {key.removesuffix(f".{name}"): value for key, value in state.items() if key.partition(".")[2] == name}
            if kept:  # laid out in memory as the parameter is, so that sums are taken in the same order
                self.optimizer.state[parameter] = {
                    key: torch.empty_like(parameter.detach()).copy_(value) if value.shape == parameter.shape and key != "step" else value
                    for key, value in kept.items()
                }
        if values["scaler"]:  # nothing where the run began on a device that needs none
            self._scaler.load_state_dict(values["scaler"])
        self._batches.size = values["batch_size"]

    def _named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        f = [(f"f.{name}", parameter) for name, parameter in self.trained.parameters()]
        return [*f, *self.heads.named_parameters()]

    def _gradients(self, step: Step) -> tuple[float, float]:
        """Gradients of the mean loss in batches that fit; when memory runs out, all of them anew in batches half as large."""
        buffers = list(self.f.module.buffers()) if self.trained.names else []
        before = [buffer.clone() for buffer in buffers]
        while (sums := self._accumulated(step)) is None:
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
        require_finite(sums.sum())
        return float(sums[0]), float(sums[1])

    def _accumulated(self, step: Step) -> Tensor | None:
        """Both losses, once the gradients of all portions are there; None where memory ran out, and batches are smaller from now on."""
        self.optimizer.zero_grad()
        self.trained.learn()
        sums = torch.zeros(2, device=self._device)
        for images in step.portions():
            try:
                for rows in even_slices(len(images.labels), max(self._least, self._batches.size)):
                    sums += self._accumulate(images, rows, (rows.stop - rows.start) / step.image_count)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if self._batches.size <= self._least:
                    raise OutOfMemory(TOO_LARGE if self._least == 1 else PAIR_TOO_LARGE) from error
                self._batches.size = max(self._least, min(self._batches.size, len(images.labels)) // 2)
                self.optimizer.zero_grad()
                return None
        return sums

    def _accumulate(self, images: Images, rows: slice, share: float) -> Tensor:
        losses = self.losses(self._inputs(images, rows), images.labels[rows].to(self._device))
        total = losses.representation + (self._weight or 1.0) * losses.interpretation
        self._scaler.scale(share * total).backward()
        return share * torch.stack([losses.representation.detach(), losses.interpretation.detach()])

    def losses(self, inputs: Tensor, labels: Tensor) -> Losses:
        """Both losses of preprocessed images (n, channels, H, W), with gradients where they may flow."""
        with torch.set_grad_enabled(bool(self.trained.names)):
            features = self._represent(inputs)
        logits = self.heads.logits(features, features if self._weight else features.detach())
        of_h, of_g_cls = (functional.cross_entropy(each, labels) for each in logits)
        return Losses(of_h, of_g_cls)

    def _represent(self, inputs: Tensor) -> Tensor:
        devices = devices_for(len(inputs), self._device_count, self._least)
        return self.f(inputs) if devices == 1 else nn.parallel.data_parallel(self.f, inputs, range(devices))

    def _inputs(self, images: Images, rows: slice) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(images.pixels[rows]))
        return self._transform.normalize(pixels.to(self._device)).to(memory_format=torch.channels_last)


def require_finite(value: Tensor) -> None:
    """Refuse to go on with a loss, or a sum of logits, that is no number."""
    if not math.isfinite(float(value)):
        raise SettingError(
            "The loss is no finite number any more, so training has diverged; send a smaller learning_rate.",
            code="training_diverged",
            param="learning_rate",
        )


def devices_for(image_count: int, device_count: int, least: int) -> int:
    """Among how many devices images are divided, so that each gets `least` of them or more, or one device gets all.

    Examples
    --------
    Five images on four devices are dealt as 2, 2 and 1, on two as 3 and 2.

    >>> devices_for(5, 4, least=1), devices_for(5, 4, least=2), devices_for(3, 2, least=2)
    (4, 2, 1)
    """
    for devices in range(min(device_count, image_count), 1, -1):
        share = math.ceil(image_count / devices)  # as torch.chunk deals; the last device gets the rest
        if (image_count - 1) % share + 1 >= least:
            return devices
    return 1


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
