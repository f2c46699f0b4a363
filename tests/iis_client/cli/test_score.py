"""`iis score` with a vision-language model: validation before uploads, the submitted job, and its output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from iis_client import IISClient

if TYPE_CHECKING:
    from support.breaking_proxy import BreakingProxy
    from support.iis_command import RunCommand

ARCHITECTURE = "open_clip:ViT-B-32"
WEBHOOK = "https://example.org/hooks/score"
ARGUMENTS: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small vision-language model, untrained."""
    torch.manual_seed(0)
    network: Any = open_clip.create_model(ARCHITECTURE.partition(":")[2], pretrained_text=False, **ARGUMENTS)
    path = tmp_path_factory.mktemp("clip") / "clip.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in two classes."""
    return noise_of("cat", "owl", tmp_path_factory.mktemp("images") / "pets")


def noise_of(first: str, second: str, folder: Path) -> Path:
    noise = np.random.default_rng(0)
    for name, count in {f"train/{first}": 32, f"train/{second}": 32, f"test/{first}": 10, f"test/{second}": 10}.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(noise.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def phrases(tmp_path: Path) -> Path:
    path = tmp_path / "phrases.txt"
    path.write_text("\n".join(["round eyes", "an owl", "a striped coat", "a hooked bill", "sharp claws", "long whiskers"]))
    return path


def described(option: str) -> list[str]:
    return [word for name, value in ARGUMENTS.items() for word in (option, f"{name}={json.dumps(value)}")]


@pytest.mark.slow
def test_a_checkpoint_used_as_model_and_vlm_is_uploaded_once(
    iis: RunCommand, client: IISClient, proxy: BreakingProxy, checkpoint: Path, images: Path
) -> None:
    words = ["--vlm", f"{ARCHITECTURE}@{checkpoint}", *described("--vlm-arg"), "--vocabulary", "birds"]
    library = ["--library", "text", "--concepts", "30", "--clip-cutoff", "-0.5", "--native"]
    source = [checkpoint, "--arch", ARCHITECTURE, *described("--arg"), "--data", images]
    done = iis("score", *source, *library, *words, "--json", IIS_URL=proxy.url)
    assert done.returncode == 0, done.stderr
    size_bytes = checkpoint.stat().st_size
    assert size_bytes < proxy.sent_bytes < 1.5 * size_bytes
    job = json.loads(done.stdout)
    client.cancel(job["id"])
    settings = {"clip_cutoff": -0.5, "interpretability_cutoff": 0.45, "native": True}
    assert job["library"] == {"kind": "text", "concept_count": 30, "parts": [], **settings}
    assert (job["vocabulary"]["id"], job["vocabulary"]["version"]) == ("birds", 1)
    backbone, vlm = client.model(job["model"]), client.model(job["vlm"])
    assert (backbone.role, vlm.role) == ("backbone", "vlm")
    assert backbone.arguments == vlm.arguments == ARGUMENTS


def line_with(text: str, words: str) -> str:
    return next(line for line in text.splitlines() if words in line)


@pytest.mark.slow
def test_text_and_named_scores_show_phrases_exclusions_and_names(
    iis: RunCommand, client: IISClient, checkpoint: Path, images: Path, phrases: Path
) -> None:
    source = [checkpoint, "--arch", ARCHITECTURE, *described("--arg"), "--data", images]
    library = ["--library", "text", "--concepts", "3", "--clip-cutoff", "-1", "--interpretability-cutoff", "-1"]
    words = ["--vlm", f"{ARCHITECTURE}@{checkpoint}", *described("--vlm-arg"), "--vocabulary", phrases]
    done = iis("score", *source, *library, *words, "--watch")
    assert done.returncode == 0, done.stderr
    job = next(client.jobs())
    assert job.kind == "score"
    assert job.vlm is not None
    assert job.vocabulary is not None
    made = job.vocabulary.id
    assert f"Concept set {made} has 6 phrases." in done.stderr
    assert f"Vocabulary: {made}, version 1." in done.stdout
    assert "3 of 6" in line_with(done.stdout, "Phrases kept")
    assert "1 contains a class name" in line_with(done.stdout, "Excluded phrases: ")
    assert "no better than chance" in done.stdout  # an untrained model on noise
    findings = client.result(job).report.library.text
    assert findings is not None
    assert (findings.kept, sum(findings.dropped.values())) == (3, 3)

    shown = iis("concepts", job.id)
    kept = [concept.phrase for concept in findings.concepts]
    assert all(phrase in shown.stdout for phrase in kept)
    assert "3 phrases were excluded: " in shown.stdout
    assert [concept["label"] for concept in json.loads(iis("concepts", job.id, "--json").stdout)] == kept
    dropped = iis("concepts", job.id, "--dropped")
    assert "contains a class name" in line_with(dropped.stdout, "an owl")
    assert len(json.loads(iis("concepts", job.id, "--dropped", "--json").stdout)) == 3

    assert job.model is not None
    registered = [
        job.model[:20],
        "--data",
        job.dataset[:20],
        "--vlm",
        job.vlm[:20],
        "--vocabulary",
        made[:20],
        "--webhook",
        WEBHOOK,
    ]
    named = iis("score", *registered, "--library", "prototype", "--concepts", "5", "--watch")
    assert named.returncode == 0, named.stderr
    assert "of 5" in line_with(named.stdout, "Named concepts")
    earlier, job = job, next(client.jobs())
    assert job.kind == "score"
    assert (job.model, job.dataset, job.vlm, job.vocabulary) == (earlier.model, earlier.dataset, earlier.vlm, earlier.vocabulary)
    assert job.webhook is not None
    assert f"iis webhooks rotate {job.webhook}" in named.stderr
    assert iis("webhooks", "rotate", WEBHOOK).stdout.startswith("whsec_")
    names = client.result(job).report.library.names
    assert names is not None
    shown = iis("concepts", job.id)
    assert "nearest phrase" in line_with(shown.stdout, "margin")
    assert (names.unnamed, names.named) == (shown.stdout.count("unnamed"), 5 - shown.stdout.count("unnamed"))


def test_a_vocabulary_from_classes_becomes_a_reusable_concept_set(
    iis: RunCommand, client: IISClient, checkpoint: Path, images: Path
) -> None:
    words = ["--vlm", f"{ARCHITECTURE}@{checkpoint}", *described("--vlm-arg"), "--vocabulary", "from-classes"]
    done = iis("score", checkpoint, "--arch", ARCHITECTURE, *described("--arg"), "--data", images, "--library", "text", *words, "--json")
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    client.cancel(job["id"])
    version = client.concept_set_version(job["vocabulary"]["id"])
    assert (version.state, version.dataset) == ("ready", job["dataset"])
    assert version.phrase_count > 1


def test_class_names_outside_the_dictionary_end_the_command_with_the_reason(
    iis: RunCommand, client: IISClient, checkpoint: Path, tmp_path: Path
) -> None:
    source = [checkpoint, "--arch", ARCHITECTURE, *described("--arg"), "--data", noise_of("3", "7", tmp_path / "digits")]
    words = ["--vlm", f"{ARCHITECTURE}@{checkpoint}", *described("--vlm-arg"), "--vocabulary", "from-classes"]
    before = [job.id for job in client.jobs()]
    done = iis("score", *source, "--library", "text", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert "The dictionary has no entry for the classes 3, 7." in " ".join(done.stderr.split())
    assert [job.id for job in client.jobs()] == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--library", "text"], "A text library requires --vlm (open_clip:ViT-B-16@weights.safetensors) and --vocabulary (birds)."),
        (["--part", "text:50", "--part", "cluster:50", "--vlm", "mdl_1"], "A text library requires --vlm"),
        (["--vlm", "mdl_1"], "--vlm and --vocabulary are required together"),
        (["--library", "text", "--vlm", "timm:resnet18@x", "--vocabulary", "birds"], "--vlm takes open_clip:NAME@CHECKPOINT"),
        (["--library", "text", "--vlm", "open_clip:ViT-B-32@gone.pt", "--vocabulary", "birds"], "There is no file gone.pt"),
        (["--vlm", "mdl_1", "--vocabulary", "gone.txt"], "There is no file gone.txt"),
        (["--vlm", "mdl_1", "--vocabulary", "brids"], "The shipped vocabularies are broad, animals, birds,"),
        (["--vlm", "mdl_1", "--vocabulary", "birds@2"], "has no version 2"),
        (["--vlm", "mdl_1", "--vocabulary", "cst_00000000000000000000000000"], "There is no concept set cst_"),
        (["--clip-cutoff", "0.2"], "apply to text libraries only"),
        (["--part", "magic:20"], "--part takes kind:M"),
        (["--part", "cluster:20", "--part", "random:20", "--library", "cluster"], "leave out --library and --concepts, or --part."),
        (["--part", "cluster:20", "--part", "random:20", "--concepts", "200"], "leave out --library and --concepts, or --part."),
    ],
)
def test_invalid_options_are_refused_before_anything_is_uploaded(
    iis: RunCommand, checkpoint: Path, images: Path, arguments: list[str], sentence: str
) -> None:
    done = iis("score", checkpoint, "--arch", ARCHITECTURE, "--data", images, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1  # no progress bar of an upload


def test_features_cannot_be_combined_with_a_vocabulary(iis: RunCommand, digits_features: Path) -> None:
    done = iis("score", "--features", digits_features, "--vlm", "mdl_1", "--vocabulary", "birds")
    assert done.returncode == 1
    assert "--features has no images to compare with phrases" in done.stderr
