"""Explanations and profiles from Python and by the `iis` command, against a running service and a trained network."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from iis_client import IISClient, InvalidInputError, LocalFileError, NotFoundError
from iis_client.transport.address import Address
from iis_schemas.explanations.images import EXPLANATION_EXAMPLE, ExplanationView
from support.planted import CLASS_NAMES

if TYPE_CHECKING:
    from iis_client.transport.http import Transport
    from support.iis_command import RunCommand, StartCommand
    from support.planted import Planted
    from support.scripted_service import ScriptedService

CONCEPTS, KEPT = 50, 5
PNG = b"\x89PNG"


@pytest.mark.slow
def test_an_explanation_says_how_far_the_image_is_from_the_training_images(client: IISClient, image_job: str) -> None:
    novelty = client.explain(image_job, 3).novelty
    assert novelty is not None
    assert 0 < novelty.p_value <= 1
    assert (novelty.distance >= 0, novelty.unlike) == (True, novelty.p_value < 0.01)
    assert novelty.training_images > 1


def recording_browser(folder: Path) -> Path:
    """A program that records the address that it is called with."""
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >{folder}/opened\n')
    browser.chmod(0o755)
    return browser


def another_class(client: IISClient, job: str) -> str:
    predicted = client.explain(job, 3).explained.class_
    return next(name for name in CLASS_NAMES if name != predicted)


def total(explanation: ExplanationView) -> float:
    listed = [*explanation.supporting, *explanation.opposing]
    return explanation.bias + explanation.remainder + sum(one.contribution for one in listed)


@pytest.mark.slow
def test_contributions_of_a_test_image_add_up_to_its_logit(client: IISClient, image_job: str) -> None:
    explanation = client.explain(image_job, 3, kept=KEPT, top=2)
    assert (explanation.image.index, explanation.kept, explanation.concept_count) == (3, KEPT, CONCEPTS)
    assert max(len(explanation.supporting), len(explanation.opposing)) <= 2
    assert math.isclose(total(explanation), explanation.logit, rel_tol=1e-6, abs_tol=1e-6)


@pytest.mark.slow
def test_a_sparsity_selects_the_same_node_as_the_number_kept(client: IISClient, image_job: str) -> None:
    named = client.explain(image_job, 3, kept=KEPT)
    assert client.explain(image_job, 3, sparsity=named.sparsity) == named


@pytest.mark.slow
def test_a_contrast_explains_the_difference_of_two_logits(client: IISClient, image_job: str) -> None:
    other = another_class(client, image_job)
    explanation = client.explain(image_job, 3, contrast=other)
    assert explanation.contrast is not None
    assert (explanation.contrast.class_, explanation.contrast.index) == (other, explanation.class_names.index(other))
    assert explanation.logit > 0
    assert math.isclose(total(explanation), explanation.logit, rel_tol=1e-6, abs_tol=1e-6)


@pytest.mark.slow
def test_a_file_is_posted_and_then_explained_by_its_id(client: IISClient, image_job: str, warm_circle: Path) -> None:
    explanation = client.explain(image_job, warm_circle)
    image = explanation.image.id
    assert image.startswith("img_")
    assert explanation.image.name == warm_circle.name
    assert client.explain(image_job, image).supporting == explanation.supporting
    assert client.image(image_job, image).startswith(PNG)


@pytest.mark.slow
def test_a_posted_test_image_has_the_explanation_of_the_test_image(client: IISClient, image_job: str, planted: Planted) -> None:
    outcome = next(client.explanations(image_job, class_="warm circle"))
    assert outcome.name is not None
    posted, known = client.explain(image_job, planted.images / outcome.name), client.explain(image_job, outcome.index)
    assert [one.concept for one in posted.supporting] == [one.concept for one in known.supporting]
    assert math.isclose(posted.logit, known.logit, rel_tol=1e-3)


@pytest.mark.slow
def test_outcomes_are_filtered_by_their_predictions(client: IISClient, image_job: str) -> None:
    found = list(client.explanations(image_job))
    assert [one.index for one in found] == list(range(len(found)))
    assert len(found) > 100  # more than a page

    def indexes(**filters: Any) -> list[int]:
        return [one.index for one in client.explanations(image_job, **filters)]

    label = "warm circle"
    assert indexes(wrong=True) == [one.index for one in found if one.interpretation.class_ != one.label]
    assert indexes(disagree=True) == [one.index for one in found if one.interpretation.index != one.representation.index]
    assert indexes(class_=label) == [one.index for one in found if one.label == label]
    assert indexes(predicted=label) == [one.index for one in found if one.interpretation.class_ == label]
    assert indexes(wrong=True, kept=1) != indexes(wrong=True, kept=CONCEPTS)


@pytest.mark.slow
def test_a_heat_map_comes_as_a_layer_and_as_numbers(client: IISClient, image_job: str) -> None:
    concept = client.explain(image_job, 3).supporting[0].concept
    assert client.heat_map(image_job, 3, concept).startswith(PNG)
    numbers = client.heat_map_values(image_job, 3, concept)
    values = [value for row in numbers.values for value in row]
    assert math.isclose(sum(values) / len(values), numbers.mean, rel_tol=1e-4, abs_tol=1e-6)


@pytest.mark.slow
def test_concepts_are_set_scaled_and_suppressed(client: IISClient, image_job: str) -> None:
    explanation = client.explain(image_job, 3, kept=KEPT)
    kept = [one.concept for one in (*explanation.supporting, *explanation.opposing)]
    changed = client.intervene(image_job, 3, set={kept[0]: 0.5}, scale={kept[1]: 2}, suppress=[kept[2]], kept=KEPT)
    after = {one.concept: (one.before, one.after) for one in changed.activations}
    assert after[kept[0]][1] == 0.5
    assert math.isclose(after[kept[1]][1], 2 * after[kept[1]][0], rel_tol=1e-6)
    assert after[kept[2]][1] == 0
    assert changed.before.class_ == explanation.interpretation.class_


@pytest.mark.slow
def test_profiles_of_classes_and_concepts_agree(client: IISClient, image_job: str) -> None:
    classes = client.classes(image_job, kept=KEPT)
    assert sorted(one.class_ for one in classes) == sorted(CLASS_NAMES)
    profile = client.class_profile(image_job, "warm circle", top=1, kept=KEPT)
    (weightiest,) = profile.supporting
    uses = list(client.concept_uses(image_job, kept=KEPT))
    assert [one.concept for one in uses] == list(range(CONCEPTS))
    whole = client.concept_profile(image_job, weightiest.concept, kept=KEPT)
    assert {one.class_: one.weight for one in whole.serves}["warm circle"] == pytest.approx(weightiest.weight)
    assert whole.firing_rate == uses[weightiest.concept].firing_rate


@pytest.mark.slow
def test_figures_come_as_png_and_as_svg(client: IISClient, image_job: str, warm_circle: Path) -> None:
    posted = client.explain(image_job, warm_circle).image.id
    assert client.explanation_sheet(image_job, posted, kept=KEPT, top=3).startswith(PNG)
    assert b"<svg" in client.explanation_sheet(image_job, 3, "svg", contrast=another_class(client, image_job))
    assert client.class_figure(image_job, "warm circle", top=3).startswith(PNG)
    assert b"<svg" in client.class_figure(image_job, "warm circle", "svg")
    assert client.concept_gallery(image_job, limit=4).startswith(PNG)
    assert b"<svg" in client.concept_gallery(image_job, "svg", limit=4, kept=KEPT)


@pytest.mark.slow
def test_invalid_images_classes_and_nodes_are_refused(client: IISClient, image_job: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("This is not an image.")
    with pytest.raises(InvalidInputError, match=r"notes\.txt is not an image"):
        client.explain(image_job, text)
    with pytest.raises(LocalFileError, match=r"There is no image missing\.png"):
        client.explain(image_job, "missing.png")
    with pytest.raises(LocalFileError, match="There is no test image -1"):
        client.explain(image_job, -1)
    (tmp_path / "empty.png").touch()
    with pytest.raises(LocalFileError, match=r"empty\.png is empty"):
        client.explain(image_job, tmp_path / "empty.png")
    with pytest.raises(NotFoundError, match="There is no test image 99999"):
        client.explain(image_job, 99999)
    with pytest.raises(InvalidInputError, match="There is no class 'dog'"):
        client.explain(image_job, 0, contrast="dog")
    with pytest.raises(NotFoundError, match="There is no class 'dog'"):
        client.class_profile(image_job, "dog")
    with pytest.raises(InvalidInputError, match=r"no node at sparsity = 0\.33"):
        client.explain(image_job, 0, sparsity=0.33)


def test_a_posted_image_is_retried_with_the_same_idempotency_key(
    scripted: ScriptedService, impatient: Transport, warm_circle: Path
) -> None:
    busy = {"status": 503, "code": "worker_busy", "detail": "No worker answered.", "request_id": "req_1", "errors": []}
    scripted.answer("POST /v1/jobs/job_1/explanations?top=8", (503, busy), (201, {**EXPLANATION_EXAMPLE, "job": "job_1"}))
    with IISClient(transport=impatient) as client:
        assert client.explain("job_1", warm_circle).job == "job_1"
    first, second = scripted.keys
    assert first == second


@pytest.mark.slow
def test_the_command_explains_a_test_image(iis: RunCommand, client: IISClient, image_job: str) -> None:
    explanation = client.explain(image_job, 3, kept=KEPT)
    done = iis("explain", image_job, "3", "--kept", str(KEPT))
    assert done.returncode == 0, done.stderr
    assert f"Interpretation, {KEPT} of {CONCEPTS} concepts" in done.stdout
    assert f"Why {explanation.explained.class_}" in done.stdout
    for one in (*explanation.supporting, *explanation.opposing):
        assert f"{one.contribution:+.3f}" in done.stdout
    assert f"{explanation.logit:+.3f}" in done.stdout
    assert "most important concepts the probability of" in done.stdout
    assert explanation.heatmaps.note in done.stdout.replace("\n", " ")


@pytest.mark.slow
def test_the_command_explains_a_file_as_json(iis: RunCommand, image_job: str, warm_circle: Path) -> None:
    done = iis("explain", image_job, warm_circle, "--contrast", "cold cross", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["image"]["name"] == warm_circle.name
    assert json.loads(done.stdout)["contrast"]["class"] == "cold cross"


@pytest.mark.slow
def test_the_command_opens_the_page_of_the_image(start_iis: StartCommand, service: Address, image_job: str, tmp_path: Path) -> None:
    shown = start_iis("explain", image_job, "3", "--kept", str(KEPT), "--open", BROWSER=str(recording_browser(tmp_path)))
    shown.communicate(timeout=120)
    assert shown.returncode == 0
    address = (tmp_path / "opened").read_text().strip()
    assert address == f"{service.url}/jobs/{image_job}/images/3?kept={KEPT}"
    assert httpx.get(address).headers["Content-Type"].startswith("text/html")


@pytest.mark.slow
def test_without_a_browser_the_command_prints_the_address_of_the_page(start_iis: StartCommand, service: Address, image_job: str) -> None:
    shown = start_iis("explain", image_job, "3", "--open", BROWSER="/nowhere/browser", PATH="/nowhere")
    error_output = shown.communicate(timeout=120)[1]
    assert shown.returncode == 0, error_output
    assert f"the address is {service.url}/jobs/{image_job}/images/3" in error_output


@pytest.mark.slow
def test_the_command_shows_all_classes_or_one(iis: RunCommand, client: IISClient, image_job: str) -> None:
    listed = iis("classes", image_job)
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout for name in CLASS_NAMES)
    shown = iis("classes", image_job, "warm circle", "--top", "2", "--kept", str(KEPT))
    assert shown.returncode == 0, shown.stderr
    assert f"warm circle, by {KEPT} of {CONCEPTS} concepts" in shown.stdout
    for one in client.class_profile(image_job, "warm circle", top=2, kept=KEPT).supporting:
        assert f"{one.weight:+.3f}" in shown.stdout


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["explain", "{job}", "3"], ["classes", "{job}", "warm circle"], ["concepts", "{job}"]])
def test_the_command_saves_figures(iis: RunCommand, image_job: str, tmp_path: Path, arguments: list[str]) -> None:
    done = iis(*[word.format(job=image_job) for word in arguments], "--out", "figure.png", "--json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figure.png").read_bytes().startswith(PNG)
    assert json.loads(done.stdout)


@pytest.mark.slow
def test_the_command_opens_the_figure_that_it_saved(start_iis: StartCommand, image_job: str, tmp_path: Path) -> None:
    saving = start_iis("explain", image_job, "3", "--out", "sheet.svg", "--open", BROWSER=str(recording_browser(tmp_path)))
    error_output = saving.communicate(timeout=120)[1]
    assert saving.returncode == 0, error_output
    assert (tmp_path / "opened").read_text().strip() == (tmp_path / "sheet.svg").as_uri()


@pytest.mark.slow
def test_a_result_ends_with_the_command_to_explain_it(iis: RunCommand, image_job: str) -> None:
    assert iis("result", image_job).stdout.rstrip().endswith(f"iis explain {image_job} 0")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["explain", "{job}", "notes.txt"], "notes.txt is not an image"),
        (["explain", "{job}", "missing.png"], "There is no image missing.png"),
        (["explain", "{job}", "99999"], "There is no test image 99999"),
        (["explain", "{job}", "0", "--contrast", "dog"], "There is no class 'dog'"),
        (["explain", "{job}", "0", "--sparsity", "0.33"], "no node at sparsity = 0.33"),
        (["explain", "{job}", "0", "--kept", "4", "--sparsity", "0.8"], "give one of them"),
        (["explain", "{job}", "0", "--out", "missing/sheet.png"], "There is no folder missing"),
        (["explain", "{job}", "0", "--out", "sheet.pdf"], ".png or .svg"),
        (["explain", "job_00000000000000000000000000", "0"], "There is no job"),
        (["classes", "{job}", "dog"], "There is no class 'dog'"),
        (["classes", "{job}", "--out", "class.png"], "--out saves the figure of one class"),
        (["concepts", "lib_00000000000000000000000000", "--out", "gallery.png"], "--out draws how a job uses its concepts"),
    ],
)
def test_errors_are_one_sentence_with_exit_code_1(
    iis: RunCommand, image_job: str, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "notes.txt").write_text("This is not an image.")
    done = iis(*[word.format(job=image_job) for word in arguments])
    assert done.returncode == 1
    assert done.stdout == ""
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
