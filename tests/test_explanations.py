"""Explanations over REST: a running service, a scored network and its test images."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from demo.checkpoints import ARCHITECTURE, digit_images, split_rows, train_checkpoints
from iis_engine import BackboneSpec, Predictor, Preprocessing, load_backbone
from support.servers import WaitUntil
from support.stacks import RunningStack

PIXELS = 64  # twice the digits' size, so that the network's last map has more than one place
TRAIN, TEST = 300, 80
STEPS = 40

pytestmark = pytest.mark.slow


@dataclass
class Scored:
    """A finished score job and a client of its account."""

    api: httpx.Client
    job: str
    images: list[Path]  # of the test split
    checkpoint: Path

    def get(self, path: str, **query: Any) -> Any:
        answer = self.api.get(f"/v1/jobs/{self.job}/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, **query: Any) -> tuple[int, str, str]:
        return problem_of(self.api.get(f"/v1/jobs/{self.job}/{path}", params=query))

    def post_image(self, content: bytes, name: str = "mine.png", **query: Any) -> httpx.Response:
        return self.api.post(f"/v1/jobs/{self.job}/explanations", files={"file": (name, content)}, params=query)


def problem_of(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and detail of a problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    return answer.status_code, problem["code"], problem["detail"]


def succeeded(api: httpx.Client, path: str, wait_until: WaitUntil) -> dict[str, Any]:
    def done() -> dict[str, Any] | None:
        found = api.get(path).json()
        return None if found["state"] in {"pending", "queued", "running"} else found

    found = wait_until(done, 240, f"{path} to be done")
    assert found["state"] in {"ready", "succeeded"}, found["error"]
    return found


def upload(api: httpx.Client, name: str, content: bytes) -> str:
    return api.post("/v1/uploads/small", files={"file": (name, content)}).json()["id"]


@pytest.fixture(scope="module")
def api(running_stack: RunningStack) -> Iterator[httpx.Client]:
    account = running_stack.new_account()
    headers = {"Authorization": f"Bearer {account.api_key}"}
    with httpx.Client(base_url=account.url, headers=headers, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def scored(api: httpx.Client, tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil) -> Scored:
    folder = tmp_path_factory.mktemp("digits")
    checkpoint = next(kept.path for kept in train_checkpoints(folder / "checkpoints") if kept.step == STEPS)
    images, labels = digit_images()
    archive, tests = folder / "digits.tar", list[Path]()
    with tarfile.open(archive, "w") as tar:
        for split, rows in zip(("train", "test"), split_rows(labels), strict=True):
            for row in rows[: TRAIN if split == "train" else TEST]:
                path = folder / split / str(labels[row]) / f"{row:04d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(images[row]).resize((PIXELS, PIXELS)).save(path)
                tar.add(path, path.relative_to(folder).as_posix())
                tests += [path] if split == "test" else []
    model = api.post(
        "/v1/models",
        json={
            "architecture": f"timm:{ARCHITECTURE}",
            "arguments": {"num_classes": 10},
            "preprocessing": {"input_size": PIXELS, "crop_pct": 1.0},
            "upload": upload(api, checkpoint.name, checkpoint.read_bytes()),
        },
    ).json()["id"]
    dataset = api.post("/v1/datasets", json={"name": "digits", "upload": upload(api, "digits.tar", archive.read_bytes())}).json()["id"]
    succeeded(api, f"/v1/models/{model}", wait_until)
    succeeded(api, f"/v1/datasets/{dataset}", wait_until)
    asked = {"kind": "score", "model": model, "dataset": dataset, "library": {"kind": "cluster", "concept_count": 20}}
    job = api.post("/v1/jobs", json=asked).json()["id"]
    succeeded(api, f"/v1/jobs/{job}", wait_until)
    return Scored(api, job, tests, checkpoint)


def test_contributions_of_each_test_image_add_up_and_agree_with_the_list(scored: Scored) -> None:
    rows, after = list[dict[str, Any]](), {}
    while True:
        page = scored.get("explanations", kept=10, limit=30, **after)
        rows += page["data"]
        if not page["has_more"]:
            break
        after = {"after": page["after"]}
    assert [row["index"] for row in rows] == list(range(TEST))
    right = 0
    for row in rows:
        found = scored.get(f"explanations/{row['index']}", kept=10, top=20)
        total = sum(share["contribution"] for share in (*found["supporting"], *found["opposing"]))
        assert abs(total + found["remainder"] + found["bias"] - found["logit"]) < 1e-5
        assert found["remaining"] == 0
        assert len(found["supporting"]) + len(found["opposing"]) == 10
        for head in ("representation", "interpretation"):
            assert {name: found[head][name] for name in ("class", "index", "probability")} == row[head]
        right += row["interpretation"]["class"] == row["label"]
    curve = scored.get("result")["report"]["points"]
    assert right / TEST == pytest.approx(next(point["accuracy"] for point in curve if point["kept"] == 10), abs=0.1)
    wrong = scored.get("explanations", kept=10, wrong=True, limit=100)["data"]
    assert [row["index"] for row in wrong] == [row["index"] for row in rows if row["interpretation"]["class"] != row["label"]]
    threes = scored.get("explanations", **{"kept": 10, "class": "3", "limit": 100})["data"]
    assert {row["label"] for row in threes} == {"3"}
    unsure = scored.get("explanations", kept=10, min_confidence=0.3, max_confidence=0.6, limit=100)["data"]
    confidences = {row["index"]: row["interpretation"]["probability"] for row in rows}
    assert [row["index"] for row in unsure] == [index for index, value in confidences.items() if 0.3 <= value <= 0.6]
    seen = scored.get("explanations", kept=10, predicted_by_representation="3", limit=100)["data"]
    assert [row["index"] for row in seen] == [row["index"] for row in rows if row["representation"]["class"] == "3"]
    first, last = (scored.get(f"explanations/{index}", kept=10)["links"] for index in (0, TEST - 1))
    assert ("previous" in first, first["next"]) == (False, f"/v1/jobs/{scored.job}/explanations/1")
    assert (last["previous"], "next" in last) == (f"/v1/jobs/{scored.job}/explanations/{TEST - 2}", False)


def test_the_mean_of_an_exact_heat_map_is_the_activation(scored: Scored) -> None:
    found = scored.get("explanations/0", kept=20, top=20)
    assert found["heatmaps"]["exact"]
    for share in (*found["supporting"], *found["opposing"]):
        heat = scored.get(f"explanations/0/heatmaps/{share['concept']}")
        assert (heat["exact"], heat["method"]) == (True, "feature_map")
        assert heat["mean"] == pytest.approx(share["activation"], abs=1e-4)
        assert heat["raw_mean"] == pytest.approx(heat["raw_activation"], abs=1e-4)
    several = scored.get("explanations/0/heatmaps", concepts=[7, 2])
    assert several["data"] == [scored.get(f"explanations/0/heatmaps/{concept}") for concept in (7, 2)]
    layer = scored.api.get(found["supporting"][0]["links"]["heatmap"])
    assert Image.open(io.BytesIO(layer.content)).mode == "RGBA"
    assert Image.open(io.BytesIO(layer.content)).size == (PIXELS, PIXELS)
    seen = scored.api.get(found["links"]["image"])
    assert Image.open(io.BytesIO(seen.content)).size == (PIXELS, PIXELS)


def test_a_posted_image_has_the_explanation_of_the_same_test_image(scored: Scored) -> None:
    known = scored.get("explanations/7", kept=10)
    path = next(path for path in scored.images if path.as_posix().endswith(known["image"]["name"]))
    answer = scored.post_image(path.read_bytes(), path.name, kept=10)
    assert answer.status_code == 201
    found = answer.json()
    unknown = {"index": None, "label": None, "labels": None}
    assert found["image"] == {"id": found["image"]["id"], "name": path.name, "size": [PIXELS, PIXELS], **unknown}
    assert found["correct"] is None
    assert found["logit"] == pytest.approx(known["logit"], abs=1e-3)
    assert [share["concept"] for share in found["supporting"]] == [share["concept"] for share in known["supporting"]]
    again = scored.api.get(answer.headers["Location"], params={"kept": 5}).json()
    assert again["kept"] == 5
    assert scored.api.get(again["links"]["image"]).status_code == 200


def test_a_contrast_explains_the_difference_of_two_logits(scored: Scored) -> None:
    plain = scored.get("explanations/3", kept=10)
    first, second = (one["class"] for one in plain["interpretation"]["top"][:2])
    found = scored.get("explanations/3", kept=10, contrast=second, top=20)
    assert (found["explained"]["class"], found["contrast"]["class"]) == (first, second)
    ahead = np.log(plain["interpretation"]["top"][0]["probability"] / plain["interpretation"]["top"][1]["probability"])
    assert found["logit"] == pytest.approx(ahead, abs=1e-6)


def test_removing_the_concepts_of_a_counterfactual_changes_the_prediction(scored: Scored) -> None:
    found = scored.get("explanations/5", kept=10)
    other = found["counterfactual"]
    removed = [one["concept"] for one in other["removed"]]
    answer = scored.api.post(found["links"]["interventions"], json={"kept": 10, "suppress": removed}).json()
    assert answer["changed"]
    assert answer["before"]["class"] == found["interpretation"]["class"]
    assert (answer["after"]["class"], answer["after"]["probability"]) == (other["class"], pytest.approx(other["probability"]))
    fewer = scored.api.post(found["links"]["interventions"], json={"kept": 10, "suppress": removed[:-1]}).json()
    assert not fewer["changed"]
    assert {one["concept"]: one["after"] for one in answer["activations"]} == dict.fromkeys(removed, 0.0)


def test_concepts_are_scaled_by_an_intervention(scored: Scored) -> None:
    found = scored.get("explanations/5", kept=10)
    kept = found["supporting"][0]
    body = {"kept": 10, "scale": [{"concept": kept["concept"], "factor": 2}]}
    doubled = scored.api.post(found["links"]["interventions"], json=body).json()
    assert doubled["activations"] == [{"concept": kept["concept"], "before": kept["activation"], "after": 2 * kept["activation"]}]
    assert doubled["after"]["probability"] > doubled["before"]["probability"]
    assert sum(one["after"] for one in doubled["probabilities"]) == pytest.approx(1)


def test_classes_list_their_concepts_and_concepts_their_images(scored: Scored) -> None:
    classes = scored.get("classes", kept=10)["data"]
    assert sum(one["test_images"] for one in classes) == TEST
    for head, counts in scored.get("classes", kept=10)["confusion"].items():
        assert [sum(row) for row in counts] == [one["test_images"] for one in classes]
        right = [counts[label][label] / one["test_images"] for label, one in enumerate(classes)]
        assert right == pytest.approx([one["accuracy"][head] for one in classes])
    three = scored.get("classes/3", kept=10, top=5)
    assert len(three["supporting"]) == 5
    assert all(one["weight"] > 0 and one["exemplars"][0]["url"] for one in three["supporting"])
    assert three["accuracy"] == next(one["accuracy"] for one in classes if one["class"] == "3")
    concepts = scored.get("concepts", kept=10, limit=100)["data"]
    assert [one["concept"] for one in concepts] == list(range(20))
    assert sum(one["firing_rate"] for one in concepts) == pytest.approx(10, abs=1e-6)
    one = scored.get("concepts/4", kept=10)
    strongest = [image["activation"] for image in one["top_images"]]
    assert strongest == sorted(strongest, reverse=True)
    assert sum(one["histogram"]["counts"]) == TEST
    assert one["histogram"]["edges"][-1] == pytest.approx(strongest[0])
    assert [image["activation"] for image in one["levels"]["high"]] == strongest[: len(one["levels"]["high"])]
    shown = scored.get(f"explanations/{one['top_images'][0]['index']}", kept=20, top=20)
    assert {share["concept"]: share["activation"] for share in (*shown["supporting"], *shown["opposing"])}[4] == strongest[0]


def test_figures_are_drawn_in_both_formats(scored: Scored) -> None:
    for path in ("explanations/2/sheet", "classes/3/profile", "concepts/gallery"):
        png = scored.api.get(f"/v1/jobs/{scored.job}/{path}.png")
        assert Image.open(io.BytesIO(png.content)).width > 600
        svg = scored.api.get(f"/v1/jobs/{scored.job}/{path}.svg")
        assert svg.headers["content-type"].startswith("image/svg+xml")
        assert "sandbox" in svg.headers["content-security-policy"]
        assert "<svg" in svg.text


def test_a_predictor_and_its_exports_agree_with_explanations(scored: Scored, tmp_path: Path) -> None:
    listed = scored.api.get("/v1/predictors", params={"job": scored.job, "limit": 100}).json()["data"]
    predictor = next(one for one in listed if one["kept"] == 10)
    paths = scored.images[:6]
    files = [("file", (path.name, path.read_bytes())) for path in paths]
    answer = scored.api.post(predictor["links"]["predict"], files=files)
    assert answer.status_code == 200
    predicted = answer.json()["data"]
    assert [one["name"] for one in predicted] == [path.name for path in paths]
    explained = scored.post_image(paths[0].read_bytes(), kept=10).json()
    assert predicted[0]["probability"] == pytest.approx(explained["interpretation"]["probability"], abs=1e-9)
    assert predicted[0]["concepts"][0]["label"] is None

    spec = BackboneSpec(f"timm:{ARCHITECTURE}", {"num_classes": 10}, preprocessing=Preprocessing(input_size=PIXELS, crop_pct=1.0))
    backbone = load_backbone(spec, scored.checkpoint, device="cpu")
    X = backbone.embed(torch.stack([backbone.preprocess(Image.open(path).convert("RGB")) for path in paths]))
    for suffix in ("safetensors", "onnx"):
        (tmp_path / f"p.{suffix}").write_bytes(scored.api.get(predictor["links"][suffix]).content)
    loaded = Predictor.load(tmp_path / "p.safetensors")
    assert [loaded.class_names[label] for label in loaded.predict(X).tolist()] == [one["class"] for one in predicted]
    session = onnxruntime.InferenceSession(tmp_path / "p.onnx")
    probabilities = np.asarray(session.run(["probabilities"], {"features": X.numpy()})[0])
    for row, one in zip(probabilities, predicted, strict=True):
        assert row[one["index"]] == pytest.approx(one["probability"], abs=1e-4)


def picture(fmt: str, size: tuple[int, int] = (PIXELS, PIXELS)) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(buffer, fmt)
    return buffer.getvalue()


def test_a_gif_and_a_huge_png_are_explained(scored: Scored) -> None:
    assert scored.post_image(picture("GIF"), "moving.gif").status_code == 201
    buffer = io.BytesIO()
    Image.new("L", (10_000, 6_000), 90).save(buffer, "PNG")
    assert scored.post_image(buffer.getvalue(), "huge.png").status_code == 201


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"hello", "notes.txt", "The image notes.txt is not an image"),
        (b"", "empty.png", "empty"),
        (picture("JPEG")[:-400], "cut.jpg", "The image cut.jpg cannot be decoded"),
    ],
)
def test_an_unreadable_image_is_refused_by_name(scored: Scored, content: bytes, name: str, sentence: str) -> None:
    status, code, detail = problem_of(scored.post_image(content, name))
    assert (status, code) == (422, "image_unreadable")
    assert sentence in detail
    assert "/" not in detail


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("explanations/80", {}, (404, "image_absent", "images 0 to 79")),
        ("explanations/99999999999999999999", {}, (404, "not_found", "no image")),
        ("explanations/img_01jz3v9a1b3c5d7e9f1g3h5j7k", {}, (404, "not_found", "no image")),
        ("explanations/3", {"kept": 21}, (422, "sparsity_unknown", "no node at kept = 21")),
        ("explanations/3", {"sparsity": 7}, (422, "sparsity_unknown", "between 0 and 1")),
        ("explanations/3", {"sparsity": 0.5, "kept": 10}, (422, "invalid_input", "not both")),
        ("explanations/3", {"contrast": "zebra"}, (422, "class_unknown", "no class 'zebra'")),
        ("explanations", {"class": "zebra"}, (422, "class_unknown", "no class 'zebra'")),
        ("explanations/3/heatmaps/20", {}, (404, "concept_absent", "0 to 19")),
        ("explanations/3/heatmaps", {"concepts": [3, 20]}, (404, "concept_absent", "0 to 19")),
        ("concepts/20", {}, (404, "concept_absent", "0 to 19")),
        ("classes/zebra", {}, (404, "class_absent", "no class 'zebra'")),
    ],
)
def test_missing_resources_and_invalid_options_are_reported(
    scored: Scored, path: str, query: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    status, code, detail = scored.refused(path, **query)
    assert (status, code) == expected[:2]
    assert expected[2] in detail


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"suppress": list(range(1001))}, "invalid_input"),
        ({"suppress": list(range(600)), "scale": [{"concept": c, "factor": 2} for c in range(600, 1100)]}, "too_many_changes"),
        ({"set": [{"concept": 3, "activation": 1}], "suppress": [3]}, "concept_twice"),
        ({"suppress": [20]}, "concept_unknown"),
        ({"set": [{"concept": 0, "activation": "NaN"}]}, "invalid_input"),
    ],
)
def test_invalid_interventions_are_refused(scored: Scored, body: dict[str, Any], code: str) -> None:
    status, found, _ = problem_of(scored.api.post(f"/v1/jobs/{scored.job}/explanations/3/interventions", json=body))
    assert (status, found) == (422, code)


def test_precomputed_features_are_explained_without_images(scored: Scored, wait_until: WaitUntil) -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 30)
    centres = 3 * generator.normal(size=(3, 6))
    X = (centres[labels] + generator.normal(size=(90, 6))).astype(np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, X_train=X, y_train=labels, X_test=X[::3], y_test=labels[::3], concepts=X[:40])
    features = upload(scored.api, "features.npz", buffer.getvalue())
    dataset = scored.api.post("/v1/datasets", json={"name": "f", "kind": "features", "upload": features}).json()["id"]
    succeeded(scored.api, f"/v1/datasets/{dataset}", wait_until)
    library = {"kind": "prototype", "concept_count": 8}
    job = scored.api.post("/v1/jobs", json={"kind": "score", "dataset": dataset, "library": library}).json()["id"]
    succeeded(scored.api, f"/v1/jobs/{job}", wait_until)
    ready = Scored(scored.api, job, [], scored.checkpoint)
    found = ready.get("explanations/4")
    assert found["image"]["size"] is None
    assert not found["heatmaps"]["available"]
    assert "image" not in found["links"]
    assert ready.refused("explanations/4/image.png")[:2] == (409, "no_images")
    assert problem_of(ready.post_image(picture("PNG")))[:2] == (409, "no_images")
    reference = {"kind": "score", "dataset": dataset, "library": library, "protocol": "reference"}
    kept_no_heads = scored.api.post("/v1/jobs", json=reference).json()["id"]
    succeeded(scored.api, f"/v1/jobs/{kept_no_heads}", wait_until)
    assert Scored(scored.api, kept_no_heads, [], scored.checkpoint).refused("explanations/0")[:2] == (409, "no_predictor")
