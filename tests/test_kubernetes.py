"""Manifests in deploy/kubernetes: they agree with each other, with docker-compose.yml, with the images and with the metrics of the API."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.metrics import JobsCollector
from app.settings import Settings
from iis_schemas.names import JOB_STATES

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS: list[dict[str, Any]] = [each for name in KUSTOMIZATION["resources"] for each in yaml.safe_load_all((FOLDER / name).read_text())]
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
ADDRESSES = {"IIS_S3_ENDPOINT_URL"}  # differ between compose and a cluster
PROGRAMS = {"iis-migrate": "migrate", "iis-api": "api", "iis-worker": "worker"}  # to the service of compose


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in OBJECTS if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pod(name: str) -> dict[str, Any]:
    kind = "Job" if name == "iis-migrate" else "Deployment"
    return named(kind, name)["spec"]["template"]["spec"]


def environment() -> dict[str, str]:
    (generator,) = KUSTOMIZATION["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generator["literals"])


def test_every_file_is_a_resource_and_every_object_has_its_kind() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {"kustomization.yaml", *KUSTOMIZATION["resources"]}
    versions = {"Namespace": "v1", "Service": "v1", "Deployment": "apps/v1", "Job": "batch/v1", "ScaledObject": "keda.sh/v1alpha1"}
    assert {each["kind"]: each["apiVersion"] for each in OBJECTS} == versions
    assert named("Namespace", KUSTOMIZATION["namespace"])


def test_the_environment_is_that_of_compose() -> None:
    for service in PROGRAMS.values():
        expected = COMPOSE[service]["environment"]
        assert set(environment()) == set(expected)
        assert {k: v for k, v in environment().items() if k not in ADDRESSES} == {k: v for k, v in expected.items() if k not in ADDRESSES}
    extra = [variable["name"] for name in PROGRAMS for variable in pod(name)["containers"][0].get("env", [])]
    for variable in [*environment(), *extra]:
        if variable.startswith("IIS_"):
            assert variable.removeprefix("IIS_").removesuffix("_FILE").lower() in Settings.model_fields, variable


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_has_the_image_command_secrets_and_confinement_of_compose(name: str) -> None:
    service, spec = COMPOSE[PROGRAMS[name]], pod(name)
    (container,) = spec["containers"]
    assert container["image"] == service["image"]
    assert container["image"] in {image["name"] for image in KUSTOMIZATION["images"]}
    assert container.get("command") == service.get("command")
    assert container["envFrom"] == [{"configMapRef": {"name": "iis-environment"}}]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert {mount["name"] for mount in mounts.values()} == set(volumes)
    assert set(mounts) == {"/run/secrets", "/data", "/tmp"}  # noqa: S108
    assert mounts["/run/secrets"]["readOnly"] is True
    assert volumes["secrets"]["secret"]["defaultMode"] == 0o440
    files = {value.removeprefix("/run/secrets/") for value in environment().values() if value.startswith("/run/secrets/")}
    assert files == set(service["secrets"])
    assert files == set(re.findall(r"--from-file=(\w+)", (FOLDER / "kustomization.yaml").read_text()))
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": service["read_only"],
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": service["cap_drop"]},
    }
    user = int(re.findall(r"--uid (\d+)", (REPOSITORY / "Dockerfile").read_text())[0])
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, user)
    assert spec["automountServiceAccountToken"] is False


def test_selectors_and_ports_lead_to_the_pods() -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    for name in ("iis-api", "iis-worker"):
        deployment = named("Deployment", name)["spec"]
        assert deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"]
        (port,) = pod(name)["containers"][0]["ports"]
        assert f"EXPOSE {port['containerPort']}" in dockerfile
        assert deployment["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe in pod(name)["containers"][0]:
                assert pod(name)["containers"][0][probe]["httpGet"]["port"] == port["name"]
    service = named("Service", "iis-api")["spec"]
    assert service["selector"] == named("Deployment", "iis-api")["spec"]["selector"]["matchLabels"]
    assert service["ports"][0]["targetPort"] == pod("iis-api")["containers"][0]["ports"][0]["name"]


def test_the_probes_and_metrics_are_routes_of_the_api() -> None:
    routes = (REPOSITORY / "openapi.json").read_text()
    container = pod("iis-api")["containers"][0]
    annotations = named("Deployment", "iis-api")["spec"]["template"]["metadata"]["annotations"]
    for path in (container["readinessProbe"]["httpGet"]["path"], container["livenessProbe"]["httpGet"]["path"]):
        assert f'"{path}"' in routes
    assert f'"{annotations["prometheus.io/path"]}"' in routes


def test_a_worker_has_one_gpu_and_ends_as_slowly_as_in_compose() -> None:
    resources = pod("iis-worker")["containers"][0]["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in str(pod("iis-api"))
    assert f"{pod('iis-worker')['terminationGracePeriodSeconds']}s" == COMPOSE["worker"]["stop_grace_period"]


def test_workers_scale_by_a_metric_that_the_api_exports() -> None:
    scaled = named("ScaledObject", "iis-worker")["spec"]
    assert named("Deployment", scaled["scaleTargetRef"]["name"])
    assert "replicas" not in named("Deployment", "iis-worker")["spec"]  # an apply would undo the scaling
    assert scaled["minReplicaCount"] >= 1
    (trigger,) = scaled["triggers"]
    query: str = trigger["metadata"]["query"]
    (family,) = JobsCollector.describe(JobsCollector.__new__(JobsCollector))
    metric, states = re.findall(r'(\w+)\{state=~"([\w|]+)"\}', query)[0]
    assert metric == family.name
    assert set(re.findall(r"by \(([\w, ]+)\)", query)[0].split(", ")) == set(family._labelnames)
    assert set(states.split("|")) <= set(JOB_STATES)


def test_the_images_have_the_version_of_the_package() -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert {image["newTag"] for image in KUSTOMIZATION["images"]} == {version}


@pytest.mark.parametrize("command", [["kubectl", "kustomize"], ["kustomize", "build"]], ids=["kubectl", "kustomize"])
def test_kustomize_builds_what_kubeconform_accepts(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"OPTIONAL: {command[0]} is not installed")
    built = subprocess.run([*command, str(FOLDER)], capture_output=True, text=True, check=True)
    assert "configMapRef" in built.stdout
    if shutil.which("kubeconform") is None:
        pytest.skip("OPTIONAL: kubeconform is not installed")
    subprocess.run(["kubeconform", "-strict", "-skip", "ScaledObject"], input=built.stdout, text=True, check=True)
