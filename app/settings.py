"""Every setting of the service, read from the environment (prefix IIS_). Units are in the names; no setting is read anywhere else."""

from __future__ import annotations

import os
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, HttpUrl, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.memory_limit import memory_bytes

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
CHILD_MEMORY_SHARE = 0.8  # of all memory; the rest is for the worker itself and whatever runs beside it


def _default_folder() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "iis"


def _default_child_memory_bytes() -> int | None:
    available = memory_bytes()
    return None if available is None else int(CHILD_MEMORY_SHARE * available)


class Settings(BaseSettings):
    """Settings of API and worker. Lists and nested values are given as JSON, for example IIS_SERVER_DATASET_FOLDERS='["/data"]'."""

    model_config = SettingsConfigDict(env_prefix="IIS_", extra="ignore")

    database_url: str = "postgresql+psycopg://iis@127.0.0.1:5432/iis"
    database_pool_size: int = Field(default=10, ge=1)
    database_pool_overflow: int = Field(default=30, ge=0)
    database_connect_timeout_seconds: int = Field(default=3, ge=1)
    redis_url: str = "redis://127.0.0.1:6379/0"
    data_folder: Path = Field(default_factory=_default_folder)  # scratch space and the embedded stack's own files
    storage_url: str = ""  # file:///path or s3://bucket/prefix; empty: the folder `artifacts` inside data_folder
    s3_endpoint_url: str | None = None  # other S3 servers than Amazon's; credentials by the usual AWS_ variables

    api_key_secret: str = ""  # the HMAC key of API key digests; the API refuses to start without it

    public_url: HttpUrl | None = None  # where people reach the service, if a proxy in front changes scheme or host

    request_body_max_bytes: int = Field(default=MIB, ge=1)
    concept_set_max_bytes: int = Field(default=8 * MIB, ge=1)  # phrases in a request's body or in an upload
    upload_part_max_bytes: int = Field(default=64 * MIB, ge=1)
    upload_max_bytes: int = Field(default=64 * GIB, ge=1)
    small_upload_max_bytes: int = Field(default=16 * MIB, ge=1)
    upload_expiry_seconds: float = Field(default=24 * 3600, gt=0)
    artifact_expiry_seconds: float = Field(default=30 * 24 * 3600, gt=0)  # since a stage's output, which no result needs, was last used
    collect_seconds: float = Field(default=600, gt=0)
    # How much one owner may have, for whom `python -m app.quotas` has set nothing else; 0 for no limit.
    quota_stored_bytes: int = Field(default=4096 * GIB, ge=0)  # of complete uploads, and what open ones have declared
    quota_open_uploads: int = Field(default=500, ge=0)
    quota_unfinished_jobs: int = Field(default=50_000, ge=0)  # five of the largest studies
    quota_jobs_per_day: int = Field(default=100_000, ge=0)
    # How fast one may ask, and how many requests may come at once; 0 for no limit.
    rate_limit_per_second: float = Field(default=500, ge=0)  # of one API key
    rate_limit_burst: int = Field(default=2000, ge=1)
    anonymous_rate_limit_per_second: float = Field(default=100, ge=0)  # of one address, without a key: pages, their scripts, the sign-in
    anonymous_rate_limit_burst: int = Field(default=1000, ge=1)
    failed_key_limit_per_second: float = Field(default=1, ge=0)  # of one address: keys that open nothing
    failed_key_limit_burst: int = Field(default=100, ge=1)
    idempotency_expiry_seconds: float = Field(default=24 * 3600, gt=0)
    server_dataset_folders: list[Path] = Field(default_factory=list[Path])
    allow_hub: bool = True  # whether data sets and pretrained weights may be fetched by name from the network

    lease_seconds: float = Field(default=90, gt=0)
    heartbeat_seconds: float = Field(default=30, gt=0)
    sweep_seconds: float = Field(default=30, gt=0)
    max_attempts: int = Field(default=3, ge=1)
    job_deadline_seconds: float = Field(default=24 * 3600, gt=0)
    check_deadline_seconds: float = Field(default=900, gt=0)
    cancel_poll_seconds: float = Field(default=2, gt=0)
    retry_pause_seconds: float = Field(default=10, ge=0)  # before a job goes back to the queue because storage failed
    # Resident memory of a compute process with all it starts; most of this machine's, or its container's, unless given; 0 for no limit.
    child_memory_bytes: int | None = Field(default_factory=_default_child_memory_bytes, ge=0)
    child_disk_bytes: int | None = Field(
        default=256 * GIB, ge=0
    )  # of the files that a compute process leaves in its folder; 0 for no limit
    answer_timeout_seconds: float = Field(default=60, gt=0)  # how long an explanation is waited for
    answer_cache_bytes: int = Field(default=20 * GIB, ge=0)  # of files that a worker keeps at hand to explain with
    warm_bytes: int = Field(default=4 * GIB, ge=0)  # of networks and heads that it keeps in memory for that
    posted_image_max_bytes: int = Field(default=32 * MIB, ge=1)
    posted_images_max_bytes: int = Field(default=GIB, ge=1)  # of one owner together; the oldest go first
    posted_image_expiry_seconds: float = Field(default=24 * 3600, gt=0)
    # Where webhooks may lead beside the public internet, as networks such as ["10.20.0.0/16"]; without https only if that is allowed, too.
    webhook_allowed_networks: list[IPv4Network | IPv6Network] = Field(default_factory=list[IPv4Network | IPv6Network])
    webhook_allow_http: bool = False
    worker_metrics_port: int | None = None  # where a worker shows its numbers to Prometheus; without it nowhere
    device: Literal["auto", "cpu", "cuda"] = "auto"

    log_level: Literal["debug", "info", "warning", "error"] = "info"

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
        if self.artifact_expiry_seconds <= self.job_deadline_seconds + 3600:
            raise ValueError(
                "IIS_ARTIFACT_EXPIRY_SECONDS must exceed IIS_JOB_DEADLINE_SECONDS by more than an hour: running jobs need them."
            )
        return self

    @property
    def public_origin(self) -> str | None:
        """The origin that a browser knows the service by, where it is set."""
        if self.public_url is None:
            return None
        scheme, port = self.public_url.scheme, self.public_url.port
        host = f"{scheme}://{self.public_url.host}"
        return host if port == {"http": 80, "https": 443}[scheme] else f"{host}:{port}"

    @property
    def scratch_folder(self) -> Path:
        """A folder for files that one request or one job needs and then drops; made on first use."""
        folder = self.data_folder / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
