"""Load a state dict into a network after comparing keys and shapes; serialise weights for digests. Files are read in `checkpoints`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from iis_engine.errors import ArchitectureError, first_names

_DERIVED_KEYS = ("num_batches_tracked", "relative_position_index", "attn_mask", "total_ops", "total_params")
"""Last part of the keys of counters and derived buffers; their absence or presence changes no representation."""
_LISTED_MAX = 4


def fit_weights(module: nn.Module, weights: Mapping[str, Tensor], *, architecture: str, head: Iterable[str] = ()) -> None:
    """Load weights into a module; the classifier, which no representation uses, may be missing or of another size.

    Parameters
    ----------
    architecture : name of the network in the error message
    head : names of the submodules after the representation

    Raises
    ------
    ArchitectureError
        If keys are missing or unexpected, or shapes differ. The message lists the first ones.
    """
    heads = tuple(head)

    def is_required(key: str) -> bool:
        in_head = any(key == name or key.startswith(f"{name}.") for name in heads)
        return not in_head and key.rpartition(".")[2] not in _DERIVED_KEYS

    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    missing = [key for key in expected if is_required(key) and key not in weights]
    unexpected = [key for key in weights if is_required(key) and key not in expected]
    misshapen = [
        f"{key} is {tuple(weights[key].shape)} in the file and {shape} in the network"
        for key, shape in expected.items()
        if is_required(key) and key in weights and tuple(weights[key].shape) != shape
    ]
    problems = [
        f"{title} {first_names(items, _LISTED_MAX)}"
        for title, items in (("missing keys", missing), ("unexpected keys", unexpected), ("different shapes:", misshapen))
        if items
    ]
    if problems:
        raise ArchitectureError(
            f"The weights do not fit {architecture}: {'; '.join(problems)}. "
            "Name the architecture and the arguments of the checkpoint, or send a checkpoint of this architecture.",
            param="architecture",
        )
    usable = {key: tensor for key, tensor in weights.items() if key in expected and tuple(tensor.shape) == expected[key]}
    module.load_state_dict(usable, strict=False)


def weight_bytes(key: str, tensor: Tensor) -> bytes:
    """Serialise a key, its dtype, shape and values, for a digest."""
    data = tensor.detach().cpu().contiguous()
    return f"{key} {data.dtype} {tuple(data.shape)} ".encode() + data.numpy().tobytes()
