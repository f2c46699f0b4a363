"""Layers of a model in a study: each is a model of its own, found by its settings or registered with the study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from app.db.ids import new_id
from app.db.lists.registration import lock_registration
from app.db.models import Model
from app.errors import InvalidInput
from app.models.repository import ModelRepository
from app.settings import Settings
from app.validation import enqueue_check, require_ready
from iis_schemas.studies.requests import LayersEntry, ModelEntry

_NAME_MAX = 200


class LayerModels(NamedTuple):
    """Entries with one for each layer, and the models of layers, which may still be pending or, in an estimate, have no row."""

    entries: list[ModelEntry]
    of_layers: list[str]


def register_layers(
    session: Session, owner_id: str, entries: Sequence[LayersEntry], settings: Settings, request_id: str | None
) -> LayerModels:
    """Write out entries with layers; register the layers that are no models yet. Their jobs wait for no check: a worker checks first.

    Raises
    ------
    NotFound, Conflict, InvalidInput
        When a model is not there, not ready, or a vision-language model.
    QuotaExceeded
        When too many models would be pending.
    """
    written, of_layers = list[ModelEntry](), list[str]()
    models = ModelRepository(session, owner_id)
    if any(entry.layers is not None for entry in entries):
        lock_registration(session, owner_id)
    for entry in entries:
        if entry.layers is None:
            written.append(entry.without_layers())
            continue
        base = _network(models, entry.model)
        for layer in entry.layers:
            wanted = _at_layer(base, layer, entry.pooling)
            model = models.same(wanted)
            if model is None:
                model = models.add(wanted)
                enqueue_check(session, model, owner_id, settings, request_id)
            written.append(_entry(entry, model.id, base.name, layer))
            of_layers.append(model.id)
    return LayerModels(written, of_layers)


def find_layers(session: Session, owner_id: str, entries: Sequence[LayersEntry], unregistered: Sequence[str]) -> LayerModels:
    """Write out entries with layers for an estimate; layers that are no models yet stand under a name, as in `unregistered`.

    Raises
    ------
    NotFound, Conflict, InvalidInput
        As `register_layers` does.
    """
    written, of_layers = list[ModelEntry](), list[str]()
    models = ModelRepository(session, owner_id)
    for number, entry in enumerate(entries):
        if entry.layers is None:
            written.append(entry.without_layers())
            continue
        base = None if entry.model in unregistered else _network(models, entry.model)
        for place, layer in enumerate(entry.layers):
            model = None if base is None else models.same(_at_layer(base, layer, entry.pooling))
            name = f"models[{number}].layers[{place}]" if model is None else model.id
            written.append(_entry(entry, name, entry.model if base is None else base.name, layer))
            if model is None:
                of_layers.append(name)
    return LayerModels(written, of_layers)


def _network(models: ModelRepository, model_id: str) -> Model:
    base = models.hold(model_id)
    require_ready(base, "model")
    if base.role != "backbone":
        raise InvalidInput(f"Model {base.id} is a vision-language model, which has no layers to score; name a backbone.", param="models")
    return base


def _entry(entry: LayersEntry, model_id: str, name: str, layer: str) -> ModelEntry:
    """The entry of a layer. Layers of one network are no independent models, so that they are a family unless it is given."""
    title = entry.label or name
    facts = {"model": model_id, "label": f"{title} at {layer}"[:_NAME_MAX], "family": entry.family or title[:_NAME_MAX]}
    return entry.without_layers().model_copy(update=facts)


def _at_layer(base: Model, layer: str, pooling: str | None) -> Model:
    return Model(
        id=new_id("model"),
        owner_id=base.owner_id,
        name=f"{base.name} at {layer}"[:_NAME_MAX],
        role=base.role,
        architecture=base.architecture,
        arguments=base.arguments,
        upload_id=base.upload_id,
        pretrained=base.pretrained,
        weights_of=base.weights_of,
        initial_seed=base.initial_seed,
        layer=layer,
        pooling=pooling,
        preprocessing=base.preprocessing,
        lineage=base.lineage,
        state="pending",
    )
