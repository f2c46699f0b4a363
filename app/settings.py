"""Settings of API and worker, from the environment (prefix IIS_) and files it names. Each class is a section of docs/configuration.md."""

from __future__ import annotations

import os
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, HttpUrl, model_validator

from app.memory_limit import memory_bytes
from app.setting_sources import Section

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
HOUR = 3600
DAY = 24 * HOUR
CHILD_MEMORY_SHARE = 0.8  # of all memory; the rest is for the worker itself and other processes of the machine


def _default_folder() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "iis"


def _default_child_memory_bytes() -> int | None:
    available = memory_bytes()
    return None if available is None else int(CHILD_MEMORY_SHARE * available)


class Connections(Section):
    """Database, broker and storage"""

    database_url: str = Field(
        default="postgresql+psycopg://iis@127.0.0.1:5432/iis", description="PostgreSQL with pgvector, as an SQLAlchemy URL"
    )
    database_pool_size: int = Field(default=10, ge=1, description="Database connections that each process keeps open")
    database_pool_overflow: int = Field(default=30, ge=0, description="Connections that a process may open beyond these under load")
    database_statement_timeout_seconds: float = Field(default=30, gt=0, description="Time of one statement of the API")
    database_connect_timeout_seconds: int = Field(default=3, ge=1, description="Time to open a database connection")
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="Redis, which carries wake-ups, queries and rate limits")
    data_folder: Path = Field(
        default_factory=_default_folder,
        description="Scratch space, and the data of the embedded stack",
        json_schema_extra={"default": "$XDG_DATA_HOME/iis, else ~/.local/share/iis"},
    )
    storage_url: str = Field(
        default="",
        description="Uploads and artifacts: `file:///path` or `s3://bucket/prefix`",
        json_schema_extra={"default": "the folder `artifacts` inside the data folder"},
    )
    s3_endpoint_url: str | None = Field(
        default=None, description="Address of an S3 server other than Amazon's; credentials come from the usual `AWS_` variables"
    )


class Access(Section):
    """Access to the API"""

    api_key_secret: str = Field(
        default="",
        description="Secret with which API keys are hashed (HMAC) and webhooks signed; the API does not start without it",
        json_schema_extra={"default": "required"},
    )
    public_url: HttpUrl | None = Field(
        default=None, description="Address under which people reach the service, where a proxy changes scheme or host"
    )
    rate_limit_per_second: float = Field(default=250, ge=0, description="Requests of one owner, with all API keys; 0 for no limit")
    rate_limit_burst: int = Field(default=250, ge=1, description="Requests of one owner at once")
    anonymous_rate_limit_per_second: float = Field(
        default=100, ge=0, description="Requests of one address without a key (pages, scripts, sign-in); 0 for no limit"
    )
    anonymous_rate_limit_burst: int = Field(default=250, ge=1, description="Requests of one address without a key at once")
    failed_key_limit_per_second: float = Field(default=1, ge=0, description="Requests of one address with an unknown key; 0 for no limit")
    failed_key_limit_burst: int = Field(default=100, ge=1, description="Requests of one address with an unknown key at once")
    idempotency_expiry_seconds: float = Field(default=DAY, gt=0, description="Time for which an Idempotency-Key replays its answer")


class Serving(Section):
    """The API's server, and the capacity of each of its processes"""

    host: str = Field(default="127.0.0.1", description="Address that `python -m app` listens on")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that `python -m app` listens on")
    requests_max: int = Field(
        default=256, ge=1, description="Requests in progress; a client with at most four of them is admitted up to twice this number"
    )
    client_requests_max: int = Field(default=64, ge=1, description="Requests in progress of one owner, or of one address without a key")
    waiting_requests_max: int = Field(default=1000, ge=1, description="Event streams and requests with `Prefer: wait`")
    client_waiting_requests_max: int = Field(default=250, ge=1, description="Event streams and waiting requests of one owner")
    body_bytes_max: int = Field(default=2 * GIB, ge=1, description="Bytes of uploads in progress")
    client_body_bytes_max: int = Field(default=512 * MIB, ge=1, description="Bytes of uploads in progress of one owner")
    body_min_bytes_per_second: float = Field(default=4 * KIB, gt=0, description="Lowest mean rate of a request body, after 10 seconds")
    header_timeout_seconds: float = Field(default=10, gt=0, description="Time to send the headers of a request")
    trusted_proxies: list[IPv4Network | IPv6Network] = Field(
        default_factory=list[IPv4Network | IPv6Network],
        description='Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count, as JSON (`["10.0.0.0/8"]`)',
        json_schema_extra={"default": "none"},
    )


class Quotas(Section):
    """Quotas of an owner (defaults; `python -m app.quotas` sets others for one owner; 0 for no limit)"""

    quota_stored_bytes: int = Field(default=4096 * GIB, ge=0, description="Bytes of complete uploads and declared bytes of open ones")
    quota_open_uploads: int = Field(default=500, ge=0, description="Open uploads")
    quota_unfinished_jobs: int = Field(default=50_000, ge=0, description="Queued and running jobs; a study has at most 10,000")
    quota_jobs_per_day: int = Field(default=100_000, ge=0, description="Jobs accepted within 24 hours")
    quota_pending_validations: int = Field(default=500, ge=0, description="Pending models, data sets and versions of concept sets")


class Retention(Section):
    """Retention (defaults; `python -m app.retention` sets other periods for one owner; 0 keeps for good)"""

    retention_results_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="Time from the end of a job that succeeded, or of a study, until it is deleted with its results",
    )
    retention_failed_jobs_days: int = Field(
        default=90, ge=0, le=36_500, description="Time from the end of a failed or canceled job, or of a validation, until it is deleted"
    )
    retention_events_days: int = Field(
        default=30, ge=0, le=36_500, description="Time from the end of a job until its events other than changes of state are deleted"
    )
    retention_deleted_days: int = Field(
        default=30,
        ge=0,
        le=36_500,
        description="Time until the row of a deleted model, data set, concept set or API key is removed, if no job names it",
    )


class Uploads(Section):
    """Uploads and data sets"""

    request_body_max_bytes: int = Field(default=MIB, ge=1, description="Size of a JSON body")
    concept_set_max_bytes: int = Field(default=8 * MIB, ge=1, description="Size of the phrases of a concept set, in a body or an upload")
    upload_part_max_bytes: int = Field(default=64 * MIB, ge=1, description="Size of one part of an upload")
    upload_part_min_bytes: int = Field(default=64 * KIB, ge=1, description="Least size of all parts of an upload but one")
    upload_max_bytes: int = Field(default=64 * GIB, ge=1, description="Size of an upload")
    small_upload_max_bytes: int = Field(default=16 * MIB, ge=1, description="Size of a one-request (multipart) upload")
    upload_expiry_seconds: float = Field(default=DAY, gt=0, description="Time after which an incomplete upload is deleted")
    artifact_expiry_seconds: float = Field(
        default=30 * DAY,
        gt=0,
        description="Time after its last use until a stage's output that no result needs is deleted; exceeds the job deadline by an hour",
    )
    collect_seconds: float = Field(default=600, gt=0, description="Interval between garbage collections of a worker")
    server_dataset_folders: list[Path] = Field(
        default_factory=list[Path],
        description='Folders on the server that data sets may be read from, as JSON (`["/data"]`); set it for API and workers alike',
        json_schema_extra={"default": "none"},
    )
    server_dataset_prefixes: list[str] = Field(
        default_factory=list[str],
        description=(
            'S3 prefixes that data sets may be read from, as JSON (`["s3://bucket/datasets"]`), with the server and credentials of '
            "`IIS_S3_ENDPOINT_URL`; set it for API and workers alike"
        ),
        json_schema_extra={"default": "none"},
    )
    allow_hub: bool = Field(default=True, description="Whether Hub data sets and pretrained weights may be fetched by name")


class Jobs(Section):
    """Jobs and workers"""

    lease_seconds: float = Field(default=10, gt=0, description="Time without a heartbeat after which a worker loses its job")
    heartbeat_seconds: float = Field(default=2, gt=0, description="Interval between heartbeats")
    sweep_seconds: float = Field(default=3, gt=0, description="Interval between sweeps for lost wake-ups and expired leases")
    max_attempts: int = Field(default=3, ge=1, description="Attempts at a job before it fails as `worker_lost`")
    task_seconds: float = Field(
        default=10, ge=0, description="Longest task of images for other workers; the shortest takes a fifth of it (docs/operations.md)"
    )
    job_deadline_seconds: float = Field(default=DAY, gt=0, description="Running time of a job over all attempts, unless it asks for less")
    check_deadline_seconds: float = Field(default=900, gt=0, description="Running time of the validation of a model or data set")
    cancel_poll_seconds: float = Field(default=2, gt=0, description="Interval between looks at a running job's cancellation")
    retry_pause_seconds: float = Field(default=10, ge=0, description="Pause before a job is queued again after a failure of storage")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="Device that jobs compute on, which makes a worker one of kind `gpu` or `cpu`; `auto`: a GPU where there is one",
    )
    child_memory_bytes: int | None = Field(
        default_factory=_default_child_memory_bytes,
        ge=0,
        description="Resident memory of a confined process and its descendants; 0 for no limit",
        json_schema_extra={"default": "80 % of the memory of the machine or container"},
    )
    child_disk_bytes: int | None = Field(
        default=256 * GIB, ge=0, description="Size of the files in a confined process's folder; 0 for no limit"
    )
    downloads_max_bytes: int = Field(
        default=128 * GIB,
        ge=1,
        description="Weights and data sets fetched by name that a worker's machine keeps; those of owners unseen for longest go first",
    )
    confinement: Literal["required", "best-effort"] = Field(
        default="required",
        description="`required`: on Linux a worker starts only with Landlock and seccomp; `best-effort`: it uses what the machine has",
    )
    worker_metrics_port: int | None = Field(default=None, description="Port on which a worker serves metrics to Prometheus")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Lowest level that is logged")


class Explanations(Section):
    """Explanations and predictions"""

    answer_timeout_seconds: float = Field(default=60, gt=0, description="Time that a request waits for a worker's answer")
    answer_cache_bytes: int = Field(default=20 * GIB, ge=0, description="Files that a worker keeps on disk to explain with")
    warm_bytes: int = Field(default=4 * GIB, ge=0, description="Networks and heads that a worker keeps in memory to explain with")
    posted_image_max_bytes: int = Field(default=32 * MIB, ge=1, description="Size of a posted image")
    posted_images_max_bytes: int = Field(default=GIB, ge=1, description="Size of one owner's posted images; the oldest are deleted first")
    posted_image_expiry_seconds: float = Field(default=DAY, gt=0, description="Time for which a posted image is kept")


class Webhooks(Section):
    """Webhooks"""

    webhook_allowed_networks: list[IPv4Network | IPv6Network] = Field(
        default_factory=list[IPv4Network | IPv6Network],
        description='Private networks that webhooks may be sent to, as JSON (`["10.20.0.0/16"]`)',
        json_schema_extra={"default": "none"},
    )
    webhook_allow_http: bool = Field(default=False, description="Whether webhooks may be sent without TLS to these networks")


class Traces(Section):
    """Traces"""

    traces_url: HttpUrl | None = Field(
        default=None,
        description="Address that spans are sent to by OTLP over HTTP (`http://collector:4318/v1/traces`); needs the extra `traces`",
        json_schema_extra={"default": "none: nothing is recorded"},
    )


class Settings(Connections, Access, Serving, Quotas, Retention, Uploads, Jobs, Explanations, Webhooks, Traces):
    """Settings of API and worker."""

    @model_validator(mode="after")
    def _storage_by_default(self) -> Self:
        self.storage_url = self.storage_url or (self.data_folder / "artifacts").absolute().as_uri()
        return self

    @model_validator(mode="after")
    def _no_limit_for_zero(self) -> Self:
        self.child_memory_bytes = self.child_memory_bytes or None
        self.child_disk_bytes = self.child_disk_bytes or None
        return self

    @model_validator(mode="after")
    def _artifacts_outlive_jobs(self) -> Self:
        if self.artifact_expiry_seconds <= self.job_deadline_seconds + HOUR:
            raise ValueError(
                "IIS_ARTIFACT_EXPIRY_SECONDS must exceed IIS_JOB_DEADLINE_SECONDS by more than an hour: running jobs need them."
            )
        return self

    @property
    def best_effort_confinement(self) -> bool:
        """Whether workers run on a machine without Landlock or seccomp."""
        return self.confinement == "best-effort"

    @property
    def least_part_bytes(self) -> int:
        """Least size of all parts of an upload but one."""
        return min(self.upload_part_min_bytes, self.upload_part_max_bytes)

    @property
    def released_artifact_age_seconds(self) -> float:
        """Age to give the last use of a stage output whose result was deleted, so that it outlives running jobs and little else."""
        return self.artifact_expiry_seconds - self.job_deadline_seconds - HOUR

    @property
    def public_origin(self) -> str | None:
        """Origin (scheme, host and port) by which a browser reaches the service; None where public_url is not set."""
        if self.public_url is None:
            return None
        scheme, port = self.public_url.scheme, self.public_url.port
        host = f"{scheme}://{self.public_url.host}"
        return host if port == {"http": 80, "https": 443}[scheme] else f"{host}:{port}"

    @property
    def scratch_folder(self) -> Path:
        """Folder for temporary files of one request or job; created on first use."""
        folder = self.data_folder / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


SECTIONS: tuple[type[Section], ...] = (Connections, Access, Serving, Quotas, Retention, Uploads, Jobs, Explanations, Webhooks, Traces)


@lru_cache
def get_settings() -> Settings:
    """Settings of this process, read once."""
    return Settings()
