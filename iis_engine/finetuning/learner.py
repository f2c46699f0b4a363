"""One step of fine-tuning: the loss of eq. 8, its gradients in batches that fit into memory, and the state of training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from iis_engine.backbones.batching import Batches, is_out_of_memory
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.errors import OutOfMemory, SettingError
from iis_engine.finetuning.finetune_spec import FinetuneSpec
from iis_engine.finetuning.heads import Heads, Losses
from iis_engine.finetuning.images import Images, Step, even_slices
from iis_engine.finetuning.network import Representation, TrainedWeights
from iis_engine.finetuning.schedule import make_optimizer
from iis_engine.libraries.library import ConceptLibrary

TOO_LARGE = "Not even one image fits into memory while this network is trained; choose a smaller network or input size."
PAIR_TOO_LARGE = (
    "Not even two images fit into memory while this network is trained, and its batch normalisation needs two at once; choose a smaller"
    " network or input size."
)


class Learner:
    """f, h and g_cls with their optimiser.

    With λ = 0 g_cls is trained without gradients to f, so that the control reports its loss too.

    Raises
    ------
    SettingError
        For a batch of one image where batch normalisation is trained: one image has no batch statistics.
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
                "batch_size must be 2 or more for this network, whose batch normalisation needs two images; it is 1.",
                param="batch_size",
            )
        self._least = 2 if self.trained.takes_batch_statistics else 1
        self.heads = heads.to(self._device)
        self._device_count = torch.cuda.device_count() if self._device.type == "cuda" else 1
        self.optimizer = make_optimizer(self._named_parameters(), spec)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=half is torch.float16)
        self._batches = Batches(spec.batch_size, TOO_LARGE)

    def step(self, step: Step, learning_rate: float) -> tuple[float, float]:
        """Take one optimiser step on the mean loss of its images; returns both losses.

        Raises
        ------
        SettingError
            When the loss is not finite.
        OutOfMemory
            When not even one image fits, or two where batch normalisation is trained.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        losses = self._gradients(step)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return losses

    def predict(self, images: Images) -> tuple[Tensor, Tensor]:
        """Correctness of h and of g_cls: two of (n,) bool on the CPU."""
        self.trained.evaluate()

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
        """Replace the library and g_cls, and reset the optimiser state of g_cls."""
        self.heads.library = library
        with torch.no_grad():
            self.heads.g_cls.weight.copy_(g_cls[:-1].T)
            self.heads.g_cls.bias.copy_(g_cls[-1])
        for parameter in self.heads.g_cls.parameters():
            self.optimizer.state.pop(parameter, None)

    def weights(self) -> dict[str, Tensor]:
        """All that training changes in f, and h: copies on the CPU under `f.` and `h.`."""
        f = {f"f.{key}": tensor for key, tensor in self.trained.moving_state().items()}
        h = {f"h.{key}": tensor for key, tensor in self.heads.h.state_dict().items()}
        return {key: tensor.detach().cpu().clone().contiguous() for key, tensor in {**f, **h}.items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The whole state, from which another learner continues to the same numbers: tensors, and JSON-ready values."""
        library = self.heads.library
        tensors = {**self.weights(), "library": library.vectors}
        tensors |= {f"library.{name}": tensor for name, tensor in library.normalisation().items()}
        tensors |= {f"g_cls.{key}": tensor for key, tensor in self.heads.g_cls.state_dict().items()}
        for name, parameter in self._named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if value is not None:
                    tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
        held = {key: tensor.detach().cpu().clone().contiguous() for key, tensor in tensors.items()}
        return held, {"batch_size": self._batches.size, "scaler": self._scaler.state_dict()}

    def load_state(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Restore `state`; the heads have the library already."""
        self.f.module.load_state_dict(_under("f.", tensors), strict=False)
        self.heads.h.load_state_dict(_under("h.", tensors))
        self.heads.g_cls.load_state_dict(_under("g_cls.", tensors))
        state = _under("optimizer.", tensors)
        for name, parameter in self._named_parameters():
            kept = {key.removesuffix(f".{name}"): value for key, value in state.items() if key.partition(".")[2] == name}
            if kept:  # with the parameter's memory layout, so that sums have the same order
                self.optimizer.state[parameter] = {
                    key: torch.empty_like(parameter.detach()).copy_(value) if value.shape == parameter.shape and key != "step" else value
                    for key, value in kept.items()
                }
        if values["scaler"]:  # empty where the run began on a device without a scaler
            self._scaler.load_state_dict(values["scaler"])
        self._batches.size = values["batch_size"]

    def _named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        f = [(f"f.{name}", parameter) for name, parameter in self.trained.parameters()]
        return [*f, *self.heads.named_parameters()]

    def _gradients(self, step: Step) -> tuple[float, float]:
        """Gradients of the mean loss; when memory runs out, all of them again in batches half as large."""
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
        """Both losses after the gradients of all portions; None where memory ran out, and batches are smaller from now on."""
        self.optimizer.zero_grad()
        self.trained.train()
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
        # L = CE(h∘f) + λ·CE(g_cls∘g_s∘g_𝒞∘f) (eq. 8); with λ = 0 the second term trains g_cls alone.
        total = losses.representation + (self._weight or 1.0) * losses.interpretation
        self._scaler.scale(share * total).backward()
        return share * torch.stack([losses.representation.detach(), losses.interpretation.detach()])

    def losses(self, inputs: Tensor, labels: Tensor) -> Losses:
        """Both losses of preprocessed images (n, channels, H, W): CE(h∘f(x), y) and CE(g_cls∘g_s∘g_𝒞∘f(x), y) (eq. 8)."""
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
    """Raise a SettingError for a loss, or a sum of logits, that is not finite."""
    if not math.isfinite(float(value)):
        raise SettingError(
            "The loss is not finite, so training has diverged; send a smaller learning_rate.",
            code="training_diverged",
            param="learning_rate",
        )


def devices_for(image_count: int, device_count: int, least: int) -> int:
    """Number of devices among which images are divided, so that each gets at least `least`; else 1.

    Examples
    --------
    Five images on four devices are divided as 2, 2 and 1, on two as 3 and 2.

    >>> devices_for(5, 4, least=1), devices_for(5, 4, least=2), devices_for(3, 2, least=2)
    (4, 2, 1)
    """
    for devices in range(min(device_count, image_count), 1, -1):
        share = math.ceil(image_count / devices)  # as torch.chunk divides; the last device gets the rest
        if (image_count - 1) % share + 1 >= least:
            return devices
    return 1


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
