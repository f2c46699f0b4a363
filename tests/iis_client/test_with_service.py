"""Client and `iis` command against a running service: interrupted uploads, errors, a score from end to end."""

from __future__ import annotations

import json
import secrets
import threading
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from iis_client import (
    CheckFailedError,
    ConfigurationError,
    ConflictError,
    IISClient,
    NotFoundError,
    ServiceUnreachableError,
    UnauthorizedError,
    WaitTimeoutError,
)
from iis_client.transport.address import Address
from iis_client.transport.packing import file_digest
from iis_client.transport.uploads import PART_BYTES
from iis_schemas.jobs.views import ScoreJobView

if TYPE_CHECKING:
    from support.breaking_proxy import BreakingProxy
    from support.iis_command import RunCommand

CONCEPTS = 12
PARTS = 3
MIB = 1024 * 1024


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    """Random bytes in three parts, so that no earlier upload has the same content."""
    path = tmp_path / "large.bin"
    path.write_bytes(secrets.token_bytes(PART_BYTES * (PARTS - 1) + MIB))
    return path


@pytest.fixture(scope="module")
def scored(service: Address, digits_features: Path) -> str:
    """A finished job on the digits' pixels."""
    with IISClient(service.url, service.api_key) as client:
        dataset = client.wait_until_ready(client.create_dataset(digits_features, kind="features"), 120)
        job = client.score(None, dataset, {"kind": "prototype", "concept_count": CONCEPTS})
        return client.wait(job, 240).id


def test_an_interrupted_upload_resumes_with_the_missing_parts(
    client: IISClient, through_proxy: IISClient, proxy: BreakingProxy, large_file: Path
) -> None:
    proxy.break_after_bytes = 2 * PART_BYTES + MIB // 2
    with pytest.raises(ServiceUnreachableError):
        through_proxy.upload(large_file)
    proxy.mend()
    progress: list[tuple[int, int]] = []
    upload = through_proxy.upload(large_file, lambda done, total: progress.append((done, total)))
    size_bytes = large_file.stat().st_size
    assert upload.state == "complete"
    assert upload.sha256 == file_digest(large_file)
    assert progress[-1] == (size_bytes, size_bytes)
    assert proxy.sent_bytes < size_bytes + MIB  # including requests; complete parts are not sent again


def test_known_content_is_not_uploaded_again(through_proxy: IISClient, proxy: BreakingProxy, large_file: Path) -> None:
    first = through_proxy.upload(large_file)
    proxy.mend()
    again = through_proxy.upload(large_file.rename(large_file.with_name("another-name.bin")))
    assert again.sha256 == first.sha256
    assert again.state == "complete"
    assert proxy.sent_bytes < MIB


def test_an_unreachable_service_is_one_sentence(through_proxy: IISClient, proxy: BreakingProxy) -> None:
    proxy.close()
    with pytest.raises(ServiceUnreachableError, match=f"{proxy.url} does not answer"):
        list(through_proxy.jobs())


def test_a_wrong_key_is_refused(service: Address) -> None:
    with IISClient(service.url, "iis_wrong") as client, pytest.raises(UnauthorizedError, match="unknown or was revoked") as refused:
        list(client.jobs())
    assert refused.value.status == 401
    assert refused.value.request_id


def test_a_proxy_in_the_environment_is_not_used_for_this_machine(service: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # no proxy answers here
    for name in ("no_proxy", "NO_PROXY"):  # either exempts this machine from the proxy
        monkeypatch.delenv(name, raising=False)
    with IISClient(service.url, service.api_key) as client:
        list(client.models())


def test_an_unknown_job_is_not_found(client: IISClient) -> None:
    with pytest.raises(NotFoundError):
        client.job("job_00000000000000000000000000")


def test_an_unknown_library_kind_is_refused_before_anything_is_sent(client: IISClient) -> None:
    with pytest.raises(ConfigurationError, match=r"^library\.kind: There is no library kind 'magic'; the kinds are prototype, "):
        client.score(None, "dst_00000000000000000000000000", {"kind": "magic"})


def test_an_invalid_checkpoint_is_rejected_by_the_worker_with_the_reason(client: IISClient, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"these are not weights")
    model = client.create_model("timm:test_resnet", checkpoint=path)
    with pytest.raises(CheckFailedError) as refused:
        client.wait_until_ready(model, 120)
    assert refused.value.resource == model.id
    assert str(refused.value).endswith(".")


def test_waiting_ends_at_its_timeout(client: IISClient, digits_features: Path) -> None:
    dataset = client.create_dataset(digits_features, kind="features", split_seed=1)
    with pytest.raises(WaitTimeoutError, match="still pending"):
        client.wait_until_ready(dataset, 0)


def test_a_score_has_report_curves_figures_and_a_library(client: IISClient, scored: str) -> None:
    result = client.result(scored)
    assert result.report.iis is not None
    assert 0 < result.report.iis <= 1.1
    job = client.job(scored)
    assert isinstance(job, ScoreJobView)
    assert job.summary is not None
    assert (job.summary.iis, job.summary.verdict) == (result.report.iis, result.report.verdict and result.report.verdict.code)
    assert (job.dataset_name, job.usage is not None and "heads" in (job.usage.stage_seconds or {})) == ("digits.npz", True)
    curves = {curve.name: curve.points for curve in client.curves(scored)}
    assert set(curves) == {"library", "isotropic", "matched"}
    assert [point.sparsity for point in curves["library"]] == sorted(point.sparsity for point in curves["library"])
    assert client.plot(scored, "arr", "png").startswith(b"\x89PNG")
    assert b"<svg" in client.plot(scored, "accuracy", "svg")
    assert result.library is not None
    library = client.concept_library(result.library)
    assert library.concept_count == CONCEPTS
    concepts = list(client.concepts(library))
    assert [concept.index for concept in concepts] == list(range(CONCEPTS))
    assert len(client.nearest_concepts(library, [1.0] * library.dimension, limit=3)) == 3
    assert scored in {job.id for job in client.jobs(state="succeeded")}


def test_a_result_of_the_service_shows_itself(client: IISClient, scored: str) -> None:
    result = client.result(scored)
    assert result.report.verdict is not None
    assert result.report.verdict.sentence.split(":")[0] in result._repr_html_()
    assert set(result.to_frame()["curve"]) == {"library", "isotropic", "matched"}


def test_the_card_of_a_job_names_data_set_and_score(iis: RunCommand, client: IISClient, scored: str, tmp_path: Path) -> None:
    printed = iis("card", scored)
    assert printed.returncode == 0, printed.stderr
    assert "name: digits.npz" in printed.stdout
    assert f"job {scored}".replace("_", "\\_") in printed.stdout
    assert iis("card", scored, "--out", "card.md").returncode == 0
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == printed.stdout


def test_models_data_sets_and_uploads_can_be_deleted(client: IISClient, digits_features: Path, tmp_path: Path) -> None:
    (tmp_path / "unused.bin").write_bytes(secrets.token_bytes(1000))
    upload = client.upload(tmp_path / "unused.bin")
    dataset = client.create_dataset(digits_features, kind="features", split_seed=2)
    model = client.create_model("timm:test_resnet", initial_seed=0)
    client.delete_upload(upload)
    client.delete_dataset(dataset)
    client.delete_model(model)
    for read in (lambda: client.upload_status(upload), lambda: client.dataset(dataset), lambda: client.model(model)):
        with pytest.raises(NotFoundError):
            read()


def test_events_are_streamed_once_each_and_end_with_the_job(client: IISClient, scored: str) -> None:
    events = list(client.events(scored))
    numbers = [event.id for event in events]
    assert numbers == sorted(set(numbers))
    assert events[-1].data["state"] == "succeeded"
    assert [event.id for event in client.events(scored, numbers[2])] == numbers[3:]
    assert list(client.events(scored, numbers[-1])) == []


def test_a_finished_job_cannot_be_canceled(client: IISClient, scored: str) -> None:
    with pytest.raises(ConflictError, match="has finished"):
        client.cancel(scored)


@pytest.mark.slow
def test_an_interrupted_stream_resumes_without_gap(
    client: IISClient, through_proxy: IISClient, proxy: BreakingProxy, digits_features: Path
) -> None:
    dataset = client.wait_until_ready(client.create_dataset(digits_features, kind="features"), 120)
    job = client.score(None, dataset, {"kind": "prototype", "concept_count": 40})
    seen: list[int] = []
    for event in through_proxy.events(job):
        seen.append(event.id)
        if len(seen) == 2:
            proxy.break_after_bytes = 0
            proxy.drop_all()
            threading.Timer(0.02, proxy.mend).start()
    assert seen == [event.id for event in client.events(job)]


def test_the_command_scores_features_and_shows_a_table(iis: RunCommand, digits_features: Path, tmp_path: Path) -> None:
    done = iis("score", "--features", digits_features, "--library", "prototype", "--concepts", str(CONCEPTS), "--plot", "arr.png")
    assert done.returncode == 0, done.stderr
    for words in (
        f"prototype, {CONCEPTS} concepts, protocol exact",
        "Accuracy of the representation",
        "IIS",
        "gain over matched directions",
        "gain over any directions",
        "95 % interval",
    ):
        assert words in done.stdout
    assert (tmp_path / "arr.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_shows_lists_and_saves_a_result(iis: RunCommand, scored: str, tmp_path: Path) -> None:
    listed = iis("jobs", "--json")
    assert scored in {job["id"] for job in json.loads(listed.stdout)}
    assert scored[:14] in iis("jobs").stdout
    shown = iis("result", scored, "--json", "--plot", "arr.svg")
    assert json.loads(shown.stdout)["report"]["library"]["kind"] == "prototype"
    assert b"<svg" in (tmp_path / "arr.svg").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["result", "{job}"], "/v1/jobs/{job}/result"),
        (["concepts", "{job}"], "/v1/concept-libraries/{library}/concepts?limit=100"),
        (["predictors", "{job}"], "/v1/predictors?job={job}&limit=100"),
        (["quotas"], "/v1/quotas"),
        (["keys", "list"], "/v1/api-keys?limit=100"),
        (["leaderboard", "--library", "prototype"], "/v1/leaderboard?library=prototype"),
    ],
)
def test_json_output_is_the_json_of_the_service(
    iis: RunCommand, client: IISClient, service: Address, scored: str, arguments: list[str], path: str
) -> None:
    names = {"job": scored, "library": client.result(scored).library}
    answer = httpx.get(service.url + path.format(**names), headers={"Authorization": f"Bearer {service.api_key}"}).json()
    answer = answer["data"] if "has_more" in answer else answer
    printed = json.loads(iis(*[word.format(**names) for word in arguments], "--json").stdout)
    if arguments[0] == "predictors":
        printed, answer = (sorted(each, key=itemgetter("id")) for each in (printed, answer))
    if arguments[0] == "keys":
        printed, answer = ([{**key, "last_used_at": None} for key in each] for each in (printed, answer))  # it changes each minute
    assert json.dumps(printed, sort_keys=True) == json.dumps(answer, sort_keys=True)  # as text: 1 and 1.0 differ


def test_the_command_shows_unnamed_concepts_of_a_job_or_a_library(iis: RunCommand, client: IISClient, scored: str) -> None:
    shown = iis("concepts", scored)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("unnamed") == CONCEPTS
    assert "a data set of features has no images to compare with phrases" in shown.stdout
    assert iis("concepts", client.result(scored).library or "").stdout == shown.stdout
    assert "No phrase was excluded." in iis("concepts", scored, "--dropped").stdout


def test_the_command_returns_after_submission_without_watch(iis: RunCommand, digits_features: Path) -> None:
    done = iis("score", "--features", digits_features, "--library", "prototype", "--concepts", str(CONCEPTS), "--json")
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert job["kind"] == "score"
    assert iis("result", job["id"], "--watch").returncode == 0
    deleted = iis("delete", job["id"])
    assert deleted.stdout == f"Job {job['id']} is deleted.\n"
    assert f"There is no job {job['id']}." in iis("result", job["id"]).stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["result", "job_00000000000000000000000000"], "There is no job job_00000000000000000000000000"),
        (["cancel", "job_00000000000000000000000000"], "There is no job"),
        (["delete", "job_00000000000000000000000000"], "There is no job"),
        (["concepts", "job_00000000000000000000000000"], "There is no job"),
        (["concepts", "lib_00000000000000000000000000"], "There is no concept library"),
        (["score", "{features}", "--pretrained", "x", "--arch", "timm:resnet18", "--data", "."], "not both"),
        (["score", "--pretrained", "a1_in1k", "--data", "."], "--arch"),
        (["score", "--features", "{features}", "--arch", "timm:resnet18"], "--features contains the representation"),
        (["score", "--pretrained", "x", "--arch", "timm:resnet18", "--data", ".", "--arg", "in_chans"], "--arg takes key=value"),
        (["score", "--features", "{features}", "--part", "cluster"], "--part takes kind:M"),
        (["score", "--features", "{features}", "--plot", "missing/arr.png"], "There is no folder missing"),
        (["result", "job_00000000000000000000000000", "--plot", "missing/arr.png"], "There is no folder missing"),
    ],
)
def test_errors_are_one_sentence_with_exit_code_1(iis: RunCommand, digits_features: Path, arguments: list[str], sentence: str) -> None:
    done = iis(*[word.format(features=digits_features) for word in arguments])
    assert done.returncode == 1
    assert done.stdout == ""
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_a_service_the_command_says_how_to_start_one(iis: RunCommand, tmp_path: Path) -> None:
    done = iis("jobs", IIS_URL="", IIS_API_KEY="", IIS_DATA_FOLDER=str(tmp_path))
    assert done.returncode == 1
    assert "iis up" in done.stderr


def test_a_figure_with_an_unknown_suffix_is_refused_with_the_formats(iis: RunCommand, scored: str) -> None:
    done = iis("result", scored, "--plot", "arr.pdf")
    assert done.returncode == 1
    assert ".png or .svg" in done.stderr


def test_an_unwritable_figure_is_one_sentence(iis: RunCommand, scored: str) -> None:
    done = iis("result", scored, "--plot", "x" * 300 + ".png")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("x.png: File name too long.")
    assert len(done.stderr.strip().splitlines()) == 1
