"""The stages that explain many images: unpack them, take them through the network once, and explain each. In the compute process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.stages.datasets import unpack_into
from worker.stages.extraction import Shards
from worker.stages.files import CONCEPT_NAMES, LOOSE_FOLDER, PREDICTORS, REPRESENTED, SUMMARY, TEST_SET
from worker.stages.reporter import Reporter
from worker.stages.serialisation import contributions_form, counterfactual_form
from worker.stages.specs import ModelRequest, open_backbone

IMAGES_AT_ONCE = 256
ROWS_BETWEEN_REPORTS = 64
NAMED_IGNORED = 100


@dataclass(frozen=True)
class Seen:
    """One image as a row begins: its dense activations (M,) and what h says of it, or why it could not be read."""

    index: int
    name: str | None
    label: int | None = None
    activations: Any = None
    representation: Any = None
    error: str | None = None


def unpack(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The archive's files in a folder."""
    unpack_into(Path(arguments["sources"]["archive"]["file"]), workspace / LOOSE_FOLDER)
    return {}


def represent(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """f of the archive's images -> represented.safetensors; finished shards are announced as they appear."""
    from iis_engine.features.unlabelled_images import extract_unlabelled

    sources = arguments["sources"]
    shards = Shards(workspace / arguments["shard_folder"], tell)
    backbone, digest = open_backbone(ModelRequest.from_json(sources["model"])), sources["archive"]["sha256"]
    found = extract_unlabelled(backbone, workspace / LOOSE_FOLDER, digest, shard_folder=shards.folder, progress=shards.progress)
    found.save(workspace / REPRESENTED)
    unread = f"{len(found.failures)} of {len(found.names)} images could not be read; their rows say why."
    return {"warnings": [unread] if found.failures else []}


def explain_rows(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Why the interpretation says what it says of each image -> rows.jsonl, rows.offsets, rows.parquet, summary.json."""
    from iis_engine.explanations.explain import class_label
    from iis_engine.scoring.predictor import PredictorFamily
    from worker.stages.explanation_rows import RowFiles

    family = PredictorFamily.load(workspace / PREDICTORS)
    names, contrast = family.class_names, arguments["contrast"]
    writer = _Rows(
        family.at(arguments["kept"]),
        None if contrast is None else class_label(names, contrast, "contrast"),
        arguments["top"],
        json.loads((workspace / CONCEPT_NAMES).read_text()),
    )
    images, count, ignored = (_test_images if arguments["tested"] else _loose_images)(workspace, family)
    with RowFiles(workspace) as files:
        for done, seen in enumerate(images, start=1):
            files.add(writer.row(seen))
            if done % ROWS_BETWEEN_REPORTS == 0 or done == count:
                tell.progress(done, count)
    summary = writer.summary() | {"ignored": len(ignored), "ignored_names": [_text(name) for name in ignored[:NAMED_IGNORED]]}
    (workspace / SUMMARY).write_text(json.dumps(summary))
    return {}


class _Rows:
    """Makes rows, and counts what their summary says."""

    def __init__(self, predictor: Any, contrast: int | None, top: int, concepts: Sequence[Sequence[str | None]]) -> None:
        self._predictor, self._contrast, self._top, self._concepts = predictor, contrast, top, concepts
        self._count = self._failed = self._agreeing = self._labelled = 0
        self._right = {"representation": 0, "interpretation": 0}

    def row(self, seen: Seen) -> dict[str, Any]:
        """One image's row."""
        self._count += 1
        label = None if seen.label is None else self._predictor.class_names[seen.label]
        begins = {"index": seen.index, "name": None if seen.name is None else _text(seen.name), "label": label, "error": seen.error}
        if seen.error is not None:
            self._failed += 1
            return begins | dict.fromkeys(_EXPLAINED) | {"concepts": []}
        return begins | dict(zip(_EXPLAINED, self._explained(seen), strict=True))

    def summary(self) -> dict[str, Any]:
        """All rows so far in a few numbers."""
        shares = {f"accuracy_{which}": right / self._labelled if self._labelled else None for which, right in self._right.items()}
        read = self._count - self._failed
        return {"count": self._count, "failed": self._failed, "agreement": self._agreeing / read, **shares}

    def _explained(self, seen: Seen) -> tuple[Any, ...]:
        import iis_engine.explanations.explain as why

        predictor, names, said = self._predictor, self._predictor.class_names, seen.representation
        found = why.explain(predictor, seen.activations)
        prediction, contrast = found.prediction, self._contrast
        if contrast == prediction.label:
            contrast = None
        elif contrast is not None:
            found = why.explain(predictor, seen.activations, contrast=contrast)
        shares = contributions_form(found, self._top)
        largest = sorted([*shares["supporting"], *shares["opposing"]], key=lambda one: -abs(one["contribution"]))
        return (
            names[said.label],
            said.probability,
            names[prediction.label],
            prediction.probability,
            self._agree(said.label, prediction.label),
            *self._correct(seen.label, said.label, prediction.label),
            None if contrast is None else names[contrast],
            found.logit,
            found.bias,
            [self._named(one) for one in largest],
            shares["remainder"],
            shares["remaining"],
            self._counterfactual(found),
        )

    def _agree(self, said: int, interpreted: int) -> bool:
        self._agreeing += said == interpreted
        return said == interpreted

    def _correct(self, label: int | None, said: int, interpreted: int) -> tuple[bool | None, bool | None]:
        if label is None:
            return None, None
        self._labelled += 1
        self._right["representation"] += said == label
        self._right["interpretation"] += interpreted == label
        return said == label, interpreted == label

    def _named(self, share: dict[str, Any]) -> dict[str, Any]:
        label, origin = self._concepts[share["concept"]]
        return {"concept": share["concept"], "label": label, "origin": origin} | share

    def _counterfactual(self, found: Any) -> dict[str, Any] | None:
        other = counterfactual_form(self._predictor.class_names, found)
        if other is None:
            return None
        removed = [{"concept": one["concept"], "label": self._concepts[one["concept"]][0]} | one for one in other["removed"]]
        return {"removed": removed, "class": other["class"], "probability": other["probability"]}


_EXPLAINED = (
    *("representation", "representation_probability", "interpretation", "interpretation_probability"),
    *("agree", "representation_correct", "interpretation_correct", "contrast"),
    *("logit", "bias", "concepts", "remainder", "remaining", "counterfactual"),
)

Images = tuple[Iterator[Seen], int, Sequence[str]]
"""Images, their number, and names of files that are none."""


def _test_images(workspace: Path, family: Any) -> Images:
    """What scoring the job has left of its test images; the network sees none of them again."""
    from iis_engine.explanations.test_set import TestSet

    tested = TestSet.load(workspace / TEST_SET)

    def images() -> Iterator[Seen]:
        for index in range(len(tested)):
            name = tested.names[index] if tested.names else None
            yield Seen(index, name, int(tested.labels[index]), tested.activations[index], tested.representation(index))

    return images(), len(tested), ()


def _loose_images(workspace: Path, family: Any) -> Images:
    from iis_engine.explanations.explain import prediction_of
    from iis_engine.features.unlabelled_images import UnlabelledImages

    loose = UnlabelledImages.load(workspace / REPRESENTED)

    def read() -> Iterator[Seen]:
        for rows, features in zip(loose.rows.split(IMAGES_AT_ONCE), loose.features.split(IMAGES_AT_ONCE), strict=True):
            activations, probabilities = family.library.activations(features), family.baseline_logits(features).softmax(dim=1)
            for place, index in enumerate(rows.tolist()):
                yield Seen(index, loose.names[index], None, activations[place], prediction_of(probabilities[place]))

    def images() -> Iterator[Seen]:
        readable = read()
        for index, name in enumerate(loose.names):
            yield Seen(index, name, error=loose.failures[index]) if index in loose.failures else next(readable)

    return images(), len(loose.names), loose.ignored


def _text(name: str) -> str:
    """A file's name as UTF-8 can hold it."""
    return name.encode(errors="replace").decode()
