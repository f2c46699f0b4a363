"""CIFAR ResNets of He et al. 2015 (section 4.2) with parameter-free shortcuts (option A), and their export to ONNX.

No library has this architecture, so the engine reads it as an ONNX file.
Module names are those of common checkpoints: conv1, bn1, layer{1,2,3}.N.{conv1,bn1,conv2,bn2}, linear.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

IMAGE_SIZE = 32


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut that subsamples and pads channels with zeros."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.padding = (channels - channels_in) // 2

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x
        if self.stride != 1 or self.padding:
            shortcut = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return functional.relu(out + shortcut)


class CifarResNet(nn.Module):
    """A ResNet of 6n + 2 layers for 32 px images with a 64-d representation."""

    def __init__(self, depth: int, class_count: int = 10) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, 16, blocks, 1)
        self.layer2 = self._stage(16, 32, blocks, 2)
        self.layer3 = self._stage(32, 64, blocks, 2)
        self.linear = nn.Linear(64, class_count)

    @staticmethod
    def _stage(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
        return nn.Sequential(Block(channels_in, channels, stride), *(Block(channels, channels, 1) for _ in range(blocks - 1)))

    def represent(self, x: Tensor) -> Tensor:
        """(n, 3, 32, 32) -> (n, 64)"""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        return functional.adaptive_avg_pool2d(out, 1).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.represent(x))


def load_cifar_resnet(checkpoint: Path, depth: int) -> CifarResNet:
    """Load the network's weights from a safetensors file."""
    network = CifarResNet(depth)
    network.load_state_dict(load_file(checkpoint))
    return network.eval()


def export_onnx(network: nn.Module, path: Path, *, batch_size: int | None = None) -> None:
    """Write the network as one ONNX file, with a dynamic batch dimension unless `batch_size` is given."""
    torch.onnx.export(
        network,
        (torch.zeros(batch_size or 2, 3, IMAGE_SIZE, IMAGE_SIZE),),
        path,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes=None if batch_size else {"images": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
