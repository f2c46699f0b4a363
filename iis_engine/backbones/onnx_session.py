"""onnxruntime sessions over graphs that were checked. Which values go in and come out is decided by the caller."""

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

from iis_engine.errors import ArchitectureError, CheckpointError

_ORT_ERROR_NAMES = (
    *("EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph"),
    *("InvalidProtobuf", "NotImplemented", "RuntimeException"),
)
_ORT_ERRORS: tuple[type[Exception], ...] = tuple(getattr(ort_errors, name) for name in _ORT_ERROR_NAMES)


class InputRefused(Exception):
    """What onnxruntime says of an input that the graph cannot compute with; the caller makes a sentence of it."""


class OnnxSession:
    """A graph ready to run on the CPU, or on the GPU where onnxruntime can; `notes` says where it could not."""

    def __init__(self, model: ModelProto, device: torch.device) -> None:
        on_gpu = device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        self.notes = list[str]()
        if device.type == "cuda" and not on_gpu:
            self.notes.append("onnxruntime has no CUDA provider here, so the network ran on the CPU")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would take the decoders' cores
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(),
                options,
                providers=["CUDAExecutionProvider", "CPUExecutionProvider"] if on_gpu else ["CPUExecutionProvider"],
            )
        except _ORT_ERRORS as error:
            raise ArchitectureError(f"onnxruntime cannot load the network: {_reason(error)}.") from error
        except ValueError as error:  # of names that are not UTF-8, for one
            raise CheckpointError(f"The ONNX file is damaged ({_reason(error)}); export the network again.") from error

    def run(self, inputs: Mapping[str, NDArray[Any]], output: str, *, fixed_batch: int | None) -> Tensor:
        """The value `output` for arrays of n rows each, as float32; a graph of a fixed batch gets its batches filled up with zeros.

        Raises
        ------
        InputRefused
            If the graph cannot compute with these inputs.
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
            raise InputRefused(_reason(error)) from error
        return torch.from_numpy(cast(NDArray[Any], values)).float()


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
