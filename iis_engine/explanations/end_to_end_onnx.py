"""Export of network and predictor as one ONNX graph: from the pixels of an image to label and contributing concepts."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from onnx import compose, helper
from torch import Tensor, nn

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.errors import ArchitectureError, first_line
from iis_engine.explanations.onnx_export import IR_VERSION, OPSET, predictor_model
from iis_engine.scoring.predictor import Predictor

FORMAT = "iis-end-to-end-onnx/1"
LISTED_CONCEPTS = 10
"""Concepts that the graph lists for each image; fewer where the predictor keeps fewer."""
_NETWORK = "network/"


def export_end_to_end_onnx(backbone: Backbone, predictor: Predictor, path: Path) -> None:
    """Write the graph from `pixels` (n, H, W, channels) uint8, images after resize and crop, to the outputs of the predictor.

    Beside those of `export_onnx` it lists t concepts of largest contribution to the predicted class: `concepts` (n, t) int64, by index in
    the library, and `contributions` (n, t) float64. Normalisation is part of the graph; the metadata describe the whole preprocessing.
    The network computes in float32, so that representations equal those of `Backbone.embed` on a CPU up to rounding.

    Raises
    ------
    ArchitectureError
        When the network was given as ONNX, or uses operators that ONNX lacks.
    """
    if not isinstance(backbone, TorchBackbone):
        raise ArchitectureError(
            "Only networks of torch are exported together with a predictor; join your ONNX file with the predictor's by onnx.compose.",
            code="export_unsupported",
        )
    network_path = path.with_name(f"{path.name}.network")
    try:
        network = _network_model(backbone, network_path)
        head = predictor_model(predictor, min(LISTED_CONCEPTS, predictor.kept))
        joined = [(f"{_NETWORK}features", "features")]
        model = compose.merge_models(network, head, joined, name="end_to_end", producer_name="iis_engine")
    finally:
        network_path.unlink(missing_ok=True)
    own = {"format": FORMAT, "kept": str(predictor.kept), "preprocessing": json.dumps(backbone.transform.describe())}
    names = {"class_names": json.dumps(list(predictor.class_names)), "concept_names": json.dumps(list(predictor.concept_names))}
    del model.metadata_props[:]
    helper.set_model_props(model, own | names)
    onnx.checker.check_model(model)
    onnx.save(model, path)


class _PixelsToRepresentation(nn.Module):
    """Pixels (n, H, W, channels) uint8 -> f (n, d) float32, by a copy of the network on the CPU."""

    def __init__(self, backbone: TorchBackbone) -> None:
        super().__init__()
        network, cpu = backbone.copy_network(), torch.device("cpu")
        self._module = network.module.to(cpu)  # its weights become those of the graph
        self._backbone = TorchBackbone(backbone.spec, replace(network, module=self._module), cpu, backbone.notes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self._backbone.embed(self._backbone.transform.normalize(pixels))


def _network_model(backbone: TorchBackbone, path: Path) -> onnx.ModelProto:
    """The network from `pixels` to `network/features`."""
    height, width = backbone.input_size
    pixels = torch.zeros((2, height, width, backbone.transform.channels), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of each shape that it fixes; the comparison below finds a wrong one
        try:
            torch.onnx.export(
                _PixelsToRepresentation(backbone),
                (pixels,),
                str(path),
                input_names=["pixels"],
                output_names=["features"],
                dynamic_axes={"pixels": {0: "n"}, "features": {0: "n"}},
                opset_version=OPSET,
                dynamo=False,
            )
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            raise ArchitectureError(
                f"{backbone.spec.architecture} cannot be written as ONNX: {first_line(error)}.", code="export_unsupported"
            ) from error
    network = onnx.load(path)
    network.ir_version = IR_VERSION
    return compose.add_prefix(network, _NETWORK, rename_inputs=False)
