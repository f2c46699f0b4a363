"""Choose the weights in a checkpoint that fit a network, and load them; serialise weights for digests. Files: `files`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from iis_engine.backbones.checkpoints.files import as_float32
from iis_engine.backbones.checkpoints.key_matching import ExpectedKeys, Match, match_keys
from iis_engine.backbones.checkpoints.state_dicts import StateDict, preference, prefixes
from iis_engine.errors import ArchitectureError, CheckpointError, first_names

_TRIALS_MAX = 64
"""Prefixes in a file under which the network is looked for."""
_POSITION_WORDS = ("pos_embed", "position", "rel_pos", "pos_emb")
"""Parts of the keys of position embeddings, the only weights that a conversion may resize."""
_USUAL_LOCATIONS = ("", "state_dict", "model_state_dict", "model")
_LISTED_MAX = 4

KeyConversion = Callable[[dict[str, Tensor]], dict[str, Tensor]]
"""Renaming of the keys of published files, as the architecture's library does it before loading."""
_CONVERSION_ERRORS = (KeyError, ValueError, RuntimeError, AttributeError, IndexError, TypeError, AssertionError)


@dataclass(frozen=True)
class _Candidate:
    """Weights under a prefix in one state dict of a file."""

    location: str
    prefix: str
    weights: dict[str, Tensor]
    match: Match
    conversion: tuple[str, ...]  # sentences
    outside: tuple[str, ...]  # keys of the state dict that do not have the prefix

    @property
    def name(self) -> str:
        parts = (self.location, self.prefix.rstrip("."))
        return ".".join(part for part in parts if part) or "the outermost dictionary"

    @property
    def rank(self) -> int:
        return preference(f"{self.location}.{self.prefix}")


def fit_weights(
    module: nn.Module,
    state_dicts: Sequence[StateDict],
    *,
    architecture: str,
    file_name: str,
    head: Iterable[str] = (),
    convert: KeyConversion | None = None,
    own_prefix: str = "",
) -> list[str]:
    """Load the weights of a file into a module; the classifier, which no representation uses, may be missing or differ.

    The network is looked for in every state dict, under every prefix, with its keys as they are and as its library renames them.

    Parameters
    ----------
    state_dicts : content of the file, in the order of preference
    architecture, file_name : names for messages
    head : names of the submodules after the representation
    convert : renaming of the keys of published files
    own_prefix : prefix of the module's keys in the library's whole-model files

    Returns
    -------
    list
        Notes: the prefix, the choice among several networks, keys that were left out, converted or renamed.

    Raises
    ------
    ArchitectureError
        If keys are missing or unexpected, or shapes differ. The message lists the first ones.
    CheckpointError
        For quantised weights, and NaN and infinite values.
    """
    expected = ExpectedKeys.of(module, head)
    candidates = [candidate for one in state_dicts for candidate in _candidates(one, expected, convert)]
    fitting = sorted((candidate for candidate in candidates if candidate.match.fits), key=lambda candidate: candidate.rank)
    if not fitting:
        largest = max(state_dicts, key=lambda state_dict: len(state_dict.weights))
        raise _mismatch(candidates or [_candidate(largest, "", expected, None)], state_dicts, architecture)
    chosen = fitting[0]
    _require_float(chosen, expected, file_name)
    usable = {key: tensor for key, tensor in chosen.weights.items() if tuple(tensor.shape) == expected.shapes.get(key)}
    as_float32(chosen.weights, file_name)  # NaN in weights that are not used are a sign of diverged training too
    module.load_state_dict(as_float32(usable, file_name), strict=False)
    return _notes(chosen, fitting, expected, own_prefix)


def weight_bytes(key: str, tensor: Tensor) -> bytes:
    """Serialise a key, its dtype, shape and values, for a digest."""
    data = tensor.detach().cpu().contiguous()
    return f"{key} {data.dtype} {tuple(data.shape)} ".encode() + data.numpy().tobytes()


def _candidates(state_dict: StateDict, expected: ExpectedKeys, convert: KeyConversion | None) -> list[_Candidate]:
    """Compare the network with the weights under each prefix; prefixes inside one that fits are not tried."""
    least = max(1, len(expected.required) // 2)
    found = list[_Candidate]()
    for prefix in prefixes(state_dict.weights, least)[:_TRIALS_MAX]:
        if any(candidate.match.fits and prefix.startswith(candidate.prefix) for candidate in found):
            continue
        found.append(_candidate(state_dict, prefix, expected, convert))
    return found


def _candidate(state_dict: StateDict, prefix: str, expected: ExpectedKeys, convert: KeyConversion | None) -> _Candidate:
    inside = {key[len(prefix) :]: tensor for key, tensor in state_dict.weights.items() if key.startswith(prefix)}
    outside = tuple(key for key in state_dict.weights if not key.startswith(prefix))
    match, sentences = match_keys(inside, expected), tuple[str, ...]()
    if not match.fits and convert is not None and (converted := _converted(inside, convert)) is not None:
        weights, conversion = converted
        converted_match = match_keys(weights, expected)
        if converted_match.fits:
            inside, match, sentences = weights, converted_match, conversion
    return _Candidate(state_dict.location, prefix, inside, match, sentences, outside)


def _converted(weights: dict[str, Tensor], convert: KeyConversion) -> tuple[dict[str, Tensor], tuple[str, ...]] | None:
    """Return the renamed weights and sentences about them; None if the conversion fails or resizes other weights than positions."""
    try:
        converted = convert(dict(weights))
    except _CONVERSION_ERRORS:
        return None
    sentences = list[str]()
    if set(converted) - set(weights):
        sentences.append("The keys were renamed as the architecture's library renames those of published files.")
    stored = {id(tensor) for tensor in weights.values()}
    for key, tensor in converted.items():
        original = weights.get(key)
        if original is None or original.numel() == tensor.numel() or id(tensor) in stored:  # renamed to a name that another weight had
            continue
        if not any(word in key for word in _POSITION_WORDS):
            return None
        before, after = (" x ".join(map(str, one.shape)) for one in (original, tensor))
        sentences.append(f"The position embeddings {key} were resized from {before} to {after}, since the input size differs.")
    return converted, tuple(sentences)


def _mismatch(candidates: list[_Candidate], state_dicts: Sequence[StateDict], architecture: str) -> ArchitectureError:
    best = min(candidates, key=lambda candidate: candidate.match.problem_count)
    where = f" under {best.name!r}" if best.location or best.prefix else ""
    others = [one.location for one in state_dicts if one.location and one.location != best.location]
    hint = f" The file also has weights under {first_names(others, _LISTED_MAX)}." if others else ""
    return ArchitectureError(
        f"The weights{where} do not fit {architecture}: {best.match.describe()}. "
        f"Name the architecture and the arguments of the checkpoint, or send a checkpoint of this architecture.{hint}",
        param="architecture",
    )


def _require_float(chosen: _Candidate, expected: ExpectedKeys, file_name: str) -> None:
    for key, tensor in chosen.weights.items():
        if key not in expected.floating or not expected.is_required(key):
            continue
        if not tensor.is_floating_point() or tensor.dtype.itemsize == 1:
            raise CheckpointError(
                f"{key} is {_type_name(tensor.dtype)} in {file_name} and floating point in the network: the weights are quantised, and "
                "their scale is unknown; send the weights from before quantisation.",
                code="checkpoint_quantised",
            )


def _notes(chosen: _Candidate, fitting: list[_Candidate], expected: ExpectedKeys, own_prefix: str) -> list[str]:
    notes = list[str]()
    if len(fitting) > 1:
        names = first_names([candidate.name for candidate in fitting], _LISTED_MAX)
        notes.append(
            f"The file has {len(fitting)} sets of weights that fit ({names}); {chosen.name} was used. Send another one alone to use it."
        )
    if chosen.prefix not in ("", own_prefix):
        notes.append(f"The weights were read under {chosen.name!r}; the prefix {chosen.prefix!r} was removed from their keys.")
    elif chosen.location not in _USUAL_LOCATIONS and len(fitting) == 1:
        notes.append(f"The weights were read from {chosen.location!r} in the file.")
    left_out = (*(chosen.outside if chosen.prefix != own_prefix else ()), *chosen.match.left_out)
    if left_out:
        keys = "1 key" if len(left_out) == 1 else f"{len(left_out)} keys"
        notes.append(f"{keys} beside the network left out: {first_names(left_out, _LISTED_MAX)}.")
    if chosen.match.other_head:
        keys = first_names(chosen.match.other_head, _LISTED_MAX)
        notes.append(f"The file's classifier ({keys}) differs from the network's and was left out; the representation does not use it.")
    notes.extend(chosen.conversion)
    types = {tensor.dtype for key, tensor in chosen.weights.items() if key in expected.floating} - {torch.float32}
    if types:
        names = ", ".join(sorted(_type_name(one) for one in types))
        notes.append(f"Weights stored as {names} were converted to float32.")
    return notes


def _type_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
