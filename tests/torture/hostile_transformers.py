"""Malicious archives for the family transformers, and files of torch before 1.6 with false sizes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from torture.hostile_samples import HANDLED, MODEL, Sample, Samples

CONFIG: dict[str, Any] = {
    **{"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
    **{"image_size": 16, "patch_size": 8},
}
_REQUEST = {"architecture": "transformers", "preprocessing": None}
_LINK = 0o120777 << 16


def transformers_archives(folder: Path) -> Samples:
    """Archives that must be refused, and one whose code must not run."""
    for name, make in _ARCHIVES.items():
        path = folder / f"{name.replace(' ', '-')}.zip"
        path.write_bytes(make())
        yield Sample(name, path, MODEL, HANDLED if name == _CODE else "refused", request=_REQUEST)


def older_torch_files(folder: Path) -> Samples:
    """Files in torch's format before 1.6 with false sizes or storages that are not in the file."""
    for name, make in _OLDER.items():
        path = folder / f"{name.replace(' ', '-')}.pth"
        path.write_bytes(make())
        yield Sample(name, path, MODEL)


def _weights() -> dict[str, torch.Tensor]:
    """Weights of the network of CONFIG, built without the library."""
    block = "vit.encoder.layer.0."
    weights = {
        "vit.embeddings.cls_token": torch.zeros(1, 1, 16),
        "vit.embeddings.position_embeddings": torch.zeros(1, 5, 16),
        "vit.embeddings.patch_embeddings.projection.weight": torch.ones(16, 3, 8, 8),
        "vit.embeddings.patch_embeddings.projection.bias": torch.zeros(16),
    }
    for name in ("attention.attention.query", "attention.attention.key", "attention.attention.value", "attention.output.dense"):
        weights |= {f"{block}{name}.weight": torch.eye(16), f"{block}{name}.bias": torch.zeros(16)}
    for name in ("intermediate.dense", "output.dense"):
        weights |= {f"{block}{name}.weight": torch.eye(16), f"{block}{name}.bias": torch.zeros(16)}
    for name in (f"{block}layernorm_before", f"{block}layernorm_after", "vit.layernorm"):
        weights |= {f"{name}.weight": torch.ones(16), f"{name}.bias": torch.zeros(16)}
    return weights


def _archive(config: object, extra: dict[str, bytes] | None = None, *, link: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("config.json", config if isinstance(config, bytes) else json.dumps(config))
        archive.writestr("model.safetensors", save(_weights()))
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
        if link is not None:
            info = zipfile.ZipInfo("preprocessor_config.json")
            info.external_attr = _LINK
            archive.writestr(info, link)
    return buffer.getvalue()


def _index(shard: str) -> dict[str, bytes]:
    return {"model.safetensors.index.json": json.dumps({"weight_map": {"a": shard}}).encode()}


_CODE = "code beside the weights"
_ARCHIVES: dict[str, Callable[[], bytes]] = {
    _CODE: lambda: _archive({**CONFIG, "auto_map": {"AutoModel": "evil.Evil"}}, {"evil.py": b"open('/tmp/evil', 'w')"}),
    "a width of a billion": lambda: _archive({**CONFIG, "hidden_size": 1 << 30}),
    "a billion blocks": lambda: _archive({**CONFIG, "num_hidden_layers": 1 << 30}),
    "an image of a billion pixels": lambda: _archive({**CONFIG, "image_size": 1 << 30}),
    "heads that do not divide": lambda: _archive({**CONFIG, "num_attention_heads": 7}),
    "an activation by a path": lambda: _archive({**CONFIG, "hidden_act": "os.system"}),
    "an unknown type": lambda: _archive({**CONFIG, "model_type": "../../evil"}),
    "a list as config": lambda: _archive([CONFIG]),
    "nested config": lambda: _archive(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a config of megabytes": lambda: _archive({**CONFIG, "x": "y" * 5_000_000}),
    "settings of other types": lambda: _archive({**CONFIG, "hidden_size": "16", "layer_norm_eps": [1]}),
    "an index outside the folder": lambda: _archive(CONFIG, _index("../../etc/passwd")),
    "an index of a pickle": lambda: _archive(CONFIG, {**_index("evil.bin"), "evil.bin": b"cos\nsystem\n(S'x'\ntR."}),
    "a link as settings": lambda: _archive(CONFIG, link="/etc/passwd"),
    "settings of images that are not numbers": lambda: _archive(CONFIG, {"preprocessor_config.json": b'{"size": {"height": 1e99}}'}),
    "a resize to nothing": lambda: _archive(CONFIG, {"preprocessor_config.json": b'{"size": 0, "crop_pct": 0}'}),
    "no config": lambda: _archive(CONFIG).replace(b"config.json", b"konfig.json"),
}


def _older() -> bytes:
    buffer = io.BytesIO()
    torch.save({"conv1.weight": torch.ones(256)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


_OLDER: dict[str, Callable[[], bytes]] = {
    "older storage of two billion values": lambda: _older().replace(b"M\x00\x01", b"J\x00\x00\x00\x7f"),
    "older storage of negative size": lambda: _older().replace(b"M\x00\x01", b"J\x00\x00\x00\x80"),
    "older storages not listed": lambda: _older().rpartition(b"\x80\x02]q\x00")[0] + b"\x80\x02]q\x00." + bytes(2000),
    "older list of storages of a number": lambda: _older().rpartition(b"\x80\x02]q\x00")[0] + b"\x80\x02K\x07." + bytes(2000),
    "older truncated": lambda: _older()[:-100],
    "older header alone": lambda: _older()[:15],
}
