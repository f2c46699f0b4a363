"""Run a checked ONNX graph with onnxruntime and translate its errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors  # pyright: ignore[reportAttributeAccessIssue]  (compiled)
from torch import Tensor

from iis_engine.errors import ArchitectureError, CheckpointError, first_line

_ORT_ERROR_NAMES = (
    *("EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph"),
    *("InvalidProtobuf", "NotImplemented", "RuntimeException"),
)
_ORT_ERRORS: tuple[type[Exception], ...] = tuple(getattr(ort_errors, name) for name in _ORT_ERROR_NAMES)


class OnnxInputError(Exception):
    """onnxruntime rejected an input. The caller adds the input's name and raises an EngineError."""


class OnnxSession:
    """An onnxruntime session on the CPU, or on the GPU where onnxruntime supports it.

    Attributes
    ----------
    notes : remarks for the user, one sentence each: whether the CPU was used although a GPU was requested

    Raises
    ------
    ArchitectureError
        If onnxruntime cannot load the graph.
    CheckpointError
        If the file is damaged.
    """

    def __init__(self, model: ModelProto, device: torch.device) -> None:
        on_gpu = device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        self.notes = list[str]()
        if device.type == "cuda" and not on_gpu:
            self.notes.append("onnxruntime has no CUDA provider here, so the network runs on the CPU.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "0"
        )  # idle threads would occupy the cores of the image decoders
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(),
                options,
                providers=["CUDAExecutionProvider", "CPUExecutionProvider"] if on_gpu else ["CPUExecutionProvider"],
            )
        except _ORT_ERRORS as error:
            raise ArchitectureError(f"onnxruntime cannot load the network: {first_line(error)}.") from error
        except ValueError as error:  # for example names that are not UTF-8
            raise CheckpointError(f"The ONNX file is damaged ({first_line(error)}); export the network again.") from error

    def run(self, inputs: Mapping[str, NDArray[Any]], output: str, *, fixed_batch: int | None) -> Tensor:
        """Compute the value `output` for arrays of n rows each.

        Parameters
        ----------
        fixed_batch : batch size fixed by the graph, or None; batches are padded with zeros to it

        Returns
        -------
        Tensor
            n rows, float32.

        Raises
        ------
        OnnxInputError
            If onnxruntime rejects the inputs.
        MemoryError
            If memory runs out.
        """
        count = len(next(iter(inputs.values())))
        if fixed_batch is None:
            return self._run_once(inputs, output)
        padding = -count % fixed_batch
        padded = {name: np.concatenate([array, np.zeros((padding, *array.shape[1:]), array.dtype)]) for name, array in inputs.items()}
        starts = range(0, count + padding, fixed_batch)
        runs = [self._run_once({name: array[start : start + fixed_batch] for name, array in padded.items()}, output) for start in starts]
        return torch.cat(runs)[:count]

    def _run_once(self, inputs: Mapping[str, NDArray[Any]], output: str) -> Tensor:
        try:
            (values,) = self._session.run([output], {name: np.ascontiguousarray(array) for name, array in inputs.items()})
        except _ORT_ERRORS as error:
            if "allocate" in str(error) or "out of memory" in str(error).lower():
                raise MemoryError(str(error)) from error
            raise OnnxInputError(first_line(error)) from error
        return torch.from_numpy(cast(NDArray[Any], values)).float()
