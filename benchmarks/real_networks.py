"""Real pre-trained networks and image sets: their paths, and the specification of each network.

`python -m benchmarks.real_networks` links and exports them into the folder that docs/studies/real_networks.yaml names.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cifar_resnet import export_onnx, load_cifar_resnet
from iis_engine.specs import BackboneSpec, Preprocessing

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("IIS_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
STUDY_FOLDER = REPOSITORY / "docs" / "studies" / "data" / "real"
DATASETS = ("cifar10", "flowers17", "tinyimagenet10")
CIFAR_RESNET_DEPTHS = {"cifar10_resnet20": 20, "cifar10_resnet32": 32, "cifar10_resnet56": 56}


@dataclass(frozen=True)
class MobileNet:
    """An ImageNet network of timm.

    Attributes
    ----------
    width : channel multiplier, None for 1
    input_size : side of its images in pixels
    """

    architecture: str
    width: float | None
    input_size: int

    def spec(self) -> BackboneSpec:
        """The engine's specification of the network."""
        arguments: dict[str, Any] = {"pad_type": "same"} if self.width is None else {"channel_multiplier": self.width, "pad_type": "same"}
        half = (0.5, 0.5, 0.5)
        preprocessing = Preprocessing(input_size=self.input_size, mean=half, std=half, interpolation="bicubic", crop_pct=0.875)
        return BackboneSpec(self.architecture, arguments, preprocessing=preprocessing)


MOBILENETS = {
    "imagenet_mobilenetv1_025": MobileNet("timm:mobilenetv1_100", 0.25, 128),
    "imagenet_mobilenetv1_075": MobileNet("timm:mobilenetv1_100", 0.75, 192),
    "imagenet_mobilenetv1_100_nohead": MobileNet("timm:mobilenetv1_100", None, 224),
    "imagenet_mobilenetv2_100_tf2ptq": MobileNet("timm:mobilenetv2_100", None, 224),
}


def create_study_folder(folder: Path) -> None:
    """Link images and weights into a folder, and export the CIFAR ResNets to ONNX there."""
    folder.mkdir(parents=True, exist_ok=True)
    for target in (*(DATA / name for name in DATASETS), *(DATA / "weights" / f"{name}.safetensors" for name in MOBILENETS)):
        link = folder / target.name
        link.unlink(missing_ok=True)
        link.symlink_to(target.absolute())
    for name, depth in CIFAR_RESNET_DEPTHS.items():
        export_onnx(load_cifar_resnet(DATA / "weights" / f"{name}.safetensors", depth), folder / f"{name}.onnx")


def main() -> None:
    """Create the study's folder."""
    if not (DATA / "weights" / "weights.json").is_file():
        sys.exit(f"The images and weights are missing at {DATA}; set IIS_SHARED_DATA to their folder.")
    create_study_folder(STUDY_FOLDER)
    print(f"{len(DATASETS)} image sets and {len(CIFAR_RESNET_DEPTHS) + len(MOBILENETS)} networks are in {STUDY_FOLDER}.")


if __name__ == "__main__":
    main()
