"""The stages as they run in the compute process: files in the workspace to files in the workspace, through iis_engine. No service here."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from worker.datasets import (
    describe_features,
    describe_images,
    digest_of_features,
    open_features,
    open_images,
    open_unchanged_features,
    read_images,
)
from worker.requests import open_backbone, open_vision_language_model, score_spec

FEATURES, LIBRARY, CONTROL, MEASUREMENT = (f"{name}.safetensors" for name in ("features", "library", "control", "measurement"))
# What a vision-language model makes of images, phrases and class names.
EMBEDDINGS, PHRASES, CLASSES = (f"{name}.safetensors" for name in ("embeddings", "phrases", "classes"))
VOCABULARY = "vocabulary.json"  # phrases that the parent leaves for `embed_phrases`: [[text, group], …]
NAMES = "names.json"
ENSEMBLE = "ensemble.zip"
REPORT = "report.json"
CONCEPTS, VECTORS, EXEMPLARS = "concepts.json", "vectors.npy", "exemplars.zip"
LEFT_OUT = "left_out.json"
PLOTS = tuple((name, suffix, f"{name}.{suffix}") for name in ("arr", "accuracy") for suffix in ("png", "svg"))


class Reporter(Protocol):
    """How a stage tells the parent how far it is."""

    def progress(self, done: int, total: int) -> None: ...

    def output(self, name: str) -> None: ...


Stage = Callable[[Path, dict[str, Any], Reporter], dict[str, Any]]


def prepare() -> None:
    """Import what every stage needs, once for all jobs of this process."""
    import torch

    torch.set_grad_enabled(True)


def check_model(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Load the network and run a dry forward: {digest, info}."""
    import torch
    from PIL import Image

    from iis_engine.errors import CheckpointError

    request = arguments["model"]
    if request["role"] == "vlm":
        model = open_vision_language_model(request)
        backbone, digest, info = model.images, model.digest, model.describe()
    else:
        backbone = open_backbone(request)
        digest, info = backbone.digest, backbone.describe()
    tell.progress(1, 2)
    image = Image.effect_noise(backbone.input_size[::-1], 64).convert("RGB")
    with torch.inference_mode():
        representation = backbone.embed(backbone.preprocess(image)[None])
    if not torch.isfinite(representation).all():
        raise CheckpointError("The network's representation of an image is not finite; its weights are damaged.", param="checkpoint")
    tell.progress(2, 2)
    return {"digest": digest, "info": info}


def check_dataset(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Read a data set whole: {digest, info}; of images also the reading, for jobs to come."""
    request = arguments["dataset"]
    if request["kind"] == "features":
        features = open_features(request)
        return {"digest": digest_of_features(features), "info": describe_features(features)}
    dataset = read_images(workspace, request, tell.progress)
    return {"digest": dataset.digest, "info": describe_images(dataset)}


def materialise(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Unpack the images where later stages look for them."""
    if arguments["sources"]["dataset"]["kind"] != "features":
        read_images(workspace, arguments["sources"]["dataset"], tell.progress)
    return {}


def extract(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Features of both splits and of the elements -> features.safetensors; finished shards are announced as they appear."""
    sources = arguments["sources"]
    if sources["dataset"]["kind"] == "features":
        ready = open_unchanged_features(sources["dataset"])
        ready.save(workspace / FEATURES)
        return {}
    from iis_engine.specs import ElementSpec

    features = _extracted(open_backbone(sources["model"]), workspace, arguments, ElementSpec(**arguments["elements"]), tell)
    features.save(workspace / FEATURES)
    return {"warnings": list(features.warnings)}


def embed_images(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Image embeddings of both splits -> embeddings.safetensors; one pass serves every backbone and every vocabulary."""
    tower = open_vision_language_model(arguments["sources"]["vlm"]).images
    _extracted(tower, workspace, arguments, None, tell).save(workspace / EMBEDDINGS)
    return {}


def embed_phrases(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Text embeddings of a vocabulary -> phrases.safetensors; they serve every data set."""
    from iis_engine.phrase_embeddings import embed_phrases

    model = open_vision_language_model(arguments["sources"]["vlm"])
    embed_phrases(model, _vocabulary(workspace), tell.progress).save(workspace / PHRASES)
    return {}


def embed_classes(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Text embeddings of class names -> classes.safetensors; they serve every vocabulary."""
    from iis_engine.phrase_embeddings import embed_classes

    model = open_vision_language_model(arguments["sources"]["vlm"])
    embed_classes(model, arguments["class_names"], tell.progress).save(workspace / CLASSES)
    return {}


def gather_phrases(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Phrases from what `classes` mean that hold none of them and of `class_names`: {phrases: [[text, group], …], dropped: see below}."""
    from iis_engine.from_classes import phrases_from_classes
    from iis_engine.vocabulary import clean

    gathered, of_own_classes = phrases_from_classes(arguments["classes"])
    kept, of_others = clean(gathered, arguments["class_names"])
    left_out = (*of_own_classes, *of_others)
    dropped = [{"text": one.text, "reason": one.reason, "other": one.other, "similarity": None} for one in left_out]
    return {"phrases": [[phrase.text, phrase.group] for phrase in kept], "dropped": dropped}


def clean_phrases(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Phrases that mean nearly the same, or nearly a class: {kept: places, dropped: [{text, reason, other, similarity}]}."""
    from iis_engine.near_phrases import drop_near

    kept, left_out = drop_near(_text_embeddings(workspace, classes=arguments["classes"]))
    dropped = [
        {"text": one.phrase, "reason": one.reason, "other": one.details["other"], "similarity": one.details["cosine"]} for one in left_out
    ]
    return {"kept": kept, "dropped": dropped}


def libraries(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The concept library -> library.safetensors, and with the further seeds its interval needs -> ensemble.zip."""
    from iis_engine.scoring import build_libraries

    source = _text_source(workspace) if arguments["words"] else None
    features, spec = _features(workspace), score_spec(arguments["score"])
    ensemble = build_libraries(features, spec, tell.progress, source=source, device=arguments["device"])
    ensemble.primary.save(workspace / LIBRARY)
    ensemble.save(workspace / "ensemble")
    with zipfile.ZipFile(workspace / ENSEMBLE, "w") as archive:
        for path in (workspace / "ensemble").iterdir():
            archive.write(path, path.name)
    return {}


def name(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The phrases nearest to each visual concept -> names.json."""
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.naming import embed_exemplars, name_concepts, save_names
    from iis_engine.phrase_embeddings import PhraseEmbeddings

    features, library = _features(workspace), ConceptLibrary.load(workspace / LIBRARY)
    tower = open_vision_language_model(arguments["sources"]["vlm"]).images
    crops = embed_exemplars(tower, open_images(workspace, arguments["sources"]["dataset"]), features, library, tell.progress)
    save_names(name_concepts(library, crops, PhraseEmbeddings.load(workspace / PHRASES)), workspace / NAMES)
    return {}


def control(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The random control -> control.safetensors."""
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.scoring import measure_control

    count, standardised = arguments["concept_count"], 0
    if count is None:  # what a text library keeps is known when it stands
        library = ConceptLibrary.load(workspace / LIBRARY)
        count, standardised = len(library), library.origins.count("text")
    features, spec = _features(workspace), score_spec(arguments["score"])
    measured = measure_control(features, count, spec, tell.progress, standardised=standardised, device=arguments["device"])
    measured.save(workspace / CONTROL)
    return {}


def heads(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Every head of every sparsity -> measurement.safetensors."""
    from iis_engine.scoring import measure_library

    features, ensemble, spec = _features(workspace), _ensemble(workspace), score_spec(arguments["score"])
    measure_library(features, ensemble, spec, tell.progress, device=arguments["device"]).save(workspace / MEASUREMENT)
    return {}


def curve(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The curve, its integral and their intervals -> report.json."""
    from iis_engine.measurement import Measurement
    from iis_engine.naming import load_names
    from iis_engine.scoring import assemble

    measured, random = (Measurement.load(workspace / name) for name in (MEASUREMENT, CONTROL))
    names = load_names(workspace / NAMES) if arguments["named"] else None
    found = assemble(_features(workspace), _ensemble(workspace), measured, random, score_spec(arguments["score"]), names).to_dict()
    (workspace / REPORT).write_text(json.dumps(found, allow_nan=False))
    tell.progress(1, 1)
    return {"warnings": found["warnings"]}


def explain(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """What shows each concept, and what it is called -> concepts.json, left_out.json, vectors.npy, exemplars.zip."""
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.naming import load_names
    from worker.exemplars import show_concepts

    sources = arguments.get("sources")
    images = open_images(workspace, sources["dataset"]) if sources else None
    names = load_names(workspace / NAMES) if arguments["named"] else None
    show_concepts(_features(workspace), ConceptLibrary.load(workspace / LIBRARY), images, names, workspace, tell.progress)
    return {}


def report(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The figures -> arr.png, arr.svg, accuracy.png, accuracy.svg."""
    from iis_engine.plots import save_plot

    content = json.loads((workspace / REPORT).read_text())
    for done, (name, _, file) in enumerate(PLOTS, start=1):
        save_plot(content, name, workspace / file)
        tell.progress(done, len(PLOTS))
    return {}


STAGES: dict[str, Stage] = {
    stage.__name__: stage
    for stage in (
        *(check_model, check_dataset, gather_phrases, clean_phrases),
        *(materialise, extract, embed_images, embed_phrases, embed_classes),
        *(libraries, name, control, heads, curve, explain, report),
    )
}


def _extracted(backbone: Any, workspace: Path, arguments: dict[str, Any], elements: Any, tell: Reporter) -> Any:
    """f of a data set, in shards that are announced as they become complete."""
    from iis_engine.extraction import extract_features

    shards = _Shards(workspace / arguments["shard_folder"], tell)
    images = open_images(workspace, arguments["sources"]["dataset"])
    return extract_features(backbone, images, elements, shard_folder=shards.folder, progress=shards.progress)


class _Shards:
    """Announces shard files as they become complete; unfinished ones have another suffix."""

    def __init__(self, folder: Path, tell: Reporter) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._tell = tell
        self._known = self._present()

    def progress(self, done: int, total: int) -> None:
        fresh = self._present() - self._known
        for name in sorted(fresh):
            self._tell.output(name)
        self._known |= fresh
        self._tell.progress(done, total)

    def _present(self) -> set[str]:
        return {path.name for path in self.folder.glob("*.safetensors")}


def _vocabulary(workspace: Path) -> list[Any]:
    from iis_engine.vocabulary import Phrase

    return [Phrase(text, group) for text, group in json.loads((workspace / VOCABULARY).read_text())]


def _text_source(workspace: Path) -> Any:
    from iis_engine.features import FeatureSet
    from iis_engine.libraries.text import TextSource

    return TextSource(_text_embeddings(workspace, classes=True), FeatureSet.load(workspace / EMBEDDINGS))


def _text_embeddings(workspace: Path, *, classes: bool) -> Any:
    """The phrases, with the classes that they are kept away from where there are any."""
    from iis_engine.phrase_embeddings import PhraseEmbeddings, join

    phrases = PhraseEmbeddings.load(workspace / PHRASES)
    return join(phrases, PhraseEmbeddings.load(workspace / CLASSES)) if classes else phrases


def _features(workspace: Path) -> Any:
    from iis_engine.features import FeatureSet

    return FeatureSet.load(workspace / FEATURES)


def _ensemble(workspace: Path) -> Any:
    """The library with its further seeds; one fitted by an earlier job comes alone."""
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.scoring import LibraryEnsemble

    if not (workspace / ENSEMBLE).exists():
        return LibraryEnsemble((ConceptLibrary.load(workspace / LIBRARY).on_other_images(),))
    with zipfile.ZipFile(workspace / ENSEMBLE) as archive:
        archive.extractall(workspace / "ensemble")
    return LibraryEnsemble.load(workspace / "ensemble")
