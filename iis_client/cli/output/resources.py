"""Tables of models, data sets, concept libraries, webhooks and share links."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from iis_client.cli.output.listing import Heading, Listing, age, minute, short_ids

if TYPE_CHECKING:
    from iis_schemas.concept_libraries import ConceptLibraryView
    from iis_schemas.datasets import DatasetView
    from iis_schemas.models import ModelView
    from iis_schemas.shares import ShareView
    from iis_schemas.webhooks import WebhookView


def model_table(models: Sequence[ModelView], now: datetime) -> Listing:
    """One row per model."""
    headings = (
        Heading("model"),
        Heading("name", wraps=True),
        Heading("architecture"),
        Heading("state"),
        Heading("age"),
        Heading("role"),
        Heading("d"),
        Heading("layer"),
        Heading("tags", wraps=True),
    )
    ids = short_ids([model.id for model in models])
    rows = [
        (
            ids[model.id],
            model.name,
            model.architecture,
            model.state,
            age(model.created_at, now),
            model.role,
            str((model.info and model.info.num_features) or ""),
            model.layer or "",
            ", ".join(model.tags),
        )
        for model in models
    ]
    return Listing("", headings, rows, [_failure(model) for model in models if model.error], lines=False)


def dataset_table(datasets: Sequence[DatasetView], now: datetime) -> Listing:
    """One row per data set."""
    headings = (
        Heading("data set"),
        Heading("name", wraps=True),
        Heading("kind"),
        Heading("state"),
        Heading("classes"),
        Heading("train"),
        Heading("test"),
        Heading("age"),
        Heading("tags", wraps=True),
    )
    ids = short_ids([dataset.id for dataset in datasets])
    rows = [
        (
            ids[dataset.id],
            dataset.name,
            dataset.kind,
            dataset.state,
            *(
                ("", "", "")
                if (info := dataset.info) is None
                else (str(len(info.class_names) or ""), str(info.train or ""), str(info.test or ""))  # lists leave the names out
            ),
            age(dataset.created_at, now),
            ", ".join(dataset.tags),
        )
        for dataset in datasets
    ]
    return Listing("", headings, rows, [_failure(dataset) for dataset in datasets if dataset.error], lines=False)


def library_table(libraries: Sequence[ConceptLibraryView], now: datetime) -> Listing:
    """One row per concept library."""
    headings = (
        Heading("library"),
        Heading("name", wraps=True),
        Heading("kind"),
        Heading("M"),
        Heading("d"),
        Heading("age"),
        Heading("job"),
        Heading("tags", wraps=True),
    )
    ids = short_ids([library.id for library in libraries])
    rows = [
        (
            ids[library.id],
            library.name or "",
            library.kind,
            str(library.concept_count),
            str(library.dimension),
            age(library.created_at, now),
            library.job,
            ", ".join(library.tags),
        )
        for library in libraries
    ]
    return Listing("", headings, rows, lines=False)


def webhook_table(webhooks: Sequence[WebhookView], now: datetime) -> Listing:
    """One row per webhook; below the table why the service disabled one."""
    headings = (Heading("webhook"), Heading("URL", wraps=True), Heading("state"), Heading("age"), Heading("events", wraps=True))
    ids = short_ids([webhook.id for webhook in webhooks])
    rows = [
        (
            ids[webhook.id],
            webhook.url,
            "enabled" if webhook.enabled else "disabled",
            age(webhook.created_at, now),
            "all" if webhook.events is None else ", ".join(webhook.events),
        )
        for webhook in webhooks
    ]
    notes = [f"{webhook.id} disabled: {webhook.disabled_reason}" for webhook in webhooks if webhook.disabled_reason]
    return Listing("", headings, rows, notes, lines=False)


def share_table(shares: Sequence[ShareView], now: datetime) -> Listing:
    """One row per share link."""
    headings = (Heading("link"), Heading("shows", wraps=True), Heading("token"), Heading("expires"), Heading("last opened"), Heading("age"))
    ids = short_ids([share.id for share in shares])
    rows = [
        (
            ids[share.id],
            f"{_shared(share)} of {share.title}" if share.study is None else f"study {share.title}",
            f"…{share.hint}",
            "expired" if share.expires_at <= now else minute(share.expires_at),
            minute(share.last_used_at) or "never",
            age(share.created_at, now),
        )
        for share in shares
    ]
    return Listing("", headings, rows, lines=False)


def _shared(share: ShareView) -> str:
    index = share.concept if share.kind == "concept" else share.image
    return share.kind if index is None else f"{share.kind} {index}"


def _failure(resource: ModelView | DatasetView) -> str:
    return f"{resource.id} {resource.state}: {resource.error.message}" if resource.error is not None else ""
