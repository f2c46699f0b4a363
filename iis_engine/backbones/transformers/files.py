"""Read a folder or archive of the transformers library: config.json, safetensors with their index, and the image processor's settings."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from iis_engine.backbones.checkpoints.files import load_checkpoint
from iis_engine.data.archives.unpacking import unpack_archive
from iis_engine.errors import CheckpointError, DataError, first_names

_JSON_BYTES_MAX = 4 << 20
SHARDS_MAX = 1_000
CONFIG, INDEX, WEIGHTS = "config.json", "model.safetensors.index.json", "model.safetensors"
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
_SEND = "send an archive of config.json, model.safetensors (with its shards and index) and preprocessor_config.json"


@dataclass(frozen=True)
class TransformersFiles:
    """Content of a folder.

    Attributes
    ----------
    config : config.json
    weights : tensors of all shards by key, of the types in the files
    processor : settings of the image processor; None without such a file
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]
    processor: dict[str, Any] | None


def read_transformers_files(path: Path, *, in_cache: bool = False) -> TransformersFiles:
    """Read a folder, or a zip or tar archive of one.

    Parameters
    ----------
    in_cache : whether the folder is of the Hub's cache, whose files are links to its own blobs

    Raises
    ------
    CheckpointError
        For a file that is not an archive, an unsafe archive, a missing config.json or safetensors file, damaged JSON, and shards that the
        index does not describe.
    """
    with _opened(path, in_cache=in_cache) as folder:
        config = _read_json(folder / CONFIG, in_cache=in_cache)
        processor = next((_read_json(folder / name, in_cache=in_cache) for name in PROCESSOR_FILES if (folder / name).is_file()), None)
        if processor is not None and isinstance(processor.get("image_processor"), dict):
            processor = cast("dict[str, Any]", processor["image_processor"])
        return TransformersFiles(config, _read_weights(folder, in_cache=in_cache), processor)


@contextmanager
def _opened(path: Path, *, in_cache: bool) -> Generator[Path]:
    """Yield the folder that contains config.json; an archive is unpacked for as long as the context is open."""
    if path.is_dir():
        yield path if in_cache else _with_config(path)
        return
    with tempfile.TemporaryDirectory() as temporary:
        unpacked = Path(temporary, "model")
        try:
            unpack_archive(path, unpacked)
        except DataError as error:
            raise CheckpointError(f"{error} A network of transformers is an archive: {_SEND}.", code=error.code) from error
        yield _with_config(unpacked)


def _with_config(folder: Path) -> Path:
    found = [file.parent for file in sorted(folder.rglob(CONFIG)) if file.is_file() and not file.is_symlink()]
    if len(found) != 1:
        content = "no config.json" if not found else f"{len(found)} files config.json"
        raise CheckpointError(f"{folder.name} has {content}; {_SEND}.")
    return found[0]


def _read_json(path: Path, *, in_cache: bool) -> dict[str, Any]:
    if (path.is_symlink() and not in_cache) or path.stat().st_size > _JSON_BYTES_MAX:
        raise CheckpointError(f"{path.name} is a link or larger than {_JSON_BYTES_MAX >> 20} MiB; {_SEND}.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} is not valid JSON; upload it again from the original.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} must be a JSON object; upload it again from the original.")
    return cast("dict[str, Any]", content)


def _read_weights(folder: Path, *, in_cache: bool) -> dict[str, Tensor]:
    if (folder / INDEX).is_file():
        shards: object = _read_json(folder / INDEX, in_cache=in_cache).get("weight_map")
        if not isinstance(shards, dict) or not all(isinstance(name, str) for name in cast("dict[str, object]", shards).values()):
            raise CheckpointError(f"{INDEX} has no weight_map; upload it again from the original.")
        names = sorted(set(cast("dict[str, str]", shards).values()))
    else:
        names = [WEIGHTS]
    absent = [name for name in names if not _is_shard(folder, name, in_cache=in_cache)]
    if absent or len(names) > SHARDS_MAX:
        others = [file.name for file in sorted(folder.glob("*.bin"))]
        pickled = f"; {others[0]} is a pickle, so save the network again with save_pretrained" if others else ""
        raise CheckpointError(f"The archive has no {first_names(absent or names)}{pickled}; {_SEND}.", code="checkpoint_empty")
    weights = dict[str, Tensor]()
    for name in names:
        weights.update(load_checkpoint(folder / name)[0].weights)
    return weights


def _is_shard(folder: Path, name: str, *, in_cache: bool) -> bool:
    path = folder / name
    return "/" not in name and name.endswith(".safetensors") and path.is_file() and (in_cache or not path.is_symlink())
